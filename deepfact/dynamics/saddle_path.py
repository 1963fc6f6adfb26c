"""The limit of the flow's path as the init scale tends to 0: plateaus at saddles, and jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_real_array
from deepfact.dynamics.active_columns import ActiveColumns
from deepfact.problem import Problem

_STILL = 1e-11  # correlations A^T r below this part of max ||a_i|| ||y|| are rounding
_TOGETHER = 1e-12  # relative difference of waiting times below which two jumps are one


@dataclass(frozen=True, eq=False)
class SaddlePath:
    """A piecewise constant path of signals: x is x[m] from times[m] to times[m + 1], and 0 before.

    Parameters
    ----------
    times : ndarray of shape (K,)
        Rescaled times tau of the jumps: t = tau log(1/alpha) at depth 2, and
        t = tau alpha^(2-L)/(L-2) at depth L > 2.
    x : ndarray of shape (K, N)
        The plateau after each jump.
    loss : ndarray of shape (K,)
        1/2 ||A x - y||^2 on each plateau.
    score : ndarray of shape (K, N)
        s at each jump: a coordinate becomes active where s_i reaches t_i^+ or -t_i^-.
    drift : ndarray of shape (K, N)
        ds/dtau = A^T (y - A x) on each plateau.
    initial_drift : ndarray of shape (N,)
        The same before the first jump, A^T y.
    status : str
        "converged" if the last plateau lasts for ever; "degenerate" if it is followed by a jump
        to active columns that depend on each other, whose plateau first-order times do not
        determine; "stalled" if the jumps ran out.
    message : str
        The same in words.
    """

    times: np.ndarray
    x: np.ndarray
    loss: np.ndarray
    score: np.ndarray
    drift: np.ndarray
    initial_drift: np.ndarray
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether the path is complete."""
        return self.status == "converged"

    def mask_time(self, s: int) -> float:
        """Return the time from which on the s largest coordinates are the final ones.

        Coordinates are ranked as |x(t)| is for alpha -> 0: active ones first, by |x_i|, then the
        others by |s_i(tau)|, which is linear in tau on each plateau.

        Parameters
        ----------
        s : int
            Size of the mask, 1 <= s <= number of nonzeros of the last plateau.

        Returns
        -------
        float
            The last tau at which the mask is another one; 0 if it never is.

        Raises
        ------
        ValueError
            If s is out of range or the path is not complete.

        Notes
        -----
        Statement T8 of ``docs/overparameterization.md``; derived there for depth 2.
        """
        if not self.success:
            raise ValueError(f"the path must be complete for a mask to be final: {self.message}")
        nonzeros = int(np.count_nonzero(self.x[-1])) if len(self.x) else 0
        if not 1 <= s <= nonzeros:
            raise ValueError(f"s must be between 1 and {nonzeros}, got {s}")
        final = np.zeros(self.x.shape[1], dtype=bool)
        final[np.argsort(-np.abs(self.x[-1]), kind="stable")[:s]] = True
        for m in range(len(self.times) - 1, 0, -1):  # plateau m - 1 ends at times[m]
            last = self._last_other_mask(final, self.x[m - 1], m - 1)
            if last is not None:
                return last
        last = self._last_other_mask(final, np.zeros(len(final)), -1)
        return 0.0 if last is None else last

    def _last_other_mask(self, final, x, m):
        """Return the last time on plateau m (-1: the start) with another mask than ``final``."""
        start, end = (0.0 if m < 0 else self.times[m]), self.times[m + 1]
        active = x != 0
        if np.count_nonzero(active) >= np.count_nonzero(final):
            size = np.count_nonzero(final)
            top = np.argsort(-np.abs(x), kind="stable")[:size]
            return None if final[top].all() else end
        if np.any(active & ~final):
            return end
        score = np.zeros(len(x)) if m < 0 else self.score[m]
        drift = self.initial_drift if m < 0 else self.drift[m]
        inside, outside = np.flatnonzero(final & ~active), np.flatnonzero(~final)
        # The square of |s_j| - |s_i| as a quadratic in time, at worst over all pairs.
        c = score[outside, None] ** 2 - score[inside] ** 2
        b = 2 * (score[outside, None] * drift[outside, None] - score[inside] * drift[inside])
        a = drift[outside, None] ** 2 - drift[inside] ** 2
        length = end - start
        if np.any((a * length + b) * length + c > 0):
            return end
        with np.errstate(all="ignore"):
            root = np.sqrt(b**2 - 4 * a * c)
            stable = -0.5 * (b + np.where(b < 0, -root, root))
            roots = np.stack([stable / a, c / stable])
        roots = roots[np.isfinite(roots) & (roots > 0) & (roots < length)]
        return None if roots.size == 0 else start + float(roots.max())

    def average(self, taus: np.ndarray) -> np.ndarray:
        """Return the averages (1/tau) int_0^tau x of the path.

        It is the lasso's minimiser for the penalty 1/tau wherever that path is monotone:
        `deepfact.LassoPath.monotone`.

        Parameters
        ----------
        taus : array_like of shape (P,)
            Rescaled times, positive.

        Returns
        -------
        ndarray of shape (P, N)
            The averages.

        Raises
        ------
        ValueError
            If a time is not positive or the path is not complete.

        Notes
        -----
        Statement T15 of ``docs/overparameterization.md``.
        """
        taus = as_real_array("taus", taus, ndim=1)
        if taus.min() <= 0:
            raise ValueError(f"taus must be positive, got {taus.min()}")
        if not self.success:
            raise ValueError(f"the path must be complete to be averaged: {self.message}")
        ends = np.append(self.times[1:], np.inf)
        passed = np.clip(taus[:, None], self.times, ends) - self.times
        return passed @ self.x / taus[:, None]

    def plot(self, axes=None):
        """Draw each coordinate that is ever active as a staircase over tau.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw (default: new axes).

        Returns
        -------
        matplotlib.axes.Axes
            With the staircases.
        """
        if axes is None:
            import matplotlib.pyplot as plt

            axes = plt.figure().add_subplot()
        end = 1.15 * self.times[-1] if len(self.times) else 1.0
        edges = np.concatenate([[0.0], self.times, [end]])
        for i in np.flatnonzero(self.x.any(axis=0)):
            axes.stairs(np.concatenate([[0.0], self.x[:, i]]), edges, baseline=None, label=str(i))
        axes.set_xlabel(r"rescaled time $\tau$")
        axes.set_ylabel("$x$")
        return axes


def saddle_path(
    problem: Problem,
    signed: bool = True,
    thresholds: tuple[np.ndarray, np.ndarray] | None = None,
) -> SaddlePath:
    """Compute the limit of the flow's path as alpha -> 0, in rescaled time.

    With s = 0 and x = 0 at tau = 0, ds/dtau = A^T (y - A x). When s_i reaches t_i^+ (or -t_i^-),
    coordinate i becomes active, and x jumps to the minimiser of ||A z - y|| over the vectors z that
    vanish off the active coordinates and have the sign of s_i on them; a coordinate that becomes
    0 is active no longer. The last plateau is a minimiser of sum t_i^+ x_i^+ + t_i^- x_i^- over
    the minimisers of the loss: of the l1 norm, if all starts are equal.

    Parameters
    ----------
    problem : Problem
        A x = y.
    signed : bool, optional
        Signed model (default: True), or the positive one, in which no s_i has a lower threshold.
    thresholds : tuple of array_like of shape (N,), optional
        t^+ and t^-, positive (default: 1, identical starts). For starts of unequal factors at
        depth L > 2 they are `deepfact.theory.single_product_weights`.

    Returns
    -------
    SaddlePath
        Jump times, plateaus and losses. Coordinates that jump together are treated as such.

    Raises
    ------
    TypeError
        If ``problem`` is no Problem or ``thresholds`` are not numbers.
    ValueError
        If thresholds are not positive or not of length N.

    Notes
    -----
    Statement T15 of ``docs/overparameterization.md``: Pesme and Flammarion (arXiv:2304.00488) at
    depth 2, Zhao, Wang, Yang, Bai and Zhang (arXiv:2607.12332) for deeper ones. Each jump costs a
    product with A^T and an update of the QR factors of the active columns.

    Examples
    --------
    >>> import numpy as np, deepfact as df
    >>> A = np.array([[1, 0.5, 0.7, 0], [0.5, 1, 0.1, 0.7]])
    >>> path = saddle_path(df.Problem(A, [1.0, 0.0]))
    >>> path.times.round(3)
    array([1.   , 4.   , 5.633])
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
    A, y, N = problem.dense(), problem.y, problem.N
    upper, lower = _thresholds(thresholds, N, signed)
    norms = np.sqrt(np.einsum("mn,mn->n", A, A))
    still = _STILL * norms.max() * np.linalg.norm(y)
    columns = ActiveColumns(A, y, norms)
    score, x, side = np.zeros(N), np.zeros(N), np.zeros(N)  # side: the sign where active
    drift = initial = A.T @ y
    tau = 0.0
    times, plateaus, losses, scores, drifts = [], [], [], [], []
    status, message = "stalled", f"the jumps ran out after {20 * (N + 1)}"
    for _ in range(20 * (N + 1)):
        moving = (side == 0) & (np.abs(drift) > still)
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(drift > 0, upper - score, lower + score)
            wait = np.where(moving, room / np.abs(drift), np.inf)
        first = float(wait.min(initial=np.inf))
        if not first < np.inf:
            status, message = "converged", "the last plateau lasts for ever"
            break
        first = max(first, 0.0)
        tau += first
        score = np.where(side == 0, score + first * drift, score)
        together = np.flatnonzero(wait <= first + _TOGETHER * max(tau, first))
        side[together] = np.sign(drift[together])
        score[together] = np.where(side[together] > 0, upper[together], -lower[together])
        if not columns.settle(x, side, still, together):
            status = "degenerate"
            message = (
                "active columns depend on each other: first-order times do not decide the jump"
            )
            break
        residual = columns.residual
        drift = residual @ A
        drift[columns.index] = 0.0
        if times and first <= _TOGETHER * tau:  # the same jump goes on
            for values in (times, plateaus, losses, scores, drifts):
                values.pop()
        times.append(tau)
        plateaus.append(x.copy())
        losses.append(0.5 * float(residual @ residual))
        scores.append(score.copy())
        drifts.append(drift)
    return SaddlePath(
        np.array(times),
        np.array(plateaus).reshape(len(times), N),
        np.array(losses),
        np.array(scores).reshape(len(times), N),
        np.array(drifts).reshape(len(times), N),
        initial,
        status,
        message,
    )


def _thresholds(thresholds, N, signed):
    """Return t^+ and t^- as arrays, the latter infinite in the positive model."""
    upper = lower = np.ones(N)
    if thresholds is not None:
        upper, lower = (as_real_array("thresholds", values, ndim=1) for values in thresholds)
        for values in (upper, lower):
            if len(values) != N:
                raise ValueError(f"thresholds must have length N = {N}, got {len(values)}")
            if values.min() <= 0:
                raise ValueError(f"thresholds must be positive, got {values.min()}")
    return upper, lower if signed else np.full(N, np.inf)

"""The lasso: its whole path by an exact homotopy, and a certified gap for any signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_real_array, as_real_number, check_problem
from deepfact.problem import Problem

_TOGETHER = 1e-12  # relative difference of penalties below which two events are one
_NOTHING = 1e-11  # penalties and correlations below this part of the first, entries of the largest
_CERTIFIED = 1e-9  # duality gap, in units of ||y||^2, up to which a part of the path is optimal
_DEPENDENT = 1e-10  # relative size of a pivot below which active columns depend on each other


def lasso_gap(problem: Problem, x: np.ndarray, penalty: float, signed: bool = True) -> float:
    """Return a bound of how far a signal's objective is from the least one of the lasso.

    The objective is 1/2 ||A z - y||^2 + penalty ||z||_1. With r = y - A x, c = A^T r and the
    feasible dual vector kappa r, kappa = min(1, penalty/max abs(c_i)), the duality gap is

        1/2 (1 - kappa)^2 ||r||^2 + sum_i (penalty abs(x_i) - kappa c_i x_i),

    in which no term is negative, so that nothing cancels.

    Parameters
    ----------
    problem : Problem
        A and y.
    x : array_like of shape (N,)
        The signal.
    penalty : float
        The penalty lambda, positive.
    signed : bool, optional
        Whether z may have any sign (default: True), or z >= 0.

    Returns
    -------
    float
        At least the objective at x minus the least objective; 0 for the solution itself.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape, or x has a negative entry where z >= 0.

    Notes
    -----
    Statement T15 of ``docs/overparameterization.md``.
    """
    check_problem(problem)
    x = as_real_array("x", x, ndim=1)
    penalty = as_real_number("penalty", penalty, above=0.0)
    if len(x) != problem.N:
        raise ValueError(f"x must have length N = {problem.N}, got {len(x)}")
    if not signed and x.min() < 0:
        raise ValueError(f"x must be nonnegative where signed is False, got {x.min()}")
    A = problem.dense()
    residual = problem.y - A @ x
    pull = A.T @ residual
    largest = float(np.max(np.abs(pull) if signed else pull))
    kappa = min(1.0, penalty / largest) if largest > 0 else 1.0
    terms = np.maximum(penalty * np.abs(x) - kappa * pull * x, 0.0)
    return float(0.5 * (1 - kappa) ** 2 * (residual @ residual) + terms.sum())


@dataclass(frozen=True, eq=False)
class LassoPath:
    """The minimisers of 1/2 ||A x - y||^2 + penalty ||x||_1: linear between K penalties.

    Parameters
    ----------
    penalties : ndarray of shape (K,)
        Where a coordinate enters or leaves, falling, and 0 at last.
    x : ndarray of shape (K, N)
        The minimisers there; from the first penalty on upwards it is 0.
    status : str
        "converged" if every part of the path is optimal by its duality gap; "degenerate" if active
        columns depend on each other, or coordinates that change at once were not told apart;
        "stalled" if the events ran out.
    message : str
        The same in words.
    """

    penalties: np.ndarray
    x: np.ndarray
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether the path is complete."""
        return self.status == "converged"

    @property
    def monotone(self) -> bool:
        """Whether abs(x_i)/penalty never falls, for no i, as the penalty does.

        As a function of 1/penalty, x/penalty is linear between the penalties of the path, so that
        these decide.
        """
        scaled = self.x[:-1] / self.penalties[:-1, None]
        grown = scaled[1:] * np.sign(scaled[:-1]) >= np.abs(scaled[:-1]) * (1 - 1e-12)
        # Beyond the last one it grows by x at penalty 0 for each unit of 1/penalty.
        return bool(grown.all() and np.all(self.x[-1:] * np.sign(scaled[-1:]) >= 0))

    def at(self, penalties: np.ndarray) -> np.ndarray:
        """Return the minimisers for some penalties.

        Parameters
        ----------
        penalties : array_like of shape (P,)
            The penalties, not negative.

        Returns
        -------
        ndarray of shape (P, N)
            The minimisers.

        Raises
        ------
        ValueError
            If a penalty is below the last one of the path.
        """
        penalties = as_real_array("penalties", penalties, ndim=1)
        if penalties.min() < self.penalties[-1]:
            raise ValueError(
                f"penalties must be at least {self.penalties[-1]}, got {penalties.min()}"
            )
        knots = self.penalties[::-1]
        return np.stack([np.interp(penalties, knots, x[::-1]) for x in self.x.T], axis=1)


def lasso_path(problem: Problem, signed: bool = True) -> LassoPath:
    """Compute all lasso solutions by following the path from large penalties to 0.

    While the active set S and its signs stay, x_S = (A_S^T A_S)^{-1} (A_S^T y - penalty signs) is
    linear in the penalty. A coordinate enters where its correlation A_i^T (y - A x) reaches the
    penalty in size, and leaves where its entry reaches 0.

    Parameters
    ----------
    problem : Problem
        A and y.
    signed : bool, optional
        Whether entries may have any sign (default: True), or x >= 0.

    Returns
    -------
    LassoPath
        Penalties and minimisers, one of several where columns in use are equal; at penalty 0 it
        is a minimiser of the loss of least l1 norm.

    Raises
    ------
    TypeError
        If ``problem`` is no Problem.

    Notes
    -----
    Statement T15 of ``docs/overparameterization.md``; Efron, Hastie, Johnstone and Tibshirani
    (2004). Several events at once are taken one after another, and the result is judged by its
    duality gaps.
    """
    check_problem(problem)
    A, y, N = problem.dense(), problem.y, problem.N
    correlation = A.T @ y
    size = np.abs(correlation) if signed else correlation
    penalty = scale = float(size.max())
    x = np.zeros(N)
    status, message = "converged", "the path is followed to penalty 0"
    if penalty <= 0:
        return LassoPath(np.zeros(1), x[None], status, message)
    active = [int(size.argmax())]
    signs = [float(np.sign(correlation[active[0]]))]
    last = active[0]
    penalties, minimisers = [penalty], [x]
    for _ in range(20 * (N + 1)):
        columns = A[:, active]
        Q, R = np.linalg.qr(columns)
        pivots = np.abs(np.diag(R))
        if len(R) < len(active) or pivots.min() <= _DEPENDENT * pivots.max():
            status, message = "degenerate", f"active columns depend on each other at {penalty:g}"
            break
        # x_S = end - penalty slope; correlations = rest + penalty tilt.
        end = np.linalg.solve(R, Q.T @ y)
        slope = np.linalg.solve(R, np.linalg.solve(R.T, np.array(signs)))
        rest = A.T @ (y - columns @ end)
        rest[np.abs(rest) <= _NOTHING * scale] = 0.0
        tilt = A.T @ (columns @ slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            leave = end / slope
            enter = np.stack([rest / (1 - tilt), -rest / (1 + tilt)])
        enter[:, active] = 0.0
        if last not in active:  # it has just left, its correlation being the penalty
            enter[:, last] = 0.0
        leave[slope * signs >= 0] = 0.0  # these grow
        for values in (leave, enter):
            inside = (values > _NOTHING * scale) & (values <= penalty * (1 + _TOGETHER))
            values[~inside] = 0.0
            np.minimum(values, penalty, out=values)
        if not signed:
            enter[1] = 0.0
        penalty = float(max(leave.max(), enter.max(initial=0.0)))
        x = np.zeros(N)
        now = end - penalty * slope
        x[active] = np.where(np.abs(now) > _NOTHING * np.abs(end).max(), now, 0.0)
        penalties.append(penalty)
        minimisers.append(x)
        if penalty == 0:
            break
        if leave.max() >= enter.max(initial=0.0):
            out = int(leave.argmax())
            signs.pop(out)
            last = active.pop(out)
            x[last] = 0.0
        else:
            side, j = np.unravel_index(enter.argmax(), enter.shape)
            last = int(j)
            active.append(last)
            signs.append(1.0 - 2.0 * side)
        if not active:
            break
    else:
        status, message = "stalled", f"the events ran out after {20 * (N + 1)}"
    if status == "converged" and not _optimal(problem, penalties, minimisers, signed):
        status, message = "degenerate", "several coordinates change at once"
    return LassoPath(np.array(penalties), np.array(minimisers), status, message)


def _optimal(problem, penalties, minimisers, signed):
    """Return whether the duality gap vanishes in the middle of each part of the path."""
    allowed = _CERTIFIED * float(problem.y @ problem.y)
    return all(
        lasso_gap(problem, (x + z) / 2, (a + b) / 2, signed) <= allowed
        for a, b, x, z in zip(penalties, penalties[1:], minimisers, minimisers[1:], strict=False)
    )

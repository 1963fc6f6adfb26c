"""The average of the flow over time, which follows the lasso's path as the init scale falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_real_array, check_fit
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.lasso import lasso_gap
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem

_POINTS = 400  # times added in each round, where the signal moves most
_ROUNDS = 8
_ACCURACY = 1e-6  # of A times the average, which is known exactly, relative to y


@dataclass(frozen=True, eq=False)
class AveragedFlow:
    """Averages of the flow at K times, each with the lasso penalty that it belongs to.

    Parameters
    ----------
    penalties : ndarray of shape (K,)
        The penalties.
    times : ndarray of shape (K,)
        The times t at which the averages end.
    x : ndarray of shape (K, N)
        The averages (1/t) int_0^t x(s) ds.
    gap : ndarray of shape (K,)
        Duality gaps of the lasso at these averages, `deepfact.lasso_gap`.
    error : ndarray of shape (K,)
        ||A x - (y - nu(t)/t)||/||y||, which is 0 for the exact averages x.
    status : str
        "success"; "inaccurate" if an error exceeds 1e-6; "failed" if the flow was not integrated.
    message : str
        The reason for the status.
    """

    penalties: np.ndarray
    times: np.ndarray
    x: np.ndarray
    gap: np.ndarray
    error: np.ndarray
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether the status is "success"."""
        return self.status == "success"


def path_clock(model: MirrorMap) -> float:
    """Return the time T(alpha) in which the paths of small init scales are alike.

    Parameters
    ----------
    model : MirrorMap
        A map with a deformation, such as a `deepfact.DeepFactorization` of depth 2 or more, with
        one init scale for all coordinates, at depth 2 below 1.

    Returns
    -------
    float
        log(1/alpha) at depth 2, alpha^(2-L)/(L-2) beyond: t = tau T, and s = w/T.

    Raises
    ------
    TypeError
        If ``model`` is no MirrorMap.
    ValueError
        If it has no deformation, or several init scales, or alpha >= 1 at depth 2.

    Notes
    -----
    Statement T15 of ``docs/overparameterization.md``.
    """
    if not isinstance(model, MirrorMap):
        raise TypeError(f"model must be a MirrorMap, got {type(model).__name__}")
    if model.deformation is None or np.ndim(model.log_product):
        raise ValueError(f"model must have a deformation and one init scale, got {model}")
    if model.deformation > 0:
        return float(np.exp(-np.asarray(model.log_rate)) / model.deformation)
    if model.log_product >= 0:
        raise ValueError(f"model must start below 1 at depth 2, got {model}")
    return float(-model.log_product) / 2


def averaged_flow(problem: Problem, model: MirrorMap, penalties: np.ndarray) -> AveragedFlow:
    """Average the gradient flow from time 0 to T/lambda, T the clock of its init scale.

    With w(t) = A^T nu(t) and nu(t) = int_0^t (y - A x), the average m obeys A^T (y - A m) = w/t.
    As alpha -> 0, abs(w_i) <= T, with equality where x_i is not 0: so m meets the lasso's
    optimality conditions for the penalty lambda = T/t, if coordinates stay that were active.

    Parameters
    ----------
    problem : Problem
        A and y.
    model : MirrorMap
        A map with a clock, such as a `deepfact.DeepFactorization` of depth 2 or more.
    penalties : array_like of shape (K,)
        Penalties lambda, positive.

    Returns
    -------
    AveragedFlow
        Averages with their certified distances to the lasso.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, a penalty is not positive, or the model has no clock:
        ``path_clock``.

    Notes
    -----
    Statement T15 of ``docs/overparameterization.md``: Berthier (arXiv:2509.18766) at depth 2. The
    average is a sum over times that are added where x moves, with the slopes of x at them; its
    image under A is known from nu, and is the test of the sum.
    """
    check_fit(problem, model)
    clock = path_clock(model)
    penalties = as_real_array("penalties", penalties, ndim=1)
    if penalties.min() <= 0:
        raise ValueError(f"penalties must be positive, got {penalties.min()}")
    A, y = problem.dense(), problem.y
    ends = clock / penalties
    times = np.unique(np.concatenate([np.linspace(0, ends.max(), _POINTS), ends]))
    unit = np.linalg.norm(y) or 1.0
    best, message = np.inf, ""
    for _ in range(_ROUNDS):
        flow = gradient_flow(problem, model, times)
        if flow.status == "failed":
            message = flow.message
            break
        slope = model.signal_derivative(flow.dual @ A) * ((y - flow.x @ A.T) @ A)
        steps = np.diff(times)[:, None]
        moved = np.diff(flow.x, axis=0)
        parts = steps / 2 * (flow.x[1:] + flow.x[:-1]) - steps**2 / 12 * np.diff(slope, axis=0)
        where = np.searchsorted(times, ends)
        x = np.vstack([np.zeros(problem.N), np.cumsum(parts, axis=0)])[where] / ends[:, None]
        error = np.linalg.norm(x @ A.T - (y - flow.dual[where] / ends[:, None]), axis=1) / unit
        best = float(error.max())
        if best <= _ACCURACY:
            break
        weight = np.sqrt(steps[:, 0] * np.abs(moved).sum(axis=1))
        more = np.rint(_POINTS * weight / weight.sum()).astype(int)
        times = _refined(times, more)
    if message:
        nothing = np.full((len(ends), problem.N), np.nan)
        return AveragedFlow(
            penalties, ends, nothing, nothing[:, 0], nothing[:, 0], "failed", message
        )
    allowed = np.maximum(x, 0.0) if model.positive else x
    gap = [
        lasso_gap(problem, one, penalty, signed=not model.positive)
        for one, penalty in zip(allowed, penalties, strict=True)
    ]
    status = "success" if best <= _ACCURACY else "inaccurate"
    message = f"averages of {len(times)} times: A x is off by {best:.2g} of y at most"
    return AveragedFlow(penalties, ends, x, np.array(gap), error, status, message)


def _refined(times, more):
    """Return the times with some more, equally spaced, in each interval."""
    new = [
        start + (end - start) * np.arange(1, count + 1) / (count + 1)
        for start, end, count in zip(times[:-1], times[1:], more, strict=True)
        if count
    ]
    return np.unique(np.concatenate([times, *new]))

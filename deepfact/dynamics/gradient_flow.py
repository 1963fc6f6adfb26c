"""Gradient flow: the trajectory of a mirror map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_count, as_times, as_tolerance, check_fit
from deepfact.dynamics.charts import DualChart, GrowthChart
from deepfact.dynamics.integrator import Integrator
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem

# A row of a result is called accurate up to this estimated relative error of x.
ACCURACY = 1e-6


@dataclass(frozen=True, eq=False)
class FlowResult:
    """The trajectory of `gradient_flow` at K times.

    Parameters
    ----------
    times : ndarray of shape (K,)
        The times.
    x : ndarray of shape (K, N)
        The signals x(t); rows that were not reached are NaN.
    loss : ndarray of shape (K,)
        The losses 1/2 ||A x(t) - y||^2.
    dual : ndarray of shape (K, M)
        The dual variables nu(t) = int_0^t (y - A x(s)) ds, with x(t) = X(A^T nu(t)).
    error : ndarray of shape (K,)
        Estimated relative errors of the signals, from the sensitivity of x(t) to relative
        changes of the dual variable.
    status : str
        "success"; "inaccurate" if some row's estimated error exceeds 1e-6; "failed" if the last
        time was not reached.
    message : str
        The reason for the status.
    """

    times: np.ndarray
    x: np.ndarray
    loss: np.ndarray
    dual: np.ndarray
    error: np.ndarray
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether the status is "success"."""
        return self.status == "success"


def gradient_flow(
    problem: Problem,
    model: MirrorMap,
    times: np.ndarray | None = None,
    rtol: float = 1e-9,
    max_steps: int = 100_000,
) -> FlowResult:
    """Integrate the flow x' = -X'(A^T nu) A^T(Ax - y) through its dual variable in R^M.

    The dual variable follows nu' = y - A X(A^T nu), nu(0) = 0, and x(t) = X(A^T nu(t)).

    Parameters
    ----------
    problem : Problem
        The problem; a LinearOperator is turned into a dense matrix.
    model : MirrorMap
        The parametrisation, for instance a `DeepFactorization`.
    times : array_like of shape (K,), optional
        Times, nonnegative and not decreasing. Default: 0 and 160 log-spaced times from 10^-2 to
        10^6 times the time 1/max_i |k_i (A^T r(0))_i| of the first relative change (k: the rate
        of `DeepFactorization`, 1 for other maps; r(0) the residual at the start).
    rtol : float, optional
        Tolerance of each step on the logarithms of the products of factors, in
        [1e-12, 1e-2] (default: 1e-9). The signal is usually more accurate than ten times that,
        save within the jumps of deep models with a small alpha: see ``FlowResult.error``.
    max_steps : int, optional
        Largest number of steps of the integrator (default: 100 000).

    Returns
    -------
    FlowResult
        Times, signals, losses, dual variables and the status.

    Raises
    ------
    TypeError
        If an argument is not of the kind named above.
    ValueError
        If times are empty, negative, decreasing or not finite, rtol or max_steps is out of its
        range, or alpha's length is not N.

    Notes
    -----
    The steps are those of LSODA, whose tolerance is 0.002 rtol, with the analytic Jacobian, and of
    Radau IIA of order 5 for maps without a deformation and for the last relaxation. The
    integrator sees increments of the dual variable only, in coordinates xi = R delta_nu with
    diag(s) A^T = Q R and s the rate of relative change of each product at the base point, so that
    the logarithms of the products move by Q xi: on the support the slack of the dual constraint,
    of order alpha^(L-2), keeps its relative accuracy. A new base point is taken when these rates
    have grown by 4. The residual is likewise updated by increments; once it is mere rounding that
    the products off the support (alpha^L) cannot follow, or moves nothing, the flow counts as
    settled. Times between steps are interpolated. Section "Dual picture" of
    ``docs/statements.md``.
    """
    check_fit(problem, model)
    rtol = as_tolerance(rtol)
    max_steps = as_count("max_steps", max_steps, minimum=1)
    if times is not None:
        times = as_times(times)

    A = problem.dense()
    rows, A_rows, y_rows = _independent_rows(A, problem.y)
    chart: DualChart | GrowthChart
    if model.deformation is not None:
        chart = GrowthChart(model, np.zeros((1 if model.positive else 2, problem.N)))
    else:
        chart = DualChart(model, np.zeros(problem.N))
    if times is None:
        rate = chart.rate() * np.abs(A.T @ (problem.y - A @ chart.signal()))
        unit = 1.0 / max(np.max(rate), 1e-290) if rate.any() else 1.0
        times = np.append(0.0, np.geomspace(1e-2, 1e6, 160) * unit)
    flow = Integrator(A_rows, y_rows, chart, rtol, max_steps)

    K = len(times)
    x, dual = np.full((K, problem.N), np.nan), np.full((K, problem.M), np.nan)
    error = np.full(K, np.nan)
    outside = problem.y - rows @ y_rows  # the part of y that no signal reaches, if not rounding
    if np.linalg.norm(outside) <= 1e-12 * np.linalg.norm(problem.y):
        outside = np.zeros(problem.M)
    message, done = "", 0
    while done < K and not message:
        points, message = flow.advance(times[done:])
        part = slice(done, done + len(points.dual))
        x[part] = points.chart.signal()
        dual[part] = points.dual @ rows.T + times[part, None] * outside
        error[part] = flow.relative_error(times[part], points)
        done = part.stop
    loss = 0.5 * np.sum((x @ A.T - problem.y) ** 2, axis=1)
    return FlowResult(times, x, loss, dual, error, *_verdict(times, error, message))


def _verdict(times, error, message) -> tuple[str, str]:
    if message:
        return "failed", message
    bad = ~(error <= ACCURACY)
    if bad.any():
        return "inaccurate", (
            f"at {bad.sum()} of {len(times)} times, between {times[bad][0]:.6g} and "
            f"{times[bad][-1]:.6g}, the estimated relative error of x exceeds {ACCURACY:g} "
            f"(largest: {np.max(error[bad]):.2g})"
        )
    return "success", f"integrated to t = {times[-1]:.6g}"


def _independent_rows(A, y):
    """Return orthonormal U (M, r) with A = U U^T A, and U^T A, U^T y; U = I for full rank."""
    M, N = A.shape
    if M <= N:
        singular = np.linalg.svd(A, compute_uv=False)
        if singular[-1] > N * np.finfo(float).eps * singular[0]:
            return np.eye(M), A, y
    U, singular, Vt = np.linalg.svd(A, full_matrices=False)
    rank = int(np.sum(singular > max(M, N) * np.finfo(float).eps * singular[0]))
    U = U[:, :rank]
    return U, singular[:rank, None] * Vt[:rank], U.T @ y

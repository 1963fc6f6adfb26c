"""Gradient flow: the trajectory of a mirror map, and of factors that are not identical."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.integrate import LSODA, Radau, odeint
from scipy.linalg import qr, solve_triangular

from deepfact.arguments import as_count, as_real_array, as_real_number, check_fit
from deepfact.deep_factorization import DeepFactorization
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem

# A row of a result is called accurate up to this estimated relative error of x.
ACCURACY = 1e-6
# Tolerance of a step of LSODA, per unit of rtol and at least, and the relative error of the dual
# variable per unit of it (measured: 0.1 to 40).
STEP, LEAST_STEP, DUAL_ERROR = 0.002, 2.3e-14, 50.0
# Increments are counted from a new base beyond this part of the neighbourhood's radius, and once
# the velocity is this part of the base's, before rounding of the base's residual shows.
FAR, SLOW = 0.75, 1e-3
CLOSE = 0.2  # the same part for Radau, whose coarse steps the far end would slow down
# Steps between two looks whether LSODA has missed that the equations are stiff, and its most.
PATIENCE, MOST = 1000, 10_000


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


@dataclass(frozen=True, eq=False)
class FactorFlowResult:
    """The trajectory of `factor_flow` at K times.

    Parameters
    ----------
    times : ndarray of shape (K,)
        The times.
    x : ndarray of shape (K, N)
        The signals x(t); rows that were not reached are NaN.
    loss : ndarray of shape (K,)
        The losses 1/2 ||A x(t) - y||^2.
    factors : ndarray of shape (K, ...)
        The factors at each time, in the shape of the initial ones.
    status : str
        "success", or "failed" if the last time was not reached.
    message : str
        The reason for the status.
    """

    times: np.ndarray
    x: np.ndarray
    loss: np.ndarray
    factors: np.ndarray
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
    Radau IIA of order 5 for other maps than `DeepFactorization` and for the last relaxation. The
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
    rtol = _check_tolerance(rtol)
    max_steps = as_count("max_steps", max_steps, minimum=1)
    if times is not None:
        times = _check_times(times)

    A = problem.dense()
    rows, A_rows, y_rows = _independent_rows(A, problem.y)
    if isinstance(model, DeepFactorization) and model.depth > 1:
        chart = _GrowthChart(model, np.zeros((1 + model.signed, problem.N)))
    else:
        chart = _DualChart(model, np.zeros(problem.N))
    if times is None:
        rate = chart.rate() * np.abs(A.T @ (problem.y - A @ chart.signal()))
        unit = 1.0 / max(np.max(rate), 1e-290) if rate.any() else 1.0
        times = np.append(0.0, np.geomspace(1e-2, 1e6, 160) * unit)
    flow = _Integrator(A_rows, y_rows, chart, rtol, max_steps)

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


class _DualChart:
    """The neighbourhood of a dual variable w for any mirror map: increments v of w itself."""

    def __init__(self, model: MirrorMap, w: np.ndarray) -> None:
        self.model, self.w = model, w
        self.x = model.signal(w)

    def signal(self) -> np.ndarray:
        return self.x

    def slope(self) -> np.ndarray:
        """Return X'(w)."""
        return self.model.signal_derivative(self.w)

    def rate(self) -> np.ndarray:
        """Return the factor from increments of w to the coordinate v whose size matters."""
        return np.ones_like(self.w)

    def increments(self, rate: np.ndarray) -> tuple[Callable, Callable]:
        """Return v -> X(w + v/rate) - X(w) and its derivative; not finite outside the domain."""
        return (
            lambda v: self.model.signal(self.w + v / rate) - self.x,
            lambda v: self.model.signal_derivative(self.w + v / rate) / rate,
        )

    def moved(self, v: np.ndarray, rate: np.ndarray) -> _DualChart:
        return _DualChart(self.model, self.w + v / rate)

    def distance(self, v: np.ndarray) -> float:  # noqa: ARG002
        """Return how far away v is, in units of the neighbourhood's radius."""
        return 0.0

    def rounding(self) -> np.ndarray:
        """Return the error of x that comes from the spacing of doubles near w."""
        return np.finfo(float).eps * np.abs(self.w) * self.slope()


class _GrowthChart:
    """The neighbourhood of a `DeepFactorization`'s state, held as log(products / a).

    With p = a e^g the product of the factors, p(w + dw) = p e(r dw), r = k e^(theta g): each
    point of the trajectory is the start of another one, and no slack is lost to cancellation.
    """

    def __init__(self, model: DeepFactorization, growth: np.ndarray) -> None:
        self.model, self.growth = model, growth
        self.sign = np.array([[1.0], [-1.0]])[: growth.shape[-2]]
        self.rates = np.exp(model.log_rate + model.theta * growth)
        self.products = np.exp(model.log_product + growth)

    def signal(self) -> np.ndarray:
        x = np.sum(self.sign * self.products, axis=-2)
        if not self.model.signed:
            return x
        g, h = self.growth[..., 0, :], self.growth[..., 1, :]
        half = 0.5 * (g - h)
        small = np.abs(half) < 1.0
        middle = np.exp(self.model.log_product + 0.5 * (g + h))
        return np.where(small, 2.0 * middle * np.sinh(np.where(small, half, 0.0)), x)

    def slope(self) -> np.ndarray:
        return np.sum(self.products * self.rates, axis=-2)

    def rate(self) -> np.ndarray:
        return np.max(self.rates, axis=-2)

    def increments(self, rate: np.ndarray) -> tuple[Callable, Callable]:
        theta, share = self.model.theta, self.sign * self.rates / rate
        signed, steep = self.sign * self.products, self.products * np.abs(share)

        def increment(v):
            terms = np.expm1(_log_growth(share * v[..., None, :], theta))
            terms *= signed
            return terms[..., 0, :] + terms[..., 1, :] if self.model.signed else terms[..., 0, :]

        def slope(v):
            return np.sum(steep * np.exp((1.0 + theta) * _log_growth(share * v, theta)), axis=0)

        return increment, slope

    def moved(self, v: np.ndarray, rate: np.ndarray) -> _GrowthChart:
        change = _log_growth(self.sign * self.rates / rate * v[..., None, :], self.model.theta)
        return _GrowthChart(self.model, self.growth + change)

    def distance(self, v: np.ndarray) -> float:
        growing = max(v.max(), -v.min()) if self.model.signed else v.max()
        return (self.model.theta or 0.02) * growing

    def rounding(self) -> np.ndarray:
        return np.zeros(self.growth.shape[-1])


def _log_growth(v: np.ndarray, theta: float) -> np.ndarray:
    """Return log e(v) = -log(1 - theta v)/theta, kept finite where a trial step went too far."""
    if theta == 0:
        return np.minimum(v, 60.0)
    lost = np.maximum(-theta * v, 1e-6 - 1.0)
    return np.log1p(lost, out=lost) / -theta


@dataclass(frozen=True)
class _Points:
    """One point of the trajectory, or several, one a row; coordinates of dual and residual as A."""

    chart: _DualChart | _GrowthChart
    dual: np.ndarray
    residual: np.ndarray


class _Integrator:
    """Steps of nu' = y - A X(A^T nu) for a matrix A of full row rank.

    LSODA takes them where the logarithms of products are known, Radau where they are not or where
    the rest of the motion, being stiff, is too small for LSODA to tell that it is.
    """

    def __init__(self, A, y, chart, rtol, max_steps) -> None:
        self.A, self.y, self.rtol, self.steps_left = A, y, rtol, max_steps
        self.here = _Points(chart, np.zeros(len(y)), y - A @ chart.signal())
        self.size = np.linalg.norm(self.here.residual)
        self.tolerance = max(STEP * rtol, LEAST_STEP)
        self.time = 0.0
        self.step_size: float | None = None  # of Radau
        self.quick = True
        self.rate: np.ndarray | None = None

    def advance(self, times: np.ndarray) -> tuple[_Points, str]:
        """Return the points at the first few times, and the reason if no more can follow."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(self.y) == 0 or self._is_rounding():  # nothing moves any more
                here, K = self.here, len(times)
                chart = here.chart.moved(np.zeros((K, self.A.shape[1])), here.chart.rate())
                return _Points(chart, *(np.tile(a, (K, 1)) for a in (here.dual, here.residual))), ""
            start = self.time
            rows, xi, passed, message = self._segment(times - start)
            points = self._moved(np.reshape(rows, (-1, len(xi))))
            self.here = self._moved(xi)
            self.time = next((t for t in times if t - start == passed), start + passed)
        return points, message and f"stopped at t = {self.time:.6g}: {message}"

    def relative_error(self, times: np.ndarray, points: _Points) -> np.ndarray:
        """Estimate relative errors of x from those of the steps and of the dual variable.

        A relative change e of the dual variable acts like a relative change e of the time, so
        that it moves x by e t x'; less than the rounding of the residual does to t x' is nothing.
        Nor is a drift of the residual by its rounding.
        """
        x, slope, eps = points.chart.signal(), points.chart.slope(), np.finfo(float).eps
        moving = times * _norm(slope * (points.residual @ self.A))
        noise = times * _norm(slope * _norm(self.A.T)) * np.linalg.norm(self.y)
        moving = np.maximum(0.0, moving - 16.0 * eps * noise)
        absolute = (DUAL_ERROR * self.tolerance + 4.0 * eps) * moving
        absolute = absolute + _norm(points.chart.rounding())
        drift = _norm(points.residual - (self.y - x @ self.A.T))
        drift = np.maximum(0.0, drift - 16.0 * eps * np.linalg.norm(self.y))
        return self.rtol + _ratio(absolute, _norm(x)) + _ratio(drift, self.size)

    def _is_rounding(self) -> bool:
        """Whether the residual is rounding that would move the dual variable, hence to be ignored.

        Where products off the support are smaller than the spacing of doubles near y, the last
        relaxation of the dual variable is beyond float64. It does not move x.
        """
        self._choose_coordinates()
        residual = self.here.residual
        if np.linalg.norm(residual) > 4.0 * np.finfo(float).eps * np.linalg.norm(self.y):
            return False
        slope = self.here.chart.slope() / self.rate
        try:
            rest = np.linalg.solve((self.xi_of_A * slope) @ self.Q, self.to_xi @ residual)
        except np.linalg.LinAlgError:
            return True
        return not 1e-3 * self.tolerance <= np.linalg.norm(rest) <= 0.1

    def _choose_coordinates(self) -> None:
        """Factorise diag(rate) A^T = Q R anew if the rates have changed by more than 2."""
        rate = self.here.chart.rate()
        if self.rate is not None and np.max(np.abs(np.log(rate / self.rate))) < np.log(2.0):
            return
        rows = rate[:, None] * self.A.T
        # Rows by size and columns pivoted: then Householder's QR is stable row by row.
        order = np.argsort(-np.linalg.norm(rows, axis=1))
        Q, R, self.pivots = qr(rows[order], mode="economic", pivoting=True)
        self.rate, self.R = rate, R
        self.Q = np.empty_like(Q)
        self.Q[order] = Q
        self.to_xi = np.empty_like(R)
        self.to_xi[:, self.pivots] = R
        self.xi_of_A = self.to_xi @ self.A
        self.weight = np.max(np.abs(self.xi_of_A), axis=0) * np.max(np.abs(self.Q), axis=1)

    def _segment(self, spans: np.ndarray) -> tuple[list, np.ndarray, float, str]:
        """Integrate from the present point until the last span or far enough for a new base.

        Returns xi at the spans that were reached, xi at the end, the time passed, a message.
        """
        Q, xi_of_A, chart = self.Q, self.xi_of_A, self.here.chart
        pull, zero = self.to_xi @ self.here.residual, np.zeros(Q.shape[1])
        increment, slope = chart.increments(self.rate)
        v, moving, left_domain = Q @ zero, pull, False  # v and xi' of the latest trial

        def velocity(_, xi):
            nonlocal v, moving, left_domain
            v = Q @ xi
            moving = pull - xi_of_A @ increment(v)
            left_domain |= not isfinite(moving[0])
            return moving

        def jacobian(time, xi):
            weight = slope(Q @ xi)
            if quick:  # columns that do nothing within the time passed, a bound on LSODA's step
                near = np.flatnonzero(weight * self.weight * time > 1e-6)
                return -(xi_of_A[:, near] * weight[near]) @ Q[near]
            return -(xi_of_A * weight) @ Q

        # LSODA starts as if nothing were stiff, and does not see stiffness below its tolerance.
        speed, unit = np.max(np.abs(pull)), 1.0 / np.sum(slope(v) * self.weight)
        quick = self.quick and isinstance(chart, _GrowthChart) and speed * unit > self.tolerance
        first = min(unit, np.sqrt(self.tolerance) / speed) if quick else self.step_size
        options = {"first_step": first and min(first, spans[-1]), "jac": jacobian}
        options |= dict.fromkeys(("rtol", "atol"), self.tolerance if quick else self.rtol)
        xi, passed, message, rows = zero, 0.0, "", [zero] * int(np.sum(spans <= 0))
        slow, self.quick, before = SLOW**2 * (pull @ pull), True, self.steps_left
        if len(rows) == len(spans):
            return rows, xi, passed, message
        try:
            solver = (LSODA if quick else Radau)(velocity, 0.0, zero, spans[-1], **options)
            while solver.status == "running":
                if self.steps_left == 0:
                    message = "max_steps steps were not enough"
                    break
                self.steps_left -= 1
                wanted = None if quick else solver.h_abs
                message = solver.step() or ""
                distance = chart.distance(v)
                if message or left_domain or not distance < 0.999:
                    if quick:
                        self.quick, message = False, ""
                    elif not message:  # discard the step: NaN may have misled the error estimate
                        self.step_size = min(solver.step_size, 0.5 * wanted)
                    elif passed > 0:  # too sharp for the clock of this base point
                        self.step_size, message = 10.0 * np.spacing(passed), ""
                    break
                xi, passed = solver.y, solver.t
                if passed >= spans[len(rows)]:
                    reached = spans[len(rows) : np.searchsorted(spans, passed, side="right")]
                    rows.extend(solver.dense_output()(reached).T)
                if not quick:
                    self.step_size = solver.h_abs
                if distance > (FAR if quick else CLOSE) or moving @ moving < slow:
                    break
                if quick and (taken := before - self.steps_left) % PATIENCE == 0:
                    # Steps about as long as stability asks for, so late: taken for not stiff.
                    short = (passed - solver.t_old) * np.sum(slope(v) * self.weight) < 10.0
                    if short or taken >= MOST:  # or held up by rounding
                        self.quick = False
                        break
        except (ValueError, np.linalg.LinAlgError) as reason:  # NaN in a linear system
            message = f"the linear systems of the integrator broke down ({reason})"
        return rows, xi, passed, message

    def _moved(self, xi: np.ndarray) -> _Points:
        """Return the point at the increments xi, or the points at its rows."""
        here, v = self.here, xi @ self.Q.T
        increment, _ = here.chart.increments(self.rate)
        dual = np.empty_like(xi)
        dual[..., self.pivots] = solve_triangular(self.R, xi.T).T
        residual = here.residual - increment(v) @ self.A.T
        return _Points(here.chart.moved(v, self.rate), here.dual + dual, residual)


def _norm(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows, axis=-1)


def _ratio(a: np.ndarray, b: np.ndarray | float) -> np.ndarray:
    """Return a/b, and 0 for 0/0."""
    return np.divide(a, b, out=np.where(a == 0, 0.0, np.inf), where=b > 0)


def initial_factors(model: DeepFactorization, N: int) -> np.ndarray:
    """Return the identical initial factors of a model of finite integer depth >= 2.

    Parameters
    ----------
    model : DeepFactorization
        The model; its depth L must be an integer >= 2.
    N : int
        Number of unknowns.

    Returns
    -------
    ndarray of shape (2, L, N) or (1, L, N)
        All entries of coordinate i are alpha_i; two groups in the signed model (u, v), else one.

    Raises
    ------
    TypeError
        If ``model`` is no DeepFactorization or ``N`` no integer.
    ValueError
        If the depth is no integer >= 2, N < 1, alpha's length is not N, or alpha underflows.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    if not isinstance(model, DeepFactorization):
        raise TypeError(f"model must be a DeepFactorization, got {type(model).__name__}")
    N = as_count("N", N, minimum=1)
    model.check_length(N)
    if not (np.isfinite(model.depth) and model.depth >= 2 and model.depth == int(model.depth)):
        raise ValueError(f"model must have an integer depth >= 2, got depth {model.depth}")
    alpha = np.exp(model.log_product / model.depth)
    if np.min(alpha) == 0.0:
        raise ValueError("model must have an alpha within float64: exp(log_alpha) is 0")
    return np.ones((1 + model.signed, int(model.depth), N)) * alpha


def check_factors(factors, signed, N) -> tuple[tuple[int, ...], np.ndarray]:
    """Check initial factors of the signed or positive model.

    Parameters
    ----------
    factors : array_like
        What the caller passed as factors.
    signed : bool
        Signed or positive model.
    N : int
        Number of unknowns.

    Returns
    -------
    tuple
        The caller's shape, and the factors as an array of shape (2 or 1, L, N).

    Raises
    ------
    TypeError, ValueError
        If factors are not finite real numbers of shape (2, L, N) in the signed model, (1, L, N)
        or (L, N) in the positive one.
    """
    if not isinstance(signed, (bool, np.bool_)):
        raise TypeError(f"signed must be True or False, got {signed!r}")
    ndim = np.ndim(factors) if np.ndim(factors) in (2, 3) and not signed else 3
    factors = as_real_array("factors", factors, ndim=ndim)
    shape = factors.shape
    start = factors.reshape((1, *shape)) if ndim == 2 else factors
    groups = 2 if signed else 1
    if start.shape[0] != groups or start.shape[2] != N:
        expected = f"(2, L, {N})" if signed else f"(L, {N}) or (1, L, {N})"
        raise ValueError(
            f"factors must have shape {expected} in the {'signed' if signed else 'positive'} "
            f"model, got {shape}"
        )
    return shape, start


def factor_flow(
    problem: Problem,
    factors: np.ndarray,
    signed: bool = True,
    times: np.ndarray | None = None,
    rtol: float = 1e-10,
) -> FactorFlowResult:
    """Integrate the flow of all factor vectors from arbitrary initial factors.

    With x = prod_l u_l - prod_l v_l and h = A^T(Ax - y), u_l' = -(prod_{j != l} u_j) h and
    v_l' = +(prod_{j != l} v_j) h; the positive model has the factors u_l only.

    Parameters
    ----------
    problem : Problem
        The problem; dense, with N at most a few hundred.
    factors : array_like of shape (2, L, N), (1, L, N) or (L, N)
        The initial factors: (2, L, N) in the signed model (u first, then v), one of the other
        two shapes in the positive model.
    signed : bool, optional
        Signed (default: True) or positive model.
    times : array_like of shape (K,), optional
        Times, nonnegative and not decreasing (default: 0 and 160 log-spaced times from 10^-2 to
        10^4 times the time scale at the start, min |f| / |f'| over the factors f).
    rtol : float, optional
        Relative tolerance of each step, in [1e-12, 1e-2] (default: 1e-10).

    Returns
    -------
    FactorFlowResult
        Times, signals, losses, factors and the status.

    Raises
    ------
    TypeError
        If an argument is not of the kind named above.
    ValueError
        If the shape of ``factors`` does not fit, or times or rtol are out of their range.

    Notes
    -----
    The differences f_l^2 - f_j^2 of factors of one product are conserved. So each product has one
    unknown g, its smallest factor: f_l = +-sqrt(g^2 + mu_l^2) with mu_l^2 = f_l(0)^2 - g(0)^2,
    and the integrator (LSODA with the analytic Jacobian) solves for these. Statement S13 of
    ``docs/statements.md``.
    """
    _check_problem(problem)
    shape, start = check_factors(factors, signed, problem.N)
    rtol = _check_tolerance(rtol)
    if times is not None:
        times = _check_times(times)

    A, y = problem.dense(), problem.y
    gram = A.T @ A
    sign = np.array([[1.0], [-1.0]])[: len(start)]
    tiled = np.tile(gram, (len(sign), len(sign)))
    companions, slope_of, smallest, rebuild = _one_factor_form(start)

    def h_of(products):
        return A.T @ (A @ (sign[:, 0] @ products) - y)

    def velocity(_, g):
        g = g.reshape(smallest.shape)
        others = companions(g)
        return (-sign * others * h_of(g * others)).ravel()

    def jacobian(_, g):
        g = g.reshape(smallest.shape)
        others, slope = companions(g), slope_of(g)
        left = (-sign * others).ravel()
        right = (sign * (others + g * slope)).ravel()
        jacobian = left[:, None] * tiled * right
        jacobian[np.diag_indices(g.size)] -= (sign * slope * h_of(g * others)).ravel()
        return jacobian

    if times is None:
        others = leave_one_out_products(start)
        speed = np.abs(others * h_of(np.prod(start, axis=1)))
        moving = (start != 0) & (speed > 0)
        unit = np.min(np.abs(start[moving]) / speed[moving]) if moving.any() else 1.0
        times = np.append(0.0, np.geomspace(1e-2, 1e4, 160) * unit)

    sizes = np.where(start == 0, np.inf, np.abs(start)).min(axis=1)
    atol = 1e-3 * rtol * np.where(np.isinf(sizes), 1.0, sizes).ravel()
    g, message = _solve(velocity, jacobian, smallest.ravel(), times, rtol, atol)
    all_factors = np.array([rebuild(row.reshape(smallest.shape)) for row in g])
    x = np.sum(sign * np.prod(all_factors, axis=2), axis=1)
    loss = 0.5 * np.sum((x @ A.T - y) ** 2, axis=1)
    status = "failed" if message else "success"
    message = message or f"integrated to t = {times[-1]:.6g}"
    return FactorFlowResult(times, x, loss, all_factors.reshape(-1, *shape), status, message)


def leave_one_out_products(factors: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return the product of all other factors for each factor, without division.

    Parameters
    ----------
    factors : ndarray of shape (S, L, N)
        S groups of L factors.
    out : ndarray of shape (S, L, N), optional
        Where to put the result (default: a new array).

    Returns
    -------
    ndarray of shape (S, L, N)
        Products of the factors before and after each one in its group; ones for L = 1.
    """
    out = np.empty_like(factors) if out is None else out
    if out.size == 0:
        return out
    out[:, 0] = 1.0
    for j in range(1, factors.shape[1]):
        np.multiply(out[:, j - 1], factors[:, j - 1], out=out[:, j])
    after = factors[:, -1].copy()
    for j in range(factors.shape[1] - 2, -1, -1):
        out[:, j] *= after
        after *= factors[:, j]
    return out


def _one_factor_form(start: np.ndarray) -> tuple[Callable, np.ndarray, Callable]:
    """Express all factors (S, L, N) of each product by its smallest factor g (S, N).

    Returns the functions from g to the product of the other factors and to its derivative, the
    initial g, and the function from g to all factors.
    """
    order = np.argsort(np.abs(start), axis=1, kind="stable")
    ranked = np.take_along_axis(start, order, axis=1)
    smallest, others = ranked[:, 0], ranked[:, 1:]
    small, large = np.abs(smallest)[:, None], np.abs(others)
    mu = np.sqrt((large - small) * (large + small))
    tied = mu == 0  # then f = g or f = -g for ever
    sign = np.where(others < 0, -1.0, 1.0)
    ratio = sign * np.where(smallest < 0, -1.0, 1.0)[:, None]

    some_tied = tied.any()

    def values(g):
        f = sign * np.hypot(g[:, None], mu)
        return np.where(tied, ratio * g[:, None], f) if some_tied else f

    def companions(g):
        return np.multiply.reduce(values(g), axis=1)

    def slope_of(g):
        f = values(g)
        steepness = np.where(tied, ratio, g[:, None] / np.where(tied, 1.0, f))
        return np.sum(steepness * leave_one_out_products(f), axis=1)

    def rebuild(g):
        factors = np.empty_like(start)
        np.put_along_axis(factors, order, np.concatenate([g[:, None], values(g)], axis=1), axis=1)
        return factors

    return companions, slope_of, smallest, rebuild


def _solve(velocity, jacobian, start, times, rtol, atol) -> tuple[np.ndarray, str]:
    """Return the solution at the times (NaN where not reached) and the reason for a failure."""
    rows = np.full((len(times), len(start)), np.nan)
    rows[times == 0] = start
    later = np.unique(times[times > 0])
    if len(later) == 0:
        return rows, ""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, report = odeint(
            velocity,
            start,
            np.append(0.0, later),
            Dfun=jacobian,
            tfirst=True,
            rtol=rtol,
            atol=atol,
            mxstep=1_000_000,
            full_output=True,
        )
    reached = report["tcur"] >= later
    path[1:][~reached] = np.nan
    moved = times > 0
    rows[moved] = path[1:][np.searchsorted(later, times[moved])]
    if not reached.all():
        return rows, f"LSODA stopped: {report['message']}"
    return rows, "" if np.isfinite(rows).all() else "the factors left the range of float64"


def _check_problem(problem) -> None:
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")


def _check_times(times) -> np.ndarray:
    times = as_real_array("times", times, ndim=1)
    if times[0] < 0 or np.any(np.diff(times) < 0):
        raise ValueError(
            "times must be nonnegative and not decreasing, got "
            f"{'a negative time' if times.min() < 0 else 'a decrease'}"
        )
    return times


def _check_tolerance(rtol) -> float:
    rtol = as_real_number("rtol", rtol, minimum=1e-12)
    if rtol > 1e-2:
        raise ValueError(f"rtol must be at most 1e-2, got {rtol}")
    return rtol

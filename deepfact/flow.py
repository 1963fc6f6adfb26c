"""Gradient flow: the trajectory of a mirror map, and of factors that are not identical."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import Radau, odeint
from scipy.linalg import LinAlgWarning, qr, solve_triangular

from deepfact.checks import as_count, as_real_array, as_real_number, check_fit
from deepfact.model import DeepFactorization, MirrorMap, deformed_exponent
from deepfact.problem import Problem

# A row of a result is called accurate up to this estimated relative error of x.
ACCURACY = 1e-6
# Relative error of the dual variable per unit of rtol (measured: 0.001 to 0.03).
DUAL_ERROR = 0.05


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
    The step is the Radau IIA method of order 5 with the analytic Jacobian. The integrator sees
    increments of the dual variable only, in coordinates xi = R delta_nu with
    diag(s) A^T = Q R and s the present rate of relative change of each product, so that the
    logarithms of the products move by Q xi: on the support the slack of the dual constraint,
    of order alpha^(L-2), keeps its relative accuracy. The residual is likewise updated by
    increments; once it is mere rounding that the products off the support (alpha^L) cannot
    follow, the flow counts as settled. Section "Dual picture" of ``docs/statements.md``.
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
    message = ""
    outside = problem.y - rows @ y_rows  # the part of y that no signal reaches, if not rounding
    if np.linalg.norm(outside) <= 1e-12 * np.linalg.norm(problem.y):
        outside = np.zeros(problem.M)
    for k, time in enumerate(times):
        message = flow.advance(time)
        if message:
            break
        x[k] = flow.chart.signal()
        dual[k] = rows @ flow.dual + time * outside
        error[k] = flow.relative_error()
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

    def increment(self, v: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return X(w + v/rate) - X(w) and its derivative in v; not finite outside the domain."""
        w = self.w + v / rate
        return self.model.signal(w) - self.x, self.model.signal_derivative(w) / rate

    def moved(self, v: np.ndarray, rate: np.ndarray) -> _DualChart:
        return _DualChart(self.model, self.w + v / rate)

    def is_far(self, v: np.ndarray) -> bool:  # noqa: ARG002
        """Whether increments should be counted from a new base point."""
        return False

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
        self.sign = np.array([[1.0], [-1.0]])[: len(growth)]
        self.rates = np.exp(model.log_rate + model.theta * growth)
        self.products = np.exp(model.log_product + growth)

    def signal(self) -> np.ndarray:
        x = np.sum(self.sign * self.products, axis=0)
        if not self.model.signed:
            return x
        half = 0.5 * (self.growth[0] - self.growth[1])
        small = np.abs(half) < 1.0
        middle = np.exp(self.model.log_product + 0.5 * (self.growth[0] + self.growth[1]))
        return np.where(small, 2.0 * middle * np.sinh(np.where(small, half, 0.0)), x)

    def slope(self) -> np.ndarray:
        return np.sum(self.products * self.rates, axis=0)

    def rate(self) -> np.ndarray:
        return np.max(self.rates, axis=0)

    def increment(self, v: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = self.rates / rate
        change = deformed_exponent(self.sign * share * v, self.model.theta)
        dx = np.sum(self.sign * self.products * np.expm1(change), axis=0)
        growth = np.exp((1.0 + self.model.theta) * change)
        return dx, np.sum(self.products * share * growth, axis=0)

    def moved(self, v: np.ndarray, rate: np.ndarray) -> _GrowthChart:
        change = deformed_exponent(self.sign * self.rates / rate * v, self.model.theta)
        return _GrowthChart(self.model, self.growth + change)

    def is_far(self, v: np.ndarray) -> bool:
        return np.max(np.abs(v)) > 0.5

    def rounding(self) -> np.ndarray:
        return np.zeros(self.growth.shape[1])


class _Integrator:
    """Radau steps of nu' = y - A X(A^T nu) for a matrix A of full row rank."""

    def __init__(self, A, y, chart, rtol, max_steps) -> None:
        self.A, self.chart, self.rtol, self.steps_left = A, chart, rtol, max_steps
        self.y = y
        self.residual = y - A @ chart.signal()
        self.size = np.linalg.norm(self.residual)
        self.dual = np.zeros(len(y))
        self.time = 0.0
        self.step_size: float | None = None
        self.rate: np.ndarray | None = None

    def advance(self, end: float) -> str:
        """Move to the time ``end``; return the reason if that fails, else an empty string."""
        if len(self.dual) == 0:  # A = 0: nothing moves
            self.time = end
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)
            while self.time < end:
                self._choose_coordinates()
                if self._is_rounding():
                    self.time = end
                    break
                message = self._segment(end)
                if message:
                    return f"stopped at t = {self.time:.6g}: {message}"
        return ""

    def relative_error(self) -> float:
        """Estimate the relative error of x from those of the steps and of the dual variable.

        A relative change e of the dual variable acts like a relative change e of the time, so
        that it moves x by e t x'; less than the rounding of the residual does to t x' is nothing.
        """
        x, slope, eps = self.chart.signal(), self.chart.slope(), np.finfo(float).eps
        moving = self.time * np.linalg.norm(slope * (self.A.T @ self.residual))
        noise = self.time * np.linalg.norm(slope[:, None] * self.A.T) * np.linalg.norm(self.y)
        moving = max(0.0, moving - 16.0 * eps * noise)
        rounding = np.linalg.norm(self.chart.rounding())
        absolute = (DUAL_ERROR * self.rtol + 4.0 * eps) * moving + rounding
        error = self.rtol + (absolute / np.linalg.norm(x) if absolute else 0.0)
        drift = np.linalg.norm(self.residual - (self.y - self.A @ x))
        return float(error + (drift / self.size if drift else 0.0))

    def _is_rounding(self) -> bool:
        """Whether the residual is rounding that would move the dual variable, hence to be ignored.

        Where products off the support are smaller than the spacing of doubles near y, the last
        relaxation of the dual variable is beyond float64. It does not move x.
        """
        eps = np.finfo(float).eps
        if np.linalg.norm(self.residual) > 4.0 * eps * np.linalg.norm(self.y):
            return False
        _, slope = self.chart.increment(np.zeros(len(self.rate)), self.rate)
        pull = self.to_xi @ self.residual
        try:
            rest = np.linalg.solve((self.xi_of_A * slope) @ self.Q, pull)
        except np.linalg.LinAlgError:
            return True
        return not np.linalg.norm(rest) <= 0.1

    def _choose_coordinates(self) -> None:
        """Factorise diag(rate) A^T = Q R anew if the rates have changed by more than 2."""
        rate = self.chart.rate()
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

    def _segment(self, end: float) -> str:
        """Integrate from the present base point until ``end`` or far enough for a new base."""
        Q, rate, chart = self.Q, self.rate, self.chart
        left_domain = False

        def slope(_, xi):
            nonlocal left_domain
            dx, _ = chart.increment(Q @ xi, rate)
            velocity = self.to_xi @ (self.residual - self.A @ dx)
            left_domain |= not np.isfinite(velocity).all()
            return velocity

        def jacobian(_, xi):
            return -(self.xi_of_A * chart.increment(Q @ xi, rate)[1]) @ Q

        span = end - self.time
        first = None if self.step_size is None else min(self.step_size, span)
        xi, passed, message = np.zeros(Q.shape[1]), 0.0, ""
        try:
            solver = Radau(
                slope, 0.0, xi, span, rtol=self.rtol, atol=self.rtol, jac=jacobian, first_step=first
            )
            slow = 0.1 * np.linalg.norm(solver.f)  # then rounding of the base's residual shows
            while solver.status == "running" and not chart.is_far(Q @ xi):
                if self.steps_left == 0:
                    message = "max_steps steps were not enough"
                    break
                self.steps_left -= 1
                wanted = solver.h_abs
                message = solver.step() or ""
                if message:
                    if passed > 0:  # too sharp for the clock of this base point: take a new one
                        self.step_size, message = 10.0 * np.spacing(passed), ""
                    break
                if left_domain:  # discard the step: NaN may have misled the error estimate
                    self.step_size = min(solver.step_size, 0.5 * wanted)
                    break
                xi, passed = solver.y, solver.t
                # A step cut short by the end says nothing against the size wanted.
                cut = solver.status == "finished"
                self.step_size = max(solver.h_abs, wanted) if cut else solver.h_abs
                if np.linalg.norm(solver.f) < slow:
                    break
        except (ValueError, np.linalg.LinAlgError) as reason:  # NaN in a linear system
            message = f"the linear systems of the integrator broke down ({reason})"
        if passed > 0:
            self._move(xi, end if passed == span else self.time + passed)
        return message

    def _move(self, xi: np.ndarray, time: float) -> None:
        v = self.Q @ xi
        self.residual = self.residual - self.A @ self.chart.increment(v, self.rate)[0]
        self.chart = self.chart.moved(v, self.rate)
        self.dual[self.pivots] += solve_triangular(self.R, xi)
        self.time = time


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

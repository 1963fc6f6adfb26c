"""The flow of factors that are not identical: statement S13."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import odeint

from deepfact.arguments import (
    as_count,
    as_flag,
    as_real_array,
    as_times,
    as_tolerance,
    check_problem,
)
from deepfact.deep_factorization import DeepFactorization
from deepfact.problem import Problem


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
    signed = as_flag("signed", signed)
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
    check_problem(problem)
    shape, start = check_factors(factors, signed, problem.N)
    rtol = as_tolerance(rtol)
    if times is not None:
        times = as_times(times)

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


def _one_factor_form(start: np.ndarray) -> tuple[Callable, Callable, np.ndarray, Callable]:
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

"""The l1 gap of a limit without cancellation: measured, or from equations for the small entries."""

from __future__ import annotations

import numpy as np
from scipy.linalg import null_space

from deepfact.deep_factorization import DeepFactorization, deformed_exponent
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.theory import Asymptote


def measured_gap(
    problem: Problem, x: np.ndarray, certificate: np.ndarray, model: DeepFactorization
) -> float:
    """Return the gap of `flow_limit` without the cancellation of ||x_inf||_1 - ||x*||_1.

    Parameters
    ----------
    problem : Problem
        A x = y.
    x : ndarray of shape (N,)
        The minimiser x* of the l1 norm.
    certificate : ndarray of shape (N,)
        rho = A^T nu for some nu, the signs of x* on its support.
    model : DeepFactorization
        Depth, init scale, signed or positive.

    Returns
    -------
    float
        sum abs(x_inf_i) - rho_i x_inf_i off the support: since A x_inf = A x*, this is the gap. NaN
        where the limit was not found.
    """
    limit = flow_limit(problem, model)
    off = limit.x[x == 0]
    return float(np.sum(np.abs(off) - certificate[x == 0] * off)) if limit.success else np.nan


def log_gap_near_minimiser(
    problem: Problem, x: np.ndarray, certificate: np.ndarray, model: DeepFactorization
) -> float:
    """Return the logarithm of the limit's l1 gap where it is too small for `flow_limit`.

    Solves the same equations A x = y, x = X(A^T nu) in variables in which nothing cancels: the
    entries of x off the support of x*, in logarithms, and the differences x - x* on it. With Z a
    basis of the kernel of A_S^T, the entries off the support obey Z^T A_off x_off = 0, which is
    the optimality condition of a smooth convex problem in M - s unknowns.

    Parameters
    ----------
    problem : Problem
        A x = y with y = A x*.
    x : ndarray of shape (N,)
        The unique minimiser x* of the l1 norm, with s < M nonzeros.
    certificate : ndarray of shape (N,)
        rho = A^T nu for some nu, the signs of x* on its support, of size below 1 elsewhere.
    model : DeepFactorization
        Depth >= 2, one init scale for all coordinates, signed or positive.

    Returns
    -------
    float
        NaN where the iteration does not converge: the init scale is not small enough.
    """
    found = _entries_off_support(problem, x, certificate, model)
    if found is None:
        return np.nan
    log_unit, values, _, _ = found
    return log_unit + float(np.log(np.sum(np.abs(values) - certificate[x == 0] * values)))


def log_late_rate_near_minimiser(
    problem: Problem, x: np.ndarray, certificate: np.ndarray, model: DeepFactorization
) -> float:
    """Return the logarithm of the flow's last rate where X' spans too much for eigenvalues.

    The rate is the least eigenvalue of A diag(X') A^T at the limit (S11). On the support X' is
    larger than off it by more than doubles can hold, so it is the least eigenvalue of
    Z^T A_off diag(X'_off) A_off^T Z, Z a basis of the kernel of A_S^T, up to the ratio of the two.

    Parameters
    ----------
    problem : Problem
        A x = y with y = A x*.
    x : ndarray of shape (N,)
        The unique minimiser x* of the l1 norm, with s < M nonzeros.
    certificate : ndarray of shape (N,)
        As for `log_gap_near_minimiser`.
    model : DeepFactorization
        Depth >= 2, one init scale for all coordinates, signed or positive.

    Returns
    -------
    float
        NaN where the iteration does not converge: the init scale is not small enough.
    """
    found = _entries_off_support(problem, x, certificate, model)
    if found is None:
        return np.nan
    log_unit, _, slope, B = found
    # The least singular value of the square root, so that no digit is lost by squaring.
    size = np.linalg.svd(np.sqrt(slope)[:, None] * B, compute_uv=False)[-1]
    return float(model.log_rate) + log_unit + 2 * float(np.log(size))


def neglected_share(
    problem: Problem, asymptote: Asymptote, log_alpha: float, signed: bool
) -> float:
    """Return the share of the gap that the asymptote at depth 2 leaves out, to first order.

    The asymptote counts the entries at which the certificate is largest, and these determine the
    dual variable. Each other entry off the support is then known too, and adds
    abs(x_i) (1 - abs(rho_i)) to the gap; what it changes of the first ones cancels to this order.

    Parameters
    ----------
    problem : Problem
        With its signal ``x_true``, the minimiser.
    asymptote : Asymptote
        From `first_order_correction` at depth 2.
    log_alpha : float
        Natural logarithm of the init scale.
    signed : bool
        Signed or positive model.

    Returns
    -------
    float
        Their sum over the gap of the asymptote. Where it is not small, nothing is neglected
        rightly: the asymptote is not reached.

    Notes
    -----
    Statement S7 of ``docs/statements.md``.
    """
    A, x = problem.dense(), problem.x_true
    counted = (x != 0) | (asymptote.direction != 0)
    log_a = 2 * log_alpha
    # log(|x_i|/a) with the sign of 2 w_i, on the entries that the asymptote counts.
    leading = np.where(x != 0, x, asymptote.direction)[counted]
    sizes = np.where(x != 0, 0.0, asymptote.exponent * log_alpha)[counted]
    signs = np.sign(leading) if signed else 1.0
    twice_w = signs * (np.log(np.abs(leading)) + sizes - log_a)
    nu = np.linalg.lstsq(A[:, counted].T, twice_w, rcond=None)[0]
    # Entries that are zero in every feasible signal have the certificate -inf and no part in gaps.
    left_out = ~counted & np.isfinite(asymptote.certificate)
    others, rho = A[:, left_out].T @ nu, asymptote.certificate[left_out]
    if signed:
        others, rho = np.abs(others), np.abs(rho)
    log_gap = np.log(asymptote.gap_coefficient) + asymptote.exponent * log_alpha
    with np.errstate(under="ignore", over="ignore"):
        return float(np.sum(np.exp(others + log_a - log_gap) * (1 - rho)))


def _entries_off_support(problem, x, certificate, model):
    """Return m, x_off/e^m, X'_off/(k e^m) and A_off^T Z at the limit; None where not found."""
    A, support = problem.dense(), x != 0
    on, off = A[:, support], A[:, ~support]
    lift = np.linalg.pinv(on.T)  # A_S^T lift = identity
    B, C = off.T @ null_space(on.T), off.T @ lift
    rate, theta, signs = float(np.exp(model.log_rate)), model.theta, np.sign(x[support])
    start = np.linalg.lstsq(B, certificate[~support] - C @ signs, rcond=None)[0]

    change = np.zeros(len(signs))
    z = None
    for _ in range(100):
        moved = x[support] + change
        if np.any(moved * signs <= 0):
            return None
        v = rate * model.potential_gradient(moved)
        if z is None:
            z = np.mean(np.abs(v)) * start
        z = _balance(B, C @ v, z, theta, model.signed)
        if z is None:
            return None
        values, slope, log_scale = _products(C @ v + B @ z, theta, model.signed)
        log_unit = float(model.log_product) + log_scale
        with np.errstate(under="ignore"):
            new = -np.exp(log_unit) * (lift.T @ (off @ values))
        settled = np.max(np.abs(new - change) / np.abs(moved)) <= 1e-14
        change = new
        if settled:
            return log_unit, values, slope, B
    return None


def _products(v, theta, signed):
    """Return X/(a e^m) and its derivative for the scaled dual variable v, and m."""
    grow = deformed_exponent(v, theta)
    if not signed:
        m = float(np.max(grow))
        return np.exp(grow - m), np.exp((1 + theta) * grow - m), m
    shrink = deformed_exponent(-v, theta)
    m = float(max(np.max(grow), np.max(shrink)))
    slope = np.exp((1 + theta) * grow - m) + np.exp((1 + theta) * shrink - m)
    return np.exp(grow - m) - np.exp(shrink - m), slope, m


def _balance(B, c, z, theta, signed):
    """Return z with B^T X(c + B z) = 0 by damped Newton steps; None where they fail."""
    last = np.inf
    for _ in range(500):
        v = c + B @ z
        if theta and np.max(theta * (np.abs(v) if signed else v)) >= 1:
            return None
        with np.errstate(under="ignore"):
            values, slope, m = _products(v, theta, signed)
            root = np.sqrt(slope)
        # Divided by the columns' largest weight: entries far below the largest drop out.
        step = np.linalg.lstsq(root[:, None] * B, -values / np.maximum(root, 1e-300), rcond=None)[0]
        decrement = float(np.linalg.norm(root * (B @ step)))
        if decrement <= 1e-7 * np.sqrt(np.sum(np.abs(values))) and decrement >= 0.5 * last:
            return z
        last, size, move = decrement, 1.0, B @ step
        while size > 1e-12:
            moved = v + size * move
            inside = not theta or np.max(theta * (np.abs(moved) if signed else moved)) < 1
            if inside:
                with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                    there, _, m_there = _products(moved, theta, signed)
                    turn = np.exp(min(m_there - m, 600.0)) * float(there @ move)
                if turn <= 0.5 * decrement**2 or decrement <= 1e-6 * np.sqrt(
                    np.sum(np.abs(values))
                ):
                    break
            size /= 2
        z = z + size * step
    return None

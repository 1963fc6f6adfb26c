"""Steps, escapes and plateaus of the flow and of descent: statements S10, S11 and S12."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_depth, as_log_alpha, as_numbers, as_real_array, as_real_number
from deepfact.theory.scales import exponential, log_of, log_product, plain, saturating


def stability_limit(A: np.ndarray, u: np.ndarray, v: np.ndarray | None, depth: float) -> float:
    """Return the largest stable step of gradient descent on all factors near its limit.

    Parameters
    ----------
    A : array_like of shape (M, N)
        The measurement matrix.
    u : array_like of shape (N,)
        The limit of each factor of the positive products.
    v : array_like of shape (N,) or None
        The limit of each factor of the negative products; None in the positive model.
    depth : float
        Number L of factors, any real number >= 2 (integers, for descent on factors).

    Returns
    -------
    float
        2/lambda_max(A diag(L (u^(2L-2) + v^(2L-2))) A^T); infinite if that matrix is 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape, u or v is negative, or depth is infinite.

    Notes
    -----
    Statement S10 of ``docs/statements.md``: below it the linearised iteration contracts, above it
    the limit repels.
    """
    A = as_real_array("A", A, ndim=2)
    depth = as_real_number("depth", as_depth(depth))
    rate = np.zeros(A.shape[1])
    for name, value in (("u", u), ("v", v)):
        if name == "v" and value is None:
            continue
        factor = as_real_array(name, value, ndim=1)
        if len(factor) != A.shape[1]:
            raise ValueError(f"{name} must have length N = {A.shape[1]}, got {len(factor)}")
        if factor.min() < 0:
            raise ValueError(f"{name} must be nonnegative, got {factor.min()}")
        rate += depth * factor ** (2 * depth - 2)
    top = float(np.linalg.norm(A * np.sqrt(rate), 2)) ** 2
    return 2 / top if top > 0 else np.inf


def escape_time(
    X: float | np.ndarray,
    drift: float | np.ndarray,
    depth: float,
    alpha: float | np.ndarray | None = None,
    *,
    log_alpha: float | np.ndarray | None = None,
    log: bool = False,
) -> float | np.ndarray:
    """Return the time a product needs from alpha^L to X under a constant drift.

    Parameters
    ----------
    X : float or array_like
        Size to be reached, at least alpha^L.
    drift : float or array_like
        Constant value of -h_i, positive.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf`` (time in units of 1/L).
    alpha : float or array_like, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    log_alpha : float or array_like, optional
        Natural logarithm of alpha.
    log : bool, optional
        Return the logarithm, for values beyond the range of float64 (default: False).

    Returns
    -------
    float or ndarray
        L = 2: log(X/alpha^2)/(2 drift); L > 2: (alpha^(2-L) - X^(-(L-2)/L))/((L-2) drift);
        infinite depth: (1/mu - 1/X)/drift. Infinite beyond the largest double.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S11 of ``docs/statements.md``.
    """
    log_X = np.log(as_numbers("X", X, above=0.0))
    log_drift = np.log(as_numbers("drift", drift, above=0.0))
    depth = as_depth(depth)
    logs = as_log_alpha(alpha, log_alpha)
    growth = log_X - log_product(depth, logs)
    if np.min(growth) < 0:
        raise ValueError("X must be at least alpha^depth, the value at time 0")
    # k = L alpha^(L-2) converts time at unit drift into the dual variable's own unit.
    log_k = logs if np.isinf(depth) else np.log(depth) + (depth - 2) * logs
    value = log_of(saturating(growth, 1 - 2 / depth)) - log_k - log_drift
    return exponential(value, log)


def plateau_exponents(depth: float, rho: float | None = None) -> tuple[float, float]:
    """Return the exponents of alpha in the rate and in the height of the late plateau.

    Parameters
    ----------
    depth : float
        Number L of factors: any real number >= 2, finite.
    rho : float, optional
        The number rho of `l1_error_exponent`, below 1; needed for depth 2 only.

    Returns
    -------
    rate : float
        The last M - s residual directions decay like exp(-t alpha^rate), up to constants:
        2 (1 - rho) for L = 2, 2L - 2 for L > 2.
    height : float
        The residual from which they do so is of order alpha^height: 2 (1 - rho), or L.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range, or rho is missing at depth 2.

    Notes
    -----
    Statement S11 of ``docs/statements.md``.
    """
    depth = as_real_number("depth", as_depth(depth))
    if depth > 2:
        return 2 * depth - 2, depth
    if rho is None:
        raise ValueError("rho must be given for depth 2")
    rho = as_real_number("rho", rho)
    if rho >= 1:
        raise ValueError(f"rho must be below 1, got {rho}")
    return 2 * (1 - rho), 2 * (1 - rho)


def descent_damping(x: float | np.ndarray) -> float | np.ndarray:
    """Return q(x) = -log abs(1 - x^2), by which descent at depth 2 shrinks the init scale.

    Parameters
    ----------
    x : float or array_like
        Step times gradient coordinate, of either sign.

    Returns
    -------
    float or ndarray
        q >= 0 exactly for abs(x) <= sqrt(2); infinite at abs(x) = 1.

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not real and finite.

    Notes
    -----
    Statement S12 of ``docs/statements.md``: after the steps g_k the product uv of a coordinate is
    alpha^2 exp(-sum_k q(step g_k)). Even, Pesme, Gunasekar and Flammarion, arXiv:2302.08982.
    """
    size = np.abs(as_numbers("x", x))
    with np.errstate(divide="ignore"):  # 1 - x^2 = (1 - x)(1 + x), each factor to rounding
        return plain(-np.log(np.abs(1 - size)) - np.log1p(size))

"""Bounds on the l1 gap of the flow's limit: statements S2, S3 and S4.

Everything is computed in logarithms, so that an init scale far below the smallest double (through
``log_alpha``) or extreme values of Q neither overflow nor are cut off. Arguments that say
'array_like' broadcast against each other.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from deepfact.arguments import (
    as_depth,
    as_log_alpha,
    as_numbers,
    as_real_array,
    as_real_number,
)
from deepfact.problem import Problem
from deepfact.theory.scales import exponential, log_of, log_product, product_count, saturating


def init_scale_bound(
    Q: float | np.ndarray,
    eps: float | np.ndarray,
    N: int,
    depth: float,
    signed: bool = True,
    *,
    log: bool = False,
) -> float | np.ndarray:
    """Return h(Q, eps): from any init scale alpha <= h the flow's limit has an l1 gap <= eps.

    Parameters
    ----------
    Q : float or array_like
        Least l1 norm over the feasible set, at least 0.
    eps : float or array_like
        Wanted gap norm(x_inf, 1) - Q, positive.
    N : int
        Number of unknowns.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    signed : bool, optional
        Signed model, with N' = 2N products (default: True), or positive model, with N' = N.
    log : bool, optional
        Return the logarithm, for values beyond the range of float64 (default: False).

    Returns
    -------
    float or ndarray
        L = 2: exp(-1/2 - (Q^2 + N'/e)/(2 eps)), which soon underflows to 0; L > 2:
        (2 eps/(L (Q + N' + eps)))^(1/(L-2)). For infinite depth, where alpha stands for
        mu = lim alpha^L: the largest mu at which `l1_gap_bound` is at most eps.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S2 of ``docs/statements.md``.
    """
    Q = as_numbers("Q", Q, minimum=0.0)
    eps = as_numbers("eps", eps, above=0.0)
    depth = as_depth(depth)
    products = product_count(N, signed)
    # Divided by their largest, so that no square or sum overflows before its logarithm is taken.
    with np.errstate(over="ignore"):
        if depth == 2:
            value = -0.5 - (Q / eps * Q + products / (np.e * eps)) / 2
        elif np.isinf(depth):
            top = np.log(eps) + np.logaddexp(log_of(Q), np.log(eps))
            value = top - np.logaddexp(
                log_of(products - 1) + log_of(Q), np.log(products) + np.log(eps)
            )
        else:
            # eps/(Q + N' + eps) and 2/L may be near 1: no differences of logarithms.
            rest = np.logaddexp(log_of(Q), np.log(products)) - np.log(eps)
            value = -(np.log1p((depth - 2) / 2) + np.logaddexp(0, rest)) / (depth - 2)
    return exponential(value, log)


def l1_gap_bound(
    Q: float | np.ndarray,
    N: int,
    depth: float,
    alpha: float | np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: float | np.ndarray | None = None,
    log: bool = False,
) -> float | np.ndarray:
    """Bound the l1 gap norm(x_inf, 1) - Q of the flow's limit from init scale alpha.

    Parameters
    ----------
    Q : float or array_like
        Least l1 norm over the feasible set, at least 0.
    N : int
        Number of unknowns.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float or array_like, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    signed : bool, optional
        Signed model, with N' = 2N products (default: True), or positive model, with N' = N.
    log_alpha : float or array_like, optional
        Natural logarithm of alpha.
    log : bool, optional
        Return the logarithm, for values beyond the range of float64 (default: False).

    Returns
    -------
    float or ndarray
        With a = alpha^L, theta = 1 - 2/L and where Q > N' a (elsewhere infinite): L = 2:
        Q log(N')/log(Q/(N' a)); L > 2: Q (L/2)(N'^theta - 1)/((Q/a)^theta - N'^theta). For
        infinite depth that form has no limit, and `l1_gap_bound_sharp` is returned, which is at
        most N' mu.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S3 of ``docs/statements.md``.
    """
    depth = as_depth(depth)
    if np.isinf(depth):
        return l1_gap_bound_sharp(Q, N, depth, alpha, signed, log_alpha=log_alpha, log=log)
    log_Q = log_of(as_numbers("Q", Q, minimum=0.0))
    log_a = depth * as_log_alpha(alpha, log_alpha)
    n = np.log(product_count(N, signed))
    theta = 1 - 2 / depth
    margin = log_Q - log_a - n  # Q > N' a
    holds = margin > 0
    safe = np.where(holds, margin, 1.0)
    ratio = log_of(saturating(n, theta) / saturating(safe, theta))
    value = log_Q + np.log(depth / 2) - theta * safe + ratio
    return exponential(np.where(holds, value, np.inf), log)


def l1_gap_bound_sharp(
    Q: float | np.ndarray,
    N: int,
    depth: float,
    alpha: float | np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: float | np.ndarray | None = None,
    log: bool = False,
) -> float | np.ndarray:
    """Bound the l1 gap for every init scale, without the factor L/2 and without an assumption.

    Parameters
    ----------
    Q : float or array_like
        Least l1 norm over the feasible set, at least 0.
    N : int
        Number of unknowns.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float or array_like, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    signed : bool, optional
        Signed model, with N' = 2N products (default: True), or positive model, with N' = N.
    log_alpha : float or array_like, optional
        Natural logarithm of alpha.
    log : bool, optional
        Return the logarithm, for values beyond the range of float64 (default: False).

    Returns
    -------
    float or ndarray
        X - Q for the largest root X of X((X/a)^theta - N'^theta) = Q((X/a)^theta - 1) with
        theta = 1 - 2/L, a = alpha^L (L = 2: X log(X/(N' a)) = Q log(X/a)). Never above
        `l1_gap_bound`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S3 of ``docs/statements.md``, where it is proved. At infinite depth the equation is a
    quadratic one, with root at most Q + N' mu: the duality gap of the log-barrier path.
    """
    log_Q = log_of(as_numbers("Q", Q, minimum=0.0))
    depth = as_depth(depth)
    log_a = log_product(depth, as_log_alpha(alpha, log_alpha))
    n = np.log(product_count(N, signed))
    return exponential(_log_gap(log_Q, log_a, n, 1 - 2 / depth), log)


def weighted_l1_gap_bound(
    W: float,
    depth: float,
    alpha: np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: np.ndarray | None = None,
) -> float:
    """Bound the weighted l1 gap of the flow's limit from an init scale for each coordinate.

    Parameters
    ----------
    W : float
        Least weighted norm sum w_i abs(z_i) over the feasible set with w_i = alpha_i^(2 - L)
        (infinite depth: 1/mu_i), at least 0.
    depth : float
        Number L of factors: any real number > 2, or ``numpy.inf``.
    alpha : array_like of shape (N,), optional
        Init scales, positive (infinite depth: mu_i); either this or ``log_alpha``.
    signed : bool, optional
        Signed model (default: True) or positive model.
    log_alpha : array_like of shape (N,), optional
        Natural logarithms of the init scales.

    Returns
    -------
    float
        Bound on sum w_i abs(x_inf_i) - W.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S4 of ``docs/statements.md``. It is the bound `l1_gap_bound_sharp` for the weighted
    signal w x, with init scale a = min alpha_i^2 and N' = sum (alpha_i^2)/a products (twice that
    many in the signed model; infinite depth: a = 1, N' = N or 2N).
    """
    log_W = log_of(as_real_number("W", W, minimum=0.0))
    depth = as_depth(depth, above=2.0)
    if (alpha is None) == (log_alpha is None):
        raise ValueError("exactly one of alpha and log_alpha must be given")
    if log_alpha is not None:
        logs = as_real_array("log_alpha", log_alpha, ndim=1)
    else:
        alpha = as_real_array("alpha", alpha, ndim=1)
        if alpha.min() <= 0:
            raise ValueError(f"alpha must be greater than 0, got {alpha.min()}")
        logs = np.log(alpha)
    sign_copies = product_count(1, signed)
    scaled = np.zeros_like(logs) if np.isinf(depth) else 2 * logs
    log_a = float(scaled.min())
    n = float(np.log(sign_copies) + np.logaddexp.reduce(scaled - log_a))
    with np.errstate(under="ignore", over="ignore"):
        return float(np.exp(_log_gap(log_W, log_a, n, 1 - 2 / depth)))


def guaranteed_gap(Q: float, N: int, depth: float, log_alpha: float, signed: bool = True) -> float:
    """Return the eps with h(Q, eps) = alpha: the gap that S2 guarantees from init scale alpha.

    Parameters
    ----------
    Q : float
        Least l1 norm over the feasible set, at least 0.
    N : int
        Number of unknowns.
    depth : float
        Number L of factors, a finite real number >= 2.
    log_alpha : float
        Natural logarithm of the init scale.
    signed : bool, optional
        Signed model, with N' = 2N products (default: True), or positive model, with N' = N.

    Returns
    -------
    float
        L = 2: (Q^2 + N'/e)/(2 log(1/alpha) - 1); L > 2: (Q + N') c/(1 - c), c = (L/2) alpha^(L-2).
        Infinite where that is not positive: no eps is guaranteed.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S2 of ``docs/statements.md``; the inverse of `init_scale_bound` in eps.
    """
    Q = as_real_number("Q", Q, minimum=0.0)
    depth = as_real_number("depth", as_depth(depth))
    log_alpha = as_real_number("log_alpha", log_alpha)
    products = product_count(N, signed)
    if depth == 2:
        slack = -2 * log_alpha - 1
        return (Q**2 + products / np.e) / slack if slack > 0 else np.inf
    with np.errstate(under="ignore", over="ignore"):
        c = float(depth / 2 * np.exp((depth - 2) * log_alpha))
    return (Q + products) * c / (1 - c) if c < 1 else np.inf


def sign_counterexample() -> tuple[Problem, float, float]:
    """Return an instance on which the guarantee fails once its -1/2 is replaced by +1/2.

    Returns
    -------
    problem : Problem
        A = (1, -1), y = 1/10: nonnegative signals have Q = 1/10, N = 2.
    eps : float
        4/10.
    alpha : float
        exp(+1/2 - (Q^2 + N/e)/(2 eps)), the init scale that the wrong sign would allow at
        L = 2; about 0.65.

    Notes
    -----
    Statement S2 of ``docs/statements.md``. In the positive model of depth 2 the flow's limit is
    the hyperbola point x_1 x_2 = alpha^4, x_1 - x_2 = y, whose gap sqrt(y^2 + 4 alpha^4) - y is
    about 0.75 > eps. From exp(-1/2 - ...) it is about 0.05.
    """
    y, eps = 0.1, 0.4
    problem = Problem(np.array([[1.0, -1.0]]), np.array([y]))
    return problem, eps, float(np.exp(0.5 - (y**2 + 2 / np.e) / (2 * eps)))


def _log_gap(log_Q, log_a, n, theta):
    """Return log(X - Q) for the largest root X of the equation of `l1_gap_bound_sharp`, N' = e^n.

    With X = e^(n+l) a and S(t) = (1 - e^(-theta t))/theta the equation is
    l + log S(l) - log S(l + n) = log(Q/a) - n, whose left side increases, and
    X - Q = X e^(-theta l) S(n)/S(l + n).
    """
    log_Q, log_a, n = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (log_Q, log_a, n)))
    out = np.empty(log_Q.shape)
    for i in np.ndindex(log_Q.shape):
        out[i] = _log_gap_scalar(float(log_Q[i]), float(log_a[i]), float(n[i]), theta)
    return out


def _log_gap_scalar(log_Q, log_a, n, theta):
    c = log_Q - log_a - n
    if c == -np.inf:  # Q = 0
        return log_a + n
    if n == 0:  # one product: X = max(Q, a)
        return float(log_a + log_of(-np.expm1(c))) if c < 0 else -np.inf
    low = min(float(log_of(saturating(n, theta))) + c - 1, 0.0)
    high = float(np.log(max(c, 0.0) + n + 1))

    def excess(s):
        ell = np.exp(s)
        return ell + _log_saturating(s, theta) - np.log(saturating(ell + n, theta)) - c

    with np.errstate(under="ignore"):
        s = brentq(excess, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps)
        ell = np.exp(s)
    return (
        log_a
        + n
        + (1 - theta) * ell
        + float(log_of(saturating(n, theta) / saturating(ell + n, theta)))
    )


def _log_saturating(s, theta):
    """Return the logarithm of `saturating` at t = e^s, also where e^s underflows."""
    return s if s < -40 else float(np.log(saturating(np.exp(s), theta)))

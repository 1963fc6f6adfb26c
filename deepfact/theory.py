"""Bounds and thresholds as plain functions of numbers: statements S2, S3, S4 and S14.

Everything is computed in logarithms, so that an init scale far below the smallest double (through
``log_alpha``) or extreme values of Q neither overflow nor are cut off. Arguments that say
"array_like" broadcast against each other. Rates and asymptotic constants: `deepfact.rates`.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

from deepfact.arguments import as_count, as_real_array, as_real_number
from deepfact.problem import Problem


def log_init_scale_bound(
    Q: float | np.ndarray, eps: float | np.ndarray, N: int, depth: float, signed: bool = True
) -> float | np.ndarray:
    """Return log h(Q, eps), the logarithm of the init scale that guarantees an l1 gap of eps.

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

    Returns
    -------
    float or ndarray
        L = 2: -1/2 - (Q^2 + N'/e)/(2 eps); L > 2: log(2 eps/(L (Q + N' + eps)))/(L - 2). For
        infinite depth, where alpha stands for mu = lim alpha^L: the largest log mu at which
        `l1_gap_bound` is at most eps.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S2 of ``docs/statements.md``.
    """
    Q = _numbers("Q", Q, minimum=0.0)
    eps = _numbers("eps", eps, above=0.0)
    depth = _depth(depth)
    products = _products(N, signed)
    # Divided by their largest, so that no square or sum overflows before its logarithm is taken.
    with np.errstate(over="ignore"):
        if depth == 2:
            value = -0.5 - (Q / eps * Q + products / (np.e * eps)) / 2
        elif np.isinf(depth):
            top = np.log(eps) + np.logaddexp(_log(Q), np.log(eps))
            value = top - np.logaddexp(_log(products - 1) + _log(Q), np.log(products) + np.log(eps))
        else:
            # eps/(Q + N' + eps) and 2/L may be near 1: no differences of logarithms.
            rest = np.logaddexp(_log(Q), np.log(products)) - np.log(eps)
            value = -(np.log1p((depth - 2) / 2) + np.logaddexp(0, rest)) / (depth - 2)
    return _plain(value)


def init_scale_bound(
    Q: float | np.ndarray, eps: float | np.ndarray, N: int, depth: float, signed: bool = True
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
        Signed model (default: True) or positive model.

    Returns
    -------
    float or ndarray
        The exponential of `log_init_scale_bound`; for L = 2 it soon underflows to 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S2 of ``docs/statements.md``.
    """
    with np.errstate(under="ignore"):
        return _plain(np.exp(log_init_scale_bound(Q, eps, N, depth, signed)))


def log_l1_gap_bound(
    Q: float | np.ndarray,
    N: int,
    depth: float,
    alpha: float | np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: float | np.ndarray | None = None,
) -> float | np.ndarray:
    """Return the logarithm of `l1_gap_bound`, for gaps below the smallest double.

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
        Signed model (default: True) or positive model.
    log_alpha : float or array_like, optional
        Natural logarithm of alpha.

    Returns
    -------
    float or ndarray
        As `l1_gap_bound`; infinite where that makes no claim, -inf for a gap of 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S3 of ``docs/statements.md``.
    """
    depth = _depth(depth)
    if np.isinf(depth):
        return log_l1_gap_bound_sharp(Q, N, depth, alpha, signed, log_alpha=log_alpha)
    log_Q = _log(_numbers("Q", Q, minimum=0.0))
    log_a = depth * _log_alpha(alpha, log_alpha)
    n = np.log(_products(N, signed))
    p = 1 - 2 / depth
    margin = log_Q - log_a - n  # Q > N' a
    holds = margin > 0
    safe = np.where(holds, margin, 1.0)
    value = log_Q + np.log(depth / 2) - p * safe + _log(_saturating(n, p) / _saturating(safe, p))
    return _plain(np.where(holds, value, np.inf))


def l1_gap_bound(
    Q: float | np.ndarray,
    N: int,
    depth: float,
    alpha: float | np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: float | np.ndarray | None = None,
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

    Returns
    -------
    float or ndarray
        With a = alpha^L, p = 1 - 2/L and where Q > N' a (elsewhere infinite): L = 2:
        Q log(N')/log(Q/(N' a)); L > 2: Q (L/2)(N'^p - 1)/((Q/a)^p - N'^p). For infinite depth
        that form has no limit, and `l1_gap_bound_sharp` is returned, which is at most N' mu.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S3 of ``docs/statements.md``.
    """
    with np.errstate(under="ignore", over="ignore"):
        value = log_l1_gap_bound(Q, N, depth, alpha, signed, log_alpha=log_alpha)
        return _plain(np.exp(value))


def log_l1_gap_bound_sharp(
    Q: float | np.ndarray,
    N: int,
    depth: float,
    alpha: float | np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: float | np.ndarray | None = None,
) -> float | np.ndarray:
    """Return the logarithm of `l1_gap_bound_sharp`.

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
        Signed model (default: True) or positive model.
    log_alpha : float or array_like, optional
        Natural logarithm of alpha.

    Returns
    -------
    float or ndarray
        As `l1_gap_bound_sharp`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S3 of ``docs/statements.md``.
    """
    log_Q = _log(_numbers("Q", Q, minimum=0.0))
    depth = _depth(depth)
    log_a = _log_product(depth, _log_alpha(alpha, log_alpha))
    n = np.log(_products(N, signed))
    return _plain(_log_gap(log_Q, log_a, n, 1 - 2 / depth))


def l1_gap_bound_sharp(
    Q: float | np.ndarray,
    N: int,
    depth: float,
    alpha: float | np.ndarray | None = None,
    signed: bool = True,
    *,
    log_alpha: float | np.ndarray | None = None,
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

    Returns
    -------
    float or ndarray
        X - Q for the largest root X of X((X/a)^p - N'^p) = Q((X/a)^p - 1), p = 1 - 2/L, a = alpha^L
        (L = 2: X log(X/(N' a)) = Q log(X/a)). Never above `l1_gap_bound`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S3 of ``docs/statements.md``, where it is proved. At infinite depth the equation is a
    quadratic one, with root at most Q + N' mu: the duality gap of the log-barrier path.
    """
    with np.errstate(under="ignore", over="ignore"):
        value = log_l1_gap_bound_sharp(Q, N, depth, alpha, signed, log_alpha=log_alpha)
        return _plain(np.exp(value))


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
    log_W = _log(as_real_number("W", W, minimum=0.0))
    depth = _depth(depth, above=2.0)
    if (alpha is None) == (log_alpha is None):
        raise ValueError("exactly one of alpha and log_alpha must be given")
    if log_alpha is not None:
        logs = as_real_array("log_alpha", log_alpha, ndim=1)
    else:
        alpha = as_real_array("alpha", alpha, ndim=1)
        if alpha.min() <= 0:
            raise ValueError(f"alpha must be greater than 0, got {alpha.min()}")
        logs = np.log(alpha)
    sign_copies = _products(1, signed)
    scaled = np.zeros_like(logs) if np.isinf(depth) else 2 * logs
    log_a = float(scaled.min())
    n = float(np.log(sign_copies) + np.logaddexp.reduce(scaled - log_a))
    with np.errstate(under="ignore", over="ignore"):
        return float(np.exp(_log_gap(log_W, log_a, n, 1 - 2 / depth)))


def recovery_threshold(
    s: float | np.ndarray, N: int, nonnegative: bool = False
) -> float | np.ndarray:
    """Return N delta(s/N), the number of Gaussian measurements at which l1 recovery sets in.

    Parameters
    ----------
    s : float or array_like
        Number of nonzeros, 0 <= s <= N.
    N : int
        Number of unknowns.
    nonnegative : bool, optional
        The signal is known to be nonnegative (default: False).

    Returns
    -------
    float or ndarray
        The statistical dimension of the descent cone of the l1 norm, up to a bounded error. With
        r = s/N, k = 2 (nonnegative: 1) and tau the root of
        r tau = (1 - r) k (phi(tau) - tau Phi(-tau)) it is N (r + (1 - r) k Phi(-tau)).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S14 of ``docs/statements.md``. The form given there as a minimum over tau takes this
    value at its stationary point.
    """
    r, copies, N = _sparsity(s, N, nonnegative)
    tau = _stationary_threshold(r, copies)
    return _plain(N * (r + (1 - r) * copies * ndtr(-tau)))


def recovery_window(s: float | np.ndarray, N: int, nonnegative: bool = False) -> float | np.ndarray:
    """Return the predicted width sigma of the transition: P(recovery) = Phi((M - N delta)/sigma).

    Parameters
    ----------
    s : float or array_like
        Number of nonzeros, 0 <= s <= N.
    N : int
        Number of unknowns.
    nonnegative : bool, optional
        The signal is known to be nonnegative (default: False).

    Returns
    -------
    float or ndarray
        Standard deviation, in measurements, of the conic intrinsic volumes of the descent cone,
        to leading order in N: with tau as in `recovery_threshold` its square is
        s (2 + 4 tau^2) + (N - s) var((g - tau)_+^2) - 2 N delta, g standard normal (abs(g) for
        signed signals).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    r, copies, N = _sparsity(s, N, nonnegative)
    tau = _stationary_threshold(r, copies)
    tail = ndtr(-tau)
    density = np.exp(-(tau**2) / 2) / np.sqrt(2 * np.pi)
    second = tail - tau * density * _mills_defect(tau)
    fourth = (tau**4 + 6 * tau**2 + 3) * tail - (tau**3 + 5 * tau) * density
    spread = (1 - r) * (copies * fourth - (copies * second) ** 2)
    variance = r * (2 + 4 * tau**2) + spread - 2 * (r + (1 - r) * copies * tail)
    return _plain(np.sqrt(N * np.maximum(variance, 0.0)))


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


def _log_gap(log_Q, log_a, n, p):
    """Return log(X - Q) for the largest root X of X((X/a)^p - e^(pn)) = Q((X/a)^p - 1).

    With X = e^(n+l) a and S(t) = (1 - e^(-pt))/p the equation is
    l + log S(l) - log S(l + n) = log(Q/a) - n, whose left side increases, and
    X - Q = X e^(-pl) S(n)/S(l + n).
    """
    log_Q, log_a, n = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (log_Q, log_a, n)))
    out = np.empty(log_Q.shape)
    for i in np.ndindex(log_Q.shape):
        out[i] = _log_gap_scalar(float(log_Q[i]), float(log_a[i]), float(n[i]), p)
    return out


def _log_gap_scalar(log_Q, log_a, n, p):
    c = log_Q - log_a - n
    if c == -np.inf:  # Q = 0
        return log_a + n
    if n == 0:  # one product: X = max(Q, a)
        return float(log_a + _log(-np.expm1(c))) if c < 0 else -np.inf
    low = min(float(_log(_saturating(n, p))) + c - 1, 0.0)
    high = float(np.log(max(c, 0.0) + n + 1))

    def excess(s):
        ell = np.exp(s)
        return ell + _log_saturating(s, p) - np.log(_saturating(ell + n, p)) - c

    with np.errstate(under="ignore"):
        s = brentq(excess, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps)
        ell = np.exp(s)
    return log_a + n + (1 - p) * ell + float(_log(_saturating(n, p) / _saturating(ell + n, p)))


def _saturating(t, p):
    """Return (1 - e^(-pt))/p for t >= 0, which is t for p = 0."""
    t = np.asarray(t, dtype=np.float64)
    with np.errstate(under="ignore"):
        return t if p == 0 else -np.expm1(-p * t) / p


def _log_saturating(s, p):
    """Return the logarithm of `_saturating` at t = e^s, also where e^s underflows."""
    return s if s < -40 else float(np.log(_saturating(np.exp(s), p)))


def _sparsity(s, N, nonnegative):
    s = _numbers("s", s, minimum=0.0)
    N = as_count("N", N, minimum=1)
    if np.max(s) > N:
        raise ValueError(f"s must be at most N = {N}, got {np.max(s)}")
    if not isinstance(nonnegative, (bool, np.bool_)):
        raise TypeError(f"nonnegative must be True or False, got {nonnegative!r}")
    return s / N, 1.0 if nonnegative else 2.0, N


def _stationary_threshold(r, copies):
    """Solve r tau = (1 - r) copies (phi(tau) - tau Phi(-tau)), in logarithms."""
    r = np.asarray(r, dtype=np.float64)
    tau = np.empty(r.shape)
    for i in np.ndindex(r.shape):
        if r[i] == 0 or r[i] == 1:
            tau[i] = np.inf if r[i] == 0 else 0.0
            continue
        offset = np.log(r[i]) - np.log1p(-r[i]) - np.log(copies) + 0.5 * np.log(2 * np.pi)

        def excess(log_tau, offset=offset):
            t = np.exp(log_tau)
            return offset + log_tau + t * t / 2 - float(np.log(_mills_defect(t)))

        tau[i] = np.exp(brentq(excess, -750.0, 4.0, xtol=1e-15, rtol=4 * np.finfo(float).eps))
    # Beyond 40 all tails are 0 in double precision: the threshold at r = 0 is 0.
    return np.minimum(tau, 40.0)


def _mills_defect(t):
    """Return 1 - t Phi(-t)/phi(t), about 1/t^2 for large t, where the difference cancels."""
    t = np.asarray(t, dtype=np.float64)
    u = 1 / np.maximum(t, 30.0) ** 2
    far = u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u))))
    return np.where(t > 30, far, 1 - t * np.sqrt(np.pi / 2) * erfcx(t / np.sqrt(2)))


def _log(x):
    with np.errstate(divide="ignore"):
        return np.log(x)


def _plain(value):
    """Return a float for a 0-d array."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


def _numbers(name, value, minimum=-np.inf, above=-np.inf):
    """Check a number or an array of numbers of any shape."""
    if np.ndim(value) == 0:
        return as_real_number(name, value, minimum=minimum, above=above)
    array = as_real_array(name, value, ndim=np.ndim(value))
    as_real_number(name, array.min(), minimum=minimum, above=above)
    return array


def _log_alpha(alpha, log_alpha):
    if (alpha is None) == (log_alpha is None):
        raise ValueError("exactly one of alpha and log_alpha must be given")
    if log_alpha is not None:
        return _numbers("log_alpha", log_alpha)
    return np.log(_numbers("alpha", alpha, above=0.0))


def _log_product(depth, log_alpha):
    """Return log a = L log alpha, or log mu at infinite depth."""
    return log_alpha if np.isinf(depth) else depth * log_alpha


def _depth(depth, above=None):
    depth = as_real_number("depth", depth, finite=False)
    if above is not None and not depth > above:
        raise ValueError(f"depth must be a real number > {above:g} or numpy.inf, got {depth}")
    if not depth >= 2:
        raise ValueError(f"depth must be a real number >= 2 or numpy.inf, got {depth}")
    return depth


def _products(N, signed):
    """Return N', the number of products that start at a > 0."""
    if not isinstance(signed, (bool, np.bool_)):
        raise TypeError(f"signed must be True or False, got {signed!r}")
    return as_count("N", N, minimum=1) * (2 if signed else 1)

"""Asymptotics and time scales as plain functions: statements S7, S8 and S10 to S13.

Nothing here knows the dynamics: the inputs are the data, a minimiser, or numbers. Bounds that hold
for every init scale are in `deepfact.theory`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.linalg import null_space
from scipy.optimize import brentq, linprog, minimize_scalar
from scipy.special import elliprf, lambertw

from deepfact.arguments import as_real_array, as_real_number
from deepfact.problem import Problem
from deepfact.theory import _depth, _log, _log_alpha, _log_product, _numbers, _plain, _saturating

_ACTIVE = 1e-7  # how near to its bound an entry of the certificate counts as being at it


@dataclass(frozen=True, eq=False)
class Asymptote:
    """Leading order of the flow's limit for small init scales on a fixed problem.

    As alpha -> 0, x_inf = x* + alpha^exponent direction + ..., and the l1 gap is
    gap_coefficient alpha^exponent + ... (infinite depth: powers of mu = lim alpha^L).

    Parameters
    ----------
    exponent : float
        2 (1 - rho) for depth 2, L for a finite depth L > 2, 1 for infinite depth.
    direction : ndarray of shape (N,)
        A vector of the kernel of A; it fixes both the error and where it sits.
    gap_coefficient : float
        sum abs(d_i) (1 - abs(rho_i)) off the support (positive model: sum d_i (1 - rho_i)).
    certificate : ndarray of shape (N,)
        rho = A^T nu: the signs of x* on the support, inside (-1, 1) elsewhere (positive model:
        below 1, and -inf where every feasible signal is zero).
    rho : float
        Largest abs(rho_i) (positive model: rho_i) off the support.

    Notes
    -----
    Where x* is the only feasible signal the flow finds it exactly: then the exponent is infinite
    and the direction 0. Statements S6 and S7 of ``docs/statements.md``.
    """

    exponent: float
    direction: np.ndarray
    gap_coefficient: float
    certificate: np.ndarray
    rho: float

    def gap(
        self,
        alpha: float | np.ndarray | None = None,
        *,
        log_alpha: float | np.ndarray | None = None,
    ) -> float | np.ndarray:
        """Return the leading term of the l1 gap.

        Parameters
        ----------
        alpha : float or array_like, optional
            Init scale, positive; either this or ``log_alpha``.
        log_alpha : float or array_like, optional
            Natural logarithm of alpha.

        Returns
        -------
        float or ndarray
            gap_coefficient alpha^exponent.
        """
        logs = np.asarray(_log_alpha(alpha, log_alpha))
        if self.gap_coefficient == 0:
            return _plain(np.zeros_like(logs))
        with np.errstate(under="ignore", over="ignore"):
            return _plain(self.gap_coefficient * np.exp(self.exponent * logs))


def l1_error_exponent(problem: Problem, x: np.ndarray, nonnegative: bool = False) -> float:
    """Return 2 (1 - rho), the exponent of alpha in the depth-2 flow's error on a fixed problem.

    Parameters
    ----------
    problem : Problem
        The data.
    x : array_like of shape (N,)
        The unique minimiser of basis pursuit, nonzero, with exact zeros off its support.
    nonnegative : bool, optional
        Positive model (default: False, signed model).

    Returns
    -------
    float
        With rho the least possible max abs((A^T nu)_i) off the support over all nu with
        (A^T nu)_i = sign(x_i) on it (positive model: max (A^T nu)_i). Infinite for a singleton
        {x} of feasible nonnegative signals.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape, or ``x`` is not the unique nondegenerate
        minimiser (rho >= 1, or dependent columns on the support).

    Notes
    -----
    Statement S7 of ``docs/statements.md``; the exponent is due to Matt and Stoeger,
    arXiv:2506.01143.
    """
    A, x, support = _minimiser(problem, x, nonnegative)
    return 2 * (1 - _least_certificate(A, x, support, nonnegative)[1])


def first_order_correction(
    problem: Problem, x: np.ndarray, depth: float, nonnegative: bool = False
) -> Asymptote:
    """Return the exact leading order of x_inf - x* and of the l1 gap as alpha -> 0.

    Parameters
    ----------
    problem : Problem
        The data.
    x : array_like of shape (N,)
        The unique minimiser of basis pursuit, nonzero, with exact zeros off its support.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    nonnegative : bool, optional
        Positive model (default: False, signed model).

    Returns
    -------
    Asymptote
        Exponent, direction and gap coefficient, with the certificate behind them.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape; ``x`` is not the unique nondegenerate
        minimiser; or, at depth 2, the least certificate is attained at fewer or more entries than
        the M - s + 1 of the generic case.
    ArithmeticError
        If the depth is so near 2 that (1 - rho)^(-L/(L-2)) leaves the range of float64.

    Notes
    -----
    Statement S7 of ``docs/statements.md``. For L > 2 the certificate is the one that minimises
    sum (1 - rho_i)^(-2/(L-2)) + (1 + rho_i)^(-2/(L-2)) off the support (infinite depth:
    -log(1 - rho_i^2); positive model: without the second term), found by Newton's method, and
    d_i = (1 - rho_i)^(-L/(L-2)) - (1 + rho_i)^(-L/(L-2)). For L = 2 it is the one with the least
    maximum, and the direction spans the kernel of A on the support and the maximal entries.
    """
    depth = _depth(depth)
    A, x, support = _minimiser(problem, x, nonnegative)
    nu, rho = _least_certificate(A, x, support, nonnegative)
    free = support | ~_always_zero(A, support) if nonnegative else np.ones(len(x), dtype=bool)
    if np.array_equal(free, support):
        # Nothing else can be reached (or, in the signed model, nothing else exists).
        certificate = np.where(support, np.sign(x), -np.inf)
        return Asymptote(np.inf, np.zeros_like(x), 0.0, certificate, rho)
    if depth == 2:
        part = _two_layer_correction(
            A[:, free], x[free], support[free], A[:, free].T @ nu, rho, nonnegative
        )
    else:
        part = _deep_correction(A[:, free], x[free], support[free], nu, depth, nonnegative)
    direction, certificate = np.zeros_like(x), np.full_like(x, -np.inf)
    direction[free], certificate[free] = part.direction, part.certificate
    return Asymptote(part.exponent, direction, part.gap_coefficient, certificate, part.rho)


def worst_case_problem(delta: float, Q: float = 1.0) -> Problem:
    """Return A = (1, 1 + delta) and y = (1 + delta) Q: the guarantee is sharp on this family.

    Parameters
    ----------
    delta : float
        Distance of the two columns, positive.
    Q : float, optional
        Least l1 norm of a solution, positive (default: 1).

    Returns
    -------
    Problem
        With minimiser (0, Q), known as ``x_true``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or not positive.

    Notes
    -----
    Statement S7 of ``docs/statements.md``.
    """
    delta = as_real_number("delta", delta, above=0.0)
    Q = as_real_number("Q", Q, above=0.0)
    A = np.array([[1.0, 1.0 + delta]])
    return Problem(A, A @ np.array([0.0, Q]), np.array([0.0, Q]))


def worst_case_gap(
    delta: float,
    Q: float,
    depth: float,
    alpha: float | None = None,
    signed: bool = True,
    *,
    log_alpha: float | None = None,
) -> float:
    """Return the l1 gap of the flow's limit on `worst_case_problem`, to rounding.

    Parameters
    ----------
    delta : float
        Distance of the two columns, positive.
    Q : float
        Least l1 norm of a solution, positive.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    signed : bool, optional
        Signed model (default: True) or positive model.
    log_alpha : float, optional
        Natural logarithm of alpha.

    Returns
    -------
    float
        The gap x_1 delta/(1 + delta), from one scalar equation.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S7 of ``docs/statements.md``.
    """
    delta = as_real_number("delta", delta, above=0.0)
    log_Q, t, p = _worst_case_scales(Q, depth, alpha, signed, log_alpha)
    gap = _log_relative_gap(float(np.log(delta)), t, p, signed)
    with np.errstate(under="ignore"):
        return float(np.exp(log_Q + gap))


def worst_case_supremum(
    Q: float,
    depth: float,
    alpha: float | None = None,
    signed: bool = True,
    *,
    log_alpha: float | None = None,
) -> tuple[float, float]:
    """Maximise `worst_case_gap` over delta.

    Parameters
    ----------
    Q : float
        Least l1 norm of a solution, positive.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    signed : bool, optional
        Signed model (default: True) or positive model.
    log_alpha : float, optional
        Natural logarithm of alpha.

    Returns
    -------
    gap : float
        The largest gap; as alpha -> 0 it is ~ C Q/log(Q/a) for L = 2 and ~ C Q (a/Q)^p for L > 2
        with the constant C of `worst_case_constant`.
    delta : float
        Where it is attained.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S7 of ``docs/statements.md``: the exponents of the guarantee S2 cannot be improved.
    """
    log_Q, t, p = _worst_case_scales(Q, depth, alpha, signed, log_alpha)
    # The columns compete where delta is of the order of 1/S(t) e^(-pt), the scale of the gap.
    centre = -p * t - float(np.log(_saturating(t, p))) if t > 1 else 0.0
    grid = centre + np.linspace(-40.0, 40.0, 161)
    values = [_log_relative_gap(u, t, p, signed) for u in grid]
    best = int(np.argmax(values))
    found = minimize_scalar(
        lambda u: values[best] - _log_relative_gap(u, t, p, signed),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": 1e-9},
    )
    with np.errstate(under="ignore"):
        gap = float(np.exp(log_Q + values[best] + max(-float(found.fun), 0.0)))
        return gap, float(np.exp(found.x))


def worst_case_constant(depth: float) -> float:
    """Return the constant C of the asymptotic worst case of `worst_case_supremum`.

    Parameters
    ----------
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.

    Returns
    -------
    float
        max over theta in (0, 1) of theta (theta^(-p) - (1 - theta)^(-p)), p = 1 - 2/L; for L = 2
        of theta log((1 - theta)/theta), which is W(1/e) = 0.278... (Lambert's function).

    Raises
    ------
    TypeError, ValueError
        If ``depth`` is of the wrong kind or out of its range.

    Notes
    -----
    Statement S7 of ``docs/statements.md``. For infinite depth it is 1, the constant of the bound
    `deepfact.theory.l1_gap_bound_sharp` for N' = 2, which is therefore sharp there.
    """
    depth = _depth(depth)
    if depth == 2:
        return float(lambertw(np.exp(-1.0)).real)
    if np.isinf(depth):
        return 1.0
    p = 1 - 2 / depth

    def negative(log_theta):
        theta = np.exp(log_theta)
        return theta * np.exp(-p * np.log1p(-theta)) - np.exp((1 - p) * log_theta)

    found = minimize_scalar(
        negative, bounds=(-3 - 3 * depth, np.log(0.5)), method="bounded", options={"xatol": 1e-9}
    )
    return -float(found.fun)


def selection_criterion(x: np.ndarray, depth: float) -> float:
    """Return what the flow's limit maximises among l1-minimisers as the init scale vanishes.

    Parameters
    ----------
    x : array_like of shape (N,)
        An l1-minimiser.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.

    Returns
    -------
    float
        L = 2: the entropy -sum abs(x_i) log abs(x_i); L > 2: sum abs(x_i)^(2/L); infinite depth:
        sum log abs(x_i), over all entries given (-inf if one is zero; leave out the coordinates in
        which every minimiser is zero).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S8 of ``docs/statements.md``; the dependence on depth is due to Wind, Antun and
    Hansen, arXiv:2307.07410.
    """
    size = np.abs(as_real_array("x", x, ndim=1))
    depth = _depth(depth)
    if np.isinf(depth):
        return float(np.sum(_log(size)))
    if depth == 2:
        return -float(np.sum(size * _log(np.where(size > 0, size, 1.0))))
    return float(np.sum(size ** (2 / depth)))


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
    depth = as_real_number("depth", _depth(depth))
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


def log_escape_time(
    X: float | np.ndarray,
    drift: float | np.ndarray,
    depth: float,
    alpha: float | np.ndarray | None = None,
    *,
    log_alpha: float | np.ndarray | None = None,
) -> float | np.ndarray:
    """Return the logarithm of `escape_time`, for times beyond the largest double.

    Parameters
    ----------
    X : float or array_like
        Size to be reached, at least alpha^L.
    drift : float or array_like
        Constant value of -h_i, positive.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float or array_like, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    log_alpha : float or array_like, optional
        Natural logarithm of alpha.

    Returns
    -------
    float or ndarray
        As `escape_time`; -inf for X = alpha^L.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S11 of ``docs/statements.md``.
    """
    log_X = np.log(_numbers("X", X, above=0.0))
    log_drift = np.log(_numbers("drift", drift, above=0.0))
    depth = _depth(depth)
    logs = _log_alpha(alpha, log_alpha)
    growth = log_X - _log_product(depth, logs)
    if np.min(growth) < 0:
        raise ValueError("X must be at least alpha^depth, the value at time 0")
    # k = L alpha^(L-2) converts time at unit drift into the dual variable's own unit.
    log_k = logs if np.isinf(depth) else np.log(depth) + (depth - 2) * logs
    return _plain(_log(_saturating(growth, 1 - 2 / depth)) - log_k - log_drift)


def escape_time(
    X: float | np.ndarray,
    drift: float | np.ndarray,
    depth: float,
    alpha: float | np.ndarray | None = None,
    *,
    log_alpha: float | np.ndarray | None = None,
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
    with np.errstate(over="ignore", under="ignore"):
        return _plain(np.exp(log_escape_time(X, drift, depth, alpha, log_alpha=log_alpha)))


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
    depth = as_real_number("depth", _depth(depth))
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
    size = np.abs(_numbers("x", x))
    with np.errstate(divide="ignore"):  # 1 - x^2 = (1 - x)(1 + x), each factor to rounding
        return _plain(-np.log(np.abs(1 - size)) - np.log1p(size))


def sign_change_time(x0: float, imbalance: float, drift: float) -> float:
    """Return when one product u_1 u_2 changes its sign under a constant opposing drift.

    Parameters
    ----------
    x0 : float
        Product at time 0, not 0.
    imbalance : float
        The conserved difference u_1^2 - u_2^2.
    drift : float
        Size of the constant drift towards the other sign, positive.

    Returns
    -------
    float
        asinh(2 abs(x0)/abs(imbalance))/(2 drift): about log(4 abs(x0)/abs(imbalance))/(2 drift) for
        a small imbalance, and infinite without any.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S13 of ``docs/statements.md``.
    """
    size = abs(as_real_number("x0", x0))
    imbalance = abs(as_real_number("imbalance", imbalance))
    drift = as_real_number("drift", drift, above=0.0)
    if size == 0:
        raise ValueError("x0 must not be 0")
    if imbalance == 0:
        return np.inf
    # asinh(e^g) = g + log(1 + sqrt(1 + e^(-2g))) cannot overflow for g > 0
    g = float(np.log(2.0) + np.log(size) - np.log(imbalance))
    with np.errstate(under="ignore"):
        root = g + np.log1p(np.sqrt(1 + np.exp(-2 * g))) if g > 0 else np.arcsinh(np.exp(g))
    return float(root / (2 * drift))


def single_product_weights(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights t+ and t- that the flow of one deep product per coordinate minimises.

    Parameters
    ----------
    factors : array_like of shape (L, N)
        Shape of the initial factors, which start at scale * factors; L >= 3.

    Returns
    -------
    t_plus, t_minus : ndarray of shape (N,)
        As scale -> 0 the limit minimises sum t+_i max(x_i, 0) + t-_i max(-x_i, 0) over A x = y.
        Infinite where a coordinate cannot take that sign: then two factors share the least
        absolute value.

    Raises
    ------
    TypeError, ValueError
        If ``factors`` is not a finite real matrix of at least 3 rows.

    Notes
    -----
    Statement S13 of ``docs/statements.md``; the weights are those of Zhao et al.,
    arXiv:2607.12332, for factors of any signs.
    """
    factors = as_real_array("factors", factors, ndim=2)
    if len(factors) < 3:
        raise ValueError(f"factors must have at least L = 3 rows, got {len(factors)}")
    pairs = [_weights_of_one(column) for column in factors.T]
    plus, minus = np.array(pairs).T
    return plus, minus


def _minimiser(problem, x, nonnegative):
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
    x = as_real_array("x", x, ndim=1)
    if len(x) != problem.N:
        raise ValueError(f"x must have length N = {problem.N}, got {len(x)}")
    if not isinstance(nonnegative, (bool, np.bool_)):
        raise TypeError(f"nonnegative must be True or False, got {nonnegative!r}")
    if not x.any():
        raise ValueError("x must not be 0")
    if nonnegative and x.min() < 0:
        raise ValueError("x must be nonnegative with nonnegative=True")
    A, support = problem.dense(), x != 0
    if np.linalg.matrix_rank(A[:, support]) < np.count_nonzero(support):
        raise ValueError("x is not the unique minimiser: its columns of A are dependent")
    return A, x, support


def _least_certificate(A, x, support, nonnegative):
    """Return nu and rho of the linear program min rho, A_S^T nu = sign(x_S), A_off^T nu <= rho."""
    M = len(A)
    off = A[:, ~support].T
    if not len(off):
        return np.linalg.lstsq(A.T, np.sign(x), rcond=None)[0], -np.inf if nonnegative else 0.0
    rows = off if nonnegative else np.vstack([off, -off])
    found = linprog(
        np.append(np.zeros(M), 1.0),
        A_ub=np.hstack([rows, -np.ones((len(rows), 1))]),
        b_ub=np.zeros(len(rows)),
        A_eq=np.hstack([A[:, support].T, np.zeros((np.count_nonzero(support), 1))]),
        b_eq=np.sign(x[support]),
        bounds=(None, None),
        method="highs",
    )
    if found.status == 3:  # unbounded: {x} is the only feasible nonnegative signal
        return np.zeros(M), -np.inf
    if found.status != 0:
        raise ValueError(f"x has no dual certificate: {found.message}")
    rho = float(found.x[-1])
    if rho >= 1 - 1e-9:
        raise ValueError(f"x is not the unique nondegenerate minimiser: rho = {rho:.9f} is not < 1")
    return found.x[:M], rho


def _always_zero(A, support):
    """Return the coordinates that are zero in every nonnegative solution of A z = A_S x_S.

    There is nu with A_S^T nu = 0 and A_off^T nu <= -t, t >= 0, and the coordinates with t_i > 0
    are the ones; scaled so that t_i <= 1, the sum of t finds them all at once.
    """
    M, off = len(A), ~support
    count = int(np.count_nonzero(off))
    zero = np.zeros_like(support)
    if count:
        found = linprog(
            np.append(np.zeros(M), -np.ones(count)),
            A_ub=np.hstack([A[:, off].T, np.eye(count)]),
            b_ub=np.zeros(count),
            A_eq=np.hstack([A[:, support].T, np.zeros((np.count_nonzero(support), count))]),
            b_eq=np.zeros(np.count_nonzero(support)),
            bounds=[(None, None)] * M + [(0, 1)] * count,
            method="highs",
        )
        zero[off] = found.x[M:] > 0.5
    return zero


def _two_layer_correction(A, x, support, certificate, rho, nonnegative):
    certificate[support] = np.sign(x[support])
    peak = certificate if nonnegative else np.abs(certificate)
    active = ~support & (peak >= rho - _ACTIVE)
    basis = null_space(A[:, support | active])
    if basis.shape[1] != 1:
        raise ValueError(
            f"x is not generic: {np.count_nonzero(active)} entries of the certificate are maximal, "
            f"where M - s + 1 = {len(A) - np.count_nonzero(support) + 1} are expected"
        )
    k = np.zeros_like(x)
    k[support | active] = basis[:, 0]
    # Normalised so that its active part has l1 norm 1 and the signs of the certificate.
    signs = np.ones_like(x) if nonnegative else np.sign(certificate)
    k /= float(k[active] @ signs[active])
    share = k[active] * signs[active]
    if share.min() <= 0:
        raise ValueError("x is not generic: the linear program for rho has a degenerate solution")
    # <k_S, w_S> + <k_active, w_active> = 0 with w_i = sign_i log(|x_i|/alpha^2)/2 determines the
    # size c of x_active = c share: log c = (1 - rho) log alpha^2 + log_constant.
    on_support = float(k[support] @ (np.sign(x[support]) * np.log(np.abs(x[support]))))
    log_constant = -on_support - float(share @ np.log(share))
    with np.errstate(over="ignore", under="ignore"):
        direction = float(np.exp(log_constant)) * k
    return Asymptote(
        exponent=2 * (1 - rho),
        direction=direction,
        gap_coefficient=float(np.exp(log_constant)) * (1 - rho),
        certificate=certificate,
        rho=rho,
    )


def _deep_correction(A, x, support, nu, depth, nonnegative):
    off = ~support
    power = 1.0 if np.isinf(depth) else depth / (depth - 2)
    kernel = null_space(A[:, support].T)
    nu = nu + kernel @ _central_step(A[:, off].T @ nu, A[:, off].T @ kernel, power, nonnegative)
    certificate = A.T @ nu
    certificate[support] = np.sign(x[support])
    outside = certificate[off]
    d = np.zeros_like(x)
    d[off] = (1 - outside) ** -power
    if not nonnegative:
        d[off] -= (1 + outside) ** -power
    d[support] = -np.linalg.lstsq(A[:, support], A[:, off] @ d[off], rcond=None)[0]
    slack = 1 - outside if nonnegative else 1 - np.abs(outside)
    peak = outside if nonnegative else np.abs(outside)
    return Asymptote(
        exponent=1.0 if np.isinf(depth) else depth,
        direction=d,
        gap_coefficient=float(np.abs(d[off]) @ slack),
        certificate=certificate,
        rho=float(np.max(peak)),
    )


@np.errstate(over="ignore")
def _central_step(start, B, power, nonnegative):
    """Minimise sum phi(start + B z), phi' = (1 - r)^-power [- (1 + r)^-power], by Newton."""
    z = np.zeros(B.shape[1])
    if not z.size:
        return z

    def inside(r):
        return np.all(r < 1) and (nonnegative or np.all(r > -1))

    def slope(r):
        return (1 - r) ** -power - (0.0 if nonnegative else (1 + r) ** -power)

    def curvature(r):
        second = (1 - r) ** -(power + 1)
        return power * (second if nonnegative else second + (1 + r) ** -(power + 1))

    r, last = start, np.inf
    for _ in range(200):
        root = np.sqrt(curvature(r))
        if not (np.isfinite(root).all() and np.isfinite(slope(r)).all()):
            raise ArithmeticError("the certificate's powers leave the range of float64")
        # Least squares: the Hessian's square root is better conditioned than the Hessian.
        step = np.linalg.lstsq(root[:, None] * B, -slope(r) / root, rcond=None)[0]
        decrement = float(np.linalg.norm(root * (B @ step)))
        if decrement < 1e-6 and decrement >= 0.5 * last:  # Newton's end: rounding
            break
        last = decrement
        size = 1.0
        # Along the step the slope of a convex function must not have turned up.
        while not inside(r + size * (B @ step)) or slope(r + size * (B @ step)) @ (B @ step) > (
            0.5 * decrement**2 if decrement > 1e-6 else np.inf
        ):
            size /= 2
        z = z + size * step
        r = start + B @ z
    return z


def _worst_case_scales(Q, depth, alpha, signed, log_alpha):
    """Check the arguments of the worst case; return log Q, t = log(Q/a) and p = 1 - 2/L."""
    log_Q = float(np.log(as_real_number("Q", Q, above=0.0)))
    depth = _depth(depth)
    _check_signed(signed)
    log_a = _log_product(depth, _scalar_log_alpha(alpha, log_alpha))
    return log_Q, log_Q - log_a, 1 - 2 / depth


def _log_relative_gap(log_delta, t, p, signed):
    """Return log(gap/Q) on A = (1, 1 + delta) for t = log(Q/a), in units of a and in logarithms.

    The unknown is ell = log of the larger product of coordinate 2, whose dual variable is
    v_2 = (1 - e^(-p ell))/p; coordinate 1 has v_1 = v_2/(1 + delta).
    """
    with np.errstate(under="ignore"):
        delta = float(np.exp(log_delta))

    def signals(ell):
        if p == 0:
            v2, large1, small1, small2 = ell, ell / (1 + delta), -ell / (1 + delta), -ell
        else:
            v2 = float(_saturating(ell, p))
            # Of two ways to write log(1 - p v_1) the one that does not cancel: where v_1 is far
            # below rounding, x_1 would otherwise come out as the logarithm of a negative number.
            if p * v2 <= (1 + delta) / 2:
                large1 = -np.log1p(-p * v2 / (1 + delta)) / p
            else:
                large1 = -(float(np.logaddexp(log_delta, -p * ell)) - np.log1p(delta)) / p
            small1 = -np.log1p(p * v2 / (1 + delta)) / p if signed else 0.0
            small2 = -np.log1p(p * v2) / p if signed else 0.0
        if not signed:
            return large1, ell
        return _log_difference(large1, small1), _log_difference(ell, small2)

    def excess(ell):
        one, two = signals(ell)
        return float(np.logaddexp(one - np.log1p(delta), two)) - t

    # x_2 <= Q bounds ell from above; y = x_1 + (1 + delta) x_2 <= (2 + delta) max(x_1, x_2) with
    # x_1 <= max(x_2, 1) from below, in the signed model with x_2 ~ 2 ell near 0.
    high = (max(t, 0.0) + 1.0) if signed else t + 1e-12 + 1e-12 * abs(t)
    if signed:
        low = min(1e-3, float(np.exp(max(min(t, 0.0) - 3, -700.0))))
        low = min(low, high / 2)
    else:
        low = min(t, 0.0) - 2.0
        while excess(low) > 0:
            low = 2 * low
    ell = brentq(excess, low, high, xtol=1e-300, rtol=4 * np.finfo(float).eps, maxiter=500)
    one = signals(ell)[0]
    return float(one - t + log_delta - np.log1p(delta))


def _log_difference(g, h):
    """Return log(e^g - e^h) for g > h."""
    return g + float(_log(-np.expm1(h - g)))


def _weights_of_one(c):
    order = np.argsort(np.abs(c), kind="stable")
    others = c[order[1:]]
    # The smallest factor moves, the others keep their signs: its sign is that of the product.
    start = float(c[order[0]] * np.prod(np.sign(others)))
    mu = np.sqrt((np.abs(others) - abs(start)) * (np.abs(others) + abs(start)))
    if mu[0] == 0:  # the moving factor cannot cross 0, for another would have to cross with it
        sizes = [_tail(abs(start), mu), np.inf] if start else [np.inf, np.inf]
        return sizes if start >= 0 else sizes[::-1]
    beyond = _tail(start, mu), _tail(-start, mu)
    return list(beyond)


def _tail(start, mu):
    """Return the integral of 1/prod sqrt(x^2 + mu_j^2) from start to infinity, mu ascending."""
    if len(mu) == 2:  # with t = x^2 it is Carlson's symmetric elliptic integral
        size = np.hypot(start, mu[1])
        x, y, z = (start / size) ** 2, *np.hypot(start / size, mu / size) ** 2
        beyond = elliprf(x, y, z)
        if start < 0:
            beyond = 2 * elliprf(0.0, *(mu / size) ** 2) - beyond
        return float(beyond / size)
    if mu[0] == 0:  # x = start e^s
        scale, rest = start, mu[1:] / start

        def integrand(s):
            return np.exp(-np.sum(np.logaddexp(2 * s, 2 * _log(rest)) / 2)) if rest.size else 1.0

        begin = 0.0
    else:  # x = mu_1 sinh(s)
        scale, rest = mu[0], mu[1:] / mu[0]
        begin = float(np.arcsinh(start / scale))

        def integrand(s):
            return np.exp(-np.sum(np.log(np.hypot(np.sinh(s), rest))))

    # The integrand bends at x = mu_j, and falls by e^-1 or faster with each unit of s beyond.
    bends = np.arcsinh(rest)
    nodes = sorted({begin, *(b for b in (*bends, 0.0, *-bends) if b > begin)})
    nodes = [*nodes, nodes[-1] + 10.0, nodes[-1] + 45.0]
    with np.errstate(under="ignore"):
        pieces = [
            quad(integrand, a, b, epsabs=0.0, epsrel=1e-12, limit=200)[0]
            for a, b in pairwise(nodes)
            if b > a
        ]
        return float(np.sum(pieces) * scale ** -float(rest.size))


def _scalar_log_alpha(alpha, log_alpha):
    value = _log_alpha(alpha, log_alpha)
    if np.ndim(value):
        raise ValueError(f"alpha must be a scalar here, got shape {np.shape(value)}")
    return float(value)


def _check_signed(signed):
    if not isinstance(signed, (bool, np.bool_)):
        raise TypeError(f"signed must be True or False, got {signed!r}")

"""Leading order of the flow's limit for small init scales on a fixed problem: statement S7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import linprog

from deepfact.arguments import as_depth, as_log_alpha, as_real_array, as_signed
from deepfact.problem import Problem
from deepfact.theory.scales import plain

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
        logs = np.asarray(as_log_alpha(alpha, log_alpha))
        if self.gap_coefficient == 0:
            return plain(np.zeros_like(logs))
        with np.errstate(under="ignore", over="ignore"):
            return plain(self.gap_coefficient * np.exp(self.exponent * logs))


def l1_error_exponent(
    problem: Problem, x: np.ndarray, nonnegative: bool | None = None, *, signed: bool | None = None
) -> float:
    """Return 2 (1 - rho), the exponent of alpha in the depth-2 flow's error on a fixed problem.

    Parameters
    ----------
    problem : Problem
        The data.
    x : array_like of shape (N,)
        The unique minimiser of basis pursuit, nonzero, with exact zeros off its support.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    signed : bool, optional
        The signed model (default: True), or the positive one.

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
    signed = as_signed(signed, nonnegative)
    A, x, support = _minimiser(problem, x, signed)
    return 2 * (1 - _least_certificate(A, x, support, signed)[1])


def first_order_correction(
    problem: Problem,
    x: np.ndarray,
    depth: float,
    nonnegative: bool | None = None,
    *,
    signed: bool | None = None,
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
        The opposite of ``signed``; not both.
    signed : bool, optional
        The signed model (default: True), or the positive one.

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
    depth = as_depth(depth)
    signed = as_signed(signed, nonnegative)
    A, x, support = _minimiser(problem, x, signed)
    nu, rho = _least_certificate(A, x, support, signed)
    free = np.ones(len(x), dtype=bool) if signed else support | ~_always_zero(A, support)
    if np.array_equal(free, support):
        # Nothing else can be reached (or, in the signed model, nothing else exists).
        certificate = np.where(support, np.sign(x), -np.inf)
        return Asymptote(np.inf, np.zeros_like(x), 0.0, certificate, rho)
    if depth == 2:
        part = _two_layer_correction(
            A[:, free], x[free], support[free], A[:, free].T @ nu, rho, signed
        )
    else:
        part = _deep_correction(A[:, free], x[free], support[free], nu, depth, signed)
    direction, certificate = np.zeros_like(x), np.full_like(x, -np.inf)
    direction[free], certificate[free] = part.direction, part.certificate
    return Asymptote(part.exponent, direction, part.gap_coefficient, certificate, part.rho)


def _minimiser(problem, x, signed):
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
    x = as_real_array("x", x, ndim=1)
    if len(x) != problem.N:
        raise ValueError(f"x must have length N = {problem.N}, got {len(x)}")
    if not x.any():
        raise ValueError("x must not be 0")
    if not signed and x.min() < 0:
        raise ValueError("x must be nonnegative with signed=False")
    A, support = problem.dense(), x != 0
    if np.linalg.matrix_rank(A[:, support]) < np.count_nonzero(support):
        raise ValueError("x is not the unique minimiser: its columns of A are dependent")
    return A, x, support


def _least_certificate(A, x, support, signed):
    """Return nu and rho of the linear program min rho, A_S^T nu = sign(x_S), A_off^T nu <= rho."""
    M = len(A)
    off = A[:, ~support].T
    if not len(off):
        return np.linalg.lstsq(A.T, np.sign(x), rcond=None)[0], 0.0 if signed else -np.inf
    rows = np.vstack([off, -off]) if signed else off
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


def _two_layer_correction(A, x, support, certificate, rho, signed):
    certificate[support] = np.sign(x[support])
    peak = np.abs(certificate) if signed else certificate
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
    signs = np.sign(certificate) if signed else np.ones_like(x)
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


def _deep_correction(A, x, support, nu, depth, signed):
    off = ~support
    power = 1.0 if np.isinf(depth) else depth / (depth - 2)
    kernel = null_space(A[:, support].T)
    nu = nu + kernel @ _central_step(A[:, off].T @ nu, A[:, off].T @ kernel, power, signed)
    certificate = A.T @ nu
    certificate[support] = np.sign(x[support])
    outside = certificate[off]
    d = np.zeros_like(x)
    d[off] = (1 - outside) ** -power
    if signed:
        d[off] -= (1 + outside) ** -power
    d[support] = -np.linalg.lstsq(A[:, support], A[:, off] @ d[off], rcond=None)[0]
    peak = np.abs(outside) if signed else outside
    return Asymptote(
        exponent=1.0 if np.isinf(depth) else depth,
        direction=d,
        gap_coefficient=float(np.abs(d[off]) @ (1 - peak)),
        certificate=certificate,
        rho=float(np.max(peak)),
    )


@np.errstate(over="ignore")
def _central_step(start, B, power, signed):
    """Minimise sum phi(start + B z), phi' = (1 - r)^-power [- (1 + r)^-power], by Newton."""
    z = np.zeros(B.shape[1])
    if not z.size:
        return z

    def inside(r):
        return np.all(r < 1) and (not signed or np.all(r > -1))

    def slope(r):
        return (1 - r) ** -power - ((1 + r) ** -power if signed else 0.0)

    def curvature(r):
        second = (1 - r) ** -(power + 1)
        return power * (second + (1 + r) ** -(power + 1) if signed else second)

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

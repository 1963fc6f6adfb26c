"""The limit of the flow by primal-dual interior-point steps in the pair (products, slacks).

The limit solves A x = y with every product p on its curve, log_e(p/a) = v, where v = k A^T nu and
log_e(r) = (1 - r^(-theta))/theta is the inverse of the deformed exponential (log r for L = 2). The
iteration comes down to the curve from above,

    s = log_e(p/a) - v > 0,   p s = tau -> 0,

as Mehrotra's method does for a linear program, whose slack is 1 - theta v; here that slack sigma
splits into sigma = (a/p)^theta + theta s. Numerically,

* p, sigma and s are variables of their own: on the support sigma is as small as alpha^(L-2), far
  below the spacing of doubles near 1, and a dual variable alone cannot hold it;
* a step's matrix is A D A^T with D = p/((a/p)^theta + s), and D spans hundreds of orders of
  magnitude. Once it has a gap, the rows of A are rotated so that the columns above the gap have
  exact zeros below their rank: the matrix is then graded by rows, which Cholesky respects.
  Before that, early steps need it in single precision only.

See "Numerics" in ``docs/statements.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk, ssyrk
from scipy.linalg.lapack import dgeqp3, dormqr, dpotrf, dpotrs, dtrtrs, spotrf, spotrs

from deepfact.deep_factorization import deformed_exponent

# Products below this size (of a signal of size 1) no longer matter and must not underflow.
_FLOOR = 1e-250
_PATIENCE = 12  # iterations without progress after which a run is given up
# A slack a^theta above exp(_HELD) is held well enough by the dual variable.
_HELD = -7.0
_RIDGES = 10.0 ** np.arange(-15, -6)  # tried in turn where rounding spoils a Cholesky factor
_GAP = 1e-7  # sum of p s, relative to the l1 norm, from which the last phase takes over


@dataclass
class _State:
    """Where the iteration stands: problem in its present basis, products, slacks, dual."""

    A: np.ndarray  # (M, N), rows rotated by Q^T
    y: np.ndarray  # (M,)
    p: np.ndarray  # (branches, N), products
    s: np.ndarray  # (branches, N), how far v is below the curve
    v: np.ndarray  # (branches, N), +-c A^T eta
    sigma: np.ndarray  # (branches, N), slacks 1 - theta v
    eta: np.ndarray  # (M,), k nu
    error: np.ndarray  # (M,), y - A x
    single: np.ndarray | None = None  # A in single precision, while steps may be that rough
    turned: np.ndarray | None = None  # Q^T (M, M), or None for the identity
    rank: int | None = None  # rows that reach the columns above the gap of D, if rotated
    rest_size: float = 0.0  # size of the entries of the other rows
    face: np.ndarray | None = None  # columns above the gap of D
    tight: np.ndarray | None = None  # columns with a small slack
    # orthonormal basis of their slacks where they are dependent
    row_space: np.ndarray | None = None
    settled: bool = False  # whether slacks on the support are near the curve

    def outside(self, eta: np.ndarray) -> np.ndarray:
        """Return a dual variable of the rotated rows for those of the problem."""
        return eta if self.turned is None else eta @ self.turned

    def inside(self, eta: np.ndarray) -> np.ndarray:
        """Return a dual variable of the problem's rows for the rotated ones."""
        return eta if self.turned is None else self.turned @ eta


@dataclass(frozen=True)
class _Curve:
    """The model in the units of the scaled problem."""

    theta: float
    signs: np.ndarray  # (branches, 1)
    rate: float | np.ndarray  # c = k / max k
    log_a: np.ndarray

    def lag(self, p: np.ndarray) -> np.ndarray:
        """Return (a/p)^theta, the slack on the curve (1 for L = 2)."""
        return np.exp(self.theta * (self.log_a - np.log(p)))

    def above(self, p: np.ndarray, v: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return log_e(p/a) - v without cancellation."""
        if self.theta == 0:
            return np.log(p) - self.log_a - v
        return (sigma - self.lag(p)) / self.theta

    def on(self, v: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return the products on the curve, a e(v)."""
        if self.theta == 0:
            return np.exp(self.log_a + v)
        return np.where(sigma > 0, np.exp(self.log_a - np.log(sigma) / self.theta), 0.0)

    def slope(self, p: np.ndarray, sigma: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return dx/dv on the curve, sum over the branches of p/(a/p)^theta."""
        return (p / np.where(free, self.lag(p), sigma)).sum(0)

    def signal(self, p: np.ndarray) -> np.ndarray:
        """Return p, or p - q."""
        return (self.signs * p).sum(0)


@dataclass(frozen=True)
class InteriorPointResult:
    """Signal, dual and account of an interior-point solve.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The limit.
    eta : ndarray of shape (M,)
        The dual variable times the largest rate k.
    iterations : int
        Number of factorisations of A D A^T.
    converged : bool
        Whether residual and curve are met.
    products, slacks : ndarray of shape (branches, N)
        p and 1 - theta v as variables of their own, in units in which y is ``scale`` times smaller.
    scale : float
        The signal is p - q times this.
    log_a : float or ndarray of shape (N,)
        log a in these units, raised where it is below rounding of the signal.
    bound : ndarray of shape (M,)
        The dual variable, of all that were seen, with the largest certified lower bound.
    independent : bool
        Whether the columns of the products with small slacks are known to be independent.
    """

    x: np.ndarray
    eta: np.ndarray
    iterations: int
    converged: bool
    products: np.ndarray
    slacks: np.ndarray
    scale: float
    log_a: float | np.ndarray
    bound: np.ndarray
    independent: bool


@dataclass(frozen=True)
class _Point:
    """Where a run ended: the signal, products, slacks, and the dual variable outside."""

    x: np.ndarray
    p: np.ndarray
    sigma: np.ndarray
    eta: np.ndarray
    independent: bool = False


@np.errstate(all="ignore")  # what is not finite is looked for, and ends the iteration
def interior_point(
    A: np.ndarray,
    y: np.ndarray,
    min_norm: np.ndarray,
    log_product: float | np.ndarray,
    rate: float | np.ndarray,
    theta: float,
    signed: bool,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    max_iterations: int = 150,
) -> InteriorPointResult:
    """Solve A x = y with x = X(A^T nu) for a deep factorisation.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix of full row rank.
    y : ndarray of shape (M,)
        Measurements in the range of A.
    min_norm : ndarray of shape (N,)
        The solution of A x = y of least Euclidean norm: start of the iteration.
    log_product : float or ndarray of shape (N,)
        log a.
    rate : float or ndarray of shape (N,)
        k divided by its largest entry.
    theta : float
        Deformation 1 - 2/L in [0, 1].
    signed : bool
        Signed or positive model.
    start : tuple of ndarray, optional
        Signal (N,) and dual (M,) of the limit for another depth or init scale, from which Newton
        steps are tried first (default: none). The dual is then known as far as y determines it.
    max_iterations : int, optional
        Factorisations after which no other step down begins (default: 150).

    Returns
    -------
    InteriorPointResult
        ``converged`` is False if the iteration stalled or ran out.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``; derived here, after Mehrotra's
    method for linear programs (SIAM J. Optim. 2, 1992, doi:10.1137/0802028) and Gondzio's
    centrality corrections (Comput. Optim. Appl. 6, 1996, doi:10.1007/BF00249643).
    """
    scale = np.abs(min_norm).max() or float(np.exp(np.max(log_product)))
    curve = _curve(log_product, scale, rate, theta, signed)
    count = 0
    if start is not None and y.any():
        st = _State(A, y / scale, *np.zeros((4, 1, 1)), *np.zeros((2, len(y))))
        guess = _from_limit(A, curve, start[0] / scale, start[1])
        found, count, _ = _follow(st, curve, [guess], graded=False)
        if found is not None:
            return _result(found, scale, curve, count, True)
    level = np.abs(min_norm).mean() / scale or 1.0
    # On degenerate faces rounding decides whether a run is lost: a more cautious one, or one from
    # another start, may not be.
    best = _BestBound(y / scale, curve)
    for height, hasty in ((1.0, True), (1.0, False), (3.0, False), (0.3, False)):
        left = max_iterations - count
        point, met, more = _come_down(
            A, y / scale, min_norm / scale, height * level, curve, left, hasty, best
        )
        count += more
        if met or count >= max_iterations:
            break
    return _result(point, scale, curve, count, met, best.eta)


def _result(point: _Point, scale, curve, count, met, bound=None) -> InteriorPointResult:
    return InteriorPointResult(
        scale * point.x,
        point.eta,
        count,
        met,
        point.p,
        point.sigma,
        scale,
        curve.log_a,
        point.eta if bound is None else bound,
        point.independent,
    )


class _BestBound:
    """The dual variable with the largest <y, eta>/max v, less what the rounding of y could take."""

    def __init__(self, y, curve) -> None:
        self.y, self.curve, self.value, self.eta = y, curve, 0.0, np.zeros(len(y))

    def see(self, st: _State) -> None:
        top = np.max(st.v / self.curve.rate)
        eta = st.outside(st.eta)
        paid = self.y @ eta - 1e-15 * (np.abs(self.y) @ np.abs(eta))
        if top > 0 and paid > self.value * top:
            self.value, self.eta = paid / top, eta


def _curve(log_product, scale: float, rate, theta: float, signed: bool) -> _Curve:
    """Return the model's curve for a problem whose signal is divided by ``scale``."""
    log_a = np.asarray(log_product) - np.log(scale)
    # Off the support the products are of order a: below rounding of the signal a has no effect.
    # All are raised by one factor: their ratios weigh the products of a face.
    if theta > 0:
        log_a = log_a + max(0.0, -max(80.0, 30.0 / theta) - float(np.max(log_a)))
    return _Curve(theta, np.array([[1.0], [-1.0]])[: 2 if signed else 1], rate, log_a)


def _come_down(A, y, min_norm, level, curve: _Curve, max_iterations, hasty: bool, seen: _BestBound):
    """Return (point, whether the equations are met, factorisations) of one run of the method.

    A hasty run takes centrality corrections and, at first, factors in single precision.
    """
    theta, log_a = curve.theta, curve.log_a
    p = np.maximum(np.maximum(curve.signs * min_norm, 0.0) + level, 2 * np.exp(log_a))
    zero = np.zeros_like(p)
    error = y - A @ curve.signal(p)
    st = _State(A, y, p, zero, zero, zero + 1.0, np.zeros(len(y)), error)
    st.s = curve.above(p, zero, st.sigma)
    size = np.linalg.norm(y) or np.linalg.norm(np.abs(A).sum(axis=1)) * level
    # Where the support's slack a^theta is not small, the dual variable holds every product.
    holds = theta * np.min(log_a) > -3.0
    finish = _descend if holds else _refine
    # The smaller a is, the nearer to the limit do Newton steps start to converge quickly.
    goal = _GAP if theta > 0 else max(1e-10, min(_GAP, float(np.exp(np.min(log_a) / 3))))
    # Steps that converge quickly need directions as good: the last ones, if theta > 0.
    rough = 0.1 if theta > 0 else 1e-5
    count, met, best, lost = 0, False, np.inf, 0
    nearest = None
    if holds and np.min(log_a) > np.log(0.3 * level):
        point, met, count = finish(st, curve, size)
    st.single = st.A.astype(np.float32) if hasty and not met else None
    while not met and count < max_iterations and lost < _PATIENCE:
        if nearest and (lost or best < 1e-13):
            break
        solve = _factorise(st, curve, (st.p / (curve.lag(st.p) + st.s)).sum(0))
        count += 1
        if solve is None or not _advance(st, curve, solve, size, 2 if hasty else 0):
            break
        seen.see(st)
        st.error = st.y - st.A @ curve.signal(st.p)
        error = np.linalg.norm(st.error) / size
        gap = np.sum(st.p * st.s / np.maximum(1.0, st.sigma)) / np.sum(st.p)
        best, lost = (error + gap, 0) if error + gap < 0.9 * best else (best, lost + 1)
        if lost or error + gap < rough:
            st.single = None
        near = error < goal and gap < goal
        if near and theta > 0 and not holds:
            near = _resolved(st, curve)
        if near:
            point, met, more = finish(st, curve, size)
            count, goal = count + more, 1e-2 * goal
            if not met and goal < 2e-13:
                nearest = _Point(curve.signal(st.p), st.p, st.sigma, st.outside(st.eta))
    if not met and nearest:  # products that vanish in the limit only have no dual variable
        return nearest, True, count
    if not met:
        x, eta = np.nan_to_num(curve.signal(st.p)), np.nan_to_num(st.eta)
        point = _Point(x, np.nan_to_num(st.p), st.sigma, st.outside(eta))
    return point, met, count


def _advance(st: _State, curve: _Curve, solve, size: float, corrections: int) -> bool:
    """Take one predictor-corrector step in place; return whether it is finite.

    Up to ``corrections`` centrality corrections lengthen it, each at the price of a solve.
    """
    theta, lag, error = curve.theta, curve.lag(st.p), st.error
    drift = curve.above(st.p, st.v, st.sigma) - st.s
    product = st.p * st.s

    def direction(goal):
        """Return the step towards p s = goal on A x = y and on the definition of s."""
        free = (goal - product - st.p * drift) / (lag + st.s)
        d_eta = solve(error - st.A @ curve.signal(free))
        dv = curve.signs * (curve.rate * (st.A.T @ d_eta))
        dp = free + st.p / (lag + st.s) * dv
        ds = lag / st.p * dp - dv + drift
        return d_eta, dv, dp, ds

    def lengths(dp, ds, keep):
        primal, dual = np.max(-dp / st.p), np.max(-ds / st.s)
        return min(1.0, keep / max(primal, 1e-300)), min(1.0, keep / max(dual, 1e-300))

    _, _, dp, ds = direction(0.0)
    primal, dual = lengths(dp, ds, 1.0)
    mean = product.mean()
    after = ((st.p + primal * dp) * (st.s + dual * ds)).mean()
    # The curve must not be reached before A x = y is: p s would then leave no room to mend it.
    unmet = max(0.0, np.linalg.norm(error) / size - 1e-13)
    lead = 0.1 * unmet * np.sum(st.p) / np.sum(product)
    centre = max((after / mean) ** 3, min(1.0, lead))
    keep = max(0.99, 1.0 - mean)
    goal = centre * mean - dp * ds
    step = direction(goal)
    primal, dual = lengths(*step[2:], keep)
    for _ in range(corrections):
        if min(primal, dual) > 0.9:
            break
        _, _, dp, ds = step
        far = (st.p + min(1.0, primal + 0.3) * dp) * (st.s + min(1.0, dual + 0.3) * ds)
        near = np.clip(far, 0.1 * centre * mean, 10.0 * centre * mean)
        goal = goal + np.maximum(near - far, -10.0 * centre * mean)
        other = direction(goal)
        longer = lengths(*other[2:], keep)
        if min(longer) < min(primal, dual) + 0.03:
            break
        step, (primal, dual) = other, longer
    d_eta, dv, dp, ds = step
    st.s, st.v, st.eta = st.s + dual * ds, st.v + dual * dv, st.eta + dual * d_eta
    if theta > 0:
        st.sigma = st.sigma - dual * theta * dv
        _project_slacks(st, curve)
    # A falling product stops at its curve, which is all but zero off the support.
    moved = st.p + primal * dp
    st.p = np.maximum(moved, np.minimum(st.p, curve.on(st.v, st.sigma)))
    st.p = np.maximum(st.p, _FLOOR)
    return bool(np.isfinite(st.p).all() and np.isfinite(st.s).all())


def _factorise(st: _State, curve: _Curve, slope):
    """Return the solver of A D A^T d = b, D = diag(c dp/dv), or None if that is not definite."""
    slope = curve.rate * slope
    if not np.isfinite(slope).all():
        return None
    _rebase(st, slope)
    root = np.sqrt(slope)
    if st.single is not None:
        size = root.max()
        solve = _cholesky(st.single * (root / size).astype(np.float32), ridges=())
        if solve is not None:
            return lambda b: solve((b / size).astype(np.float32)) / size
        st.single = None
    return _cholesky(st.A * root)


def _cholesky(rows: np.ndarray, ridges=_RIDGES):
    """Return the solver of rows rows^T d = b in their precision, or None if not definite."""
    # BLAS and LAPACK themselves: on small problems what surrounds them costs more than their work.
    double = rows.dtype == np.float64
    syrk, potrf, potrs = (dsyrk, dpotrf, dpotrs) if double else (ssyrk, spotrf, spotrs)
    gram = syrk(1.0, rows.T, trans=1, lower=1)
    sizes = np.sqrt(np.diag(gram))
    if not (np.isfinite(sizes).all() and sizes.all()):
        return None
    gram /= sizes
    gram /= sizes[:, None]
    for ridge in (0.0, *ridges):
        gram[np.diag_indices_from(gram)] = 1.0 + ridge
        factor, failed = potrf(gram, lower=1, clean=0)
        if not failed:
            return lambda b: potrs(factor, b / sizes, lower=1)[0] / sizes
    return None


def _pivoted_qr(columns):
    """Return R, the order of the columns, and the function B -> Q^T B or Q B; Q is not formed."""
    factors, pivots, tau, _, _ = dgeqp3(columns, lwork=34 * columns.shape[1] + 32)
    rank = min(columns.shape)
    factors, R = factors[:, :rank], np.triu(factors[:rank])

    def turn(B, back=False):
        how = ("R", "T" if back else "N", factors, tau, B.T)
        work = int(dormqr(*how, lwork=-1)[1][0])
        return dormqr(*how, lwork=work)[0].T

    return R, pivots - 1, turn


def _rebase(st: _State, slope) -> None:
    """Rotate the rows of A once D has a gap, so that the gap's noise is exactly zero."""
    M, N = st.A.shape
    if N == 1:
        return
    order = np.argsort(-slope)
    logs = np.log(np.maximum(slope[order], 1e-300))
    size = 1 + int(np.argmax(logs[:-1] - logs[1:]))
    if logs[size - 1] - logs[size] < 7 or logs[0] - logs[size] < 18:
        return
    face = np.sort(order[:size])
    if st.face is not None and np.array_equal(face, st.face):
        return
    st.face = face
    weight = np.sqrt(slope[face] / slope.max())
    R, pivots, turn = _pivoted_qr(st.A[:, face] * weight)
    diagonal = np.abs(np.diag(R)) / weight[pivots[: len(R)]]
    rank = int(np.sum(diagonal > 1e-11 * diagonal.max()))
    if rank == M:
        st.rank = None
        return
    st.A = turn(st.A)
    st.A[rank:, face] = 0.0
    st.single = None  # D spans more by now than that resolves
    st.rank, st.rest_size = rank, np.linalg.norm(st.A[rank:]) / np.sqrt(N)
    st.y, st.eta, st.error = turn(np.column_stack([st.y, st.eta, st.error])).T
    if np.linalg.norm(st.y[rank:]) < 1e-13 * np.linalg.norm(st.y):
        st.y[rank:] = 0.0
    st.turned = turn(np.eye(M) if st.turned is None else st.turned)


def _project_slacks(st: _State, curve: _Curve) -> None:
    """Restore the linear relations between the slacks of a face of many solutions.

    On the support sigma = 1 - theta v lies in the span of the rows of A as soon as 1 does. Rounding
    at the size of 1 breaks that, and where the columns depend on each other the products then
    answer to the noise instead of the relations.
    """
    if st.sigma.min() > 1e-4:
        return
    branch = np.argmin(st.sigma, axis=0)
    tight = np.flatnonzero(st.sigma.min(axis=0) < 1e-3)
    if st.tight is None or not np.array_equal(tight, st.tight):
        st.tight, st.row_space = tight, None
        if len(tight) > 1:
            sign = np.where(branch[tight] == 0, 1.0, -1.0)
            columns = st.A[:, tight] * sign * np.broadcast_to(curve.rate, branch.shape)[tight]
            R, _, turn = _pivoted_qr(columns.T)
            sizes = np.abs(np.diag(R))
            basis = turn(np.eye(len(tight)))[: len(R)][sizes > 1e-11 * sizes[0]].T
            ones = np.ones(len(tight))
            off = np.linalg.norm(ones - basis @ (basis.T @ ones))
            if basis.shape[1] < len(tight) and off < 1e-12 * np.sqrt(len(tight)):
                st.row_space = basis
    if st.row_space is not None:
        slack = st.sigma[branch[tight], tight]
        projected = st.row_space @ (st.row_space.T @ slack)
        st.sigma[branch[tight], tight] = np.where(projected > 0, projected, slack)


def _resolved(st: _State, curve: _Curve) -> bool:
    """Return whether the products on the support are determined by now.

    Independent columns are, by A x = y alone. Between columns that depend on each other the slacks
    decide, which must then be near the curve for Newton steps to finish.
    """
    support = (st.sigma < 0.1) & (st.p > 1e-10 * st.p.max())
    st.settled = bool(np.all(st.s < 1e-2 * curve.lag(st.p), where=support))
    if st.settled:
        return True
    columns = st.A[:, support.any(axis=0)]
    if columns.shape[1] > columns.shape[0]:
        return False
    sizes = np.abs(np.diag(_pivoted_qr(columns)[0]))
    return bool(sizes[-1] > 1e-8 * sizes[0])


def _refine(st: _State, curve: _Curve, size: float):
    """Put every product on its curve and take Newton steps, with few more factorisations.

    Returns (point, whether the equations are met, factorisations).
    """
    free = st.sigma < 0.1
    point = (st.p, st.v, st.sigma, st.eta)
    if not st.settled:
        point = _with_slacks_on_curve(st.A, curve, point, free)
        if point is None:
            return None, False, 0
    count, off = 0, np.inf
    while count < 4:
        p, v, sigma, eta = point
        p = np.where(free, p, curve.on(v, sigma))
        eta = st.outside(eta)  # the factorisation may rotate the rows
        solve, count = _factorise(st, curve, curve.slope(p, sigma, free)), count + 1
        if solve is None:
            break
        before, point = off, (p, v, sigma, st.inside(eta))
        point, off = _newton(st, curve, size, point, free, solve)
        if off < 1e-12:
            return _on_curve(st, curve, point, free, not st.settled), True, count
        if not off < 0.3 * before:
            break
    return None, False, count


def _on_curve(st: _State, curve: _Curve, point, free, independent: bool) -> _Point:
    """Return the point with the slack of its products, where those are variables."""
    p, _, sigma, eta = point
    return _Point(
        curve.signal(p), p, np.where(free, curve.lag(p), sigma), st.outside(eta), independent
    )


def _with_slacks_on_curve(A, curve: _Curve, point, free):
    """Move the dual so that the slacks of the free products are those on the curve.

    Possible where their columns are independent; returns None otherwise.
    """
    p, v, sigma, eta = point
    on_curve = curve.lag(p)
    columns = np.flatnonzero(free.any(axis=0))
    if len(columns) == 0:
        return point
    branch = np.argmax(free[:, columns], axis=0)
    rate = (curve.signs[:, 0][branch]) * np.broadcast_to(curve.rate, A.shape[1:])[columns]
    if len(columns) > len(A):
        return None
    R, order, turn = _pivoted_qr(A[:, columns] * rate)
    sizes = np.abs(np.diag(R))
    if not sizes[-1] > 1e-8 * sizes[0]:
        return None
    excess = (sigma - on_curve)[branch, columns] / curve.theta
    d_eta = np.zeros((len(A), 1))
    d_eta[: len(R), 0] = dtrtrs(R, excess[order], trans=1)[0]
    d_eta = turn(d_eta, back=True)[:, 0]
    dv = curve.signs * (curve.rate * (A.T @ d_eta))
    moved = np.where(free, on_curve, sigma - curve.theta * dv)
    return None if np.any(moved <= 0) else (p, v + dv, moved, eta + d_eta)


def _newton(st: _State, curve: _Curve, size: float, point, free, solve, graded=True):
    """Take Newton steps with one factorisation while they contract; return the point and its error.

    Products with a small slack (``free``) are variables and their slack follows the dual; all
    others are on their curve. ``graded`` asks for small products to their own accuracy.
    """
    theta = curve.theta
    p, v, sigma, eta = point
    error_of_best = np.inf
    columns = np.flatnonzero(free.any(axis=0))
    A_free = st.A[:, columns]
    for _ in range(15):
        lag = np.where(free, curve.lag(p), sigma)
        drift = np.where(free, curve.above(p, v, sigma), 0.0)
        x = curve.signal(p)
        error = st.y - st.A @ x
        pull = curve.signal(p / lag * drift)
        off = np.linalg.norm(error) / size + np.abs(pull).sum() / np.abs(x).sum()
        if graded and st.rank is not None:  # what decides the dual where the support does not
            rest = np.linalg.norm(np.delete(x, st.face)) * st.rest_size
            off += 1e-6 * np.linalg.norm(error[st.rank :]) / (rest or 1.0)
        if not off < error_of_best:
            break
        contracted = off < 0.5 * error_of_best
        point, error_of_best = (p, v, sigma, eta), off
        if not contracted or off < 1e-15:
            break
        d_eta = solve(error + A_free @ pull[columns])
        dv = curve.signs * (curve.rate * (st.A.T @ d_eta))
        growth = (dv - drift) / lag
        # At most e^2 for what follows the dual, and no product falls by more than nine tenths.
        folds = np.max(np.abs(np.where(free, 0.0, dv / sigma)))
        length = 1.0 / max(1.0, folds / 2.0, np.max(-growth, where=free, initial=0.0) / 0.9)
        p = np.where(free, p * (1 + length * growth), p)
        v, sigma, eta = v + length * dv, sigma - length * theta * dv, eta + length * d_eta
        if np.any(sigma <= 0):
            break
        p = np.where(free, p, curve.on(v, sigma))
    return point, error_of_best


def _descend(st: _State, curve: _Curve, size: float):
    """Finish on the dual variable alone, by regularised Newton steps with a line search.

    The steps are as long as the convex dual objective falls along them: products off the support
    that must shrink by a common factor would otherwise do so by a factor of e a step.
    """
    theta, log_a, both = curve.theta, curve.log_a, len(curve.signs) == 2

    def signal(v):
        """Return x and dx/dv; not finite outside the domain."""
        up = deformed_exponent(v, theta)
        if not both:
            p = np.exp(log_a + up)
            return p, p * np.exp(theta * up)
        down = deformed_exponent(-v, theta)
        # p - q = 2 sqrt(p q) sinh(log(p/q)/2) does not cancel where both are near a
        half = np.arctanh(theta * v) / theta if theta > 0 else v
        p, q = np.exp(log_a + up), np.exp(log_a + down)
        near = np.abs(half) < 1
        root = np.exp(log_a + 0.5 * (up + down))
        x = np.where(near, 2 * root * np.sinh(np.where(near, half, 0.0)), p - q)
        return x, p * np.exp(theta * up) + q * np.exp(theta * down)

    v, best, earlier = st.v[0], np.inf, (np.inf,) * 3
    start = st.outside(st.eta)
    count = 0
    while count < 60:
        x, slope = signal(v)
        error = st.y - st.A @ x
        off = np.linalg.norm(error) / size
        if not np.isfinite(off) or off < 1e-14 or (off < 1e-12 and off > 0.1 * best):
            break
        # Rows that the support does not reach have errors of their own size, and need small shifts.
        rest = off if st.rank is None else np.linalg.norm(error[st.rank :]) / size
        if rest > 0.5 * earlier[0]:  # the dual diverges where products vanish in the limit
            break
        best, earlier = min(best, off), (*earlier[1:], rest)
        solve = _factorise(st, curve, np.maximum(slope + 0.1 * rest * np.mean(np.abs(x)), _FLOOR))
        if solve is None:
            break
        count += 1
        d_eta = solve(st.y - st.A @ x)  # of the rows as they now are
        dv = curve.rate * (st.A.T @ d_eta)
        pay = float(st.y @ d_eta)

        def fall(t, v=v, dv=dv, pay=pay):
            return float(signal(v + t * dv)[0] @ (dv / curve.rate)) - pay

        length = _line_minimum(fall)
        v, st.eta = v + length * dv, st.eta + length * d_eta
    # Where x is much larger than y, rounding of A x is what can be met.
    rounding = 2e-15 * np.linalg.norm(np.abs(st.A) @ np.abs(x)) / size
    met = bool(off < max(1e-12, rounding))
    both_v = curve.signs * v
    p = np.exp(log_a + deformed_exponent(both_v, theta))
    point = _Point(x, p, 1.0 - theta * both_v, st.outside(st.eta))
    if not met:  # the state goes on from where it was, in its present basis
        st.eta = st.inside(start)
    return point, met, count


def _line_minimum(derivative) -> float:
    """Return a step at which an increasing derivative, negative at 0, has nearly vanished."""
    goal = 0.1 * abs(derivative(0.0))
    low, high = 0.0, 1.0
    value = derivative(high)
    while value < -goal and high < 64:
        low, high = high, 2 * high
        value = derivative(high)
    for _ in range(60):
        if abs(value) <= goal:
            break
        middle = 0.5 * (low + high)
        value = derivative(middle)
        low, high = (middle, high) if value < 0 else (low, middle)
        if abs(value) <= goal:
            return middle
    return high if np.isfinite(value) else low


@np.errstate(all="ignore")
def interior_point_path(
    A: np.ndarray,
    y: np.ndarray,
    min_norm: np.ndarray,
    log_products: Sequence[float | np.ndarray],
    rate: float | np.ndarray,
    theta: float,
    signed: bool,
) -> list[InteriorPointResult]:
    """Solve `interior_point`'s equations for a sequence of init scales, each from those before.

    The dual k nu and the signal are extrapolated in log a, and Newton steps mend the rest with the
    last factorisation as long as it serves, which is rescaled: on the support D grows like
    a^(-theta), off it like a. Where that fails, with a new one; where that fails too, the scale is
    solved by `interior_point`.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix of full row rank.
    y : ndarray of shape (M,)
        Measurements in the range of A, not zero.
    min_norm : ndarray of shape (N,)
        The solution of A x = y of least Euclidean norm.
    log_products : sequence of float or ndarray of shape (N,)
        log a, each near the one before.
    rate : float or ndarray of shape (N,)
        k divided by its largest entry, the same for all scales.
    theta : float
        Deformation 1 - 2/L in [0, 1].
    signed : bool
        Signed or positive model.

    Returns
    -------
    list of InteriorPointResult
        One for each scale, in the order given.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``; derived here.
    """
    scale = np.abs(min_norm).max()
    st = _State(A, y / scale, *np.zeros((4, 1, 1)), *np.zeros((2, len(y))))
    results: list[InteriorPointResult] = []
    known: list[tuple] = []  # log a, products and dual of the two scales before
    last = None  # the last factorisation and its slope
    for log_product in log_products:
        curve = _curve(log_product, scale, rate, theta, signed)
        found = None
        if known:
            guesses = (_extrapolated(A, curve, part) for part in (known, known[-1:]))
            found, count, last = _follow(st, curve, guesses, last)
        if found is None:
            result = interior_point(A, y, min_norm, log_product, rate, theta, signed)
            found = _products(A, curve, result.x / scale, result.eta)
        else:
            result = _result(found, scale, curve, count, True)
            found = found.p, found.eta
        results.append(result)
        known = [*known[-1:], (float(np.mean(curve.log_a)), *found)] if result.converged else []
    return results


def _products(A, curve: _Curve, x: np.ndarray, eta: np.ndarray):
    """Return the products of a limit and its dual."""
    v = curve.signs * (curve.rate * (A.T @ eta))
    sigma = 1.0 - curve.theta * v
    p = curve.on(v, sigma)
    if curve.theta * np.min(curve.log_a) <= _HELD:
        p = np.where(sigma < 0.1, np.maximum(curve.signs * x, np.exp(curve.log_a)), p)
    return p, eta


def _follow(st: _State, curve: _Curve, guesses, last=None, graded=True):
    """Newton steps from the first guess that is in the domain, with new factorisations as needed.

    Returns the point or None, factorisations, and the last of them with its slope.
    """
    point, free = next((guess for guess in guesses if guess[0] is not None), (None, None))
    if point is None:
        return None, 0, None
    count, off = 0, np.inf
    size = np.linalg.norm(st.y)
    while count < 6:
        p, v, sigma, eta = point
        p = np.where(free, p, curve.on(v, sigma))
        slope = curve.slope(p, sigma, free)
        if off < np.inf or last is None:
            last, count = (_factorise(st, curve, slope), slope), count + 1
            if last[0] is None:
                break
        point = (p, v, sigma, st.inside(eta))
        before = off
        solve = _rescaled(st, *last, slope)
        point, off = _newton(st, curve, size, point, free, solve, graded)
        eta = st.outside(point[-1])
        point = (*point[:-1], eta)
        if off < 1e-12:
            return _on_curve(st, curve, (*point[:-1], st.inside(eta)), free, True), count, last
        if count and not off < 0.9 * before:
            break
    return None, count, None


def _extrapolated(A, curve: _Curve, known):
    """Return the point extrapolated in log a, None if it is not in the domain, and what is free."""
    theta = curve.theta
    weights = _extrapolation([time for time, *_ in known], float(np.mean(curve.log_a)))
    p = np.exp(sum(weight * np.log(p) for weight, (_, p, _) in zip(weights, known, strict=True)))
    eta = sum(weight * eta for weight, (*_, eta) in zip(weights, known, strict=True))
    v = curve.signs * (curve.rate * (A.T @ eta))
    sigma = 1.0 - theta * v
    tight = sigma < 0.1
    free = tight | (p > 1e-2 * p.max())
    return _inside(A, curve, (p, v, sigma, eta), tight), free


def _from_limit(A, curve: _Curve, x, dual):
    """Return the point that another model's limit suggests, None if it is not in the domain."""
    theta = curve.theta
    p = np.maximum(curve.signs * x, 0.0)
    # The M largest at most: the columns of more than that depend on each other.
    free = p > max(1e-5 * p.max(), np.sort(p, axis=None)[::-1][min(len(A), p.size - 1)])
    p = np.maximum(p, _FLOOR)
    v = curve.signs * (curve.rate * (A.T @ dual))
    top = np.unravel_index(np.argmax(v), v.shape)
    log_ratio = np.log(p.max()) - np.broadcast_to(curve.log_a, x.shape)[top[1]]
    height = log_ratio if theta == 0 else -np.expm1(-theta * log_ratio) / theta
    share = height / v[top]
    v, eta = share * v, share * dual
    return _inside(A, curve, (p, v, 1.0 - theta * v, eta), free), free


def _inside(A, curve: _Curve, point, tight):
    """Return the point with slacks that the dual variable holds, or None outside the domain."""
    if curve.theta * np.min(curve.log_a) <= _HELD:
        point = _with_slacks_on_curve(A, curve, point, tight)
    return None if point is None or np.any(point[2] <= 0) else point


def _extrapolation(times: list[float], time: float) -> list[float]:
    """Return Lagrange's weights."""
    return [float(np.prod([(time - b) / (a - b) for b in times if b != a])) for a in times]


def _rescaled(st: _State, solve, old, slope):
    """Return the solver of an old factorisation, rescaled to a new slope."""
    ratio = np.log(slope / old)
    if st.rank is None:
        root = np.full(len(st.y), np.exp(0.5 * np.median(ratio)))
    else:
        above = np.zeros(len(slope), dtype=bool)
        above[st.face] = True
        low, high = np.median(ratio[~above]), np.median(ratio[above])
        root = np.exp(0.5 * np.where(np.arange(len(st.y)) < st.rank, high, low))
    return lambda b: solve(b / root) / root

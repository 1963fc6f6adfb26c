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

The numbers (L1) to (L12) are those of ``docs/limit.md``. Each step is logged at level DEBUG.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from deepfact.limit.curve import Curve, scaled_curve
from deepfact.limit.dual_descent import descend
from deepfact.limit.factors import factorise
from deepfact.limit.first_guess import from_limit
from deepfact.limit.newton import follow, refine
from deepfact.limit.slacks import project_slacks, resolved
from deepfact.limit.state import FLOOR, Point, State

_log = logging.getLogger(__name__)
_PATIENCE = 12  # iterations without progress after which a run is given up
_GAP = 1e-7  # sum of p s, relative to the l1 norm, from which the last phase takes over


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
    curve = scaled_curve(log_product, scale, rate, theta, signed)
    count = 0
    if start is not None and y.any():
        st = State(A, y / scale, *np.zeros((4, 1, 1)), *np.zeros((2, len(y))))
        guess = from_limit(A, curve, start[0] / scale, start[1])
        found, count, _ = follow(st, curve, [guess], graded=False)
        if found is not None:
            return account(found, scale, curve, count, True)
    level = np.abs(min_norm).mean() / scale or 1.0
    # On degenerate faces rounding decides whether a run is lost: a more cautious one, or one from
    # another start, may not be.
    best, nearest = _BestBound(y / scale, curve), None
    for height, hasty in ((1.0, True), (1.0, False), (3.0, False), (0.3, False)):
        left = max_iterations - count
        point, met, more = _come_down(
            A, y / scale, min_norm / scale, height * level, curve, left, hasty, best
        )
        count += more
        # In the positive model a second run ends there too where the dual diverges.
        if met or count >= max_iterations or (met is None and nearest is not None and not signed):
            break
        if met is None and nearest is None:  # near the limit, but not on the curve
            nearest = point
    if not met and nearest is not None:
        point, met = nearest, True
    return account(point, scale, curve, count, met, best.eta)


def account(point: Point, scale, curve, count, met, bound=None) -> InteriorPointResult:
    """Return the account of a solve that ended at a point.

    Parameters
    ----------
    point : Point
        The end.
    scale : float
        What the signal was divided by.
    curve : Curve
        The model in the units of the problem.
    count : int
        Factorisations.
    met : bool
        Whether the equations are met.
    bound : ndarray of shape (M,), optional
        The dual variable with the best bound (default: that of the point).

    Returns
    -------
    InteriorPointResult
        The account.
    """
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

    def see(self, st: State) -> None:
        top = np.max(st.v / self.curve.rate)
        eta = st.outside(st.eta)
        paid = self.y @ eta - 1e-15 * (np.abs(self.y) @ np.abs(eta))
        if top > 0 and paid > self.value * top:
            self.value, self.eta = paid / top, eta


def _come_down(A, y, min_norm, level, curve: Curve, max_iterations, hasty: bool, seen: _BestBound):
    """Return (point, whether the equations are met, factorisations) of one run of the method.

    None in place of whether: A x = y is met, and products are only near their curve. A hasty run
    takes centrality corrections and, at first, factors in single precision.
    """
    theta, log_a = curve.theta, curve.log_a
    p = np.maximum(np.maximum(curve.signs * min_norm, 0.0) + level, 2 * np.exp(log_a))
    zero = np.zeros_like(p)
    error = y - A @ curve.signal(p)
    st = State(A, y, p, zero, zero, zero + 1.0, np.zeros(len(y)), error)
    st.s = curve.above(p, zero, st.sigma)
    size = np.linalg.norm(y) or np.linalg.norm(np.abs(A).sum(axis=1)) * level
    # Where the support's slack a^theta is not small, the dual variable holds every product.
    holds = theta * np.min(log_a) > -3.0
    finish = descend if holds else refine
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
        solve = factorise(st, curve, (st.p / (curve.lag(st.p) + st.s)).sum(0))
        count += 1
        if solve is None or not _advance(st, curve, solve, size, 2 if hasty else 0):
            break
        seen.see(st)
        st.error = st.y - st.A @ curve.signal(st.p)
        error = np.linalg.norm(st.error) / size
        gap = np.sum(st.p * st.s / np.maximum(1.0, st.sigma)) / np.sum(st.p)
        _log.debug("%d: residual %.1e, gap %.1e", count, error, gap)
        best, lost = (error + gap, 0) if error + gap < 0.9 * best else (best, lost + 1)
        if lost or error + gap < rough:
            st.single = None
        near = error < goal and gap < goal
        if near and theta > 0 and not holds:
            near = resolved(st, curve)
        if near:
            point, met, more = finish(st, curve, size)
            count, goal = count + more, 1e-2 * goal
            if not met and goal < 2e-13 and st.sigma.min() > 0:
                nearest = Point(curve.signal(st.p), st.p, st.sigma, st.outside(st.eta))
    if not met and nearest:  # products that vanish in the limit only have no dual variable
        return nearest, None, count
    if not met:
        x, eta = np.nan_to_num(curve.signal(st.p)), np.nan_to_num(st.eta)
        point = Point(x, np.nan_to_num(st.p), st.sigma, st.outside(eta))
    return point, met, count


def _advance(st: State, curve: Curve, solve, size: float, corrections: int) -> bool:
    """Take one predictor-corrector step in place; return whether it is finite.

    Up to ``corrections`` centrality corrections lengthen it, each at the price of a solve.
    """
    theta, lag, error = curve.theta, curve.lag(st.p), st.error
    drift = curve.above(st.p, st.v, st.sigma) - st.s
    product = st.p * st.s

    def direction(goal):
        """Return the step towards p s = goal on A x = y and on the definition of s."""
        free = (goal - product - st.p * drift) / (lag + st.s)
        d_eta = solve(error - st.A @ curve.signal(free))  # (L6)
        dv = curve.signs * (curve.rate * (st.A.T @ d_eta))  # (L4)
        dp = free + st.p / (lag + st.s) * dv  # (L6)
        ds = lag / st.p * dp - dv + drift  # (L5)
        return d_eta, dv, dp, ds

    def steps_to_boundary(dp, ds, keep):
        """Return how far p and s may go, a part ``keep`` of the way to 0 at most."""
        primal, dual = np.max(-dp / st.p), np.max(-ds / st.s)
        return min(1.0, keep / max(primal, 1e-300)), min(1.0, keep / max(dual, 1e-300))

    _, _, dp, ds = direction(0.0)
    primal, dual = steps_to_boundary(dp, ds, 1.0)
    mu = product.mean()
    after = ((st.p + primal * dp) * (st.s + dual * ds)).mean()
    # The curve must not be reached before A x = y is: p s would then leave no room to mend it.
    unmet = max(0.0, np.linalg.norm(error) / size - 1e-13)
    lead = 0.1 * unmet * np.sum(st.p) / np.sum(product)
    centring = max((after / mu) ** 3, min(1.0, lead))  # (L7)
    keep = max(0.99, 1.0 - mu)
    goal = centring * mu - dp * ds  # (L7)
    step = direction(goal)
    primal, dual = steps_to_boundary(*step[2:], keep)
    for _ in range(corrections):
        if min(primal, dual) > 0.9:
            break
        _, _, dp, ds = step
        far = (st.p + min(1.0, primal + 0.3) * dp) * (st.s + min(1.0, dual + 0.3) * ds)
        near = np.clip(far, 0.1 * centring * mu, 10.0 * centring * mu)
        goal = goal + np.maximum(near - far, -10.0 * centring * mu)
        other = direction(goal)
        longer = steps_to_boundary(*other[2:], keep)
        if min(longer) < min(primal, dual) + 0.03:
            break
        step, (primal, dual) = other, longer
    d_eta, dv, dp, ds = step
    st.s, st.v, st.eta = st.s + dual * ds, st.v + dual * dv, st.eta + dual * d_eta
    if theta > 0:
        st.sigma = st.sigma - dual * theta * dv
        project_slacks(st, curve)
    # A falling product stops at its curve, which is all but zero off the support.
    moved = st.p + primal * dp
    st.p = np.maximum(moved, np.minimum(st.p, curve.on(st.v, st.sigma)))
    st.p = np.maximum(st.p, FLOOR)
    return bool(np.isfinite(st.p).all() and np.isfinite(st.s).all())

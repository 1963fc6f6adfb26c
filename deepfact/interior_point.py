"""The limit of the flow by primal-dual interior-point steps in the pair (products, slacks).

The limit solves A x = y with every product p on its curve: log p = log a + log e(v), where
v = k A^T nu and the slack is s = 1 - theta v, so that p^theta s = a^theta (log p = log a + v for
L = 2); for infinite depth this is the central path p s = mu of a linear program. As there,

* p and s are variables of their own: on the support s is as small as alpha^(L-2), far below the
  spacing of doubles near 1, and a dual variable alone cannot hold it;
* a is lowered from the size of the signal to its target, and a Newton step is taken for each value;
* the step's matrix is A D A^T with D = dp/dv = p/s, and D spans hundreds of orders of magnitude.
  Once it has a gap, the rows of A are rotated so that the columns above the gap have exact zeros
  below their rank: the matrix is then graded by rows, which a Cholesky factorisation respects.

See "Numerics" in ``docs/statements.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr

from deepfact.model import deformed_exponent

# Products below this size (of a signal of size 1) no longer matter and must not underflow.
_FLOOR = 1e-250


@dataclass
class _State:
    """Where the iteration stands: problem in its present basis, products, slacks, dual."""

    A: np.ndarray  # (M, N), rows rotated by Q^T
    y: np.ndarray  # (M,)
    Q: np.ndarray | None  # (M, M) or None for the identity
    p: np.ndarray  # (branches, N), products
    s: np.ndarray  # (branches, N), slacks 1 - theta v
    v: np.ndarray  # (branches, N), +-c A^T eta
    eta: np.ndarray  # (M,), k nu
    shift: float  # log a lies this much above its target
    rate: float | np.ndarray  # c = k / max k
    face: np.ndarray | None = None  # columns above the gap of D
    settled: bool = False  # whether the support has shown itself
    tight: np.ndarray | None = None  # columns with a small slack
    row_space: np.ndarray | None = None  # orthonormal basis of their slacks where they are dependent


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
    """

    x: np.ndarray
    eta: np.ndarray
    iterations: int
    converged: bool


@np.errstate(all="ignore")  # what is not finite is looked for, and ends the attempt
def interior_point(
    A: np.ndarray,
    y: np.ndarray,
    min_norm: np.ndarray,
    log_product: float | np.ndarray,
    rate: float | np.ndarray,
    theta: float,
    signed: bool,
    max_iterations: int = 200,
    min_step: float = 0.5,
    share: float = 0.05,
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
    max_iterations : int, optional
        Most factorisations (default: 200).
    min_step : float, optional
        a is lowered no faster than steps of this length allow (default: 0.5).
    share : float, optional
        Products that make up at most this share of the l1 norm may leave the linearisation in
        favour of their curve (default: 0.05).

    Returns
    -------
    InteriorPointResult
        ``converged`` is False if the iteration stalled or ran out.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``; derived here, after Mehrotra's
    method for linear programs (SIAM J. Optim. 2, 1992, doi:10.1137/0802028).
    """
    signs = np.array([[1.0], [-1.0]])[: 2 if signed else 1]
    scale = np.abs(min_norm).max() or float(np.exp(np.max(log_product)))
    target = np.asarray(log_product) - np.log(scale)
    level = np.abs(min_norm).mean() / scale or 1.0
    p = np.maximum(signs * min_norm / scale, 0.0) + level
    st = _State(
        A=A,
        y=y / scale,
        Q=None,
        p=p,
        s=np.ones_like(p),
        v=np.zeros_like(p),
        eta=np.zeros(len(y)),
        shift=max(0.0, float(np.log(p.mean()) - np.max(target))),
        rate=rate,
    )
    norm_y = np.linalg.norm(st.y) or np.linalg.norm(A.sum(axis=1)) * level
    step = _Step(theta, signs, rate, target, min_step, share)
    near, mismatch, residual = 1e-4, np.inf, np.inf
    # Where the support's slack a^theta is not small, the dual variable holds every product.
    holds = theta * np.min(target) > -3.0
    for iteration in range(1, max_iterations + 1):
        solve = _factorise(st, (st.p / st.s).sum(0))
        if solve is None:
            break
        with np.errstate(all="ignore"):
            mismatch, full = step.take(st, solve)
            residual = np.linalg.norm(st.y - st.A @ (signs * st.p).sum(0)) / norm_y
        if st.shift == 0 and max(mismatch, residual) < (0.1 if holds else near):
            finish = _descend if holds else _refine
            refined = finish(st, solve, step, norm_y)
            iteration += refined.factorisations
            if refined.converged:
                return InteriorPointResult(
                    scale * refined.x, _rotate_back(st, refined.eta), iteration, True
                )
            near = 0.1 * max(mismatch, residual)
            if near < 1e-13 or holds:
                break
        if not np.isfinite(residual):
            break
        at_level = st.shift <= step._least_shift(st) + 1e-3
        st.settled = st.settled or (at_level and full and max(mismatch, residual) < 1e-2)
    met = bool(st.shift == 0 and max(mismatch, residual) < 1e-12)
    return InteriorPointResult(
        scale * (signs * st.p).sum(0), _rotate_back(st, st.eta), iteration, met
    )


@dataclass(frozen=True)
class _Step:
    """One predictor-corrector step: lower a as far as the linearisation carries, then move."""

    theta: float
    signs: np.ndarray
    rate: float | np.ndarray
    target: np.ndarray
    min_step: float
    share: float

    def take(self, st: _State, solve) -> tuple[float, bool]:
        """Update the state in place; return the mismatch with the curve and if steps were full."""
        signs, theta = self.signs, self.theta
        slope = st.p / st.s
        residual = st.y - st.A @ (signs * st.p).sum(0)
        ordered = np.sort(st.p, axis=None)
        total = np.cumsum(ordered)
        minor = st.p <= ordered[np.searchsorted(total, self.share * total[-1])]
        shift = self._least_shift(st)
        for _ in range(12):
            v, s, eta = self._follow(st, shift)
            rho = self.target + shift + self._log_e(v, s) - np.log(st.p)
            pull = self._linearise(rho, st.p, s)
            d_eta = solve(residual - st.A @ (signs * st.p * pull).sum(0))
            dv = signs * (self.rate * (st.A.T @ d_eta))
            dp = st.p * pull + slope * dv
            primal = _step_length(np.where(minor, 1.0, st.p), np.where(minor, 1.0, dp))
            dual = _step_length(s, -theta * dv) if theta > 0 else 1.0
            if min(primal, dual) >= self.min_step:
                break
            shift = 0.5 * (shift + st.shift)
        st.v, st.s, st.eta = v + dual * dv, s - dual * theta * dv, eta + dual * d_eta
        if theta > 0:
            _project_slacks(st)
        moved = st.p + primal * dp
        if theta > 0:
            shift = st.shift + min(primal, dual) * (shift - st.shift)
        st.shift = 0.0 if shift < 1e-3 else shift
        with np.errstate(over="ignore", under="ignore"):
            curve = np.exp(self.target + st.shift + self._log_e(st.v, st.s))
        st.p = np.maximum(
            np.where(moved < 0.1 * st.p, np.minimum(curve, 0.1 * st.p), moved), _FLOOR
        )
        with np.errstate(over="ignore"):
            mismatch = np.sum(np.abs(curve - st.p)) / np.sum(st.p)
        return float(mismatch), min(primal, dual) > 0.9

    def _least_shift(self, st: _State) -> float:
        """Return the smallest shift of log a that the next step may try.

        Until the support has settled, a does not fall below the level that settles it: slacks that
        are tiny on a wrong support could not be mended.
        """
        top = float(np.max(self.target))
        if not st.settled:
            level = -18.0 / self.theta if self.theta > 0.3 else -60.0
            return min(st.shift, max(0.0, level - top))
        if self.theta > 0.3:
            return 0.0
        return max(0.0, 2.0 * min(top + st.shift, -1.0) - top)

    def _follow(self, st: _State, shift: float):
        """Return (v, s, eta) with the dual stretched as the support's dual will be at ``shift``."""
        top = float(np.max(self.target))
        stretch = 1.0
        if top + st.shift < -0.5:
            stretch = _reach(top + shift, self.theta) / _reach(top + st.shift, self.theta)
            if self.theta > 0:
                inside = st.s < 1
                room = (st.s / np.where(inside, 1 - st.s, np.inf)).min(where=inside, initial=2.0)
                stretch = min(stretch, 1.0 + 0.5 * room)
        s = st.s + (1.0 - stretch) * (1.0 - st.s) if self.theta > 0 else st.s
        return stretch * st.v, s, stretch * st.eta

    def _log_e(self, v, s):
        return -np.log(s) / self.theta if self.theta > 0 else v

    def _linearise(self, rho, p, s):
        """Return dp/p at dv = 0 for a product that is e^(-rho) times its curve.

        On the support v answers to p, and v is linear in p^(-theta); elsewhere p answers to v.
        """
        large = p > p.mean() * (s if self.theta > 0 else 1.0)
        power = np.expm1(np.minimum(self.theta * rho, 1.0)) / self.theta if self.theta > 0 else rho
        return np.where(large, power, np.where(rho < 0, np.expm1(np.minimum(rho, 0.0)), rho))


def _reach(log_a, theta):
    """Return v on the support, where the product is 1."""
    return -np.expm1(theta * log_a) / theta if theta > 0 else -log_a


def _step_length(value, change):
    """Return the part of ``change``, at most 1, that keeps every value positive.

    A change that ends at a boundary is a jump to a much smaller target and is taken to a millionth;
    one that would cross it stops at a hundredth of the value.
    """
    most = np.max(-change / value)
    if most <= 1.0:
        return float(min(1.0, (1.0 - 1e-6) / max(most, 1e-300)))
    return float(0.99 / most)


def _factorise(st: _State, slope):
    """Return the solver of A D A^T d = b with D = diag(slope), or None if that is not definite."""
    _rebase(st, slope)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        gram = (st.A * slope) @ st.A.T
        diagonal = np.sqrt(np.diag(gram))
        gram /= diagonal
        gram /= diagonal[:, None]
    if not np.isfinite(gram).all():
        return None
    ridge = 0.0
    while ridge < 1e-6:
        try:
            factor = cho_factor(gram + ridge * np.eye(len(gram)) if ridge else gram, lower=True)
            return lambda b: cho_solve(factor, b / diagonal, check_finite=False) / diagonal
        except LinAlgError:
            ridge = max(1e-15, 10 * ridge)
    return None


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
    Q, R, pivots = qr(st.A[:, face] * weight, pivoting=True)
    diagonal = np.abs(np.diag(R)) / weight[pivots[: min(R.shape)]]
    rank = int(np.sum(diagonal > 1e-11 * diagonal.max()))
    if rank == M:
        return
    st.A = Q.T @ st.A
    st.A[rank:, face] = 0.0
    st.y = Q.T @ st.y
    if np.linalg.norm(st.y[rank:]) < 1e-13 * np.linalg.norm(st.y):
        st.y[rank:] = 0.0
    st.eta = Q.T @ st.eta
    st.Q = Q if st.Q is None else st.Q @ Q


def _project_slacks(st: _State) -> None:
    """Restore the linear relations between the slacks of a face of many solutions.

    On the support s = 1 - theta sign v lies in the span of the rows of A as soon as 1 does. Rounding
    at the size of 1 breaks that, and where the columns depend on each other the products then
    answer to the noise instead of the relations.
    """
    if st.s.min() > 1e-7:
        return
    branch = np.argmin(st.s, axis=0)
    tight = np.flatnonzero(st.s.min(axis=0) < 1e-3)
    if st.tight is None or not np.array_equal(tight, st.tight):
        st.tight, st.row_space = tight, None
        if len(tight) > 1:
            sign = np.where(branch[tight] == 0, 1.0, -1.0)
            columns = st.A[:, tight] * sign * np.broadcast_to(st.rate, branch.shape)[tight]
            basis, R, _ = qr(columns.T, mode="economic", pivoting=True)
            sizes = np.abs(np.diag(R))
            basis = basis[:, sizes > 1e-11 * sizes[0]]
            ones = np.ones(len(tight))
            off = np.linalg.norm(ones - basis @ (basis.T @ ones))
            if basis.shape[1] < len(tight) and off < 1e-12 * np.sqrt(len(tight)):
                st.row_space = basis
    if st.row_space is not None:
        slack = st.s[branch[tight], tight]
        projected = st.row_space @ (st.row_space.T @ slack)
        st.s[branch[tight], tight] = np.where(projected > 0, projected, slack)


def _rotate_back(st: _State, eta: np.ndarray) -> np.ndarray:
    return eta if st.Q is None else st.Q @ eta


@dataclass(frozen=True)
class _Finish:
    """What the last phase found: signal and dual in the present basis."""

    x: np.ndarray | None
    eta: np.ndarray | None
    converged: bool
    factorisations: int = 0


def _refine(st: _State, solve, step: _Step, norm_y: float) -> _Finish:
    """Put every product on its curve; finish with Newton steps of the present factorisation.

    Products with a small slack are variables and their slack follows; all others follow the dual.
    """
    signs, theta, target = step.signs, step.theta, step.target
    p, s, eta = st.p, st.s, st.eta
    free = s < 0.1
    best, best_x, best_eta = np.inf, None, None
    for _ in range(12):
        with np.errstate(all="ignore"):
            p = np.where(free, p, np.exp(target - np.log(s) / theta))
            slack = np.where(free, np.exp(theta * (target - np.log(p))), s)
            lag = (slack - s) / theta
            slope = p / slack
            x = (signs * p).sum(0)
            error = st.y - st.A @ x
            lagging = (signs * slope * lag).sum(0)
            size = np.linalg.norm(error) / norm_y + np.abs(lagging).sum() / np.abs(x).sum()
        if not size < best:
            break
        contracted, best, best_x, best_eta = size < 0.5 * best, size, x, eta
        if not contracted:
            break
        d_eta = solve(error - st.A @ lagging)
        dv = signs * (step.rate * (st.A.T @ d_eta))
        p = np.where(free, np.maximum(p + slope * (dv + lag), 0.1 * p), p)
        s, eta = s - theta * dv, eta + d_eta
        if np.any(s <= 0):
            break
    return _Finish(best_x, best_eta, best < 1e-12)


def _descend(st: _State, solve, step: _Step, norm_y: float) -> _Finish:
    """Finish on the dual variable alone, by regularised Newton steps with a line search.

    The steps are as long as the convex dual objective falls along them: products off the support
    that must shrink by a common factor would otherwise do so by a factor of e a step.
    """
    theta, both = step.theta, len(step.signs) == 2

    def signal(v):
        """Return x and dx/dv; not finite outside the domain."""
        with np.errstate(all="ignore"):
            up = deformed_exponent(v, theta)
            if not both:
                p = np.exp(step.target + up)
                return p, p * np.exp(theta * up)
            down = deformed_exponent(-v, theta)
            # p - q = 2 sqrt(p q) sinh(log(p/q)/2) does not cancel where both are near a
            half = np.arctanh(theta * v) / theta if theta > 0 else v
            p, q = np.exp(step.target + up), np.exp(step.target + down)
            near = np.abs(half) < 1
            root = np.exp(step.target + 0.5 * (up + down))
            x = np.where(near, 2 * root * np.sinh(np.where(near, half, 0.0)), p - q)
            return x, p * np.exp(theta * up) + q * np.exp(theta * down)

    v, eta, best = st.v[0], st.eta, np.inf
    for count in range(100):
        x, slope = signal(v)
        error = st.y - st.A @ x
        size = np.linalg.norm(error) / norm_y
        if not np.isfinite(size) or size < 1e-14 or (size < 1e-12 and size > 0.1 * best):
            break
        best = min(best, size)
        slope = np.maximum(slope + 0.1 * size * np.mean(np.abs(x)), _FLOOR)
        st.eta = eta
        solve = _factorise(st, slope)
        if solve is None:
            return _Finish(x, eta, False, count)
        eta, error = st.eta, st.y - st.A @ x
        d_eta = solve(error)
        dv = step.rate * (st.A.T @ d_eta)
        pay = float(st.y @ d_eta)
        length = _line_minimum(lambda t, dv=dv, pay=pay, v=v: float(signal(v + t * dv)[0] @ dv) - pay)
        v, eta = v + length * dv, eta + length * d_eta
    return _Finish(x, eta, bool(size < 1e-12), count)


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

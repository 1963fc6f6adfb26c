"""What is proved of an answer before it is called the limit: one certificate for every solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from deepfact.deep_factorization import deformed_exponent
from deepfact.limit.face import TIGHT, solve_face
from deepfact.limit.rows import BELOW, CONSISTENT, row_residual

_EPS = float(np.finfo(np.float64).eps)
_LONG = float(np.finfo(np.longdouble).eps)
# An answer is the limit if
_MET = 1e-11  # every independent row has |A x - y|_i <= _MET (|A||x| + |y|)_i
_MET_UNEVEN = 1e-13  # every independent row, where columns differ by much (see _MET)
_MEND = 5e-14  # rows that are off by more than this part are mended first
_ON_CURVE = 1e-9  # products are off their curve by less than this part of the largest
_FACE = 1e-8  # the equations of the face of dependent columns are solved to this part
_SUPPORT = 1e-9  # entries below this part of the largest may be 0 in every solution
_ROUNDING = 1e-15  # right sides below this part of the signal are its rounding
_DIAMETER = 1e-10  # largest relative diameter of a feasible set that counts as one point
_SPOILT = 1e-9  # part of a bound that rounding may take before another dual is looked at
_DETERMINED = 1e-7  # entries above this part of the largest can have six digits
_DIGITS = 1e-6  # relative distance to their curve at which they have them


@dataclass(frozen=True)
class LimitResult:
    """The limit of a flow and what certifies it.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The limit x_inf of the flow.
    dual : ndarray of shape (M,)
        nu = int_0^inf (y - A x(t)) dt, so that x_inf = X(A^T nu).
    l1_norm : float
        ||x||_1, rounded up by what rounding and the residual could hide: not below Q, but for what
        the rounding of y itself could change of Q.
    lower_bound : float
        <y, nu>/||A^T nu||_inf (positive model: / max (A^T nu)_i), less what the rounding of y and
        of the products could add: never above the minimal l1 norm Q. Of the projected measurements
        where ``status`` is "infeasible". The best over the duals that the solver saw.
    gap : float
        ``l1_norm - lower_bound``, an upper bound of ||x||_1 - Q.
    residual : float
        ||A x - y||/||y||; ||A x|| where y = 0.
    iterations : int
        Matrix factorisations of the method; for an operator that is not formed, products with A
        and A^T.
    status : str
        "converged"; "infeasible" if A x = y has no (nonnegative) solution; or "stalled".
    message : str
        The same in words.
    determined : ndarray of bool, shape (N,)
        Which entries of x the stored data determine to six digits: those above 1e-7 of the largest,
        in units in which the columns of A have norms near 1. Smaller ones may answer to the
        rounding of y.
    """

    x: np.ndarray
    dual: np.ndarray
    l1_norm: float
    lower_bound: float
    gap: float
    residual: float
    iterations: int
    status: str
    message: str
    determined: np.ndarray

    @property
    def success(self) -> bool:
        """Whether x is the limit and solves A x = y."""
        return self.status == "converged"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a solver found, before it is judged.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The signal.
    dual : ndarray of shape (M,)
        nu.
    etas : tuple of ndarray of shape (r,)
        Dual variables of the scaled independent rows, in any unit: each gives a bound.
    work : int
        Factorisations.
    proved : bool
        Whether x = X(A^T nu), as far as the solver's own variables show it.
    exact : ndarray of bool, optional
        Where they show it to six digits of the entry (default: everywhere).
    """

    x: np.ndarray
    dual: np.ndarray
    etas: tuple[np.ndarray, ...]
    work: int
    proved: bool
    exact: np.ndarray | bool = True


def interior_answer(scaled, model, found) -> Answer:
    """Check an interior-point result, x = X(A^T nu), by slacks, and solve its face to all digits.

    Parameters
    ----------
    scaled : ScaledProblem
        The problem.
    model : MirrorMap
        The parametrisation, of deformed-exponential form.
    found : InteriorPointResult
        Products, slacks and dual variable.

    Returns
    -------
    Answer
        ``proved`` if every product is on its curve to the accuracy stated in this file.
    """
    log_rate = np.asarray(scaled.log_rate(model))
    with np.errstate(over="ignore", under="ignore"):
        dual = scaled.r * scaled.rows.extend(found.eta) * np.exp(-log_rate.max())
    dual = np.nan_to_num(dual)
    B, theta = scaled.rows.reduced, model.deformation
    target = scaled.target / found.scale
    p, x, proved = found.products, found.x / found.scale, found.converged
    rate = np.exp(log_rate - log_rate.max())
    signs = np.array([[1.0], [-1.0]])[: len(p)]
    with np.errstate(all="ignore"):
        held = np.ones(p.shape, dtype=bool)
        if theta > 0 and not (found.independent and proved):
            face = solve_face(B, target, p, found.slacks, found.log_a, rate, theta, proved)
            proved, held = face.left <= _FACE, ~face.tight
            if face.moved:
                p = face.p
                x = (signs * p).sum(axis=0)
        elif theta > 0:
            held = found.slacks > TIGHT
        eta = found.eta
        off, largest = _off_curve(B, found, p, held, eta, rate, theta, scaled.d)
        if not off.max() <= _ON_CURVE * largest:
            # Where rows that the support does not reach have large entries of the dual, those of
            # its columns are lost to rounding: restored here.
            eta = _restored(B, found, p, eta, rate, theta)
            off, largest = _off_curve(B, found, p, held, eta, rate, theta, scaled.d)
        # Where columns or rates differ by much, small products may be large entries of x. They move
        # by equal parts: the flow's own dual variables for such steps may be so large that their
        # rounding moves the signal on a face.
        if _uneven(scaled) or row_residual(B, x, target) > _MEND:
            weight = p.sum(axis=0)
            if _uneven(scaled):  # then as the flow moves them
                slope = (1 + theta) * np.log(p) - theta * found.log_a
                weight = (rate * np.exp(slope - slope.max())).sum(axis=0)
            mended = _mended(B, x, target, weight)
            x = np.where(mended > 0, mended, x) if model.positive else mended
    # Rows whose right side is rounding of the signal are met to that.
    peak = np.max(scaled.norms * np.abs(x))
    size = np.abs(target) + np.where(np.abs(target) < _ROUNDING * peak, BELOW * peak, 0.0)
    near = row_residual(B, x, target, size) <= _met(scaled)
    proved = bool(proved and near and off.max() <= _ON_CURVE * largest)
    if not proved and model.positive:
        only = _only_point(B, target, x, found.eta)
        if only is not None:
            x, proved = only, True
    etas = (found.eta, found.bound)
    off = off.sum(axis=0) + np.abs(x - (signs * p).sum(axis=0)) * scaled.d
    exact = off <= 0.1 * _DIGITS * np.abs(x * scaled.d)
    return Answer(scaled.signal(found.scale * x), dual, etas, found.iterations, proved, exact)


def _uneven(scaled) -> bool:
    norms, d = scaled.norms, scaled.d
    return bool(norms.max() > 8 * norms.min() or d.max() > 8 * d.min())


def _met(scaled) -> float:
    """Return where a row is met: more strictly where small products are large entries of x."""
    return _MET_UNEVEN if _uneven(scaled) else _MET


def _off_curve(B, found, p, held, eta, rate, theta, d):
    """Return how far products are from their curve, and the largest, in units of the signal."""
    signs = np.array([[1.0], [-1.0]])[: len(p)]
    by_dual = np.exp(found.log_a + deformed_exponent(signs * (rate * (B.T @ eta)), theta))
    # What is small in scaled columns may be a large entry of x.
    return np.abs(np.where(held, by_dual * d - p * d, 0.0)), (p * d).max()


def _restored(B, found, p, eta, rate, theta):
    """Return the dual variable nearest to eta that agrees with the large products."""
    branch, columns = np.nonzero(p > 1e-6 * p.max())
    if not 0 < len(columns) <= len(B) or not np.isfinite(eta).all():
        return eta
    rate, log_a = (np.broadcast_to(value, B.shape[1])[columns] for value in (rate, found.log_a))
    signs = np.where(branch == 0, 1.0, -1.0)
    wanted = (
        (1 - found.slacks[branch, columns]) / theta
        if theta > 0
        else (np.log(p[branch, columns]) - log_a)
    )
    rows = (B[:, columns] * (signs * rate)).T
    return eta + np.linalg.lstsq(rows, wanted - rows @ eta, rcond=None)[0]


def _only_point(B, y, x, eta):
    """Return the feasible point where all of them are within rounding of each other, or None.

    In the positive model the dual then diverges (statement S6). With S the support and m = -eta
    made orthogonal to its columns, <y, m> = <z, B^T m> bounds every feasible z off S, where
    B^T m > 0.
    """
    support = np.flatnonzero(x > _SUPPORT * x.max())
    if not 0 < len(support) <= len(B) or not np.isfinite(eta).all():
        return None
    Q, R = np.linalg.qr(B[:, support])
    pivots = np.abs(np.diag(R))
    if not pivots.min() > 1e-8 * pivots.max():
        return None
    m = Q @ (Q.T @ eta) - eta
    pull = np.delete(B.T @ m, support)
    values = np.linalg.lstsq(B[:, support], y, rcond=None)[0]
    if not values.min() > 0:
        return None
    lowest = pull.min(initial=np.inf)
    paid = abs(m @ y) + 1e-15 * (np.abs(m) @ np.abs(y))
    if not (lowest > 0 and paid <= _DIAMETER * lowest * values.max()):
        return None
    only = np.zeros_like(x)
    only[support] = values
    return only if row_residual(B, only, y) <= CONSISTENT else None


def _mended(B, x, y, weight):
    """Return x with B x = y row by row, entries moved in proportion to their weights."""
    root = np.sqrt(weight / weight.max())
    if not (np.isfinite(root).all() and np.isfinite(x).all()):
        return x
    # Weights span many orders: heavy rows first, or their rounding would move the heavy entries.
    order = np.argsort(-root)
    Q, R, rows = qr((B * root)[:, order].T, mode="economic", pivoting=True)
    pivots = np.abs(np.diag(R))
    # Rows that only negligible entries reach are left as they are.
    rank = int(np.sum(pivots > max(B.shape) * _EPS * pivots[0]))
    x = x.copy()
    for _ in range(2):
        missing = (y - B @ x)[rows[:rank]]
        step = solve_triangular(R[:rank, :rank], missing, trans="T", check_finite=False)
        x[order] += root[order] * (Q[:, :rank] @ step)
    return x


def judge(scaled, model, answer: Answer, met: str, image: np.ndarray | None = None) -> LimitResult:
    """Bound the minimal l1 norm, check A x = y row by row, and say what is proved.

    Parameters
    ----------
    scaled : ScaledProblem
        The problem.
    model : MirrorMap
        The parametrisation.
    answer : Answer
        What was found.
    met : str
        The status if everything is proved: "converged" or "infeasible".
    image : ndarray of shape (M,), optional
        What A x should be (default: y, or its projection where that has no solution).

    Returns
    -------
    LimitResult
        "stalled" if a check fails.
    """
    A, y, x = scaled.A, scaled.y, answer.x
    if image is None:
        image = y if scaled.consistent else scaled.image
    # A projection may be far below y in some rows, and is known to the rounding of y there.
    size = np.maximum(np.abs(image), np.abs(y))
    # Rows of entries below rounding of the signal are known to that rounding only.
    z = np.abs(x / scaled.d)
    size = size + BELOW * np.max(scaled.norms * z) / scaled.r
    kept = scaled.rows.kept
    good = np.isfinite(x).all() and row_residual(A, x, image, size) <= (
        _met(scaled) if len(kept) == len(A) else CONSISTENT
    )
    if good and len(kept) < len(A):  # the other rows follow, as far as these determine them
        good = row_residual(A[kept], x, image[kept], size[kept]) <= _met(scaled)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        residual = float(np.linalg.norm(A @ x - y)) / (np.linalg.norm(y) or 1.0)
        l1_norm = _upper(scaled, x, image, answer.etas, model.positive)
        lower = _first_bound(scaled, answer.etas, model.positive)
    status = met if answer.proved and good else "stalled"
    what = "nonnegative " if model.positive else ""
    messages = {
        "converged": "x is the limit and solves A x = y",
        "infeasible": f"A x = y has no {what}solution: x is the flow's limit among the minimisers "
        "of the loss",
        "stalled": f"no convergence after {answer.work} factorisations: x is not the limit",
    }
    determined = (z > _DETERMINED * z.max()) & answer.exact
    return LimitResult(
        x=x,
        dual=answer.dual,
        l1_norm=l1_norm,
        lower_bound=min(lower, l1_norm),
        gap=l1_norm - min(lower, l1_norm),
        residual=residual,
        iterations=answer.work,
        status=status,
        message=messages[status],
        determined=determined,
    )


def _upper(scaled, x, image, etas, positive: bool) -> float:
    """Return a bound of Q from above: ||x||_1 and what mends A x = y.

    The minimum as a function of y has the dual variable as slope: what is missing costs
    <|y - A x|, |eta|>, more than its least-norm correction where entries must stay positive.
    """
    # Extended precision, where the machine has it, for the entries that decide the last digits.
    A = scaled.A
    large = np.abs(x) > 1e-4 * np.abs(x).max()
    missing = image - A[:, large].astype(np.longdouble) @ x[large]
    missing = (missing - A @ np.where(large, 0.0, x)).astype(np.float64)
    # What the support can mend it does, so that no entry of a positive signal changes its sign.
    missing = np.ldexp(scaled.r * missing, scaled.exponent)[scaled.rows.kept]
    B = scaled.rows.reduced
    correction, whole = 0.0, missing
    if missing.any():
        support = np.flatnonzero(np.abs(x) > 1e-6 * np.abs(x).max())
        if positive and len(support) <= len(B):
            mended = np.linalg.lstsq(B[:, support], missing, rcond=None)[0]
            missing = missing - B[:, support] @ mended
            correction = np.abs(mended * scaled.d[support]).sum()
        cost = 0.0
        if positive and etas and etas[0].any():
            top = np.max((B.T @ etas[0]) / scaled.d)
            cost = np.abs(etas[0]) @ np.abs(whole) / top if top > 0 else 0.0
        z, _ = scaled.rows.solve(missing)
        correction = max(correction, cost)
        correction = np.ldexp(correction + np.abs(z * scaled.d).sum(), -scaled.exponent)
    total = np.abs(x).sum(dtype=np.longdouble) + 1.01 * correction
    return float(np.nextafter(float(total), np.inf))


def _first_bound(scaled, etas, positive: bool) -> float:
    """Return the bound of the flow's own dual; where rounding spoils that one, the best of all."""
    best = 0.0
    for eta in etas:
        bound, loss = _lower(scaled, eta, positive)
        best = max(best, bound)
        if loss < _SPOILT:
            break
    return best


def _lower(scaled, eta, positive: bool) -> tuple[float, float]:
    """Return (L12), and the part of the bound that rounding takes."""
    B, y, M = scaled.rows.reduced, scaled.target, len(eta)
    if not (np.isfinite(eta).all() and eta.any()):
        return 0.0, 1.0
    eta = eta / np.abs(eta).max()
    w = B.T @ eta
    w = w if positive else np.abs(w)
    rounding = (M + 3) * scaled.norms * np.linalg.norm(eta)  # >= |B|^T |eta|, in units
    highest = ~(w / scaled.d < ((w - 4 * _EPS * rounding) / scaled.d).max())
    w = B[:, highest].T.astype(np.longdouble) @ eta
    w = (w if positive else np.abs(w)) + _LONG * rounding[highest]
    top = (w / scaled.d[highest]).max()
    # y is known to its rounding only, and so is the product.
    value = eta @ y.astype(np.longdouble)
    doubt = (0.5 * _EPS + (M + 3) * _LONG) * (np.abs(eta) @ np.abs(y))
    if not (value > doubt and top > 0):
        return 0.0, 1.0
    bound = np.nextafter(float((value - doubt) / top), -np.inf)
    bound = float(np.nextafter(np.ldexp(bound, -scaled.exponent), 0.0))
    return bound if bound < np.inf else 0.0, float(doubt / value)

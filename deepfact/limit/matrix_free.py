"""The limit of the flow where A is known by its products only.

The pairs (product, slack) come down to their curve as in `deepfact.limit.interior_point`, but

* a step's matrix A D A^T, D = dp/dv, is regularised by delta and solved for the signal's step
  instead, (delta/D + A^T A) dx = A^T (y - A x) + (delta/D) f, by conjugate gradients. Its first
  term is a diagonal that stands for all entries off the support, so that delta/D + mean of
  diag(A^T A) is a good preconditioner: few products a step (Fountoulakis, Gondzio and Zhlobich,
  arXiv:1208.5435), where columns have about equal length: ``equilibrated.py``. Where it
  is slow, ``conjugate_gradients.py`` draws columns for a better one. The dual variable's
  step is (y - A x - A dx)/delta, and no other product is needed, for y - A x and A^T (y - A x)
  follow linearly;
* steps are bold: a slack that would vanish is held back alone, and in the signed model p and q
  are raised together where one would vanish, which changes no signal. Where that does not
  converge, cautious steps of one length for all follow;
* once the support is known, Newton steps finish with all other products on their curve;
* the claim x = X(A^T nu) is checked at the end, with a product of its own.

See "Numerics" in ``docs/statements.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.linalg import LinearOperator

from deepfact.limit.conjugate_gradients import (
    MAX_ITERATIONS,
    conjugate_gradients,
    least_norm,
)
from deepfact.limit.curve import Curve
from deepfact.limit.equilibrated import Equilibrated, Products
from deepfact.mirror_map import MirrorMap

_RESIDUAL = 1e-10  # largest ||A x - y||, relative to ||y||
_OFF_CURVE = 1e-8  # largest distance of k A^T nu from the curve, relative to its largest entry
_NEGLIGIBLE = 1e-11  # negligible products and errors of the signal, relative to its largest entry
_MAX_STEPS = 100  # most interior-point steps
_BOLD_PRODUCTS, _MAX_PRODUCTS = 600, 10000  # most products with long steps, with cautious ones
_DIMENSION = {2: 0.3, 1: 0.1}  # effective number of entries above delta as a part of M


@dataclass(frozen=True)
class OperatorLimit:
    """Signal, dual variable, certificate and account of a solve without a matrix.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The limit.
    dual : ndarray of shape (M,)
        nu with x = X(A^T nu).
    l1_norm, lower_bound : float
        Bounds of the minimal l1 norm Q from above and below.
    residual : float
        ||A x - y||/||y||; ||A x|| where y = 0.
    products : int
        Applications of A and A^T.
    converged : bool
        Whether A x = y and x = X(A^T nu) hold to the accuracy of `operator_limit`.
    """

    x: np.ndarray
    dual: np.ndarray
    l1_norm: float
    lower_bound: float
    residual: float
    products: int
    converged: bool


@dataclass
class _State:
    """Where the iteration stands."""

    p: np.ndarray  # (branches, N), products
    s: np.ndarray  # (branches, N), how far v is below the curve
    v: np.ndarray  # (branches, N), +-c A^T eta
    sigma: np.ndarray  # (branches, N), 1 - theta v
    eta: np.ndarray  # (M,), k nu
    error: np.ndarray  # (M,), y - A x
    pulled: np.ndarray  # (N,), A^T (y - A x)


@np.errstate(all="ignore")  # what is not finite is looked for, and ends the iteration
def operator_limit(A: LinearOperator, y: np.ndarray, model: MirrorMap) -> OperatorLimit:
    """Solve A x = y with x = X(A^T nu) by products with A and A^T.

    Parameters
    ----------
    A : LinearOperator of shape (M, N)
        With an adjoint.
    y : ndarray of shape (M,)
        Measurements in the range of A.
    model : MirrorMap
        With a deformation or the identity, as a `deepfact.DeepFactorization` is.

    Returns
    -------
    OperatorLimit
        ``converged`` means ||A x - y|| <= 1e-10 ||y||, and for each i either
        x_i = X((A^T nu + e/k)_i) with |e_i| <= 1e-8 max(1, max |k A^T nu|), or
        |x_i - X((A^T nu)_i)| <= 2e-11 max |x|. An error e is a change of the start: X(w + e/k) is
        X(w) for factors that start at alpha_i (1 - theta e_i)^(-1/(L-2)), for L = 2 at
        alpha_i exp(e_i/2), in place of alpha_i (with -e_i for the factors of q).

    Raises
    ------
    ValueError
        If A has no adjoint.

    Notes
    -----
    The bounds of Q take products to be accurate to sqrt(N) + 10 units of rounding times ||A||
    times the vector's length, and ||A|| to be at most twice what its products have shown.
    Source: sections "Dual picture" and "Numerics" of ``docs/statements.md``.
    """
    products = Products(A)
    equilibrated = Equilibrated(products)
    start = model.signal(np.zeros(A.shape[1]))
    if np.array_equal(products.forward(start) if model.positive else 0 * y, y):
        x, dual, met = start, 0 * y, True
    elif model.identity:
        x, dual, met = least_norm(products, y, 1e-12)
    else:
        x, dual, met = _interior_point(equilibrated, y, model, bold=True)
        if not met:
            x, dual, met = _interior_point(equilibrated, y, model, bold=False)
    return _certify(products, y, np.nan_to_num(x), np.nan_to_num(dual), met, model)


def _interior_point(A, y, model, bold):
    """Return (x, dual, converged)."""
    start = np.zeros(A.full) + model.signal(np.zeros(A.full))  # stays so where a column is zero
    M, N = A.shape
    if N == 0:  # every column is zero
        return start, 0 * y, False
    y = A.rows * y
    back = A.adjoint(y)
    image = A.forward(back)
    length = (back @ back) / (image @ image)
    mean = M / (N * length)  # of diag(A^T A) where A A^T is near a multiple of the identity
    x = length * back
    scale = np.abs(x).max()
    if not 0 < scale < np.inf:
        return start, 0 * y, False
    log_rate, log_a = (
        A.restrict(each) - A.log_columns for each in (model.log_rate, model.log_product)
    )
    log_a = log_a - np.log(scale)
    theta = float(model.deformation or 0.0)
    if theta > 0:  # below rounding of the signal a has no effect
        log_a = np.maximum(log_a, -max(80.0, 30.0 / theta))
    signs = np.array([[1.0], [-1.0]])[: 1 if model.positive else 2]
    curve = Curve(theta, signs, np.exp(log_rate - log_rate.max()), log_a)
    x, y = x / scale, y / scale
    p = np.maximum(signs * x, 0.0) + np.maximum(np.abs(x).mean(), 2 * np.exp(log_a))
    zero = np.zeros_like(p)
    st = _State(p, curve.above(p, zero, zero + 1), zero, zero + 1, 0 * y, 0 * y, 0 * x)
    _measure(A, y, st, curve.signal(p))
    size, centre, shrink, goal = np.linalg.norm(y), 0.1, 1.0, np.inf
    support, settled, careful, least = None, False, not bold, np.inf
    limit = A.work + (_BOLD_PRODUCTS if bold else _MAX_PRODUCTS)
    for _ in range(_MAX_STEPS):
        error, gap = np.linalg.norm(st.error) / size, np.sum(st.p * st.s) / np.sum(st.p)
        if A.work > limit or not np.isfinite(error + gap):
            break
        if bold and max(error, gap) > 30 * least:
            break
        least = min(least, max(error, gap))
        if support is not None and error < 1e-3 and gap < min(goal, 1e-4 * max(1.0, st.s.max())):
            ratio = st.p / st.s * (st.s.sum() / st.p.sum())
            settled = settled and not np.any((ratio > 1e-2) & (ratio < 1))  # a clear support
            if settled or (error < _RESIDUAL and gap < _RESIDUAL):
                final = _finish(A, y, st, curve, support, mean)
                if final is not None:
                    x, eta = final
                    return A.put(start, scale * x), A.rows * eta * np.exp(-log_rate.max()), True
                goal = 1e-2 * gap
        careful = careful or gap < 1e-6
        previous = support
        centre, change, support = _advance(A, st, curve, centre, shrink, mean, careful, bold)
        settled = previous is not None and np.array_equal(previous, support)
        if careful:
            shrink = min(1.0, shrink * change)
    x = A.put(start, scale * curve.signal(st.p))
    return x, A.rows * st.eta * np.exp(-log_rate.max()), False


def _measure(A, y, st, x) -> None:
    """Compute y - A x and its image under A^T afresh."""
    st.error = y - A.forward(x)
    st.pulled = A.adjoint(st.error)


def _advance(A, st, curve, centre, shrink, mean, careful, bold):
    """Take one step in place; return the next centring, delta's change, and the support."""
    lag = curve.lag(st.p)
    drift = curve.above(st.p, st.v, st.sigma) - st.s
    product = st.p * st.s
    target = centre * product.mean()
    free = (target - product - st.p * drift) / (lag + st.s)
    weight = curve.rate * st.p / (lag + st.s)
    cut = _threshold(weight.sum(0), _DIMENSION[len(st.p)] * len(st.eta))
    delta = shrink * mean * cut
    if careful:
        seen = weight.sum(0) > cut
        off = np.abs(drift).max(axis=0)[seen].max(initial=0.0)
        aim = max(0.3 * _OFF_CURVE, 1e-2 * min(1.0, off)), 1.0 if bold else 1e-4
    else:
        seen, aim = None, (np.inf, 0.3)
    before = A.work
    _, dp, dw, d_eta, image = _newton(A, st, curve, weight, free, delta, mean, seen, aim)
    dv = curve.signs * (curve.rate * dw)
    ds = (target - product - st.s * dp) / st.p
    keep = (0.01 if careful else 0.1) if bold else 0.0
    primal, dual = np.max(-dp / st.p), np.max(-ds / st.s)
    primal, dual = (min(1.0, 0.95 / max(step, 1e-300)) for step in (primal, dual))
    support = (weight > cut) & (dp / st.p > ds / st.s)
    next_centre = (0.01 if careful else 0.1) if min(primal, dual) > 0.3 else 0.3
    if bold and len(st.p) == 2:  # p and q rise together where one of them would vanish
        moved, primal = st.p + dp, 1.0
        st.p = moved + np.maximum(keep * st.p - moved, 0.0).max(axis=0)
    else:
        st.p = st.p + primal * dp
    st.error, st.pulled = st.error - primal * image[0], st.pulled - primal * image[1]
    dual = max(dual, 0.5) if bold else dual
    st.s = np.maximum(st.s + dual * ds, keep * st.s)
    st.v, st.eta = st.v + dual * dv, st.eta + dual * d_eta
    st.sigma = st.sigma - dual * curve.theta * dv
    support &= st.p * st.s.sum() > 0.1 * st.s * st.p.sum()
    left = np.linalg.norm(delta * d_eta)  # of y - A x, by delta
    change = 1.0
    if A.work - before >= 2 * MAX_ITERATIONS:
        change = 10.0
    elif left > 0.5 * np.linalg.norm(delta * d_eta + image[0]):
        change = 0.3
    return next_centre, change, support


def _newton(A, st, curve, weight, free, delta, mean, seen, aim):
    """Return the step of x, p, A^T eta and eta, and (A dx, A^T A dx).

    ``aim`` bounds the error left in dv on the entries ``seen``, and that of the signal's step
    relative to its start in the preconditioner's norm (where ``seen`` is None: to all of it).
    """
    D = weight.sum(0)
    diagonal = delta / D
    b = st.pulled + diagonal * curve.signal(free)
    base = b if seen is None else st.pulled
    enough = aim[1] ** 2 * (base @ (base / (diagonal + mean)))

    def done(rest, energy):
        if energy > enough:
            return False
        return seen is None or np.max((curve.rate * np.abs(rest))[seen], initial=0) < delta * aim[0]

    dx, Adx, AtAdx = conjugate_gradients(A, diagonal, mean, b, done)
    share = weight / D
    if len(weight) == 2:  # free + weight/D (dx - f), without cancellation
        dp = curve.signs * share * dx + share[::-1] * free + share * free[::-1]
    else:
        dp = dx[None]
    return dx, dp, (st.pulled - AtAdx) / delta, (st.error - Adx) / delta, (Adx, AtAdx)


def _finish(A, y, st, curve, free, mean):
    """Return (x, eta), or None where Newton steps from here do not converge.

    Products that are ``free`` are variables of their own; all others follow the curve, as far as
    that does not overtake the steps: a product whose curve has run ahead of it becomes free too.
    Each delta is so small that a step leaves a thousandth of y - A x, if the dual variable moves
    by what is missing on the curve.
    """
    st = replace(st)
    _pull(A, st, curve)
    on = _on(curve, st)
    free = free | (on > st.p)
    st.p = np.where(free, st.p, on)
    x = curve.signal(st.p)
    _measure(A, y, st, x)
    size, cap, best, fresh = np.linalg.norm(y), np.inf, (np.inf, np.inf), True
    for _ in range(20):
        if not np.isfinite(x).all():
            return None
        drift = np.where(free, curve.above(st.p, st.v, st.sigma), 0.0)
        sizes = np.maximum(st.p, _on(curve, st)) * A.columns  # of the signal as it was given
        matters = sizes > _NEGLIGIBLE * (st.p * A.columns).max()
        error, off = np.linalg.norm(st.error) / size, np.abs(drift).max(initial=0.0, where=matters)
        tolerance = _OFF_CURVE * max(1.0, np.abs(st.v).max())
        if error < 0.5 * _RESIDUAL and off < tolerance:
            if fresh:
                return x, st.eta
            _pull(A, st, curve)
            fresh = True
            continue
        if not (error < 0.1 * best[0] or off < 0.1 * best[1]):
            return None
        best, fresh = (error, off), False
        lag = curve.lag(st.p)
        weight = np.maximum(curve.rate * st.p / lag, 1e-100)
        D, columns = weight.sum(0), free.any(axis=0)
        if not columns.any():
            columns = D > 0
        level = mean * np.median(D[columns])
        wanted = max(np.linalg.norm(drift / curve.rate), _OFF_CURVE)
        delta = min(1e-3 * np.sqrt(mean) * size * max(error, _RESIDUAL) / wanted, 1e-3 * level, cap)
        aim = max(0.3 * tolerance, min(1e-3 * min(off, 1.0), 0.1 * off**2))
        seen = columns | (mean * D > delta)
        dx, dp, dw, d_eta, image = _newton(
            A, st, curve, weight, -st.p * drift / lag, delta, mean, seen,
            (aim, max(1e-4, 0.1 * _RESIDUAL / error)),
        )  # fmt: skip
        if np.linalg.norm(delta * d_eta) > 0.1 * np.linalg.norm(st.error):
            cap = 1e-2 * delta
        dv = curve.signs * (curve.rate * dw)
        st.v, st.sigma, st.eta = st.v + dv, st.sigma - curve.theta * dv, st.eta + d_eta
        on = _on(curve, st)
        least = max(1e-4 * error, 0.1 * _RESIDUAL) * size / np.sqrt(mean)
        free = (mean * weight > 0.1 * delta) | (on > np.maximum(st.p, least))
        moved = np.maximum(st.p + dp, np.maximum(0.01 * st.p, np.minimum(on, least)))
        st.p = np.where(free, moved, on)
        st.error, st.pulled = st.error - image[0], st.pulled - image[1]
        predicted, x = x + dx, curve.signal(st.p)
        if not np.abs(x - predicted).sum() < 1e-12 * np.abs(x).sum():
            _measure(A, y, st, x)
    return None


def _pull(A, st, curve) -> None:
    """Compute v from the dual variable afresh, for steps add rounding."""
    st.v = curve.signs * (curve.rate * A.adjoint(st.eta))
    st.sigma = 1 - curve.theta * st.v


def _on(curve, st):
    """Return the products on the curve, infinite beyond its end."""
    return np.where(st.sigma > 0, curve.on(st.v, st.sigma), np.inf)


def _threshold(D, dimension) -> float:
    """Return t with sum D/(D + t) = dimension, from a sample of D."""
    goal = min(dimension / len(D), 0.9)
    D = D[:: max(1, len(D) // 2**16)]
    low, high = np.log(D.min()) - 5, np.log(D.max()) + 15
    for _ in range(50):
        middle = 0.5 * (low + high)
        if np.mean(1 / (1 + np.exp(middle) / D)) > goal:
            low = middle
        else:
            high = middle
    return float(np.exp(high))


def _off_curve(x, w, entries, model) -> float:
    """Return the largest k |X^{-1}(x) - w| over some entries, relative to max(1, k |w|)."""
    if not entries.any():
        return 0.0
    part = model.restrict(entries)
    off = np.exp(part.log_rate) * np.abs(part.potential_gradient(x[entries]) - w[entries])
    return float(off.max() / max(1.0, np.max(np.exp(model.log_rate) * np.abs(w))))


def _certify(A, y, x, dual, met, model) -> OperatorLimit:
    """Return the result with bounds of Q that rounding in the products cannot overturn."""
    M, N = A.A.shape
    w = A.adjoint(dual)
    if met and not model.identity:
        off = ~(np.abs(x - model.signal(w)) <= 2 * _NEGLIGIBLE * np.abs(x).max())
        met = _off_curve(x, w, off, model) <= 1.1 * _OFF_CURVE
    missing = y - A.forward(x)
    residual = float(np.linalg.norm(missing) / (np.linalg.norm(y) or 1.0))
    repair, _, repaired = least_norm(A, missing, 1e-3, 30 if met else 200)
    unit = (np.sqrt(max(M, N)) + 10) * np.finfo(np.float64).eps * 2 * A.norm
    hidden = unit * np.linalg.norm(x) / (np.linalg.norm(missing) or 1.0)
    upper = np.abs(x).sum(dtype=np.longdouble)
    if missing.any():
        upper += 1.01 * (1 + hidden) * np.abs(repair).sum() if repaired else np.inf
    top = (w if model.positive else np.abs(w)).max() + unit * np.linalg.norm(dual)
    value = dual.astype(np.longdouble) @ y
    value -= (M + 3) * float(np.finfo(np.longdouble).eps) * (np.abs(dual) @ np.abs(y))
    lower = float(value / top) if value > 0 and top > 0 else 0.0
    return OperatorLimit(
        x=x,
        dual=dual,
        l1_norm=float(np.nextafter(float(upper), np.inf)),
        lower_bound=float(np.nextafter(lower, -np.inf)) if 0 < lower < np.inf else 0.0,
        residual=residual,
        products=A.count,
        converged=bool(met and residual <= _RESIDUAL),
    )

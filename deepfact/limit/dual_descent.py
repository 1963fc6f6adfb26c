"""The last phase where the dual variable holds every product: descent of the dual objective."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import deformed_exponent
from deepfact.limit.curve import Curve
from deepfact.limit.factors import factorise
from deepfact.limit.state import FLOOR, Point, State


def descend(st: State, curve: Curve, size: float):
    """Finish on the dual variable alone, by regularised Newton steps with a line search.

    The steps are as long as the convex dual objective falls along them: products off the support
    that must shrink by a common factor would otherwise do so by a factor of e a step.

    Parameters
    ----------
    st : State
        Where the iteration stands.
    curve : Curve
        The model in the units of the problem.
    size : float
        ||y||, or what stands for it.

    Returns
    -------
    point : Point
        Where the steps ended.
    met : bool
        Whether the equations are met.
    count : int
        Factorisations.
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
        solve = factorise(st, curve, np.maximum(slope + 0.1 * rest * np.mean(np.abs(x)), FLOOR))
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
    point = Point(x, p, 1.0 - theta * both_v, st.outside(st.eta))
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

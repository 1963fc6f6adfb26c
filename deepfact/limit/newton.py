"""The last phase of the interior-point method: Newton steps with few factorisations."""

from __future__ import annotations

import numpy as np

from deepfact.limit.curve import Curve
from deepfact.limit.factors import factorise, rescaled
from deepfact.limit.slacks import with_slacks_on_curve
from deepfact.limit.state import Point, State


def refine(st: State, curve: Curve, size: float):
    """Put every product on its curve and take Newton steps, with few more factorisations.

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
    point : Point or None
        Where the steps ended, if the equations are met.
    met : bool
        Whether they are.
    count : int
        Factorisations.
    """
    free = st.sigma < 0.1
    point = (st.p, st.v, st.sigma, st.eta)
    if not st.settled:
        point = with_slacks_on_curve(st.A, curve, point, free)
        if point is None:
            return None, False, 0
    count, off = 0, np.inf
    while count < 4:
        p, v, sigma, eta = point
        p = np.where(free, p, curve.on(v, sigma))
        eta = st.outside(eta)  # the factorisation may rotate the rows
        solve, count = factorise(st, curve, curve.slope(p, sigma, free)), count + 1
        if solve is None:
            break
        before, point = off, (p, v, sigma, st.inside(eta))
        point, off = _newton(st, curve, size, point, free, solve)
        if off < 1e-12:
            return _on_curve(st, curve, point, free, not st.settled), True, count
        if not off < 0.3 * before:
            break
    return None, False, count


def follow(st: State, curve: Curve, guesses, last=None, graded=True):
    """Take Newton steps from the first guess that is in the domain, refactoring as needed.

    Parameters
    ----------
    st : State
        Where the iteration stands.
    curve : Curve
        The model in the units of the problem.
    guesses : iterable of tuple
        Pairs of a point (None outside the domain) and of what is free in it.
    last : tuple, optional
        A factorisation and its slope, to begin with (default: none).
    graded : bool, optional
        Ask for small products to their own accuracy (default: True).

    Returns
    -------
    point : Point or None
        The limit, if the steps converge.
    count : int
        Factorisations.
    last : tuple or None
        The last factorisation and its slope.
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
            last, count = (factorise(st, curve, slope), slope), count + 1
            if last[0] is None:
                break
        point = (p, v, sigma, st.inside(eta))
        before = off
        solve = rescaled(st, last[0], last[1], slope)
        point, off = _newton(st, curve, size, point, free, solve, graded)
        eta = st.outside(point[-1])
        point = (*point[:-1], eta)
        if off < 1e-12:
            return _on_curve(st, curve, (*point[:-1], st.inside(eta)), free, True), count, last
        if count and not off < 0.9 * before:
            break
    return None, count, None


def _on_curve(st: State, curve: Curve, point, free, independent: bool) -> Point:
    """Return the point with the slack of its products, where those are variables."""
    p, _, sigma, eta = point
    return Point(
        curve.signal(p), p, np.where(free, curve.lag(p), sigma), st.outside(eta), independent
    )


def _newton(st: State, curve: Curve, size: float, point, free, solve, graded=True):
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
        d_eta = solve(error + A_free @ pull[columns])  # (L8)
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

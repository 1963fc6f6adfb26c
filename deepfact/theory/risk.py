"""The flow's risk in high dimension, at every init scale and for every mirror map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from deepfact.arguments import as_real_array, as_real_number
from deepfact.mirror_map import MirrorMap

_REACH = 9.0  # standard deviations of the normal law that count
_PIECES = np.linspace(-_REACH, _REACH, 25)
# Where the proximal map bends: at signals of these sizes, relative to the effective noise.
_BENDS = np.array([1e-12, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_LOG_PENALTY = (-690.0, 690.0)


@dataclass(frozen=True)
class FlowRisk:
    """The asymptotic risk of the flow's limit, and the scalar problem that it comes from.

    Parameters
    ----------
    mse : float
        lim ||x_inf - x*||^2/N.
    effective_noise : float
        t: x_inf looks like the proximal map of b F at x* + t Z, entry by entry.
    penalty : float
        b; 0 where A x = y has no solution, so that x_inf minimises the loss.
    """

    mse: float
    effective_noise: float
    penalty: float


def flow_risk(
    ratio: float,
    noise_variance: float,
    values: np.ndarray,
    probabilities: np.ndarray | None,
    mirror_map: MirrorMap,
) -> FlowRisk:
    """Compute the mean squared error of the flow's limit as M, N -> infinity.

    For y = A x* + e with A_ij ~ N(0, 1/M), M/N -> delta, e_i ~ N(0, sigma^2) and entries of x* of
    law x, the limit of the flow (alpha fixed) has the risk delta (t^2 - sigma^2), where

        t^2 = sigma^2 + E (P(x + t Z) - x)^2/delta,   E P'(x + t Z) = delta,

    Z ~ N(0, 1) and P is the proximal map of b F: P(v) = X(w) with X(w) + b w = v. A large init
    scale gives ridgeless least squares, alpha -> 0 the interpolator of least l1 norm.

    Parameters
    ----------
    ratio : float
        delta = M/N > 0.
    noise_variance : float
        sigma^2 >= 0 of each measurement.
    values : array_like of shape (K,)
        The values of an entry of x*, or a sample of them.
    probabilities : array_like of shape (K,) or None
        Their probabilities, with sum 1; None for a sample: all alike.
    mirror_map : MirrorMap
        The parametrisation, with one init scale for all coordinates.

    Returns
    -------
    FlowRisk
        With ``mse``, the mean squared error per coordinate.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If one is out of its range, the probabilities do not sum to 1, or the risk is infinite, as
        that of least squares is at ratio = 1 with noise.

    Notes
    -----
    Statement T4 of ``docs/overparameterization.md``. Derived here, from the convex Gaussian
    min-max theorem as for the lasso.

    Examples
    --------
    >>> import deepfact as df
    >>> lazy = df.DeepFactorization(2, alpha=100.0)
    >>> risk = flow_risk(0.5, 0.1, [0.0, 1.0], [0.9, 0.1], lazy)
    >>> round(risk.mse, 4)  # least squares: 0.1 (1 - 0.5) + 0.1 * 0.5^2/(1 - 0.5)
    0.1
    """
    ratio = as_real_number("ratio", ratio, above=0.0)
    noise_variance = as_real_number("noise_variance", noise_variance, minimum=0.0)
    values = as_real_array("values", values, ndim=1)
    if probabilities is None:
        probabilities = np.full(len(values), 1.0 / len(values))
    probabilities = as_real_array("probabilities", probabilities, ndim=1)
    if len(probabilities) != len(values):
        raise ValueError(
            f"probabilities must have the length {len(values)} of values, got {len(probabilities)}"
        )
    if probabilities.min() < 0 or abs(probabilities.sum() - 1) > 1e-9:
        raise ValueError(f"probabilities must be >= 0 and sum to 1, got {probabilities.sum()}")
    if not isinstance(mirror_map, MirrorMap):
        raise TypeError(f"mirror_map must be a MirrorMap, got {type(mirror_map).__name__}")
    law = _Law(values, probabilities, mirror_map, float(mirror_map.signal(np.zeros(1))[0]))

    def excess(log_noise):
        """Return by how much the state evolution's right side exceeds t^2, relative to that."""
        noise = np.exp(log_noise)
        penalty = _penalty(law, noise, ratio)
        error, _ = law.moments(noise, penalty)
        return (noise_variance + error / ratio) / noise**2 - 1.0

    second = float(probabilities @ (values - law.start) ** 2)
    top = 0.5 * np.log(max(noise_variance + second / ratio, 1e-200))
    # From above, so that the largest solution is found: there may be others.
    high = top
    for _ in range(60):
        if excess(high) <= 0:
            break
        high += 0.7
    else:
        raise ValueError(f"ratio must be such that the risk is finite, got {ratio}")
    low, least = high, 0.5 * np.log(noise_variance) if noise_variance else high - 60.0
    while excess(low) <= 0:
        if low <= least:
            break
        high, low = low, max(low - 0.35, least)
    log_noise = brentq(excess, low, high, xtol=1e-12, rtol=1e-12) if high > low else low
    noise = float(np.exp(log_noise))
    penalty = _penalty(law, noise, ratio)
    return FlowRisk(float(law.moments(noise, penalty)[0]), noise, penalty)


def _penalty(law, noise, ratio) -> float:
    """Return b with E P' = ratio; 0 where E P' is smaller than that for every b."""

    def excess(log_penalty):
        return law.moments(noise, float(np.exp(log_penalty)))[1] - ratio

    if excess(_LOG_PENALTY[0]) <= 0:
        return 0.0
    # The proximal map of large maps bends where b w is of the signal's size.
    high = 2 * np.log(noise)
    low = high
    while excess(high) > 0 and high < _LOG_PENALTY[1]:
        high += 4.0
    while excess(low) < 0 and low > _LOG_PENALTY[0]:
        low -= 4.0
    return float(np.exp(brentq(excess, low, high, xtol=1e-12, rtol=1e-13)))


@dataclass(frozen=True, eq=False)
class _Law:
    """The law of an entry and the map that the flow applies to it."""

    values: np.ndarray
    probabilities: np.ndarray
    mirror_map: MirrorMap
    start: float  # X(0)

    def moments(self, noise, penalty) -> tuple[float, float]:
        """Return E (P(x + t Z) - x)^2 and E P'(x + t Z), by Gauss-Legendre on pieces."""
        x = self.values[:, None]
        with np.errstate(all="ignore"):
            size = self.start + noise * np.concatenate([-_BENDS[::-1], _BENDS])
            bends = size + penalty * self.mirror_map.potential_gradient(size)
            bends = np.append(bends[np.isfinite(bends)], self.start)
        edges = np.clip((bends - x) / noise, -_REACH, _REACH)
        edges = np.concatenate([edges, np.broadcast_to(_PIECES, (len(x), len(_PIECES)))], axis=1)
        edges = np.sort(edges, axis=1)[..., None]
        half = 0.5 * np.diff(edges, axis=1)
        z = (edges[:, :-1] + half + half * _NODES).reshape(len(x), -1)
        weight = (half * _WEIGHTS).reshape(z.shape) * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        weight *= self.probabilities[:, None]
        signal, slope = proximal_map(self.mirror_map, x + noise * z, penalty)
        return float(np.sum(weight * (signal - x) ** 2)), float(np.sum(weight * slope))


def proximal_map(
    mirror_map: MirrorMap, v: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Compute P(v) = argmin_x (x - v)^2/2 + b D_F(x, x(0)) and P'(v), entry by entry.

    P(v) = X(w) with X(w) + b w = v, and P'(v) = X'(w)/(X'(w) + b). For alpha -> 0 this is
    soft thresholding.

    Parameters
    ----------
    mirror_map : MirrorMap
        The map X with one init scale.
    v : ndarray
        Points of any shape.
    penalty : float
        b >= 0; for 0 the nearest point of the closure of the map's range.

    Returns
    -------
    signal, slope : ndarray
        P(v) and P'(v), of the shape of ``v``.

    Notes
    -----
    Statement T4 of ``docs/overparameterization.md``. Newton's method in w, kept in a
    bracket, then in x.
    """
    v = np.asarray(v, dtype=np.float64)
    start = mirror_map.signal(np.zeros_like(v))
    with np.errstate(all="ignore"):
        gradient = mirror_map.potential_gradient(v)
        above = v > start
        if penalty == 0:
            inside = np.isfinite(gradient)
            return np.where(inside, v, np.minimum(start, 0.0)), inside.astype(np.float64)
        gradient = np.where(np.isnan(gradient), np.where(above, np.inf, -np.inf), gradient)
        free = (v - start) / penalty
        bound = np.where(above, np.minimum(free, gradient), np.maximum(free, gradient))
        low, high = np.where(above, 0.0, bound), np.where(above, bound, 0.0)
        w = bound.copy()
        for _ in range(200):
            value = mirror_map.signal(w) + penalty * w - v
            slope = mirror_map.signal_derivative(w) + penalty
            beyond = ~np.isfinite(value)
            value = np.where(beyond, np.where(w > 0, np.inf, -np.inf), value)
            low, high = np.where(value < 0, w, low), np.where(value > 0, w, high)
            moved = w - value / slope
            inside = (moved >= low) & (moved <= high)
            moved = np.where(inside, moved, 0.5 * (low + high))
            still = (np.abs(moved - w) <= 4e-16 * np.abs(w)) | (value == 0)
            w = np.where(value == 0, w, moved)
            if still.all():
                break
        signal, slope = mirror_map.signal(w), mirror_map.signal_derivative(w)
        share = np.where(np.isfinite(slope), slope / (slope + penalty), 1.0)
        for _ in range(3):  # where X is steep, w does not hold its value to all digits
            off = signal + penalty * mirror_map.potential_gradient(signal) - v
            signal = np.where(np.isfinite(off) & (share > 1e-6), signal - share * off, signal)
        return signal, share

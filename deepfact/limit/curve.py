"""The curve of the interior-point method: products p = a e(v), in the units of the problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """The model in the units of the scaled problem."""

    theta: float
    signs: np.ndarray  # (branches, 1)
    rate: float | np.ndarray  # c = k / max k
    log_a: np.ndarray

    def lag(self, p: np.ndarray) -> np.ndarray:
        """Return (a/p)^theta, the slack on the curve (1 for L = 2)."""
        return np.exp(self.theta * (self.log_a - np.log(p)))

    def above(self, p: np.ndarray, v: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return log_e(p/a) - v without cancellation: (L3)."""
        if self.theta == 0:
            return np.log(p) - self.log_a - v
        return (sigma - self.lag(p)) / self.theta

    def on(self, v: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """Return the products on the curve, a e(v): (L2)."""
        if self.theta == 0:
            return np.exp(self.log_a + v)
        return np.where(sigma > 0, np.exp(self.log_a - np.log(sigma) / self.theta), 0.0)

    def slope(self, p: np.ndarray, sigma: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return dx/dv on the curve, sum over the branches of p/(a/p)^theta."""
        return (p / np.where(free, self.lag(p), sigma)).sum(0)

    def signal(self, p: np.ndarray) -> np.ndarray:
        """Return p, or p - q."""
        return (self.signs * p).sum(0)


def scaled_curve(log_product, scale: float, rate, theta: float, signed: bool) -> Curve:
    """Return the model's curve for a problem whose signal is divided by ``scale``.

    Parameters
    ----------
    log_product : float or ndarray of shape (N,)
        log a.
    scale : float
        What the signal is divided by.
    rate : float or ndarray of shape (N,)
        k divided by its largest entry.
    theta : float
        Deformation 1 - 2/L.
    signed : bool
        Signed or positive model.

    Returns
    -------
    Curve
        The curve.
    """
    log_a = np.asarray(log_product) - np.log(scale)
    # Off the support the products are of order a: below rounding of the signal a has no effect.
    # All are raised by one factor: their ratios weigh the products of a face.
    if theta > 0:
        log_a = log_a + max(0.0, -max(80.0, 30.0 / theta) - float(np.max(log_a)))
    return Curve(theta, np.array([[1.0], [-1.0]])[: 2 if signed else 1], rate, log_a)

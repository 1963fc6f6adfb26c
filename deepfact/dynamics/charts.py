"""Neighbourhoods of a point of the flow, in coordinates that lose no slack to cancellation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepfact.mirror_map import MirrorMap


class DualChart:
    """The neighbourhood of a dual variable w for any mirror map: increments v of w itself."""

    def __init__(self, model: MirrorMap, w: np.ndarray) -> None:
        self.model, self.w = model, w
        self.x = model.signal(w)

    def signal(self) -> np.ndarray:
        """Return the signal X(w) at the base point."""
        return self.x

    def slope(self) -> np.ndarray:
        """Return X'(w)."""
        return self.model.signal_derivative(self.w)

    def rate(self) -> np.ndarray:
        """Return the factor from increments of w to the coordinate v whose size matters."""
        return np.ones_like(self.w)

    def increments(self, rate: np.ndarray) -> tuple[Callable, Callable]:
        """Return v -> X(w + v/rate) - X(w) and its derivative; not finite outside the domain."""
        return (
            lambda v: self.model.signal(self.w + v / rate) - self.x,
            lambda v: self.model.signal_derivative(self.w + v / rate) / rate,
        )

    def moved(self, v: np.ndarray, rate: np.ndarray) -> DualChart:
        """Return the neighbourhood of the point at the increment v."""
        return DualChart(self.model, self.w + v / rate)

    def distance(self, v: np.ndarray) -> float:  # noqa: ARG002
        """Return how far away v is, in units of the neighbourhood's radius."""
        return 0.0

    def rounding(self) -> np.ndarray:
        """Return the error of x that comes from the spacing of doubles near w."""
        return np.finfo(float).eps * np.abs(self.w) * self.slope()


class GrowthChart:
    """The neighbourhood of a state of a map with a deformation, held as log(products / a).

    With p = a e^g the product of the factors, p(w + dw) = p e(r dw), r = k e^(theta g): each
    point of the trajectory is the start of another one, and no slack is lost to cancellation.
    """

    def __init__(self, model: MirrorMap, growth: np.ndarray) -> None:
        self.model, self.growth, self.theta = model, growth, float(model.deformation or 0.0)
        self.sign = np.array([[1.0], [-1.0]])[: growth.shape[-2]]
        self.rates = np.exp(model.log_rate + self.theta * growth)
        self.products = np.exp(model.log_product + growth)

    def signal(self) -> np.ndarray:
        """Return the signal X(w) at the base point."""
        x = np.sum(self.sign * self.products, axis=-2)
        if len(self.sign) == 1:
            return x
        g, h = self.growth[..., 0, :], self.growth[..., 1, :]
        half = 0.5 * (g - h)
        small = np.abs(half) < 1.0
        middle = np.exp(self.model.log_product + 0.5 * (g + h))
        return np.where(small, 2.0 * middle * np.sinh(np.where(small, half, 0.0)), x)

    def slope(self) -> np.ndarray:
        """Return X'(w)."""
        return np.sum(self.products * self.rates, axis=-2)

    def rate(self) -> np.ndarray:
        """Return the factor from increments of w to the coordinate v whose size matters."""
        return np.max(self.rates, axis=-2)

    def increments(self, rate: np.ndarray) -> tuple[Callable, Callable]:
        """Return v -> X(w + v/rate) - X(w) and its derivative."""
        theta, share = self.theta, self.sign * self.rates / rate
        signed, steep = self.sign * self.products, self.products * np.abs(share)

        def increment(v):
            terms = np.expm1(_log_growth(share * v[..., None, :], theta))
            terms *= signed
            return terms[..., 0, :] + terms[..., 1, :] if len(self.sign) == 2 else terms[..., 0, :]

        def slope(v):
            return np.sum(steep * np.exp((1.0 + theta) * _log_growth(share * v, theta)), axis=0)

        return increment, slope

    def moved(self, v: np.ndarray, rate: np.ndarray) -> GrowthChart:
        """Return the neighbourhood of the point at the increment v."""
        change = _log_growth(self.sign * self.rates / rate * v[..., None, :], self.theta)
        return GrowthChart(self.model, self.growth + change)

    def distance(self, v: np.ndarray) -> float:
        """Return how far away v is, in units of the neighbourhood's radius."""
        growing = max(v.max(), -v.min()) if len(self.sign) == 2 else v.max()
        return (self.theta or 0.02) * growing

    def rounding(self) -> np.ndarray:
        """Return the error of x that comes from the spacing of doubles near the base point."""
        return np.zeros(self.growth.shape[-1])


def _log_growth(v: np.ndarray, theta: float) -> np.ndarray:
    """Return log e(v) = -log(1 - theta v)/theta, kept finite where a trial step went too far."""
    if theta == 0:
        return np.minimum(v, 60.0)
    lost = np.maximum(-theta * v, 1e-6 - 1.0)
    return np.log1p(lost, out=lost) / -theta

"""The mirror map of x = c sinh(u): the Euclidean norm for small entries, l1 for large ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_real_number
from deepfact.mirror_map import MirrorMap


@dataclass(frozen=True)
class HyperbolicSineMap(MirrorMap):
    """The map of x = c sinh(u), started at 0: X(w) = c tan(c w) for abs(c w) < pi/2.

    The potential F(x) = (x/c) arctan(x/c) - 1/2 log(1 + (x/c)^2) is x^2/(2 c^2) near 0 and grows
    like (pi/2) abs(x)/c beyond c.

    Parameters
    ----------
    scale : float, optional
        The scale c (default: 1), positive; c -> 0 leads to l1.

    Raises
    ------
    TypeError, ValueError
        If ``scale`` is no positive number.

    Notes
    -----
    Statement T13 of ``docs/overparameterization.md``.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", as_real_number("scale", self.scale, above=0.0))

    def signal(self, w: np.ndarray) -> np.ndarray:
        """Return X(w); NaN outside the domain, where the tangent has other branches."""
        v = self.scale * np.asarray(w)
        return np.where(np.abs(v) < np.pi / 2, self.scale * np.tan(v), np.nan)

    def signal_derivative(self, w: np.ndarray) -> np.ndarray:
        """Return X'(w) = c^2 + X(w)^2."""
        return self.scale**2 + self.signal(w) ** 2

    def potential(self, x: np.ndarray) -> np.ndarray:
        """Return F(x)."""
        z = x / self.scale
        return z * np.arctan(z) - np.log1p(z * z) / 2

    def potential_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return F'(x), the inverse of X."""
        return np.arctan(x / self.scale) / self.scale

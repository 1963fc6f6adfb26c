"""The mirror map of x = sign(u) |u|^k: norms between the Euclidean one and l1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_real_number
from deepfact.mirror_map import MirrorMap


@dataclass(frozen=True)
class PowerMap(MirrorMap):
    """The map of x = sign(u) abs(u)^k with 1 <= k < 2, started at 0: its limit has least l_p norm.

    With p = 2/k and q = k/(2 - k),

        X(w) = sign(w) (k (2 - k) abs(w))^q,        F(x) = abs(x)^p/(2 (2 - k)).

    Parameters
    ----------
    power : float
        The exponent k; k = 1 is the identity, and k -> 2 leads to l1.

    Raises
    ------
    TypeError, ValueError
        If ``power`` is no number in [1, 2).

    Notes
    -----
    Statement T13 of ``docs/overparameterization.md``. For k > 1 the derivative of X vanishes at 0:
    u = 0 is a saddle, and the flow is the one that leaves it at once. From k = 2 on, F' is not
    finite at 0, and the start must be another.
    """

    power: float

    def __post_init__(self) -> None:
        power = as_real_number("power", self.power, minimum=1.0)
        if power >= 2:
            raise ValueError(f"power must be less than 2, got {power}")
        object.__setattr__(self, "power", power)

    def signal(self, w: np.ndarray) -> np.ndarray:
        """Return X(w)."""
        k = self.power
        return np.sign(w) * (k * (2 - k) * np.abs(w)) ** (k / (2 - k))

    def signal_derivative(self, w: np.ndarray) -> np.ndarray:
        """Return X'(w) = k^2 abs(x)^(2 - 2/k), the square of du^k/du."""
        k = self.power
        return k**2 * (k * (2 - k) * np.abs(w)) ** (2 * (k - 1) / (2 - k))

    def potential(self, x: np.ndarray) -> np.ndarray:
        """Return F(x)."""
        return np.abs(x) ** (2 / self.power) / (2 * (2 - self.power))

    def potential_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return F'(x), the inverse of X."""
        k = self.power
        return np.sign(x) * np.abs(x) ** ((2 - k) / k) / (k * (2 - k))

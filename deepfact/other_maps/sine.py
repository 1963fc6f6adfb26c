"""The mirror map of x = c sin(u): signals in a box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from deepfact.arguments import as_real_number
from deepfact.mirror_map import MirrorMap


@dataclass(frozen=True)
class SineMap(MirrorMap):
    """The map of x = c sin(u), started at 0: X(w) = c tanh(c w) stays within (-c, c).

    With z = x/c the potential is an entropy,

        F(x) = z artanh(z) + 1/2 log(1 - z^2) = 1/2 ((1 + z) log(1 + z) + (1 - z) log(1 - z)).

    Parameters
    ----------
    bound : float, optional
        The bound c of the box (default: 1), positive.

    Raises
    ------
    TypeError, ValueError
        If ``bound`` is no positive number.

    Notes
    -----
    Statement T13 of ``docs/overparameterization.md``. Where A x = y has no solution within the
    open box, the dual variable diverges, and `deepfact.flow_limit` says "stalled".
    """

    bound: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound", as_real_number("bound", self.bound, above=0.0))

    def signal(self, w: np.ndarray) -> np.ndarray:
        """Return X(w)."""
        return self.bound * np.tanh(self.bound * w)

    def signal_derivative(self, w: np.ndarray) -> np.ndarray:
        """Return X'(w) = (c/cosh(c w))^2, from exponentials that do not overflow."""
        decay = np.exp(-2 * np.abs(self.bound * w))
        return 4 * self.bound**2 * decay / (1 + decay) ** 2

    def potential(self, x: np.ndarray) -> np.ndarray:
        """Return F(x); NaN outside the box."""
        z = x / self.bound
        return (xlogy(1 + z, 1 + z) + xlogy(1 - z, 1 - z)) / 2

    def potential_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return F'(x), the inverse of X; infinite at the box's sides, NaN outside."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.arctanh(x / self.bound) / self.bound

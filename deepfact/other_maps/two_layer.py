"""The mirror map of two layers whose products start unequal."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_numbers, as_real_array
from deepfact.mirror_map import MirrorMap


class TwoLayerMap(MirrorMap):
    """The map X(w) = 2 a sinh(2 w + d) of depth 2 from unequal products u and v at the start.

    Parameters
    ----------
    log_a : array_like of shape (N,)
        Logarithms of the geometric means a of the two products of each coordinate.
    d : float or array_like of shape (N,)
        The tilt: half the logarithm of their ratio.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape, or exp(log_a) is 0 or infinite.

    Notes
    -----
    Statement S12 of ``docs/statements.md``: stochastic descent leads to such an effective start.
    With d = 0 it is the signed `deepfact.DeepFactorization` of depth 2.
    """

    def __init__(self, log_a: np.ndarray, d: float | np.ndarray) -> None:
        with np.errstate(over="ignore", under="ignore"):
            self.a = np.exp(as_real_array("log_a", log_a, ndim=1))
        if not (np.all(self.a > 0) and np.isfinite(self.a).all()):
            raise ValueError("log_a must keep exp(log_a) within float64")
        self.d = np.asarray(as_numbers("d", d))
        if self.d.shape not in ((), self.a.shape):
            raise ValueError(f"d must be a number or of shape {self.a.shape}, got {self.d.shape}")

    def signal(self, w: np.ndarray) -> np.ndarray:
        """Return X(w)."""
        return 2 * self.a * np.sinh(2 * w + self.d)

    def signal_derivative(self, w: np.ndarray) -> np.ndarray:
        """Return X'(w)."""
        return 4 * self.a * np.cosh(2 * w + self.d)

    def potential(self, x: np.ndarray) -> np.ndarray:
        """Return F(x), whose derivative is the inverse of X."""
        return (x * np.arcsinh(x / (2 * self.a)) - np.sqrt(x * x + 4 * self.a**2) - self.d * x) / 2

    def potential_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the inverse of X."""
        return (np.arcsinh(x / (2 * self.a)) - self.d) / 2

    def check_length(self, N: int) -> None:
        """Raise ValueError where ``log_a`` has another length than N."""
        if len(self.a) != N:
            raise ValueError(f"log_a must have length N = {N}, got {len(self.a)}")

    def restrict(self, columns: np.ndarray) -> TwoLayerMap:
        """Return the map of some coordinates."""
        d = self.d[columns] if self.d.ndim else self.d
        return TwoLayerMap(np.log(self.a[columns]), d)

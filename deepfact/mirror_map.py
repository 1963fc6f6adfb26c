"""Mirror maps: from the dual variable w = A^T nu to the signal x = X(w), and back.

Everything in deepfact that moves (flow, limit, divergence) sees a parametrisation only through the
four functions of `MirrorMap`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class MirrorMap(ABC):
    """A separable mirror map X = (grad F)^{-1} with X(0) = x(0), the start of the flow.

    A new parametrisation is one subclass with the four functions below, each acting
    entrywise on arrays whose last axis has length N. What a solver may use besides is said by
    attributes: it asks for them, never which class a map is.

    Attributes
    ----------
    positive : bool
        Whether X takes positive values only: certificates then need one side of A^T nu (default:
        False).
    deformation : float or None
        theta in [0, 1] if X(w) = a (e(k w) - e(-k w)), or a e(k w) where X is positive, with the
        deformed exponential e(v) = (1 - theta v)^(-1/theta) (e^v for theta = 0) that
        `DeepFactorization` has. There are interior-point steps for such maps, and limits from
        init scales beyond float64 (default: None).
    log_product, log_rate : float or ndarray of shape (N,)
        log a and log k of a map with a deformation (default: 0).
    identity : bool
        Whether X(w) = w, the plain flow of depth 1 (default: False).
    """

    positive: bool = False
    deformation: float | None = None
    log_product: float | np.ndarray = 0.0
    log_rate: float | np.ndarray = 0.0
    identity: bool = False

    @abstractmethod
    def signal(self, w: np.ndarray) -> np.ndarray:
        """Return X(w), the signal that belongs to the dual variable w."""

    @abstractmethod
    def signal_derivative(self, w: np.ndarray) -> np.ndarray:
        """Return X'(w) > 0."""

    @abstractmethod
    def potential(self, x: np.ndarray) -> np.ndarray:
        """Return F(x) entrywise, with F' = X^{-1}."""

    @abstractmethod
    def potential_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return F'(x) = X^{-1}(x) entrywise."""

    def divergence(self, z: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return F(z) - F(x) - F'(x)(z - x) entrywise."""
        return self.potential(z) - self.potential(x) - self.potential_gradient(x) * (z - x)

    def check_length(self, N: int) -> None:  # noqa: B027
        """Raise ValueError where the map is not one for N unknowns (default: it is for any N)."""

    def restrict(self, columns: np.ndarray) -> MirrorMap:  # noqa: ARG002
        """Return the map of some coordinates: itself, unless each has an init scale of its own."""
        return self

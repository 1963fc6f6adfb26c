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
    entrywise on arrays whose last axis has length N. What a solver may use besides is said by two
    attributes.

    Attributes
    ----------
    positive : bool
        Whether X takes positive values only: certificates then need one side of A^T nu (default:
        False).
    deformation : float or None
        theta if X is made of deformed exponentials like those of `DeepFactorization`, for which
        there are interior-point steps (default: None).
    """

    @property
    def positive(self) -> bool:
        """Whether X takes positive values only."""
        return False

    @property
    def deformation(self) -> float | None:
        """The deformation theta of the exponentials that X is made of, or None."""
        return None

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

    def restrict(self, columns: np.ndarray) -> MirrorMap:  # noqa: ARG002
        """Return the map of some coordinates: itself, unless each has an init scale of its own."""
        return self

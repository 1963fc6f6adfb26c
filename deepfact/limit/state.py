"""Where the interior-point method stands, and where a run of it ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOOR = 1e-250  # products below it, of a signal of size 1, no longer matter and must not underflow


@dataclass
class State:
    """Where the iteration stands: problem in its present basis, products, slacks, dual."""

    A: np.ndarray  # (M, N), rows rotated by Q^T
    y: np.ndarray  # (M,)
    p: np.ndarray  # (branches, N), products
    s: np.ndarray  # (branches, N), how far v is below the curve
    v: np.ndarray  # (branches, N), +-c A^T eta
    sigma: np.ndarray  # (branches, N), slacks 1 - theta v
    eta: np.ndarray  # (M,), k nu
    error: np.ndarray  # (M,), y - A x
    single: np.ndarray | None = None  # A in single precision, while steps may be that rough
    turned: np.ndarray | None = None  # Q^T (M, M), or None for the identity
    rank: int | None = None  # rows that reach the columns above the gap of D, if rotated
    rest_size: float = 0.0  # size of the entries of the other rows
    face: np.ndarray | None = None  # columns above the gap of D
    tight: np.ndarray | None = None  # columns with a small slack
    # orthonormal basis of their slacks where they are dependent
    row_space: np.ndarray | None = None
    settled: bool = False  # whether slacks on the support are near the curve

    def outside(self, eta: np.ndarray) -> np.ndarray:
        """Return a dual variable of the rotated rows for those of the problem."""
        return eta if self.turned is None else eta @ self.turned

    def inside(self, eta: np.ndarray) -> np.ndarray:
        """Return a dual variable of the problem's rows for the rotated ones."""
        return eta if self.turned is None else self.turned @ eta


@dataclass(frozen=True)
class Point:
    """Where a run ended: the signal, products, slacks, and the dual variable outside."""

    x: np.ndarray
    p: np.ndarray
    sigma: np.ndarray
    eta: np.ndarray
    independent: bool = False

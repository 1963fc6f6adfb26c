"""Least squares on a set of columns that grows and shrinks, with signs that are kept."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr_delete
from scipy.linalg.lapack import dtrtrs

_NOTHING = 1e-12  # entries of a plateau below this part of its largest are rounding
_DEPENDENT = 1e-10  # part of a column's norm outside the active span below which it lies in it


class ActiveColumns:
    """QR factors of the active columns, with one column more or less at a time.

    The factors stand at the top left of arrays that are allocated once; the rest of R is the
    identity, so that triangular solves take R as it stands.
    """

    def __init__(self, A, y, norms) -> None:
        self.A, self.y, self.norms = A, y, norms
        most = min(A.shape)
        self._Q = np.zeros((len(y), most), order="F")
        self._R = np.eye(most).copy(order="F")
        self._part = np.zeros(most)  # Q^T y
        self._index = np.zeros(most, dtype=int)
        self.size = 0
        self.residual = y

    @property
    def index(self) -> np.ndarray:
        """The active coordinates, in the order of the factors' columns."""
        return self._index[: self.size]

    def settle(self, x, side, still, newest) -> bool:
        """Move x to the minimiser over the active coordinates of the given signs, in place.

        Coordinates that end at 0 with the loss pulling them inwards become inactive: side = 0.
        Returns False where active columns depend on each other. This is Lawson and Hanson's
        method for nonnegative least squares, from the last plateau.
        """
        entered: set[int] = set()
        waiting = newest  # those of the same jump, and what is left out on the way
        while True:
            pull = side[waiting] * (self.residual @ self.A[:, waiting])
            if not (pull > still).any():
                side[waiting] = 0.0
                # One that reached its threshold but is not wanted: others do the same work.
                idle = np.abs(self.residual @ self.A[:, newest]) <= still
                return entered.issuperset(newest[idle].tolist())
            j = int(waiting[pull.argmax()])
            entered.add(j)
            if not self._append(j):
                return False
            while not self._step(x, side):
                pass
            waiting = side != 0
            waiting[self.index] = False
            waiting = waiting.nonzero()[0]

    def _step(self, x, side) -> bool:
        """Move towards the least-squares solution; return whether it was reached."""
        k, index = self.size, self.index
        goal = dtrtrs(self._R, self._part)[0][:k]
        falling = goal * side[index] <= _NOTHING * np.abs(goal).max()
        if not falling.any():
            x[index] = goal
            return True
        now = x[index]
        share = np.full(k, np.inf)
        share[falling] = now[falling] / (now[falling] - goal[falling])
        out = int(share.argmin())
        x[index] = now + share[out] * (goal - now)
        x[index[out]] = 0.0
        self._delete(out)
        return self.size == 0

    def _delete(self, out) -> None:
        k = self.size
        R = self._R[:k, :k].copy(order="F")
        Q, R = qr_delete(self._Q[:, :k], R, out, 1, "col", True, False)
        k = self.size = k - 1
        if Q.base is not self._Q:
            self._Q[:, :k] = Q[:, :k]  # a square Q stays square
        self._R[:k, :k] = R[:k]
        self._R[: k + 1, k], self._R[k, k] = 0.0, 1.0
        self._index[out:k] = self._index[out + 1 : k + 1]
        self._part[:k], self._part[k] = self.y @ self._Q[:, :k], 0.0
        self.residual = self.y - self._Q[:, :k] @ self._part[:k]

    def _append(self, j) -> bool:
        k, column = self.size, self.A[:, j].copy()
        if k == len(self._index):  # the active columns span everything
            return False
        Q = self._Q[:, :k]
        inside = column @ Q
        outside = column - Q @ inside
        again = outside @ Q
        outside -= Q @ again
        length = np.linalg.norm(outside)
        if length <= _DEPENDENT * self.norms[j]:
            return False
        outside /= length
        self._Q[:, k] = outside
        self._R[:k, k], self._R[k, k] = inside + again, length
        along = outside @ self.y
        self._part[k], self._index[k], self.size = along, j, k + 1
        self.residual = self.residual - along * outside
        return True

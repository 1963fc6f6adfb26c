"""An error bound of S5's form whose constants can be computed for one matrix and one signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import LimitResult, flow_limit
from deepfact.problem import Problem
from deepfact.statuses import require


@dataclass(frozen=True, eq=False)
class FixedSignalBound:
    """Constants of an error bound for one matrix, one support and its signs.

    Parameters
    ----------
    pseudo_inverse : ndarray of shape (s, M)
        A_S^+, for the s largest entries of the signal.
    nu : ndarray of shape (M,)
        Dual vector with (A^T nu)_S = sign(x_S) and the least possible rho.
    rho : float
        Largest abs((A^T nu)_i) off S; the bound needs it to be below 1.
    tail : float
        sigma_s(x)_1, the l1 norm of the signal off S.
    growth : float
        max_j sqrt(1 + ||A_S^+ a_j||^2)/(1 - rho) over the columns a_j off S; infinite for rho >= 1.
    """

    pseudo_inverse: np.ndarray
    nu: np.ndarray
    rho: float
    tail: float
    growth: float

    def error(self, e: np.ndarray, excess: float) -> float:
        """Bound ||z - x||_2 for every z with A z = A x + e and ||z||_1 <= ||x||_1 + excess.

        Parameters
        ----------
        e : ndarray of shape (M,)
            The noise.
        excess : float
            What the l1 norm of z may exceed that of x by.

        Returns
        -------
        float
            ||A_S^+ e||_2 + growth (excess - <nu, e> + 2 sigma_s(x)_1).
        """
        if not self.rho < 1:
            return np.inf
        spill = excess - float(self.nu @ e) + 2 * self.tail
        return float(np.linalg.norm(self.pseudo_inverse @ e)) + self.growth * spill


def fixed_signal_bound(A: np.ndarray, x: np.ndarray, s: int) -> FixedSignalBound:
    """Compute the constants of the error bound for the s largest entries of x.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    x : ndarray of shape (N,)
        The signal, with at least s nonzeros.
    s : int
        Size of the support S, at most M.

    Returns
    -------
    FixedSignalBound
        With the dual vector from a linear program.

    Raises
    ------
    RuntimeError
        If the linear program is not solved.
    """
    M, N = A.shape
    support = np.zeros(N, bool)
    support[np.argsort(-np.abs(x), kind="stable")[:s]] = True
    on, off = A[:, support], A[:, ~support]
    ones = np.ones((N - s, 1))
    found = linprog(
        np.append(np.zeros(M), 1.0),
        A_ub=np.block([[off.T, -ones], [-off.T, -ones]]),
        b_ub=np.zeros(2 * (N - s)),
        A_eq=np.hstack([on.T, np.zeros((s, 1))]),
        b_eq=np.sign(x[support]),
        bounds=[(None, None)] * M + [(0, None)],
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"linprog: {found.message}")
    nu = found.x[:M]
    rho = float(np.max(np.abs(off.T @ nu)))
    pseudo_inverse = np.linalg.pinv(on)
    spread = np.sqrt(1 + np.max(np.sum((pseudo_inverse @ off) ** 2, axis=0)))
    growth = float(spread / (1 - rho)) if rho < 1 else np.inf
    return FixedSignalBound(pseudo_inverse, nu, rho, float(np.abs(x[~support]).sum()), growth)


def limit_from(
    problem: Problem, depth: float, start: float
) -> tuple[LimitResult, DeepFactorization]:
    """Return the flow's limit from products of size ``start`` and its model.

    Parameters
    ----------
    problem : Problem
        The problem.
    depth : float
        Number L of factors.
    start : float
        a = alpha^L.

    Returns
    -------
    limit : LimitResult
        The limit, which has converged.
    model : DeepFactorization
        The signed model.

    Raises
    ------
    RuntimeError
        If the limit is not found.
    """
    model = DeepFactorization(depth, log_alpha=np.log(start) / depth)
    limit = flow_limit(problem, model)
    require(limit)
    return limit, model


def least_l1_norm(A: np.ndarray, e: np.ndarray) -> float:
    """Return q(e) = min ||v||_1 subject to A v = e.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    e : ndarray of shape (M,)
        The noise.

    Returns
    -------
    float
        The value.

    Raises
    ------
    RuntimeError
        If the linear program is not solved.
    """
    best = basis_pursuit(Problem(A, e))
    if not np.isfinite(best.value):
        raise RuntimeError(f"basis pursuit: {best.message}")
    return best.value

"""PhaseMax: a signal from magnitudes by a linear program, whose dual problem is basis pursuit."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from deepfact.arguments import as_real_array, check_problem
from deepfact.problem import Problem


def phase_max_problem(vectors: np.ndarray, magnitudes: np.ndarray, anchor: np.ndarray) -> Problem:
    """Return the basis pursuit problem that is dual to PhaseMax.

    PhaseMax is max <g, x> over |<a_i, x>| <= b_i; with B = (a_1/b_1, ..., a_m/b_m) its dual problem
    is min |z|_1 over B z = g.

    Parameters
    ----------
    vectors : array_like of shape (m, n)
        a_i.
    magnitudes : array_like of shape (m,)
        b_i > 0.
    anchor : array_like of shape (n,)
        g, a guess of the signal.

    Returns
    -------
    Problem
        With n measurements and m unknowns.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``; Goldstein and Studer (arXiv:1610.07531).
    """
    vectors = as_real_array("vectors", vectors, ndim=2)
    magnitudes = as_real_array("magnitudes", magnitudes, ndim=1)
    anchor = as_real_array("anchor", anchor, ndim=1)
    if vectors.shape != (len(magnitudes), len(anchor)):
        raise ValueError(
            f"vectors must have shape ({len(magnitudes)}, {len(anchor)}), got {vectors.shape}"
        )
    if magnitudes.min() <= 0:
        raise ValueError(f"magnitudes must be positive, got {magnitudes.min()}")
    return Problem(vectors.T / magnitudes, anchor)


def signal_from_dual(problem: Problem, dual: np.ndarray) -> np.ndarray:
    """Return nu/|B^T nu|_inf, a feasible point of PhaseMax.

    Parameters
    ----------
    problem : Problem
        Of `phase_max_problem`.
    dual : array_like of shape (n,)
        nu, the dual variable of basis pursuit or of a flow.

    Returns
    -------
    ndarray of shape (n,)
        The point; for a flow's dual variable it tends to PhaseMax's maximiser as the init scale
        tends to 0, where that is unique.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or ``dual`` is orthogonal to all vectors.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    check_problem(problem)
    dual = as_real_array("dual", dual, ndim=1)
    largest = float(np.max(np.abs(problem.dense().T @ dual)))
    if largest == 0:
        raise ValueError("dual must not be orthogonal to all vectors")
    return dual / largest


def maximise_phase(vectors: np.ndarray, magnitudes: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Solve PhaseMax as a linear program.

    Parameters
    ----------
    vectors : array_like of shape (m, n)
        a_i.
    magnitudes : array_like of shape (m,)
        b_i > 0.
    anchor : array_like of shape (n,)
        g.

    Returns
    -------
    ndarray of shape (n,)
        A maximiser.

    Raises
    ------
    RuntimeError
        If the program is unbounded: the vectors do not span the space.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    import cvxpy as cp

    x = cp.Variable(len(anchor))
    bounds = [vectors @ x <= magnitudes, vectors @ x >= -np.asarray(magnitudes)]
    program = cp.Problem(cp.Maximize(anchor @ x), bounds)
    program.solve(solver="HIGHS")
    if x.value is None:
        raise RuntimeError(f"PhaseMax: {program.status}")
    return x.value


def anchor_distance(vectors: np.ndarray, signal: np.ndarray, anchor: np.ndarray) -> float:
    """Return the distance of the anchor from the cone of sign(<a_i, x0>) a_i.

    The signal x0 is a maximiser of PhaseMax if and only if it is 0, and the only one if and only if
    the anchor is in the cone's interior, which for vectors in general position is almost the same.

    Parameters
    ----------
    vectors : array_like of shape (m, n)
        a_i.
    signal : array_like of shape (n,)
        x0.
    anchor : array_like of shape (n,)
        g.

    Returns
    -------
    float
        The residual of nonnegative least squares.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    vectors = as_real_array("vectors", vectors, ndim=2)
    signs = np.sign(vectors @ as_real_array("signal", signal, ndim=1))
    return float(nnls((signs[:, None] * vectors).T, as_real_array("anchor", anchor, ndim=1))[1])

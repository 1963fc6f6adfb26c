"""The last part of the way: slowest mode, factors and largest stable step at the flow's limit."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr, svd

from deepfact.deep_factorization import DeepFactorization
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.statuses import require
from deepfact.theory.time_scales import stability_limit


def slowest_mode(
    problem: Problem, model: DeepFactorization, x: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Return the rate at which the last residual direction decays at a signal, and the direction.

    Parameters
    ----------
    problem : Problem
        The problem, with rows of A that are linearly independent.
    model : DeepFactorization
        The model.
    x : ndarray of shape (N,), optional
        The signal (default: the flow's limit).

    Returns
    -------
    rate : float
        The least eigenvalue of A diag(X'(w)) A^T, from singular values.
    direction : ndarray of shape (M,)
        Its eigenvector.

    Raises
    ------
    RuntimeError
        If the limit is needed and not found.

    Notes
    -----
    Statement S11 of ``docs/statements.md``.
    """
    if x is None:
        x = require(flow_limit(problem, model)).x
    log_slope = np.zeros(problem.N)
    if not model.identity:
        # X' = k a^(-theta) (p^(1 + theta) + q^(1 + theta)), L(u^(2L-2) + v^(2L-2)) in the factors.
        large, small = model.log_products_of(x)
        shift = model.log_rate - model.theta * model.log_product
        log_slope = (1 + model.theta) * large + shift
        if small is not None:
            log_slope = np.logaddexp(log_slope, (1 + model.theta) * small + shift)
    rows = np.exp(log_slope / 2)[:, None] * problem.dense().T
    # Rows of very different size: sorted, with pivoted columns, QR keeps the small values.
    rows = rows[np.argsort(-np.linalg.norm(rows, axis=1))]
    R, order = qr(rows, mode="r", pivoting=True)
    _, sizes, V = svd(R[: problem.M])
    direction = np.empty(problem.M)
    direction[order] = V[-1]
    return float(sizes[-1]) ** 2, direction


def slowest_rate(problem: Problem, model: DeepFactorization, x: np.ndarray) -> float:
    """Return the rate of `slowest_mode` at a signal x.

    Parameters
    ----------
    problem : Problem
        The problem, with rows of A that are linearly independent.
    model : DeepFactorization
        The model.
    x : ndarray of shape (N,)
        The signal, usually the flow's limit.

    Returns
    -------
    float
        The rate at which the flow approaches x in the end.

    Notes
    -----
    Statement S11 of ``docs/statements.md``.
    """
    return slowest_mode(problem, model, x)[0]


def limit_factors(problem: Problem, model: DeepFactorization) -> np.ndarray:
    """Return the factors at the flow's limit.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, of finite depth >= 2.

    Returns
    -------
    ndarray of shape (2, N) or (1, N)
        The rows u and v (positive model: u), so that x = u^L - v^L.

    Raises
    ------
    RuntimeError
        If the limit is not found.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    x = require(flow_limit(problem, model)).x
    return np.exp(np.array(model.log_products_by_sign(x)) / model.depth)


def stable_step(problem: Problem, model: DeepFactorization) -> float:
    """Return the predicted largest stable step of gradient descent at the flow's limit.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, of finite depth >= 2.

    Returns
    -------
    float
        2/lambda_max, see `deepfact.theory.stability_limit`.

    Raises
    ------
    RuntimeError
        If the limit is not found.

    Notes
    -----
    Statement S10 of ``docs/statements.md``.
    """
    factors = limit_factors(problem, model)
    v = factors[1] if model.signed else None
    return stability_limit(problem.dense(), factors[0], v, model.depth)

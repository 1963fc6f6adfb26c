"""The limit from products with A alone: against the matrix, with certificates, and honest ends."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from deepfact import limit as limit_module
from deepfact.limit import flow_limit
from deepfact.model import DeepFactorization
from deepfact.operator_limit import operator_limit
from deepfact.problem import Problem, dct_problem, gaussian_problem

DEPTHS = [2, 2.5, 3, 6, np.inf]


def counted(A):
    """Return A as an operator that counts its applications."""
    count = {"products": 0}

    def forward(x):
        count["products"] += 1
        return A.matvec(x)

    def adjoint(r):
        count["products"] += 1
        return A.rmatvec(r)

    return LinearOperator(A.shape, matvec=forward, rmatvec=adjoint, dtype=float), count


def relative(x, z):
    return np.linalg.norm(x - z) / np.linalg.norm(z)


def off_curve(problem, model, limit):
    """Return how far A^T nu is from the signal's own dual variable, relative to its size."""
    w = problem.A.T @ limit.dual
    off = np.abs(model.potential_gradient(limit.x) - w)
    return np.max(np.exp(model.log_rate) * off) / np.max(np.exp(model.log_rate) * np.abs(w))


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize(("depth", "log10_alpha"), [(2, -20), (3, -5), (6, -4), (np.inf, -12)])
def test_few_products_at_2_to_the_14_unknowns(depth, log10_alpha, signed):
    problem = dct_problem(2**12, 2**14, 2**8, seed=0, nonnegative=not signed)
    A, count = counted(problem.A)
    assert problem.M * problem.N > limit_module._DENSE_LIMIT
    model = DeepFactorization(depth, signed=signed, log_alpha=log10_alpha * np.log(10))
    limit = flow_limit(Problem(A, problem.y), model)
    assert limit.status == "converged"
    assert limit.iterations == count["products"] <= 112  # SPGL1 needs 112 for an error of 1e-6
    assert limit.residual <= 1e-10
    assert relative(limit.x, problem.x_true) <= 1e-6
    assert limit.lower_bound <= np.abs(problem.x_true).sum() <= limit.l1_norm


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize("alpha", [0.3, 1e-2, 1e-4])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", ["dct", "gaussian", "rows"])
def test_agrees_with_the_matrix(kind, depth, alpha, signed):
    generate = dct_problem if kind == "dct" else gaussian_problem
    # Enough nonzeros that feasible points positive in every entry exist.
    problem = generate(60, 150, 12 if signed else 60, seed=2, nonnegative=not signed)
    A = problem.dense()
    if kind == "rows":
        A = A * np.geomspace(1, 5, 60)[:, None]
    problem = Problem(A, A @ problem.x_true)
    model = DeepFactorization(depth, alpha, signed)
    matrix = flow_limit(problem, model)
    limit = operator_limit(aslinearoperator(A), problem.y, model)
    assert limit.lower_bound <= matrix.l1_norm
    assert matrix.lower_bound <= limit.l1_norm
    print("CONV", limit.converged, relative(limit.x, matrix.x), limit.products)
    assert limit.converged
    assert limit.residual <= 1e-10
    assert relative(limit.x, matrix.x) <= 1e-6

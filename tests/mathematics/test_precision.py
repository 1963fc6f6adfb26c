"""Data of less than double precision: what is said about them, and what a tolerance allows."""

import numpy as np
import pytest

from deepfact.deep_factorization import DeepFactorization
from deepfact.limit import flow_limit, limit_path
from deepfact.problem import Problem


def rounded_problem(dtype, positive=False):
    """Return more measurements than unknowns, whose right side is rounded to ``dtype``."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((12, 8)).astype(dtype)
    x = rng.standard_normal(8)
    x = np.abs(x) if positive else x
    return Problem(A, (A @ x).astype(dtype), x)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
def test_single_precision_is_said_and_a_tolerance_accepts_it(depth, signed):
    problem = rounded_problem(np.float32, positive=not signed)
    model = DeepFactorization(depth, 1e-2, signed)
    limit = flow_limit(problem, model)
    assert limit.status == "infeasible"
    assert 1e-10 < limit.residual < 1e-6
    assert "1.2e-07" in limit.message
    assert f"{limit.residual:.2g}" in limit.message
    assert "tolerance" in limit.message
    accepted = flow_limit(problem, model, tolerance=1e-6)
    assert accepted.success
    np.testing.assert_array_equal(accepted.x, limit.x)
    assert np.linalg.norm(accepted.x - problem.x_true) <= 1e-5 * np.linalg.norm(problem.x_true)
    refused = flow_limit(problem, model, tolerance=0.1 * limit.residual)
    assert refused.status == "infeasible"


def test_a_path_says_the_same_of_single_precision():
    problem = rounded_problem(np.float32)
    models = [DeepFactorization(3, alpha) for alpha in (1e-1, 1e-2)]
    for tolerance, status in ((None, "infeasible"), (1e-6, "converged")):
        alone = [flow_limit(problem, model, tolerance=tolerance) for model in models]
        path = limit_path(problem, models, tolerance=tolerance)
        for one, other in zip(alone, path, strict=True):
            assert one.status == other.status == status
            assert one.message == other.message
            np.testing.assert_allclose(one.x, other.x, atol=1e-12)
    wide = Problem(problem.dense()[:3].astype(np.float32), problem.y[:3].astype(np.float32))
    for limit, model in zip(limit_path(wide, models), models, strict=True):
        assert limit.success
        assert "1.2e-07" in limit.message
        assert limit.message.split("to")[0] == flow_limit(wide, model).message.split("to")[0]


def test_double_precision_has_the_usual_message():
    problem = rounded_problem(np.float64)
    limit = flow_limit(problem, DeepFactorization(3, 1e-2))
    assert limit.message == "x is the limit and solves A x = y"


@pytest.mark.parametrize(
    ("tolerance", "error"), [(-1.0, ValueError), (np.nan, ValueError), ("1e-3", TypeError)]
)
def test_bad_tolerance(tolerance, error):
    with pytest.raises(error, match="tolerance must be"):
        flow_limit(rounded_problem(np.float64), DeepFactorization(3, 1e-2), tolerance=tolerance)
    with pytest.raises(error, match="tolerance must be"):
        limit_path(rounded_problem(np.float64), [DeepFactorization(3, 1e-2)], tolerance=tolerance)

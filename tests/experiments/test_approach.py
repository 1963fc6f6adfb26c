"""The flow next to its limit, random instances, and the barrier method."""

import cvxpy as cp
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import approach, barrier_method, instances


@pytest.mark.parametrize("depth", [2, 3, 4.5, np.inf])
def test_model_of_depth(depth):
    assert instances.model_of_depth(depth, 1e-4).log_product == pytest.approx(np.log(1e-4))


@pytest.mark.parametrize("depth", [1, 2, 3, np.inf])
def test_slowest_rate(depth):
    problem = df.gaussian_problem(4, 9, 2, seed=0)
    model = instances.model_of_depth(depth, 0.1)
    w = np.linspace(-0.2, 0.2, 9)
    hessian = (problem.A * model.signal_derivative(w)) @ problem.A.T
    expected = np.linalg.eigvalsh(hessian)[0]
    assert approach.slowest_rate(problem, model, model.signal(w)) == pytest.approx(expected)


def test_times_go_from_start_to_rest():
    problem = df.gaussian_problem(4, 9, 2, seed=0)
    model = instances.model_of_depth(3, 1e-3)
    limit = df.flow_limit(problem, model)
    times = approach.time_grid(problem, model, limit.x, 12)
    x = df.gradient_flow(problem, model, times).x
    assert len(times) == 13
    assert times[0] == 0
    assert np.abs(x[1]).max() < 1e-2
    np.testing.assert_allclose(x[-1], limit.x, atol=1e-9)


def test_draw_problem_has_positive_solutions():
    rng = np.random.default_rng(0)
    for _ in range(5):
        problem = instances.draw_problem(6, 12, 2, False, rng)  # half of the draws have none
        z = cp.Variable(12)
        room = cp.Problem(cp.Maximize(cp.min(z)), [problem.A @ z == problem.y, z <= 10])
        assert room.solve(solver="HIGHS") > 1e-8


def test_dual_bounds():
    problem = df.Problem([[1.0, 0.5]], [2.0])
    bounds = approach.dual_bounds(problem, np.array([[3.0], [-1.0], [0.0]]), signed=True)
    np.testing.assert_allclose(bounds, [2.0, 0.0, 0.0])


@pytest.mark.parametrize("signed", [True, False])
def test_barrier_path(signed):
    problem = instances.draw_problem(4, 10, 2, signed, np.random.default_rng(5))
    mus = np.array([1.0, 0.3, 0.1, 0.03])
    path = barrier_method.barrier_path(problem, mus, signed)
    np.testing.assert_allclose(path @ problem.A.T, np.tile(problem.y, (4, 1)), atol=1e-9)
    eta = cp.Variable(4)
    b = problem.A.T @ eta
    barrier = cp.log(1 - b) + (cp.log(1 + b) if signed else 0)
    cp.Problem(cp.Maximize(problem.y @ eta + 0.1 * cp.sum(barrier))).solve(solver="CLARABEL")
    x = 0.1 / (1 - b.value) - (0.1 / (1 + b.value) if signed else 0)
    np.testing.assert_allclose(path[2], x, atol=1e-4)

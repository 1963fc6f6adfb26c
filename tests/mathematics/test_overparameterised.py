"""Rates, distances, kernels and mean errors of overparameterised descent (statement T3)."""

import numpy as np
import pytest
from scipy.integrate import quad

import deepfact as df
from deepfact.theory.arc_cosine import kernel_distance, kernel_residuals, relu_kernel
from deepfact.theory.kaczmarz import kaczmarz_errors, kaczmarz_floor
from deepfact.theory.lazy import guaranteed_rate, lazy_distance


@pytest.mark.parametrize("depth", [2, 2.5, 4])
@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
def test_guaranteed_rate_holds_along_the_flow(depth, alpha):
    problem = df.gaussian_problem(6, 15, 3, seed=0)
    rate = guaranteed_rate(problem.dense(), depth, alpha)
    flow = df.gradient_flow(
        problem, df.DeepFactorization(depth, alpha), np.linspace(0, 4, 9) / rate
    )
    assert np.all(flow.loss <= flow.loss[0] * np.exp(-rate * flow.times) * (1 + 1e-9))


def test_factors_move_by_the_lazy_distance():
    problem = df.gaussian_problem(6, 15, 3, seed=0)
    least = np.linalg.pinv(problem.dense()) @ problem.y
    factors = df.initial_factors(df.DeepFactorization(3, 10.0), 15)
    flow = df.factor_flow(problem, factors, times=[0.0, 0.1])
    moved = np.linalg.norm(flow.factors[-1] - factors)
    assert moved == pytest.approx(lazy_distance(least, 3, 10.0), rel=1e-6)


def test_kernel_is_a_mean_over_directions():
    """In the plane the share of directions on which both gates are open is an integral."""
    angle = 2.0
    X = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    share = quad(lambda t: (np.cos(t) > 0) * (np.cos(t - angle) > 0), 0, 2 * np.pi, limit=500)[0]
    expected = np.cos(angle) * share / (2 * np.pi)
    assert relu_kernel(X)[0, 1] == pytest.approx(expected, abs=1e-3)
    np.testing.assert_allclose(np.diag(relu_kernel(X)), 0.5)


def test_kernel_descent_is_that_of_the_linear_model():
    rng = np.random.default_rng(0)
    J, y = rng.standard_normal((4, 9)), rng.standard_normal(4)
    H, eta, w = J @ J.T, 0.02, np.zeros(9)
    residuals = [-y]
    for _ in range(30):
        w -= eta * J.T @ residuals[-1]
        residuals.append(J @ w - y)
    np.testing.assert_allclose(kernel_residuals(H, y, eta, 30), residuals, atol=1e-12)
    assert kernel_distance(H, y, eta, 30) == pytest.approx(np.linalg.norm(w))
    assert kernel_distance(H, y, eta, 10**6) ** 2 == pytest.approx(y @ np.linalg.solve(H, y))


@pytest.mark.parametrize("consistent", [True, False])
def test_kaczmarz_errors_are_means_over_all_paths(consistent):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((3, 2)) * np.array([[1.0], [2.0], [0.5]])
    y = A @ [1.0, -2.0] if consistent else rng.standard_normal(3)
    target, sizes = np.linalg.pinv(A) @ y, np.sum(A**2, axis=1)
    paths = [(1.0, np.zeros(2))]
    expected = []
    for _ in range(6):
        expected.append(sum(p * np.sum((x - target) ** 2) for p, x in paths))
        paths = [
            (p * sizes[i] / sizes.sum(), x + (y[i] - A[i] @ x) / sizes[i] * A[i])
            for p, x in paths
            for i in range(3)
        ]
    np.testing.assert_allclose(kaczmarz_errors(A, y, 5), expected)


@pytest.mark.parametrize("shape", [(12, 4), (12, 12), (5, 9)])
def test_floor_is_the_limit_of_the_errors(shape):
    rng = np.random.default_rng(2)
    A = rng.standard_normal(shape)
    if shape[0] == shape[1]:
        A[:, 0] = A[:, 1]  # a deficient rank
    y = rng.standard_normal(shape[0])
    floor = kaczmarz_floor(A, y)
    residual = y - A @ np.linalg.pinv(A) @ y
    singular = np.linalg.svd(A, compute_uv=False)
    least = singular[singular > 1e-10][-1]
    assert kaczmarz_errors(A, y, 15_000)[-1] == pytest.approx(floor, abs=1e-9)
    r2 = residual @ residual
    assert r2 / singular[0] ** 2 - 1e-12 <= floor <= r2 / least**2 + 1e-12


def test_bad_input_is_refused():
    for call in (
        lambda: guaranteed_rate(np.eye(2), np.inf, 1.0),
        lambda: guaranteed_rate(np.eye(2), 2, 0.0),
        lambda: relu_kernel(np.ones((2, 2))),
        lambda: kernel_residuals(np.eye(3), np.ones(2), 0.1, 1),
        lambda: kernel_distance(-np.eye(2), np.ones(2), 0.1, 1),
        lambda: kaczmarz_errors(np.zeros((2, 2)), np.ones(2), 1),
        lambda: kaczmarz_floor(np.eye(2), np.ones(3)),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
    assert guaranteed_rate(np.ones((3, 2)), 2, 1.0) == 0

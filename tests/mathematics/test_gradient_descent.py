from itertools import combinations

import numpy as np
import pytest

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.factor_flow import initial_factors
from deepfact.dynamics.gradient_descent import _gradient_of, gradient_descent
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.limit import flow_limit
from deepfact.problem import Problem, dct_problem, gaussian_problem


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 2.5, 3, 4])
def test_one_step_by_hand(depth, signed):
    problem = gaussian_problem(3, 6, 1, seed=0, signed=signed)
    alpha, step = np.linspace(0.2, 0.4, 6), 0.1
    model = DeepFactorization(depth, alpha, signed=signed)
    x = np.zeros(6) if signed else alpha**depth
    h = problem.A.T @ (problem.A @ x - problem.y)
    u, v = alpha - step * alpha ** (depth - 1) * h, alpha + step * alpha ** (depth - 1) * h
    path = gradient_descent(problem, model, step_size=step, max_iterations=1)
    np.testing.assert_allclose(path.factors, [u, v] if signed else [u], rtol=1e-14)
    np.testing.assert_allclose(path.x[0], x, atol=1e-17)
    expected = u**depth - v**depth if signed else u**depth
    np.testing.assert_allclose(path.x[1], expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(path.iterations, [0, 1])
    assert path.status == "out of iterations"


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_identical_and_separate_factors_agree(depth, signed):
    problem = gaussian_problem(5, 10, 2, seed=1, signed=signed)
    model = DeepFactorization(depth, 0.3, signed=signed)
    start = initial_factors(model, 10)
    options = {"step_size": 0.05, "max_iterations": 300, "tolerance": 0.0}
    identical = gradient_descent(problem, model, **options)
    separate = gradient_descent(problem, factors=start, **options)
    np.testing.assert_allclose(separate.x, identical.x, rtol=1e-9, atol=1e-14)
    assert separate.factors.shape == start.shape
    for j in range(depth):
        np.testing.assert_allclose(separate.factors[:, j], identical.factors, rtol=1e-10)
    np.testing.assert_array_equal(start, initial_factors(model, 10))  # not written to
    if not signed:
        flat = gradient_descent(problem, factors=start[0], **options)
        np.testing.assert_array_equal(flat.x, separate.x)
        assert flat.factors.shape == (depth, 10)


@pytest.mark.parametrize("depth", [1, 2, 2.5, 3])
def test_small_steps_follow_the_flow_to_first_order(depth):
    problem = gaussian_problem(4, 8, 1, seed=2)
    model = DeepFactorization(depth, 0.2)
    end, errors = 8.0, []
    exact = gradient_flow(problem, model, [end]).x[0]
    for count in (800, 1600, 3200):
        path = gradient_descent(problem, model, end / count, count, tolerance=0.0)
        errors.append(np.linalg.norm(path.x[-1] - exact))
    slopes = np.diff(np.log2(errors))
    np.testing.assert_allclose(slopes, -1.0, atol=0.05)


def test_depth_one_ends_in_the_least_squares_solution():
    problem = gaussian_problem(5, 12, 2, seed=0)
    path = gradient_descent(problem, DeepFactorization(1), step_size=0.2, tolerance=1e-12)
    assert path.success
    np.testing.assert_allclose(path.x[-1], np.linalg.pinv(problem.A) @ problem.y, atol=1e-10)
    assert path.factors.shape == (1, 12)


def test_small_steps_end_near_the_limit_of_the_flow():
    problem = gaussian_problem(6, 12, 1, seed=0)
    model = DeepFactorization(2, 0.2)
    path = gradient_descent(problem, model, step_size=0.01, max_iterations=50_000)
    assert path.status == "converged"
    assert path.success
    assert path.iterations[-1] < 50_000
    assert np.sqrt(2 * path.loss[-1]) <= 1e-8 * np.linalg.norm(problem.y)
    np.testing.assert_allclose(path.x[-1], flow_limit(problem, model).x, atol=2e-3)


@pytest.mark.parametrize(("depth", "signed"), [(2, True), (3, True), (3, False)])
def test_largest_stable_step(depth, signed):
    # Statement S10, from a start close to the limit.
    problem = gaussian_problem(4, 6, 2, seed=3, signed=signed)
    limit = flow_limit(problem, DeepFactorization(depth, 0.7, signed=signed)).x
    log_p, log_q = DeepFactorization(depth, 0.7, signed=signed).log_products_of(limit)
    sizes = np.exp(np.array([log_p, log_q] if signed else [log_p]) / depth)
    if signed:
        sizes = np.where(limit < 0, sizes[::-1], sizes)
    curvature = depth * np.sum(sizes ** (2 * depth - 2), axis=0)
    largest = 2 / np.linalg.eigvalsh((problem.A * curvature) @ problem.A.T)[-1]
    kick = 1 + 1e-6 * np.random.default_rng(0).standard_normal(sizes.shape)
    start = np.repeat((sizes * kick)[:, None], depth, axis=1)
    first = np.linalg.norm(problem.A @ limit - problem.y)
    assert first < 1e-12
    stable = gradient_descent(problem, None, 0.97 * largest, 3000, factors=start)
    unstable = gradient_descent(problem, None, 1.03 * largest, 300, factors=start, tolerance=0.0)
    assert stable.success
    assert not unstable.success
    assert unstable.loss.max() > 1e3 * unstable.loss[0]


def test_records_are_few_and_log_spaced():
    problem = gaussian_problem(4, 8, 1, seed=2)
    path = gradient_descent(
        problem, DeepFactorization(3, 0.1), max_iterations=20_000, tolerance=0.0, records=10
    )
    assert path.iterations[0] == 0
    assert path.iterations[-1] == 20_000
    assert np.all(np.diff(path.iterations) > 0)
    assert len(path.iterations) <= 10 * np.log10(20_000) + 3
    late = path.iterations[path.iterations > 100]
    np.testing.assert_allclose(late[1:] / late[:-1], 10**0.1, rtol=0.02)
    assert path.x.shape == (len(path.iterations), 8)
    residual = path.x @ problem.A.T - problem.y
    np.testing.assert_allclose(path.loss, 0.5 * np.sum(residual**2, axis=1), rtol=1e-10)
    assert np.all(np.diff(path.loss) <= 0)
    sign = np.array([1.0, -1.0])
    np.testing.assert_allclose(sign @ path.factors**3, path.x[-1], atol=1e-14)


def test_divergence_is_said():
    problem = gaussian_problem(5, 10, 2, seed=0)
    for depth in (1, 2, 3):
        path = gradient_descent(problem, DeepFactorization(depth, 0.3), step_size=50.0)
        assert path.status == "diverged"
        assert not path.success
        assert "loss" in path.message
        assert path.iterations[-1] < 1000


@pytest.mark.parametrize("batch_size", [None, 2])
def test_real_depth_that_leaves_the_positive_numbers(batch_size):
    problem = gaussian_problem(5, 10, 2, seed=0)
    path = gradient_descent(
        problem, DeepFactorization(2.5, 0.3), step_size=50.0, batch_size=batch_size, seed=0
    )
    assert path.status == "diverged"
    assert "non-integer depth" in path.message


# --- batches ------------------------------------------------------------------------------------


class EachBatch:
    """Stands for a random generator and returns every batch in turn."""

    def __init__(self, M, size):
        self.batches = combinations(range(M), size)

    def choice(self, *_, **options):
        assert options["replace"] is False
        return np.array(next(self.batches))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batch_gradients_are_unbiased(batch_size):
    problem = gaussian_problem(5, 8, 1, seed=0)
    x = np.random.default_rng(0).standard_normal(8)
    gradient, _ = _gradient_of(problem, batch_size, EachBatch(5, batch_size))
    count = len(list(combinations(range(5), batch_size)))
    mean = np.mean([gradient(x, None) for _ in range(count)], axis=0)
    np.testing.assert_allclose(mean, problem.A.T @ (problem.A @ x - problem.y), rtol=1e-12)


def test_equal_seeds_give_equal_results():
    problem = gaussian_problem(6, 12, 1, seed=0)
    options = {
        "model": DeepFactorization(2, 0.1),
        "step_size": 0.02,
        "batch_size": 2,
        "max_iterations": 2000,
    }
    paths = [gradient_descent(problem, seed=seed, **options) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(paths[0].x, paths[1].x)
    assert np.any(paths[0].x != paths[2].x)
    generator = gradient_descent(problem, seed=np.random.default_rng(1), **options)
    np.testing.assert_array_equal(paths[0].x, generator.x)


def test_batch_of_all_rows_is_the_full_gradient():
    problem = gaussian_problem(6, 12, 1, seed=0)
    options = {"step_size": 0.02, "max_iterations": 200, "tolerance": 0.0}
    full = gradient_descent(problem, DeepFactorization(3, 0.2), **options)
    batch = gradient_descent(problem, DeepFactorization(3, 0.2), batch_size=6, seed=0, **options)
    np.testing.assert_allclose(batch.x, full.x, atol=1e-13)


def test_batches_converge():
    problem = gaussian_problem(6, 12, 1, seed=0)
    path = gradient_descent(
        problem,
        DeepFactorization(2, 0.2),
        step_size=0.02,
        batch_size=3,
        seed=0,
        max_iterations=30_000,
    )
    assert path.success, path.message
    assert np.sqrt(2 * path.loss[-1]) <= 1e-8 * np.linalg.norm(problem.y)


def test_product_of_the_factors_falls_as_the_steps_say():
    # Statement S12 for full gradients, L = 2: u v = alpha^2 prod |1 - step^2 g_k^2|.
    problem = gaussian_problem(4, 8, 1, seed=1)
    alpha, step, count = 0.3, 0.1, 40
    u, v = np.full(8, alpha), np.full(8, alpha)
    log_product = np.full(8, 2 * np.log(alpha))
    for _ in range(count):
        g = problem.A.T @ (problem.A @ (u**2 - v**2) - problem.y)
        u, v = u * (1 - step * g), v * (1 + step * g)
        log_product += np.log(np.abs(1 - step**2 * g**2))
    path = gradient_descent(problem, DeepFactorization(2, alpha), step, count, tolerance=0.0)
    np.testing.assert_allclose(path.factors, [u, v], rtol=1e-12)
    np.testing.assert_allclose(np.log(np.prod(path.factors, axis=0)), log_product, rtol=1e-12)


# --- other problems -----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 3])
def test_linear_operator(batch_size):
    problem = dct_problem(6, 16, 1, seed=0)
    dense = Problem(problem.dense(), problem.y)
    options = {"step_size": 0.01, "max_iterations": 500, "batch_size": batch_size, "seed": 0}
    model = DeepFactorization(2, 0.1)
    x = gradient_descent(problem, model, **options).x
    np.testing.assert_allclose(x, gradient_descent(dense, model, **options).x, atol=1e-12)


def test_nothing_to_do():
    problem = gaussian_problem(3, 6, 0, seed=0)
    path = gradient_descent(problem, DeepFactorization(3, 0.1))
    assert path.success
    np.testing.assert_array_equal(path.iterations, [0])
    assert not path.x.any()


def test_one_iteration_and_zero_measurements_in_the_positive_model():
    problem = Problem(np.ones((1, 3)), [0.0])
    path = gradient_descent(problem, DeepFactorization(2, 0.5, signed=False), 0.5, tolerance=1e-2)
    assert path.success
    assert path.loss[-1] <= 1e-4 * path.loss[0]


# --- bad input ----------------------------------------------------------------------------------

PROBLEM = gaussian_problem(3, 6, 1, seed=0)
MODEL = DeepFactorization(2, 0.1)


@pytest.mark.parametrize(
    ("arguments", "name", "error"),
    [
        ({"problem": PROBLEM.A}, "problem", TypeError),
        (
            {"problem": PROBLEM.A, "model": None, "factors": np.ones((2, 2, 6))},
            "problem",
            TypeError,
        ),
        ({"model": 3}, "model", TypeError),
        ({"model": None}, "model and factors", ValueError),
        ({"factors": np.ones((2, 2, 6))}, "model and factors", ValueError),
        ({"model": None, "factors": np.ones((3, 2, 6))}, "factors", ValueError),
        ({"model": None, "factors": np.ones((2, 2, 5))}, "factors", ValueError),
        ({"model": None, "factors": np.ones(6)}, "factors", ValueError),
        ({"model": None, "factors": np.full((2, 6), np.inf)}, "factors", ValueError),
        ({"model": DeepFactorization(np.inf, 0.1)}, "finite depth", ValueError),
        ({"model": DeepFactorization(2, log_alpha=-800)}, "log_alpha", ValueError),
        ({"model": DeepFactorization(2, [0.1, 0.1])}, "alpha", ValueError),
        ({"step_size": 0.0}, "step_size", ValueError),
        ({"step_size": -1.0}, "step_size", ValueError),
        ({"step_size": np.nan}, "step_size", ValueError),
        ({"step_size": "0.1"}, "step_size", TypeError),
        ({"max_iterations": 0}, "max_iterations", ValueError),
        ({"max_iterations": 1e3}, "max_iterations", TypeError),
        ({"batch_size": 0}, "batch_size", ValueError),
        ({"batch_size": 4}, "batch_size", ValueError),
        ({"batch_size": 1.0}, "batch_size", TypeError),
        ({"tolerance": -1e-8}, "tolerance", ValueError),
        ({"records": 0}, "records", ValueError),
        ({"seed": "one"}, "seed", TypeError),
        ({"seed": -1}, "seed", ValueError),
    ],
)
def test_bad_arguments(arguments, name, error):
    with pytest.raises(error, match=name):
        gradient_descent(**{"problem": PROBLEM, "model": MODEL} | arguments)

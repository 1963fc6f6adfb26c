"""Problems and their generators: reproducible, of the right law, refusing bad input."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from deepfact.problem import Problem, dct_problem, gaussian_problem, rademacher_problem

GENERATORS = [gaussian_problem, rademacher_problem, dct_problem]


@pytest.mark.parametrize("generator", GENERATORS)
def test_equal_seeds_give_equal_problems(generator):
    one, two, other = (generator(10, 30, 4, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.y, two.y)
    np.testing.assert_array_equal(one.dense(), two.dense())
    assert not np.array_equal(one.y, other.y)
    sequence = generator(10, 30, 4, seed=np.random.SeedSequence(7))
    np.testing.assert_array_equal(one.y, sequence.y)


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("nonnegative", [True, False])
def test_measurements_of_a_sparse_vector(generator, nonnegative):
    problem = generator(20, 50, 6, seed=0, nonnegative=nonnegative)
    assert problem.M == 20
    assert problem.N == 50
    assert np.count_nonzero(problem.x_true) == 6
    assert (problem.x_true.min() >= 0) == nonnegative
    np.testing.assert_allclose(problem.dense() @ problem.x_true, problem.y, atol=1e-13)
    noisy = generator(20, 50, 6, seed=0, nonnegative=nonnegative, noise=0.1)
    size = np.linalg.norm(noisy.y - problem.y) / np.sqrt(20)
    assert 0.05 < size < 0.2


def test_entries_have_variance_one_over_M():
    for generator in (gaussian_problem, rademacher_problem):
        A = generator(400, 500, 1, seed=0).A
        assert abs(A.mean()) < 4 / np.sqrt(400 * A.size)
        assert abs(400 * A.var() - 1) < 4 * np.sqrt(2 / A.size)
    assert set(np.unique(np.abs(A) * 20)) == {1.0}


def test_dct_rows_are_orthogonal_and_the_adjoint_is_one():
    problem = dct_problem(12, 32, 3, seed=0)
    assert isinstance(problem.A, LinearOperator)
    A = problem.dense()
    np.testing.assert_allclose(A @ A.T, 32 / 12 * np.eye(12), atol=1e-13)
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal(32), rng.standard_normal(12)
    np.testing.assert_allclose(r @ (problem.A @ x), x @ (problem.A.T @ r), rtol=1e-12)
    np.testing.assert_allclose(problem.A @ np.eye(32), A, atol=1e-14)


def test_dense_form_of_an_operator_without_adjoint():
    A = np.random.default_rng(0).standard_normal((3, 7))
    problem = Problem(LinearOperator((3, 7), matvec=lambda x: A @ x, dtype=float), np.ones(3))
    np.testing.assert_allclose(problem.dense(), A, atol=1e-15)


def test_dense_form_of_a_tall_operator():
    A = np.random.default_rng(0).standard_normal((7, 3))
    problem = Problem(aslinearoperator(A), np.ones(7))
    np.testing.assert_allclose(problem.dense(), A, atol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([[1.0, np.nan]], [1.0]), ValueError, "A must be finite"),
        (([[1.0, np.inf]], [1.0]), ValueError, "A must be finite"),
        (([[1j, 1.0]], [1.0]), TypeError, "A must hold real"),
        ((["ab"], [1.0]), TypeError, "A must hold real"),
        (([1.0, 2.0], [1.0]), ValueError, "A must have 2 dimension"),
        (([[1.0], [1.0, 2.0]], [1.0]), ValueError, "A must be a 2-d array"),
        ((np.zeros((0, 3)), []), ValueError, "A must not be empty"),
        (([[1.0, 2.0]], [1.0, 2.0]), ValueError, "y must have length M = 1"),
        (([[1.0, 2.0]], [[1.0]]), ValueError, "y must have 1 dimension"),
        (([[1.0, 2.0]], [np.nan]), ValueError, "y must be finite"),
        (([[1.0, 2.0]], [1.0], [1.0]), ValueError, "x_true must have length N = 2"),
        (([[1.0, 2.0]], [1.0], [1.0, np.nan]), ValueError, "x_true must be finite"),
        ((aslinearoperator(np.eye(2) * 1j), [1.0, 1.0]), TypeError, "A must be real"),
    ],
)
def test_bad_problem(arguments, error, match):
    with pytest.raises(error, match=match):
        Problem(*arguments)


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"M": 0, "N": 5, "s": 1}, ValueError, "M must be at least 1"),
        ({"M": 2, "N": 0, "s": 1}, ValueError, "N must be at least 1"),
        ({"M": 2, "N": 5, "s": 6}, ValueError, "s must be at most N = 5"),
        ({"M": 2, "N": 5, "s": -1}, ValueError, "s must be at least 0"),
        ({"M": 2.5, "N": 5, "s": 1}, TypeError, "M must be an integer"),
        ({"M": 2, "N": 5, "s": 1, "noise": -1.0}, ValueError, "noise must be at least"),
        ({"M": 2, "N": 5, "s": 1, "noise": np.nan}, ValueError, "noise must be finite"),
    ],
)
def test_bad_generator_arguments(generator, arguments, error, match):
    with pytest.raises(error, match=match):
        generator(**arguments)
    if generator is dct_problem:
        with pytest.raises(ValueError, match="M must be at most N"):
            generator(6, 5, 1)

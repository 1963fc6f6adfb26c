"""Problems and their generators: reproducible, of the right law, refusing bad input."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import deepfact as df
from deepfact.arguments import as_count, as_real_number
from deepfact.deep_factorization import DeepFactorization
from deepfact.problem import (
    DENSE_ENTRIES,
    Problem,
    dct_problem,
    gaussian_problem,
    rademacher_problem,
)

GENERATORS = [gaussian_problem, rademacher_problem, dct_problem]


@pytest.mark.parametrize("generator", GENERATORS)
def test_equal_seeds_give_equal_problems(generator):
    one, two, other = (generator(10, 30, 4, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.y, two.y)
    np.testing.assert_array_equal(one.dense(), two.dense())
    assert not np.array_equal(one.y, other.y)
    sequence = generator(10, 30, 4, seed=np.random.SeedSequence(7))
    np.testing.assert_array_equal(one.y, sequence.y)


# Calls that know signed signals from nonnegative ones, with a number that depends on it.
SIGNS = {
    "gaussian_problem": lambda **sign: gaussian_problem(4, 9, 3, **sign).x_true.min(),
    "rademacher_problem": lambda **sign: rademacher_problem(4, 9, 3, **sign).x_true.min(),
    "dct_problem": lambda **sign: dct_problem(4, 9, 3, **sign).x_true.min(),
    "basis_pursuit": lambda **sign: df.basis_pursuit(NEGATIVE, **sign).status,
    "bpdn": lambda **sign: df.bpdn(NEGATIVE, 0.25, **sign).status,
    "phase_transition": lambda **sign: df.phase_transition(
        12, [(6, 3)], 8, log_alphas=(-30, -10), workers=1, **sign
    ).recovered.sum(),
    "recovery_threshold": lambda **sign: df.theory.recovery_threshold(2, 9, **sign),
    "recovery_window": lambda **sign: df.theory.recovery_window(2, 9, **sign),
    "l1_error_exponent": lambda **sign: df.rates.l1_error_exponent(UNIQUE, [1, 0], **sign),
    "first_order_correction": lambda **sign: (
        df.rates.first_order_correction(UNIQUE, [1, 0], 3, **sign).gap_coefficient
    ),
}
NEGATIVE = Problem([[1.0, 2.0]], [-1.0])
UNIQUE = Problem([[1.0, -0.5]], [1.0])


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in SIGNS.items()])
def test_nonnegative_is_the_opposite_of_signed(call):
    signed, positive = call(signed=True), call(signed=False)
    assert signed != positive
    assert call() == call(nonnegative=False) == signed
    assert call(nonnegative=True) == positive
    with pytest.raises(ValueError, match="they are opposites"):
        call(nonnegative=False, signed=True)
    with pytest.raises(TypeError, match="signed must be True or False"):
        call(signed=0)


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


def sparse_matrix(M, N, density=0.1):
    rng = np.random.default_rng(0)
    return random_array((M, N), density=density, rng=rng, data_sampler=rng.standard_normal)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dia"])
def test_sparse_matrices_are_taken_as_they_are(kind):
    matrix = sparse_matrix(6, 20).asformat(kind)
    problem = Problem(matrix, np.ones(6))
    np.testing.assert_array_equal(problem.dense(), matrix.toarray())
    assert problem == Problem(matrix.toarray(), np.ones(6))


def test_large_sparse_matrices_are_applied_and_not_formed():
    matrix = sparse_matrix(3000, 6000, density=1e-3)
    problem = Problem(matrix, np.ones(3000))
    before = matrix @ np.ones(6000)
    assert isinstance(problem.A, LinearOperator)
    assert problem.M * problem.N > DENSE_ENTRIES
    matrix *= 0.0
    np.testing.assert_allclose(problem.A @ np.ones(6000), before, atol=1e-14)


class Foreign:
    """An operator of another library: no subclass of scipy's."""

    shape = (2, 3)
    dtype = np.dtype(float)
    matrix = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])

    def matvec(self, x):
        return self.matrix @ x

    def rmatvec(self, r):
        return self.matrix.T @ r


class OnlyProducts:
    """An operator that has A @ x and nothing else."""

    shape = (2, 3)

    def __matmul__(self, x):
        return Foreign.matrix @ x


def test_operators_of_other_libraries():
    problem = Problem(Foreign(), [1.0, 2.0])
    np.testing.assert_array_equal(problem.dense(), Foreign.matrix)
    for other in (lambda x: x, OnlyProducts()):
        with pytest.raises(TypeError, match="aslinearoperator"):
            Problem(other, [1.0, 2.0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, int])
def test_later_changes_of_the_callers_arrays_change_no_problem(dtype):
    A, y, x = np.arange(6).reshape(2, 3).astype(dtype), np.ones(2, dtype), np.ones(3, dtype)
    problem = Problem(A, y, x)
    kept = problem.A.copy(), problem.y.copy(), problem.x_true.copy()
    A[:], y[:], x[:] = 0, 0, 0
    for array, before in zip((problem.A, problem.y, problem.x_true), kept, strict=True):
        np.testing.assert_array_equal(array, before)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_read_only_views_of_writable_arrays_are_copied():
    A = np.arange(6.0).reshape(2, 3)
    view = A[:]
    view.flags.writeable = False
    problem = Problem(view, np.ones(2))
    A[:] = 0.0
    assert problem.A.any()
    again = Problem(problem.A, problem.y)
    assert again.A is problem.A  # a problem's own arrays are shared


def test_equal_problems_compare_equal():
    one, two = gaussian_problem(4, 9, 2, seed=1), gaussian_problem(4, 9, 2, seed=1)
    assert one == two
    assert hash(one) == hash(two)
    assert one != gaussian_problem(4, 9, 2, seed=2)
    assert one != Problem(one.A, one.y)
    assert one != Problem(one.A, one.y + 1, one.x_true)
    assert Problem(one.A, one.y) != "problem"
    operator = aslinearoperator(np.eye(2))
    assert Problem(operator, [1, 2]) == Problem(operator, [1.0, 2.0])


def test_precision_is_that_of_the_coarsest_data():
    A, y = np.ones((2, 3)), np.ones(2)
    assert Problem(A, y).precision == np.finfo(float).eps
    assert Problem(A.astype(np.float32), y).precision == np.finfo(np.float32).eps
    assert Problem(A, y.astype(np.float16)).precision == np.finfo(np.float16).eps
    assert Problem(A.astype(int), [1, 2]).precision == np.finfo(float).eps


def test_masked_entries_are_not_ignored():
    A = np.ma.masked_array(np.ones((2, 3)), mask=np.eye(2, 3))
    with pytest.raises(ValueError, match="A must have no masked entries"):
        Problem(A, np.ones(2))
    with pytest.raises(ValueError, match="y must have no masked entries"):
        Problem(np.ones((2, 3)), np.ma.masked_array([1.0, 2.0], mask=[False, True]))
    Problem(np.ma.masked_array(np.ones((2, 3))), np.ones(2))  # nothing is masked


def test_a_column_of_measurements_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"y must have 1 dimension.*y\.ravel\(\)"):
        Problem(np.ones((2, 3)), np.ones((2, 1)))


@pytest.mark.parametrize("factor", [2.0, -1.0, 1.001])
def test_a_wrong_adjoint_is_found_when_the_matrix_is_formed(factor):
    A = np.random.default_rng(0).standard_normal((3, 7))
    wrong = LinearOperator(
        (3, 7), matvec=lambda x: A @ x, rmatvec=lambda r: factor * A.T @ r, dtype=float
    )
    with pytest.raises(ValueError, match="rmatvec as the adjoint"):
        Problem(wrong, np.ones(3)).dense()


@pytest.mark.parametrize(
    ("A", "error", "match"),
    [
        (csr_array([[1.0, np.nan]]), ValueError, "A must be finite"),
        (csr_array([[1j, 0.0]]), TypeError, "A must hold real numbers"),
        (csr_array((0, 2)), ValueError, "at least one row"),
    ],
)
def test_bad_sparse_matrix(A, error, match):
    with pytest.raises(error, match=match):
        Problem(A, np.ones(A.shape[0]))


def test_numbers_may_be_arrays_of_no_dimension():
    assert DeepFactorization(3, np.array(0.1)) == DeepFactorization(3, 0.1)
    assert as_count("M", np.array(3), minimum=1) == 3
    with pytest.raises(TypeError, match="noise must be a real number"):
        as_real_number("noise", np.array([1.0]))
    with pytest.raises(TypeError, match="noise must be a real number"):
        as_real_number("noise", np.ma.masked)


def test_equal_models_compare_equal():
    vector = np.array([0.1, 0.2])
    assert DeepFactorization(3, vector) == DeepFactorization(3, vector.copy())
    assert hash(DeepFactorization(3, vector)) == hash(DeepFactorization(3, vector.copy()))
    assert DeepFactorization(3, 0.1) == DeepFactorization(3, log_alpha=np.log(0.1))
    assert DeepFactorization(1) == DeepFactorization(1, 0.1, signed=False)
    for other in (DeepFactorization(3, 0.2), DeepFactorization(2, 0.1), "model"):
        assert DeepFactorization(3, 0.1) != other
    assert DeepFactorization(3, 0.1) != DeepFactorization(3, 0.1, signed=False)

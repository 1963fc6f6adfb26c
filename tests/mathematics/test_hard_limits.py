"""Limits that were once wrong, stalled, or falsely certified.

The right values come from exact rational arithmetic and from Newton steps in many digits
(`tests.fuzz`), or from the derivation beside the test; never from the package's own certificate.
"""

import numpy as np
import pytest
from scipy.linalg import hilbert, toeplitz
from scipy.optimize import linprog
from scipy.sparse import random_array
from scipy.sparse.linalg import aslinearoperator

import deepfact as df
from deepfact.limit.matrix_free import operator_limit
from deepfact.limit.nonnegative import exact_rank
from tests.fuzz.exact import equilibrated, floats, least_squares, pivots, rational_matrix
from tests.fuzz.judge import judge_limit
from tests.fuzz.many_digits import Flow, backward_error, reference


def judged(A, y, depth, log_alpha, positive=False):
    """Return the limit after asserting that the references find no fault with it."""
    flow = Flow(float(depth), log_alpha, positive)
    model = df.DeepFactorization(depth, signed=not positive, log_alpha=log_alpha)
    limit = df.flow_limit(df.Problem(A, y), model)
    verdict = judge_limit(
        np.asarray(A, float),
        np.asarray(y, float),
        flow,
        limit,
        reference(A, y, flow, (limit.x, limit.dual)),
    )
    assert not verdict.faults, verdict.notes
    return limit


def graded(M, N, reach, seed, s=3):
    """Return a Gaussian problem with columns of sizes 10^-reach to 10^reach and s unit entries."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((M, N)) * 10.0 ** rng.integers(-reach, reach + 1, N)
    x = np.zeros(N)
    x[rng.choice(N, s, replace=False)] = 1.0
    return A, A @ x


# Solvable systems


@pytest.mark.parametrize("depth", [1, 2, 3, np.inf])
@pytest.mark.parametrize("positive", [False, True])
def test_a_solvable_system_of_moderate_condition(depth, positive):
    """A is invertible and A (3, 0) = y holds in integers: no other point is feasible."""
    if positive and depth in (1, np.inf):
        pytest.skip("depth 1 has no sign; at infinite depth x = (3, 0) is at infinite distance")
    A, y = np.array([[1.0, -8000.0], [-9.0, -8000.0]]), np.array([3.0, -27.0])
    model = df.DeepFactorization(depth, alpha=0.1, signed=not positive)
    limit = df.flow_limit(df.Problem(A, y), model)
    assert limit.status == "converged"
    np.testing.assert_allclose(limit.x, [3.0, 0.0], rtol=1e-9, atol=1e-9)
    assert limit.lower_bound <= 3.0 <= limit.l1_norm


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_graded_columns_of_full_rank_are_solvable(depth):
    """Forty Gaussian rows are independent, whatever their columns are multiplied by."""
    for seed in range(8):
        A, y = graded(40, 120, 4, seed)
        limit = df.flow_limit(df.Problem(A, y), df.DeepFactorization(depth, alpha=1e-2))
        assert limit.status == "converged", seed
        assert backward_error(A, y, limit.x) < 1e-12, seed


# Rank


def test_nearest_point_of_a_graded_vandermonde_matrix():
    """The exact least-squares problem over z >= 0 uses the first column alone: z_0 = mean(y)."""
    t = np.linspace(1, 2000, 12)
    A, y = np.vander(t, 5, increasing=True), 1 + 0.3 * np.sin(t / 300)
    right = least_squares(A, y, positive=True)
    assert right.columns == [0]
    np.testing.assert_allclose(float(floats(right.z)[0]), y.mean(), rtol=1e-14)
    limit = df.flow_limit(df.Problem(A, y), df.DeepFactorization(2, alpha=1e-3, signed=False))
    assert limit.status == "infeasible"
    np.testing.assert_allclose(limit.x, [1.00762, 0, 0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(limit.x, floats(right.z), rtol=1e-9, atol=1e-15)
    assert limit.residual == pytest.approx(0.194352, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_tall_matrix_of_very_unequal_columns(seed):
    """Of the shape of scipy's issue 20302: 89 x 5, entries from 1e-5 to 1e13, positive."""
    rng = np.random.default_rng(seed)
    A = np.abs(rng.standard_normal((89, 5))) * 10.0 ** np.array([-5, 0, 4, 8, 13])
    y = A @ (np.array([2.0, 0, 1, 0, 3]) / 10.0 ** np.array([-5, 0, 4, 8, 13]))
    y = y + 0.1 * rng.standard_normal(89)
    right = least_squares(A, y, positive=True)
    limit = df.flow_limit(df.Problem(A, y), df.DeepFactorization(2, alpha=1e-3, signed=False))
    assert limit.status == "infeasible"
    z = floats(right.z)
    size = np.abs(A).max(axis=0)  # each entry against what it contributes
    np.testing.assert_allclose(limit.x * size, z * size, atol=1e-7 * np.max(z * size))


@pytest.mark.parametrize("positive", [False, True])
def test_scaled_rows_change_nothing(positive):
    """Rows times powers of two are the same system, in exact and in floating-point arithmetic."""
    rng = np.random.default_rng(5)
    A = rng.standard_normal((5, 14))
    y = A @ np.abs(rng.standard_normal(14))
    scale = np.exp2(-40.0 * (np.arange(5) % 2))
    plain = judged(A, y, 3, -4.0, positive)
    scaled = judged(A * scale[:, None], y * scale, 3, -4.0, positive)
    assert scaled.status == plain.status == "converged"
    np.testing.assert_allclose(scaled.x, plain.x, rtol=1e-7, atol=1e-12)


def test_two_rows_that_are_nearly_equal():
    """Two rows equal to 1e-12 that say the same."""
    rng = np.random.default_rng(6)
    A = rng.standard_normal((4, 10))
    A[3] = A[2] * (1 + 1e-12 * rng.standard_normal(10))
    x = np.zeros(10)
    x[[1, 4]] = 1.0, -2.0
    limit = judged(A, A @ x, 2, -5.0)
    assert limit.status == "converged"


# Degenerate faces


@pytest.mark.parametrize("depth", [3, 4, 6, 10, np.inf])
def test_equal_columns_carry_equal_entries(depth):
    """By symmetry of the flow; and both are right, which equality alone would not show."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        A = rng.integers(-1, 2, (4, 8)).astype(float)
        A = A[:, rng.integers(0, 8, 24)]
        y = A @ rng.standard_normal(24)
        log_alpha = -9.0 if np.isinf(depth) else -18.0 / depth
        limit = judged(A, y, depth, log_alpha)
        assert limit.status == "converged"
        _, first, same = np.unique(A, axis=1, return_index=True, return_inverse=True)
        np.testing.assert_allclose(
            limit.x, limit.x[first][same.ravel()], rtol=1e-6, atol=1e-9 * np.abs(limit.x).max()
        )


def test_dependent_columns_on_a_face_of_many():
    """A matrix of -1, 0, 1 with many minimisers of the l1 norm, positive, at depth 10."""
    for seed in range(6):
        rng = np.random.default_rng(100 + seed)
        A = rng.integers(-1, 2, (5, 52)).astype(float)
        y = A @ np.abs(rng.standard_normal(52))
        assert judged(A, y, 10, -4.0, positive=True).status == "converged"


# Bounds


@pytest.mark.parametrize(("depth", "log_alpha"), [(3, -8.0), (2, -14.0), (2, -8.0), (4, -6.0)])
def test_bounds_where_the_dual_diverges(depth, log_alpha):
    """The fifth column is .729 times the second on these rows, so that Q = .729 = .9^3.

    A column is 1 in the row of its own number: eta = (0, 0, 1) shows that Q >= y_2 = .9^3.
    """
    A = toeplitz(0.9 ** np.arange(12))[:3]
    y = A[:, 5]
    model = df.DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = df.flow_limit(df.Problem(A, y), model)
    assert limit.lower_bound <= 0.729 * (1 + 1e-12)
    assert limit.gap >= 0
    if limit.success:
        assert limit.l1_norm >= 0.729 * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_bounds_of_tall_positive_systems(seed):
    """Systems of 13 rows and 12 columns with one feasible point x: Q is its sum, up to rounding."""
    rng = np.random.default_rng(seed)
    A = toeplitz(0.9 ** np.arange(13))[:, :12] + 0.0
    x = np.zeros(12)
    x[rng.choice(12, 3, replace=False)] = rng.uniform(0.5, 2, 3)
    limit = df.flow_limit(df.Problem(A, A @ x), df.DeepFactorization(3, log_alpha=-8, signed=False))
    assert limit.status == "converged"
    np.testing.assert_allclose(limit.x, x, atol=1e-9)
    assert limit.lower_bound <= x.sum() * (1 + 1e-12)
    assert limit.l1_norm >= x.sum() * (1 - 1e-12)


def test_upper_bound_is_never_below_the_minimum():
    """Rows: x_1 + x_3 - x_2 = 0 and 2 x_1 - x_2 - x_3 = -2, so x_3 = (2 + x_1)/2, Q = 2."""
    A, y = np.array([[2.0, -2, 2], [2, -1, -1]]), np.array([0.0, -2])
    limit = df.flow_limit(df.Problem(A, y), df.DeepFactorization(2, alpha=1e-5, signed=False))
    # x_1 = t gives x_3 = 1 + t/2 and x_2 = 1 + 3t/2: the sum 2 + 3t is least at t = 0.
    assert limit.status == "converged"
    assert limit.lower_bound <= 2.0 <= limit.l1_norm


# Residuals


def test_no_convergence_with_a_residual_that_is_not_small():
    """Tiny measurements at depth just above 2; one column is zero."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((6, 5))
        A[:, 2] = 0.0
        y = 1e-40 * (A @ rng.random(5))
        limit = judged(A, y, 2.0001, -16.8, positive=True)
        assert limit.residual < 1e-9


# Stalls in ordinary reach


def test_graded_columns_in_the_positive_model():
    """Condition 170, strictly feasible; the sum of 60 digits' Newton steps."""
    rng = np.random.default_rng(1)
    A = rng.standard_normal((10, 30)) * 10.0 ** rng.integers(-2, 3, 30)
    x = np.zeros(30)
    x[rng.choice(30, 3, replace=False)] = 1.0
    limit = judged(A, A @ x, 2, np.log(1e-2), positive=True)
    assert limit.status == "converged"


def test_graded_columns_seldom_stall():
    """At most one of forty, in the positive model and in ordinary reach."""
    stalled = 0
    for seed in range(40):
        A, y = graded(8, 24, 2, seed)
        stalled += judged(A, y, 2, np.log(1e-2), positive=True).status == "stalled"
    assert stalled <= 1


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("depth", [2, 3, 6, np.inf])
def test_large_init_scales(depth, positive):
    """From the size of the signal to 1e4 of it in each factor."""
    for seed, alpha in enumerate(np.logspace(-1.5, 4, 10)):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((6, 18))
        y = A @ np.abs(rng.standard_normal(18))
        log_alpha = np.log(alpha) * (3 if np.isinf(depth) else 1)
        limit = judged(A, y, depth, float(log_alpha), positive)
        if log_alpha * (1 if np.isinf(depth) else depth) <= np.log(1e6):
            assert limit.status == "converged", alpha


@pytest.mark.parametrize("size", [7, 8, 9, 10])
def test_hilbert_matrices(size):
    """Integer sums of the columns: an x of ones, up to the condition number's loss."""
    A = hilbert(size)
    limit = judged(A, A @ np.ones(size), 2, -3.0)
    assert backward_error(A, A @ np.ones(size), limit.x) < 1e-10
    if size == 7:  # condition 5e8
        assert limit.status == "converged"


# Units and scales


@pytest.mark.parametrize("unit", [1e-160, 1e-200, 1e150])
@pytest.mark.parametrize("positive", [False, True])
def test_units(unit, positive):
    """Multiplying A and y by one number changes nothing."""
    rng = np.random.default_rng(3)
    A = rng.standard_normal((4, 9))
    y = A @ np.abs(rng.standard_normal(9))
    unit = np.exp2(np.round(np.log2(unit)))
    plain = judged(A, y, 3, -3.0, positive)
    limit = df.flow_limit(
        df.Problem(A * unit, y * unit), df.DeepFactorization(3, log_alpha=-3.0, signed=not positive)
    )
    assert limit.status == plain.status == "converged"
    np.testing.assert_allclose(limit.x, plain.x, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("alpha", [1e-9, 1e-20])
def test_entries_called_determined_are_right(alpha):
    """Off the support, x at depth 2 is smaller than what rounding of y hides."""
    for seed in range(5):
        problem = df.gaussian_problem(M=6, N=16, s=2, seed=seed)
        limit = judged(problem.A, problem.y, 2, np.log(alpha))
        assert limit.status == "converged"
        right = reference(
            problem.A, problem.y, Flow(2.0, np.log(alpha), False), (limit.x, limit.dual)
        )
        known = limit.determined
        assert known[np.abs(right.x) > 1e-3].all()
        np.testing.assert_allclose(limit.x[known], right.x[known], rtol=1e-6)


@pytest.mark.parametrize("alpha", [1e-153, 1e-155, 1e-200, 1e-290])
def test_certificate_at_extreme_init_scale(alpha):
    """The limit is the l1 minimiser to all digits; Q is computed in rational arithmetic."""
    problem = df.gaussian_problem(M=6, N=16, s=2, seed=1)
    limit = judged(problem.A, problem.y, 3, float(np.log(alpha)))
    assert limit.status == "converged"
    assert 0 <= limit.gap <= 1e-10 * limit.l1_norm


ZEROS_IN_EVERY_SOLUTION = [
    (
        [
            [0, 1, -1, 1, 1, 1, -1, 1, 0, 0],
            [-1, 0, 1, 1, -1, 1, -1, -1, -1, 1],
            [0, -1, -1, -1, 1, -1, 1, 0, 0, -1],
            [0, -1, -1, -1, 0, -1, -1, 0, -1, 1],
        ],
        [7, 1, -1, -4],
    ),
    (
        [
            [0, -1, 1, -1, 0, 0, -1, 0, 0, 1, 0, 1],
            [1, -1, 0, -1, 1, -1, 1, 0, 0, -1, 0, 1],
            [-1, 1, 1, -1, -1, 0, -1, -1, -1, -1, 0, -1],
            [-1, -1, 0, 0, -1, -1, -1, 0, -1, 1, 0, 0],
            [0, 0, 1, 0, -1, 1, 1, -1, 0, 0, 1, 1],
        ],
        [-1, -1, -5, 0, 0],
    ),
]


@pytest.mark.parametrize(("rows", "y"), ZEROS_IN_EVERY_SOLUTION)
@pytest.mark.parametrize("depth", [10, np.inf])
@pytest.mark.parametrize("log10_a", [-4, -6, -8, -11])
def test_zeros_in_every_solution_do_not_spoil_the_others(rows, y, depth, log10_a):
    """The dual variable diverges; the limit is that of the problem without these columns."""
    A = np.array(rows, float)
    largest = [linprog(-e, A_eq=A, b_eq=y) for e in np.eye(A.shape[1])]
    zero = np.array([each.status == 0 and -each.fun < 1e-9 for each in largest])
    assert 0 < zero.sum() < A.shape[1]
    log_alpha = log10_a * np.log(10) / (1 if np.isinf(depth) else depth)
    model = df.DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    whole, part = (df.flow_limit(df.Problem(matrix, y), model) for matrix in (A, A[:, ~zero]))
    assert whole.success
    assert part.success
    np.testing.assert_allclose(whole.x[~zero], part.x, rtol=0, atol=1e-11)
    np.testing.assert_allclose(whole.x[zero], 0, atol=1e-11)


# Products with a matrix alone


@pytest.mark.parametrize("density", [0.02, 0.1])
def test_sparse_matrices_without_forming_them(density):
    """Zero columns and rows of few entries; the same matrix, dense, by the other solver."""
    rng = np.random.default_rng(0)
    sparse = random_array(
        (100, 800), density=density, rng=rng, data_sampler=rng.standard_normal
    ).tocsr()
    x = np.zeros(800)
    x[rng.choice(800, 4, replace=False)] = rng.standard_normal(4)
    y = sparse @ x
    model = df.DeepFactorization(3, alpha=1e-3)
    found = operator_limit(aslinearoperator(sparse), y, model)
    dense = df.flow_limit(df.Problem(sparse.toarray(), y), model)
    assert dense.status == "converged"
    assert found.converged
    np.testing.assert_allclose(found.x, dense.x, atol=1e-6 * np.abs(dense.x).max())


def test_equilibration_is_exact():
    """Powers of two, so that no entry is rounded: a fact the tests above rest on."""
    A, _ = graded(5, 12, 4, 0)
    B, r, c = equilibrated(A)
    np.testing.assert_array_equal(B / c / r[:, None], A)


def test_exact_rank_against_exact_elimination():
    """Integer matrices of low rank with rows and columns in powers of two."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        M, N = rng.integers(1, 8, 2)
        rank = int(rng.integers(0, min(M, N) + 1))
        factors = rng.integers(-3, 4, (M, rank)), rng.integers(-3, 4, (rank, N))
        B = (factors[0] @ factors[1]) * 2.0 ** rng.integers(-20, 20, (M, 1))
        B = B * 2.0 ** rng.integers(-20, 20, N)
        assert exact_rank(B) == len(pivots(rational_matrix(B)))


def test_exact_rank_sees_what_rounding_hides():
    """Two rows equal to the last digit but one."""
    row = np.random.default_rng(1).standard_normal(5)
    near = row.copy()
    near[2] = np.nextafter(near[2], 9.0)
    assert exact_rank(np.array([row, row])) == 1
    assert exact_rank(np.array([row, near])) == 2

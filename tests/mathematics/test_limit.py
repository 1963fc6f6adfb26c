"""The exact limit against many-digit references, certificates, and problems that end otherwise."""

import numpy as np
import pytest
from exact_reference import reference_limit
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, nnls

from deepfact.deep_factorization import DeepFactorization
from deepfact.limit import factors, flow_limit, limit_path
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem, dct_problem, gaussian_problem, rademacher_problem

DEPTHS = [2, 2.5, 3, 4, 6, 10, np.inf]


def relative_error(limit, A, y, depth, log_alpha, signed):
    x, _ = reference_limit(A, y, depth, log_alpha, signed)
    x = np.array([float(value) for value in x])
    assert limit.lower_bound <= np.abs(x).sum() * (1 + 1e-15)
    return np.linalg.norm(limit.x - x) / np.linalg.norm(x)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize("alpha", [1.0, 1e-2, 1e-4, 1e-8, 1e-16])
@pytest.mark.parametrize("depth", DEPTHS)
def test_agrees_with_sixty_digits(depth, alpha, signed):
    # s = 1 of M = 2 is sparse recovery; s = 4 of N = 5 has a solution with M nonzeros.
    for s in (1, 4):
        problem = gaussian_problem(2, 5, s, seed=s, signed=signed)
        limit = flow_limit(problem, DeepFactorization(depth, alpha, signed))
        assert limit.status == "converged"
        assert limit.residual <= 1e-10
        error = relative_error(limit, problem.A, problem.y, depth, np.log(alpha), signed)
        assert error <= 1e-8


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize("log_alpha", [60 * np.log(0.1), -700.0])
def test_depth_two_far_below_the_smallest_double(log_alpha, signed):
    problem = gaussian_problem(3, 7, 2, seed=1, signed=signed)
    limit = flow_limit(problem, DeepFactorization(2, log_alpha=log_alpha, signed=signed))
    assert limit.status == "converged"
    assert limit.residual <= 1e-10
    assert relative_error(limit, problem.A, problem.y, 2, log_alpha, signed) <= 1e-8


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("alpha", [1.0, 1e-3, 1e-8, 1e-16])
def test_many_nonzeros_at_moderate_size(depth, alpha):
    """Beyond the recovery threshold the limit has M nonzeros and no gap between its entries."""
    problem = gaussian_problem(50, 60, 40, seed=0)
    model = DeepFactorization(depth, alpha)
    limit = flow_limit(problem, model)
    assert limit.status == "converged"
    assert limit.residual <= 1e-10
    # Optimality: the limit is X(A^T nu) wherever float64 resolves the slack.
    w = problem.A.T @ limit.dual
    scaled = np.abs(np.exp(model.log_rate) * w)
    resolved = model.theta * scaled < 0.9
    np.testing.assert_allclose(
        model.signal(w)[resolved], limit.x[resolved], atol=1e-9 * np.abs(limit.x).max(), rtol=1e-6
    )


def test_depth_one_is_the_least_norm_solution():
    problem = gaussian_problem(30, 70, 5, seed=0)
    limit = flow_limit(problem, DeepFactorization(1))
    expected = np.linalg.pinv(problem.A) @ problem.y
    np.testing.assert_allclose(limit.x, expected, atol=1e-13)
    assert limit.status == "converged"


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    depth=st.sampled_from([1, *DEPTHS, 2.01, 30]),
    log_alpha=st.floats(-20, 1),
    signed=st.booleans(),
    kind=st.sampled_from(["gaussian", "integer", "duplicates", "rademacher"]),
)
def test_certificate_brackets_the_minimal_norm(seed, depth, log_alpha, signed, kind):
    rng = np.random.default_rng(seed)
    M, N = int(rng.integers(1, 9)), int(rng.integers(9, 20))
    if kind == "integer":
        A = rng.integers(-2, 3, size=(M, N)).astype(float)
    else:
        A = rng.standard_normal((M, N))
    if kind == "duplicates":
        A[:, 1] = A[:, 0]
        A = np.vstack([A, A[0]])
    if kind == "rademacher":
        A = np.sign(A)
    x = np.zeros(N)
    x[: M // 2 + 1] = np.abs(rng.standard_normal(M // 2 + 1)) + 0.01
    if signed:
        x *= rng.choice([-1.0, 1.0], size=N)
    y = A @ x
    model = DeepFactorization(depth, signed=signed, log_alpha=None if depth == 1 else log_alpha)
    limit = flow_limit(Problem(A, y), model)
    assert limit.status == "converged", limit.message
    assert limit.residual <= 1e-10
    positive = not signed and depth > 1
    bounds = (0, None)
    if positive:
        assert limit.x.min() >= 0
        lp = linprog(np.ones(N), A_eq=A, b_eq=y, bounds=bounds)
    else:
        lp = linprog(np.ones(2 * N), A_eq=np.hstack([A, -A]), b_eq=y, bounds=bounds)
    assert lp.status == 0
    assert limit.lower_bound <= lp.fun * (1 + 1e-9)
    assert lp.fun <= limit.l1_norm * (1 + 1e-9)
    assert limit.gap == limit.l1_norm - limit.lower_bound


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("signed", [True, False])
def test_bounds_hold_to_the_last_bit_where_the_minimum_is_known(depth, signed):
    # min z1 + z2 + ... subject to z1 + z2/2 = 1 is 1.
    for alpha in (0.3, 1e-3, 1e-9, 1e-16):
        limit = flow_limit(Problem([[1.0, 0.5]], [1.0]), DeepFactorization(depth, alpha, signed))
        assert limit.lower_bound <= 1.0 <= limit.l1_norm


@pytest.mark.parametrize("depth", [2.5, 3, 4, 6, 10, np.inf])
@pytest.mark.parametrize("alpha", [1e-2, 1e-7, 1e-16])
def test_many_solutions_are_split_as_the_potential_asks(depth, alpha):
    """Columns that depend on each other: the noise of the slacks must not decide the split."""
    A = np.array([[1.0, 1, 1, 0, 2], [0, 1, 1, 1, 1]])
    y = np.array([2.0, 2.0])
    for signed in (True, False):
        limit = flow_limit(Problem(A, y), DeepFactorization(depth, alpha, signed))
        assert limit.status == "converged"
        assert relative_error(limit, A, y, depth, np.log(alpha), signed) <= 1e-8


@pytest.mark.parametrize("depth", DEPTHS)
def test_duplicated_columns_share_equally(depth):
    problem = gaussian_problem(10, 30, 2, seed=4)
    doubled = Problem(np.hstack([problem.A, problem.A]), problem.y)
    limit = flow_limit(doubled, DeepFactorization(depth, 1e-5))
    scale = np.abs(limit.x).max()
    np.testing.assert_allclose(limit.x[:30], limit.x[30:], atol=1e-10 * scale)


def test_duplicated_rows_and_more_rows_than_columns():
    problem = gaussian_problem(10, 30, 2, seed=5)
    model = DeepFactorization(3, 1e-4)
    once = flow_limit(problem, model)
    doubled = np.vstack([problem.A, problem.A])
    twice = flow_limit(Problem(doubled, np.concatenate([problem.y, problem.y])), model)
    np.testing.assert_allclose(twice.x, once.x, atol=1e-11)
    assert twice.status == "converged"
    tall = gaussian_problem(40, 10, 3, seed=0)
    for depth in DEPTHS:
        limit = flow_limit(tall, DeepFactorization(depth, 1e-3))
        np.testing.assert_allclose(limit.x, tall.x_true, atol=1e-10)


@pytest.mark.parametrize("depth", [1, *DEPTHS])
def test_no_measurement_is_no_signal(depth):
    A = gaussian_problem(4, 9, 0, seed=0).A
    alpha = None if depth == 1 else 0.1
    limit = flow_limit(Problem(A, np.zeros(4)), DeepFactorization(depth, alpha))
    assert limit.status == "converged"
    assert not limit.x.any()
    assert limit.lower_bound == 0.0
    limit = flow_limit(Problem(np.abs(A), np.zeros(4)), DeepFactorization(depth, alpha, False))
    assert limit.status == "converged"
    assert np.abs(limit.x).max() < 1e-12


@pytest.mark.parametrize("depth", DEPTHS)
def test_infeasible_positive_problem_ends_at_the_nonnegative_least_squares(depth):
    rng = np.random.default_rng(0)
    A = np.abs(rng.standard_normal((6, 10)))
    y = A @ np.ones(10) * np.array([1, 1, 1, 1, 1, -1.0])
    limit = flow_limit(Problem(A, y), DeepFactorization(depth, 1e-3, signed=False))
    assert limit.status == "infeasible"
    assert not limit.success
    assert "no nonnegative solution" in limit.message
    z, distance = nnls(A, y)
    assert limit.x.min() >= 0
    np.testing.assert_allclose(A @ limit.x, A @ z, atol=1e-8)
    assert np.isclose(limit.residual * np.linalg.norm(y), distance, rtol=1e-8)


def test_inconsistent_measurements_say_so():
    A = np.array([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5]])
    limit = flow_limit(Problem(A, [1.0, 2.0]), DeepFactorization(3, 1e-3))
    assert limit.status == "infeasible"
    np.testing.assert_allclose(A @ limit.x, [1.5, 1.5], atol=1e-12)


@pytest.mark.parametrize("size", [1e-100, 1e-30, 1e-15, 1e15, 1e30, 1e100])
@pytest.mark.parametrize(("depth", "alpha"), [(2, 1e-8), (3, 1e-4)])
def test_size_of_the_matrix_plays_no_role(depth, alpha, size):
    """Also beyond the range of single precision, in which the first steps are taken."""
    problem, model = gaussian_problem(20, 60, 4, seed=3), DeepFactorization(depth, alpha)
    limit = flow_limit(problem, model)
    other = flow_limit(Problem(size * problem.A, size * problem.y), model)
    assert other.success
    assert other.residual < 1e-12
    np.testing.assert_allclose(other.x, limit.x, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.gap, limit.gap, rtol=1e-6)


def test_first_steps_are_taken_in_single_precision(monkeypatch):
    used = []
    cholesky = factors._cholesky
    monkeypatch.setattr(
        factors,
        "_cholesky",
        lambda rows, *a, **k: used.append(rows.dtype) or cholesky(rows, *a, **k),
    )
    flow_limit(gaussian_problem(20, 60, 4, seed=3), DeepFactorization(3, 1e-4))
    assert used[0] == np.float32
    assert used[-1] == np.float64


def test_no_measurement_and_rows_that_sum_to_zero():
    model = DeepFactorization(2, [1.0, 2.0], signed=False)
    limit = flow_limit(Problem([[1.0, -1.0]], [0.0]), model)
    assert limit.status == "converged"
    np.testing.assert_allclose(limit.x, 2.0, rtol=1e-10)


def test_nonzeros_of_very_different_size():
    """A face of fewer columns is seen first, and as many as rows later."""
    for depth, alpha in ((3, 1e-8), (4, 1e-6), (2, 1e-12)):
        for small in (1e-3, 1e-6, 1e-9):
            limit = flow_limit(
                Problem([[1.0, 0.0, 0.1], [0.0, 1.0, 0.1]], [1.0, small]),
                DeepFactorization(depth, alpha),
            )
            assert limit.success
            np.testing.assert_allclose(limit.x[:2], [1.0, small], rtol=1e-3)


def test_nonnegative_least_squares_that_fail_are_mended(monkeypatch):
    """What nnls returns on some matrices is no minimiser: it is a start only."""
    problem = Problem([[1.0, 1.0]], [-1.0])
    model = DeepFactorization(3, 1e-2, signed=False)
    assert flow_limit(problem, model).status == "infeasible"
    for wrong in ((np.array([1.0, 0.0]), 2.0), None):

        def other(*_, wrong=wrong):
            if wrong is None:
                raise RuntimeError("too many iterations")
            return wrong

        monkeypatch.setattr("deepfact.limit.nonnegative.nnls", other)
        limit = flow_limit(problem, model)
        assert limit.status == "infeasible"
        np.testing.assert_array_equal(limit.x, 0)


def test_path_refuses_shapes_that_differ_where_alpha_is_small():
    problem = Problem([[1.0, 1e9]], [1e4])
    models = [DeepFactorization(4, [1.0, small]) for small in (1e-4, 1e-5)]
    with pytest.raises(ValueError, match="by a common factor"):
        limit_path(problem, models)


def test_scaling_covariance():
    """y -> c y, a -> c a multiplies the limit by c (statement S3)."""
    problem = rademacher_problem(20, 50, 4, seed=0)
    for depth in (2, 3, 5):
        one = flow_limit(problem, DeepFactorization(depth, 1e-3))
        scaled = DeepFactorization(depth, 1e-3 * 1e6 ** (1 / depth))
        other = flow_limit(Problem(problem.A, 1e6 * problem.y), scaled)
        np.testing.assert_allclose(other.x, 1e6 * one.x, rtol=1e-9, atol=1e-5)


def test_one_alpha_a_coordinate():
    problem = gaussian_problem(5, 12, 2, seed=3)
    rng = np.random.default_rng(0)
    log_alpha = np.log(1e-3) + 0.5 * rng.standard_normal(12)
    for depth in (2, 3, 4):
        for signed in (True, False):
            y = problem.A @ np.abs(problem.x_true)
            model = DeepFactorization(depth, log_alpha=log_alpha, signed=signed)
            limit = flow_limit(Problem(problem.A, y), model)
            assert limit.status == "converged"
            w = problem.A.T @ limit.dual
            # The slack of depth 4 is about 1e-6: w resolves it to six or seven digits.
            np.testing.assert_allclose(model.signal(w), limit.x, rtol=1e-7, atol=1e-12)


def test_operator_and_matrix_agree():
    problem = dct_problem(20, 64, 4, seed=0)
    model = DeepFactorization(3, 1e-4)
    dense = Problem(problem.dense(), problem.y)
    np.testing.assert_allclose(
        flow_limit(problem, model).x, flow_limit(dense, model).x, rtol=1e-12, atol=1e-14
    )


class Cubic(MirrorMap):
    """A parametrisation that is none of the paper's: x = w + w^3."""

    def signal(self, w):
        return w + w**3

    def signal_derivative(self, w):
        return 1 + 3 * w**2

    def potential_gradient(self, x):
        root = np.cbrt(x / 2 + np.sqrt(x**2 / 4 + 1 / 27))
        return root - 1 / (3 * root)

    def potential(self, x):
        w = self.potential_gradient(x)
        return w * x - w**2 / 2 - w**4 / 4


def test_a_new_parametrisation_is_one_small_class():
    from deepfact import bregman_divergence, gradient_flow

    problem = gaussian_problem(10, 25, 3, seed=0)
    model = Cubic()
    limit = flow_limit(problem, model)
    assert limit.status == "converged"
    assert limit.residual < 1e-10
    assert limit.lower_bound <= limit.l1_norm
    path = gradient_flow(problem, model, times=np.array([0.0, 1.0, 1e3]))
    np.testing.assert_allclose(path.x[-1], limit.x, atol=1e-6)
    z = problem.x_true
    divergence = [bregman_divergence(model, z, x) for x in path.x]
    assert divergence[0] > divergence[1] > divergence[2] >= 0
    # The limit is the Bregman projection: Pythagoras holds with equality over A z = y.
    total = bregman_divergence(model, z, np.zeros(25))
    parts = bregman_divergence(model, z, limit.x) + bregman_divergence(model, limit.x, np.zeros(25))
    assert np.isclose(total, parts, rtol=1e-9)


@pytest.mark.parametrize(
    ("problem", "model", "error", "match"),
    [
        ("no problem", DeepFactorization(2, 0.1), TypeError, "problem must be"),
        (Problem([[1.0, 2]], [1.0]), "no model", TypeError, "model must be"),
        (Problem([[1.0, 2]], [1.0]), DeepFactorization(2, [0.1] * 3), ValueError, "alpha must"),
    ],
)
def test_bad_input(problem, model, error, match):
    with pytest.raises(error, match=match):
        flow_limit(problem, model)


@pytest.mark.parametrize(
    ("depth", "log_alpha", "delta"),
    [(6, -3.07, 1.1967681354359727e-05), (4, -6.9, 1.3e-06), (4, -4.6, 1.3e-4), (3, -9.0, 1e-3)],
)
def test_nearly_equal_columns(depth, log_alpha, delta):
    """Between nearly equal columns the slacks decide, not A x = y alone."""
    A = np.array([[1.0, 1.0 + delta]])
    y = A @ np.array([0.0, 1.0])
    limit = flow_limit(Problem(A, y), DeepFactorization(depth, log_alpha=log_alpha))
    x, _ = reference_limit(A, y, depth, log_alpha)
    np.testing.assert_allclose(limit.x, [float(value) for value in x], rtol=1e-8)


@pytest.mark.parametrize("depth", [2, 3, 10, np.inf])
@pytest.mark.parametrize("alpha", [1.1, 1.0, 0.5, 0.1])
def test_dual_belongs_to_the_signal(depth, alpha):
    """x = X(A^T nu) also where the first attempt on the dual alone is given up."""
    for seed in range(12):
        rng = np.random.default_rng(np.random.SeedSequence(0).spawn(100)[seed])
        A = rng.standard_normal((20, 60)) / np.sqrt(20)
        x = np.zeros(60)
        x[:4] = np.abs(rng.standard_normal(4))
        model = DeepFactorization(depth, alpha, signed=False)
        limit = flow_limit(Problem(A, A @ x), model)
        if limit.status == "converged" and limit.lower_bound > 0:
            w = A.T @ limit.dual
            np.testing.assert_allclose(model.signal(w), limit.x, rtol=1e-4, atol=1e-9)
        else:  # no strictly positive feasible point
            assert limit.residual < 1e-10


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize(
    ("depth", "exponents"),
    [
        (2, (-1, -16)),
        (2.5, (0, -8)),
        (3, (0, -6)),
        (4, (-0.5, -4)),
        (10, (0, -2)),
        (np.inf, (0, -9)),
    ],
)
def test_path_agrees_with_single_limits(depth, exponents, signed):
    problem = gaussian_problem(30, 80, 4, seed=3, signed=signed)
    models = [
        DeepFactorization(depth, signed=signed, log_alpha=exponent * np.log(10))
        for exponent in np.linspace(*exponents, 20)
    ]
    singles = [flow_limit(problem, model) for model in models]
    path = limit_path(problem, models)
    for limit, single in zip(path, singles, strict=True):
        assert limit.status == "converged"
        assert limit.residual <= 1e-12
        np.testing.assert_allclose(limit.x, single.x, atol=1e-10 * np.abs(single.x).max())
        # the dual, and with it the certificate, to what doubles resolve
        assert limit.lower_bound <= single.l1_norm
        assert limit.gap <= single.gap * (1 + 1e-3) + 1e-12 * single.l1_norm
    work, usual = (sum(limit.iterations for limit in found) for found in (path, singles))
    assert work <= usual / 3


def test_path_keeps_the_order_and_takes_one_alpha_a_coordinate():
    problem = gaussian_problem(10, 25, 2, seed=1)
    shape = np.linspace(0.5, 1.5, 25)
    scales = [1e-3, 1e-1, 1e-2]
    models = [DeepFactorization(3, scale * shape) for scale in scales]
    for limit, model in zip(limit_path(problem, models), models, strict=True):
        np.testing.assert_allclose(limit.x, flow_limit(problem, model).x, atol=1e-12)


def test_path_of_problems_that_end_otherwise():
    models = [DeepFactorization(3, alpha, signed=False) for alpha in (0.1, 0.01)]
    A = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    without = limit_path(Problem(A, np.array([1.0, 0.5])), models)
    assert [limit.status for limit in without] == ["infeasible", "infeasible"]
    zero = limit_path(Problem(A, np.zeros(2)), [DeepFactorization(3, 0.1), DeepFactorization(3, 1)])
    assert all(limit.l1_norm < 1e-15 for limit in zero)


def test_path_refuses_models_that_do_not_form_one():
    problem = gaussian_problem(4, 9, 1, seed=0)
    with pytest.raises(ValueError, match="at least one model"):
        limit_path(problem, [])
    with pytest.raises(TypeError, match="DeepFactorizations of depth >= 2"):
        limit_path(problem, [DeepFactorization(1)])
    for other in (DeepFactorization(3, 0.1), DeepFactorization(2, 0.1, signed=False)):
        with pytest.raises(ValueError, match="differ in alpha only"):
            limit_path(problem, [DeepFactorization(2, 0.1), other])
    bent = [DeepFactorization(3, 0.1), DeepFactorization(3, np.linspace(0.1, 0.2, 9))]
    with pytest.raises(ValueError, match="common factor"):
        limit_path(problem, bent)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize(("M", "s"), [(40, 3), (40, 30), (70, 20)])
def test_another_depth_as_a_start_leads_to_the_same_limit(M, s, signed):
    spent = usual = 0
    for seed in range(3):
        problem = gaussian_problem(M, 80, s, seed=seed, signed=signed)
        two = flow_limit(problem, DeepFactorization(2, signed=signed, log_alpha=-690.0))
        for depth, alpha in [(3, 1e-5), (4, 1e-4), (2, 1e-8), (np.inf, 1e-12), (3, 0.5)]:
            model = DeepFactorization(depth, alpha, signed)
            limit, cold = flow_limit(problem, model, start=two), flow_limit(problem, model)
            assert limit.status == "converged"
            assert limit.residual <= 1e-11
            np.testing.assert_allclose(limit.x, cold.x, atol=1e-10 * np.abs(cold.x).max())
            assert limit.lower_bound <= cold.l1_norm
            if depth == 3 and alpha < 0.1:
                spent, usual = spent + limit.iterations, usual + cold.iterations
    assert spent <= usual / 2


def test_a_start_of_another_kind_is_refused():
    problem = gaussian_problem(4, 9, 1, seed=0)
    model = DeepFactorization(3, 0.1)
    with pytest.raises(TypeError, match="start must be a LimitResult"):
        flow_limit(problem, model, start=problem.y)
    other = flow_limit(gaussian_problem(5, 9, 1, seed=0), model)
    with pytest.raises(ValueError, match="same size"):
        flow_limit(problem, model, start=other)

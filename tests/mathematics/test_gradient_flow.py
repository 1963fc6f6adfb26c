import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import aslinearoperator

from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.factor_flow import factor_flow, initial_factors, leave_one_out_products
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.limit import flow_limit
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem, dct_problem, gaussian_problem

DEPTHS = [1, 2, 2.5, 3, 4, 6, np.inf]


def relative_errors(x, reference):
    return np.linalg.norm(x - reference, axis=-1) / np.maximum(
        np.linalg.norm(reference, axis=-1), 1e-300
    )


def explicit_flow_of_all_factors(problem, factors, times):
    """All S * L * N factors by an explicit method of order 8, products by plain loops."""
    S, L, N = factors.shape
    sign = [1.0, -1.0][:S]

    def velocity(_, flat):
        f = flat.reshape(S, L, N)
        x = sum(s * np.prod(group, axis=0) for s, group in zip(sign, f, strict=True))
        h = problem.A.T @ (problem.A @ x - problem.y)
        f_dot = np.empty_like(f)
        for g in range(S):
            for j in range(L):
                f_dot[g, j] = -sign[g] * np.prod(np.delete(f[g], j, axis=0), axis=0) * h
        return f_dot.ravel()

    solution = solve_ivp(
        velocity,
        (0.0, times[-1]),
        factors.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-18,
    )
    path = solution.y.T.reshape(-1, S, L, N)
    return sum(s * np.prod(path[:, g], axis=1) for g, s in enumerate(sign)), path


class Wrapped(MirrorMap):
    """A deep factorisation that the integrator does not recognise."""

    def __init__(self, model):
        self.model = model

    def signal(self, w):
        return self.model.signal(w)

    def signal_derivative(self, w):
        return self.model.signal_derivative(w)

    def potential(self, x):
        return self.model.potential(x)

    def potential_gradient(self, x):
        return self.model.potential_gradient(x)


class PerturbedPair(MirrorMap):
    """x = u1 u2 with u1^2 - u2^2 = delta > 0, which lets x change its sign."""

    def __init__(self, delta, x0):
        self.delta, self.shift = delta, np.arcsinh(2 * x0 / delta)

    def signal(self, w):
        return 0.5 * self.delta * np.sinh(2 * w + self.shift)

    def signal_derivative(self, w):
        return self.delta * np.cosh(2 * w + self.shift)

    def potential(self, x):
        raise NotImplementedError

    def potential_gradient(self, x):
        return 0.5 * (np.arcsinh(2 * x / self.delta) - self.shift)


# --- the trajectory ----------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("depth", "alpha"), [(2, 1e-1), (2, 1e-3), (3, 1e-1), (3, 1e-2), (4, 0.1)])
def test_agrees_with_separately_integrated_factors(depth, alpha, signed):
    problem = gaussian_problem(6, 14, 2, seed=3, signed=signed)
    model = DeepFactorization(depth, alpha, signed=signed)
    factors = initial_factors(model, problem.N)
    times = np.append(0.0, np.geomspace(0.1, 300.0, 20))
    x, path = explicit_flow_of_all_factors(problem, factors, times)

    flow = gradient_flow(problem, model, times)
    assert flow.success
    assert relative_errors(flow.x, x).max() < 2e-8

    separate = factor_flow(problem, factors, signed, times)
    assert separate.success
    assert relative_errors(separate.x, x).max() < 1e-6
    assert np.max(np.abs(separate.factors / path - 1)) < 1e-6


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("alpha", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("depth", DEPTHS)
def test_ends_in_the_exact_limit(depth, alpha, signed):
    problem = gaussian_problem(4, 10, 1, seed=4, signed=signed)
    model = DeepFactorization(depth, alpha, signed=signed)
    last = 1e4 / np.min(model.signal_derivative(np.zeros(10)))  # the slowest relaxation
    flow = gradient_flow(problem, model, [0.0, 1e12, 1e12 + last], rtol=1e-7)
    limit = flow_limit(problem, model)
    assert flow.success, flow.message
    assert limit.success
    assert relative_errors(flow.x[-1], limit.x) < 1e-9
    assert flow.loss[-1] < 1e-20 * flow.loss[0]


@pytest.mark.parametrize(
    ("depth", "alpha"),
    [(2, 1e-6), (2.5, 1e-6), (3, 1e-3), (4, 1e-3), (np.inf, 1e-6)],
)
def test_one_unknown_through_the_jump(depth, alpha):
    # Positive model, A = 1, y = 1: x' = L x^(2 - 2/L) (1 - x), so t(x) is an integral.
    model = DeepFactorization(depth, alpha, signed=False)
    targets = [0.1, 0.5, 0.9]
    with mp.workdps(30):
        power = 2 - (0 if np.isinf(depth) else 2 / mp.mpf(depth))
        front = 1 if np.isinf(depth) else depth
        a = mp.mpf(alpha) ** (1 if np.isinf(depth) else depth)

        def density(z):  # s = e^z
            return mp.e ** ((1 - power) * z) / (front * (1 - mp.e**z))

        grid = mp.linspace(mp.log(a), mp.log(0.05), 40)
        start = mp.quad(density, grid)
        times = [
            float(start + mp.quad(density, mp.linspace(mp.log(0.05), mp.log(x), 4)))
            for x in targets
        ]
    problem = Problem([[1.0]], [1.0])
    usual, tight = gradient_flow(problem, model, times), gradient_flow(problem, model, times, 1e-11)
    for flow in (usual, tight):
        assert np.all(np.abs(flow.x[:, 0] / targets - 1) <= flow.error)
    assert tight.success
    np.testing.assert_allclose(tight.x[:, 0], targets, rtol=1e-6)


def test_says_where_the_jump_is_too_sharp():
    # x' = x^2 (1 - x), x(0) = mu: around t = 1/mu, a relative change e of t moves x by e/mu.
    mu = 1e-10
    model = DeepFactorization(np.inf, mu, signed=False)
    jump = 1 / mu + np.log(1 / mu) - 1
    flow = gradient_flow(Problem([[1.0]], [1.0]), model, [0.0, jump, 10 / mu])
    assert flow.status == "inaccurate"
    assert not flow.success
    assert "at 1 of 3 times" in flow.message
    assert flow.error[1] > 1e-6 > flow.error[2]
    assert abs(flow.x[-1, 0] - 1) < 1e-12


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 3, np.inf])
def test_bregman_identity(depth, signed):
    problem = gaussian_problem(3, 7, 2, seed=5, signed=signed)
    z = problem.x_true + (0.0 if signed else 0.1)
    problem = Problem(problem.A, problem.A @ z)
    model = DeepFactorization(depth, 0.1, signed=signed)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.append(0.0, np.geomspace(1e-3, 1e3, 60))
    width = np.diff(edges)
    inner = edges[:-1, None] + 0.5 * width[:, None] * (nodes + 1)
    times = np.sort(np.concatenate([edges, inner.ravel()]))
    flow = gradient_flow(problem, model, times, rtol=1e-8)
    at_edges = np.searchsorted(times, edges)
    divergence = np.array([bregman_divergence(model, z, x) for x in flow.x])
    assert np.all(np.diff(divergence) <= 1e-13 * divergence[0])
    loss = flow.loss[np.searchsorted(times, inner)]
    dissipated = 0.5 * width * (2 * loss @ weights)
    decrease = -np.diff(divergence[at_edges])
    np.testing.assert_allclose(decrease, dissipated, rtol=1e-6, atol=1e-9 * divergence[0])


def test_depth_one_has_a_closed_form():
    problem = gaussian_problem(5, 8, 2, seed=0)
    times = np.append(0.0, np.geomspace(1e-3, 1e12, 40))
    flow = gradient_flow(problem, DeepFactorization(1), times)
    U, sizes, Vt = np.linalg.svd(problem.A, full_matrices=False)
    x = (-np.expm1(-times[:, None] * sizes**2) / sizes * (U.T @ problem.y)) @ Vt
    np.testing.assert_allclose(flow.x, x, rtol=0, atol=1e-9)
    np.testing.assert_allclose(flow.dual @ problem.A, x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("depth", DEPTHS)
def test_dual_variable_belongs_to_the_signal(depth):
    problem = gaussian_problem(4, 9, 2, seed=1)
    model = DeepFactorization(depth, 0.1)
    flow = gradient_flow(problem, model)
    assert flow.success
    assert flow.times[0] == 0
    assert len(flow.times) == 161
    np.testing.assert_allclose(model.signal(flow.dual @ problem.A), flow.x, rtol=0, atol=1e-9)
    residual = flow.x @ problem.A.T - problem.y
    np.testing.assert_allclose(flow.loss, 0.5 * np.sum(residual**2, axis=1), rtol=1e-12)


def test_error_follows_the_tolerance():
    problem = gaussian_problem(3, 7, 1, seed=3)
    model = DeepFactorization(3, 1e-1)
    times = np.geomspace(1.0, 1e3, 10)
    exact = gradient_flow(problem, model, times, rtol=1e-12).x
    errors = [
        relative_errors(gradient_flow(problem, model, times, rtol=rtol).x, exact).max()
        for rtol in (1e-4, 1e-6, 1e-8)
    ]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 1e-7


# --- other mirror maps and other problems -------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 3, np.inf])
def test_any_mirror_map(depth):
    problem = gaussian_problem(3, 7, 1, seed=1)
    model = DeepFactorization(depth, 0.05)
    known = gradient_flow(problem, model)
    other = gradient_flow(problem, Wrapped(model), known.times)
    assert other.success
    assert relative_errors(other.x, known.x)[1:].max() < 1e-7


@pytest.mark.parametrize(("depth", "alpha"), [(4, 1e-5), (6, 1e-3)])
def test_never_silently_wrong_for_a_map_beyond_double_precision(depth, alpha):
    problem = gaussian_problem(3, 6, 1, seed=1)
    model = DeepFactorization(depth, alpha)
    times = np.geomspace(0.1, 1e3, 25) * alpha ** (2 - depth)
    known = gradient_flow(problem, model, times, rtol=1e-7)
    assert known.success
    other = gradient_flow(problem, Wrapped(model), times, rtol=1e-7, max_steps=500)
    assert not other.success
    assert other.message
    trusted = other.error < 1e-6
    assert trusted.any()
    assert np.all(relative_errors(other.x, known.x)[trusted] < 2e-6)


def test_perturbed_pair_of_factors_changes_sign():
    # Statement S13: the mirror map of the pair against the flow of its two factors.
    problem = gaussian_problem(5, 10, 2, seed=2)
    first = np.full(10, 0.1)
    second = 0.1 * np.linspace(0.5, 0.999, 10)
    model = PerturbedPair(first**2 - second**2, first * second)
    times = np.append(0.0, np.geomspace(0.1, 1e4, 25))
    flow = gradient_flow(problem, model, times)
    factors = factor_flow(problem, np.array([first, second]), signed=False, times=times)
    assert flow.success
    assert factors.success
    assert flow.x[-1].min() < -0.1
    assert relative_errors(factors.x, flow.x).max() < 1e-7


@pytest.mark.parametrize("depth", [1, 3, np.inf])
def test_dependent_rows_and_columns(depth):
    A = np.random.default_rng(0).standard_normal((4, 10))
    y = A[:, 0] - 2 * A[:, 1]
    model = DeepFactorization(depth, 1e-2)
    times = np.append(0.0, np.geomspace(0.1, 1e12, 8))
    plain = gradient_flow(Problem(A, y), model, 2 * times, rtol=1e-8)
    rows = gradient_flow(Problem(np.vstack([A, A]), np.append(y, y)), model, times, rtol=1e-8)
    assert rows.success
    np.testing.assert_allclose(rows.x, plain.x, rtol=0, atol=1e-6)  # twice the rows, half the time
    np.testing.assert_allclose(rows.dual[:, :4] + rows.dual[:, 4:], plain.dual, atol=1e-4)

    columns = gradient_flow(Problem(np.hstack([A, A]), y), model, times, rtol=1e-8)
    assert columns.success
    np.testing.assert_allclose(columns.x[:, :10], columns.x[:, 10:], rtol=0, atol=1e-12)
    assert columns.loss[-1] < 1e-20


def test_inconsistent_and_trivial_problems():
    rng = np.random.default_rng(1)
    A, y = rng.standard_normal((10, 4)), rng.standard_normal(10)
    model = DeepFactorization(2, 1e-2)
    flow = gradient_flow(Problem(A, y), model, [0.0, 1.0, 1e8])
    assert flow.success
    np.testing.assert_allclose(flow.x[-1], np.linalg.lstsq(A, y)[0], rtol=1e-9)
    lost = y - A @ flow.x[-1]
    np.testing.assert_allclose(flow.dual[-1] / 1e8, lost, rtol=1e-6)

    for problem in (Problem(np.zeros((3, 5)), np.ones(3)), Problem(A.T, np.zeros(4))):
        flow = gradient_flow(problem, model, [0.0, 1.0, 1e12])
        assert flow.success
        assert not flow.x.any()


def test_positive_model_without_feasible_point():
    A = np.abs(np.random.default_rng(0).standard_normal((4, 9)))
    for depth in (2, 3, np.inf):
        flow = gradient_flow(Problem(A, -A.sum(axis=1)), DeepFactorization(depth, 0.1, False))
        assert flow.success
        assert flow.x.min() >= 0
        assert flow.x[-1].max() < 1e-4  # the nearest nonnegative point is 0


def test_linear_operator_and_init_scale_for_each_coordinate():
    problem = dct_problem(4, 10, 1, seed=0)
    model = DeepFactorization(3, np.geomspace(1e-4, 1e-1, 10))
    times = np.append(0.0, np.geomspace(1.0, 1e20, 11))
    flow = gradient_flow(problem, model, times, rtol=1e-7)
    dense = gradient_flow(Problem(problem.dense(), problem.y), model, times, rtol=1e-7)
    np.testing.assert_array_equal(flow.x, dense.x)
    assert flow.success
    x = flow.x[-1]
    np.testing.assert_allclose(problem.A @ x, problem.y, atol=1e-12)
    np.testing.assert_allclose(model.signal(problem.A.rmatvec(flow.dual[-1])), x, atol=1e-7)


@pytest.mark.parametrize(("depth", "log_alpha"), [(2, -700.0), (3, -200.0), (3, -600.0)])
def test_init_scale_far_below_the_spacing_of_doubles(depth, log_alpha):
    problem = gaussian_problem(4, 10, 1, seed=4)
    model = DeepFactorization(depth, log_alpha=log_alpha)
    flow = gradient_flow(problem, model)
    assert flow.success, flow.message
    assert relative_errors(flow.x[-1], flow_limit(problem, model).x) < 1e-9


def test_repeated_times_and_a_single_time():
    problem = gaussian_problem(3, 6, 1, seed=0)
    model = DeepFactorization(2, 0.1)
    flow = gradient_flow(problem, model, [0.0, 0.0, 2.0, 2.0])
    np.testing.assert_array_equal(flow.x[2], flow.x[3])
    alone = gradient_flow(problem, model, [2.0])
    np.testing.assert_allclose(alone.x[0], flow.x[2], rtol=1e-9)
    start = gradient_flow(problem, model, [0.0, 0.0])
    assert start.success
    np.testing.assert_array_equal(start.x, flow.x[:2])


@pytest.mark.parametrize(("depth", "alpha"), [(2, 1e-8), (3, 1e-3), (np.inf, 1e-4)])
def test_more_times_do_not_move_the_points(depth, alpha):
    problem = gaussian_problem(8, 20, 2, seed=0)
    model = DeepFactorization(depth, alpha)
    few = gradient_flow(problem, model, np.append(0.0, np.geomspace(1.0, 1e6, 7)))
    times = np.sort(np.append(few.times, np.geomspace(0.5, 1e6, 500)))
    many = gradient_flow(problem, model, times)
    assert few.success or np.max(few.error) < 1e-4
    same = np.searchsorted(times, few.times)
    assert np.all(relative_errors(many.x[same], few.x)[1:] <= 2.0 * few.error[1:])


def test_out_of_steps_is_said_and_leaves_no_numbers():
    problem = gaussian_problem(3, 6, 1, seed=0)
    flow = gradient_flow(problem, DeepFactorization(2, 0.1), [0.0, 1e6], max_steps=5)
    assert flow.status == "failed"
    assert not flow.success
    assert "max_steps" in flow.message
    assert np.isfinite(flow.x[0]).all()
    assert np.isnan(flow.x[1]).all()
    assert np.isnan(flow.loss[1])
    assert np.isnan(flow.dual[1]).all()


# --- the factors --------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_arbitrary_factors(depth):
    problem = gaussian_problem(6, 14, 2, seed=3)
    start = 0.5 * np.random.default_rng(depth).standard_normal((2, depth, 14))
    times = np.append(0.0, np.geomspace(0.1, 100.0, 20))
    x, path = explicit_flow_of_all_factors(problem, start, times)
    flow = factor_flow(problem, start, True, times)
    assert flow.success
    assert relative_errors(flow.x, x).max() < 1e-8
    np.testing.assert_allclose(flow.factors, path, rtol=0, atol=1e-8)
    np.testing.assert_allclose(flow.factors[0], start, rtol=1e-14)
    squares = flow.factors**2
    differences = squares - squares[:, :, :1]
    start_differences = np.broadcast_to(differences[0], differences.shape)
    np.testing.assert_allclose(differences, start_differences, rtol=1e-12, atol=1e-12)

    x, path = explicit_flow_of_all_factors(problem, start[:1], times)
    for shaped in (start[0], start[:1]):
        flow = factor_flow(problem, shaped, False, times)
        assert flow.factors.shape == (len(times), *shaped.shape)
        assert relative_errors(flow.x, x).max() < 1e-8


@pytest.mark.parametrize("depth", [2, 3])
def test_factors_and_dual_agree_far_out(depth):
    problem = gaussian_problem(10, 30, 2, seed=0)
    model = DeepFactorization(depth, 1e-2)
    flow = factor_flow(problem, initial_factors(model, 30), times=np.geomspace(0.1, 1e12, 40))
    assert flow.success
    dual = gradient_flow(problem, model, flow.times)
    assert relative_errors(flow.x, dual.x).max() < 1e-6


def test_zero_factors_stay_and_default_times():
    problem = gaussian_problem(4, 8, 1, seed=0)
    start = np.full((2, 3, 8), 0.3)
    start[:, :2, 3] = 0.0  # two zero factors: nothing moves in this coordinate
    start[:, :, 4] = 0.0
    flow = factor_flow(problem, start)
    assert flow.success
    assert len(flow.times) == 161
    assert not flow.x[:, 3:5].any()
    assert flow.loss[-1] < flow.loss[0]


def test_leave_one_out_products_need_no_division():
    factors = np.random.default_rng(0).standard_normal((2, 4, 5))
    factors[0, 1] = 0.0
    for j in range(4):
        expected = np.prod(np.delete(factors, j, axis=1), axis=1)
        np.testing.assert_allclose(leave_one_out_products(factors)[:, j], expected, rtol=1e-14)
    np.testing.assert_array_equal(leave_one_out_products(factors[:, :1]), 1.0)


# --- bad input ----------------------------------------------------------------------------------

PROBLEM = gaussian_problem(3, 6, 1, seed=0)
MODEL = DeepFactorization(3, 0.1)
BAD_TIMES = [
    ([], ValueError),
    ([0.0, np.nan], ValueError),
    ([0.0, np.inf], ValueError),
    ([-1.0, 1.0], ValueError),
    ([2.0, 1.0], ValueError),
    ([[0.0, 1.0]], ValueError),
    (3.0, ValueError),
    (["a"], TypeError),
    ([1j], TypeError),
]


@pytest.mark.parametrize(("times", "error"), BAD_TIMES)
def test_bad_times(times, error):
    with pytest.raises(error, match="times"):
        gradient_flow(PROBLEM, MODEL, times)
    with pytest.raises(error, match="times"):
        factor_flow(PROBLEM, np.ones((2, 2, 6)), times=times)


@pytest.mark.parametrize(
    ("arguments", "name", "error"),
    [
        ({"problem": PROBLEM.A}, "problem", TypeError),
        ({"model": 3}, "model", TypeError),
        ({"model": DeepFactorization(3, [0.1, 0.2])}, "alpha", ValueError),
        ({"rtol": 0.0}, "rtol", ValueError),
        ({"rtol": 0.1}, "rtol", ValueError),
        ({"rtol": np.nan}, "rtol", ValueError),
        ({"rtol": "small"}, "rtol", TypeError),
        ({"max_steps": 0}, "max_steps", ValueError),
        ({"max_steps": 1.5}, "max_steps", TypeError),
    ],
)
def test_bad_arguments(arguments, name, error):
    with pytest.raises(error, match=name):
        gradient_flow(**{"problem": PROBLEM, "model": MODEL} | arguments)


@pytest.mark.parametrize(
    ("factors", "signed", "error"),
    [
        (np.ones((2, 3, 5)), True, ValueError),
        (np.ones((1, 3, 6)), True, ValueError),
        (np.ones((3, 6)), True, ValueError),
        (np.ones((2, 3, 6)), False, ValueError),
        (np.ones(6), False, ValueError),
        (np.ones((2, 0, 6)), True, ValueError),
        (np.full((2, 3, 6), np.nan), True, ValueError),
        (np.ones((2, 3, 6)) * 1j, True, TypeError),
        ("ones", True, TypeError),
    ],
)
def test_bad_factors(factors, signed, error):
    with pytest.raises(error, match="factors"):
        factor_flow(PROBLEM, factors, signed)


def test_bad_arguments_of_the_factor_flow():
    factors = np.ones((2, 3, 6))
    with pytest.raises(TypeError, match="problem"):
        factor_flow(aslinearoperator(PROBLEM.A), factors)
    with pytest.raises(TypeError, match="signed"):
        factor_flow(PROBLEM, factors, signed=1)
    with pytest.raises(ValueError, match="rtol"):
        factor_flow(PROBLEM, factors, rtol=-1.0)
    for model in (DeepFactorization(2.5, 0.1), DeepFactorization(1), DeepFactorization(np.inf, 1)):
        with pytest.raises(ValueError, match="depth"):
            initial_factors(model, 6)
    with pytest.raises(ValueError, match="log_alpha"):
        initial_factors(DeepFactorization(2, log_alpha=-800), 6)
    with pytest.raises(ValueError, match="N must"):
        initial_factors(MODEL, 0)
    with pytest.raises(TypeError, match="model"):
        initial_factors(3, 6)


@pytest.mark.parametrize("rtol", [1e-8, 1e-10])
def test_stiffness_that_lsoda_does_not_see_costs_no_more_than_some_steps(rtol):
    problem = Problem(np.eye(3), [0.5, 1.0, 3.0])
    model = DeepFactorization(6, 0.03, signed=False)
    path = gradient_flow(problem, model, times=[6.2e5, 7e5], rtol=rtol, max_steps=10_000)
    assert path.status != "failed", path.message
    np.testing.assert_allclose(path.x[-1], problem.y, rtol=1e-6)


def test_a_start_that_is_all_but_the_solution():
    """The residual at the start is rounding, and so is every later one."""
    problem = gaussian_problem(20, 60, 3, seed=0)
    start = Problem(problem.A, problem.A @ np.full(60, 0.01))
    flow = gradient_flow(start, DeepFactorization(2, 0.1, signed=False))
    assert flow.status == "success"
    np.testing.assert_allclose(flow.x[-1], 0.01, rtol=1e-9)

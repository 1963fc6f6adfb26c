from functools import cache

import mpmath as mp
import numpy as np
import pytest
from exact_reference import reference_limit
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from deepfact import rates, theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem, gaussian_problem

DEPTHS = [2, 2.5, 3, 6, np.inf]


@pytest.fixture(autouse=True)
def _many_digits():
    with mp.workdps(60):
        yield


@cache
def instance(s, nonnegative, seed, M=4, N=6):
    """Return a problem with integer data whose minimiser is its sparse signal."""
    rng = np.random.default_rng(seed)
    A = rng.integers(-4, 5, size=(M, N)).astype(float)
    x = np.zeros(N)
    x[:s] = rng.integers(1, 4, size=s) * (1 if nonnegative else rng.choice([-1, 1], size=s))
    problem = Problem(A, A @ x, x)
    assert np.allclose(basis_pursuit(problem, nonnegative=nonnegative).x, x, atol=1e-10)
    return problem


# Seeds at which the signal is the unique minimiser, and nonnegative signals have room.
CASES = [(1, False, 12), (2, False, 5), (1, True, 15), (2, True, 34), (2, True, 10)]


@pytest.mark.parametrize(("s", "nonnegative", "seed"), CASES)
@pytest.mark.parametrize(
    ("depth", "log_alpha", "tolerance"),
    [
        (2, -40.0, 1e-3),
        (2.5, -30.0, 1e-4),
        (3, -16.0, 1e-5),
        (6, -5.0, 1e-6),
        (np.inf, -18.0, 1e-5),
    ],
)
def test_first_order_correction_against_sixty_digits(
    s, nonnegative, seed, depth, log_alpha, tolerance
):
    problem = instance(s, nonnegative, seed)
    asymptote = rates.first_order_correction(problem, problem.x_true, depth, nonnegative)
    x, _ = reference_limit(problem.A, problem.y, depth, log_alpha, not nonnegative, digits=60)
    size = mp.exp(asymptote.exponent * mp.mpf(log_alpha))
    error = np.array(
        [float((a - mp.mpf(b)) / size) for a, b in zip(x, problem.x_true, strict=True)]
    )
    scale = np.max(np.abs(asymptote.direction))
    assert np.allclose(error, asymptote.direction, rtol=0, atol=tolerance * scale)
    gap = sum(abs(t) for t in x) - mp.mpf(np.abs(problem.x_true).sum())
    assert float(gap / size) == pytest.approx(asymptote.gap_coefficient, rel=10 * tolerance)
    assert asymptote.gap(log_alpha=log_alpha) == pytest.approx(float(gap), rel=10 * tolerance)


@pytest.mark.parametrize(("s", "nonnegative", "seed"), CASES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_first_order_correction_obeys_its_definition(s, nonnegative, seed, depth):
    problem = instance(s, nonnegative, seed)
    A, x = problem.A, problem.x_true
    result = rates.first_order_correction(problem, x, depth, nonnegative)
    S, d, rho = x != 0, result.direction, result.certificate
    assert np.max(np.abs(A @ d)) < 1e-10 * np.max(np.abs(d))
    # The certificate is in the range of A^T, has the signs of x, and is inside its bounds.
    nu = np.linalg.lstsq(A.T, rho, rcond=None)[0]
    assert np.allclose(A.T @ nu, rho, atol=1e-9)
    assert np.array_equal(rho[S], np.sign(x[S]))
    peak = rho[~S] if nonnegative else np.abs(rho[~S])
    assert peak.max() == pytest.approx(result.rho, abs=1e-7)
    assert result.rho < 1
    # The gap is <1 - rho, |d|> for this certificate and for every other one.
    slack = np.abs(d[~S]) - rho[~S] * d[~S]
    assert result.gap_coefficient == pytest.approx(slack.sum(), rel=1e-9)
    assert result.gap_coefficient == pytest.approx(
        np.sign(x[S]) @ d[S] + np.abs(d[~S]).sum(), rel=1e-9
    )
    if depth == 2:
        assert result.exponent == pytest.approx(2 * (1 - result.rho), abs=1e-12)
        assert result.exponent == pytest.approx(
            rates.l1_error_exponent(problem, x, nonnegative), abs=1e-12
        )
        return
    assert result.exponent == (1 if np.isinf(depth) else depth)
    # No other certificate has a smaller sum of potentials.
    power = 1 if np.isinf(depth) else depth / (depth - 2)

    def total(r):
        def phi(t):
            return -np.log(t) if power == 1 else t ** (1 - power) / (power - 1)

        return phi(1 - r[~S]).sum() + (0 if nonnegative else phi(1 + r[~S]).sum())

    kernel = np.linalg.svd(A[:, S].T)[2][S.sum() :]
    for direction in np.vstack([kernel, -kernel]):
        assert total(rho) <= total(rho + 1e-4 * (A.T @ direction) / np.abs(A.T @ direction).max())


@pytest.mark.parametrize(("s", "nonnegative", "seed"), CASES)
def test_exponent_against_direct_minimisation(s, nonnegative, seed):
    problem = instance(s, nonnegative, seed)
    S = problem.x_true != 0
    exponent = rates.l1_error_exponent(problem, problem.x_true, nonnegative)
    start = np.linalg.lstsq(problem.A[:, S].T, np.sign(problem.x_true[S]), rcond=None)[0]
    kernel = np.linalg.svd(problem.A[:, S].T)[2][s:].T

    def peak(z):
        r = problem.A[:, ~S].T @ (start + kernel @ z)
        return np.max(r if nonnegative else np.abs(r))

    best = np.zeros(4 - s)
    for _ in range(20):
        best = minimize(
            peak, best, method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-14}
        ).x
    assert 2 * (1 - peak(best)) <= exponent + 1e-12
    assert 2 * (1 - peak(best)) == pytest.approx(exponent, abs=1e-4)


def test_exponent_at_full_support_and_by_hand():
    # A = (1, 1 + delta): the certificate of (0, 1) is 1/(1 + delta) on the first coordinate.
    problem = rates.worst_case_problem(0.25)
    assert rates.l1_error_exponent(problem, problem.x_true) == pytest.approx(2 * (1 - 0.8))
    asymptote = rates.first_order_correction(problem, problem.x_true, 2)
    # x_1 = alpha^2 (x_2/alpha^2)^(0.8)
    assert asymptote.direction == pytest.approx([1.0, -0.8])
    assert asymptote.gap(1e-20) == pytest.approx(0.2 * 1e-20**0.4, rel=1e-12)
    square = Problem(np.eye(2), [1.0, -2.0])
    assert rates.l1_error_exponent(square, [1.0, -2.0]) == 2
    alone = rates.first_order_correction(square, [1.0, -2.0], 3)
    assert alone.exponent == np.inf
    assert not alone.direction.any()


def test_singleton_of_nonnegative_signals():
    problem = Problem(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]]), [3.0, 0.0])
    x = np.array([3.0, 0.0, 0.0])
    assert rates.l1_error_exponent(problem, x, nonnegative=True) == np.inf
    for depth in DEPTHS:
        asymptote = rates.first_order_correction(problem, x, depth, nonnegative=True)
        assert asymptote.exponent == np.inf
        assert asymptote.gap(0.5) == asymptote.gap(2.0) == 0
        assert np.array_equal(asymptote.gap([0.1, 0.2]), [0, 0])
        assert np.array_equal(asymptote.certificate, [1, -np.inf, -np.inf])


@pytest.mark.parametrize("depth", DEPTHS)
def test_coordinates_that_are_always_zero_change_nothing(depth):
    """A row of zeros and ones with measurement 0 pins the last coordinate."""
    base = instance(2, True, 34)
    A = np.block([[base.A, np.ones((4, 1))], [np.zeros((1, 6)), np.ones((1, 1))]])
    problem = Problem(A, np.append(base.y, 0.0))
    expected = rates.first_order_correction(base, base.x_true, depth, nonnegative=True)
    result = rates.first_order_correction(problem, np.append(base.x_true, 0.0), depth, True)
    assert np.allclose(result.direction[:6], expected.direction, rtol=1e-7, atol=1e-10)
    assert result.direction[6] == 0
    assert result.certificate[6] == -np.inf
    assert result.rho == pytest.approx(expected.rho, abs=1e-7)


def test_not_the_minimiser():
    problem = gaussian_problem(4, 8, 1, seed=0)
    bad = np.zeros(8)
    bad[:4] = np.linalg.solve(problem.A[:, :4], problem.y)
    with pytest.raises(ValueError, match="not the unique nondegenerate minimiser"):
        rates.l1_error_exponent(problem, bad)
    with pytest.raises(ValueError, match="columns of A are dependent"):
        rates.l1_error_exponent(problem, np.ones(8))
    with pytest.raises(ValueError, match="not the unique nondegenerate"):
        rates.l1_error_exponent(Problem([[1.0, 1.0]], [1.0]), [1.0, 0.0])


def test_depth_too_near_two():
    problem = gaussian_problem(20, 40, 4, seed=0)
    with pytest.raises(ArithmeticError, match="leave the range"):
        rates.first_order_correction(problem, problem.x_true, 2.0001)


def test_two_layers_need_a_generic_certificate():
    problem = Problem(np.array([[1.0, 0.5, 0.5]]), [1.0])
    with pytest.raises(ValueError, match="not generic"):
        rates.first_order_correction(problem, [1.0, 0.0, 0.0], 2)
    assert rates.first_order_correction(problem, [1.0, 0.0, 0.0], 3).exponent == 3


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("log_alpha", "delta"), [(-12.0, 0.3), (-2.0, 1e-3), (-1.0, 5.0), (0.5, 0.3)]
)
def test_worst_case_gap_against_many_digits(depth, log_alpha, delta, signed):
    Q = 1.5
    problem = rates.worst_case_problem(delta, Q)
    x, _ = reference_limit(problem.A, problem.y, depth, log_alpha, signed, digits=40)
    gap = x[0] + x[1] - mp.mpf(problem.y[0]) / mp.mpf(problem.A[0, 1])
    assert rates.worst_case_gap(delta, Q, depth, signed=signed, log_alpha=log_alpha) == (
        pytest.approx(float(gap), rel=2e-12 / min(delta, 1.0))
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2.5, 3, 6])
def test_worst_case_gap_of_very_unequal_columns(depth, signed):
    """The first dual variable is far below rounding, and so is what it adds to x_1."""
    log_alpha, delta, Q = -2.4, 1e13, 1.5
    problem = rates.worst_case_problem(delta, Q)
    x, _ = reference_limit(problem.A, problem.y, depth, log_alpha, signed, digits=60)
    gap = x[0] * delta / (1 + mp.mpf(delta))
    assert rates.worst_case_gap(delta, Q, depth, signed=signed, log_alpha=log_alpha) == (
        pytest.approx(float(gap), rel=1e-12, abs=0)
    )


def test_worst_case_gap_by_hand():
    # L = 2, delta = 1, positive: a t + 2 a t^2 = 2 Q with t = x_1/a.
    a, Q = 0.01, 1.0
    t = (-1 + np.sqrt(1 + 16 * Q / a)) / 4
    assert rates.worst_case_gap(1.0, Q, 2, 0.1, signed=False) == pytest.approx(a * t / 2, rel=1e-12)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("log_alpha", [-90.0, -7.0, -0.3])
def test_worst_case_supremum(depth, log_alpha, signed):
    gap, delta = rates.worst_case_supremum(2.0, depth, signed=signed, log_alpha=log_alpha)
    others = [
        rates.worst_case_gap(d, 2.0, depth, signed=signed, log_alpha=log_alpha)
        for d in delta * np.array([0.01, 0.5, 0.999, 1.0, 1.001, 2.0, 100.0])
    ]
    assert max(others) <= gap * (1 + 1e-12)
    assert gap == pytest.approx(others[3], rel=1e-10)
    assert gap <= theory.l1_gap_bound_sharp(2.0, 2, depth, signed=signed, log_alpha=log_alpha) * (
        1 + 1e-12
    )


def test_worst_case_supremum_over_a_fine_range_of_init_scales():
    """It looks at very unequal columns, where rounding once left a negative number to a logarithm.

    For a larger init scale the supremum is larger.
    """
    scales = [-2.4, *np.linspace(-6.0, 0.0, 61)]
    gaps = [rates.worst_case_supremum(1.0, 3, log_alpha=scale)[0] for scale in scales]
    assert np.all(np.diff(gaps[1:]) > 0)


@pytest.mark.parametrize("depth", DEPTHS)
def test_worst_case_constant_is_the_asymptote(depth):
    """Theta(1/log(1/alpha^2)) and Theta(alpha^(L-2)) with their constants."""
    constant, Q = rates.worst_case_constant(depth), 3.0
    log_alpha = -1e5 if depth == 2 else -300 if depth == 2.5 else -100.0
    log_ratio = np.log(Q) - log_alpha * (1 if np.isinf(depth) else depth)
    power = 1 / log_ratio if depth == 2 else np.exp(-(1 - 2 / depth) * log_ratio)
    gap, _ = rates.worst_case_supremum(Q, depth, log_alpha=log_alpha)
    assert gap == pytest.approx(constant * Q * power, rel=1e-4 if depth in (2, np.inf) else 1e-9)


def test_worst_case_constants_known_values():
    u = rates.worst_case_constant(2)
    assert u * np.exp(u) == pytest.approx(np.exp(-1), rel=1e-14)
    theta = np.linspace(1e-6, 0.5, 10**5)
    for depth in (2.01, 3, 4, 20):
        p = 1 - 2 / depth
        assert rates.worst_case_constant(depth) == pytest.approx(
            np.max(theta ** (1 - p) - theta * (1 - theta) ** -p), rel=1e-7
        )
    assert rates.worst_case_constant(2 + 1e-7) * 2 / 1e-7 == pytest.approx(u, rel=1e-5)
    assert rates.worst_case_constant(1e5) == pytest.approx(rates.worst_case_constant(np.inf), 1e-3)


def test_selection_criterion_values():
    x = np.array([0.25, -0.5, 0.25])
    assert rates.selection_criterion(x, 2) == pytest.approx(1.5 * np.log(2))
    assert rates.selection_criterion(x, 4) == pytest.approx(1 + np.sqrt(0.5))
    assert rates.selection_criterion(x, np.inf) == pytest.approx(-5 * np.log(2))
    assert rates.selection_criterion([0.0, 1.0], 2) == 0
    assert rates.selection_criterion([0.0, 4.0], 4) == 2
    assert rates.selection_criterion([0.0, 1.0], np.inf) == -np.inf


@pytest.mark.parametrize("depth", DEPTHS)
def test_selection_criterion_is_what_the_limit_maximises(depth):
    """Every solution has l1 norm 1, so the whole feasible set is the face of minimisers."""
    A = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 4.0]])
    y = np.array([1.0, 1.25])
    log_alpha = -150.0 if depth == 2 else -40.0
    x, _ = reference_limit(A, y, depth, log_alpha, signed=False, digits=30)
    x = np.array([float(t) for t in x])
    best = rates.selection_criterion(x, depth)
    for direction in np.linalg.svd(A)[2][2:]:
        for step in (-1e-3, 1e-3):
            assert rates.selection_criterion(x + step * direction, depth) < best
    other = {2: 6, 6: 2}.get(depth)
    if other:
        moved = [
            rates.selection_criterion(x + t * d, other)
            for d in np.linalg.svd(A)[2][2:]
            for t in (-1e-3, 1e-3)
        ]
        assert max(moved) > rates.selection_criterion(x, other)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("signed", [True, False])
def test_stability_limit_against_the_jacobian_of_descent(depth, signed):
    """The step's Jacobian at a zero of the loss has spectral radius 1 exactly at the limit."""
    rng = np.random.default_rng(depth)
    A, u = rng.standard_normal((3, 5)), rng.uniform(0.2, 1.2, 5)
    v = rng.uniform(0.0, 0.9, 5) if signed else None
    blocks = [np.diag(u ** (depth - 1))] * depth
    if signed:
        blocks += [-np.diag(v ** (depth - 1))] * depth
    J = A @ np.hstack(blocks)
    limit = rates.stability_limit(A, u, v, depth)
    for factor, stable in ((0.999, True), (1.001, False)):
        eigenvalues = np.linalg.eigvalsh(np.eye(J.shape[1]) - factor * limit * J.T @ J)
        assert (eigenvalues.min() > -1) == stable
    assert rates.stability_limit(A, np.zeros(5), None, depth) == np.inf


@pytest.mark.parametrize("depth", [2, 2.5, 3, 6])
def test_escape_time_against_integration(depth):
    alpha, drift, X = 0.3, 0.7, 1.9
    time = rates.escape_time(X, drift, depth, alpha)
    path = solve_ivp(
        lambda _, x: depth * x ** (2 - 2 / depth) * drift,
        (0, time),
        [alpha**depth],
        rtol=1e-11,
        atol=1e-14,
    )
    assert path.y[0, -1] == pytest.approx(X, rel=1e-7)


def test_escape_time_values_and_extremes():
    assert rates.escape_time(1.0, 0.5, 2, 0.1) == pytest.approx(np.log(100))
    assert rates.escape_time(8.0, 0.5, 3, 0.1) == pytest.approx((10 - 0.5) / 0.5)
    assert rates.escape_time(2.0, 0.5, np.inf, 0.1) == pytest.approx(2 * (10 - 0.5))
    assert rates.escape_time(0.01, 1.0, 2, 0.1) == pytest.approx(0, abs=1e-15)
    assert rates.escape_time(1.0, 0.5, 2 + 1e-9, 0.1) == pytest.approx(np.log(100), rel=1e-7)
    assert rates.log_escape_time(1.0, 1.0, 6, log_alpha=-700.0) == pytest.approx(2800 - np.log(4))
    assert rates.escape_time(1.0, 1.0, 6, log_alpha=-700.0) == np.inf
    assert rates.escape_time(1.0, 1.0, 2, log_alpha=-700.0) == pytest.approx(700)
    table = rates.escape_time([[1.0], [2.0]], 1.0, 3, [0.1, 0.2])
    assert table.shape == (2, 2)
    assert table[1, 0] == rates.escape_time(2.0, 1.0, 3, 0.1)


def test_plateau_exponents():
    assert rates.plateau_exponents(2, 0.25) == (1.5, 1.5)
    assert rates.plateau_exponents(2, -0.5) == (3, 3)
    assert rates.plateau_exponents(3) == (4, 3)
    assert rates.plateau_exponents(6, 0.3) == (10, 6)


def test_plateau_of_three_layers_scales_as_predicted():
    """alpha^L high and alpha^(2L-2) slow: in these units the paths collapse as alpha -> 0."""
    problem = gaussian_problem(4, 6, 1, seed=3)
    S = problem.x_true != 0
    column = problem.A[:, S] / np.linalg.norm(problem.A[:, S])
    rate, height = rates.plateau_exponents(3)
    curves = []
    for alpha in (0.04, 0.02):
        model = DeepFactorization(3, alpha)
        times = alpha**-rate * np.array([0.02, 0.06, 0.2, 0.4])
        path = solve_ivp(
            lambda _, nu, m=model: problem.y - problem.A @ m.signal(problem.A.T @ nu),
            (0, times[-1]),
            np.zeros(4),
            method="BDF",
            rtol=1e-8,
            atol=1e-10 / alpha,
            t_eval=times,
        )
        residuals = problem.y[:, None] - problem.A @ model.signal(path.y.T @ problem.A).T
        residuals -= column @ (column.T @ residuals)
        curves.append(np.linalg.norm(residuals, axis=0) / alpha**height)
    assert curves[0].max() < 10
    assert curves[1] == pytest.approx(curves[0], rel=0.15)
    assert curves[1][-1] < 0.3 * curves[1][0]


@given(st.lists(st.floats(-0.9, 0.9), min_size=1, max_size=20))
def test_descent_damping_is_the_product_of_factors(steps):
    u, v = np.prod([1 - s for s in steps]), np.prod([1 + s for s in steps])
    total = sum(rates.descent_damping(s) for s in steps)
    assert u * v == pytest.approx(np.exp(-total), rel=1e-12)


def test_descent_damping_values():
    assert rates.descent_damping(1e-9) == pytest.approx(1e-18, abs=1e-16)
    assert rates.descent_damping(1.0) == np.inf
    assert rates.descent_damping(np.sqrt(2)) == pytest.approx(0, abs=1e-15)
    assert rates.descent_damping(2.0) == pytest.approx(-np.log(3))
    assert rates.descent_damping([0.5, -0.5]) == pytest.approx([np.log(4 / 3)] * 2)


@pytest.mark.parametrize("imbalance", [-0.3, 1e-2, 1e-7])
def test_sign_change_time_against_integration(imbalance):
    drift, x0 = 0.8, 0.6
    mean = np.sqrt(x0**2 + imbalance**2 / 4)
    start = np.sqrt([mean + imbalance / 2, mean - imbalance / 2])
    time = rates.sign_change_time(x0, imbalance, drift)
    path = solve_ivp(lambda _, u: -drift * u[::-1], (0, time), start, rtol=1e-12, atol=1e-15)
    assert np.prod(start) == pytest.approx(x0)
    # x' = -drift sqrt(imbalance^2 + 4 x^2) crosses 0 at that time.
    assert np.prod(path.y[:, -1]) == pytest.approx(0, abs=1e-6 * abs(imbalance))


def test_sign_change_time_extremes():
    assert rates.sign_change_time(1.0, 0.0, 1.0) == np.inf
    assert rates.sign_change_time(1.0, 1e-300, 0.5) == pytest.approx(np.log(4e300), rel=1e-12)
    assert rates.sign_change_time(1e300, 1e-300, 0.5) == pytest.approx(
        np.log(4) + 600 * np.log(10), rel=1e-12
    )
    assert rates.sign_change_time(1e-300, 1e300, 0.5) == 0


def product_weights(c):
    order = sorted(c, key=abs)
    start = mp.mpf(order[0]) * mp.sign(mp.fprod(order[1:]))
    mu2 = [mp.mpf(t) ** 2 - mp.mpf(order[0]) ** 2 for t in order[1:]]

    def density(x):
        return 1 / mp.sqrt(mp.fprod([x * x + m for m in mu2]))

    marks = [mp.mpf(0)] + [sign * mp.mpf(10) ** k for k in range(-3, 5) for sign in (-1, 1)]
    up = mp.quad(density, sorted([start, *[m for m in marks if m > start], mp.inf]))
    down = mp.quad(density, [-mp.inf, *sorted([start, *[m for m in marks if m < start]])])
    return float(up), float(down)


@pytest.mark.parametrize(
    "c",
    [
        [0.3, 1.0, -0.5],
        [0.3, 1.0, 0.5],
        [-2.0, -0.1, 3.0, 1.0],
        [0.0, 1.0, 2.0],
        [1.0, 1.001, 30.0, -4.0, 5.0, 6.0],
    ],
)
def test_single_product_weights_against_many_digits(c):
    plus, minus = rates.single_product_weights(np.array(c)[:, None])
    with mp.workdps(25):
        assert (plus[0], minus[0]) == pytest.approx(product_weights(c), rel=1e-11)


def test_single_product_weights_by_hand():
    plus, minus = rates.single_product_weights(np.array([[0.0, 1.0, 1.0], [2, -1, 1], [2, 1, 1.0]]))
    # int dx/(x^2 + 4) over a half-line; equal factors: 1/(L - 2) towards their product's sign.
    assert plus == pytest.approx([np.pi / 4, np.inf, 1.0])
    assert minus == pytest.approx([np.pi / 4, 1.0, np.inf])
    assert rates.single_product_weights(np.ones((5, 1)))[0] == pytest.approx([1 / 3], rel=1e-12)
    zeros = rates.single_product_weights(np.array([[0.0], [0.0], [1.0]]))
    assert zeros[0] == zeros[1] == np.inf


def test_single_product_weights_predict_the_flow():
    """Three unequal factors a coordinate, one measurement: the least t_i/A_i wins."""
    c = np.array([[0.2, 0.6], [1.0, 0.7], [1.5, -0.8]])
    plus, minus = rates.single_product_weights(c)
    A = np.array([1.0, 1.2])
    for y, weights in ((1.0, plus), (-1.0, minus)):
        scale = 1e-3

        def flow(_, factors, y=y):
            u = factors.reshape(3, 2)
            h = A * (A @ np.prod(u, axis=0) - y)
            return -np.concatenate([h * u[1] * u[2], h * u[0] * u[2], h * u[0] * u[1]])

        path = solve_ivp(flow, (0, 2e5), scale * c.ravel(), method="LSODA", rtol=1e-9, atol=1e-14)
        x = np.prod(path.y[:, -1].reshape(3, 2), axis=0)
        winner = int(np.argmin(weights / A))
        assert x[winner] == pytest.approx(y / A[winner], rel=0.05)
    # The two signs are won by different coordinates, so the test tells t+ from t-.
    assert np.argmin(plus / A) != np.argmin(minus / A)


PROBLEM = gaussian_problem(3, 6, 1, seed=0)
X = PROBLEM.x_true


@pytest.mark.parametrize(
    ("name", "arguments", "error", "match"),
    [
        ("l1_error_exponent", (PROBLEM.A, X), TypeError, "problem must be a Problem"),
        ("l1_error_exponent", (PROBLEM, X[:5]), ValueError, "x must have length N = 6, got 5"),
        ("l1_error_exponent", (PROBLEM, 0 * X), ValueError, "x must not be 0"),
        ("l1_error_exponent", (PROBLEM, X, 1), TypeError, "nonnegative must be True or False"),
        ("l1_error_exponent", (PROBLEM, -np.abs(X), True), ValueError, "x must be nonnegative"),
        ("l1_error_exponent", (PROBLEM, X + np.nan), ValueError, "x must be finite"),
        ("first_order_correction", (PROBLEM, X, 1), ValueError, "depth must be"),
        ("worst_case_problem", (0.0,), ValueError, "delta must be greater than 0"),
        ("worst_case_problem", (1.0, -1.0), ValueError, "Q must be greater than 0"),
        ("worst_case_gap", (1.0, 1.0, 3), ValueError, "exactly one of alpha"),
        ("worst_case_gap", (1.0, 1.0, 3, [0.1, 0.2]), ValueError, "alpha must be a scalar"),
        ("worst_case_gap", (1.0, 1.0, 3, 0.1, 0), TypeError, "signed must be True or False"),
        ("worst_case_gap", (-1.0, 1.0, 3, 0.1), ValueError, "delta must be greater"),
        ("worst_case_supremum", (0.0, 3, 0.1), ValueError, "Q must be greater than 0"),
        ("worst_case_constant", (1.5,), ValueError, "depth must be"),
        ("selection_criterion", ([[1.0]], 2), ValueError, "x must have 1 dim"),
        ("stability_limit", (np.eye(2), [1.0], None, 2), ValueError, "u must have length N = 2"),
        (
            "stability_limit",
            (np.eye(2), [1.0, 1.0], [-1.0, 0.0], 2),
            ValueError,
            "v must be nonneg",
        ),
        ("stability_limit", (np.eye(2), None, [1.0, 0.0], 2), TypeError, "u must hold real"),
        ("stability_limit", (np.eye(2), [1.0, 1.0], None, np.inf), ValueError, "depth must be fin"),
        ("escape_time", (0.001, 1.0, 2, 0.1), ValueError, "X must be at least"),
        ("escape_time", (1.0, 0.0, 2, 0.1), ValueError, "drift must be greater than 0"),
        ("plateau_exponents", (2,), ValueError, "rho must be given"),
        ("plateau_exponents", (2, 1.0), ValueError, "rho must be below 1"),
        ("plateau_exponents", (np.inf,), ValueError, "depth must be finite"),
        ("descent_damping", (np.nan,), ValueError, "x must be finite"),
        ("sign_change_time", (0.0, 1.0, 1.0), ValueError, "x0 must not be 0"),
        ("sign_change_time", (1.0, 1.0, 0.0), ValueError, "drift must be greater than 0"),
        ("single_product_weights", (np.ones((2, 3)),), ValueError, "at least L = 3 rows"),
        ("single_product_weights", (np.ones(3),), ValueError, "factors must have 2 dim"),
    ],
)
def test_bad_input(name, arguments, error, match):
    with pytest.raises(error, match=match):
        getattr(rates, name)(*arguments)

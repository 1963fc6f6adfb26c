from itertools import product

import mpmath as mp
import numpy as np
import pytest
from exact_reference import reference_limit
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem, gaussian_problem

DEPTHS = [2, 2.5, 3, 4, 6, 10]


@pytest.fixture(autouse=True)
def _many_digits():
    with mp.workdps(50):
        yield


def products(N, signed):
    return 2 * N if signed else N


def log_h(Q, eps, N, depth, signed):
    Q, eps, n, L = mp.mpf(Q), mp.mpf(eps), products(N, signed), mp.mpf(depth)
    if depth == 2:
        return -mp.mpf(1) / 2 - (Q**2 + n / mp.e) / (2 * eps)
    return mp.log(2 * eps / (L * (Q + n + eps))) / (L - 2)


def log_gap(Q, N, depth, log_alpha, signed):
    Q, n, L = mp.mpf(Q), mp.mpf(products(N, signed)), mp.mpf(depth)
    a, p = mp.exp(L * mp.mpf(log_alpha)), 1 - 2 / L
    if not Q > n * a:
        return mp.inf
    if depth == 2:
        return mp.log(Q * mp.log(n) / mp.log(Q / (n * a)))
    return mp.log(Q * (L / 2) * (n**p - 1) / ((Q / a) ** p - n**p))


def close(value, reference, rel=1e-13):
    return value == float(reference) or abs(value - reference) <= rel * max(abs(reference), 1)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [*DEPTHS, 2.001, 200.0])
def test_init_scale_bound_is_the_formula(depth, signed):
    for Q, eps in product([0.0, 1e-280, 1e-3, 2.5, 1e150], [1e-250, 1e-6, 1.0, 1e200]):
        reference = log_h(Q, eps, 10, depth, signed)
        value = theory.log_init_scale_bound(Q, eps, 10, depth, signed)
        assert close(value, reference) or (value == -np.inf and reference < -1e300), (Q, eps)
        assert theory.init_scale_bound(Q, eps, 10, depth, signed) == np.exp(value)


def test_init_scale_bound_by_hand():
    assert theory.init_scale_bound(1.0, 0.5, 4, 3) == pytest.approx(2 * 0.5 / (3 * 9.5), rel=1e-14)
    assert theory.init_scale_bound(1.0, 0.5, 4, 3, signed=False) == pytest.approx(1 / 16.5)
    assert theory.init_scale_bound(1.0, 2.0, 4, 2) == pytest.approx(
        np.exp(-0.5 - (1 + 8 / np.e) / 4), rel=1e-14
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [*DEPTHS, 2.0001, 100.0])
def test_gap_bound_is_the_formula(depth, signed):
    for Q, log_alpha in product([1e-300, 0.3, 1e250], [-700.0, -20.0, -1.0, 3.0]):
        reference = log_gap(Q, 7, depth, log_alpha, signed)
        value = theory.log_l1_gap_bound(Q, 7, depth, log_alpha=log_alpha, signed=signed)
        assert close(value, reference), (Q, log_alpha)
        assert theory.l1_gap_bound(Q, 7, depth, log_alpha=log_alpha, signed=signed) == (
            np.exp(value) if reference < 709 or np.isinf(value) else np.inf
        )


def test_gap_bound_by_hand():
    # Signed, N' = 8: Q log 8/log(Q/(8 alpha^2)) and 2 Q (sqrt 8 - 1)/(sqrt(Q/alpha^4) - sqrt 8).
    assert theory.l1_gap_bound(2.0, 4, 2, 0.1) == pytest.approx(2 * np.log(8) / np.log(25))
    expected = 2 * 2 * (np.sqrt(8) - 1) / (np.sqrt(2.0 / 1e-4) - np.sqrt(8))
    assert theory.l1_gap_bound(2.0, 4, 4, 0.1) == pytest.approx(expected, rel=1e-13)
    assert theory.l1_gap_bound(2.0, 4, 2, 0.5) == np.inf  # Q = N' a: no claim
    assert theory.l1_gap_bound(0.0, 4, 3, 0.1) == np.inf


@pytest.mark.parametrize("depth", [*DEPTHS, np.inf])
@pytest.mark.parametrize("log_alpha", [-50.0, -5.0, -0.5, 0.0, 2.0])
@pytest.mark.parametrize("Q", [1e-20, 0.3, 40.0])
def test_sharp_gap_bound_solves_its_equation(Q, log_alpha, depth):
    value = theory.log_l1_gap_bound_sharp(Q, 5, depth, log_alpha=log_alpha, signed=False)
    with mp.workdps(400):
        a = mp.exp(mp.mpf(log_alpha) * (1 if np.isinf(depth) else mp.mpf(depth)))
        p = mp.mpf(1) if np.isinf(depth) else 1 - 2 / mp.mpf(depth)
        Q = mp.mpf(Q)

        def excess(log_gap):
            X = Q + mp.exp(log_gap)
            if depth == 2:
                return X * mp.log(X / (5 * a)) - Q * mp.log(X / a)
            return X * ((X / a) ** p - 5**p) - Q * ((X / a) ** p - 1)

        # The sign changes from - to + within 2e-13 of the value.
        width = mp.mpf(2e-13) * max(1, abs(value) / 50)
        assert excess(mp.mpf(value) - width) < 0 < excess(mp.mpf(value) + width)
        assert Q + mp.exp(value) >= max(Q, 5 * a) * (1 - mp.mpf(1e-13))


@given(
    Q=st.floats(1e-9, 1e9),
    N=st.integers(1, 1000),
    depth=st.sampled_from([*DEPTHS, np.inf]),
    log_alpha=st.floats(-100, 3),
    signed=st.booleans(),
    factor=st.floats(-20, 20),
)
def test_sharp_gap_bound_is_sharper_monotone_and_covariant(Q, N, depth, log_alpha, signed, factor):
    def sharp(Q, log_alpha):
        return theory.log_l1_gap_bound_sharp(Q, N, depth, log_alpha=log_alpha, signed=signed)

    value = sharp(Q, log_alpha)
    slack = 1e-12 * max(abs(value), 100) if np.isfinite(value) else 0.0
    assert value <= theory.log_l1_gap_bound(Q, N, depth, log_alpha=log_alpha, signed=signed) + slack
    assert value <= sharp(Q, log_alpha + 0.1) + slack
    shift = factor / (1 if np.isinf(depth) else depth)
    assert sharp(Q * np.exp(factor), log_alpha + shift) == pytest.approx(
        value + factor, rel=1e-9, abs=1e-9
    )


@given(Q=st.floats(0, 1e6), eps=st.floats(1e-6, 1e6), N=st.integers(1, 500), signed=st.booleans())
def test_infinite_depth_bounds_are_inverse_to_each_other(Q, eps, N, signed):
    mu = theory.init_scale_bound(Q, eps, N, np.inf, signed)
    if products(N, signed) > 1:
        assert theory.l1_gap_bound(Q, N, np.inf, mu, signed) == pytest.approx(eps, rel=1e-9)
    assert theory.l1_gap_bound(Q, N, np.inf, mu, signed) <= products(N, signed) * mu * (1 + 1e-12)


def test_sharp_gap_bound_at_the_edges():
    # y = 0: the positive flow can at worst stay where it starts.
    for depth in (2, 3, np.inf):
        a = 0.1 if np.isinf(depth) else 0.1**depth
        assert theory.l1_gap_bound_sharp(0.0, 6, depth, 0.1, signed=False) == pytest.approx(6 * a)
        assert theory.l1_gap_bound_sharp(1.0, 1, depth, 0.1, signed=False) == 0
        assert theory.l1_gap_bound_sharp(a / 4, 1, depth, 0.1, signed=False) == pytest.approx(
            0.75 * a
        )
    # Depth close to 2 is continuous, and the exponent of S3 is kept without its factor L/2.
    near = theory.l1_gap_bound_sharp(1.0, 9, 2 + 1e-9, 1e-3)
    assert near == pytest.approx(theory.l1_gap_bound_sharp(1.0, 9, 2, 1e-3), rel=1e-7)
    ratio = theory.l1_gap_bound(1.0, 9, 6, 1e-9) / theory.l1_gap_bound_sharp(1.0, 9, 6, 1e-9)
    assert ratio == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    ("depth", "log_alpha"),
    [(2, -3.0), (2, -0.2), (2.5, -1.0), (3, -1.0), (6, -0.5), (np.inf, -4.0), (np.inf, 1.0)],
)
def test_bounds_hold_for_limits_in_sixty_digits(depth, log_alpha, signed):
    """On a positive solution whose limit spreads over all coordinates, so that the gap is large."""
    A = np.array([[1.0, 2.0, 0.5, 1.5], [0.5, 1.0, 1.0, 1.25]])
    y = A @ [0.5, 0.0, 1.0, 0.0]  # inside the cone of the columns
    x, _ = reference_limit(A, y, depth, log_alpha, signed, digits=25)
    Q = basis_pursuit(Problem(A, y), signed=signed).value
    gap = float(sum(abs(t) for t in x)) - Q
    sharp = theory.l1_gap_bound_sharp(Q, 4, depth, log_alpha=log_alpha, signed=signed)
    assert 0 < gap <= sharp
    assert sharp <= theory.l1_gap_bound(Q, 4, depth, log_alpha=log_alpha, signed=signed)
    if log_alpha < 0:
        eps = gap * (1 - 1e-6)  # the guarantee cannot allow this init scale for a smaller gap
        assert log_alpha > theory.log_init_scale_bound(Q, eps, 4, depth, signed)


def test_sharp_bound_without_the_last_term_would_be_too_small():
    """The bound is attained at infinite depth: on (1, 1 + delta) with delta -> inf, gap -> mu."""
    mu, delta = 0.01, 1e9
    x, _ = reference_limit(
        np.array([[1.0, 1 + delta]]), np.array([1 + delta]), np.inf, np.log(mu), signed=False
    )
    gap = float(x[0] + x[1] - 1)
    bound = theory.l1_gap_bound_sharp(1.0, 2, np.inf, mu, signed=False)
    assert gap <= bound
    assert gap == pytest.approx(mu, rel=1e-7)
    assert gap > 0.98 * bound


def instance_with_known_limit(rng, M, N, model, reach):
    """Return y and x = X(A^T nu) for a random A and nu: x is the limit of the flow for y = A x."""
    A = rng.standard_normal((M, N))
    w = A.T @ rng.standard_normal(M)
    unit = np.exp(np.asarray(model.log_rate)) * w * max(model.theta, 0.05)
    x = model.signal(reach * w / np.max(np.abs(unit)))
    return Problem(A, A @ x), x


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(1, 2), (1, 6), (2, 5), (3, 4), (4, 12)]),
    depth=st.sampled_from([*DEPTHS, np.inf]),
    alpha=st.sampled_from([0.01, 0.3, 1.0, 2.0]),
    reach=st.sampled_from([0.1, 0.9, 0.999, 1 - 1e-9]),
    signed=st.booleans(),
)
def test_gap_bounds_on_random_limits(seed, shape, depth, alpha, reach, signed):
    model = DeepFactorization(depth, alpha, signed)
    problem, x = instance_with_known_limit(np.random.default_rng(seed), *shape, model, reach)
    Q = basis_pursuit(problem, signed=signed).lower_bound
    gap, rounding = np.sum(np.abs(x)) - Q, 1e-10 * np.sum(np.abs(x))
    sharp = theory.l1_gap_bound_sharp(Q, shape[1], depth, alpha, signed)
    assert -rounding <= gap <= sharp + rounding
    assert gap <= theory.l1_gap_bound(Q, shape[1], depth, alpha, signed) + rounding
    if gap > 1e-6 * Q:
        assert alpha > theory.init_scale_bound(Q, gap * (1 - 1e-6), shape[1], depth, signed)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2.5, 3, 5, np.inf])
@pytest.mark.parametrize("reach", [0.5, 0.99, 1 - 1e-6])
def test_weighted_gap_bound(depth, signed, reach):
    rng = np.random.default_rng(1)
    alpha = 0.5 * rng.uniform(0.2, 2, 12)
    weights = 1 / alpha if np.isinf(depth) else alpha ** (2 - depth)
    model = DeepFactorization(depth, alpha, signed)
    for _ in range(5):
        problem, x = instance_with_known_limit(rng, 4, 12, model, reach)
        W = basis_pursuit(problem, signed=signed, weights=weights).value
        bound = theory.weighted_l1_gap_bound(W, depth, alpha, signed)
        assert -1e-9 * W <= weights @ np.abs(x) - W <= bound
        assert theory.weighted_l1_gap_bound(W, depth, log_alpha=np.log(alpha), signed=signed) == (
            pytest.approx(bound, rel=1e-12)
        )
    # Equal init scales: the sharper form of S3, times the common weight.
    w = 0.1 ** (-1 if np.isinf(depth) else 2 - depth)
    assert theory.weighted_l1_gap_bound(3 * w, depth, np.full(5, 0.1), signed) == pytest.approx(
        w * theory.l1_gap_bound_sharp(3.0, 5, depth, 0.1, signed), rel=1e-12
    )


def test_weighted_gap_bound_is_no_larger_than_the_plain_estimate():
    """gap <= (L/2) (sum x0^(2/L))^p (W + gap)^(2/L), with equality of neither."""
    alpha, depth, W = np.array([0.1, 0.3, 0.2]), 4, 50.0
    gap = theory.weighted_l1_gap_bound(W, depth, alpha, signed=False)
    assert 0 < gap < np.sqrt(np.sum(alpha**2)) * np.sqrt(W + gap)


def definition(r, copies):
    """Return the minimum over tau in the definition of delta, in 50 digits."""
    r = mp.mpf(r)

    def phi(t):
        return mp.npdf(t)

    def tail(t):
        return mp.erfc(t / mp.sqrt(2)) / 2

    tau = mp.findroot(
        lambda t: r * t - (1 - r) * copies * (phi(t) - t * tail(t)),
        (mp.mpf("1e-30"), 40),
        solver="anderson",
        tol=1e-60,
        verify=False,
        maxsteps=400,
    )

    def value(t):
        return r * (1 + t**2) + (1 - r) * copies * ((1 + t**2) * tail(t) - t * phi(t))

    # A minimum indeed: both neighbours are above.
    assert value(tau * (1 + mp.mpf("1e-8"))) > value(tau) < value(tau * (1 - mp.mpf("1e-8")))
    return value(tau), tau


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("r", [1e-12, 1e-4, 0.01, 0.1, 0.3, 0.7, 0.99, 1 - 1e-9])
def test_recovery_threshold_is_the_minimum(r, nonnegative):
    reference, _ = definition(r, 1 if nonnegative else 2)
    assert theory.recovery_threshold(r, 1, nonnegative) == pytest.approx(
        float(reference), rel=2e-14
    )


def test_recovery_threshold_known_values_and_edges():
    # Donoho and Tanner's weak threshold at M/N = 1/2: s/M = 0.3857 for signed signals.
    assert theory.recovery_threshold(0.5 * 0.38572, 1) == pytest.approx(0.5, abs=1e-4)
    for nonnegative in (False, True):
        assert theory.recovery_threshold(0, 50, nonnegative) == 0
        assert theory.recovery_threshold(50, 50, nonnegative) == 50
        assert theory.recovery_window(0, 50, nonnegative) == 0
        assert theory.recovery_window(50, 50, nonnegative) == 0
    s = np.arange(201)
    signed, positive = theory.recovery_threshold(s, 200), theory.recovery_threshold(s, 200, True)
    assert signed.shape == (201,)
    assert signed[37] == theory.recovery_threshold(37, 200)
    assert np.all(np.diff(signed) > 0)
    assert np.all(positive[1:-1] < signed[1:-1])
    assert np.all(positive >= s)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("r", [1e-6, 0.02, 0.2, 0.6])
def test_recovery_window_is_the_variance(r, nonnegative):
    copies = 1 if nonnegative else 2
    delta, tau = definition(r, copies)
    moments = [
        copies * mp.quad(lambda g, k=k: (g - tau) ** k * mp.npdf(g), [tau, tau + 4, tau + 20])
        for k in (2, 4)
    ]
    on_support = mp.quad(lambda g: (g + tau) ** 4 * mp.npdf(g), [-20, 0, 20]) - (1 + tau**2) ** 2
    variance = r * on_support + (1 - r) * (moments[1] - moments[0] ** 2) - 2 * delta
    assert theory.recovery_window(400 * r, 400, nonnegative) == pytest.approx(
        float(mp.sqrt(400 * variance)), rel=1e-9
    )


@pytest.mark.parametrize("nonnegative", [False, True])
def test_recovery_window_against_projections_onto_the_descent_cone(nonnegative):
    """||P_C g||^2 = min_tau dist(g, tau dnorm)^2 has mean delta and variance sigma^2 + 2 delta."""
    N, s, trials = 200, 20, 6000
    g = np.random.default_rng(2).standard_normal((trials, N))
    off = g[:, s:] if nonnegative else np.abs(g[:, s:])
    squares = np.full(trials, np.inf)
    for tau in np.linspace(0.3, 2.7, 81):
        inside = np.sum((g[:, :s] - tau) ** 2, axis=1)
        squares = np.minimum(squares, inside + np.sum(np.maximum(off - tau, 0) ** 2, axis=1))
    delta = theory.recovery_threshold(s, N, nonnegative)
    assert squares.mean() == pytest.approx(delta, abs=1.5)
    variance = squares.var() - 2 * squares.mean()
    assert variance == pytest.approx(theory.recovery_window(s, N, nonnegative) ** 2, rel=0.2)


def test_recovery_in_the_window():
    N, s = 60, 8
    delta, sigma = theory.recovery_threshold(s, N), theory.recovery_window(s, N)
    rates = []
    for shift in (-2, 2):
        M = round(delta + shift * sigma)
        found = [
            np.allclose(basis_pursuit(p).x, p.x_true, atol=1e-6)
            for p in (gaussian_problem(M, N, s, seed=seed) for seed in range(40))
        ]
        rates.append(np.mean(found))
    assert rates[0] < 0.2
    assert rates[1] > 0.8


def test_sign_counterexample():
    problem, eps, alpha = theory.sign_counterexample()
    y = mp.mpf(float(problem.y[0]))
    assert np.array_equal(problem.A, [[1, -1]])
    assert basis_pursuit(problem, nonnegative=True).value == pytest.approx(float(y), rel=1e-15)
    correct = theory.log_init_scale_bound(float(y), eps, 2, 2, signed=False)
    assert np.log(alpha) == pytest.approx(correct + 1, rel=1e-14)
    assert alpha < 1
    gaps = []
    for log_alpha in (np.log(alpha), correct):
        x, nu = reference_limit(problem.A, problem.y, 2, log_alpha, signed=False, digits=40)
        a = mp.exp(2 * mp.mpf(log_alpha))
        # The limit in closed form, and its optimality conditions.
        assert mp.almosteq(x[0] * x[1], a**2, rel_eps=mp.mpf(10) ** -30)
        assert mp.almosteq(x[0] - x[1], y, rel_eps=mp.mpf(10) ** -30)
        assert mp.almosteq(mp.log(x[0] / a), 2 * nu[0], rel_eps=mp.mpf(10) ** -30)
        gaps.append(x[0] + x[1] - y)
        assert mp.almosteq(gaps[-1], mp.sqrt(y**2 + 4 * a**2) - y, rel_eps=mp.mpf(10) ** -25)
    assert gaps[0] > 1.8 * eps  # +1/2 is false
    assert gaps[1] < 0.2 * eps  # -1/2 holds


@pytest.mark.parametrize(("depth", "theta"), [(2, 0), (2.5, 0.2), (3, 1 / 3), (np.inf, 1)])
def test_kernel_distance_bound(depth, theta):
    """The formula; and x - X'(0) w is of that size, and below it."""
    x, alpha = np.array([0.4, -0.1, 0.0]), 1.5
    a = alpha if np.isinf(depth) else alpha**depth
    expected = (1 + theta) * (1 + 2 * theta) / 24 * np.sqrt(np.sum(x**6)) / a**2
    bound = theory.kernel_distance_bound(x, depth, alpha)
    assert bound == pytest.approx(expected, rel=1e-12)
    assert theory.kernel_distance_bound(x, depth, log_alpha=np.log(alpha)) == bound
    model = DeepFactorization(depth, alpha)
    kappa = model.signal_derivative(np.zeros(1))
    for small, share in ((1.0, 0.9), (1e-2, 0.9999)):
        z = small * x
        missing = np.linalg.norm(z - kappa * model.potential_gradient(z))
        assert share < missing / theory.kernel_distance_bound(z, depth, alpha) < 1 + 1e-6


def test_kernel_distance_bound_of_extreme_starts():
    assert theory.kernel_distance_bound([1.0], 2, log_alpha=-1e4) == np.inf
    assert theory.kernel_distance_bound([1.0], 2, log_alpha=1e4) == 0
    assert theory.kernel_distance_bound([0.0, 0.0], 2, 1.0) == 0
    tiny = theory.kernel_distance_bound([1e-200, 1e-300], 2, log_alpha=np.log(1e-100))
    assert tiny == pytest.approx(1e-200 / 24, rel=1e-9)  # x^3/a^2, a = alpha^2 = 1e-200


def test_arrays_broadcast():
    Q, alpha = np.array([[0.5], [2.0]]), np.array([0.1, 0.2, 0.3])
    for function in (theory.l1_gap_bound, theory.l1_gap_bound_sharp):
        for depth in (2, 3, np.inf):
            table = function(Q, 4, depth, alpha)
            assert table.shape == (2, 3)
            assert table[1, 2] == function(2.0, 4, depth, 0.3)
            assert isinstance(function(2.0, 4, depth, 0.3), float)
    eps = np.array([0.1, 0.2])
    for depth in (2, 3, np.inf):
        table = theory.init_scale_bound(Q, eps, 4, depth)
        assert table.shape == (2, 2)
        assert table[0, 1] == theory.init_scale_bound(0.5, 0.2, 4, depth)


GAP = {"Q": 1.0, "N": 5, "depth": 3, "alpha": 0.1}
SCALE = {"Q": 1.0, "eps": 0.1, "N": 5, "depth": 3}
WEIGHTED = {"W": 1.0, "depth": 3, "alpha": np.ones(3)}


@pytest.mark.parametrize(
    ("name", "arguments", "error", "match"),
    [
        ("init_scale_bound", {**SCALE, "Q": -1.0}, ValueError, "Q must be at least 0"),
        ("init_scale_bound", {**SCALE, "Q": np.nan}, ValueError, "Q must be finite"),
        ("init_scale_bound", {**SCALE, "Q": "1"}, TypeError, "Q must"),
        ("init_scale_bound", {**SCALE, "Q": [1.0, -1.0]}, ValueError, "Q must be at least 0"),
        ("init_scale_bound", {**SCALE, "eps": 0.0}, ValueError, "eps must be greater than 0"),
        ("init_scale_bound", {**SCALE, "N": 0}, ValueError, "N must be at least 1"),
        ("init_scale_bound", {**SCALE, "N": 2.0}, TypeError, "N must be an integer"),
        ("init_scale_bound", {**SCALE, "depth": 1}, ValueError, "depth must be a real number >= 2"),
        ("init_scale_bound", {**SCALE, "depth": 1.5}, ValueError, "depth must be"),
        ("init_scale_bound", {**SCALE, "depth": np.nan}, ValueError, "depth must be a number"),
        ("init_scale_bound", {**SCALE, "signed": 1}, TypeError, "signed must be True or False"),
        ("l1_gap_bound", {**GAP, "alpha": 0.0}, ValueError, "alpha must be greater than 0"),
        ("l1_gap_bound", {**GAP, "alpha": None}, ValueError, "exactly one of alpha and log_alpha"),
        ("l1_gap_bound", {**GAP, "log_alpha": -1.0}, ValueError, "exactly one of alpha"),
        ("l1_gap_bound", {**GAP, "alpha": 1j}, TypeError, "alpha must be a real number"),
        ("l1_gap_bound", {**GAP, "alpha": [0.1, np.inf]}, ValueError, "alpha must be finite"),
        ("l1_gap_bound", {**GAP, "Q": []}, ValueError, "Q must not be empty"),
        ("l1_gap_bound_sharp", {**GAP, "depth": 0}, ValueError, "depth must be"),
        ("l1_gap_bound_sharp", {**GAP, "Q": -1.0}, ValueError, "Q must be at least 0"),
        ("weighted_l1_gap_bound", {**WEIGHTED, "depth": 2}, ValueError, "depth must .* > 2"),
        ("weighted_l1_gap_bound", {**WEIGHTED, "W": -1.0}, ValueError, "W must be at least 0"),
        ("weighted_l1_gap_bound", {**WEIGHTED, "alpha": 0.1}, ValueError, "alpha must have 1 dim"),
        ("weighted_l1_gap_bound", {**WEIGHTED, "alpha": [1.0, 0.0]}, ValueError, "alpha must be"),
        ("weighted_l1_gap_bound", {**WEIGHTED, "alpha": None}, ValueError, "exactly one"),
        ("kernel_distance_bound", {"x": [np.nan], "depth": 2, "alpha": 1.0}, ValueError, "x must"),
        ("kernel_distance_bound", {"x": [1.0], "depth": 1, "alpha": 1.0}, ValueError, "depth must"),
        ("kernel_distance_bound", {"x": [1.0], "depth": 2}, ValueError, "exactly one of alpha"),
        ("recovery_threshold", {"s": 6, "N": 5}, ValueError, "s must be at most N = 5, got 6"),
        ("recovery_threshold", {"s": -1, "N": 5}, ValueError, "s must be at least 0"),
        ("recovery_threshold", {"s": [1, 9], "N": 5}, ValueError, "s must be at most"),
        ("recovery_threshold", {"s": 1, "N": 5.5}, TypeError, "N must be an integer"),
        ("recovery_window", {"s": 1, "N": 5, "nonnegative": 0}, TypeError, "nonnegative must be"),
        ("recovery_window", {"s": None, "N": 5}, TypeError, "s must be a real number"),
    ],
)
def test_bad_input(name, arguments, error, match):
    with pytest.raises(error, match=match):
        getattr(theory, name)(**arguments)

"""Mirror maps of other parametrisations, against definitions, quadrature and convex programs."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.integrate import simpson, solve_ivp

import deepfact as df
from deepfact.other_maps import HyperbolicSineMap, PowerMap, SineMap, TwoLayerMap

# Map, x as a function of u and its derivative, and u at the start.
PARAMETRISATIONS = {
    "power": (
        PowerMap(1.5),
        lambda u: np.sign(u) * np.abs(u) ** 1.5,
        lambda u: 1.5 * np.abs(u) ** 0.5,
    ),
    "sine": (SineMap(2.0), lambda u: 2 * np.sin(u), lambda u: 2 * np.cos(u)),
    "sinh": (HyperbolicSineMap(0.5), lambda u: 0.5 * np.sinh(u), lambda u: 0.5 * np.cosh(u)),
}
MAPS = {name: values[0] for name, values in PARAMETRISATIONS.items()} | {
    "pairs": TwoLayerMap(np.log(np.full(12, 0.01)), np.linspace(-1, 1, 12))
}
PROBLEM = df.gaussian_problem(5, 12, 2, seed=3)
POINTS = np.linspace(-1.3, 1.3, 12)


@pytest.fixture(params=MAPS)
def mirror_map(request):
    return MAPS[request.param]


def test_signal_inverts_the_gradient(mirror_map):
    w = mirror_map.potential_gradient(POINTS)
    np.testing.assert_allclose(mirror_map.signal(w), POINTS, rtol=1e-12)


def test_derivatives_are_those_of_differences(mirror_map):
    w, h = mirror_map.potential_gradient(POINTS), 1e-6
    slope = (mirror_map.signal(w + h) - mirror_map.signal(w - h)) / (2 * h)
    np.testing.assert_allclose(mirror_map.signal_derivative(w), slope, rtol=1e-6)
    slope = (mirror_map.potential(POINTS + h) - mirror_map.potential(POINTS - h)) / (2 * h)
    np.testing.assert_allclose(slope, w, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_slope_is_the_square_of_the_parametrisations(name):
    """For x = rho(u), u' = -rho'(u) h gives x' = -rho'(u)^2 h."""
    mirror_map, rho, slope = PARAMETRISATIONS[name]
    u = np.linspace(-1.2, 1.2, 12)
    w = mirror_map.potential_gradient(rho(u))
    np.testing.assert_allclose(mirror_map.signal_derivative(w), slope(u) ** 2, rtol=1e-10)


@pytest.mark.parametrize("name", ["sine", "sinh"])
def test_flow_is_that_of_the_parameters(name):
    mirror_map, rho, slope = PARAMETRISATIONS[name]
    A, y = PROBLEM.A, PROBLEM.y

    def velocity(_, u):
        return -slope(u) * (A.T @ (A @ rho(u) - y))

    times = np.array([0.1, 1.0, 3.0])
    found = solve_ivp(velocity, (0, 3), np.zeros(12), "DOP853", times, rtol=1e-11, atol=1e-13)
    flow = df.gradient_flow(PROBLEM, mirror_map, times)
    assert flow.success
    np.testing.assert_allclose(flow.x, rho(found.y.T), atol=1e-8)


def test_flow_ends_at_the_limit(mirror_map):
    limit = df.flow_limit(PROBLEM, mirror_map)
    assert limit.status == "converged"
    flow = df.gradient_flow(PROBLEM, mirror_map, np.array([0.0, 1e5]))
    assert flow.success
    np.testing.assert_allclose(flow.x[0], mirror_map.signal(np.zeros(12)))
    np.testing.assert_allclose(flow.x[-1], limit.x, atol=1e-8)
    w = PROBLEM.A.T @ limit.dual
    np.testing.assert_allclose(mirror_map.signal(w), limit.x, atol=1e-9)


def test_divergence_to_a_solution_falls_at_the_rate_of_the_loss(mirror_map):
    """d/dt D_F(z, x(t)) = -|A x(t) - y|^2: the identity S1 for any map."""
    z = df.flow_limit(PROBLEM, mirror_map).x + 1e-2 * null_vector(PROBLEM.A)
    times = np.linspace(0.3, 0.7, 41)
    flow = df.gradient_flow(PROBLEM, mirror_map, times)
    values = [df.bregman_divergence(mirror_map, z, x) for x in flow.x]
    assert min(values) > 0
    assert values[0] - values[-1] == pytest.approx(simpson(2 * flow.loss, times), rel=1e-5)


def null_vector(A):
    return np.linalg.svd(A)[2][-1]


@pytest.mark.parametrize("power", [1.0, 1.2, 1.6])
def test_powers_minimise_an_lp_norm(power):
    x = cp.Variable(12)
    program = cp.Problem(cp.Minimize(cp.pnorm(x, 2 / power)), [PROBLEM.A @ x == PROBLEM.y])
    program.solve(solver="CLARABEL", tol_gap_rel=1e-10, tol_gap_abs=1e-10)
    limit = df.flow_limit(PROBLEM, PowerMap(power))
    np.testing.assert_allclose(limit.x, x.value, atol=1e-4)
    best = np.linalg.norm(x.value, 2 / power)
    assert np.linalg.norm(limit.x, 2 / power) <= best * (1 + 1e-9)


def test_sine_stays_in_its_box_where_the_least_norm_does_not():
    least = np.linalg.lstsq(PROBLEM.A, PROBLEM.y, rcond=None)[0]
    bound = 0.95 * np.abs(least).max()
    limit = df.flow_limit(PROBLEM, SineMap(bound))
    assert limit.status == "converged"
    assert np.abs(limit.x).max() < bound
    largest = cp.Variable(12)
    program = cp.Problem(cp.Minimize(cp.norm_inf(largest)), [PROBLEM.A @ largest == PROBLEM.y])
    smallest_box = program.solve(solver="CLARABEL")
    outside = df.flow_limit(PROBLEM, SineMap(0.99 * smallest_box))
    assert outside.status == "stalled"


def test_sinh_tends_to_the_least_l1_norm():
    """Entries off the support are c tan(c w) with c abs(w) < pi/2 fixed: a gap of order c."""
    best = df.basis_pursuit(PROBLEM).x
    gaps = [
        np.abs(df.flow_limit(PROBLEM, HyperbolicSineMap(scale)).x).sum() - np.abs(best).sum()
        for scale in (1e-5, 1e-6, 1e-7)
    ]
    assert gaps[1] / gaps[2] == pytest.approx(10, rel=0.01)
    assert abs(gaps[1] / gaps[2] - 10) < abs(gaps[0] / gaps[1] - 10)


def test_pairs_have_starts_of_their_own():
    A = PROBLEM.A.copy()
    A[:, 3] = 0.0  # this coordinate stays where it starts
    limit = df.flow_limit(df.Problem(A, PROBLEM.y), MAPS["pairs"])
    assert limit.status == "converged"
    np.testing.assert_allclose(A @ limit.x, PROBLEM.y, atol=1e-12)
    assert limit.x[3] == MAPS["pairs"].signal(np.zeros(12))[3]
    with pytest.raises(ValueError, match="length N = 12"):
        df.flow_limit(PROBLEM, TwoLayerMap(np.zeros(3), 0.0))


def test_points_outside_the_domain_are_refused():
    with pytest.raises(ValueError, match=r"domain of the potential of SineMap\(bound=1.0\)"):
        df.bregman_divergence(SineMap(), np.array([1.5]), np.array([0.0]))


def test_what_needs_factors_says_so(mirror_map):
    with pytest.raises(TypeError, match="DeepFactorization"):
        df.limit_path(PROBLEM, [mirror_map])
    with pytest.raises(TypeError, match="DeepFactorization"):
        df.gradient_descent(PROBLEM, mirror_map, 0.1)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        (PowerMap, 2.0, ValueError),
        (PowerMap, 0.5, ValueError),
        (PowerMap, "2", TypeError),
        (SineMap, 0.0, ValueError),
        (HyperbolicSineMap, -1.0, ValueError),
    ],
)
def test_bad_arguments(name, value, error):
    with pytest.raises(error):
        name(value)

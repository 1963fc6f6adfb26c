"""The loops of the notebook on descent against flow."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.dynamics.near_limit import limit_factors, slowest_mode
from deepfact.experiments.descent_and_flow import (
    descent_figure,
    escape_trials,
    measured_stable_steps,
    order_of_descent,
    plateau,
    predicted_exponents,
    rate_exponent,
    stability_trials,
    stochastic_descents,
    stochastic_trials,
)
from deepfact.experiments.fits import fitted_slope
from deepfact.other_maps import TwoLayerMap


def test_fitted_slope_of_a_line_and_of_noise():
    x = np.arange(6.0)
    slope, half = fitted_slope(x, 3 * x - 1)
    assert slope == pytest.approx(3)
    assert half == pytest.approx(0, abs=1e-12)
    noisy = 3 * x + np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1])
    slope, half = fitted_slope(x, noisy)
    assert abs(slope - 3) < half < 0.1


@pytest.fixture(scope="module")
def order():
    problem = df.gaussian_problem(8, 16, 1, seed=0)
    return order_of_descent(problem, df.DeepFactorization(2, 0.1), 0.1, 3)


def test_descent_is_of_order_one(order):
    assert order["step"][:-1] == pytest.approx(2 * order["step"][1:])
    assert fitted_slope(np.log(order["step"]), np.log(order["error"]))[0] == pytest.approx(
        1, abs=0.1
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 3.5])
def test_factors_at_the_limit(depth, signed):
    problem = df.gaussian_problem(8, 16, 1, seed=0, nonnegative=not signed)
    model = df.DeepFactorization(depth, 0.1, signed=signed)
    factors = limit_factors(problem, model)
    assert factors.shape == (1 + signed, 16)
    x = np.array([1, -1])[: len(factors)] @ factors**depth
    assert problem.A @ x == pytest.approx(problem.y, abs=1e-9)


@pytest.fixture(scope="module")
def stability():
    return stability_trials((6, 12, 1), 1, [2, 3], [-2], seed=0)


def test_largest_stable_step(stability):
    assert stability["measured"] == pytest.approx(stability["predicted"], rel=0.01)
    assert stability["signed"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 3])
def test_largest_stable_step_is_that_of_gradient_descent(depth, signed):
    problem = df.gaussian_problem(6, 12, 1, seed=0, nonnegative=not signed)
    model = df.DeepFactorization(depth, 0.1, signed=signed)
    step = measured_stable_steps([problem], [model], [7])[0]
    factors = np.repeat(limit_factors(problem, model)[:, None], depth, axis=1)
    factors += 1e-6 * factors.max() * np.random.default_rng(7).standard_normal(factors.shape)
    for times, grows in ((0.9999, False), (1.0001, True)):
        run = df.gradient_descent(
            problem, step_size=times * step, max_iterations=3000, factors=factors, tolerance=0.0
        )
        assert (run.status == "diverged" or run.loss.max() > 10 * run.loss[0]) == grows


def test_escape_times_enclose_the_truth():
    escape = escape_trials([0.5, 2.0], [2, 3, np.inf], [1e-3], 0.01)
    assert len(escape["margin"]) == 6
    assert np.all(escape["margin"] > 0)
    assert np.all(escape["earliest"] < escape["latest"])
    assert len(escape_trials([0.5], [2], [0.5], 0.01).get("margin", [])) == 0


@pytest.fixture(scope="module")
def problem():
    return df.gaussian_problem(10, 20, 1, seed=3)


@pytest.fixture(scope="module")
def run(problem):
    return plateau(problem, 3, [-2, -2.5, -3], points=20)


def test_slowest_mode_is_an_eigenvector(problem):
    model = df.DeepFactorization(3, 0.1)
    rate, direction = slowest_mode(problem, model)
    factors = limit_factors(problem, model)
    operator = (problem.A * (3 * np.sum(factors**4, axis=0))) @ problem.A.T
    assert operator @ direction == pytest.approx(rate * direction, abs=1e-10)
    assert rate == pytest.approx(np.linalg.eigvalsh(operator)[0], rel=1e-6)


def test_plateau_rates_and_exponents(problem, run):
    assert run.measured_rate == pytest.approx(run.rate, rel=0.02)
    assert run.exponents == (4, 3)
    slope, _ = fitted_slope(np.log(run.alphas), np.log(run.height))
    assert slope == pytest.approx(3, abs=0.05)
    slope, _, predicted = rate_exponent(problem, 3, [-3, -3.5, -4])
    assert slope == pytest.approx(predicted, abs=0.01)
    assert 0 < predicted_exponents(problem, 2)[0] < 2


@pytest.mark.parametrize("batch_size", [3, 8])
def test_stochastic_descent_is_gradient_descent(batch_size):
    problems = [df.gaussian_problem(8, 16, 1, seed=seed) for seed in (0, 1)]
    steps, seeds = [0.05, 0.03], [4, 5]
    runs = stochastic_descents(problems, 0.3, steps, batch_size, seeds, max_iterations=250)
    for problem, step, seed, run in zip(problems, steps, seeds, runs, strict=True):
        same = df.gradient_descent(
            problem,
            df.DeepFactorization(2, 0.3),
            step,
            max_iterations=250,
            batch_size=None if batch_size == 8 else batch_size,
            seed=seed,
            tolerance=0.0,
        )
        assert run.iterations == 250
        assert run.x == pytest.approx(same.x[-1], rel=1e-9, abs=1e-12)
        assert run.identity_error < 1e-12
        assert np.all(run.log_a < 2 * np.log(0.3))


def test_runs_side_by_side_stop_by_themselves():
    problems = [df.gaussian_problem(8, 16, 1, seed=seed) for seed in (0, 0)]
    runs = stochastic_descents(problems, 0.3, [0.2, 0.02], 8, [0, 0], max_iterations=20000)
    assert runs[0].iterations < runs[1].iterations < 20000
    assert max(run.residual for run in runs) <= 1e-8
    (alone,) = stochastic_descents(problems[:1], 0.3, [0.2], 8, [0], max_iterations=20000)
    assert alone.x == pytest.approx(runs[0].x, rel=1e-12)


def test_two_layer_map():
    log_a, d = np.log([0.1, 0.5]), np.array([0.2, -0.1])
    tilted = TwoLayerMap(log_a, d)
    w = np.array([0.3, -0.7])
    x = tilted.signal(w)
    assert tilted.potential_gradient(x) == pytest.approx(w)
    h = 1e-6
    assert tilted.signal_derivative(w) == pytest.approx(
        (tilted.signal(w + h) - tilted.signal(w - h)) / (2 * h)
    )
    assert w == pytest.approx((tilted.potential(x + h) - tilted.potential(x - h)) / (2 * h))
    plain = df.DeepFactorization(2, 0.1)
    assert TwoLayerMap(np.full(2, np.log(0.01)), 0.0).signal(w) == pytest.approx(plain.signal(w))


@pytest.fixture(scope="module")
def stochastic():
    return stochastic_trials((8, 16, 1), 1, 0.2, [0.5], [4, 8], 20000, seed=1)


def test_limits_are_those_of_the_effective_start(stochastic):
    assert stochastic["residual"].max() < 1e-7
    assert stochastic["identity_error"].max() < 1e-12
    assert stochastic["range_error"].max() < 1e-12
    assert stochastic["projection_error"].max() < 1e-6


def test_same_seed_same_numbers(stochastic):
    again = stochastic_trials((8, 16, 1), 1, 0.2, [0.5], [4, 8], 20000, seed=1)
    assert np.array_equal(again["error"], stochastic["error"])


def test_figure_has_four_panels(order, stability, run, stochastic):
    figure = descent_figure({2: order}, stability, [run], stochastic)
    try:
        assert len(figure.axes) == 4
    finally:
        plt.close(figure)

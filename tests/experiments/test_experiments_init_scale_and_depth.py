"""The loops of the notebook on init scale and depth."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact import rates, theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.init_scale_and_depth import (
    gap_curve,
    log_gap_near_minimiser,
    measured_gap,
    rate_figure,
    rate_trials,
    sign_gaps,
    worst_case,
    worst_case_trials,
)
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem


@pytest.fixture(scope="module", params=[True, False], ids=["signed", "positive"])
def case(request):
    signed = request.param
    problem = gaussian_problem(10, 24, 2, seed=5, nonnegative=not signed)
    return problem, problem.x_true, signed


def certificate(case, depth):
    problem, x, signed = case
    return rates.first_order_correction(problem, x, depth, nonnegative=not signed)


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_gap_without_cancellation_is_the_gap(case, depth):
    problem, x, signed = case
    model = DeepFactorization(depth, alpha=0.2, signed=signed)
    gap = measured_gap(problem, x, certificate(case, depth).certificate, model)
    direct = np.abs(flow_limit(problem, model).x).sum() - np.abs(x).sum()
    assert gap == pytest.approx(direct, rel=1e-9)


@pytest.mark.parametrize("depth", [2, 2.5, 3, 6])
def test_refined_gap_agrees_with_the_limit(case, depth):
    problem, x, signed = case
    one = certificate(case, depth)
    log_alpha = float(np.log(1e-4 / one.gap_coefficient)) / one.exponent
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=signed)
    gap = measured_gap(problem, x, one.certificate, model)
    refined = log_gap_near_minimiser(problem, x, one.certificate, model)
    assert refined == pytest.approx(np.log(gap), abs=1e-7)


def test_refined_gap_of_two_columns_is_the_closed_form():
    problem = rates.worst_case_problem(0.5, 2.0)
    rho = problem.A[0] / 1.5
    for depth, log_alpha in ((2, -150.0), (3, -40.0), (6, -20.0)):
        for signed in (True, False):
            model = DeepFactorization(depth, log_alpha=log_alpha, signed=signed)
            x = np.array([0.0, 2.0])
            # One row and one nonzero: no freedom is left in the certificate.
            gap = log_gap_near_minimiser(problem, x, rho, model)
            exact = rates.worst_case_gap(0.5, 2.0, depth, signed=signed, log_alpha=log_alpha)
            assert gap == pytest.approx(np.log(exact), rel=1e-12)


def test_refined_gap_is_nan_far_from_the_minimiser(case):
    problem, x, signed = case
    model = DeepFactorization(3, alpha=2.0, signed=signed)
    assert np.isnan(log_gap_near_minimiser(problem, x, certificate(case, 3).certificate, model))


def test_curve_is_ordered_and_ends_on_its_asymptote(case):
    problem, x, signed = case
    log_alpha = np.linspace(-2, -14, 7)
    curve = gap_curve(problem, x, 4, log_alpha, signed)
    assert {len(column) for column in curve.values()} == {7}
    assert not curve["refined"][0]
    assert curve["refined"][-1]
    assert np.all(curve["measured"] <= curve["bound"])
    assert np.all(curve["measured"] <= curve["guarantee"])
    assert curve["measured"][-1] == pytest.approx(curve["asymptote"][-1], rel=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_rates_are_the_predicted_ones(signed):
    trials = rate_trials(10, 24, 1, 2, [2, 3], [-60, -120], signed, seed=1)
    assert trials.slope == pytest.approx(trials.exponent, rel=1e-2)
    assert np.all(trials.slope_low <= trials.slope * (1 + 1e-12))
    assert np.all(trials.slope_high >= trials.slope * (1 - 1e-12))
    assert trials.exponent[:, 1] == pytest.approx(3)
    assert np.abs(trials.log_ratio[:, 1]).max() <= 1e-9
    assert trials.disagreement.max() <= 1e-5
    again = rate_trials(10, 24, 1, 2, [2, 3], [-60, -120], signed, seed=1)
    assert np.array_equal(trials.log_ratio, again.log_ratio)


def test_hopeless_sizes_are_refused():
    with pytest.raises(ValueError, match="M = 3 is too small"):
        rate_trials(3, 24, 3, 1, [3], [-60, -120], True, seed=1)


def test_worst_case_is_a_maximum():
    for depth in (2, 4):
        gap, delta = worst_case(2.0, depth, -3.0)
        for factor in (0.9, 1.1):
            assert rates.worst_case_gap(factor * delta, 2.0, depth, log_alpha=-3.0) < gap


def test_worst_case_trials_agree_with_the_limit_and_the_bounds():
    worst = worst_case_trials([2, 3], [3, 6, 60], Q=1.0)
    assert np.nanmax(worst["disagreement"]) <= 1e-8
    assert np.isnan(worst["disagreement"][-1])
    assert np.all(worst["supremum"] <= worst["bound"])
    assert np.all(worst["bound"] <= worst["guarantee"])
    assert worst["supremum"][[2, 5]] == pytest.approx(worst["asymptote"][[2, 5]], rel=0.01)


def test_sign_gaps_are_those_of_the_hyperbola():
    problem, eps, alpha = theory.sign_counterexample()
    assert isinstance(problem, Problem)
    wanted, wrong, right = sign_gaps()
    assert wanted == eps
    for gap, scale in ((wrong, alpha), (right, alpha / np.e)):
        assert gap == pytest.approx(np.hypot(0.1, 2 * scale**2) - 0.1, rel=1e-9)
    assert right < eps < wrong


def test_figure_has_a_panel_for_each_curve(case):
    problem, x, signed = case
    curves = [gap_curve(problem, x, L, np.linspace(-2, -4, 3), signed) for L in (3, 4, 6)]
    figure = rate_figure(curves, ["a", "b", "c"])
    try:
        titles = [axis.get_title() for axis in figure.axes if axis.get_visible()]
        assert titles == ["$L = 3$", "$L = 4$", "$L = 6$"]
    finally:
        plt.close(figure)

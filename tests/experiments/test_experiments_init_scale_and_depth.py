"""The loops of the notebook on init scale and depth."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact import rates, theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments import init_scale_and_depth
from deepfact.experiments.gap_curve import fitted_slopes, gap_curve, measure_curves
from deepfact.experiments.init_scale_and_depth import (
    checks,
    figure,
    gap_constant,
    measure_hard,
    measure_rates,
)
from deepfact.experiments.refined_gap import log_gap_near_minimiser, measured_gap, neglected_share
from deepfact.experiments.tables import join, select
from deepfact.experiments.two_columns import (
    measure_sign,
    measure_worst_case,
    worst_case,
    worst_case_fits,
)
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem


@pytest.fixture(scope="module", params=[True, False], ids=["signed", "positive"])
def case(request):
    signed = request.param
    problem = gaussian_problem(10, 24, 2, seed=5, signed=signed)
    return problem, problem.x_true, signed


def certificate(case, depth):
    problem, x, signed = case
    return rates.first_order_correction(problem, x, depth, signed=signed)


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


def test_curves_of_two_depths_end_at_their_slopes():
    curves = measure_curves(10, 24, 1, [3, 4], 12, seed=0)
    assert curves["depth"].tolist() == 12 * [3] + 12 * [4]
    for depth in (3, 4):
        slope, low, high = fitted_slopes(select(curves, depth=depth))
        assert low <= slope <= high
        assert slope == pytest.approx(depth, rel=1e-3)


def test_curves_need_a_signal_that_l1_minimisation_finds():
    with pytest.raises(ValueError, match="choose M > 4"):
        measure_curves(4, 24, 4, [3], 3, seed=0)


RATES = (10, 24, 1, 2, [2, 3], [-6, -9, -12], [-60, -120])


@pytest.fixture(scope="module")
def rate_table():
    return measure_rates(*RATES, seed=1)


@pytest.fixture(scope="module")
def worst():
    return measure_worst_case([2, 3], [8, 20, 40, 80])


@pytest.fixture(scope="module")
def hard():
    return measure_hard(100, [2, 3], [4])


def test_rates_are_the_predicted_ones(rate_table):
    assert rate_table["signed"].tolist() == 4 * [True] + 4 * [False]
    assert rate_table["slope"] == pytest.approx(rate_table["exponent"], rel=1e-2)
    three = select(rate_table, depth=3)
    assert three["exponent"] == pytest.approx(3)
    assert three["rest_slope"] == pytest.approx(1, rel=0.05)
    assert np.abs(three["rest_slope_two"]).max() < 0.5
    two = select(rate_table, depth=2)
    assert np.isnan(two["rest_slope"]).all()
    assert np.all(two["rho_least_squares"] >= two["rho"])
    assert rate_table["disagreement"].max() <= 1e-5
    again = measure_rates(*RATES, seed=1)
    assert np.array_equal(rate_table["log_ratio"], again["log_ratio"])


def test_constant_of_its_own_certificate_is_the_coefficient(case):
    _, x, signed = case
    for depth in (2.5, 3, 6):
        one = certificate(case, depth)
        constant = gap_constant(one.certificate[x == 0], depth, signed)
        assert constant == pytest.approx(one.gap_coefficient, rel=1e-9)


def test_hopeless_sizes_are_refused():
    with pytest.raises(ValueError, match="M = 3 is too small"):
        measure_rates(3, 24, 3, 1, [3], [-6, -12], [-60, -120], seed=1)


def test_worst_case_is_a_maximum():
    for depth in (2, 4):
        gap, delta = worst_case(2.0, depth, -3.0)
        for factor in (0.9, 1.1):
            assert rates.worst_case_gap(factor * delta, 2.0, depth, log_alpha=-3.0) < gap


def test_worst_case_agrees_with_the_limit_and_the_bounds():
    worst = measure_worst_case([2, 3], [3, 6, 60])
    assert np.nanmax(worst["disagreement"]) <= 1e-8
    assert np.isnan(worst["disagreement"][-1])
    assert np.all(worst["supremum"] <= worst["bound"])
    assert np.all(worst["bound"] <= worst["guarantee"])
    assert worst["supremum"][[2, 5]] == pytest.approx(worst["asymptote"][[2, 5]], rel=0.01)


def test_sign_gaps_are_those_of_the_hyperbola():
    problem, eps, alpha = theory.sign_counterexample()
    assert isinstance(problem, Problem)
    sign = measure_sign()
    wrong, right = sign["gap"]
    assert sign["eps"].tolist() == [eps, eps]
    for gap, scale in ((wrong, alpha), (right, alpha / np.e)):
        assert gap == pytest.approx(np.hypot(0.1, 2 * scale**2) - 0.1, rel=1e-9)
    assert right < eps < wrong


def rows_of(*tables):
    return [claim.check("05_x") for claim in checks(*tables)]


def test_checks_hold_and_are_of_every_row(rate_table, worst, hard):
    rows = rows_of(rate_table, worst, hard, measure_sign())
    assert [row.statement for row in rows] == [*4 * ["S7"], "S2", "S2", "S3", "S2"]
    assert [row.instances for row in rows] == [4, 4, 4, 2, 2, 8, 10, 1]
    assert all(row.holds and row.rival for row in rows)
    assert len(rows_of(select(rate_table, depth=3), worst, hard, measure_sign())) == 6


@pytest.mark.parametrize(
    ("column", "violated"), [("slope", [0]), ("log_ratio", [1]), ("rest_slope", [2])]
)
def test_checks_see_a_wrong_number(rate_table, worst, hard, column, violated):
    wrong = {**rate_table, column: rate_table[column] + 0.2}
    rows = rows_of(wrong, worst, hard, measure_sign())
    assert [k for k, row in enumerate(rows) if not row.holds] == violated


def test_checks_see_a_gap_above_its_bounds(rate_table, worst, hard):
    above = {**worst, "supremum": 1.01 * worst["guarantee"]}
    sign = measure_sign()
    swapped = {**sign, "gap": sign["gap"][::-1]}
    rows = rows_of(rate_table, above, {**hard, "gap": 1.01 * hard["bound"]}, swapped)
    assert [row.worst_margin < 0 for row in rows[3:]] == [True, False, True, True, True]


def test_rivals_would_stand_if_they_were_right(rate_table, worst, hard):
    two = rate_table["depth"] == 2
    rates_table = {
        **rate_table,
        "rho_least_squares": rate_table["rho"],
        "log_ratio": rate_table["log_ratio"] - np.log(2) * two,
        "rest_slope_two": rate_table["rest_slope"],
    }
    sign = measure_sign()
    tables = (
        rates_table,
        worst,
        {**hard, "gap": 0.4 * hard["bound"]},
        {**sign, "gap": 0 * sign["gap"]},
    )
    rivals = [row.rival_margin for row in rows_of(*tables)]
    assert [margin > 0 for margin in rivals] == [True, True, True, False, False, False, True, True]
    attained = {**worst, "supremum": worst["bound"]}
    assert rows_of(rates_table, attained, hard, sign)[3].rival_margin > 0
    fast = 10.0 ** -worst["log10_ratio"]  # a/Q: the exponent L of a fixed matrix at L > 2
    three = worst["depth"] == 3
    alone = {name: column[three] for name, column in {**worst, "supremum": fast}.items()}
    rows = rows_of(rates_table, alone, hard, sign)
    assert rows[4].rival_margin > 0
    assert rows[5].rival_margin > 0


def test_fits_of_the_worst_case():
    fits = worst_case_fits(measure_worst_case([2, 4], [20, 40, 80]))
    assert fits["predicted"].tolist() == [-1, 2]
    assert fits["exponent"] == pytest.approx(fits["predicted"], rel=0.02)


def test_descriptions_have_a_line_for_each_case(rate_table, hard):
    lines = init_scale_and_depth.describe_rates(rate_table).splitlines()
    assert [line.split()[5] for line in lines[6:]] == ["2,", "2,"]
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["signed", "2"], ["signed", "3"], ["positive", "2"], ["positive", "3"],
    ]  # fmt: skip
    few = measure_worst_case([2], [3, 6, 9, 12])
    lines = init_scale_and_depth.describe_worst_case(few).splitlines()
    assert len(lines) == 4
    assert "flow_limit on 4 of these" in lines[-1]
    assert len(init_scale_and_depth.describe_sign(measure_sign()).splitlines()) == 3
    assert len(init_scale_and_depth.describe_hard_columns(hard).splitlines()) == 3


def test_figure_has_a_panel_for_each_depth(case):
    problem, x, _ = case
    curves = join(*(gap_curve(problem, x, L, np.linspace(-2, -14, 4)) for L in (3, 4, 6)))
    drawn = figure({**curves, "measured": 1e-4 * curves["measured"]})
    try:
        titles = [axis.get_title() for axis in drawn.axes if axis.get_visible()]
        assert titles == ["$L = 3$", "$L = 4$", "$L = 6$"]
    finally:
        plt.close(drawn)


@pytest.mark.parametrize(("seed", "signed"), [(3, True), (0, False)])
def test_what_the_asymptote_at_depth_2_leaves_out(seed, signed):
    """The gap exceeds its asymptote by the share of the entries that this leaves out."""
    problem = gaussian_problem(10, 25, 2, seed=seed, nonnegative=not signed)
    asymptote = theory.first_order_correction(problem, problem.x_true, 2, signed=signed)
    for power in range(-5, -200, -5):
        log_alpha = float((power * np.log(10)) / asymptote.exponent)
        share = neglected_share(problem, asymptote, log_alpha, signed)
        if not 1e-9 < share < 1e-2:
            continue
        model = DeepFactorization(2, log_alpha=log_alpha, signed=signed)
        log_gap = log_gap_near_minimiser(problem, problem.x_true, asymptote.certificate, model)
        rest = np.expm1(log_gap - np.log(asymptote.gap(log_alpha=log_alpha)))
        assert rest == pytest.approx(share, rel=0.1)
        break
    else:
        pytest.fail("no scale at which the share is small and above rounding")

"""The experiment of the notebook 08_unequal_factors."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import plateau as leaving
from deepfact.experiments import two_factors, unequal_factors
from deepfact.experiments.tables import groups, select

SYSTEM = {"M": 6, "N": 7, "s": 2, "alpha": 0.1, "seed": 0}


def rows_of(claims):
    return [claim.check("08_x") for claim in claims]


@pytest.fixture(scope="module")
def tiny():
    return unequal_factors.measure_slopes(log_differences=[800, 1200], trials=2, **SYSTEM)


@pytest.fixture(scope="module")
def pairs():
    return unequal_factors.measure_pairs(4, 8, 0.3, 1.0, 20.0, 0, 2)


@pytest.fixture(scope="module")
def single():
    return unequal_factors.measure_one_coordinate([-1, -4, -6], 2, 0)


@pytest.fixture(scope="module")
def plateau():
    return unequal_factors.measure_plateau(log10_imbalances=[-3, -4, -5, -6], trials=2, **SYSTEM)


@pytest.fixture(scope="module")
def losses():
    return unequal_factors.measure_losses(log10_imbalances=[-2, -8], points=30, **SYSTEM)


def test_pairs(pairs):
    assert pairs["conserved"].max() < 1e-10
    assert pairs["formula"].max() < 1e-9
    assert pairs["sign_changes"].sum() > 0
    assert len(unequal_factors.describe_pairs(pairs).splitlines()) == 2


def test_one_coordinate(single):
    """The time is late by what x adds to the drift: less than x_0 does, and more than nothing."""
    assert np.all(single["earliest"] < single["time"])
    assert np.all(single["time"] < single["predicted"])


def test_no_sign_change_from_equal_factors():
    problem = df.Problem(np.ones((1, 1)), [-1.0])
    time, coordinate = two_factors.first_sign_change(
        problem, np.full((2, 1), 0.1), np.linspace(0, 20, 50)
    )
    assert np.isnan(time)
    assert coordinate == -1


def test_plateau(plateau, losses):
    assert np.all(plateau["earliest"] <= plateau["time"] * (1 + 1e-8))
    assert np.all(plateau["time"] <= plateau["latest"] * (1 + 1e-8))
    assert len(losses["loss"]) == 3 * 30
    last = [rows["loss"][-1] for _, rows in groups(losses, "log10_imbalance")]
    assert np.all(np.diff(last) > 0)  # the nearer to equal, the later it leaves


def test_slopes_are_measured_where_factors_are_equal_to_rounding(tiny, plateau):
    np.testing.assert_allclose(tiny["slope"], tiny["unit"], rtol=0.05)
    assert np.array_equal(tiny["unit"], select(plateau, log10_imbalance=-3)["unit"])


def test_tiny_differences_agree_with_factors(plateau):
    """Where doubles can hold the factors, the integrated dual variable gives the same time."""
    for exponent in (-3, -6):
        rows = select(plateau, log10_imbalance=exponent)
        alpha = SYSTEM["alpha"] * (1 + 0.5 * 10.0**exponent)  # half the sum of the factors
        log_difference = np.log(2 * alpha / (SYSTEM["alpha"] * 10.0**exponent))
        stream = np.random.SeedSequence([SYSTEM["seed"], 3]).spawn(1)[0]
        problem, _ = leaving.plateau_problem(6, 7, 2, np.random.default_rng(stream))
        time = leaving._tiny_sign_change(problem, alpha, log_difference, rows["unit"][0])
        assert time == pytest.approx(rows["time"][0], rel=1e-6)


def test_the_predicted_sign_change_is_wrong_by_order_delta(plateau):
    """The deviation is of order delta, and the bound on it K T_0/c: delta times the wait T_0."""
    for _, rows in groups(plateau, "trial"):
        deviation = np.abs(rows["time"] - rows["predicted"])
        bound = rows["latest"] - rows["predicted"]
        for size in (deviation, bound / rows["predicted"]):
            slope = np.polyfit(rows["log10_imbalance"], np.log10(size), 1)[0]
            np.testing.assert_allclose(slope, 1, atol=0.1)
        assert np.all(deviation < bound)


def test_checks_of_unequal_factors(pairs, single, plateau, tiny):
    rows = rows_of(unequal_factors.checks(pairs, single, plateau, tiny))
    assert [row.instances for row in rows] == [2, 6, 8, 2]
    assert all(row.statement == "S13" and row.holds for row in rows)
    assert all(row.rival_margin < 0 for row in rows)
    right = (
        {**pairs, "equal_formula": pairs["formula"]},
        {**single, "without_four": single["predicted"]},
        {**plateau, "leading": plateau["predicted"]},
        {**tiny, "unit_at_start": tiny["unit"]},
    )
    assert all(row.rival_margin > 0 for row in rows_of(unequal_factors.checks(*right)))
    far = plateau["predicted"] + 2 * plateau["room"]
    wrong = (
        {**pairs, "formula": pairs["formula"] + 1e-8},
        {**single, "time": single["predicted"] * (1 + 1e-7)},  # later than the latest
        {**plateau, "time": far},
        {**tiny, "slope": 1.1 * tiny["slope"]},
    )
    assert not any(row.holds for row in rows_of(unequal_factors.checks(*wrong)))


def test_sign_changes_are_described_by_imbalance(single, plateau, tiny):
    shown = select(single, where=single["log10_imbalance"] <= -4)
    same = select(plateau, where=np.isin(plateau["log10_imbalance"], [-4, -6]))
    lines = unequal_factors.describe_sign_changes(shown, same, tiny).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["1e-4", "1e-6"]
    assert "like delta^1.0" in lines[4] or "like delta^0.9" in lines[4]


def test_a_height_that_is_not_reached_is_reached_never():
    assert leaving._first_passage(np.arange(3.0), np.array([0.0, 1.0, 1.5]), 2.0) == np.inf
    assert leaving._first_passage(np.arange(3.0), np.array([0.0, 1.0, 3.0]), 2.0) == 1.5


def test_figure_and_its_data(losses, plateau):
    drawn = unequal_factors.figure(losses, plateau)
    data = unequal_factors.figure_data(losses, plateau)
    try:
        assert len(drawn.axes) == 2
        assert list(dict.fromkeys(data["panel"])) == ["plateau", "sign change"]
        shown = drawn.axes[0].lines[0]
        first = select(data, panel="plateau", series="u1/u2 - 1 = 10^-2")
        assert np.array_equal(shown.get_ydata(), first["y"])
    finally:
        plt.close(drawn)

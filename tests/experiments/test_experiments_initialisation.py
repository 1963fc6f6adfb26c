"""Other initialisations: weights, unequal factors, equality broken."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import (
    broken_equality,
    initialisation,
    signed_weights,
    two_factors,
    unequal_factors,
    weights,
)
from deepfact.experiments import plateau as leaving
from deepfact.experiments.tables import groups, select
from deepfact.experiments.transition_fits import binomial_interval

SYSTEM = {"M": 6, "N": 7, "s": 2, "alpha": 0.1, "seed": 0}


def rows_of(claims):
    return [claim.check("08_x") for claim in claims]


@pytest.fixture(scope="module")
def weighted():
    return weights.measure_weights(10, 20, 6, 0.5, [2, 3], [-2, -8], trials=2, seed=0)


@pytest.fixture(scope="module")
def hard():
    return weights.measure_hard_start(8, [-40])


@pytest.fixture(scope="module")
def hard_deep():
    return weights.measure_hard_weights(30, [3], [5], 0.5, 0)


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


@pytest.fixture(scope="module")
def deep():
    return broken_equality.measure_random_factors(6, 12, 2, [1e-1, 1e-3], 2, 0)


@pytest.fixture(scope="module")
def broken():
    scales = [(2, 1e-8), (3, 1e-3)]
    return broken_equality.measure_recovery(8, 14, 1, [0.0, 0.5], scales, 2, 0)


def test_weights(weighted):
    assert len(weighted["gap"]) == 2 * 2 * 2
    assert np.all(weighted["gap"] > -1e-12)
    assert np.all(weighted["gap"] <= weighted["bound"])
    two = select(weighted, depth=2)
    np.testing.assert_allclose(two["to_weighted"], two["to_plain"])
    small = select(weighted, depth=3, log10_start=-8)
    assert np.all(small["to_weighted"] < 0.01)
    assert np.all(small["to_plain"] > 0.01)


def test_checks_of_weights(weighted, hard, hard_deep):
    rows = rows_of(weights.checks(weighted, hard, hard_deep))
    assert all(row.statement == "S4" and row.holds and row.rival for row in rows)
    bounded = np.isfinite(select(weighted, depth=2)["bound"]).sum()
    assert [row.instances for row in rows] == [4, 1, 4, bounded + 1]
    above = {**weighted, "gap": 1.01 * weighted["bound"]}
    found = rows_of(weights.checks(above, hard, hard_deep))
    assert [row.holds for row in found] == [False, True, True, False]
    found = weights.checks(
        {**weighted, "inverse_gap": weighted["gap"], "to_plain": 0.0 * weighted["gap"]},
        {**hard, "gap": 0.4 * hard["bound"]},
        {**hard_deep, "gap": 0.4 * hard_deep["bound"]},
    )
    assert all(row.rival_margin > 0 for row in rows_of(found))
    plain = {**weighted, "to_weighted": weighted["to_plain"]}
    found = rows_of(weights.checks(plain, hard, hard_deep))
    assert [row.holds for row in found] == [True, True, False, True]


def test_hard_weights_come_near_to_their_bound(hard_deep):
    assert np.all(hard_deep["gap"] <= hard_deep["bound"])
    assert np.all(hard_deep["gap"] >= 0.7 * hard_deep["bound"])
    assert len(weights.describe_hard_weights(hard_deep).splitlines()) == 1


def test_distances_are_bounded_by_what_a_certificate_gives(weighted):
    deep = select(weighted, depth=3)
    assert np.all(deep["to_weighted"] <= deep["distance_bound"])
    assert np.all((0 < deep["rho"]) & (deep["rho"] < 1))
    # A = (1, 1/2): rho = 1/2, and an entry t of the second column moves the first one by -t/2.
    rho, growth = weights._growth(np.array([[1.0, 0.5]]), np.array([3.0, 0.0]), np.ones(2))
    assert rho == pytest.approx(0.5)
    assert growth == pytest.approx(np.sqrt(1.25) / 0.5)
    assert weights._growth(np.array([[1.0, 1.0]]), np.array([3.0, 0.0]), np.ones(2))[1] == np.inf


def test_hard_start_comes_near_to_its_bound(hard):
    assert np.all(hard["gap"] <= hard["bound"])
    assert np.all(hard["gap"] >= 0.7 * hard["bound"])
    assert "0.7" in weights.describe_hard_start(hard)


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


def test_random_factors(deep):
    assert np.all(deep["excess"] >= -1e-9)
    assert np.all(deep["excess"] <= deep["certified"])
    large, small = (select(deep, scale=scale)["certified"] for scale in (1e-1, 1e-3))
    np.testing.assert_allclose(large / small, 100, rtol=0.3)
    lines = broken_equality.describe_random_factors(deep).splitlines()
    assert lines[0].startswith("three random factors")
    assert len(lines) == 4


def test_signed_weighted_minimiser_leaves_out_infinite_weights():
    A, y = np.array([[1.0, 1.0]]), np.array([-1.0])
    x, value = signed_weights.signed_weighted_minimiser(A, y, np.ones(2), np.array([np.inf, 3.0]))
    np.testing.assert_allclose(x, [0.0, -1.0])
    assert value == pytest.approx(3.0)


def test_recovery(broken):
    three, two = select(broken, depth=3), select(broken, depth=2)
    assert np.array_equal(three["found"], three["predicted"])
    assert np.array_equal(two["found"], two["predicted"])
    counts = np.array([rows["found"].sum() for _, rows in groups(two, "spread")])
    low, high = binomial_interval(counts, 2, method="wilson")
    assert np.all((low >= 0) & (low <= counts / 2) & (counts / 2 <= high))
    lines = broken_equality.describe_recovery(broken).splitlines()
    assert lines[0].split() == ["recovered,", "of", "2", "L", "=", "2", "L", "=", "3"]
    assert [line.split()[0] for line in lines[2:]] == ["0", "0.5"]
    assert all(line.endswith(" 4 of 4") for line in lines[2:])


def test_checks_of_broken_equality(deep, broken):
    rows = rows_of(broken_equality.checks(deep, broken))
    assert [(row.instances, row.worst_margin >= 0) for row in rows] == [(4, True), (8, True)]
    assert rows[0].rival_margin < 0
    table = {**broken, "plain": np.where(broken["trial"] == 0, ~broken["found"], broken["found"])}
    assert rows_of(broken_equality.checks(deep, table))[1].rival_margin == pytest.approx(-0.4)
    wrong = broken_equality.checks(
        {**deep, "excess": 1.01 * deep["certified"]}, {**broken, "found": ~broken["found"]}
    )
    assert not any(row.holds for row in rows_of(wrong))


def test_figure_and_its_data(weighted, losses, plateau, deep, broken):
    tables = weighted, losses, plateau, deep, broken
    drawn = initialisation.figure(*tables)
    data = initialisation.figure_data(*tables)
    try:
        assert len(drawn.axes) == 6
        assert list(dict.fromkeys(data["panel"])) == [
            "weighted gap", "distance", "plateau", "sign change", "random factors",
            "broken identity",
        ]  # fmt: skip
        shown = drawn.axes[2].lines[0]
        first = select(data, panel="plateau", series="u1/u2 - 1 = 10^-2")
        assert np.array_equal(shown.get_ydata(), first["y"])
    finally:
        plt.close(drawn)

"""The experiment of the notebook 09_broken_equality."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact.experiments import broken_equality, signed_weights
from deepfact.experiments.tables import groups, select
from deepfact.experiments.transition_fits import binomial_interval


def rows_of(claims):
    return [claim.check("09_x") for claim in claims]


@pytest.fixture(scope="module")
def deep():
    return broken_equality.measure_random_factors(6, 12, 2, [1e-1, 1e-3], 2, 0)


@pytest.fixture(scope="module")
def broken():
    scales = [(2, 1e-8), (3, 1e-3)]
    return broken_equality.measure_recovery(8, 14, 1, [0.0, 0.5], scales, 2, 0)


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


def test_figure_and_its_data(deep, broken):
    drawn = broken_equality.figure(deep, broken)
    data = broken_equality.figure_data(deep, broken)
    try:
        assert len(drawn.axes) == 2
        assert list(dict.fromkeys(data["panel"])) == ["random factors", "broken identity"]
        shown = drawn.axes[0].lines[0]
        first = select(data, panel="random factors", series="excess, median")
        assert np.array_equal(shown.get_ydata(), first["y"])
    finally:
        plt.close(drawn)

"""The experiment of the notebook 07_weights."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact.experiments import weights
from deepfact.experiments.tables import select


def rows_of(claims):
    return [claim.check("07_x") for claim in claims]


@pytest.fixture(scope="module")
def weighted():
    return weights.measure_weights(10, 20, 6, 0.5, [2, 3], [-2, -8], trials=2, seed=0)


@pytest.fixture(scope="module")
def hard():
    return weights.measure_hard_start(8, [-40])


@pytest.fixture(scope="module")
def hard_deep():
    return weights.measure_hard_weights(30, [3], [5], 0.5, 0)


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


def test_figure_and_its_data(weighted):
    drawn = weights.figure(weighted)
    data = weights.figure_data(weighted)
    try:
        assert len(drawn.axes) == 2
        assert list(dict.fromkeys(data["panel"])) == ["weighted gap", "distance"]
        shown = drawn.axes[0].lines[0]
        first = select(data, panel="weighted gap", series="L = 2, median")
        assert np.array_equal(shown.get_ydata(), first["y"])
    finally:
        plt.close(drawn)

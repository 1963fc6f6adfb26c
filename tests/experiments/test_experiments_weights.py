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


def test_weights(weighted):
    assert len(weighted["gap"]) == 2 * 2 * 2
    assert np.all(weighted["gap"] > -1e-12)
    assert np.all(weighted["gap"] <= weighted["bound"])
    two = select(weighted, depth=2)
    np.testing.assert_allclose(two["to_weighted"], two["to_plain"])
    small = select(weighted, depth=3, log10_start=-8)
    assert np.all(small["to_weighted"] < 0.01)
    assert np.all(small["to_plain"] > 0.01)


def test_checks_of_weights(weighted, hard):
    rows = rows_of(weights.checks(weighted, hard))
    assert all(row.statement == "S4" and row.holds and row.rival for row in rows)
    bounded = np.isfinite(select(weighted, depth=2)["bound"]).sum()
    assert [row.instances for row in rows] == [4, 2, bounded + 1]
    above = {**weighted, "gap": 1.01 * weighted["bound"]}
    assert [row.holds for row in rows_of(weights.checks(above, hard))] == [False, True, False]
    found = weights.checks(
        {**weighted, "inverse_gap": weighted["gap"], "to_plain": 0.0 * weighted["gap"]},
        {**hard, "gap": 0.4 * hard["bound"]},
    )
    assert all(row.rival_margin > 0 for row in rows_of(found))
    plain = {**weighted, "to_weighted": weighted["to_plain"]}
    assert [row.holds for row in rows_of(weights.checks(plain, hard))] == [True, False, True]


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

"""The experiment of the notebook 15_lifting."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact.experiments import lifting as experiment
from deepfact.experiments.tables import select


@pytest.fixture(scope="module")
def tables():
    prices = experiment.measure_prices([2, 3], 1, 1, seed=0)
    flows = experiment.measure_flows(4, 6, 6, 3, [2, 3], 1e-12, 3, seed=0)
    basic = experiment.measure_basic(4, 6, 6, 3, 1e-9, 3, seed=0)
    saddles = experiment.measure_saddles(10, 20, 2, 0.1, 6, 1, seed=0)
    cases = [[2, 2], [3, 3], [3, 2]]
    descents = experiment.measure_descents(10, 20, 2, 0.1, cases, [-1.3, 0], 5, 1, seed=0)
    runs, spectra = experiment.measure_fits(8, 6, 0.3, [2, 3], [0.1, 2], 2, seed=0)
    return prices, flows, basic, saddles, descents, runs, spectra


def changed(tables, k, **columns):
    return [{**table, **columns} if i == k else table for i, table in enumerate(tables)]


def test_all_rows_hold_and_all_rivals_fall(tables):
    rows = [claim.check("15_lifting") for claim in experiment.checks(*tables)]
    assert len(rows) == 8
    assert all(row.holds for row in rows)


def test_the_two_prices_choose_different_solutions(tables):
    flows = select(tables[1], depth=3)
    assert np.all(flows["norm"] < 1 + 1e-9)
    assert np.all(flows["price"] > 1 + 1e-6)
    basic = tables[2]
    for draw in range(3):
        own = select(basic, draw=draw)
        assert np.argmin(own["norm"]) != np.argmin(own["price"])
        # One basic solution is near the lasso's minimiser, and only there L = 2 has a minimum.
        assert np.flatnonzero(own["eigenvalue_two"] > 0).tolist() == [np.argmin(own["norm"])]
    np.testing.assert_allclose(basic["eigenvalue"], 2 / 3, rtol=1e-3)
    assert basic["moved"].max() < 1e-4


def test_wrong_data_are_noticed(tables):
    prices, _, basic, saddles, descents, runs, spectra = tables
    wrong = [
        (0, 0, {"searched": prices["searched"] * 1.001}),
        (1, 1, {"norm": tables[1]["norm"] + 0.2}),
        (2, 2, {"eigenvalue": -basic["eigenvalue"]}),
        (3, 2, {"second": 2 * basic["second"]}),
        (4, 3, {"eigenvalue": saddles["eigenvalue"] * 1.001}),
        (5, 4, {"gap": descents["gap"] + 1e-5}),
        (6, 5, {"gap": runs["gap"] + 1e-5}),
        (7, 6, {"fitted": spectra["fitted"] + 0.01}),
    ]
    for row, table, columns in wrong:
        rows = experiment.checks(*changed(tables, table, **columns))
        assert rows[row].check("x").worst_margin < 0, row


def test_rivals_survive_where_they_are_true(tables):
    basic, descents, runs, spectra = tables[2], tables[4], tables[5], tables[6]
    true = [
        (2, 2, {"eigenvalue_two": basic["eigenvalue"]}),
        (3, 2, {"second_l1": basic["second"]}),
        (5, 4, {"excess": 0 * descents["excess"]}),
        (6, 5, {"excess": 0 * runs["excess"]}),
        (7, 6, {"soft": spectra["fitted"]}),
    ]
    for row, table, columns in true:
        rows = experiment.checks(*changed(tables, table, **columns))
        assert rows[row].check("x").rival_margin >= 0, row


def test_descriptions(tables):
    prices, flows, basic, saddles, descents, runs, spectra = tables
    lines = experiment.describe_prices(prices, flows, basic).splitlines()
    assert len(lines) == 1 + 3 + 1 + 2 + 1
    assert lines[-1].endswith("45 at L = 3, 3 at L = 2")
    assert len(experiment.describe_descents(descents, saddles).splitlines()) == 1 + 3 + 1
    assert len(experiment.describe_fits(runs, spectra).splitlines()) == 2


def test_figure_has_four_panels(tables):
    _, flows, basic, saddles, descents, _, spectra = tables
    data = experiment.figure_data(basic, flows, descents, saddles, spectra)
    assert len({len(column) for column in data.values()}) == 1
    drawing = experiment.figure(data)
    try:
        assert [axis.get_title()[:3] for axis in drawing.axes] == ["(a)", "(b)", "(c)", "(d)"]
    finally:
        plt.close(drawing)

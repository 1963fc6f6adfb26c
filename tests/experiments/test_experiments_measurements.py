"""The experiment of the notebook 05_measurements."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import expit, ndtr

from deepfact.experiments import measurements as experiment
from deepfact.experiments.recovery_fits import fit_cuts, fit_growth
from deepfact.experiments.tables import select
from deepfact.theory import recovery_threshold, recovery_window

ARGUMENTS = {
    "seed": 0,
    "unknowns": 20,
    "side": 4,
    "trials": 2,
    "cut_unknowns": 40,
    "cut_nonzeros": 2,
    "cut_points": 5,
    "cut_trials": 6,
    "growth_unknowns": [40, 20],
    "growth_nonzeros": 2,
    "growth_points": 5,
    "growth_trials": 6,
    "log10_alpha_2": -200,
    "log10_alpha_3": -4,
}


@pytest.fixture(scope="module")
def tables():
    return experiment.measure_recovery(**ARGUMENTS)


@pytest.fixture(scope="module")
def scales(tables):
    return experiment.measure_scales(tables, 3, [-2, -200])


def test_tables_say_how_they_were_made(tables):
    assert list(tables) == ["signed", "nonnegative"]
    for table in tables.values():
        for name, value in {"log10_alpha_2": -200, "log10_alpha_3": -4, "seed": 0}.items():
            np.testing.assert_array_equal(table[name], value)
        np.testing.assert_array_equal(table["tolerance"], 1e-3)


def test_loads_what_the_workflow_saves(tables, tmp_path):
    for kind, table in tables.items():
        experiment.save_table(table, tmp_path / f"recovery_{kind}.csv")
    loaded = experiment.load_recovery(tmp_path)
    assert list(loaded) == list(tables)
    for kind, table in tables.items():
        for name, column in table.items():
            np.testing.assert_array_equal(loaded[kind][name], column)
    assert experiment.describe_grids(loaded) == experiment.describe_grids(tables)


def test_fits_are_of_the_right_rows(tables):
    cuts, growth = fit_cuts(tables), fit_growth(tables)
    assert len(cuts["midpoint"]) == 2 * 3
    np.testing.assert_array_equal(growth["unknowns"], [20, 40, 20, 40])
    # The cells of the cut and of the growth at N = 40 are the same, with the same instances.
    same = select(cuts, signal="signed", method="depth_3")["midpoint"]
    np.testing.assert_array_equal(select(growth, signal="signed", unknowns=40)["midpoint"], same)
    few = select(cuts, signal="nonnegative")["predicted"]
    assert np.all(few < select(cuts, signal="signed")["predicted"])


def failures(claims):
    return [not claim.check("x").worst_margin >= 0 for claim in claims]


def test_each_check_fails_on_its_own_number(tables, scales):
    claims = experiment.checks(tables, scales)
    assert failures(claims) == 10 * [False]
    instances = [claim.check("x").instances for claim in claims]
    assert instances[:6] + instances[8:] == [30, 30, 60, 60, 30, 30, 30, 30]
    table = tables["signed"]
    cut, grid, growth = (table["part"] == part for part in ("cut", "grid", "growth"))

    def late(part, method):
        """A transition so late, seen on so many instances, that the tolerance cannot hide it."""
        chance = expit((table["measurements"] - 45) / 3)
        return {
            "trials": np.where(part, 10**6, table["trials"]),
            method: np.where(part, np.rint(1e6 * chance), table[method]),
        }

    wrong = {
        (0, 4): late(cut, "basis_pursuit"),
        (2,): late(growth, "depth_3"),
        (6,): {"differ_3": table["differ_3"] + grid},
        (8,): {"differ_2": np.where(cut, table["trials"] // 2, table["differ_2"])},
    }
    for places, change in wrong.items():
        bad = tables | {"signed": table | change}
        failed = failures(experiment.checks(bad, scales))
        assert failed == [k in places for k in range(10)], places


def test_rivals_are_refuted_where_there_are_instances_enough(tables, scales):
    """Counts that follow the predicted curve on 10,000 instances a cell, and no other."""
    exact = {}
    for kind, table in tables.items():
        N, s = table["unknowns"], table["nonzeros"]
        chance = np.array(
            [
                ndtr(
                    (M - recovery_threshold(k, n, kind != "signed"))
                    / recovery_window(k, n, kind != "signed")
                )
                if part != "grid"
                else np.nan
                for part, M, n, k in zip(table["part"], table["measurements"], N, s, strict=True)
            ]
        )
        new = {"trials": np.full(len(N), 10**4)}
        for method in ("depth_2", "depth_3", "basis_pursuit"):
            new[method] = np.where(np.isnan(chance), 5000, np.rint(1e4 * np.nan_to_num(chance)))
        exact[kind] = table | new | {"differ_1": np.full(len(N), 5000)}
    claims = experiment.checks(exact, scales)
    assert all(claim.check("x").holds for claim in claims)


def test_claims_print_the_init_scale_of_the_data(tables, scales):
    assert "depth 2 at alpha = 1e-200 and" in experiment.checks(tables, scales)[8].claim
    assert "L = 2, alpha = 1e-200" in experiment.describe_grids(tables)


def test_scales(tables, scales):
    assert len(scales["differ"]) == 2 * 5 * 2
    large, small = (select(scales, log10_alpha=value) for value in (-2, -200))
    assert large["recovered"].sum() < small["recovered"].sum()
    np.testing.assert_array_equal(large["basis_pursuit"], small["basis_pursuit"])
    lines = experiment.describe_scales(tables, scales).splitlines()
    assert len(lines) == 2 * 4
    assert "15 instances" in lines[0]


def test_descriptions(tables):
    assert len(experiment.describe_cuts(tables).splitlines()) == 2 * 4


def test_figure_draws_its_data(tables):
    data = experiment.figure_data(tables)
    grid = select(data, panel="grid", signal="signed", method="depth_2")
    assert set(grid["log10_alpha"]) == {-200}
    cut = select(data, panel="cut", method="basis_pursuit")
    assert np.isnan(cut["log10_alpha"]).all()
    assert np.all((cut["lower"] <= cut["value"]) & (cut["value"] <= cut["upper"]))
    figure = experiment.figure(tables)
    try:
        assert len(figure.axes) == 6 + 1
        assert figure.axes[5].get_title() == "growth, s = 2"
    finally:
        plt.close(figure)

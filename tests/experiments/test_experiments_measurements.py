"""The experiment of the notebook 05_measurements."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import ndtr

from deepfact.experiments import measurements as experiment
from deepfact.experiments.recovery_fits import fit_cuts, fit_grid, fit_growth, growth_slopes
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
    "cut_trials": 16,
    "growth_unknowns": [40, 20],
    "growth_nonzeros": 2,
    "growth_points": 5,
    "growth_trials": 16,
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
    usual = failures(claims)
    assert usual == [k == 8 for k in range(15)]  # two trials a cell fix no curve
    instances = [claim.check("x").instances for claim in claims]
    assert instances[:8] + instances[9:11] + instances[13:] == 4 * [80] + 4 * [160] + 4 * [80]
    table = tables["signed"]
    cut, grid, growth = (table["part"] == part for part in ("cut", "grid", "growth"))

    def late(part, method):
        """A transition so late, seen on so many instances, that the tolerance cannot hide it."""
        chance = ndtr((table["measurements"] - 30) / 3)
        return {
            "trials": np.where(part, 10**6, table["trials"]),
            method: np.where(part, np.rint(1e6 * chance), table[method]),
        }

    wrong = {
        (0, 2, 9): late(cut, "basis_pursuit"),
        (4, 6): late(growth, "depth_3"),
        (11,): {"differ_3": table["differ_3"] + grid},
        (13,): {"differ_2": table["differ_2"] + 16 * cut},
    }
    for places, change in wrong.items():
        bad = tables | {"signed": table | change}
        failed = failures(experiment.checks(bad, scales))
        assert failed == [k in places or usual[k] for k in range(15)], places


def test_rivals_are_refuted_where_there_are_instances_enough(tables, scales):
    """Counts that follow the predicted curve on 10,000 instances a cell, and no other."""
    exact = {}
    for kind, table in tables.items():
        N, s = table["unknowns"], table["nonzeros"]
        chance = np.array(
            [
                ndtr(
                    (M - recovery_threshold(k, n, signed=kind == "signed"))
                    / max(recovery_window(k, n, signed=kind == "signed"), 1e-9)
                )
                if part != "grid" or k <= M
                else 0.0
                for part, M, n, k in zip(table["part"], table["measurements"], N, s, strict=True)
            ]
        )
        new = {"trials": np.full(len(N), 10**4)}
        for method in ("depth_2", "depth_3", "basis_pursuit"):
            new[method] = np.rint(1e4 * chance)
        exact[kind] = table | new | {"differ_1": np.full(len(N), 5000)}
    checks = [claim.check("x") for claim in experiment.checks(exact, scales)]
    assert [check for check in checks if not check.holds] == []


def test_claims_print_the_init_scale_of_the_data(tables, scales):
    assert "depth 2 at alpha = 1e-200 and" in experiment.checks(tables, scales)[13].claim
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
    assert len(experiment.describe_grids(tables).splitlines()) == 2 * 3


def test_shifts_are_areas_between_the_curves():
    rows = {
        "signal": np.array(["signed"] * 4),
        "unknowns": np.full(4, 9),
        "nonzeros": np.full(4, 2),
        "measurements": np.array([3, 5, 3, 5]),
        "trials": np.full(4, 10),
        "log10_alpha": np.array([-1.0, -1.0, -9.0, -9.0]),
        "recovered": np.array([0, 5, 4, 9]),
        "differ": np.array([4, 5, 0, 0]),
        "basis_pursuit": np.array([4, 9, 4, 9]),
    }
    shifts = experiment.scale_shifts(rows)
    np.testing.assert_allclose(shifts["shift"], [0.8, 0])
    np.testing.assert_array_equal(shifts["differ"], [9, 0])


def test_slopes_and_grid_follow_counts_that_follow_the_theory():
    fits = {
        "signal": np.array(["signed"] * 3),
        "unknowns": np.array([100, 200, 400]),
        "nonzeros": np.full(3, 8),
        "midpoint": recovery_threshold(8, 100) + np.array([0.0, 7, 14]),
        "midpoint_error": np.full(3, 0.1),
        "predicted": np.array([recovery_threshold(8, N) for N in (100, 200, 400)]),
    }
    slopes = growth_slopes(fits)
    np.testing.assert_allclose(slopes["slope"], 7 / np.log(2))
    np.testing.assert_allclose(
        slopes["predicted"], np.polyfit(np.log(fits["unknowns"]), fits["predicted"], 1)[0]
    )
    M, s = (each.ravel() for each in np.meshgrid(np.arange(5, 61, 5), [3, 6, 9]))
    chance = ndtr((M - recovery_threshold(s, 60)) / recovery_window(s, 60))
    grid = {
        "part": np.full(len(M), "grid"),
        "unknowns": np.full(len(M), 60),
        "measurements": M,
        "nonzeros": s,
        "trials": np.full(len(M), 10**4),
        "depth_3": np.rint(1e4 * chance),
    }
    found = fit_grid({"signed": grid})
    np.testing.assert_allclose(found["midpoint"], found["predicted"], atol=0.2)
    np.testing.assert_array_equal(found["nonzeros"], [3, 6, 9])
    assert found["square_law"][2] > 4 * found["square_law"][0]


def test_figure_draws_its_data(tables, scales):
    data = experiment.figure_data(tables, scales)
    grid = select(data, panel="grid", signal="signed", method="depth_2")
    assert set(grid["log10_alpha"]) == {-200}
    cut = select(data, panel="cut", method="basis_pursuit")
    assert np.isnan(cut["log10_alpha"]).all()
    assert np.all((cut["lower"] <= cut["value"]) & (cut["value"] <= cut["upper"]))
    figure = experiment.figure(tables, scales)
    try:
        assert len(figure.axes) == 9 + 1
        assert "10^{-4}" in figure.axes[0].get_title()
        assert "10^{-200}" in figure.axes[2].get_title()
    finally:
        plt.close(figure)

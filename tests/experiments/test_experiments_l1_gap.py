"""The experiment of the notebooks on the main theorem, 01_positive_model and 02_signed_model."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact import theory
from deepfact.experiments import l1_gap as experiment
from deepfact.experiments import positive_model, signed_model
from deepfact.experiments.tables import select

ARGUMENTS = {
    "sizes": [(5, 20, 1), (4, 18, 3)],
    "trials": 1,
    "depths": [2, 3],
    "log10_scales": [0, -3, -6],
    "eps": [1.0, 1e-3],
    "seed": 3,
}


@pytest.fixture(scope="module", params=[True, False], ids=["signed", "positive"])
def tables(request):
    return experiment.measure_gaps(**ARGUMENTS, signed=request.param)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 2.5, 3, 6])
def test_guaranteed_gap_inverts_the_init_scale_bound(depth, signed):
    for Q, eps in ((0.3, 2.0), (5.0, 0.02)):
        log_alpha = theory.log_init_scale_bound(Q, eps, 40, depth, signed=signed)
        assert theory.guaranteed_gap(Q, 40, depth, log_alpha, signed) == pytest.approx(
            eps, rel=1e-11
        )


@pytest.mark.parametrize("depth", [2, 4])
def test_no_gap_is_guaranteed_from_a_large_init_scale(depth):
    assert theory.guaranteed_gap(1.0, 10, depth, 0.0) == np.inf


def test_rows(tables):
    grid, wanted = tables["grid"], tables["wanted"]
    assert len(grid["gap"]) == 4 * 2 * 3
    assert len(wanted["gap"]) == 4 * 2 * 2
    assert list(grid["kind"][::6]) == ["gaussian", "gaussian", "rademacher", "rademacher"]
    np.testing.assert_allclose(
        grid["log_alpha"], np.log(grid["scale"] * grid["Q_upper"]) / grid["depth"]
    )


def test_intervals_are_ordered_and_gaps_positive(tables):
    grid = tables["grid"]
    assert np.all(grid["Q_lower"] <= grid["Q_upper"] * (1 + 1e-14))
    assert np.all(grid["lower_bound"] <= grid["Q_lower"])
    assert np.all(grid["gap"] >= 0)
    assert np.all(grid["certificate"] >= grid["gap"])


def test_init_scales_beyond_the_tested_range_are_left_out(tables):
    shallow, deep = (select(tables["wanted"], depth=depth) for depth in (2, 3))
    # eps = Q/1000 asks for alpha < e^-700 at L = 2
    np.testing.assert_array_equal(shallow["tried"], shallow["eps"] == 1.0)
    np.testing.assert_array_equal(np.isnan(shallow["gap"]), ~shallow["tried"])
    assert deep["tried"].all()


def test_margins_are_those_of_the_definition(tables):
    grid, wanted = tables["grid"], tables["wanted"]
    guarantee, bound, certified = experiment.checks(tables)
    assert bound.margins.size == certified.margins.size == np.isfinite(grid["bound"]).sum()
    assert guarantee.margins.size == np.isfinite(grid["guarantee"]).sum() + wanted["tried"].sum()
    assert all(claim.margins.min() >= 0 for claim in (guarantee, bound, certified))
    assert bound.margins.min() >= certified.margins.min()
    worst = np.argmin(1 - grid["gap"] / grid["bound"])
    row = {name: column[worst] for name, column in grid.items()}
    alpha = (row["scale"] * row["Q_upper"]) ** (1 / row["depth"])
    right = theory.l1_gap_bound(
        row["Q_upper"], int(row["N"]), row["depth"], alpha, signed=bool(row["signed"])
    )
    assert bound.margins.min() == pytest.approx(1 - row["gap"] / right)


@pytest.mark.parametrize(
    ("table", "column", "value", "expected"),
    [
        ("grid", "gap", np.nan, [True, True, False]),
        ("grid", "certificate", np.nan, [False, False, True]),
        ("grid", "guarantee", 0.0, [True, False, False]),
        ("wanted", "gap", np.nan, [True, False, False]),
        ("grid", "bound", 0.0, [False, True, True]),
    ],
)
def test_a_failed_limit_or_a_small_bound_counts_as_a_violation(
    tables, table, column, value, expected
):
    changed = tables[table][column].copy()
    changed[2] = value
    bad = tables | {table: tables[table] | {column: changed}}
    if table == "wanted":
        changed[tables["wanted"]["tried"]] = value
    with np.errstate(divide="ignore"):
        claims = experiment.checks(bad)
    assert [not claim.check("x").worst_margin >= 0 for claim in claims] == expected


def test_a_limit_that_fails_or_leaves_the_interval_is_no_gap(monkeypatch):
    true = experiment.limit_path

    def broken(problem, models):
        first, second, *others = true(problem, models)
        stalled = dataclasses.replace(first, status="stalled")
        return [stalled, dataclasses.replace(second, lower_bound=1e9), *others]

    monkeypatch.setattr(experiment, "limit_path", broken)
    arguments = ARGUMENTS | {"sizes": [(3, 6, 1)], "depths": [3], "eps": [1.0]}
    tables = experiment.measure_gaps(**arguments, signed=True)
    assert np.isnan(tables["grid"]["gap"][:2]).all()


def test_same_seed_same_numbers_other_seed_other_numbers():
    arguments = ARGUMENTS | {"sizes": [(3, 6, 1)], "depths": [3], "eps": [1.0], "signed": True}
    one, two, other = (
        experiment.measure_gaps(**arguments | {"seed": seed})["grid"]["l1_norm"]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("signed", [True, False])
def test_instance(signed):
    table = experiment.measure_instance(5, 20, 1, [2, 3], [1e-2, 1e-5], signed=signed, seed=2)
    np.testing.assert_array_equal(table["depth"], [2, 2, 3, 3])
    best = df.basis_pursuit(df.gaussian_problem(5, 20, 1, seed=2, signed=signed), signed=signed)
    np.testing.assert_array_equal(table["Q_upper"], best.value)
    lines = experiment.describe_instance(table).splitlines()
    assert len(lines) == 3 + 4
    assert lines[0].startswith("basis pursuit" if signed else "linear program")


def test_description_has_a_line_for_each_kind_and_size(tables):
    lines = experiment.describe(tables).splitlines()
    assert len(lines) == 5 + 4
    assert lines[0].startswith("4 instances")
    assert "e^-700: 4 of 16" in lines[1]


def test_summary_is_over_the_instances(tables):
    summary = signed_model.figure_data(tables)
    assert {len(column) for column in summary.values()} == {6}
    own = select(tables["grid"], depth=3, scale=1e-3)
    row = np.flatnonzero((summary["depth"] == 3) & (summary["scale"] == 1e-3))
    relative = own["gap"] / own["Q_lower"]
    assert summary["gap_median"][row] == pytest.approx(np.median(relative))
    assert summary["gap_largest"][row] == relative.max()
    assert summary["bound_least"][0] == np.inf


def test_figure_has_a_panel_for_each_depth(tables):
    figure = positive_model.figure(tables)
    try:
        assert [axis.get_title() for axis in figure.axes] == ["$L = 2$", "$L = 3$"]
    finally:
        plt.close(figure)

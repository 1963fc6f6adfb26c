"""The experiment of the notebook 01_both_models."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact import theory
from deepfact.experiments import both_models as experiment
from deepfact.experiments.tables import select

ARGUMENTS = {
    "sizes": [(5, 20, 1), (4, 18, 3)],
    "trials": 1,
    "depths": [2, 3],
    "log10_scales": [0, -3, -6],
    "eps": [1.0, 1e-3],
    "seed": 3,
}


@pytest.fixture(scope="module")
def tables():
    return experiment.measure_gaps(**ARGUMENTS)


def test_with_known_signs_the_same_data_have_a_nonnegative_signal():
    problem = df.gaussian_problem(4, 9, 3, seed=1)
    told = experiment.with_known_signs(problem)
    assert np.array_equal(told.y, problem.y)
    assert np.array_equal(told.x_true, np.abs(problem.x_true))
    np.testing.assert_allclose(told.dense() @ told.x_true, problem.y, rtol=1e-13)


def test_the_signed_model_does_not_see_the_signs():
    """Columns that are turned around turn around the entries of its limit."""
    problem = df.gaussian_problem(6, 12, 3, seed=1)
    limit, turned = (
        df.flow_limit(each, df.DeepFactorization(3, alpha=0.1)).x
        for each in (problem, experiment.with_known_signs(problem))
    )
    assert np.any(problem.x_true < 0)
    np.testing.assert_allclose(turned, np.where(problem.x_true < 0, -limit, limit), atol=1e-9)


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
    assert len(grid["gap"]) == 4 * 2 * 2 * 3
    assert len(wanted["gap"]) == 4 * 2 * 2 * 2
    assert list(grid["kind"][::12]) == ["gaussian", "gaussian", "rademacher", "rademacher"]
    np.testing.assert_allclose(
        grid["log_alpha"], np.log(grid["scale"] * grid["Q_upper"]) / grid["depth"]
    )


def test_unknown_signs_make_the_least_norm_no_larger(tables):
    positive, signed = (select(tables["grid"], signed=signed) for signed in (False, True))
    assert np.array_equal(positive["instance"], signed["instance"])
    assert np.all(signed["Q_lower"] <= positive["Q_upper"])
    assert np.any(signed["Q_upper"] < positive["Q_lower"])  # too few measurements


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


@pytest.mark.parametrize("signed", [False, True])
def test_margins_are_those_of_the_definition(tables, signed):
    grid, wanted = (select(tables[name], signed=signed) for name in ("grid", "wanted"))
    guarantee, bound, certified = experiment.checks(tables)[3 * signed :][:3]
    model = "signed" if signed else "positive"
    assert all(claim.claim.startswith(model) for claim in (guarantee, bound, certified))
    assert bound.margins.size == grid["gap"].size
    assert certified.margins.size == np.sum(grid["scale"] * grid["N"] * (1 + signed) < 1)
    assert guarantee.margins.size == np.isfinite(grid["guarantee"]).sum() + wanted["tried"].sum()
    assert all(claim.margins.min() >= 0 for claim in (guarantee, bound, certified))
    worst = np.argmin(1 - grid["gap"] / grid["bound"])
    row = {name: column[worst] for name, column in grid.items()}
    alpha = (row["scale"] * row["Q_upper"]) ** (1 / row["depth"])
    right = theory.l1_gap_bound_sharp(
        row["Q_upper"], int(row["N"]), row["depth"], alpha, signed=signed
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
    own = tables[table]
    hit = own["tried"] if table == "wanted" else own["scale"] == own["scale"].min()
    changed = np.where(hit & own["signed"], value, own[column])
    with np.errstate(divide="ignore"):
        claims = experiment.checks(tables | {table: own | {column: changed}})
    violated = [not claim.check("x").worst_margin >= 0 for claim in claims]
    assert violated == [False, False, False, *expected]


def test_a_limit_that_fails_or_leaves_the_interval_is_no_gap(monkeypatch):
    true = experiment.limit_path

    def broken(problem, models):
        first, second, *others = true(problem, models)
        stalled = dataclasses.replace(first, status="stalled")
        return [stalled, dataclasses.replace(second, lower_bound=1e9), *others]

    monkeypatch.setattr(experiment, "limit_path", broken)
    arguments = ARGUMENTS | {"sizes": [(3, 6, 1)], "depths": [3], "eps": [1.0]}
    tables = experiment.measure_gaps(**arguments)
    assert np.isnan(tables["grid"]["gap"][:2]).all()


def test_same_seed_same_numbers_other_seed_other_numbers():
    arguments = ARGUMENTS | {"sizes": [(3, 6, 1)], "depths": [3], "eps": [1.0]}
    one, two, other = (
        experiment.measure_gaps(**arguments | {"seed": seed})["grid"]["l1_norm"]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_descriptions(tables):
    """A line for each model and depth of the first instance; one for each kind and size."""
    lines = experiment.describe_instance(tables).splitlines()
    assert len(lines) == 1 + 2 * (1 + 2)
    assert lines[1].startswith("positive model")
    assert lines[4].startswith("signed model")
    lines = experiment.describe(tables).splitlines()
    assert len(lines) == 5 + 4
    assert lines[0].startswith("4 instances")
    assert "e^-700: 8 of 32" in lines[1]


def test_summary_is_over_the_instances(tables):
    summary = experiment.figure_data(tables)
    assert {len(column) for column in summary.values()} == {12}
    chosen = {"signed": True, "depth": 3, "scale": 1e-3}
    own, row = select(tables["grid"], **chosen), select(summary, **chosen)
    relative = own["gap"] / own["Q_lower"]
    assert row["gap_median"] == pytest.approx(np.median(relative))
    assert row["gap_largest"] == relative.max()
    assert summary["guarantee_least"][0] == np.inf


def test_figure_has_a_panel_for_each_model_and_depth(tables):
    figure = experiment.figure(tables)
    try:
        titles = [axis.get_title() for axis in figure.axes]
        assert titles == [f"{m} model, $L = {L}$" for m in ("positive", "signed") for L in (2, 3)]
    finally:
        plt.close(figure)

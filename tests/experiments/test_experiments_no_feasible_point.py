"""The loops of the notebook on problems without a feasible nonnegative point."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.optimize import nnls

import deepfact as df
from deepfact.experiments import no_feasible_point
from deepfact.experiments.inconsistent import (
    KINDS,
    inconsistent_problem,
    minimiser_set,
    nonnegative_least_squares,
    optimality_error,
    vertices,
)
from deepfact.experiments.no_feasible_point import (
    checks,
    figure,
    figure_data,
    measure_decays,
    measure_limits,
)
from deepfact.experiments.tables import select

ARGUMENTS = {
    "sizes": [(10, 16)],
    "trials": 1,
    "depths": [2, 3],
    "log10_scales": [-2, -5],
    "eps": [1.0],
    "seed": 0,
}


@pytest.fixture(scope="module")
def limits():
    return measure_limits(**ARGUMENTS)


@pytest.fixture(scope="module")
def decays():
    return measure_decays(8, 12, [2, 3], -4, problems=1, seed=5, points=60)


@pytest.fixture(scope="module")
def hard():
    return no_feasible_point.measure_hard(20, [2, 3], [4])


@pytest.mark.parametrize("kind", KINDS)
def test_no_nonnegative_signal_fits(kind):
    problem, nearest = inconsistent_problem(kind, 10, 16, seed=1)
    assert df.basis_pursuit(problem, nonnegative=True).status == "infeasible"
    assert optimality_error(problem.A, problem.y, nearest) < 1e-12


def test_ensembles_are_known():
    with pytest.raises(ValueError, match="kind"):
        inconsistent_problem("other", 10, 16, seed=1)


def test_reference_is_scipys_where_the_rank_is_full():
    rng = np.random.default_rng(0)
    A, y = rng.standard_normal((12, 8)), rng.standard_normal(12)
    assert nonnegative_least_squares(A, y) == pytest.approx(nnls(A, y)[0], abs=1e-12)


def test_optimality_error_sees_what_is_no_minimiser():
    A, y = np.eye(2), np.array([1.0, -1.0])
    assert optimality_error(A, y, np.array([1.0, 0.0])) == 0
    assert optimality_error(A, y, np.array([0.5, 0.0])) > 0.1
    assert optimality_error(A, y, np.array([1.0, 0.5])) > 0.1


def test_vertices_have_one_image_and_the_first_is_shortest():
    problem, nearest = inconsistent_problem("dependent columns", 10, 16, seed=2)
    found = vertices(problem, nearest, 4, seed=0)
    assert found.shape == (5, 16)
    assert found.min() >= 0
    assert found @ problem.A.T == pytest.approx(np.tile(problem.A @ nearest, (5, 1)), abs=1e-9)
    assert found[0].sum() == pytest.approx(found.sum(axis=1).min())
    assert not found[:, ~minimiser_set(problem, nearest)].any()


def test_limits_are_projections_onto_the_minimisers(limits):
    scales, guarantees = limits["scales"], limits["guarantees"]
    assert len(scales["gap"]) == 3 * 2 * 2
    assert scales["told"].all()
    assert scales["image_error"].max() < 1e-9
    assert scales["optimality"].max() < 1e-9
    several = scales["width"] > 1e-6
    assert several.any()
    assert scales["pythagoras"][several].max() < 1e-9
    assert np.all(scales["gap"] <= scales["bound"])
    assert np.nanmax(guarantees["gap"] / guarantees["Q"]) < 1


def test_same_seed_same_numbers(limits):
    again = measure_limits(**ARGUMENTS)
    for name, table in limits.items():
        assert np.array_equal(again[name]["gap"], table["gap"], equal_nan=True)


def test_init_scales_below_the_smallest_are_left_out():
    (kind, *_) = KINDS
    far = measure_limits([(6, 9)], 1, [2, 3], [-2], [1e-3], seed=0)["guarantees"]
    assert np.isnan(select(far, kind=kind, depth=2)["gap"]).all()
    assert np.isfinite(select(far, kind=kind, depth=3)["gap"]).all()


def test_the_excess_of_the_loss_is_the_plain_difference(decays):
    stream = np.random.SeedSequence([5, 1]).spawn(1)[0]
    problem, nearest = inconsistent_problem(KINDS[0], 8, 12, seed=stream)
    decay = select(decays, kind=KINDS[0], depth=3)
    assert [decay[f"nearest_{i}"][0] for i in range(12)] == nearest.tolist()
    x = np.column_stack([decay[f"x_{i}"] for i in range(12)])
    loss = 0.5 * np.sum((x @ problem.A.T - problem.y) ** 2, axis=1)
    least = 0.5 * np.sum((problem.A @ nearest - problem.y) ** 2)
    assert decay["excess_loss"] == pytest.approx(loss - least, abs=1e-12)
    assert decay["distance"][-1] < 1e-3
    assert np.all(decay["excess_loss"] <= decay["bound"])


def test_checks_hold(limits, hard, decays):
    rows = [claim.check("11_x") for claim in checks(limits, hard, decays)]
    several = np.sum(limits["scales"]["width"] > 1e-6)
    assert [row.instances for row in rows] == [12, several, 12 + 6 + 2, 6]
    assert all(row.statement == "S9" and row.holds for row in rows)


@pytest.mark.parametrize(
    ("column", "wrong", "violated"),
    [
        ("optimality", 1e-6, [0]),
        ("image_error", np.nan, [0]),
        ("pythagoras", 1e-6, [1]),
        ("gap", 1e3, [2]),
    ],
)
def test_checks_see_a_wrong_limit(limits, hard, decays, column, wrong, violated):
    scales = limits["scales"]
    values = scales[column].copy()
    values[np.flatnonzero(scales["width"] > 1e-6)[0]] = wrong
    found = checks({**limits, "scales": {**scales, column: values}}, hard, decays)
    assert [k for k, claim in enumerate(found) if not claim.check("11_x").holds] == violated


@pytest.mark.parametrize("wrong", [np.nan, 1e3])
def test_checks_see_a_loss_above_its_bound_and_a_failed_integration(limits, hard, decays, wrong):
    excess = decays["excess_loss"].copy()
    excess[-1] = wrong
    found = checks(limits, hard, {**decays, "excess_loss": excess})
    assert [claim.check("11_x").holds for claim in found] == [True, True, True, False]


def test_rivals_are_refuted_and_would_stand_if_they_were_right(limits, hard, decays):
    assert all(claim.check("11_x").rival_margin < 0 for claim in checks(limits, hard, decays))
    scales = limits["scales"]
    tame = {
        **limits,
        "scales": {**scales, "unsigned": 0 * scales["gap"], "euclid": 0 * scales["gap"]},
    }
    far = {**hard, "gap": 0.4 * hard["bound"]}
    slow = {**decays, "excess_loss": 0.2 * decays["bound"], "first": 0 * decays["first"]}
    found = checks(tame, far, slow)
    assert all(claim.check("11_x").rival_margin > 0 for claim in found)


def test_hard_columns_come_near_to_the_bound(hard):
    assert np.all(hard["gap"] <= hard["bound"])
    assert np.all(hard["gap"] >= 0.45 * hard["bound"])
    assert len(no_feasible_point.describe_hard_columns(hard).splitlines()) == 3


def test_descriptions(limits, decays):
    lines = no_feasible_point.describe_limits(limits).splitlines()
    assert lines[1] == 'limits with the status "infeasible": 12 of 12'
    assert [line.startswith(f" {kind}") for line, kind in zip(lines[-3:], KINDS, strict=True)]
    assert len(no_feasible_point.describe_decays(decays).splitlines()) == 1 + 6
    text = no_feasible_point.describe_instance(8, 12, 3, 0.1, seed=0)
    assert text.startswith("status:  infeasible")
    loss, least = (float(line.split()[-1]) for line in text.splitlines()[3:5])
    assert loss == pytest.approx(least, abs=1e-7)


def test_the_figure_shows_its_data(limits, decays):
    drawn, data = figure(limits, decays), figure_data(decays)
    try:
        assert len(drawn.axes) == 3
        assert list(data)[:5] == ["depth", "time", "excess_loss", "bound", "x_0"]
        assert len(data) == 4 + 12
        last = select(data, depth=3)
        assert np.array_equal(drawn.axes[0].lines[0].get_ydata(), last["x_0"])
    finally:
        plt.close(drawn)

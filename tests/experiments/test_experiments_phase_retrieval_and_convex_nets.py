"""The experiment of the notebook 16_phase_retrieval_and_convex_nets."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact.experiments import phase_retrieval_and_convex_nets as experiment
from deepfact.experiments.phase_duality import selected_combination
from deepfact.experiments.phase_success import curve_excess, probit_midpoint
from deepfact.experiments.tables import select
from deepfact.lifting import phase_max_problem
from deepfact.theory import phase_max_success

REACHED = 1e-3


@pytest.fixture(scope="module")
def phase():
    duality = experiment.measure_duality(6, [1.5, 3], 30, 4, seed=0)
    deep, two = [-2, -3, -4], [-40, -80, -160]
    errors = experiment.measure_dual_errors(6, 4, 30, [2, 3], deep, two, 2, seed=0)
    success = experiment.measure_success(10, [0, 45], [0.7, 1, 1.3], 300, seed=0)
    return duality, errors, success, experiment.measure_transitions(success)


@pytest.fixture(scope="module")
def nets():
    runs, optima, functions = experiment.measure_nets(
        6, 0.1, [2, 6, 64], 60, 2000, 0.01, 1, 21, seed=0
    )
    return runs, optima, functions, experiment.measure_shares(runs, REACHED)


def test_all_rows_hold_and_all_rivals_fall(phase, nets):
    runs, optima, _, shares = nets
    claims = experiment.checks(*phase) + experiment.net_checks(runs, optima, shares, REACHED)
    assert len(claims) == 10
    assert all(claim.check("x").holds for claim in claims)


def changed(tables, k, **columns):
    return [{**table, **columns} if i == k else table for i, table in enumerate(tables)]


def test_wrong_data_are_noticed(phase):
    duality, errors, success, transitions = phase
    wrong = [
        (0, 0, {"value": duality["value"] * 1.001}),
        (1, 0, {"distance": np.ones_like(duality["distance"])}),
        (2, 1, {"slope": errors["slope"] + 0.1}),
        (3, 1, {"error": errors["error"] * 1.05}),
        (4, 2, {"predicted": np.minimum(success["predicted"] + 0.1, 1)}),
        (5, 2, {"predicted": np.minimum(success["predicted"] + 0.1, 1)}),
        (6, 3, {"predicted": transitions["predicted"] + 3}),
    ]
    for row, table, columns in wrong:
        rows = experiment.checks(*changed(phase, table, **columns))
        assert rows[row].check("x").worst_margin < 0, row


def test_rivals_survive_where_they_are_true(phase):
    duality, errors, success, transitions = phase
    true = [
        (0, 0, {"signal": duality["value"]}),
        (1, 0, {"error": np.where(duality["m"] >= 2 * duality["n"] - 1, 0.0, 1.0)}),
        (2, 1, {"slope": 1.0 * errors["depth"]}),
        (3, 1, {"vertex": errors["error"]}),
        (4, 2, {"bare": success["predicted"]}),
        (5, 2, {"bare": success["predicted"]}),
        (6, 3, {"cosine": transitions["midpoint"]}),
    ]
    for row, table, columns in true:
        rows = experiment.checks(*changed(phase, table, **columns))
        assert rows[row].check("x").rival_margin >= 0, row


def test_wrong_nets_are_noticed(nets):
    runs, optima, _, shares = nets
    below = {**runs, "above": runs["above"] - 1}
    assert experiment.net_checks(below, optima, shares, REACHED)[1].check("x").worst_margin < 0
    loose = {**optima, "gap": optima["gap"] + 1e-4}
    assert experiment.net_checks(runs, loose, shares, REACHED)[0].check("x").worst_margin < 0
    flat = {**shares, "lower": shares["lower"][[0, 1, 1]], "upper": shares["upper"][[0, 1, 1]]}
    rows = experiment.net_checks(runs, optima, flat, REACHED)
    assert rows[2].check("x").worst_margin < 0 < rows[2].check("x").rival_margin


def test_selected_combination_is_optimal():
    rng = np.random.default_rng(1)
    vectors, signal = rng.standard_normal((20, 4)), rng.standard_normal(4)
    signs = np.sign(vectors @ signal)
    anchor = (signs[:, None] * vectors).T @ rng.uniform(0.5, 1, 20)
    problem = phase_max_problem(vectors, np.abs(vectors @ signal), anchor)
    columns = problem.dense() * signs
    for depth in (2, 3):
        t = selected_combination(problem, signal, depth)
        np.testing.assert_allclose(columns @ t, anchor, rtol=1e-6)
        slope = np.log(t) if depth == 2 else t ** (2 / depth - 1)
        along = np.linalg.lstsq(columns.T, slope)[0]
        np.testing.assert_allclose(columns.T @ along, slope, rtol=1e-4)


def test_midpoint_of_counts_that_are_exact():
    m = np.arange(30, 60, 4)
    trials = np.full(len(m), 10_000)
    recovered = trials * np.array([phase_max_success(int(k), 20, 0.5) for k in m])
    midpoint, error = probit_midpoint(m, recovered, trials)
    assert phase_max_success(round(midpoint), 20, 0.5) == pytest.approx(0.5, abs=0.05)
    assert 0 < error < 0.1
    own = {"recovered": recovered, "trials": trials, "predicted": recovered / trials}
    assert curve_excess(own, "predicted", 0.999) == pytest.approx(-1)


def test_nets_of_two_neurons_do_not_reach_the_optimum(nets):
    runs, optima, functions, shares = nets
    assert shares["share"][0] == 0
    assert shares["share"][-1] > 0.9
    assert runs["above"].min() > 0
    assert optima["gap"].max() < 1e-7
    assert set(functions["name"]) == {"data", "optimum", "width 2", "width 6", "width 64"}


def test_descriptions(phase, nets):
    duality, errors, success, transitions = phase
    runs, optima, _, shares = nets
    assert len(experiment.describe_duality(duality, errors).splitlines()) == 2 + 2
    assert len(experiment.describe_success(success, transitions).splitlines()) == 2 + 2
    assert len(experiment.describe_nets(runs, optima, shares).splitlines()) == 1 + 3


def test_figure_has_six_panels(phase, nets):
    _, errors, success, transitions = phase
    runs, _, functions, shares = nets
    data = experiment.figure_data(errors, success, transitions, runs, shares, functions)
    assert len(select(data, panel="excess")["x"]) == 180
    drawing = experiment.figure(data)
    try:
        titles = [axis.get_title()[:3] for axis in drawing.axes]
        assert titles == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    finally:
        plt.close(drawing)

"""The experiments of the notebooks 00_tour and 13_depth_side_by_side."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import depth_runs, tour
from deepfact.experiments import depth_side_by_side as experiment
from deepfact.experiments.tables import select


@pytest.fixture(scope="module")
def flows():
    return experiment.measure_flows(12, 16, 2, 1e-4, [1, 2, 3], seed=0, n_times=15, room=1.1)


@pytest.fixture(scope="module")
def limits():
    return experiment.measure_limits(7, 14, 2, [1e-2, 1e-4], [1, 2, 3, np.inf], trials=2, seed=0)


@pytest.fixture(scope="module")
def recovery():
    return tour.measure_recovery(20, 1, [1, 15], [1, 2, 3], 1e-9, trials=4, seed=0)


@pytest.fixture(scope="module")
def starts():
    scales = [1.0, 0.1, 1e-8]
    return tour.measure_shapes(scales, [2, 3], 10), tour.measure_limits(
        scales, [2, 3], 0.5, 400, 0.1
    )


def test_flows(flows):
    depths = flows["depths"]
    np.testing.assert_array_equal(depths["depth"], [1, 2, 3])
    assert depths["distance"].max() < 1e-7
    assert depths["error"][0] > 0.1 > depths["error"][1] > depths["error"][2]
    assert depths["large"][0] > depths["large"][2] == 2
    assert depths["share"][0] < 0.9 < depths["share"][2]
    assert len(flows["entries"]["limit"]) == 3 * 16
    problem = df.gaussian_problem(12, 16, 2, seed=0)
    model = df.DeepFactorization(3, 1e-4 ** (1 / 3))
    entries = select(flows["entries"], depth=3)
    np.testing.assert_array_equal(entries["true"], problem.x_true)
    np.testing.assert_allclose(entries["limit"], df.flow_limit(problem, model).x, atol=1e-12)
    last = select(flows["coordinates"], depth=3, coordinate=np.argmax(np.abs(problem.x_true)))
    spike = entries["limit"][np.argmax(np.abs(problem.x_true))]
    assert last["y"][-1] == pytest.approx(spike, rel=1e-5)
    for depth in (1, 2, 3):
        relative = select(flows["divergence"], depth=depth)["relative"]
        assert np.all(np.diff(relative) <= 1e-12)
        assert 0 <= relative[-1] < relative[0] <= 1


def test_limits(limits):
    assert len(limits["depth"]) == 2 * 4 * 2
    assert limits["residual"].max() < 1e-10
    shallow, deep = (select(limits, where=(limits["depth"] >= 2) == true) for true in (False, True))
    assert shallow["least_squares"].max() < 1e-12 < 1e-2 < deep["least_squares"].min()
    np.testing.assert_allclose(limits["above"] + limits["below"], limits["certified"], atol=1e-8)
    assert np.isinf(shallow["bound"]).all()
    assert np.all(deep["above"] < deep["bound"])
    # A smaller start is better, except where there is none.
    large, small = (select(limits, start=start) for start in (1e-2, 1e-4))
    better = large["certified"] > small["certified"]
    np.testing.assert_array_equal(better[large["depth"] > 1], True)
    one = large["depth"] == 1
    np.testing.assert_allclose(large["certified"][one], small["certified"][one])


def failures(claims):
    return [not claim.check("x").worst_margin >= 0 for claim in claims]


def test_each_check_of_the_limits_fails_on_its_own_number(limits):
    claims = experiment.checks(limits)
    assert failures(claims) == 3 * [False]
    assert all(np.min(claim.rival_margins) < 0 for claim in claims[:2])
    small = experiment.measure_limits(7, 14, 2, [1e-12], [1, 2], trials=2, seed=0)
    assert all(claim.check("x").holds for claim in experiment.checks(small))
    assert [claim.margins.size for claim in claims] == [2, 12, 12]
    assert "for two, three and infinitely many factors" in claims[1].claim
    wrong = {
        "least_squares": (1, 1.0, [True, False, False]),
        "below": (3, -1.0, [False, True, False]),
        "above": (3, 1e9, [False, False, True]),
    }
    for name, (depth, value, expected) in wrong.items():
        bad = limits | {name: np.where(limits["depth"] == depth, value, limits[name])}
        assert failures(experiment.checks(bad)) == expected, name


def test_checks_of_the_tour(flows, starts, recovery):
    claims = tour.checks(flows, *starts, recovery)
    assert [claim.statement for claim in claims] == ["D3", "S3", "D5", "D5", "S14"]
    assert [claim.margins.size for claim in claims] == [2, 2, 6, 12, 2]
    assert failures(claims) == 5 * [False]
    assert "from products of 1e-09 three factors" in claims[-1].claim
    depths = flows["depths"]
    for name, place in (("Q_lower", 0), ("bound", 1)):
        bad = flows | {"depths": depths | {name: 1e-9 * depths[name]}}
        assert failures(tour.checks(bad, *starts, recovery)) == [k == place for k in range(5)]
    missed = np.where(recovery["method"] == "L = 3", 3, recovery["as_l1"])
    claims = tour.checks(flows, *starts, recovery | {"as_l1": missed})
    assert failures(claims) == [False, False, False, False, True]


def test_the_rival_of_recovery_is_refuted_where_two_factors_fall_short(flows, starts, recovery):
    fewer = np.where(recovery["method"] == "L = 2", 2, recovery["as_l1"])
    for table, refuted in ((recovery, False), (recovery | {"as_l1": fewer}, True)):
        *_, claim = tour.checks(flows, *starts, table)
        assert (np.min(claim.rival_margins) < 0) == refuted


def test_recovery(recovery):
    methods = [name for name in ("L = 1", "L = 2", "L = 3", "l1") for _ in range(2)]
    np.testing.assert_array_equal(recovery["method"], methods)
    np.testing.assert_array_equal(recovery["measurements"], 4 * [1, 15])
    np.testing.assert_array_equal(recovery["recovered"], [0, 0, 0, 4, 0, 4, 0, 4])
    np.testing.assert_array_equal(recovery["as_l1"], [4, 0, 4, 4, 4, 4, 4, 4])


def test_descriptions(flows, limits):
    lines = experiment.describe(flows, limits).splitlines()
    assert len(lines) == 3 + 4
    assert "in the 2 largest entries" in lines[0]
    assert "from 1e-04" in lines[-1]
    assert len(tour.describe_limits(flows).splitlines()) == 3
    certificates = tour.describe_certificates(flows).splitlines()
    assert [line.endswith(")") for line in certificates] == [True, False, True, True]
    bound = select(flows["depths"], depth=3)["bound"][0]
    assert certificates[3].endswith(f"(S3 allows Q + {bound:.2f})")


def test_figures_draw_their_data(flows, limits, starts, recovery):
    data = experiment.figure_data(flows, limits)
    assert {len(column) for column in data.values()} == {len(data["x"])}
    shown = select(data, panel="certified gap / Q, median", depth=3)
    expected = [np.median(select(limits, depth=3, start=s)["certified"]) for s in (1e-2, 1e-4)]
    np.testing.assert_array_equal(shown["y"], expected)
    figure = experiment.figure(flows, limits)
    other = tour.figure(flows, *starts, recovery, 2)
    try:
        *_, fall, gaps = figure.axes
        assert [len(axis.lines) for axis in (fall, gaps)] == [3, 3]
        np.testing.assert_array_equal(gaps.lines[2].get_ydata(), expected)
        assert "three factors" in figure.axes[4].get_title()
        assert len(other.axes[0].lines) == 16 + 2
        assert other.axes[5].get_title() == "recovery, from $\\alpha^L=10^{-9}$"
        assert [len(axis.lines) for axis in other.axes[3:]] == [2 + 3, 1 + 2 * 3, 4 + 1]
    finally:
        plt.close(figure)
        plt.close(other)
    tour_data = tour.figure_data(flows, *starts, recovery, 2)
    np.testing.assert_array_equal(
        select(tour_data, panel="recovery")["y"], [0, 0, 0, 1, 0, 1, 0, 1]
    )
    flow_panels = {"depth 1", "depth 2", "depth 3"}
    others = {"divergence", "equal divergence", "limit of two unknowns", "recovery"}
    assert set(tour_data["panel"]) == flow_panels | others


def test_counted():
    assert depth_runs.counted([3, 2, 3]) == "two and three"
    assert depth_runs.counted([2.5]) == "2.5"


def test_bound_of_infinite_depth_is_that_of_its_start():
    assert depth_runs.s3_bound(2.0, 5, np.inf, 1e-3) == df.theory.l1_gap_bound_sharp(
        2.0, 5, np.inf, 1e-3
    )
    assert depth_runs.s3_bound(2.0, 5, 1, 1e-3) == np.inf


def test_relative_error():
    error = depth_runs.relative_error(np.array([3.0, 1.0]), np.array([3.0, 0.0]))
    assert error == pytest.approx(1 / 3)


def test_polyline():
    t = np.geomspace(1e-3, 1e2, 400)
    y = np.tanh(np.log(t)) / 3
    few_t, few_y = depth_runs.polyline(t, y, 1e-3)
    assert len(few_t) < 40
    assert np.max(np.abs(np.interp(np.log(t), np.log(few_t), few_y) - y)) < 1.01e-3
    assert few_t[[0, -1]] == pytest.approx(t[[0, -1]], rel=1e-5)
    assert [len(v) for v in depth_runs.polyline(t, 0 * y, 1e-3)] == [2, 2]

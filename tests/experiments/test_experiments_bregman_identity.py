"""The experiment of the notebook 02_bregman_identity."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import bregman_identity as experiment
from deepfact.experiments.instances import draw_problem
from deepfact.experiments.tables import groups, select


def test_loss_integral_of_one_unknown():
    """One positive product: the integral is the divergence from the start to y."""
    problem = df.Problem([[1.0]], [2.0])
    model = df.DeepFactorization(2, 0.1, signed=False)
    integral = experiment.loss_integral(problem, model, np.array([0.0, 1.0, 100.0]))
    expected = 0.5 * (2 * np.log(2 / 0.01) - 2 + 0.01)
    assert integral[0] == 0
    assert integral[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("signed", [True, False])
def test_feasible_vectors(signed):
    rng = np.random.default_rng(1)
    problem = draw_problem(5, 14, 2, signed, rng)
    vectors = experiment.feasible_vectors(problem, signed, rng)
    assert len(vectors) == 3
    for z in vectors.values():
        np.testing.assert_allclose(problem.A @ z, problem.y, atol=1e-9)
        assert signed or z.min() >= 0
    z = np.array(list(vectors.values()))
    assert np.linalg.matrix_rank(z - problem.x_true, tol=1e-3) >= 2


@pytest.fixture(scope="module")
def table():
    return experiment.measure_identity(5, 12, 2, 1e-3, [2, 2.5, np.inf], 1, seed=3, n_times=20)


@pytest.fixture(scope="module")
def shown():
    return experiment.measure_shown(5, 12, 2, 1e-2, 2, seed=3, n_times=20)


def test_identity_holds(table):
    runs = groups(table, "run")
    assert [run["depth"][0] for _, run in runs] == 2 * [2, 2.5, np.inf]
    assert [run["signed"][0] for _, run in runs] == 3 * [True] + 3 * [False]
    vectors = [len(np.unique(run["vector"])) for _, run in runs]
    assert vectors == [4, 4, 4, 4, 4, 3]
    assert len(table["time"]) == 21 * sum(vectors)
    assert table["deviation"].max() < 1e-7
    np.testing.assert_array_equal(
        table["divergence"][table["step"] == 0], table["start"][table["step"] == 0]
    )


def failures(claims):
    return [not claim.check("x").holds for claim in claims]


def test_checks(table):
    claims = experiment.checks(table)
    assert failures(claims) == 5 * [False]
    assert [len(claim.margins) for claim in claims] == 5 * [6]
    assert {claim.statement for claim in claims} == {"S1"}
    assert all(claim.rival and np.min(claim.rival_margins) < 0 for claim in claims)


def test_each_check_fails_on_its_own_number(table):
    """A wrong constant would be seen: the integral of tied factors is twice as large."""
    spike = np.where((table["run"] == 2) & (table["step"] == 9), 1.0, 0.0)
    end, limit = table["step"] == 20, table["vector"] == "limit"
    wrong = {
        "deviation": ({"deviation": table["deviation"] + spike}, 0),
        "divergence": ({"divergence": table["divergence"] + 2 * table["start"] * spike}, 1),
        "integral of others": ({"integral": table["integral"] * (1 + 9 * (end & ~limit))}, 2),
        "integral of the limit": ({"integral": table["integral"] * (1 + (end & limit))}, 3),
        "loss": ({"loss": table["loss"] * 1e9}, 4),
    }
    for name, (change, place) in wrong.items():
        assert failures(experiment.checks(table | change)) == [k == place for k in range(5)], name


def test_checks_print_the_tolerances_that_they_use(table):
    claims = experiment.checks(table, tolerance=1e-5, rounding=2e-11)
    assert "1e-5 minus the largest" in claims[0].claim
    assert "margin: 2e-11 plus" in claims[1].claim


def test_figure_draws_its_data(shown, table):
    data = experiment.figure_data(shown, table)
    assert set(data["panel"]) == {"divergence", "start - integral", "loss", "deviation"}
    worst = select(data, panel="deviation", depth=2.5)["value"]
    own = select(table, depth=2.5)
    assert worst[-1] == select(own, step=20)["deviation"].max()
    bound = select(data, panel="loss", series="bound", depth=np.inf)
    own = select(table, run=2, vector="limit", step=20)
    assert bound["value"][-1] == own["start"][0] / (2 * own["time"][0])
    figure = experiment.figure(shown, table)
    try:
        left, middle, right = figure.axes
        assert [len(axis.lines) for axis in (left, middle, right)] == [9, 4, 3]
        np.testing.assert_array_equal(middle.lines[3].get_ydata()[-1], bound["value"][-1])
    finally:
        plt.close(figure)


def test_description_has_a_line_for_each_depth(table):
    lines = experiment.describe(table).splitlines()
    assert [line.split(":")[0].split()[-1] for line in lines] == ["2", "2.5", "inf"]
    assert all("2 trajectories" in line for line in lines)


def test_seeds():
    one, same, other = (
        experiment.measure_identity(4, 9, 1, 1e-2, [2], trials=1, seed=seed, n_times=4)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one["divergence"], same["divergence"])
    assert not np.array_equal(one["divergence"], other["divergence"])

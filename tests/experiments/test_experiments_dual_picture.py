"""The experiment of the notebook 03_dual_picture."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import dual_curves
from deepfact.experiments import dual_picture as experiment
from deepfact.experiments.tables import select


@pytest.fixture(scope="module")
def trajectories():
    return experiment.measure_trajectories(5, 9, 2, 1e-2, [1, 2, 2.5], trials=1, seed=0, n_times=12)


@pytest.fixture(scope="module")
def path():
    return experiment.measure_barrier(5, 9, 2, [1.0, 0.1, 0.01], trials=2, seed=0)


@pytest.fixture(scope="module")
def curves(path):
    return experiment.measure_curves(5, 9, 2, 1e-2, [1, 3], path, seed=0)


def test_trajectories(trajectories):
    np.testing.assert_array_equal(trajectories["depth"], [1, 2, 2.5, 1, 2, 2.5])
    np.testing.assert_array_equal(np.isnan(trajectories["factors"]), trajectories["depth"] != 2)
    for name in ("distance", "factors", "projection"):
        assert np.nanmax(trajectories[name]) < 1e-7
    assert trajectories["bound"].min() > 0


def test_barrier(path):
    np.testing.assert_array_equal(path["products"], 6 * [18] + 6 * [9])
    np.testing.assert_array_equal(path["signed"], 6 * [True] + 6 * [False])
    assert path["deviation"].max() < 1e-9
    assert path["identity"].max() < 1e-9
    assert path["gap"].max() < 1
    assert min(path["above"].min(), path["below"].min()) > 0


def test_each_check_fails_on_its_own_number(trajectories, path):
    claims = experiment.checks(trajectories, path)
    assert [c.statement for c in claims] == ["D1", "D2", "D1", "D3", "D3", "D4", "D4", "D4"]
    assert all(claim.rival and np.min(claim.rival_margins) < 0 for claim in claims)
    assert all(claim.check("03_dual_picture").holds for claim in claims)
    assert claims[1].check("03_dual_picture").instances == 2
    assert len({claim.claim for claim in claims}) == len(claims)
    wrong = {"distance": 0, "factors": 1, "projection": 2, "bound": 3}
    wrong |= {"above": 4, "below": 4, "deviation": 5, "identity": 6, "gap": 7}
    for name, place in wrong.items():
        table = trajectories if name in trajectories else path
        bad = table | {name: np.where(table[name] == table[name][1], -2.0, table[name])}
        bad[name] *= 1 if name in ("bound", "above", "below") else -1
        changed = (bad, path) if name in trajectories else (trajectories, bad)
        failed = [not claim.check("x").holds for claim in experiment.checks(*changed)]
        assert failed == [k == place for k in range(len(claims))], name


def test_checks_print_the_tolerance_that_they_use(trajectories, path):
    for claim in experiment.checks(trajectories, path, tolerance=1e-7):
        assert "1e-6" not in claim.claim
    assert "margin: 1e-7 minus" in experiment.checks(trajectories, path, tolerance=1e-7)[0].claim


def test_description_has_a_line_for_each_depth(trajectories):
    _, *lines = experiment.describe(trajectories).splitlines()
    assert [float(line.split()[0]) for line in lines] == [1, 2, 2.5]
    assert [line.split()[2] == "-" for line in lines] == [True, False, True]


def test_curves_are_what_their_names_say(curves, path):
    distance = select(curves, panel="b", depth=3)
    assert distance["y"][-1] < 1e-7 < 0.5 < distance["y"][0]
    assert select(curves, series="lower bound / Q")["y"].max() <= 1 + 1e-12
    gap = select(curves, series="gap / (N' mu), median")
    np.testing.assert_array_equal(gap["x"], [1.0, 0.1, 0.01])
    assert gap["y"][1] == np.median(select(path, signed=True, mu=0.1)["gap"])
    best = df.basis_pursuit(df.gaussian_problem(5, 9, 2, seed=0))
    np.testing.assert_allclose(gap["barrier"], 18 * gap["x"] / best.value)
    eta = select(curves, panel="a", series="central path")
    plane = dual_curves.plane_problem()
    b = plane.dense().T @ np.array([eta["x"], eta["y"]])
    assert np.abs(b).max() < 1
    assert np.abs(b[:, -1]).max() > 1 - 1e-4


def test_figure_draws_the_curves(curves):
    figure = experiment.figure(curves)
    try:
        a, b, c, d = figure.axes
        assert [len(axis.lines) for axis in (a, b, c, d)] == [5, 2, 3, 3]
        assert "$L = 3$" in c.get_title()
        np.testing.assert_array_equal(
            d.lines[0].get_ydata(), select(curves, series="above, median")["y"]
        )
    finally:
        plt.close(figure)


def test_dual_polygon_of_the_square():
    corners = dual_curves.dual_polygon(np.array([[1.0, 0.0, 0.1], [0.0, 1.0, 0.1]]))
    np.testing.assert_allclose(corners, [[-1, -1], [1, -1], [1, 1], [-1, 1]], atol=1e-12)

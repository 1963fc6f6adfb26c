"""The loops of the notebooks 00_tour and 12_depth_side_by_side."""

import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import side_by_side as experiment


def test_follow_depths():
    problem = df.gaussian_problem(8, 16, 1, seed=0)
    runs = experiment.follow_depths(problem, [1, 2, 3], 1e-4, n_times=15)
    assert list(runs) == [1, 2, 3]
    for run in runs.values():
        assert run["path"].x.shape == (16, 16)
        assert run["distance"][-1] < 1e-7
        assert np.all(np.diff(run["divergence"]) <= 1e-12 * run["divergence"][0])
    errors = [experiment.relative_error(runs[L]["limit"].x, problem.x_true) for L in (1, 2, 3)]
    assert errors[0] > 0.1 > errors[1] > errors[2]


def test_certify_depths():
    table = experiment.certify_depths(6, 14, 1, [1e-2, 1e-4], [1, 2, 3, np.inf], trials=2, seed=0)
    assert table["certified"].shape == (2, 4, 2)
    assert table["residual"].max() < 1e-10
    assert table["least_squares"].max() < 1e-12
    np.testing.assert_allclose(table["above"] + table["below"], table["certified"], atol=1e-8)
    assert np.isinf(table["bound"][:, 0]).all()
    assert np.all(table["above"][:, 1:] < table["bound"][:, 1:])
    # A smaller start is better, except where there is none.
    np.testing.assert_allclose(table["certified"][:, 0, 0], table["certified"][:, 0, 1])
    assert np.all(table["certified"][:, 1:, 0] > table["certified"][:, 1:, 1])


def test_relative_error():
    error = experiment.relative_error(np.array([3.0, 1.0]), np.array([3.0, 0.0]))
    assert error == pytest.approx(1 / 3)


def test_count_recoveries():
    counts = experiment.count_recoveries(20, 1, [1, 15], [1, 3], 1e-9, trials=4, seed=0)
    np.testing.assert_array_equal(counts, [[0, 0], [0, 4]])


def test_polyline():
    t = np.geomspace(1e-3, 1e2, 400)
    y = np.tanh(np.log(t)) / 3
    few_t, few_y = experiment.polyline(t, y, 1e-3)
    assert len(few_t) < 40
    assert np.max(np.abs(np.interp(np.log(t), np.log(few_t), few_y) - y)) < 1.01e-3
    assert few_t[[0, -1]] == pytest.approx(t[[0, -1]], rel=1e-5)
    assert [len(v) for v in experiment.polyline(t, 0 * y, 1e-3)] == [2, 2]

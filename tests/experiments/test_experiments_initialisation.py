"""The loops of the notebook 08_initialisation."""

import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import initialisation as experiment


def test_weighted_trials():
    table = experiment.weighted_trials(10, 20, 6, 0.5, [2, 3], [-2, -8], trials=2, seed=0)
    assert table["gap"].shape == (2, 2, 2)
    assert np.all(table["gap"] > -1e-12)
    assert np.all(table["gap"] <= table["bound"])
    np.testing.assert_allclose(table["to_weighted"][:, 0], table["to_plain"][:, 0])
    assert np.all(table["to_weighted"][:, 1, 1] < 0.01)
    assert np.all(table["to_plain"][:, 1, 1] > 0.01)


def test_two_factors():
    out = experiment.two_factor_deviation(4, 8, 0.3, 1.0, 20.0, 0, 2)
    assert out["conserved"].max() < 1e-10
    assert out["formula"].max() < 1e-9
    assert out["sign_changes"].sum() > 0


def test_one_coordinate_sign_changes():
    """The time is late by what x adds to the drift: less than x_0 does, and more than nothing."""
    out = experiment.one_coordinate_sign_changes([-1, -6], 2, 0)
    assert np.all(out["earliest"] < out["time"])
    assert np.all(out["time"] < out["predicted"])


def test_no_sign_change_from_equal_factors():
    problem = df.Problem(np.ones((1, 1)), [-1.0])
    time, coordinate = experiment.first_sign_change(
        problem, np.full((2, 1), 0.1), np.linspace(0, 20, 50)
    )
    assert np.isnan(time)
    assert coordinate == -1


def test_plateau():
    sizes = {"M": 6, "N": 7, "s": 2, "alpha": 0.1, "seed": 0}
    out = experiment.plateau_sign_changes(log10_imbalances=[-4, -8], trials=2, **sizes)
    assert np.all(out["earliest"] <= out["time"] * (1 + 1e-8))
    assert np.all(out["time"] <= out["latest"] * (1 + 1e-8))
    np.testing.assert_allclose(out["slope"], out["asymptotic"], rtol=0.05)
    run = experiment.plateau_losses(log10_imbalances=[-2, -8, -np.inf], n_times=30, **sizes)
    assert run["loss"].shape == (3, 30)
    assert np.all(np.diff(run["loss"][:, -1]) > 0)  # the nearer to equal, the later it leaves


def test_the_predicted_sign_change_is_wrong_by_order_delta():
    """The deviation is of order delta, and the bound on it K T_0/c: delta times the wait T_0."""
    exponents = [-3, -4, -5, -6]  # the plateau is reached, and the drift c settled
    out = experiment.plateau_sign_changes(6, 7, 2, 0.1, exponents, 2, 0)
    deviation = np.abs(out["time"] - out["predicted"])
    bound = out["latest"] - out["predicted"]
    for size in (deviation, bound / out["predicted"]):
        slopes = np.polyfit(exponents, np.log10(size).T, 1)[0]
        np.testing.assert_allclose(slopes, 1, atol=0.1)
    assert np.all(deviation < bound)


def test_a_height_that_is_not_reached_is_reached_never():
    assert experiment._first_passage(np.arange(3.0), np.array([0.0, 1.0, 1.5]), 2.0) == np.inf
    assert experiment._first_passage(np.arange(3.0), np.array([0.0, 1.0, 3.0]), 2.0) == 1.5


def test_deep_products():
    table = experiment.deep_product_trials(6, 12, 2, [1e-1, 1e-3], 2, 0)
    assert np.all(table["excess"] >= -1e-9)
    assert np.all(table["excess"] <= table["certified"])
    np.testing.assert_allclose(table["certified"][:, 0] / table["certified"][:, 1], 100, rtol=0.3)


def test_signed_weighted_minimiser_leaves_out_infinite_weights():
    A, y = np.array([[1.0, 1.0]]), np.array([-1.0])
    x, value = experiment.signed_weighted_minimiser(A, y, np.ones(2), np.array([np.inf, 3.0]))
    np.testing.assert_allclose(x, [0.0, -1.0])
    assert value == pytest.approx(3.0)


def test_broken_identity():
    counts = experiment.broken_identity_trials(8, 14, 1, [0.0, 0.5], {2: 1e-8, 3: 1e-3}, 2, 0)
    assert counts["3 same"].tolist() == [2, 2]
    assert counts["2"].tolist() == counts["2 predicted"].tolist()
    low, high = experiment.binomial_interval(counts["2"], 2)
    assert np.all((low >= 0) & (low <= counts["2"] / 2) & (counts["2"] / 2 <= high))

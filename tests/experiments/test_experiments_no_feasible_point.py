"""The loops of the notebook on problems without a feasible nonnegative point."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.optimize import nnls

import deepfact as df
from deepfact.experiments.no_feasible_point import (
    KINDS,
    inconsistent_problem,
    inconsistent_trials,
    loss_decay,
    minimiser_set,
    no_feasible_point_figure,
    nonnegative_least_squares,
    optimality_error,
    vertices,
)

ARGUMENTS = {
    "sizes": [(10, 16)],
    "trials": 1,
    "depths": [2, 3],
    "log10_scales": [-2, -5],
    "eps": [1.0],
    "seed": 0,
}


@pytest.fixture(scope="module")
def runs():
    return inconsistent_trials(**ARGUMENTS)


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


def test_limits_are_projections_onto_the_minimisers(runs):
    assert runs.told.all()
    assert runs.image_error.max() < 1e-9
    assert runs.optimality.max() < 1e-9
    many = runs.width > 1e-6
    assert many.sum() >= 1
    assert runs.pythagoras[many].max() < 1e-9
    assert np.all(runs.gap <= runs.bound)
    assert np.nanmax(runs.gap_at_eps / runs.Q[:, None, None]) < 1


def test_same_seed_same_numbers(runs):
    again = inconsistent_trials(**ARGUMENTS)
    assert np.array_equal(again.gap, runs.gap)
    assert np.array_equal(again.gap_at_eps, runs.gap_at_eps, equal_nan=True)


def test_loss_stays_below_its_bound_and_its_excess_is_the_plain_difference(runs):
    decay = loss_decay("outside the cone", 8, 12, 3, -2, seed=5, points=30)
    assert decay.margin() > 0
    assert decay.x[-1] == pytest.approx(decay.limit, abs=1e-4)
    problem, nearest = inconsistent_problem("outside the cone", 8, 12, seed=5)
    loss = 0.5 * np.sum((decay.x @ problem.A.T - problem.y) ** 2, axis=1)
    least = 0.5 * np.sum((problem.A @ nearest - problem.y) ** 2)
    assert decay.excess == pytest.approx(loss - least, abs=1e-12)
    figure = no_feasible_point_figure([decay], runs)
    try:
        assert len(figure.axes) == 3
    finally:
        plt.close(figure)

"""The loops of the notebook on which minimiser the flow selects."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments.which_minimiser import (
    face_trials,
    integer_problem,
    maximise_on_face,
    mean_column_position,
    mean_column_problem,
    minimal_face,
    segment_positions,
    singleton_problem,
    singleton_trials,
    which_minimiser_figure,
)
from deepfact.rates import selection_criterion

DEPTHS = [2, 3, np.inf]


@pytest.mark.parametrize("depth", [2, 2.5, 4, np.inf])
def test_segment_maximiser_is_the_power_mean(depth):
    problem = mean_column_problem(0.3)
    face = minimal_face(problem, signed=False)
    assert face.dimension == 1
    assert face.support.tolist() == [0, 1, 2]
    t = 0.3 * mean_column_position(0.3, depth)
    best = np.array([1 - t, 0.3 - t, 2 * t])
    assert maximise_on_face(face, depth) == pytest.approx(best, rel=1e-12)
    nearby = [best + step * np.array([-1, -1, 2]) for step in (-1e-4, 1e-4)]
    assert all(
        selection_criterion(best, depth) > selection_criterion(other, depth) for other in nearby
    )


def test_segment_ends_are_geometric_and_harmonic_means():
    t = 0.2 * mean_column_position(0.2, 2)
    assert (2 * t) ** 2 == pytest.approx((1 - t) * (0.2 - t))
    t = 0.2 * mean_column_position(0.2, np.inf)
    assert 2 / (2 * t) == pytest.approx(1 / (1 - t) + 1 / (0.2 - t))


def test_limits_lie_where_predicted_on_the_segment():
    columns = segment_positions([0.4], DEPTHS)
    assert columns["positive"] == pytest.approx(columns["predicted"], abs=1e-8)
    assert columns["signed"] == pytest.approx(columns["predicted"], abs=1e-8)


@pytest.mark.parametrize("signed", [False, True])
def test_face_holds_minimisers_only(signed):
    problem, face = integer_problem(4, 10, 2, signed, seed=1)
    best = df.basis_pursuit(problem, nonnegative=not signed)
    assert face.dimension >= 1
    assert problem.A @ face.directions == pytest.approx(0, abs=1e-12)
    for depth in DEPTHS:
        z = maximise_on_face(face, depth)
        assert problem.A @ z == pytest.approx(problem.y, abs=1e-9)
        assert np.sum(np.abs(z)) == pytest.approx(best.value, rel=1e-8)
        assert np.all(z[face.support] * np.sign(face.point[face.support]) > 0)


def test_a_unique_minimiser_is_a_face_of_dimension_0():
    problem = df.gaussian_problem(M=10, N=20, s=1, seed=0)
    face = minimal_face(problem, signed=True)
    assert face.dimension == 0
    assert face.point == pytest.approx(problem.x_true, abs=1e-9)


def test_infeasible_problems_have_no_face():
    with pytest.raises(ValueError, match="feasible"):
        minimal_face(df.Problem(np.ones((1, 2)), [-1.0]), signed=False)


@pytest.fixture(scope="module")
def faces():
    return face_trials([(4, 10, 2)], 1, DEPTHS, [-4, -12], [-100, -400], seed=0)


@pytest.fixture(scope="module")
def singles():
    return singleton_trials([(16, 22, 2), (8, 22, 4)], 1, [2, 3], [0.1, 10.0], seed=0)


def test_limits_approach_the_prediction(faces):
    assert faces.converged.all()
    assert faces.error.shape == (2, 3, 2)
    assert faces.error[:, :, 1].max() < 1e-6


def test_same_seed_same_numbers(faces):
    again = face_trials([(4, 10, 2)], 1, DEPTHS, [-4, -12], [-100, -400], seed=0)
    assert np.array_equal(again.error, faces.error)


def test_single_points_are_found_from_every_init_scale(singles):
    assert singles.singleton.tolist() == [True, False, True, False]
    assert singles.error[singles.singleton].max() < 1e-8
    assert singles.error[~singles.singleton].max() > 1e-2


def test_certificate_of_a_single_point():
    problem, slack = singleton_problem("row of ones", 16, 22, 2, seed=3)
    assert slack > 0
    assert np.all(problem.x_true >= 0)
    with pytest.raises(ValueError, match="kind"):
        singleton_problem("other", 4, 8, 1, seed=0)


def test_figure_has_three_panels(faces, singles):
    figure = which_minimiser_figure(segment_positions([0.5], DEPTHS), faces, singles)
    try:
        assert len(figure.axes) == 3
    finally:
        plt.close(figure)

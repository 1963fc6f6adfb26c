"""The loops of the notebook 03_bregman_identity."""

import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import bregman_identity as experiment


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
    problem = experiment.draw_problem(5, 14, 2, signed, rng)
    vectors = experiment.feasible_vectors(problem, signed, rng)
    assert len(vectors) == 3
    for z in vectors.values():
        np.testing.assert_allclose(problem.A @ z, problem.y, atol=1e-9)
        assert signed or z.min() >= 0
    z = np.array(list(vectors.values()))
    assert np.linalg.matrix_rank(z - problem.x_true, tol=1e-3) >= 2


@pytest.fixture(scope="module")
def runs():
    return experiment.run_many(5, 12, 2, 1e-3, [2, 2.5, np.inf], trials=1, seed=3, n_times=20)


def test_identity_holds(runs):
    assert [run.model.depth for run in runs] == 2 * [2, 2.5, np.inf]
    assert [run.model.signed for run in runs] == 3 * [True] + 3 * [False]
    for run in runs:
        assert run.names[-1] == "limit"
        assert run.divergence.shape == run.deviation.shape == (len(run.names), 21)
        assert run.deviation.max() < 1e-7
        assert run.limit_excess < 1e-7
        assert run.smallest_decrease > -1e-13
        assert 0 < run.integral_margin < 1
        assert 0 < run.loss_margin <= 1


def test_the_identity_is_tested(runs):
    """A wrong constant would be seen."""
    run = runs[0]
    tied = experiment.IdentityRun(
        run.model, run.names, run.times, run.divergence, 2 * run.integral, run.loss
    )
    assert tied.deviation.max() > 0.1
    assert tied.integral_margin < run.integral_margin


def test_seeds():
    one, same, other = (
        experiment.run_many(4, 9, 1, 1e-2, [2], trials=1, seed=seed, n_times=4)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one[0].divergence, same[0].divergence)
    assert not np.array_equal(one[0].divergence, other[0].divergence)

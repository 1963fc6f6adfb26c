"""Noise along a column, which comes near to the computed bound of S5."""

import numpy as np
import pytest

from deepfact.experiments import hard_noise as experiment
from deepfact.experiments.noise_bound import fixed_signal_bound, least_l1_norm


@pytest.fixture(scope="module")
def hard():
    return experiment.measure_hard_noise(6, [0.01, 0.3], 1.0, [2, 3], 1e-15)


def test_the_noise_is_its_own_cheapest_explanation():
    problem, e = experiment.hard_noise_problem(5, 0.3, 0.7)
    assert np.linalg.norm(problem.A, axis=0) == pytest.approx(1.0)
    assert least_l1_norm(problem.A, e) == pytest.approx(0.7)
    assert fixed_signal_bound(problem.A, problem.x_true, 1).rho == pytest.approx(0.3)


def test_three_factors_reach_the_share_that_theory_expects(hard):
    deep = hard["depth"] == 3
    share = hard["error"][deep] / hard["bound"][deep]
    np.testing.assert_allclose(share, hard["share"][deep], rtol=1e-3)
    assert np.all(hard["error"] <= hard["bound"])


def test_claim_and_its_rival(hard):
    (claim,) = experiment.checks(hard)
    assert claim.check("x").holds
    (above,) = experiment.checks({**hard, "error": 1.01 * hard["bound"]})
    assert not above.check("x").holds
    (small,) = experiment.checks({**hard, "error": 0.4 * hard["bound"]})
    assert small.check("x").rival_margin > 0


def test_description(hard):
    assert len(experiment.describe_hard_noise(hard).splitlines()) == 1 + 2

"""The columns (1, ..., 1, 1 + delta) against S2 and S3, in both models."""

import numpy as np
import pytest

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments import constructed_gaps as experiment
from deepfact.experiments.hard_columns import hard_problem
from deepfact.limit import flow_limit


@pytest.fixture(scope="module")
def constructed():
    return experiment.measure_constructed(20, [2, 3], [4], [0.01, 2.7])


def test_rows(constructed):
    assert constructed["gap"].shape == (8,)
    np.testing.assert_array_equal(constructed["signed"], [False] * 4 + [True] * 4)
    np.testing.assert_array_equal(constructed["Q"], 2 * [0.01, 0.01, 2.7, 2.7])
    for name in ("guarantee", "bound"):
        assert np.all(constructed["gap"] < constructed[name])


def test_gap_and_bound_scale_with_the_problem_and_the_guarantee_does_not(constructed):
    small, large = constructed["Q"] == 0.01, constructed["Q"] == 2.7
    for name in ("gap", "bound"):
        np.testing.assert_allclose(constructed[name][small], constructed[name][large], rtol=1e-6)
    assert np.all(constructed["guarantee"][small] > 2 * constructed["guarantee"][large])


def test_the_gap_is_that_of_the_limit(constructed):
    k = 5  # signed, L = 3, Q = 0.01
    assert constructed["depth"][k] == 3
    Q = constructed["Q"][k]
    model = DeepFactorization(3, log_alpha=(np.log(Q) - 4 * np.log(10)) / 3)
    limit = flow_limit(hard_problem(20, constructed["delta"][k], Q), model)
    assert (limit.l1_norm - Q) / Q == pytest.approx(constructed["gap"][k], rel=1e-6)


def test_without_products_the_guarantee_is_that_of_no_unknowns():
    # N' -> 0 in the formula of S2, at an alpha for which eps is known
    log_alpha = -0.5 - 3.0**2 / (2 * 0.4)
    assert experiment._without_products(3.0, 2, log_alpha) == pytest.approx(0.4 / 3.0)
    log_alpha = float(np.log(2 * 0.4 / (4 * (3.0 + 0.4)))) / 2
    assert experiment._without_products(3.0, 4, log_alpha) == pytest.approx(0.4 / 3.0)
    assert experiment._without_products(3.0, 4, 0.0) == np.inf
    assert theory.guaranteed_gap(3.0, 1, 4, log_alpha) > 0.4


def test_claims_hold_and_their_rivals_do_not(constructed):
    for claim in experiment.checks(constructed):
        assert claim.check("x").holds
    changed = constructed | {"gap": constructed["gap"] * 2.8}
    _, bound = experiment.checks(changed)
    assert not bound.check("x").holds


def test_description_has_a_line_for_each_model_and_depth(constructed):
    assert len(experiment.describe_constructed(constructed).splitlines()) == 2 + 4

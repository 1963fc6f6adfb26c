"""The flow on its way to the only nonnegative solution: statement S6."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from deepfact.experiments import singleton_flow as experiment
from deepfact.experiments.singletons import singleton_problem
from deepfact.experiments.tables import select
from deepfact.problem import Problem


@pytest.fixture(scope="module")
def approach():
    return experiment.measure_approach([(14, 20, 2)], [2, 3, np.inf], [0.1, 10.0], seed=0)


@pytest.mark.parametrize("depth", [2, 2.5, 4, np.inf])
def test_constant_of_a_single_coordinate(depth):
    # A = 1, y = 0: x' = -L x^(1 + theta) x, so x^-(1 + theta) grows like L (1 + theta) t.
    power = 2 - 2 / depth
    speed = 1.0 if np.isinf(depth) else depth
    problem = Problem(np.eye(2), [3.0, 0.0], [3.0, 0.0])
    expected = (speed * power) ** (-1 / power)
    assert experiment.late_constant(problem, depth) == pytest.approx(expected)
    solved = solve_ivp(  # log x against log t
        lambda s, v: -speed * np.exp(s + power * v),
        (-5.0, 20.0),
        [np.log(0.1)],
        method="Radau",
        rtol=1e-8,
    )
    assert solved.y[0, -1] == pytest.approx(np.log(expected) - 20.0 / power, abs=1e-4)


@pytest.mark.parametrize("depth", [2, 3, np.inf])
def test_the_late_direction_solves_the_equations_of_the_flow(depth):
    problem, slack = singleton_problem("row of ones", 14, 20, 2, seed=1)
    assert slack > 0
    A, on = problem.A, problem.x_true != 0
    B = A[:, ~on] - A[:, on] @ np.linalg.pinv(A[:, on]) @ A[:, ~on]
    theta = 1 - 2 / depth
    if depth == 2:
        xi = experiment._plane_minimiser(B, 0.25)
        slope = B.T @ (B @ xi) - 0.25
        assert np.all(slope >= -1e-12)
        assert xi @ slope == pytest.approx(0, abs=1e-12)
    else:
        xi = experiment._power_minimiser(B, 0.25, theta)
        np.testing.assert_allclose(xi**theta * (B.T @ (B @ xi)), 0.25, rtol=1e-8)


def test_exponents_and_constants_are_the_predicted_ones(approach):
    assert approach["slope"].shape == (2 * 3 * 2,)
    np.testing.assert_allclose(select(approach, depth=3)["predicted"], -0.75)
    for claim in experiment.checks(approach):
        assert claim.check("x").holds


@pytest.mark.parametrize("column", ["slope", "constant"])
def test_a_wrong_or_failed_trajectory_is_a_violation(approach, column):
    for wrong in (1.2, np.nan):
        values = approach[column].copy()
        values[-1] *= wrong
        claims = experiment.checks({**approach, column: values})
        claim = claims[0 if column == "slope" else 1]
        assert not claim.check("x").worst_margin >= 0


def test_rivals_would_stand_if_they_were_right(approach):
    tied = approach["depth"] ** approach["predicted"] * approach["predicted_constant"]
    exponent, constant = experiment.checks(
        {**approach, "slope": np.full_like(approach["slope"], -1.0), "constant": tied}
    )
    assert exponent.check("x").rival_margin > 0
    assert constant.check("x").rival_margin > 0


def test_description_has_a_line_for_each_depth(approach):
    assert len(experiment.describe_approach(approach).splitlines()) == 2 + 3


def test_sizes_that_are_never_single_points_are_left_out():
    with pytest.raises(ValueError, match="rows"):
        experiment.measure_approach([(1, 5, 1)], [3], [1.0], seed=0)

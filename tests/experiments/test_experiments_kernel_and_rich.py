"""The panels of the tour on large and small starts: statement D5."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import kernel_and_rich as experiment
from deepfact.experiments import kernel_and_rich_figure as drawing
from deepfact.experiments.looks import power_of_ten
from deepfact.experiments.tables import select

SCALES = [10.0, 1.0, 0.1, 1e-8]


@pytest.fixture(scope="module")
def shapes():
    return experiment.measure_shapes(SCALES, [2, 2.5, 3, np.inf], 20)


@pytest.fixture(scope="module")
def limits():
    return experiment.measure_limits(SCALES, [2, 2.5, 3, np.inf], 0.5, 400, 0.1)


def test_shapes(shapes):
    """For two factors F(x) is known: half of x asinh(x/(2 a)) - sqrt(x^2 + 4 a^2)."""
    own = select(shapes, depth=2, init_scale=0.1)
    z, a = own["z"], 0.01
    value = z * np.arcsinh(z / (2 * a)) - np.sqrt(z**2 + 4 * a**2) + 2 * a
    np.testing.assert_allclose(own["scaled"], value / value[-1], rtol=1e-12)
    large, small = (select(shapes, depth=3, init_scale=alpha) for alpha in (10.0, 1e-8))
    np.testing.assert_allclose(large["scaled"], large["z"] ** 2, rtol=1e-5)
    np.testing.assert_allclose(small["scaled"], small["z"], rtol=1e-6)


def test_limits_move_from_the_least_l2_to_the_least_l1_norm(limits):
    for depth in (2, 2.5, 3, np.inf):
        own = select(limits, depth=depth, case="plane")
        np.testing.assert_allclose(own["first"] + 0.5 * own["second"], 1, rtol=1e-9)
        assert np.all(np.diff(own["first"]) > 0)  # alpha falls
        assert own["first"][0] == pytest.approx(0.8, abs=1e-3)
        assert own["first"][-1] == pytest.approx(1, abs=1e-7)
        assert np.all(np.diff(own["l1_gap"]) < 0)
    many = select(limits, case="many", init_scale=10.0)
    np.testing.assert_allclose(many["first"], 1 / 5, rtol=1e-4)
    assert np.max(many["distance"] / many["bound"]) > 0.88


def test_two_factors_in_the_plane_by_hand(limits):
    """x_1 - 2 x_2 fixes nothing else: w_2 = w_1/2, so x_1 = 2 a sinh(2 w), x_2 = 2 a sinh(w)."""
    own = select(limits, depth=2, case="plane", init_scale=1.0)
    w = np.arcsinh(own["second"][0] / 2)
    assert 2 * np.sinh(2 * w) == pytest.approx(own["first"][0], rel=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 1e-8])
def test_ball(alpha):
    """A circle for large starts, almost the edge of the l1 ball for small ones."""
    model = df.DeepFactorization(2, alpha)
    point = np.array([0.3, 0.4]) * 1e-3
    curve = experiment.ball(model, point, np.linspace(0, np.pi / 2, 31))
    divergence = np.sum(model.divergence(curve, np.zeros_like(curve)), axis=1)
    level = df.bregman_divergence(model, point, np.zeros(2))
    np.testing.assert_allclose(divergence, level, rtol=1e-9)
    if alpha == 1:
        np.testing.assert_allclose(np.linalg.norm(curve, axis=1), 0.5e-3, rtol=1e-6)
    else:
        assert np.all(np.abs(curve.sum(axis=1) / 0.7e-3 - 1) < 0.05)


def failures(claims):
    return [not claim.check("x").holds for claim in claims]


def test_each_check_fails_on_its_own_number(shapes, limits):
    claims = experiment.checks(shapes, limits)
    assert failures(claims) == [False, False]
    assert [claim.margins.size for claim in claims] == [16, 32]
    assert all(np.min(claim.rival_margins) < 0 for claim in claims)
    above = shapes | {"scaled": shapes["scaled"] * np.where(shapes["z"] < 1, 2.0, 1.0)}
    below = shapes | {"scaled": shapes["scaled"] * np.where(shapes["z"] < 1, 0.5, 1.0)}
    for bad in (above, below):
        assert failures(experiment.checks(bad, limits)) == [True, False]
    bad = limits | {"bound": limits["bound"] / 2}
    assert failures(experiment.checks(shapes, bad)) == [False, True]


def test_the_rival_of_the_shape_needs_both_ends(shapes, limits):
    """Small starts alone do not refute that the divergence is above z^1.9."""
    small = select(shapes, init_scale=1e-8)
    assert failures(experiment.checks(small, limits)) == [True, False]


def test_draws_its_data(shapes, limits):
    figure, (left, right) = plt.subplots(1, 2)
    try:
        drawing.draw_shapes(left, shapes, 2)
        drawing.draw_plane(right, limits, 2)
        assert [text.get_text() for text in left.get_legend().get_texts()] == [
            "$\\alpha=10$",
            "$\\alpha=1$",
            "$\\alpha=0.1$",
            "$\\alpha=10^{-8}$",
        ]
        own = select(shapes, depth=2, init_scale=1e-8)
        np.testing.assert_array_equal(left.lines[-1].get_ydata()[1:], own["scaled"])
        ends = select(limits, depth=2, case="plane")
        np.testing.assert_array_equal(right.lines[-1].get_xdata(), ends["first"][-1:])
    finally:
        plt.close(figure)


def test_balls_pass_through_the_limits(limits):
    curves = drawing.balls(limits, 3, points=2000)
    for alpha, x, y in zip(
        *(select(limits, depth=3, case="plane")[key] for key in ("init_scale", "first", "second")),
        strict=True,
    ):
        own = select(curves, init_scale=alpha)
        assert np.min(np.hypot(own["first"] - x, own["second"] - y)) < 2e-3
        # The line of solutions only touches it.
        assert np.all(own["first"] + 0.5 * own["second"] < 1 + 1e-9)


def test_power_of_ten():
    values = [power_of_ten(value) for value in (1.0, 0.3, 0.1, 1e-2, 1e-20, 3e-4)]
    assert values == ["1", "0.3", "0.1", "10^{-2}", "10^{-20}", "0.0003"]

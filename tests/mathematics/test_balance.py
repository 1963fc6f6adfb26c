"""What flows conserve and steps do not: one-step laws and integrators."""

import numpy as np
import pytest

from deepfact.dynamics.factor_flow import leave_one_out_products
from deepfact.dynamics.one_step import euler_step, heun_step, midpoint_step, runge_kutta_step
from deepfact.theory.balance import imbalance_factors, imbalances, layer_balance_gain


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_one_step_law_of_factors(depth, decay):
    rng = np.random.default_rng(depth)
    u, g = rng.standard_normal((depth, 4)), rng.standard_normal(4)
    others = leave_one_out_products(u[None])[0]
    after = (1 - 0.3 * decay) * u - 0.3 * g * others
    predicted = imbalances(u) * imbalance_factors(u, g, 0.3, decay)
    np.testing.assert_allclose(imbalances(after), predicted, atol=1e-12)


def test_one_step_law_of_layers():
    rng = np.random.default_rng(1)
    inner, outer, G = (rng.standard_normal(shape) for shape in ((3, 5), (2, 3), (2, 5)))
    gain = layer_balance_gain(inner, outer, G, 0.2)
    new_inner, new_outer = inner - 0.2 * outer.T @ G, outer - 0.2 * G @ inner.T
    before = inner @ inner.T - outer.T @ outer
    np.testing.assert_allclose(new_inner @ new_inner.T - new_outer.T @ new_outer - before, gain)


@pytest.mark.parametrize(
    ("step", "order"), [(euler_step, 1), (heun_step, 2), (runge_kutta_step, 4), (midpoint_step, 2)]
)
def test_orders_of_the_integrators(step, order):
    """A pendulum, against its own steps of half the size."""

    def field(z):
        return np.array([z[1], -np.sin(z[0])])

    def end(count):
        z = np.array([1.0, 0.3])
        for _ in range(count):
            z = step(field, z, 1 / count)
        return z

    ends = [end(count) for count in (40, 80, 160)]
    ratio = np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(ends[1] - ends[2])
    assert np.log2(ratio) == pytest.approx(order, abs=0.1)


def test_midpoint_conserves_quadratic_forms():
    def field(z):
        return (z[0] * z[1] - 2) * np.array([-z[1], -z[0]])

    z = np.array([1.0, 0.5])
    for _ in range(100):
        z = midpoint_step(field, z, 0.1)
    assert z[0] * z[1] == pytest.approx(2)
    assert z[0] ** 2 - z[1] ** 2 == pytest.approx(0.75, abs=1e-13)


def test_bad_input_is_refused():
    for call in (
        lambda: imbalance_factors(np.ones((1, 2)), np.ones(2), 0.1),
        lambda: imbalance_factors(np.ones((2, 3)), np.ones(2), 0.1),
        lambda: imbalance_factors(np.ones((2, 2)), np.ones(2), 0.0),
        lambda: layer_balance_gain(np.ones((2, 3)), np.ones((1, 2)), np.ones((1, 2)), 0.1),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
    with pytest.raises(ArithmeticError, match="does not settle"):
        midpoint_step(lambda z: -10 * z, np.ones(1), 1.0)

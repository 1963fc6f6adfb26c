"""Two-layer ReLU nets as a convex program, and their training."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from deepfact import lifting


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-1, 1, 7))
    return np.column_stack([x, np.ones(7)]), rng.standard_normal(7)


def test_patterns_are_those_of_all_directions(data):
    X, _ = data
    arcs, patterns = lifting.planar_patterns(X)
    assert len(patterns) == 14
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    seen = np.column_stack([np.cos(angles), np.sin(angles)]) @ X.T > 0
    assert {tuple(row) for row in seen} == {tuple(row > 0) for row in patterns}
    assert np.sum(arcs[:, 1] - arcs[:, 0]) == pytest.approx(2 * np.pi)
    with pytest.raises(ValueError, match="parallel"):
        lifting.planar_patterns(np.array([[1.0, 2.0], [2.0, 4.0]]))
    with pytest.raises(ValueError, match="2 columns"):
        lifting.planar_patterns(np.ones((3, 3)))


def test_largest_activation_against_a_fine_grid(data):
    X, _ = data
    rng = np.random.default_rng(1)
    angles = np.linspace(0, 2 * np.pi, 100_001)
    active = np.maximum(np.column_stack([np.cos(angles), np.sin(angles)]) @ X.T, 0)
    for _ in range(20):
        nu = rng.standard_normal(7)
        on_grid = np.max(np.abs(active @ nu))
        exact = lifting.largest_activation(X, nu)
        # Between two angles of the grid the sum moves by its Lipschitz constant at most.
        room = np.abs(nu) @ np.linalg.norm(X, axis=1) * np.pi / 100_000
        assert on_grid * (1 - 1e-14) <= exact <= on_grid + room


def test_optimum_has_a_certificate_that_no_net_beats(data):
    X, y = data
    best = lifting.convex_net(X, y, 0.05)
    assert 0 <= best.value - best.lower_bound < 1e-6 * best.value
    assert 1 <= best.width <= 28
    value = lifting.net_value(X, y, 0.05, best.hidden, best.output)
    assert value == pytest.approx(best.value)
    np.testing.assert_allclose(np.linalg.norm(best.hidden, axis=1), np.abs(best.output))
    assert lifting.gated_value(X, y, 0.05) < best.value
    rng = np.random.default_rng(2)
    for _ in range(100):
        hidden, output = rng.standard_normal((9, 2)), rng.standard_normal(9)
        assert lifting.net_value(X, y, 0.05, hidden, output) > best.lower_bound


def test_a_large_penalty_leaves_nothing(data):
    X, y = data
    best = lifting.convex_net(X, y, 1.1 * lifting.largest_activation(X, y))
    assert best.lower_bound == pytest.approx(y @ y / 2, rel=1e-6)


def test_one_step_of_training_is_down_the_gradient(data):
    X, y = data
    rng = np.random.default_rng(3)
    hidden, output = rng.standard_normal((1, 4, 2)), rng.standard_normal((1, 4))

    def value(flat):
        return lifting.net_value(X, y, 0.1, flat[:8].reshape(4, 2), flat[8:])

    start = np.concatenate([hidden.ravel(), output.ravel()])
    moved = lifting.train_nets(X, y, 0.1, hidden, output, 1, 1e-3)
    step = np.concatenate([part.ravel() for part in moved]) - start
    np.testing.assert_allclose(step, -1e-3 * approx_fprime(start, value), atol=1e-8)


def test_training_a_wide_net_reaches_the_optimum(data):
    X, y = data
    rng = np.random.default_rng(4)
    hidden = rng.standard_normal((2, 100, 2)) / 10
    output = rng.choice([-1, 1], (2, 100)) * np.linalg.norm(hidden, axis=2)
    nets = lifting.train_nets(X, y, 0.1, hidden, output, 3000, 0.01)
    best = lifting.convex_net(X, y, 0.1)
    for u, a in zip(*nets, strict=True):
        value = lifting.net_value(X, y, 0.1, u, a)
        assert best.lower_bound <= value < 1.01 * best.value

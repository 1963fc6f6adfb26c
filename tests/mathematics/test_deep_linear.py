"""The end-to-end motion of deep linear nets: velocity, curl, limit and conditioning."""

import numpy as np
import pytest

from deepfact.theory.deep_linear import (
    balanced_limit,
    condition_with_depth,
    end_to_end_curl,
    end_to_end_dual,
    end_to_end_velocity,
)

DEPTHS = [1, 2, 3, 5]


def random_loss(seed, d=4):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((6, d)), rng.standard_normal(6)
    return X, y, rng.standard_normal(d)


@pytest.mark.parametrize("depth", DEPTHS)
def test_velocity_is_that_of_the_layers(depth):
    """Balanced layers of width 3 with random rotations between them, by the product rule."""
    rng = np.random.default_rng(depth)
    w, g = rng.standard_normal(5), rng.standard_normal(5)
    root = np.linalg.norm(w) ** (1 / depth)
    widths = [5] + [3] * (depth - 1) + [1]
    ends = [w / np.linalg.norm(w)]
    ends += [np.linalg.qr(rng.standard_normal((k, k)))[0][0] for k in widths[1:-1]] + [np.ones(1)]
    layers = [root * np.outer(ends[k + 1], ends[k]) for k in range(depth)]

    def product(parts, size):
        whole = np.eye(size)
        for part in parts:
            whole = part @ whole
        return whole

    np.testing.assert_allclose(product(layers, 5)[0], w, atol=1e-12)
    change = np.zeros((1, 5))
    for k in range(depth):
        before, after = product(layers[:k], 5), product(layers[k + 1 :], widths[k + 1])
        change -= after @ (after.T @ g[None] @ before.T) @ before
    np.testing.assert_allclose(end_to_end_velocity(w, g, depth), change[0], atol=1e-12)


@pytest.mark.parametrize("depth", DEPTHS)
def test_curl_agrees_with_differences(depth):
    X, y, w = random_loss(depth)

    def field(w):
        return end_to_end_velocity(w, X.T @ (X @ w - y), depth)

    step = 1e-5
    jacobian = np.array(
        [(field(w + step * e) - field(w - step * e)) / (2 * step) for e in np.eye(4)]
    )
    curl = end_to_end_curl(w, X.T @ (X @ w - y), X.T @ X, depth)
    np.testing.assert_allclose(curl, jacobian - jacobian.T, atol=1e-8)
    np.testing.assert_array_equal(curl, -curl.T)
    assert (np.abs(curl).max() == 0) == (depth == 1)


@pytest.mark.parametrize("depth", DEPTHS)
def test_dual_moves_along_the_gradient(depth):
    _, g, w = random_loss(depth)
    g = g[:4]
    velocity, step = end_to_end_velocity(w, g, depth), 1e-6
    ends = [end_to_end_dual(w + s * step * velocity, depth) for s in (1, -1)]
    clock = np.linalg.norm(w) ** (1 - 1 / depth)
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), -clock * g, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("depth", [*DEPTHS, 40])
@pytest.mark.parametrize("size", [1e-200, 1e-9, 1e-2, 1.0, 1e6])
def test_balanced_limit_fulfils_its_conditions(depth, size):
    rng = np.random.default_rng(3)
    A, y, start = rng.standard_normal((3, 7)), rng.standard_normal(3), rng.standard_normal(7)
    start *= size
    limit = balanced_limit(A, y, start, depth)
    np.testing.assert_allclose(A @ limit, y, atol=1e-9 * max(1.0, np.linalg.norm(limit)))
    moved = end_to_end_dual(limit, depth) - end_to_end_dual(start, depth)
    hidden = moved - np.linalg.pinv(A) @ (A @ moved)
    assert np.linalg.norm(hidden) <= 1e-12 * (1 + np.linalg.norm(moved))


def test_balanced_limit_without_depth_is_the_nearest_point():
    rng = np.random.default_rng(4)
    A, y, start = rng.standard_normal((3, 7)), rng.standard_normal(3), rng.standard_normal(7)
    nearest = start + np.linalg.pinv(A) @ (y - A @ start)
    np.testing.assert_allclose(balanced_limit(A, y, start, 1), nearest, atol=1e-12)
    np.testing.assert_allclose(balanced_limit(A, y, A[0], 3), np.linalg.pinv(A) @ y, atol=1e-7)
    zero = balanced_limit(A, 0 * y, start, 2)
    moved = end_to_end_dual(zero, 2) - end_to_end_dual(start, 2)
    np.testing.assert_allclose(moved - np.linalg.pinv(A) @ (A @ moved), 0, atol=1e-12)


def test_condition_number_lies_between_its_bounds():
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    values = np.array([1.0, 40.0, 50.0, 70.0, 100.0])
    hessian = basis @ np.diag(values) @ basis.T
    for depth in (2, 3, 7):
        for _ in range(20):
            w = rng.standard_normal(5)
            assert 100 / depth <= condition_with_depth(hessian, w, depth) <= 100 * depth
            ratio = (np.abs(w).max() / np.abs(w).min()) ** (2 - 2 / depth)
            assert 1 / ratio <= condition_with_depth(hessian, w, depth, True) / 100 <= ratio
        lowest, highest = (condition_with_depth(hessian, basis[:, k], depth) for k in (0, -1))
        assert lowest == pytest.approx(100 / depth)
        assert highest == pytest.approx(100 * depth)
    for flag in (True, False):
        assert condition_with_depth(hessian, w, 1, flag) == pytest.approx(100)


def test_bad_input_is_refused():
    A, one = np.eye(2), np.ones(2)
    for call in (
        lambda: end_to_end_velocity(np.zeros(2), one, 2),
        lambda: end_to_end_velocity(one, np.ones(3), 2),
        lambda: end_to_end_curl(one, one, np.array([[1.0, 1.0], [0.0, 1.0]]), 2),
        lambda: end_to_end_curl(one, one, np.eye(3), 2),
        lambda: balanced_limit(A, one, np.zeros(2), 2),
        lambda: balanced_limit(A, np.ones(3), one, 2),
        lambda: condition_with_depth(A, np.zeros(2), 2),
        lambda: condition_with_depth(A, np.array([0.0, 1.0]), 2, True),
        lambda: condition_with_depth(-A, one, 2),
    ):
        with pytest.raises(ValueError, match="must"):
            call()

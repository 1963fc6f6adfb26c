"""Mirror maps as mathematics: inverses, derivatives, potentials, divergences, limits in depth."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence

DEPTHS = [2, 2.5, 3, 4, 6, 10, np.inf]


@given(
    depth=st.sampled_from([1, *DEPTHS]),
    log_alpha=st.floats(-5, 1),
    signed=st.booleans(),
    log_x=st.floats(-15, 3),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_signal_inverts_the_gradient(depth, log_alpha, signed, log_x, sign):
    model = DeepFactorization(
        depth, signed=signed, log_alpha=None if depth == 1 else np.array([log_alpha])
    )
    x = np.array([np.exp(log_x) * (sign if signed else 1.0)])
    w = model.potential_gradient(x)
    # The slack's relative rounding error is eps/slack, and x answers with the power 1/theta.
    slack = 1.0
    if depth > 2:
        slack = (1 - model.theta * np.exp(model.log_rate) * np.abs(w)).item()
    tolerance = 1e-12 + 1e-15 / max(slack, 1e-12) / max(model.theta, 0.2)
    if tolerance < 1e-3:
        np.testing.assert_allclose(model.signal(w), x, rtol=tolerance)


@pytest.mark.parametrize("depth", [1, *DEPTHS])
@pytest.mark.parametrize("signed", [True, False])
def test_derivative_and_potential_by_taylor_slopes(depth, signed):
    model = DeepFactorization(depth, None if depth == 1 else 0.3, signed)
    w = np.array([0.3, 0.6, 0.9]) / max(1.0, np.exp(model.log_rate) * max(model.theta, 0.3))
    steps = np.array([1e-2, 1e-3])
    direction = 0.5 * w
    first = [
        np.abs(model.signal(w + h * direction) - model.signal(w))
        - np.abs(h * direction * model.signal_derivative(w))
        for h in steps
    ]
    if depth > 1:  # depth 1 is linear: no second order is left
        slope = np.log10(np.abs(first[0]) / np.abs(first[1]))
        np.testing.assert_allclose(slope, 2, atol=0.2)
    x = model.signal(w)
    second = [
        np.abs(
            model.potential(x + h * x) - model.potential(x) - h * x * model.potential_gradient(x)
        )
        for h in steps
    ]
    np.testing.assert_allclose(np.log10(second[0] / second[1]), 2, atol=0.1)


@pytest.mark.parametrize("depth", DEPTHS)
def test_signed_signal_in_many_digits(depth):
    """X(w) = a (e(kw) - e(-kw)) against mpmath, from |x| far below a to far above."""
    alpha = 0.1
    model = DeepFactorization(depth, alpha)
    with mp.workdps(50):
        theta = mp.mpf(1) if np.isinf(depth) else 1 - mp.mpf(2) / mp.mpf(depth)
        alpha = mp.mpf(alpha)
        a = alpha if np.isinf(depth) else alpha ** mp.mpf(depth)
        k = alpha if np.isinf(depth) else depth * alpha ** (mp.mpf(depth) - 2)
        top = 5 if theta == 0 else 0.99 / theta
        for share in (1e-12, 1e-3, 0.3, 0.999):
            w = float(share * top / k)
            v = k * mp.mpf(w)
            if theta == 0:
                exact = a * (mp.e**v - mp.e ** (-v))
            else:
                exact = a * ((1 - theta * v) ** (-1 / theta) - (1 + theta * v) ** (-1 / theta))
            assert abs(model.signal(np.array([w]))[0] / exact - 1) < 1e-11


def test_depth_tends_to_two_and_to_infinity():
    w = np.linspace(-2, 2, 9)
    two, near = DeepFactorization(2, 0.5), DeepFactorization(2 + 1e-9, 0.5)
    np.testing.assert_allclose(near.signal(w), two.signal(w), rtol=1e-7)
    mu = 0.3
    infinite = DeepFactorization(np.inf, mu)
    large = DeepFactorization(1e7, log_alpha=np.log(mu) / 1e7)
    np.testing.assert_allclose(large.signal(w / 1e7), infinite.signal(w), rtol=1e-5)


@pytest.mark.parametrize("name", ["alpha", "log_alpha"])
def test_arrays_are_the_models_own(name):
    """What the caller does to an array later changes nothing, and the model's cannot be changed."""
    given = np.array([-1.0, -2.0]) if name == "log_alpha" else np.array([0.1, 0.2])
    first = given.copy()
    model = DeepFactorization(3, **{name: given})
    before = model.signal(np.zeros(2)).copy()
    given[:] = 1.0
    np.testing.assert_array_equal(model.signal(np.zeros(2)), before)
    np.testing.assert_array_equal(getattr(model, name), first)
    assert model == DeepFactorization(3, **{name: first})
    with pytest.raises(ValueError, match="read-only"):
        getattr(model, name)[0] = 1.0


def test_start_of_the_flow():
    for depth in DEPTHS:
        assert not DeepFactorization(depth, 0.2).signal(np.zeros(3)).any()
        a = 0.2 if np.isinf(depth) else 0.2**depth
        np.testing.assert_allclose(DeepFactorization(depth, 0.2, False).signal(np.zeros(3)), a)


@given(
    depth=st.sampled_from([1, *DEPTHS]),
    signed=st.booleans(),
    log_alpha=st.floats(-30, 1),
    data=st.lists(st.tuples(st.floats(-8, 2), st.floats(-8, 2)), min_size=1, max_size=4),
)
def test_divergence_is_nonnegative_and_additive(depth, signed, log_alpha, data):
    model = DeepFactorization(depth, signed=signed, log_alpha=None if depth == 1 else log_alpha)
    z, x = (np.exp([pair[i] for pair in data]) for i in range(2))
    if signed:
        z, x = z * np.resize([1, -1], len(z)), x * np.resize([-1, -1, 1], len(x))
    d = bregman_divergence(model, z, x)
    assert d >= 0
    assert bregman_divergence(model, x, x) == 0
    parts = sum(bregman_divergence(model, z[i : i + 1], x[i : i + 1]) for i in range(len(z)))
    assert np.isclose(d, parts, rtol=1e-12)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("signed", [True, False])
def test_divergence_in_many_digits(depth, signed):
    """D_F from the definition of F as an integral: D = int_x^z (z - t) F''(t) dt."""
    model = DeepFactorization(depth, 0.2, signed)
    with mp.workdps(30):
        for z, x in ((0.7, 0.02), (0.02, 0.7), (0.3, 0.3 + 1e-7), (1e-4, 0.5)):

            def curvature(t):
                w = model.potential_gradient(np.array([float(t)]))
                return mp.mpf(1 / float(model.signal_derivative(w)[0]))

            mid = [x + (z - x) * q for q in (0, 0.01, 0.1, 0.5, 0.9, 0.99, 1)]
            exact = mp.quad(lambda t, z=z: (z - t) * curvature(t), mid)
            value = bregman_divergence(model, [z], [x])
            assert np.isclose(value, float(exact), rtol=1e-7)


def test_divergence_to_a_vanished_coordinate():
    positive = DeepFactorization(3, 0.1, signed=False)
    assert np.isinf(bregman_divergence(positive, [1.0], [0.0]))
    assert bregman_divergence(positive, [0.0], [0.0]) == 0
    assert np.isfinite(bregman_divergence(positive, [0.0], [1.0]))
    assert np.isinf(bregman_divergence(DeepFactorization(np.inf, 0.1, False), [0.0], [1.0]))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"depth": 1.5, "alpha": 0.1}, ValueError, "depth must be 1"),
        ({"depth": 0, "alpha": 0.1}, ValueError, "depth must be 1"),
        ({"depth": -3, "alpha": 0.1}, ValueError, "depth must be 1"),
        ({"depth": np.nan, "alpha": 0.1}, ValueError, "depth must be"),
        ({"depth": "2", "alpha": 0.1}, TypeError, "depth must be"),
        ({"depth": 3}, ValueError, "exactly one of alpha and log_alpha"),
        ({"depth": 3, "alpha": 1.0, "log_alpha": 0.0}, ValueError, "exactly one"),
        ({"depth": 3, "alpha": 0.0}, ValueError, "alpha must be greater than 0"),
        ({"depth": 3, "alpha": -1.0}, ValueError, "alpha must be greater than 0"),
        ({"depth": 3, "alpha": [0.1, 0.0]}, ValueError, "alpha must be greater than 0"),
        ({"depth": 3, "alpha": [[0.1]]}, ValueError, "alpha must have 1 dimension"),
        ({"depth": 3, "alpha": np.inf}, ValueError, "alpha must be finite"),
        ({"depth": 3, "alpha": 1j}, TypeError, "alpha must be a real"),
        ({"depth": 100, "alpha": 1e-16}, ValueError, "alpha must keep"),
        ({"depth": 3, "alpha": 0.1, "signed": "yes"}, TypeError, "signed must be"),
    ],
)
def test_bad_model(arguments, error, match):
    with pytest.raises(error, match=match):
        DeepFactorization(**arguments)


@pytest.mark.parametrize(
    ("z", "x", "error", "match"),
    [
        ([1.0], [1.0, 2.0], ValueError, "z and x must have one length"),
        ([-1.0], [1.0], ValueError, "z must be nonnegative"),
        ([1.0], [-1.0], ValueError, "x must be nonnegative"),
        ([np.nan], [1.0], ValueError, "z must be finite"),
        ([1j], [1.0], TypeError, "z must hold real"),
        ([], [1.0], ValueError, "z must not be empty"),
    ],
)
def test_bad_points(z, x, error, match):
    with pytest.raises(error, match=match):
        bregman_divergence(DeepFactorization(3, 0.1, signed=False), z, x)

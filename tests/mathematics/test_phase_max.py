"""PhaseMax: duality, its cone, and the probabilities of success."""

from math import comb

import numpy as np
import pytest
from scipy.optimize import linprog

import deepfact as df
from deepfact import lifting
from deepfact.theory import anchor_cone, phase_max_ratio, phase_max_success, spanning_probability


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_spanning_probability_is_wendels():
    for m in range(1, 12):
        for d in range(1, 9):
            lost = sum(comb(m - 1, k) for k in range(d)) / 2 ** (m - 1)
            assert spanning_probability(m, d) == pytest.approx(1 - lost, abs=1e-12)


def test_spanning_probability_in_the_plane(rng):
    # m random directions span the plane unless all are within half a turn: m/2^(m-1).
    m, trials = 5, 4000
    angles = np.sort(rng.uniform(0, 2 * np.pi, (trials, m)), axis=1)
    gaps = np.diff(np.column_stack([angles, angles[:, 0] + 2 * np.pi]), axis=1)
    share = np.mean(gaps.max(axis=1) < np.pi)
    assert spanning_probability(m, 2) == pytest.approx(1 - m / 2 ** (m - 1))
    assert share == pytest.approx(spanning_probability(m, 2), abs=4 * 0.5 / np.sqrt(trials))


def test_cone_at_angle_zero_and_the_thresholds():
    cone = anchor_cone(0.0)
    assert (cone.share, cone.offset, cone.variance) == pytest.approx((0.5, 1, 0.25))
    # Computed before, with adaptive quadrature, from E[(1 + c^2) Phi(c) + c phi(c)].
    known = {15: 2.0574238, 30: 2.2548679, 45: 2.6953477, 60: 3.7190458}
    for degrees, ratio in known.items():
        assert phase_max_ratio(np.radians(degrees)) == pytest.approx(ratio, abs=1e-6)


def test_cone_against_simulation(rng):
    t, trials = np.tan(0.7), 400_000
    cone = anchor_cone(0.7)
    z, w, g = rng.standard_normal((3, trials))
    c = w - t * np.abs(g)
    tau = np.linspace(0, 1, 201)
    means = [np.mean(np.maximum(z + s * c, 0) ** 2) for s in tau]
    best = tau[np.argmin(means)]
    X = np.maximum(z + best * c, 0)
    assert min(means) == pytest.approx(cone.share, rel=0.01)
    assert np.mean(X**2 * c**2) / np.mean(c**2 * (X > 0)) == pytest.approx(cone.offset, rel=0.02)
    assert np.var(X**2) - 2 * np.mean(X**2) == pytest.approx(cone.variance, rel=0.05)


def test_predicted_success_is_near_the_exact_one():
    for m in range(30, 60):
        exact = spanning_probability(m, 19)
        assert phase_max_success(m, 20, 0.0) == pytest.approx(exact, abs=5e-3)
    assert phase_max_success(60, 20, 1.0) < phase_max_success(60, 20, 0.5)


@pytest.mark.parametrize("angle", [-0.1, np.pi / 2])
def test_angles_out_of_range(angle):
    with pytest.raises(ValueError, match="angle"):
        anchor_cone(angle)


def test_linear_program_and_its_dual(rng):
    vectors, signal, anchor = (rng.standard_normal(shape) for shape in ((14, 5), 5, 5))
    magnitudes = np.abs(vectors @ signal)
    x = lifting.maximise_phase(vectors, magnitudes, anchor)
    bounds = np.concatenate([magnitudes, magnitudes])
    other = linprog(-anchor, A_ub=np.vstack([vectors, -vectors]), b_ub=bounds, bounds=(None, None))
    assert anchor @ x == pytest.approx(-other.fun)
    best = df.basis_pursuit(lifting.phase_max_problem(vectors, magnitudes, anchor))
    assert best.lower_bound == pytest.approx(-other.fun)


def test_signal_is_found_where_the_anchor_is_in_the_cone(rng):
    vectors, signal = rng.standard_normal((30, 5)), rng.standard_normal(5)
    signs = np.sign(vectors @ signal)
    anchor = (signs[:, None] * vectors).T @ rng.uniform(0.1, 1, 30)
    assert lifting.anchor_distance(vectors, signal, anchor) < 1e-9
    assert lifting.anchor_distance(vectors, signal, -anchor) > 0.1
    magnitudes = np.abs(vectors @ signal)
    x = lifting.maximise_phase(vectors, magnitudes, anchor)
    np.testing.assert_allclose(x, signal, atol=1e-9)
    problem = lifting.phase_max_problem(vectors, magnitudes, anchor)
    limit = df.flow_limit(problem, df.DeepFactorization(4, 1e-5))
    eta = lifting.signal_from_dual(problem, limit.dual)
    np.testing.assert_allclose(eta, signal, atol=1e-6)


def test_bad_arguments(rng):
    vectors = rng.standard_normal((6, 3))
    with pytest.raises(ValueError, match="vectors must have shape"):
        lifting.phase_max_problem(vectors, np.ones(5), np.ones(3))
    with pytest.raises(ValueError, match="magnitudes must be positive"):
        lifting.phase_max_problem(vectors, np.zeros(6), np.ones(3))
    problem = lifting.phase_max_problem(vectors, np.ones(6), np.ones(3))
    with pytest.raises(ValueError, match="orthogonal"):
        lifting.signal_from_dual(problem, np.zeros(3))
    with pytest.raises(RuntimeError, match="PhaseMax"):
        lifting.maximise_phase(vectors[:1], np.ones(1), np.array([1.0, -2.0, 3.0]))

"""The flow's high-dimensional risk: closed forms at both ends, and simulation between them."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from deepfact.deep_factorization import DeepFactorization
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.theory.risk import flow_risk, proximal_map

VALUES, PROBABILITIES = [0.0, 1.0, -1.0], [0.9, 0.05, 0.05]


@pytest.mark.parametrize("depth", [2, 3, np.inf])
@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
def test_large_init_scales_give_ridgeless_least_squares(ratio, depth):
    """Least squares: E x^2 (1 - delta) + sigma^2 delta^2/(1 - delta), up to alpha^(-2 depth)."""
    exact = 0.1 * (1 - ratio) + 0.05 * ratio**2 / (1 - ratio)
    log_product = np.log(1e4)
    model = DeepFactorization(
        depth, log_alpha=log_product if np.isinf(depth) else log_product / depth
    )
    risk = flow_risk(ratio, 0.05, VALUES, PROBABILITIES, model)
    assert risk.mse == pytest.approx(exact, rel=1e-7)


def test_depth_one_is_least_squares_too():
    risk = flow_risk(0.5, 0.05, VALUES, PROBABILITIES, DeepFactorization(1))
    assert risk.mse == pytest.approx(0.05 + 0.05 * 0.25 / 0.5, rel=1e-9)


def test_more_measurements_than_unknowns():
    risk = flow_risk(1.5, 0.05, VALUES, PROBABILITIES, DeepFactorization(3, 0.01))
    assert risk.penalty == 0
    assert risk.mse == pytest.approx(0.05 * 1.5 / 0.5, rel=1e-9)


def test_small_init_scales_give_the_interpolator_of_least_l1_norm():
    """Against state evolution with soft thresholding, solved here in its threshold's own terms."""
    ratio, noise_variance = 0.5, 0.05

    def noise_at(c):  # threshold c t: E P' = delta fixes c once t is known
        def excess(t):
            z0, z1 = -c, -c - 1 / t
            inside = (1 + c**2) * 2 * norm.cdf(-c) - 2 * c * norm.pdf(c)
            x = 1 / t  # (soft(x + Z, c) - x)^2 for a unit jump
            up = c - x
            moved = (1 + c**2) * norm.sf(up) + (up - 2 * c) * norm.pdf(up)
            down = -c - x
            moved += (1 + c**2) * norm.cdf(down) - (down + 2 * c) * norm.pdf(down)
            moved += x**2 * (norm.cdf(up) - norm.cdf(down))
            assert z0 > z1
            mean = t**2 * (0.9 * inside + 0.1 * moved)
            return noise_variance + mean / ratio - t**2

        return brentq(excess, 0.2, 50.0)

    def slope(c):
        t = noise_at(c)
        rate = 0.9 * 2 * norm.cdf(-c) + 0.1 * (norm.sf(c - 1 / t) + norm.cdf(-c - 1 / t))
        return rate - ratio

    c = brentq(slope, 0.5, 1.5)
    exact = ratio * (noise_at(c) ** 2 - noise_variance)
    errors = []
    for alpha in (1e-3, 1e-6):
        risk = flow_risk(ratio, noise_variance, VALUES, PROBABILITIES, DeepFactorization(3, alpha))
        errors.append(abs(risk.mse / exact - 1))
    assert errors[1] < 1e-4
    assert errors[1] < 0.01 * errors[0]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("depth", "alpha"), [(2, 0.1), (3, 0.3), (np.inf, 0.01)])
def test_agrees_with_simulation(depth, alpha, signed):
    ratio, N, trials = 0.35, 240, 30
    M = int(ratio * N)
    values = VALUES if signed else [0.0, 1.0, 1.0]
    model = DeepFactorization(depth, alpha, signed=signed)
    risk = flow_risk(ratio, 0.02, values, PROBABILITIES, model)
    errors = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((M, N)) / np.sqrt(M)
        x = rng.choice(values, size=N, p=PROBABILITIES)
        y = A @ x + np.sqrt(0.02) * rng.standard_normal(M)
        errors.append(np.mean((flow_limit(Problem(A, y), model).x - x) ** 2))
    error = np.std(errors, ddof=1) / np.sqrt(trials)
    assert abs(np.mean(errors) - risk.mse) <= 4 * error
    assert error < 0.1 * risk.mse


def test_a_sample_stands_for_its_law():
    model = DeepFactorization(2, 0.1)
    drawn = [0.0] * 18 + [1.0, -1.0]
    assert flow_risk(0.5, 0.05, drawn, None, model).mse == pytest.approx(
        flow_risk(0.5, 0.05, VALUES, PROBABILITIES, model).mse, rel=1e-10
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 3, 10, np.inf])
@pytest.mark.parametrize("alpha", [1e-6, 0.1, 10.0])
def test_proximal_map_is_optimal(depth, alpha, signed):
    model = DeepFactorization(depth, alpha, signed=signed)
    v = np.array([-3.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 3.0])
    for penalty in (1e-3, 0.1, 10.0):
        x, slope = proximal_map(model, v, penalty)
        assert np.all((slope >= 0) & (slope <= 1))
        h = 1e-6
        ahead, behind = (proximal_map(model, v + step, penalty)[0] for step in (h, -h))
        smooth = np.abs(proximal_map(model, v + h, penalty)[1] - slope) < 1e-4
        np.testing.assert_allclose(
            ((ahead - behind) / (2 * h))[smooth], slope[smooth], rtol=1e-3, atol=1e-5
        )
        if not (np.isinf(depth) and alpha > 1):
            off = x + penalty * model.potential_gradient(x) - v
            # in units of x, for where X is flat the rounding of x alone moves F'(x) far
            seen = x != 0  # 0 where the positive signal underflows
            np.testing.assert_allclose(slope[seen] * off[seen], 0, atol=1e-12 * np.abs(v).max())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 0.0}, "ratio"),
        ({"noise_variance": -1.0}, "noise_variance"),
        ({"probabilities": [0.5, 0.2, 0.2]}, "probabilities"),
        ({"probabilities": [0.5, 0.5]}, "probabilities"),
        ({"ratio": 1.0, "noise_variance": 1.0, "mirror_map": DeepFactorization(1)}, "ratio"),
    ],
)
def test_bad_arguments(arguments, message):
    good = {
        "ratio": 0.5,
        "noise_variance": 0.1,
        "values": VALUES,
        "probabilities": PROBABILITIES,
        "mirror_map": DeepFactorization(2, 0.1),
    }
    with pytest.raises(ValueError, match=message):
        flow_risk(**{**good, **arguments})

"""The fits and intervals that several experiments share."""

import numpy as np
import pytest
from scipy.stats import binomtest, linregress, t

from deepfact.experiments.fits import fitted_slope, relative_error
from deepfact.experiments.transition_fits import binomial_interval


def test_fitted_slope_and_its_interval():
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 5, 12)
    y = 2 * x - 1 + rng.standard_normal(12)
    expected = linregress(x, y)
    slope, half = fitted_slope(x, y)
    assert slope == pytest.approx(expected.slope, rel=1e-12)
    assert half == pytest.approx(expected.stderr * t.ppf(0.975, 10), rel=1e-10)
    slope, half = fitted_slope([0.0, 2.0], [1.0, 4.0])
    assert slope == 1.5
    assert np.isnan(half)
    for wrong in (([1.0], [1.0]), ([1.0, 2.0], [1.0, 2.0, 3.0])):
        with pytest.raises(ValueError, match="one length >= 2"):
            fitted_slope(*wrong)


def test_relative_error():
    assert relative_error(np.array([3.0, 4.0]), np.array([3.0, 0.0])) == pytest.approx(4 / 3)


@pytest.mark.parametrize("method", ["exact", "wilson"])
def test_binomial_interval(method):
    counts = np.array([0, 1, 7, 19, 20])
    low, high = binomial_interval(counts, 20, method=method)
    for k, count in enumerate(counts):
        expected = binomtest(int(count), 20).proportion_ci(method=method)
        assert low[k] == pytest.approx(expected.low, rel=1e-10, abs=1e-15)
        assert high[k] == pytest.approx(expected.high, rel=1e-10)
    with pytest.raises(ValueError, match="method must be"):
        binomial_interval(counts, 20, method="other")

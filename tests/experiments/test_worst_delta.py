"""The largest gap over delta, against functions whose maximum is known."""

import numpy as np
import pytest

from deepfact.experiments.worst_delta import worst_delta

GRID = np.linspace(-4, 4, 17)


@pytest.mark.parametrize("where", [-3.9, 0.3, 4.0])
def test_maximum_between_points_of_the_grid(where):
    gap, delta = worst_delta(lambda v: 2 - (v - where) ** 2, GRID, accuracy=1e-8)
    assert gap == pytest.approx(2, abs=1e-10)
    assert np.log(delta) == pytest.approx(where, abs=1e-4)


def test_gaps_that_are_not_known_are_passed_over():
    gap, delta = worst_delta(lambda v: np.nan if v < 0 else 1 - (v - 1.1) ** 2, GRID)
    assert gap == pytest.approx(1, abs=1e-6)
    assert np.log(delta) == pytest.approx(1.1, abs=1e-3)
    with pytest.raises(ValueError, match="NaN"):
        worst_delta(lambda v: np.nan * v, GRID)

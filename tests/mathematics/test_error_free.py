"""Products nearly free of rounding errors, held against rationals."""

from fractions import Fraction

import numpy as np
import pytest

from deepfact.error_free import accurate_products, split


def exact_products(A, eta):
    terms = [[Fraction(a) * Fraction(e) for a in column] for column, e in zip(A, eta, strict=True)]
    return [sum(column) for column in zip(*terms, strict=True)]


@pytest.mark.parametrize("M", [1, 2, 7, 64, 65])
@pytest.mark.parametrize("spread", [0, 8, 200])
def test_error_is_within_its_bound(M, spread):
    rng = np.random.default_rng(M + spread)
    A = rng.standard_normal((M, 6)) * 10.0 ** rng.integers(-spread, 1, (M, 6))
    eta = rng.standard_normal(M) * 10.0 ** rng.integers(-spread // 8, 1, M)
    products, error = accurate_products(split(A), eta)
    for product, bound, exact in zip(products, error, exact_products(A, eta), strict=True):
        assert abs(Fraction(product) - exact) <= Fraction(bound)
        assert np.isfinite(bound)


def test_terms_that_cancel_keep_their_digits():
    """Terms of size 1, a sum of 1e-9: the usual bound, M eps, would leave five digits."""
    rng = np.random.default_rng(0)
    A, eta = rng.uniform(0.5, 1, (50, 3)), rng.uniform(0.5, 1, 50)
    eta[-1] = 1.0
    A[-1] = 1e-9 - A[:-1].T @ eta[:-1]
    products, error = accurate_products(split(A), eta)
    exact = np.array([float(value) for value in exact_products(A, eta)])
    np.testing.assert_allclose(products, exact, rtol=1e-9)
    assert np.all(error <= 1e-6 * np.abs(exact))


@pytest.mark.parametrize("scale", [1e-310, 1e-160, 1e280])
def test_sizes_near_the_ends_of_the_range(scale):
    A, eta = scale * np.array([[1.0, 0.0], [1 / 3, 0.0]]), np.array([1.0, -3.0])
    products, error = accurate_products(split(A), eta)
    for product, bound, exact in zip(products, error, exact_products(A, eta), strict=True):
        assert abs(Fraction(product) - exact) <= Fraction(bound)


def test_high_and_low_parts_add_up():
    A = np.random.default_rng(1).standard_normal((9, 4))
    high, low, unit, bits = split(A)
    assert np.array_equal(high + low, A)
    multiples = np.ldexp(high / unit, bits)
    assert np.array_equal(multiples, np.round(multiples))
    assert np.all(np.abs(low) <= np.ldexp(unit, -bits))

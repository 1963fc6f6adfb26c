"""Products of a matrix and a vector that are nearly free of rounding errors, with a bound on them.

Rows of a dual feasibility condition are differences of terms that may be 1e8 times larger; the
usual bound, M eps times the sum of the terms, would leave nothing of a certificate.
"""

import math

import numpy as np

_EPS = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).smallest_subnormal


def split(A):
    """Return A as high + low, without error; products of two high parts sum up without rounding.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Entries below 1e290.

    Returns
    -------
    high, low : ndarray of shape (M, N)
        Multiples of 2^-bits of each column's unit, and the rest.
    unit : ndarray of shape (N,)
        The power of two above each column's entries.
    bits : int
        So many that M products of 2 * bits bits and their sum fit into 53.
    """
    bits = (52 - math.ceil(math.log2(len(A)))) // 2
    top = np.max(np.abs(A), axis=0)
    unit = np.where(top > 0, np.ldexp(1.0, np.frexp(top)[1]), 0.0)
    shift = np.ldexp(1.5 * unit, 52 - bits)
    high = (A + shift) - shift
    return high, A - high, unit, bits


def accurate_products(parts, eta):
    """Return A^T eta and a bound on its error, A given by `split`.

    Parameters
    ----------
    parts : tuple
        What `split` returns for A of shape (M, N).
    eta : ndarray of shape (M,)
        The vector.

    Returns
    -------
    products, error : ndarray of shape (N,)
        abs(products - A^T eta) <= error, about eps abs(products) + M^2 eps 2^-bits of the largest
        product: less than M eps times the sum of all, as high parts multiply without error [1]_.

    References
    ----------
    .. [1] K. Ozaki, T. Ogita, S. Oishi, S. M. Rump, "Error-free transformations of matrix
       multiplication by using fast routines of matrix multiplication and its applications",
       Numerical Algorithms 59, 2012.
    """
    high, low, unit, bits = parts
    M = len(eta)
    first, rest, size, _ = split(eta[:, None])
    exact = high.T @ first[:, 0]
    small = high.T @ rest[:, 0] + low.T @ eta
    products = exact + small
    # Each low part is at most unit 2^-bits, so the two products that make up `small` have terms
    # of at most unit size 2^-bits; subnormal ones may lose 2^-1074 each.
    term = M * np.ldexp(unit * size, -bits)
    # Nor is it more than the usual bound, which is finer where large entries meet small ones.
    error = 2 * (M + 4) * _EPS * np.minimum(term, np.abs(high + low).T @ np.abs(eta))
    return products, 2 * _EPS * np.abs(products) + error + 8 * M * _TINY

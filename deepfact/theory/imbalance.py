"""Factors that do not start equal: statement S13."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.special import elliprf

from deepfact.arguments import as_real_array, as_real_number
from deepfact.theory.scales import log_of


def sign_change_time(x0: float, imbalance: float, drift: float) -> float:
    """Return when one product u_1 u_2 changes its sign under a constant opposing drift.

    Parameters
    ----------
    x0 : float
        Product at time 0, not 0.
    imbalance : float
        The conserved difference u_1^2 - u_2^2.
    drift : float
        Size of the constant drift towards the other sign, positive.

    Returns
    -------
    float
        asinh(2 abs(x0)/abs(imbalance))/(2 drift): about log(4 abs(x0)/abs(imbalance))/(2 drift) for
        a small imbalance, and infinite without any.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S13 of ``docs/statements.md``.
    """
    size = abs(as_real_number("x0", x0))
    imbalance = abs(as_real_number("imbalance", imbalance))
    drift = as_real_number("drift", drift, above=0.0)
    if size == 0:
        raise ValueError("x0 must not be 0")
    if imbalance == 0:
        return np.inf
    # asinh(e^g) = g + log(1 + sqrt(1 + e^(-2g))) cannot overflow for g > 0
    g = float(np.log(2.0) + np.log(size) - np.log(imbalance))
    with np.errstate(under="ignore"):
        root = g + np.log1p(np.sqrt(1 + np.exp(-2 * g))) if g > 0 else np.arcsinh(np.exp(g))
    return float(root / (2 * drift))


def single_product_weights(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights t+ and t- that the flow of one deep product per coordinate minimises.

    Parameters
    ----------
    factors : array_like of shape (L, N)
        Shape of the initial factors, which start at scale * factors; L >= 3.

    Returns
    -------
    t_plus, t_minus : ndarray of shape (N,)
        As scale -> 0 the limit minimises sum t+_i max(x_i, 0) + t-_i max(-x_i, 0) over A x = y.
        Infinite where a coordinate cannot take that sign: then two factors share the least
        absolute value.

    Raises
    ------
    TypeError, ValueError
        If ``factors`` is not a finite real matrix of at least 3 rows.

    Notes
    -----
    Statement S13 of ``docs/statements.md``; the weights are those of Zhao et al.,
    arXiv:2607.12332, for factors of any signs.
    """
    factors = as_real_array("factors", factors, ndim=2)
    if len(factors) < 3:
        raise ValueError(f"factors must have at least L = 3 rows, got {len(factors)}")
    pairs = [_weights_of_one(column) for column in factors.T]
    plus, minus = np.array(pairs).T
    return plus, minus


def _weights_of_one(c):
    order = np.argsort(np.abs(c), kind="stable")
    others = c[order[1:]]
    # The smallest factor moves, the others keep their signs: its sign is that of the product.
    start = float(c[order[0]] * np.prod(np.sign(others)))
    mu = np.sqrt((np.abs(others) - abs(start)) * (np.abs(others) + abs(start)))
    if mu[0] == 0:  # the moving factor cannot cross 0, for another would have to cross with it
        sizes = [_tail(abs(start), mu), np.inf] if start else [np.inf, np.inf]
        return sizes if start >= 0 else sizes[::-1]
    beyond = _tail(start, mu), _tail(-start, mu)
    return list(beyond)


def _tail(start, mu):
    """Return the integral of 1/prod sqrt(x^2 + mu_j^2) from start to infinity, mu ascending."""
    if len(mu) == 2:  # with t = x^2 it is Carlson's symmetric elliptic integral
        size = np.hypot(start, mu[1])
        x, (y, z) = (start / size) ** 2, np.hypot(start / size, mu / size) ** 2
        beyond = elliprf(x, y, z)
        if start < 0:
            beyond = 2 * elliprf(0.0, *(mu / size) ** 2) - beyond
        return float(beyond / size)
    if mu[0] == 0:  # x = start e^s
        scale, rest = start, mu[1:] / start

        def integrand(s):
            return np.exp(-np.sum(np.logaddexp(2 * s, 2 * log_of(rest)) / 2)) if rest.size else 1.0

        begin = 0.0
    else:  # x = mu_1 sinh(s)
        scale, rest = mu[0], mu[1:] / mu[0]
        begin = float(np.arcsinh(start / scale))

        def integrand(s):
            return np.exp(-np.sum(np.log(np.hypot(np.sinh(s), rest))))

    # The integrand bends at x = mu_j, and falls by e^-1 or faster with each unit of s beyond.
    bends = np.arcsinh(rest)
    nodes = sorted({begin, *(b for b in (*bends, 0.0, *-bends) if b > begin)})
    nodes = [*nodes, nodes[-1] + 10.0, nodes[-1] + 45.0]
    with np.errstate(under="ignore"):
        pieces = [
            quad(integrand, a, b, epsabs=0.0, epsrel=1e-12, limit=200)[0]
            for a, b in pairwise(nodes)
            if b > a
        ]
        return float(np.sum(pieces) * scale ** -float(rest.size))

"""Masks: pruning before training, random masks, and tickets that are found and not trained."""

from __future__ import annotations

from math import comb

import numpy as np
from scipy.special import chdtri, ndtr, ndtri

from deepfact.arguments import as_count, as_real_number

_NODES = 400  # of each of two integrals, over quantiles
_GRID = np.linspace(0.0, 12.0, 2401)  # deviations from the sample mean


def matched_filter_success(M: int, N: int, s: int) -> float:
    """Return the probability that the s largest entries of abs(A^T y) are the support.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns and nonzeros, each 1 or -1; 2 <= s < N.

    Returns
    -------
    float
        For Gaussian A and y = A x without noise, up to the event that an entry of the support
        is counted with the wrong sign. With R^2 of law chi^2_M/s, g of s standard normals and z of
        N - s, all independent, it is P(R + min_i (g_i - mean g) > max_j abs(z_j)).

    Raises
    ------
    TypeError, ValueError
        If an argument is no integer or out of its range.

    Notes
    -----
    Statement T8 of ``docs/overparameterization.md``. The largest deviation of s normals from their
    mean has a law with an exact recursion in s, which is derived there.
    """
    M = as_count("M", M, minimum=1)
    s = as_count("s", s, minimum=2)
    N = as_count("N", N, minimum=s + 1)
    middle = (np.arange(_NODES) + 0.5) / _NODES
    signal = np.sqrt(chdtri(M, middle) / s)
    noise = -ndtri(-np.expm1(np.log(middle) / (N - s)) / 2)
    law = _largest_deviation(s)
    room = signal[:, None] - noise
    return float(np.mean(np.where(room > 0, np.interp(room, _GRID, law), 0.0)))


def _largest_deviation(s):
    """Return P(max_i (g_i - mean g) <= x) of s standard normals at the points of the grid."""
    law = np.ones_like(_GRID)
    for n in range(2, s + 1):
        ratio = n / (n - 1)
        inner = np.interp(ratio * _GRID, _GRID, law) * np.exp(-ratio * _GRID**2 / 2)
        step = (inner[1:] + inner[:-1]) / 2 * np.diff(_GRID)
        law = n * np.sqrt(ratio / (2 * np.pi)) * np.append(0.0, np.cumsum(step))
        law = law / law[-1]  # what is beyond the grid is nothing
    return law


def independent_scores_success(M: int, N: int, s: int) -> float:
    """Return the same probability as if the scores on the support were independent of each other.

    Parameters
    ----------
    M, N, s : int
        As in `matched_filter_success`.

    Returns
    -------
    float
        The mean of P(abs(1 + N(0, (s + 1)/M)) > q)^s over the largest q of N - s absolute values
        of N(0, s/M).

    Raises
    ------
    TypeError, ValueError
        If an argument is no integer or out of its range.

    Notes
    -----
    Statement T8 of ``docs/overparameterization.md``, where it is the approximation that is not
    good enough: each score has this law, but all share the size of y.
    """
    M = as_count("M", M, minimum=1)
    s = as_count("s", s, minimum=2)
    N = as_count("N", N, minimum=s + 1)
    middle = (np.arange(10 * _NODES) + 0.5) / (10 * _NODES)
    largest = -np.sqrt(s / M) * ndtri(-np.expm1(np.log(middle) / (N - s)) / 2)
    spread = np.sqrt((s + 1) / M)
    above = ndtr((1 - largest) / spread) + ndtr(-(1 + largest) / spread)
    return float(np.mean(above**s))


def random_mask_loss(M: int, N: int, s: int, size: int) -> float:
    """Return the expected ||y - A z||^2 of the best z on a random mask.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns and nonzeros, each 1 or -1.
    size : int
        Size of the mask, at most M.

    Returns
    -------
    float
        (1 - size/M) s (1 - size/N), for Gaussian A with entries of variance 1/M.

    Raises
    ------
    TypeError, ValueError
        If an argument is no integer or out of its range.

    Notes
    -----
    Statement T8 of ``docs/overparameterization.md``.
    """
    M, N = as_count("M", M, minimum=1), as_count("N", N, minimum=1)
    s, size = as_count("s", s, minimum=1), as_count("size", size, minimum=0)
    if size > min(M, N) or s > N:
        raise ValueError(f"s = {s} and size = {size} must be at most N = {N}, size at most M = {M}")
    return (1 - size / M) * s * (1 - size / N)


def random_mask_hits(N: int, s: int, size: int) -> float:
    """Return the probability that a random mask holds the whole support.

    Parameters
    ----------
    N, s, size : int
        Unknowns, nonzeros, size of the mask.

    Returns
    -------
    float
        C(N - s, size - s)/C(N, size).

    Raises
    ------
    TypeError, ValueError
        If an argument is no integer or out of its range.

    Notes
    -----
    Statement T8 of ``docs/overparameterization.md``.
    """
    N = as_count("N", N, minimum=1)
    s, size = as_count("s", s, minimum=0), as_count("size", size, minimum=0)
    if max(s, size) > N:
        raise ValueError(f"s = {s} and size = {size} must be at most N = {N}")
    return comb(N - s, size - s) / comb(N, size) if size >= s else 0.0


def subset_sum_error(n: int, target: float = 0.0) -> float:
    """Return the typical distance from a target to the nearest sum of some of n random weights.

    Parameters
    ----------
    n : int
        Number of weights, uniform in [-1, 1]; the formula is for many.
    target : float, optional
        The target (default: 0).

    Returns
    -------
    float
        The geometric mean exp(1/2 - gamma) sqrt(pi n/6) 2^(-n-1) exp(6 target^2/n), gamma Euler's
        constant.

    Raises
    ------
    TypeError, ValueError
        If n is no positive integer or the target not a number.

    Notes
    -----
    Statement T8 of ``docs/overparameterization.md``. Given the weights, the 2^n sums are like a
    sample of a normal law of mean sum w/2 and variance sum w^2/4, and the nearest one is at an
    exponential distance; its logarithm is averaged over the weights.
    """
    n = as_count("n", n, minimum=1)
    target = as_real_number("target", target)
    spread = np.sqrt(np.pi * n / 6) * np.exp2(-n - 1.0)
    return float(np.exp(0.5 - np.euler_gamma + 6 * target**2 / n) * spread)

"""Masks found before training, by training, or by chance: T8."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.experiments.staircase import model_at
from deepfact.experiments.tables import from_rows
from deepfact.experiments.transition_fits import binomial_interval
from deepfact.limit import flow_limit
from deepfact.problem import Problem

__all__ = ["flat_problem", "measure_pruning", "measure_random_masks", "top_mask"]

LEVEL = 0.999
"""Level of the binomial intervals."""


def flat_problem(M: int, N: int, s: int, source: np.random.Generator) -> Problem:
    """Draw a Gaussian problem whose signal has s entries 1 or -1.

    Parameters
    ----------
    M, N, s : int
        Size.
    source : Generator
        Source of randomness.

    Returns
    -------
    Problem
        With entries of A of variance 1/M, and the signal.
    """
    A = source.standard_normal((M, N)) / np.sqrt(M)
    x = np.zeros(N)
    x[source.choice(N, s, replace=False)] = source.choice([-1.0, 1.0], s)
    return Problem(A, A @ x, x_true=x)


def top_mask(values: np.ndarray, size: int) -> np.ndarray:
    """Return a mask of the entries of largest absolute value.

    Parameters
    ----------
    values : ndarray of shape (N,)
        The values.
    size : int
        How many.

    Returns
    -------
    ndarray of bool of shape (N,)
        The mask.
    """
    mask = np.zeros(len(values), dtype=bool)
    mask[np.argsort(-np.abs(values), kind="stable")[:size]] = True
    return mask


def measure_pruning(
    N: int,
    s: int,
    measurements: list[int],
    trials: int,
    trained: int,
    log10_alpha: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """Count how often the mask at the start, and that of the trained flow, is the support.

    At the start the score of SNIP is alpha^L abs(A^T y)_i, so that the mask is that of a matched
    filter.

    Parameters
    ----------
    N, s : int
        Unknowns and nonzeros.
    measurements : list of int
        Numbers M of measurements.
    trials : int
        Problems for each M.
    trained : int
        How many of these are trained, too, to the limit at depth 2.
    log10_alpha : float
        log10 of the init scale of training.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each M: ``M``, ``trials``, ``share`` of right masks at the start with its
        interval ``low`` to ``high``, ``predicted`` probability, and that of ``independent``
        scores; ``trained`` problems, ``log10_alpha``, ``trained_share``, ``trained_low``,
        ``trained_high``.
    """
    rows = []
    for M, child in zip(
        measurements, np.random.SeedSequence(seed).spawn(len(measurements)), strict=True
    ):
        source, hits, trained_hits = np.random.default_rng(child), 0, 0
        for k in range(trials):
            problem = flat_problem(M, N, s, source)
            support = problem.x_true != 0
            hits += np.array_equal(top_mask(problem.A.T @ problem.y, s), support)
            if k < trained:
                limit = flow_limit(problem, model_at(2, log10_alpha))
                trained_hits += limit.success and np.array_equal(top_mask(limit.x, s), support)
        row = {
            "M": M,
            "trials": trials,
            "share": hits / trials,
            "predicted": theory.matched_filter_success(M, N, s),
            "independent": theory.independent_scores_success(M, N, s),
            "trained": trained,
            "log10_alpha": float(log10_alpha),
            "trained_share": trained_hits / trained,
        }
        for prefix, count, number in (("", hits, trials), ("trained_", trained_hits, trained)):
            ends = binomial_interval(np.array(count), np.array(number), LEVEL)
            row[f"{prefix}low"], row[f"{prefix}high"] = (float(end) for end in ends)
        rows.append(row)
    return from_rows(rows)


def measure_random_masks(
    M: int, N: int, s: int, sizes: list[int], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Fit the data on random masks.

    Parameters
    ----------
    M, N, s : int
        Size.
    sizes : list of int
        Sizes of the random masks.
    trials : int
        Problems for each size.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each size: ``size``, ``trials``, mean ``loss`` ||A z - y||^2 of the best z on the
        mask and its standard ``error``, ``predicted``, and ``unfitted``, the same if what is
        missed could not be fitted by the mask's columns.
    """
    rows = []
    for size, child in zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes)), strict=True):
        source = np.random.default_rng(child)
        losses = []
        for _ in range(trials):
            problem = flat_problem(M, N, s, source)
            columns = problem.A[:, source.choice(N, size, replace=False)]
            best = np.linalg.lstsq(columns, problem.y, rcond=None)[0]
            losses.append(np.sum((problem.y - columns @ best) ** 2))
        rows.append(
            {
                "size": size,
                "trials": trials,
                "loss": np.mean(losses),
                "error": np.std(losses, ddof=1) / np.sqrt(trials),
                "predicted": theory.random_mask_loss(M, N, s, size),
                "unfitted": s * (1 - size / N),
            }
        )
    return from_rows(rows)

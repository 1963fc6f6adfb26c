"""Tickets that are found, not trained: subsets of random weights that sum to a target, T8."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.experiments.tables import from_rows

__all__ = ["measure_subset_sums", "nearest_subset_sum"]


def nearest_subset_sum(weights: np.ndarray, target: float) -> float:
    """Return how near a sum of some of the weights comes to a target.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        The weights.
    target : float
        The target.

    Returns
    -------
    float
        The least distance over all 2^n subsets, from two sorted lists of 2^(n/2) sums.
    """
    half = len(weights) // 2
    left, right = (_sums(part) for part in (weights[:half], weights[half:]))
    right = np.sort(right)
    wanted = target - left
    place = np.searchsorted(right, wanted)
    above = right[np.minimum(place, len(right) - 1)]
    below = right[np.maximum(place - 1, 0)]
    return float(np.minimum(np.abs(above - wanted), np.abs(below - wanted)).min())


def _sums(weights):
    sums = np.zeros(1)
    for weight in weights:
        sums = np.concatenate([sums, sums + weight])
    return sums


def measure_subset_sums(
    numbers: list[int], target: float, trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure the typical error of the best ticket among n random weights.

    Parameters
    ----------
    numbers : list of int
        Numbers n of weights, uniform in [-1, 1].
    target : float
        The weight to be represented.
    trials : int
        Draws of weights for each n.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each n: ``n``, ``target``, ``trials``, the mean ``log`` of the error and its
        standard ``error``, ``predicted``, and ``averaged``, the same if the mean density of sums
        over all weights decided.
    """
    rows = []
    for n, child in zip(numbers, np.random.SeedSequence(seed).spawn(len(numbers)), strict=True):
        source = np.random.default_rng(child)
        logs = np.log([nearest_subset_sum(source.uniform(-1, 1, n), target) for _ in range(trials)])
        averaged = np.log(np.pi * n / 3) / 2 - (n + 1) * np.log(2) + 3 * target**2 / n
        rows.append(
            {
                "n": n,
                "target": float(target),
                "trials": trials,
                "log": np.mean(logs),
                "error": np.std(logs, ddof=1) / np.sqrt(trials),
                "predicted": np.log(theory.subset_sum_error(n, target)),
                "averaged": averaged - np.euler_gamma,
            }
        )
    return from_rows(rows)

"""Depths side by side on the same instances: loops of ``00_tour`` and ``12_depth_side_by_side``."""

from __future__ import annotations

import numpy as np

from deepfact.divergence import bregman_divergence
from deepfact.experiments.approach import approach_limit
from deepfact.experiments.instances import model_of_depth
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.theory import l1_gap_bound


def follow_depths(
    problem: Problem, depths: list[float], start: float, n_times: int
) -> dict[float, dict]:
    """Follow the signed flows of several depths to rest on one problem.

    Parameters
    ----------
    problem : Problem
        The problem.
    depths : list of float
        Depths; 1 and infinity are allowed.
    start : float
        alpha^L, each product at time 0, for every depth.
    n_times : int
        Number of log-spaced times after 0.

    Returns
    -------
    dict of float to dict
        For each depth: ``model``, ``limit``, ``path``, ``distance`` and ``lower_bound`` of
        `approach_limit`, and ``divergence`` of shape (K,), D_F(z, x(t)) to the solution z of
        smallest l1 norm.
    """
    z = basis_pursuit(problem).x
    runs = {}
    for depth in depths:
        model = model_of_depth(depth, start)
        run = approach_limit(problem, model, n_times)
        divergence = np.array([bregman_divergence(model, z, x) for x in run["path"].x])
        runs[depth] = {"model": model, **run, "divergence": divergence}
    return runs


def certify_depths(
    M: int, N: int, s: int, starts: np.ndarray, depths: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Compute limits of several depths on random instances, with their certificates.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros (signed).
    starts : ndarray of shape (K,)
        Values of alpha^L.
    depths : list of float
        D depths; 1 is allowed (and does not depend on the start).
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        Of shape (trials, D, K), relative to the least l1 norm Q: ``certified``, l1 norm minus lower
        bound; ``above``, l1 norm minus Q; ``below``, Q minus lower bound; ``bound``, the right-hand
        side of S3 (infinite for depth 1 and where it says nothing). Relative to ||x_true||:
        ``error``, the distance to x_true. ``residual``, ||A x - y||/||y||. Of shape (trials,):
        ``least_squares``, the relative distance of the depth-1 limit to A^+ y (0 without depth 1).
    """
    names = ("certified", "above", "below", "bound", "error", "residual")
    table = {name: np.full((trials, len(depths), len(starts)), np.inf) for name in names}
    least_squares = np.zeros(trials)
    for trial, stream in enumerate(np.random.SeedSequence(seed).spawn(trials)):
        problem = gaussian_problem(M, N, s, seed=stream)
        best = basis_pursuit(problem)
        for d, depth in enumerate(depths):
            for k, start in enumerate(starts):
                model = model_of_depth(depth, start)
                limit = flow_limit(problem, model)
                if not limit.success:
                    raise RuntimeError(f"flow_limit: {limit.message}")
                place = (trial, d, k)
                table["certified"][place] = limit.gap / best.value
                table["above"][place] = (limit.l1_norm - best.value) / best.value
                table["below"][place] = (best.lower_bound - limit.lower_bound) / best.value
                table["error"][place] = relative_error(limit.x, problem.x_true)
                table["residual"][place] = limit.residual
                if depth == 1:
                    pinv = np.linalg.pinv(problem.dense()) @ problem.y
                    least_squares[trial] = relative_error(limit.x, pinv)
                else:
                    scale = start if np.isinf(depth) else start ** (1 / depth)
                    table["bound"][place] = l1_gap_bound(best.value, N, depth, scale) / best.value
    return {**table, "least_squares": least_squares}


def polyline(t: np.ndarray, y: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Thin a curve over log t to the points that a drawing of it needs.

    Parameters
    ----------
    t : ndarray of shape (K,)
        Increasing positive times.
    y : ndarray of shape (K,)
        The values.
    tolerance : float
        What straight lines over log t between the points kept may miss of the values.

    Returns
    -------
    tuple of ndarray
        Times and values of the points kept, both ends among them, to six significant digits.
    """
    x = np.log(t)
    keep = [0, len(t) - 1]
    while True:
        miss = np.abs(np.interp(x, x[keep], y[keep]) - y)
        worst = int(np.argmax(miss))
        if miss[worst] <= tolerance:
            return tuple(np.array([float(f"{v:.6g}") for v in values[keep]]) for values in (t, y))
        keep = sorted([*keep, worst])


def relative_error(x: np.ndarray, reference: np.ndarray) -> float:
    """Return ||x - reference|| / ||reference||.

    Parameters
    ----------
    x, reference : ndarray of shape (N,)
        Two vectors, the second one not zero.

    Returns
    -------
    float
        The relative error.
    """
    return float(np.linalg.norm(x - reference) / np.linalg.norm(reference))


def count_recoveries(
    N: int,
    s: int,
    measurements: list[int],
    depths: list[float],
    start: float,
    trials: int,
    seed: int,
    tolerance: float = 0.01,
) -> np.ndarray:
    """Count on how many random instances the limit of each depth is the sparse vector.

    Parameters
    ----------
    N, s : int
        Number of unknowns and of nonzeros.
    measurements : list of int
        K values of M.
    depths : list of float
        D depths.
    start : float
        alpha^L, each product at time 0.
    trials : int
        Instances for each M, the same for all depths.
    seed : int
        Source of randomness: one spawned stream for each instance.
    tolerance : float, optional
        Relative l2 error up to which the vector counts as recovered (default: 0.01).

    Returns
    -------
    ndarray of shape (D, K)
        The counts.
    """
    counts = np.zeros((len(depths), len(measurements)), dtype=int)
    for k, streams in enumerate(np.random.SeedSequence(seed).spawn(len(measurements))):
        for stream in streams.spawn(trials):
            problem = gaussian_problem(measurements[k], N, s, seed=stream)
            for d, depth in enumerate(depths):
                limit = flow_limit(problem, model_of_depth(depth, start))
                counts[d, k] += relative_error(limit.x, problem.x_true) <= tolerance
    return counts

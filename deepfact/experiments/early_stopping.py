"""The flow on noisy measurements, stopped before its limit: part of statement S5."""

from __future__ import annotations

import numpy as np

from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.noise_bound import limit_from
from deepfact.experiments.tables import from_rows, groups, join
from deepfact.l1_minimisation import bpdn
from deepfact.problem import Problem, gaussian_problem


def stop_early(
    problem: Problem, e: np.ndarray, depth: float, start: float, times: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Follow the flow on noisy measurements and see when it is nearest to the signal.

    Parameters
    ----------
    problem : Problem
        The problem without noise, with ``x_true``.
    e : ndarray of shape (M,)
        The noise.
    depth : float
        Number L of factors.
    start : float
        a = alpha^L.
    times : ndarray of shape (K,)
        Increasing times, the first one 0.

    Returns
    -------
    path : dict of str to ndarray of shape (K,)
        ``time``, ``error`` = ||x(t) - x||_2, ``residual`` = ||A x(t) - y||_2 and ``divergence`` =
        D_F(x, x(t)).
    stop : dict of str to float
        ``limit_error``; ``discrepancy_time`` and ``discrepancy_error`` when the residual falls to
        ||e||, ``discrepancy_residual`` there; ``best_time`` and ``best_error`` at the least error;
        ``later``, whether the divergence is least at the discrepancy time or after it; ``margin``,
        the least of 1 - (promised fall)/(fall) of the divergence over the intervals up to the
        discrepancy, and ``margin_without_noise``, the same with the fall that there would be
        without noise.

    Raises
    ------
    RuntimeError
        If the limit is not found or the integration fails.
    """
    noisy = Problem(problem.A, problem.dense() @ problem.x_true + e, problem.x_true)
    limit, model = limit_from(noisy, depth, start)
    path = gradient_flow(noisy, model, times, rtol=1e-7)
    if path.status == "failed":
        raise RuntimeError(f"gradient_flow: {path.message}")
    divergence = np.array([bregman_divergence(model, problem.x_true, x) for x in path.x])
    residual, size = np.sqrt(2 * path.loss), float(np.linalg.norm(e))
    last = int(np.flatnonzero(residual >= size)[-1])
    after = residual[1 : last + 1]
    promised = np.diff(path.times[: last + 1]) * after * (after - size)
    fall = -np.diff(divergence[: last + 1])
    error = np.linalg.norm(path.x - problem.x_true, axis=1)
    unhindered = np.diff(path.times[: last + 1]) * after**2
    crossing = _crossing(noisy, model, size, path.times[last], path.times[last + 1])
    rows = {"time": path.times, "error": error, "residual": residual, "divergence": divergence}
    stop = {
        "limit_error": float(np.linalg.norm(limit.x - problem.x_true)),
        **crossing,
        **_least_error(noisy, model, rows, crossing),
        "later": bool(np.argmin(divergence) >= last),
        "margin": float(np.min(1 - promised / fall)),
        "margin_without_noise": float(np.min(1 - unhindered / fall)),
    }
    return rows, stop


def _errors(noisy, model, before, after):
    """Return 65 times in an interval, with the errors and the residuals of the flow there."""
    times = np.linspace(before, after, 65)
    path = gradient_flow(noisy, model, np.append(0.0, times), rtol=1e-7)
    if path.status == "failed":
        raise RuntimeError(f"gradient_flow: {path.message}")
    error = np.linalg.norm(path.x[1:] - noisy.x_true, axis=1)
    return times, error, np.sqrt(2 * path.loss[1:])


def _crossing(noisy, model, size, before, after):
    """Return time, error and residual when the residual has fallen to size, in two refinements."""
    for _ in range(2):
        times, error, residual = _errors(noisy, model, before, after)
        # The residual falls; at the ends of the interval it is known to be above and below.
        k = np.clip(np.searchsorted(-residual, -size), 1, len(times) - 1)
        before, after = times[k - 1], times[k]
    return {
        "discrepancy_time": float(times[k]),
        "discrepancy_error": float(error[k]),
        "discrepancy_residual": float(residual[k]),
    }


def _least_error(noisy, model, path, crossing):
    """Return when and how large the least error is, with times around the best of the path."""
    best = int(np.argmin(path["error"]))
    around = path["time"][max(best - 1, 0)], path["time"][min(best + 1, len(path["time"]) - 1)]
    times, error, _ = _errors(noisy, model, *around)
    candidates = [
        (path["error"][best], path["time"][best]),
        (error.min(), times[np.argmin(error)]),
        (crossing["discrepancy_error"], crossing["discrepancy_time"]),
    ]
    value, time = min(candidates)
    return {"best_time": float(time), "best_error": float(value)}


def measure_early_stopping(
    M: int,
    N: int,
    s: int,
    level: float,
    depths: list[float],
    start: float,
    n_times: int,
    trials: int,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Stop the flow early on random instances, from several depths.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    level : float
        Noise level ||e||/||A x||.
    depths : list of float
        Numbers of factors.
    start : float
        a = alpha^L.
    n_times : int
        Number of log-spaced times after 0, up to 3000 times the first time scale of the flow.
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to dict of str to ndarray
        Two tables: ``paths``, a row for each instance, depth and time, and ``stops``, a row for
        each instance and depth: ``trial``, ``depth``, ``noise`` = ||e||_2, the columns of
        `stop_early`, and in ``stops`` ``start``, and ``bpdn``, the error of basis pursuit denoising
        with the true noise level.
    """
    paths, stops = [], []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 3]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A = problem.dense()
        e = level * np.linalg.norm(problem.y) * unit_vector(rng, M)
        noisy = Problem(A, problem.y + e)
        size = float(np.linalg.norm(e))
        best = float(np.linalg.norm(bpdn(noisy, size).x - problem.x_true))
        for depth in depths:
            # The dual variable of the first coordinate to grow reaches its limit 1/k at this time,
            # up to the logarithm of the start for two factors.
            unit = start ** (2 / depth - 1) / depth / np.max(np.abs(A.T @ noisy.y))
            times = np.append(0.0, np.geomspace(0.02, 3000.0, n_times) * unit)
            path, stop = stop_early(problem, e, depth, start, times)
            about = {"trial": trial, "depth": float(depth), "noise": size}
            stops.append({**about, "start": start, **stop, "bpdn": best})
            columns = {name: np.full(len(times), value) for name, value in about.items()}
            paths.append({**columns, **path})
    return {"paths": join(*paths), "stops": from_rows(stops)}


def unit_vector(rng: np.random.Generator, M: int) -> np.ndarray:
    """Return a uniformly random direction.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    M : int
        Number of entries.

    Returns
    -------
    ndarray of shape (M,)
        A vector of norm 1.
    """
    direction = rng.standard_normal(M)
    return direction / np.linalg.norm(direction)


def describe_early_stopping(stopped: dict[str, dict[str, np.ndarray]]) -> str:
    """Write what early stopping gains.

    Parameters
    ----------
    stopped : dict of str to dict of str to ndarray
        From `measure_early_stopping`.

    Returns
    -------
    str
        A line for each trajectory and four on all of them.
    """
    lines = [
        "error/||e||                 at discrepancy                             best time/",
        "instance           depth    time       best     limit    BPDN    discrepancy time",
    ]
    stops = stopped["stops"]
    for k, noise in enumerate(stops["noise"]):
        at, best, limit, bpdn_error = (
            stops[name][k] / noise
            for name in ("discrepancy_error", "best_error", "limit_error", "bpdn")
        )
        lines.append(
            f"{stops['trial'][k] + 1:8d} {stops['depth'][k]:15g} {at:9.2f} {best:9.2f}"
            f" {limit:9.2f} {bpdn_error:7.2f}"
            f" {stops['best_time'][k] / stops['discrepancy_time'][k]:12.2f}"
        )
    off = np.max(np.abs(stops["discrepancy_residual"] / stops["noise"] - 1))
    gain = stops["limit_error"] / stops["best_error"]
    better = np.sum(stops["best_error"] < stops["bpdn"])
    at_discrepancy = ", ".join(
        f"L = {depth:g}: {np.sum(rows['discrepancy_error'] < rows['bpdn'])} of {rows['noise'].size}"
        for depth, rows in groups(stops, "depth")
    )
    lines += [
        f"\nat the discrepancy time the residual is ||e|| up to {off:.0e} of it",
        f"limit's error / best error: median {np.median(gain):.1f}, at most {gain.max():.1f}",
        f"best error < BPDN's error on {better} of {gain.size} trajectories",
        f"error at discrepancy < BPDN's error, {at_discrepancy}",
    ]
    return "\n".join(lines)

"""The path of vanishing init scale against the flow, and its end against greedy selection: T15."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.averaged_flow import path_clock
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.saddle_path import SaddlePath, saddle_path
from deepfact.experiments.tables import from_rows
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem, gaussian_problem

__all__ = ["forward_selection", "measure_ends", "measure_plateaus", "measure_staircase", "model_at"]

RESOLVED = 1e-11
"""Distances between flow and plateau below this are rounding."""
WEAKEST = 0.02
"""At depth 2, exponents below this are not yet seen at init scales that doubles can hold."""


def model_at(depth: float, log10_alpha: float, signed: bool = True) -> DeepFactorization:
    """Return a model by the decimal logarithm of its init scale.

    Parameters
    ----------
    depth : float
        Number L of factors.
    log10_alpha : float
        log10 alpha.
    signed : bool, optional
        Signed (default: True) or positive model.

    Returns
    -------
    DeepFactorization
        The model.
    """
    return DeepFactorization(depth, log_alpha=log10_alpha * np.log(10.0), signed=signed)


def measure_staircase(problem: Problem, models: list[list[float]], points: int) -> dict:
    """Follow the flow of several init scales in the rescaled time of its limit path.

    Parameters
    ----------
    problem : Problem
        The problem.
    models : list of list of float
        Pairs: depth and log10 alpha.
    points : int
        Times of each curve.

    Returns
    -------
    dict of str to ndarray
        A row for each depth, init scale, time and coordinate that is ever active: ``depth``,
        ``log10_alpha``, ``tau``, ``coordinate``, ``x``; depth 0 stands for the limit path itself.
    """
    path = saddle_path(problem)
    taus = np.linspace(0, 1.25 * path.times[-1], points)
    active = np.flatnonzero(path.x.any(axis=0))
    place = np.searchsorted(path.times, taus, side="right")
    curves = [(0.0, 0.0, np.vstack([np.zeros(problem.N), path.x])[place])]
    for depth, log10_alpha in models:
        model = model_at(depth, log10_alpha)
        flow = gradient_flow(problem, model, taus * path_clock(model))
        curves.append((float(depth), float(log10_alpha), flow.x))
    size, count = len(taus) * len(active), len(curves)
    return {
        "depth": np.repeat([depth for depth, _, _ in curves], size),
        "log10_alpha": np.repeat([log10_alpha for _, log10_alpha, _ in curves], size),
        "tau": np.tile(np.repeat(taus, len(active)), count),
        "coordinate": np.tile(active, len(taus) * count),
        "x": np.concatenate([x[:, active].ravel() for _, _, x in curves]),
    }


def measure_plateaus(
    M: int, N: int, s: int, instances: int, scales: list[list[float]], seed: int
) -> dict[str, np.ndarray]:
    """Fit how fast the flow comes near each plateau, at its middle, as the init scale falls.

    Parameters
    ----------
    M, N, s : int
        Size of Gaussian problems.
    instances : int
        How many.
    scales : list of list of float
        Depth, and two values of log10 alpha, falling.
    seed : int
        Seed of the problems.

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and plateau whose distance is above `RESOLVED` and whose
        exponent is above `WEAKEST`: ``problem``, ``depth``, ``plateau``, ``distance`` at the last
        scale, the fitted ``slope`` of its logarithm in log alpha, the ``predicted`` exponent, and
        that of a ``rival``: without the relaxation of active coordinates at depth 2, the exponent
        L - 2 of the jumps' times beyond. At L > 2 the prediction is L, but L (L - 2)/(2 L - 2) on
        a last plateau without loss if a coordinate left in the jump to it.
    """
    rows = []
    for k, source in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        problem = gaussian_problem(M, N, s, seed=source)
        path = saddle_path(problem)
        middles = np.append((path.times[:-1] + path.times[1:]) / 2, 1.5 * path.times[-1])
        for depth, *log10_alphas in scales:
            distance = []
            for log10_alpha in log10_alphas:
                model = model_at(depth, log10_alpha)
                flow = gradient_flow(problem, model, middles * path_clock(model))
                distance.append(np.abs(flow.x - path.x).max(axis=1))
            for m in range(len(middles)):
                exponents = plateau_exponents(problem, path, m, middles[m])
                predicted = min(exponents)
                if depth > 2:  # a score that stays at its threshold holds the flow up
                    held = exponents[0] < 1e-9
                    predicted = depth * (depth - 2) / (2 * depth - 2) if held else float(depth)
                if distance[-1][m] <= RESOLVED or predicted <= WEAKEST:
                    continue
                slope = np.log10(distance[0][m] / distance[-1][m])
                rows.append(
                    {
                        "problem": k,
                        "depth": float(depth),
                        "plateau": m,
                        "distance": distance[-1][m],
                        "slope": slope / (log10_alphas[0] - log10_alphas[-1]),
                        "predicted": predicted,
                        "rival": exponents[0] if depth == 2 else depth - 2.0,
                    }
                )
    return from_rows(rows)


def plateau_exponents(
    problem: Problem, path: SaddlePath, m: int, tau: float
) -> tuple[float, float]:
    """Return the two exponents of alpha at depth 2 with which the flow comes near a plateau.

    Parameters
    ----------
    problem : Problem
        The problem.
    path : SaddlePath
        Its path.
    m : int
        Number of the plateau.
    tau : float
        A rescaled time on it.

    Returns
    -------
    tuple of float
        2 (1 - abs(s_i)), the least over inactive coordinates, and the rate of the slowest
        relaxation of active ones times the time since the jump.
    """
    x, passed = path.x[m], tau - path.times[m]
    on = x != 0
    rows = problem.dense()[:, on] * np.sqrt(np.abs(x[on]))
    relaxed = 2 * np.linalg.eigvalsh(rows.T @ rows).min() * passed
    score = path.score[m] + passed * path.drift[m]
    return float(2 * (1 - np.abs(score[~on]).max())), float(relaxed)


def forward_selection(problem: Problem) -> np.ndarray:
    """Return where orthogonal matching pursuit ends.

    Parameters
    ----------
    problem : Problem
        A x = y.

    Returns
    -------
    ndarray of shape (N,)
        The fit on columns that were chosen one after another, each as the one with the largest
        correlation with the residual, until that vanishes or M columns are chosen.
    """
    A, y = problem.dense(), problem.y
    chosen: list[int] = []
    x, residual = np.zeros(problem.N), y
    while len(chosen) < problem.M and np.linalg.norm(residual) > 1e-10 * np.linalg.norm(y):
        chosen.append(int(np.argmax(np.abs(A.T @ residual))))
        x = np.zeros(problem.N)
        x[chosen] = np.linalg.lstsq(A[:, chosen], y, rcond=None)[0]
        residual = y - A @ x
    return x


def measure_ends(M: int, N: int, s: int, instances: int, seed: int) -> dict[str, np.ndarray]:
    """Compare the ends of path and greedy selection with the minimiser of the l1 norm.

    Parameters
    ----------
    M, N, s : int
        Size of Gaussian problems.
    instances : int
        How many.
    seed : int
        Seed of the problems.

    Returns
    -------
    dict of str to ndarray
        A row for each problem: relative distances ``path`` and ``greedy`` from basis pursuit's
        minimiser, and how many coordinates ``left`` again on the way.
    """
    rows = []
    for source in np.random.SeedSequence(seed).spawn(instances):
        problem = gaussian_problem(M, N, s, seed=source)
        best = basis_pursuit(problem).x
        path, size = saddle_path(problem), np.linalg.norm(best)
        on = path.x != 0
        rows.append(
            {
                "path": np.linalg.norm(path.x[-1] - best) / size if path.success else np.nan,
                "greedy": np.linalg.norm(forward_selection(problem) - best) / size,
                "left": int(np.sum(on[:-1] & ~on[1:])),
            }
        )
    return from_rows(rows)

"""Tickets trained again: from the same start, from others, and with wrong signs: T8."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from deepfact import theory
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.saddle_path import saddle_path
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.pruning import flat_problem
from deepfact.experiments.staircase import model_at
from deepfact.experiments.tables import from_rows
from deepfact.limit import flow_limit
from deepfact.other_maps import TwoLayerMap
from deepfact.problem import Problem, gaussian_problem

__all__ = ["measure_retraining", "measure_wrong_signs", "sign_slopes", "ticket"]


def ticket(problem: Problem, mask: np.ndarray) -> Problem:
    """Return the problem on the coordinates of a mask.

    Parameters
    ----------
    problem : Problem
        The problem.
    mask : ndarray of bool of shape (N,)
        The mask.

    Returns
    -------
    Problem
        With the columns of the mask.
    """
    return Problem(problem.dense()[:, mask], problem.y)


def measure_retraining(
    M: int,
    N: int,
    s: int,
    instances: int,
    scales: list[list[float]],
    starts: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Compare the full flow's limit with that of its right ticket, rewound or not.

    Parameters
    ----------
    M, N, s : int
        Size of Gaussian problems.
    instances : int
        How many; those without a nondegenerate unique l1-minimiser are drawn again.
    scales : list of list of float
        Depth, and two values of log10 alpha, falling, of full training.
    starts : list of float
        Values of alpha from which the ticket is trained again.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each problem and depth: ``depth``, ``slope`` of the distance between the full
        limit and the ticket's, in log alpha; its ``predicted`` exponent, that of S7; ``guarantee``,
        the exponent L - 2 of S2 (0 at depth 2); ``rewound``, the largest relative difference of
        the ticket's limits from all starts and the signal; ``one_wrong``, the relative residual
        where one coordinate of the mask is another; for the positive model started with one wrong
        sign ``constrained``, the distance of its limit from that of least squares with these
        signs, and ``unrepaired``, its relative residual.
    """
    rows: list[dict] = []
    source = np.random.default_rng(seed)
    while len(rows) < instances * len(scales):
        problem = gaussian_problem(M, N, s, seed=source)
        try:
            exponents = [
                theory.first_order_correction(problem, problem.x_true, depth).exponent
                for depth, *_ in scales
            ]
        except ValueError:
            continue
        mask = problem.x_true != 0
        part, size = ticket(problem, mask), np.linalg.norm(problem.x_true)
        wrong = mask.copy()
        wrong[np.flatnonzero(mask)[0]], wrong[np.flatnonzero(~mask)[0]] = False, True
        for (depth, *log10_alphas), exponent in zip(scales, exponents, strict=True):
            distances, rewound = [], []
            for log10_alpha in log10_alphas:
                full = flow_limit(problem, model_at(depth, log10_alpha)).x
                again = flow_limit(part, model_at(depth, log10_alpha)).x
                distances.append(np.linalg.norm(full[mask] - again) + np.abs(full[~mask]).sum())
            for alpha in starts:
                again = flow_limit(part, model_at(depth, np.log10(alpha))).x
                rewound.append(np.linalg.norm(again - problem.x_true[mask]) / size)
            other = flow_limit(ticket(problem, wrong), model_at(depth, log10_alphas[-1]))
            slope, _ = fitted_slope(np.array(log10_alphas), np.log10(distances))
            rows.append(
                {
                    "depth": float(depth),
                    "slope": slope,
                    "predicted": exponent,
                    "guarantee": depth - 2.0,
                    "rewound": max(rewound),
                    "one_wrong": other.residual,
                    **_one_sign_wrong(part, problem.x_true[mask], depth, log10_alphas[-1]),
                }
            )
    return from_rows(rows)


def _one_sign_wrong(part, signal, depth, log10_alpha):
    """Train one product a coordinate, which keeps its sign, with the first sign wrong."""
    signs = np.sign(signal)
    signs[0] = -signs[0]
    A = part.dense() * signs
    limit = flow_limit(Problem(A, part.y), model_at(depth, log10_alpha, signed=False))
    best, _ = nnls(A, part.y)
    distance = np.linalg.norm(limit.x - best) / np.linalg.norm(signal)
    return {"constrained": distance, "unrepaired": limit.residual}


def measure_wrong_signs(
    M: int, s: int, instances: int, imbalance: float, log10_alphas: list[float], seed: int
) -> dict[str, np.ndarray]:
    """Train tickets of two unequal layers whose products start at alpha^2 with wrong signs.

    The first half of the coordinates starts with the wrong sign. The conserved imbalance of each
    pair is alpha^(2c). In units of log(1/alpha), a score must reach 1 towards the sign of the
    start, and 2 c - 1 towards the other one.

    Parameters
    ----------
    M, s : int
        Measurements, and size of the tickets, with entries 1 or -1.
    instances : int
        How many.
    imbalance : float
        c > 1.
    log10_alphas : list of float
        Values of log10 alpha, falling, with alpha^(2c) within doubles.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each problem and scale: ``problem``, ``log10_alpha``, ``imbalance`` c, ``time``
        when the loss is half of what it was before the last jump, in units of log(1/alpha),
        ``predicted`` by the path with these thresholds, and ``right``, by the one without wrong
        signs.
    """
    rows = []
    source = np.random.default_rng(seed)
    for k in range(instances):
        problem = flat_problem(M, s, s, source)
        start = problem.x_true.copy()
        start[: (s + 1) // 2] *= -1
        back = 2 * imbalance - 1
        thresholds = np.where(start > 0, 1.0, back), np.where(start < 0, 1.0, back)
        path = saddle_path(problem, thresholds=thresholds)
        losses = np.concatenate([[problem.y @ problem.y / 2], path.loss])
        middle = (losses[-2] + losses[-1]) / 2
        for log10_alpha in log10_alphas:
            clock = -log10_alpha * np.log(10)
            # x = (delta/2) sinh(2 w + d), delta = alpha^(2c), x(0) = +-alpha^2
            log_delta = -2 * imbalance * clock
            d = np.sign(start) * np.arcsinh(np.exp(np.log(2) - 2 * clock - log_delta))
            model = TwoLayerMap(np.full(s, log_delta - np.log(4)), d)
            taus = np.linspace(0, 1.3 * path.times[-1], 400)
            for _ in range(2):  # the second time finer where the loss crosses
                flow = gradient_flow(problem, model, taus * clock)
                last = int(np.flatnonzero(flow.loss > middle)[-1])
                here, there = taus[last], taus[last + 1]
                share = (flow.loss[last] - middle) / (flow.loss[last] - flow.loss[last + 1])
                fine = np.linspace(here, there, 200)
                taus = np.unique(np.concatenate([taus[: last + 2], fine]))
            rows.append(
                {
                    "problem": k,
                    "log10_alpha": float(log10_alpha),
                    "imbalance": float(imbalance),
                    "time": here + share * (there - here),
                    "predicted": path.times[-1],
                    "right": saddle_path(problem).times[-1],
                }
            )
    return from_rows(rows)


def sign_slopes(signs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit how fast the times of wrong signs tend to predicted ones, in log(1/alpha).

    Parameters
    ----------
    signs : dict of str to ndarray
        From `measure_wrong_signs`.

    Returns
    -------
    dict of str to ndarray
        One row: ``slope`` and ``half_width`` for the path with unequal thresholds, predicted to be
        -1, ``rival`` for that without wrong signs, ``instances``.
    """
    scales = np.unique(signs["log10_alpha"])
    place = np.log(-scales * np.log(10))
    slopes = []
    for name in ("predicted", "right"):
        errors = (signs["time"] / signs[name] - 1) ** 2
        logs = [0.5 * np.log(np.mean(errors[signs["log10_alpha"] == value])) for value in scales]
        slopes.append(fitted_slope(place, np.array(logs)))
    (slope, half), (rival, _) = slopes
    count = len(signs["time"])
    return from_rows([{"slope": slope, "half_width": half, "rival": rival, "instances": count}])

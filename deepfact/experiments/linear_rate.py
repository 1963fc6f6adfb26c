"""The guaranteed linear rate of overparameterised flows, and the limit of large init scales."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.near_limit import slowest_mode
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows, groups
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.statuses import require
from deepfact.theory import guaranteed_rate, lazy_distance, lazy_distance_correction

__all__ = ["lazy_slopes", "measure_decay", "measure_lazy", "measure_width"]

SETTLED = 1e-14
"""Losses are compared with their bound down to this part of the first one."""


def measure_decay(
    M: int,
    N: int,
    s: int,
    depths: list[float],
    alphas: list[float],
    instances: int,
    times: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Follow the loss of both models in units of the guaranteed rate.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros; the positive model has a problem of
        its own, with a nonnegative solution.
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales.
    instances : int
        Draws.
    times : int
        Recorded times.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each model, draw, depth, scale and time at which the loss is above rounding:
        ``signed``, ``draw``, ``depth``, ``alpha``; ``clock``, the guaranteed rate times the time,
        in the positive model half of it, as if its one product gave half of the rate; ``log_loss``,
        the logarithm of the loss over the first.

    Raises
    ------
    RuntimeError
        If a flow is not accurate.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        for signed in (True, False):
            problem = gaussian_problem(M, N, s, seed=stream, signed=signed)
            for L in depths:
                for alpha in alphas:
                    rate = guaranteed_rate(problem.dense(), L, alpha) * (1.0 if signed else 0.5)
                    clock = np.append(0.0, np.geomspace(1e-2, 30.0, times))
                    model = DeepFactorization(L, alpha, signed=signed)
                    flow = gradient_flow(problem, model, clock / rate)
                    require(flow)
                    log_loss = np.log(np.maximum(flow.loss / flow.loss[0], 1e-300))
                    rows += [
                        {
                            "signed": signed,
                            "draw": draw,
                            "depth": L,
                            "alpha": alpha,
                            "clock": at,
                            "log_loss": value,
                        }
                        for at, value in zip(clock[1:], log_loss[1:], strict=True)
                        if value > np.log(SETTLED)
                    ]
    return from_rows(rows)


def measure_lazy(
    M: int, N: int, s: int, depths: list[float], alphas: list[float], instances: int, seed: int
) -> dict[str, np.ndarray]:
    """Compare last rate and distance moved with their values for large init scales.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales, large.
    instances : int
        Draws.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each draw, depth and scale: ``excess``, the rate at which the loss decays at the
        limit over the guaranteed one, minus 1; ``moved``, the distance of all 2L factors from their
        start to their limit; ``predicted``, `lazy_distance`; ``deviation``, their relative
        difference without its sign, and ``correction``, its prediction.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        problem = gaussian_problem(M, N, s, seed=stream)
        A = problem.dense()
        least = np.linalg.pinv(A) @ problem.y
        for L in depths:
            for alpha in alphas:
                model = DeepFactorization(L, alpha)
                limit = flow_limit(problem, model)
                require(limit)
                rate, _ = slowest_mode(problem, model, limit.x)
                moved = _distance(A.T @ limit.dual, L, alpha)
                predicted = lazy_distance(least, L, alpha)
                rows.append(
                    {
                        "draw": draw,
                        "depth": L,
                        "alpha": alpha,
                        "excess": 2 * rate / guaranteed_rate(A, L, alpha) - 1,
                        "moved": moved,
                        "predicted": predicted,
                        "deviation": abs(moved / predicted - 1),
                        "correction": lazy_distance_correction(least, L, alpha),
                    }
                )
    return from_rows(rows)


def _distance(w, depth, alpha):
    """Return how far all 2L factors are from alpha where the dual variable is w."""
    if depth == 2:
        logs = np.array([w, -w])
    else:
        shift = (depth - 2) * alpha ** (depth - 2) * w
        logs = -np.log1p(np.array([-shift, shift])) / (depth - 2)
    return float(np.sqrt(depth) * alpha * np.linalg.norm(np.expm1(logs)))


def lazy_slopes(lazy: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the exponents of alpha at which rate and distance tend to their lazy values.

    Parameters
    ----------
    lazy : dict of str to ndarray
        From `measure_lazy`.

    Returns
    -------
    dict of str to ndarray
        A row for each draw and depth: fitted slopes of ``excess``, ``deviation`` and ``moved``.
    """
    return from_rows(
        [
            {
                "draw": draw,
                "depth": L,
                **{
                    name: fitted_slope(np.log(own["alpha"]), np.log(own[name]))[0]
                    for name in ("excess", "deviation", "moved")
                },
            }
            for draw, L, own in groups(lazy, "draw", "depth")
        ]
    )


def measure_width(
    M: int, ratios: list[float], alpha: float, instances: int, seed: int
) -> dict[str, np.ndarray]:
    """Fit the last rate of the loss of wide Gaussian problems at depth 2 and a large init scale.

    Parameters
    ----------
    M : int
        Measurements.
    ratios : list of float
        N/M, above 1.
    alpha : float
        Init scale, large.
    instances : int
        Draws for each ratio.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each ratio and draw: ``ratio``, ``draw``; ``rate``, the fitted decrease of
        log(loss) over 8 alpha^2; ``predicted``, which is (sqrt(N/M) - 1)^2.

    Raises
    ------
    RuntimeError
        If a flow is not accurate.
    """
    rows = []
    for k, ratio in enumerate(ratios):
        for draw, stream in enumerate(np.random.SeedSequence([seed, k]).spawn(instances)):
            problem = gaussian_problem(M, round(ratio * M), 1, seed=stream)
            unit = guaranteed_rate(problem.dense(), 2, alpha)
            # Late, when the slowest mode is alone: others have a rate larger by about a tenth.
            times = np.linspace(15.0, 25.0, 6) / unit
            flow = gradient_flow(problem, DeepFactorization(2, alpha), times, rtol=1e-11)
            require(flow)
            slope, _ = fitted_slope(times, np.log(flow.loss))
            rows.append(
                {
                    "ratio": ratio,
                    "draw": draw,
                    "rate": -slope / (8 * alpha**2),
                    "predicted": (np.sqrt(round(ratio * M) / M) - 1) ** 2,
                }
            )
    return from_rows(rows)

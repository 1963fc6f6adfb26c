"""Iterations of gradient descent on l_p regression against depth, with tuned and common steps."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows, select

__all__ = ["iterations_needed", "measure_tuned", "measure_units", "wins"]

BLOWN_UP = 1e6
"""A loss beyond this multiple of the first one counts as divergence."""


def iterations_needed(
    A: np.ndarray,
    y: np.ndarray,
    start: np.ndarray,
    power: float,
    depth: int,
    steps: np.ndarray,
    goal: float,
    most: int,
    first_only: bool = False,
) -> np.ndarray:
    """Count the iterations until the loss (1/n) sum |r_i|^p/p is ``goal`` times the first one.

    Gradient descent moves the layers of a balanced net with one hidden unit; its scalar layers stay
    equal. All step sizes run at once.

    Parameters
    ----------
    A : ndarray of shape (n, d)
        Data.
    y : ndarray of shape (n,)
        Labels.
    start : ndarray of shape (d,)
        End-to-end vector at the start.
    power : float
        Power p.
    depth : int
        Number K of layers.
    steps : ndarray of shape (S,)
        Step sizes.
    goal : float
        Part of the first loss to reach.
    most : int
        Largest number of iterations.
    first_only : bool, optional
        Stop when the first step size is done (default: False).

    Returns
    -------
    ndarray of shape (S,)
        Iterations, infinite where the goal was not reached.
    """
    steps, root = np.asarray(steps)[:, None], np.linalg.norm(start) ** (1 / depth)
    v = np.tile(start / np.linalg.norm(start) * root, (len(steps), 1))
    a = np.full((len(steps), 1), root if depth > 1 else 1.0)
    if depth == 1:
        v = np.tile(start, (len(steps), 1))
    needed, first = np.full(len(steps), np.inf), None
    active = np.arange(len(steps))
    for k in range(most + 1):
        w = a ** (depth - 1) * v
        residual = w @ A.T - y
        loss = np.mean(np.abs(residual) ** power, axis=1) / power
        first = loss[0] if first is None else first
        done = loss <= goal * first
        needed[active[done]] = k
        go_on = ~done & (loss <= BLOWN_UP * first)  # a large step leaves before it overflows
        if not go_on.any() or (first_only and done.any()):
            break
        active, v, a, residual = active[go_on], v[go_on], a[go_on], residual[go_on]
        eta = steps[active]
        g = np.sign(residual) * np.abs(residual) ** (power - 1) @ A / len(y)
        along = np.sum(v * g, axis=1, keepdims=True)
        v, a = (
            v - eta * a ** (depth - 1) * g,
            a - eta * a ** max(depth - 2, 0) * along * (depth > 1),
        )
    return needed


def _draw(samples, d, spread, stream):
    rng = np.random.default_rng(stream)
    A = rng.standard_normal((samples, d)) * np.linspace(1, spread, d)
    return A, A @ rng.standard_normal(d)


def measure_tuned(
    samples: int,
    d: int,
    powers: list[float],
    depths: list[int],
    instances: int,
    seed: int,
    spread: float = 3.0,
    start: float = 0.01,
    log10_steps: tuple[float, float] = (-4.0, 0.0),
    grid: int = 34,
    goal: float = 1e-6,
    most: int = 50_000,
) -> dict[str, np.ndarray]:
    """Count iterations at the best step size of a grid, for each power, depth and draw.

    Parameters
    ----------
    samples, d : int
        Shape of the Gaussian data; labels are exact, A w with a normal vector w.
    powers : list of float
        Powers p of the loss.
    depths : list of int
        Numbers K of layers, 1 among them.
    instances : int
        Draws of the data.
    seed : int
        Seed.
    spread : float, optional
        Columns are scaled from 1 to this (default: 3).
    start : float, optional
        Norm of the end-to-end vector at the start, along A^T y (default: 0.01).
    log10_steps : tuple of float, optional
        Smallest and largest step size, as log10 (default: -4 and 0).
    grid : int, optional
        Number of step sizes, log-spaced (default: 34).
    goal : float, optional
        Part of the first loss to reach (default: 1e-6).
    most : int, optional
        Largest number of iterations (default: 50 000).

    Returns
    -------
    dict of str to ndarray
        A row for each draw, power and depth: ``step``, the best one, ``iterations`` with it, and
        ``ratio``, the iterations of depth 1 over those.
    """
    steps = np.logspace(*log10_steps, grid)
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        A, y = _draw(samples, d, spread, stream)
        direction = y @ A
        w0 = start * direction / np.linalg.norm(direction)
        for p in powers:
            one = None
            for K in sorted(depths):
                needed = iterations_needed(A, y, w0, p, int(K), steps, goal, most, True)
                best = int(np.argmin(needed))
                one = needed[best] if one is None else one
                rows.append(
                    {
                        "draw": draw,
                        "power": p,
                        "depth": K,
                        "step": steps[best],
                        "iterations": needed[best],
                        "ratio": one / needed[best],
                    }
                )
    return from_rows(rows)


def measure_units(
    samples: int,
    d: int,
    depths: list[int],
    units: list[float],
    instances: int,
    seed: int,
    spread: float = 3.0,
    start: float = 0.1,
    step: float = 0.3,
    goal: float = 1e-4,
    most: int = 200_000,
) -> dict[str, np.ndarray]:
    """Count iterations of l2 regression with one step size for all depths, in several units of y.

    Parameters
    ----------
    samples, d : int
        Shape of the data, drawn as in `measure_tuned`.
    depths : list of int
        Numbers K of layers, 1 among them.
    units : list of float
        Norms of the vector behind the labels, at least two.
    instances : int
        Draws of the data.
    seed : int
        Seed.
    spread : float, optional
        Columns are scaled from 1 to this (default: 3).
    start : float, optional
        Norm of the end-to-end vector at the start, in the same units (default: 0.1).
    step : float, optional
        The step size, as a part of 1/(largest eigenvalue of the Hessian) and over the square of the
        largest unit, so that every depth is stable (default: 0.3).
    goal : float, optional
        Part of the first loss to reach (default: 1e-4).
    most : int, optional
        Largest number of iterations (default: 200 000).

    Returns
    -------
    dict of str to ndarray
        A row for each draw, unit and depth above 1: ``log_ratio``, the logarithm of the iterations
        of depth 1 over those of the depth, and ``slope``, its fitted slope in the logarithm of the
        unit, for that draw and depth.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        A, y = _draw(samples, d, spread, stream)
        size = np.linalg.norm(np.linalg.pinv(A) @ y)
        direction = y @ A
        direction /= np.linalg.norm(direction)
        eta = step * samples / np.linalg.norm(A, 2) ** 2 / max(units) ** 2
        counts = np.array(
            [
                [
                    iterations_needed(
                        A, u * y / size, u * start * direction, 2, int(K), [eta], goal, most
                    )[0]
                    for u in units
                ]
                for K in sorted(depths)
            ]
        )
        for K, count in zip(sorted(depths)[1:], counts[1:], strict=True):
            logs = np.log(counts[0]) - np.log(count)
            slope, _ = fitted_slope(np.log(units), logs)
            rows += [
                {"draw": draw, "unit": u, "depth": K, "log_ratio": log, "slope": slope}
                for u, log in zip(units, logs, strict=True)
            ]
    return from_rows(rows)


def wins(tuned: dict[str, np.ndarray], power: float, depth: int) -> tuple[int, int]:
    """Count the draws on which depth needs fewer iterations, and all draws.

    Parameters
    ----------
    tuned : dict of str to ndarray
        From `measure_tuned`.
    power : float
        Power p of the loss.
    depth : int
        Number K of layers.

    Returns
    -------
    tuple of int
        Draws won, and draws.
    """
    own = select(tuned, power=power, depth=depth)["ratio"]
    return int(np.sum(own > 1)), len(own)

"""Two-layer ReLU nets of many widths, trained from many starts, beside their convex optimum."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.tables import from_rows, groups
from deepfact.experiments.transition_fits import binomial_interval
from deepfact.lifting.relu_net import NetOptimum, convex_net, gated_value, net_value, train_nets

__all__ = ["draw_data", "measure_nets", "measure_shares", "start_nets"]


def draw_data(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw noisy samples of a wave, y = 2 sin(4 x) + 0.3 e with normal e.

    Parameters
    ----------
    n : int
        Number of samples.
    rng : Generator
        Source of randomness.

    Returns
    -------
    X : ndarray of shape (n, 2)
        Uniform numbers in [-1, 1], sorted, and a column of ones for the bias.
    y : ndarray of shape (n,)
        Labels.
    """
    x = np.sort(rng.uniform(-1, 1, n))
    return np.column_stack([x, np.ones(n)]), 2 * np.sin(4 * x) + 0.3 * rng.standard_normal(n)


def start_nets(runs: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw balanced nets: u_k normal of variance 1/width, a_k = +- |u_k|.

    Parameters
    ----------
    runs, width : int
        Number of nets and of their neurons.
    rng : Generator
        Source of randomness.

    Returns
    -------
    hidden : ndarray of shape (runs, width, 2)
        Input weights.
    output : ndarray of shape (runs, width)
        Output weights.
    """
    hidden = rng.standard_normal((runs, width, 2)) / np.sqrt(width)
    signs = rng.choice([-1.0, 1.0], (runs, width))
    return hidden, signs * np.linalg.norm(hidden, axis=2)


def measure_nets(
    n: int,
    penalty: float,
    widths: list[int],
    runs: int,
    steps: int,
    step: float,
    instances: int,
    points: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Train nets and solve the convex program on the same data.

    Parameters
    ----------
    n : int
        Samples.
    penalty : float
        beta, of weight decay.
    widths : list of int
        Numbers of neurons.
    runs : int
        Starts for each width.
    steps : int
        Steps of gradient descent, see `train_nets`.
    step : float
        Size of the first of them.
    instances : int
        Number of data sets.
    points : int
        Places at which the functions of the first data set are recorded.
    seed : int
        Source of randomness: one spawned stream for each data set.

    Returns
    -------
    runs : dict of str to ndarray
        A row for each run: ``draw``, ``width``; ``excess``, its value less the optimum, over the
        optimum; ``above``, its value less the certified lower bound, over the optimum.
    optima : dict of str to ndarray
        A row for each data set: ``draw``, ``value``, ``gap`` (over the value), ``neurons``, and
        ``gated``, the value of the program without its constraints, over the value.
    functions : dict of str to ndarray
        ``name``, ``x``, ``y``: the first data set, its optimum, and for each width the
        run with the median value.
    """
    table, optima, functions = [], [], []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        rng = np.random.default_rng(stream)
        X, y = draw_data(n, rng)
        best = convex_net(X, y, penalty)
        gap = (best.value - best.lower_bound) / best.value
        gated = gated_value(X, y, penalty) / best.value
        row = {"draw": draw, "value": best.value, "gap": gap, "neurons": best.width}
        optima.append({**row, "gated": gated})
        grid = np.linspace(-1, 1, points)
        if draw == 0:
            functions += [{"name": "data", "x": a, "y": b} for a, b in zip(X[:, 0], y, strict=True)]
            functions += _function("optimum", grid, best.hidden, best.output)
        for width in widths:
            hidden, output = train_nets(X, y, penalty, *start_nets(runs, width, rng), steps, step)
            nets = list(zip(hidden, output, strict=True))
            values = np.array([net_value(X, y, penalty, u, a) for u, a in nets])
            table += _rows(draw, width, values, best)
            if draw == 0:
                middle = np.argsort(values)[len(values) // 2]
                functions += _function(f"width {width}", grid, *nets[middle])
    return from_rows(table), from_rows(optima), from_rows(functions)


def _rows(draw: int, width: int, values: np.ndarray, best: NetOptimum) -> list[dict]:
    return [
        {
            "draw": draw,
            "width": width,
            "excess": (value - best.value) / best.value,
            "above": (value - best.lower_bound) / best.value,
        }
        for value in values
    ]


def _function(name, grid, hidden, output):
    values = np.maximum(np.column_stack([grid, np.ones_like(grid)]) @ hidden.T, 0.0) @ output
    return [{"name": name, "x": x, "y": y} for x, y in zip(grid, values, strict=True)]


def measure_shares(runs: dict[str, np.ndarray], reached: float) -> dict[str, np.ndarray]:
    """Count the runs that reach the optimum, all data sets together.

    Parameters
    ----------
    runs : dict
        Of `measure_nets`.
    reached : float
        Excess over the optimum, relative to it, that counts as reaching it.

    Returns
    -------
    dict of str to ndarray
        For each width ``width``, ``share``, and ``lower`` and ``upper``, the ends of its exact 95 %
        interval.
    """
    rows = []
    for width, own in groups(runs, "width"):
        count, trials = np.sum(own["excess"] <= reached), len(own["excess"])
        lower, upper = binomial_interval(count, trials)
        row = {"width": width, "share": count / trials}
        rows.append({**row, "lower": float(lower), "upper": float(upper)})
    return from_rows(rows)

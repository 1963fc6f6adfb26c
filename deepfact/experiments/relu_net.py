"""Two-layer ReLU nets of growing width against the prediction of their kernel."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows, groups
from deepfact.theory import kernel_distance, kernel_residuals, relu_kernel

__all__ = ["QUANTITIES", "measure_nets", "measure_training", "train", "width_slopes"]

QUANTITIES = ("neuron", "flipped", "relative", "deviation")
"""What falls like m^(-1/2)."""


def train(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, step: float, iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train the first layer of f(x) = m^(-1/2) sum a_r relu(w_r . x) from an antisymmetric start.

    Each row of ``weights`` starts two neurons, with a = 1 and a = -1, so that f = 0 at first. The
    loss is 1/2 sum (f(x_i) - y_i)^2.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Inputs.
    y : ndarray of shape (n,)
        Labels.
    weights : ndarray of shape (m/2, d)
        First layer of the neurons with a = 1.
    step : float
        Step size.
    iterations : int
        Steps K.

    Returns
    -------
    residuals : ndarray of shape (K + 1, n)
        Outputs minus labels.
    start, end : ndarray of shape (m, d)
        The first layer before and after.
    """
    half = len(weights)
    start = np.vstack([weights, weights])
    sign = np.repeat([1.0, -1.0], half) / np.sqrt(2 * half)
    W, residuals = start.copy(), []
    for k in range(iterations + 1):
        hidden = X @ W.T
        residuals.append(np.maximum(hidden, 0.0) @ sign - y)
        if k < iterations:
            W -= step * ((hidden > 0) * residuals[-1][:, None] * sign).T @ X
    return np.array(residuals), start, W


def _draw(n, d, width, stream):
    rng = np.random.default_rng(stream)
    X = rng.standard_normal((n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = rng.choice([-1.0, 1.0], n)
    H = relu_kernel(X)
    values = np.linalg.eigvalsh(H)
    return X, y, H, values, rng.standard_normal((width // 2, d))


def measure_nets(
    n: int,
    d: int,
    widths: list[int],
    instances: int,
    seed: int,
    step: float = 0.9,
    left: float = 1e-3,
    patience: int = 4,
) -> dict[str, np.ndarray]:
    """Train nets of several widths on random labels and compare them with the kernel.

    Parameters
    ----------
    n, d : int
        Number and length of the inputs, drawn on the sphere; labels are random signs.
    widths : list of int
        Numbers m of neurons, even.
    instances : int
        Draws of data and weights.
    seed : int
        Seed.
    step : float, optional
        Step size, as a part of 1/lambda_max(H) (default: 0.9).
    left : float, optional
        Part of the slowest mode that the kernel leaves at the end (default: 1e-3).
    patience : int, optional
        The last loss is that after this many times as many steps (default: 4).

    Returns
    -------
    dict of str to ndarray
        A row for each draw and width: ``neuron``, the largest distance that a neuron moves;
        ``flipped``, the share of gates that change; ``relative``, |W - W_0|/|W_0|; ``deviation``,
        the largest distance over all steps between the residuals and the kernel's, over |y|;
        ``distance``, |W - W_0|, ``predicted``, the kernel's, and ``worst``, the largest one for
        labels of this norm; ``loss``, the loss over the first one at the kernel's end, and
        ``last``, the last one; ``least``, lambda_min(H); ``n``.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        X, y, H, values, weights = _draw(n, d, max(widths), stream)
        eta = step / values[-1]
        iterations = int(np.ceil(np.log(left) / np.log1p(-eta * values[0])))
        expected = kernel_residuals(H, y, eta, iterations)
        for m in widths:
            residuals, start, end = train(X, y, weights[: m // 2], eta, iterations)
            moved = end - start
            last = train(X, y, weights[: m // 2], eta, patience * iterations)[0][-1]
            rows.append(
                {
                    "draw": draw,
                    "width": m,
                    "neuron": np.linalg.norm(moved, axis=1).max(),
                    "flipped": np.mean((X @ start.T > 0) != (X @ end.T > 0)),
                    "relative": np.linalg.norm(moved) / np.linalg.norm(start),
                    "deviation": np.linalg.norm(residuals - expected, axis=1).max()
                    / np.linalg.norm(y),
                    "distance": np.linalg.norm(moved),
                    "predicted": kernel_distance(H, y, eta, iterations),
                    "worst": np.linalg.norm(y) / np.sqrt(values[0]),
                    "loss": np.sum(residuals[-1] ** 2) / np.sum(y**2),
                    "last": np.sum(last**2) / np.sum(y**2),
                    "least": values[0],
                    "n": n,
                }
            )
    return from_rows(rows)


def measure_training(
    n: int, d: int, widths: list[int], seed: int, step: float = 0.9, left: float = 1e-3
) -> dict[str, np.ndarray]:
    """Return the loss during training for one draw, beside the kernel's.

    Parameters
    ----------
    n, d : int
        As in `measure_nets`, whose first draw it is.
    widths : list of int
        Numbers m of neurons.
    seed : int
        Seed.
    step : float, optional
        Step size, as a part of 1/lambda_max(H) (default: 0.9).
    left : float, optional
        Part of the slowest mode that the kernel leaves at the end (default: 1e-3).

    Returns
    -------
    dict of str to ndarray
        A row for each width, infinity for the kernel, and about 60 log-spaced steps: ``width``,
        ``step``, and ``loss``, over the first one.
    """
    (stream,) = np.random.SeedSequence(seed).spawn(1)
    X, y, H, values, weights = _draw(n, d, max(widths), stream)
    eta = step / values[-1]
    iterations = int(np.ceil(np.log(left) / np.log1p(-eta * values[0])))
    curves = {np.inf: kernel_residuals(H, y, eta, iterations)}
    for m in widths:
        curves[m] = train(X, y, weights[: m // 2], eta, iterations)[0]
    marks = np.unique(np.geomspace(1, iterations, 60).astype(int))
    return from_rows(
        [
            {"width": float(m), "step": k, "loss": np.sum(residuals[k] ** 2) / (y @ y)}
            for m, residuals in curves.items()
            for k in marks
        ]
    )


def width_slopes(nets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the exponents of the width, for the geometric means over draws.

    Parameters
    ----------
    nets : dict of str to ndarray
        From `measure_nets`.

    Returns
    -------
    dict of str to ndarray
        A row for each of `QUANTITIES` and for ``distance``: ``quantity``, ``slope`` and
        ``half_width`` of its 95 % interval.
    """
    widths = [m for m, _ in groups(nets, "width")]
    rows = []
    for name in (*QUANTITIES, "distance"):
        means = [np.mean(np.log(own[name])) for _, own in groups(nets, "width")]
        slope, half = fitted_slope(np.log(widths), means)
        rows.append({"quantity": name, "slope": slope, "half_width": half})
    return from_rows(rows)

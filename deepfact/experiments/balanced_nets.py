"""Limits of deep linear nets whose layers are integrated, and of diagonal nets beside them."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from deepfact.experiments.fits import fitted_slope, relative_error
from deepfact.experiments.instances import model_of_depth
from deepfact.experiments.tables import from_rows, groups
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.statuses import require
from deepfact.theory import balanced_limit, end_to_end_dual

__all__ = ["balanced_layers", "integrate_layers", "limit_slopes", "measure_limits"]

SETTLED = 1e-11
"""Integration ends at this part of the data's norm."""


def balanced_layers(
    w: np.ndarray, depth: int, width: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return balanced layers W_1, ..., W_K with end-to-end vector w and random hidden directions.

    Parameters
    ----------
    w : ndarray of shape (d,)
        The end-to-end vector.
    depth : int
        Number K >= 1 of layers.
    width : int
        Hidden units of each layer.
    rng : Generator
        Source of randomness.

    Returns
    -------
    list of ndarray
        Layers of shapes (width, d), (width, width), ..., (1, width).
    """
    size = np.linalg.norm(w)
    hidden = [rng.standard_normal(width) for _ in range(depth - 1)]
    ends = [w / size, *(h / np.linalg.norm(h) for h in hidden), np.ones(1)]
    root = size ** (1 / depth)
    return [root * np.outer(ends[k + 1], ends[k]) for k in range(depth)]


def integrate_layers(
    A: np.ndarray, y: np.ndarray, layers: list[np.ndarray], rtol: float
) -> tuple[np.ndarray, float]:
    """Integrate gradient flow of 1/2 |A w - y|^2 on all entries of all layers until it settles.

    Parameters
    ----------
    A : ndarray of shape (M, d)
        Measurements.
    y : ndarray of shape (M,)
        Data.
    layers : list of ndarray
        W_1, ..., W_K; the last one has one row.
    rtol : float
        Relative tolerance of each step.

    Returns
    -------
    w : ndarray of shape (d,)
        The end-to-end vector at the end.
    residual : float
        |A w - y|/|y| there.

    Raises
    ------
    RuntimeError
        If the flow has not settled by the last time.
    """
    shapes = [layer.shape for layer in layers]
    ends = np.cumsum([0] + [layer.size for layer in layers])
    goal = SETTLED * np.linalg.norm(y)

    def parts(z):
        pairs = zip(ends[:-1], ends[1:], shapes, strict=True)
        return [z[a:b].reshape(shape) for a, b, shape in pairs]

    def chain(z):
        """Return W_k ... W_1 for every k, from the empty product on."""
        before = [np.eye(A.shape[1])]
        for layer in parts(z):
            before.append(layer @ before[-1])
        return before

    def velocity(_, z):
        before, after, changes = chain(z), np.ones((1, 1)), []
        gradient = (A @ before[-1][0] - y) @ A
        for layer, inner in zip(parts(z)[::-1], before[-2::-1], strict=True):
            changes.append(-after.T @ (gradient[None] @ inner.T))
            after = after @ layer
        return np.concatenate([change.ravel() for change in changes[::-1]])

    def settled(_, z):
        return np.linalg.norm(A @ chain(z)[-1][0] - y) - goal

    settled.terminal = True  # type: ignore[attr-defined]
    start = np.concatenate([layer.ravel() for layer in layers])
    atol = 1e-3 * rtol * np.abs(start).max()
    path = solve_ivp(
        velocity, (0.0, 1e9), start, method="DOP853", rtol=rtol, atol=atol, events=settled
    )
    if path.status != 1:
        raise RuntimeError(f"the flow of the layers has not settled: {path.message}")
    w = chain(path.y[:, -1])[-1][0]
    return w, float(np.linalg.norm(A @ w - y) / np.linalg.norm(y))


def measure_limits(
    M: int,
    d: int,
    width: int,
    depths: list[int],
    starts: list[float],
    instances: int,
    seed: int,
    rtol: float = 1e-13,
) -> dict[str, np.ndarray]:
    """Integrate balanced nets to their limits, and find those of diagonal nets of the same depth.

    Parameters
    ----------
    M, d : int
        Measurements and unknowns, M < d; Gaussian, with a dense vector behind the data.
    width : int
        Hidden units.
    depths : list of int
        Numbers of layers, at least 2.
    starts : list of float
        Norms |w_0| of the end-to-end vector at the start; the products of diagonal nets start there
        too, coordinate by coordinate.
    instances : int
        Draws.
    seed : int
        Seed.
    rtol : float, optional
        Relative tolerance of the integrator (default: 1e-13).

    Returns
    -------
    dict of str to ndarray
        A row for each draw, depth and start. Relative to |w_LS|: ``distance``, of the net's limit
        to the solution of least norm; ``predicted``, the same of `balanced_limit`; ``diagonal``,
        that of the diagonal net's limit. ``error``, relative distance of the net's limit to
        `balanced_limit`; ``euclidean``, to the solution nearest to w_0; ``stationarity``, the part
        of the moved dual variable that A does not see, over the whole; ``euclidean_stationarity``,
        the same for w itself in place of the dual variable.

    Raises
    ------
    RuntimeError
        If a flow does not settle or a limit is not found.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        rng = np.random.default_rng(stream)
        A = gaussian_problem(M, d, 1, seed=rng).dense()
        y = A @ rng.standard_normal(d)
        inverse = np.linalg.pinv(A)
        least = inverse @ y
        # A start that sees the data: from one that points away the flow passes close to w = 0.
        direction = rng.standard_normal(d)
        direction *= np.sign(direction @ least)
        direction /= np.linalg.norm(direction)
        size = np.linalg.norm(least)

        def hidden(v, A=A, inverse=inverse):
            return np.linalg.norm(v - inverse @ (A @ v)) / np.linalg.norm(v)

        for K in depths:
            for start in starts:
                w0 = start * direction
                w, _ = integrate_layers(A, y, balanced_layers(w0, K, width, rng), rtol)
                exact = balanced_limit(A, y, w0, K)
                plain = w0 + inverse @ (y - A @ w0)
                diagonal = flow_limit(Problem(A, y), model_of_depth(K, start))
                require(diagonal)
                rows.append(
                    {
                        "draw": draw,
                        "depth": K,
                        "start": start,
                        "distance": np.linalg.norm(w - least) / size,
                        "predicted": np.linalg.norm(exact - least) / size,
                        "diagonal": np.linalg.norm(diagonal.x - least) / size,
                        "error": relative_error(w, exact),
                        "euclidean": relative_error(w, plain),
                        "stationarity": hidden(end_to_end_dual(w, K) - end_to_end_dual(w0, K)),
                        "euclidean_stationarity": hidden(w - w0),
                    }
                )
    return from_rows(rows)


def limit_slopes(limits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit log distance against log |w_0| at the smaller half of the starts.

    Parameters
    ----------
    limits : dict of str to ndarray
        From `measure_limits`, with at least four starts.

    Returns
    -------
    dict of str to ndarray
        A row for each draw and depth: ``slope`` of the net's distance to the solution of least
        norm, ``predicted``, which is 1/K, and ``diagonal``, the slope of the diagonal net.
    """
    rows = []
    for draw, K, own in groups(limits, "draw", "depth"):
        small = own["start"] <= np.median(own["start"])
        x = np.log(own["start"][small])
        slopes = [fitted_slope(x, np.log(own[n][small]))[0] for n in ("distance", "diagonal")]
        rows.append(
            {
                "draw": draw,
                "depth": K,
                "slope": slopes[0],
                "predicted": 1 / K,
                "diagonal": slopes[1],
            }
        )
    return from_rows(rows)

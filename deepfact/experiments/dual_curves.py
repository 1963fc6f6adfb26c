"""The curves of the figure of the dual picture: two measurements, trajectories, barrier path."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.approach import approach_limit
from deepfact.experiments.instances import model_of_depth
from deepfact.experiments.tables import groups, select
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem

__all__ = ["dual_polygon", "measure_curves", "plane_problem", "scaled_dual"]

PLANE_START = 1e-3
"""alpha^L of the trajectories with two measurements: large enough to leave the wall at L = 3."""


def dual_polygon(A: np.ndarray) -> np.ndarray:
    """Return the corners of {eta in R^2 : |A^T eta| <= 1}, in order around it.

    Parameters
    ----------
    A : ndarray of shape (2, N)
        Matrix of rank 2.

    Returns
    -------
    ndarray of shape (K, 2)
        The corners.
    """
    both = np.hstack([A, -A])
    corners = []
    for i in range(both.shape[1]):
        for j in range(i):
            pair = both[:, [i, j]].T
            if abs(np.linalg.det(pair)) > 1e-12:
                corner = np.linalg.solve(pair, np.ones(2))
                if np.max(both.T @ corner) <= 1 + 1e-9:
                    corners.append(corner)
    corners = np.array(corners)
    return corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]


def plane_problem() -> Problem:
    """Return a problem of two measurements and five unknowns, whose dual variable can be seen.

    Returns
    -------
    Problem
        With columns of several lengths and directions, and y from the first two.
    """
    angles = np.array([0.15, 0.75, 1.35, 2.0, 2.65])
    flat = np.array([1.0, 0.85, 1.0, 0.9, 0.8]) * np.array([np.cos(angles), np.sin(angles)])
    return Problem(flat, flat @ [1.2, 0.15, 0.0, 0.0, 0.0])


def scaled_dual(model: DeepFactorization, dual: np.ndarray) -> np.ndarray:
    """Scale nu such that it tends to the feasible set |A^T eta| <= 1 of the dual.

    Parameters
    ----------
    model : DeepFactorization
        The model, of depth at least 2.
    dual : ndarray
        The dual variables nu.

    Returns
    -------
    ndarray
        (L - 2) alpha^(L-2) nu; at depth 2, which has no wall, 2 nu/log(1/alpha^2).
    """
    rate = np.exp(model.log_rate)
    return dual * (rate * model.theta if model.depth > 2 else -rate / model.log_product)


def measure_curves(
    M: int,
    N: int,
    s: int,
    start: float,
    depths: list[float],
    path: dict[str, np.ndarray],
    seed: int,
    certified_depth: float = 3,
) -> dict[str, np.ndarray]:
    """Compute the curves of the figure.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problem whose trajectories are drawn, and number of nonzeros.
    start : float
        alpha^L, each product at time 0, for every depth.
    depths : list of float
        Depths; 1 and infinity are allowed.
    path : dict
        Of `dual_picture.measure_barrier`, for problems of the same size.
    seed : int
        Seed of the Gaussian problem.
    certified_depth : float, optional
        Depth of the trajectory whose certificate is drawn (default: 3).

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, "a" to "d"; ``depth``, NaN for the polygon; ``start``, alpha^L,
        NaN where the curve runs over it; ``series``; ``x`` and ``y``; and ``barrier``, N' mu over
        the Q of the Gaussian problem in panel "d", NaN elsewhere.
    """
    columns = {name: [] for name in ("panel", "depth", "start", "series", "x", "y", "barrier")}

    def add(panel, depth, at, series, x, y, barrier=np.nan):
        values = (panel, float(depth), at, series, x, y, barrier)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(np.broadcast_to(np.asarray(value), np.shape(x)))

    plane = plane_problem()
    corners = dual_polygon(plane.dense())
    add("a", np.nan, np.nan, "polygon", *np.vstack([corners, corners[:1]]).T)
    for depth in (2, 3, np.inf):
        model = model_of_depth(depth, PLANE_START)
        run = approach_limit(plane, model, 300)
        add("a", depth, PLANE_START, "flow", *scaled_dual(model, run["path"].dual).T)
    models = [DeepFactorization(np.inf, mu) for mu in 10.0 ** -np.arange(7)]
    eta = np.array([scaled_dual(model, flow_limit(plane, model).dual) for model in models])
    add("a", np.inf, np.nan, "central path", *eta.T)

    problem = gaussian_problem(M, N, s, seed=seed)
    best = basis_pursuit(problem)
    for depth in depths:
        run = approach_limit(problem, model_of_depth(depth, start), 120)
        t = run["path"].times[1:]
        add("b", depth, start, "distance", t, run["distance"][1:])
        if depth == certified_depth:
            norm = np.abs(run["path"].x[1:]).sum(axis=1) / best.value
            add("c", depth, start, "norm of x / Q", t, norm)
            add("c", depth, start, "lower bound / Q", t, run["lower_bound"][1:] / best.value)

    by_mu = groups(select(path, signed=True), "mu")
    mus = np.array([mu for mu, _ in by_mu])
    for name, series in (
        ("above", "above, median"),
        ("below", "below, median"),
        ("gap", "gap / (N' mu), median"),
    ):
        values = np.array([np.median(own[name]) for _, own in by_mu])
        add("d", np.inf, np.nan, series, mus, values, 2 * N * mus / best.value)
    return {name: np.concatenate(column) for name, column in columns.items()}

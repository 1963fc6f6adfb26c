"""From the least l2 norm to the least l1 norm: what the size of the start does (D5)."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.tables import from_rows, groups, join
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.statuses import require
from deepfact.theory import kernel_distance_bound

__all__ = ["ball", "checks", "measure_limits", "measure_shapes"]


def measure_shapes(
    init_scales: list[float], depths: list[float], points: int
) -> dict[str, np.ndarray]:
    """Evaluate D_F(z, x(0)) of one unknown, over its value at z = 1.

    Parameters
    ----------
    init_scales : list of float
        Values of alpha.
    depths : list of float
        Numbers L of factors, at least 2.
    points : int
        Number K of values of z, evenly spaced from 1/K to 1.

    Returns
    -------
    dict of str to ndarray
        ``depth``, ``init_scale``, ``z``, ``scaled``.
    """
    z = np.arange(1, points + 1) / points
    tables = []
    for depth in depths:
        for alpha in init_scales:
            divergence = DeepFactorization(depth, alpha).divergence(z, np.zeros(points))
            columns = {"depth": float(depth), "init_scale": alpha, "z": z}
            columns["scaled"] = divergence / divergence[-1]
            tables.append({name: np.broadcast_to(v, points) for name, v in columns.items()})
    return join(*tables)


def measure_limits(
    init_scales: list[float], depths: list[float], slope: float, many: int, size: float
) -> dict[str, np.ndarray]:
    """Compute limits of one measurement: of two unknowns, and of one large and many small entries.

    Both measurements are scaled such that the solution of least l1 norm is (1, 0, ..., 0).

    Parameters
    ----------
    init_scales : list of float
        Values of alpha.
    depths : list of float
        Numbers L of factors, at least 2.
    slope : float
        The plane's measurement is z_1 + slope * z_2 = 1, with 0 < slope < 1.
    many : int
        Number of small entries of the other measurement, z_1 + size * (z_2 + ...) = 1.
    size : float
        Their size, below 1.

    Returns
    -------
    dict of str to ndarray
        A row for each limit: ``depth``, ``init_scale``, ``case`` ("plane" or "many"), ``slope``
        (that of the case), ``first`` and ``second`` entry of the limit, ``shortest``, the least l2
        norm; ``distance`` to the solution of that norm; ``l1_gap``, norm over the least one;
        ``bound``, D5's on the distance.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    cases = {"plane": np.array([1.0, slope]), "many": np.append(1.0, np.full(many, size))}
    for case, measurement in cases.items():
        problem = Problem(measurement[None, :], np.ones(1))
        shortest = measurement / (measurement @ measurement)
        for depth in depths:
            for alpha in init_scales:
                limit = flow_limit(problem, DeepFactorization(depth, alpha))
                require(limit)
                rows.append(
                    {
                        "depth": float(depth),
                        "init_scale": alpha,
                        "case": case,
                        "slope": measurement[1],
                        "first": limit.x[0],
                        "second": limit.x[1],
                        "shortest": np.linalg.norm(shortest),
                        "distance": np.linalg.norm(limit.x - shortest),
                        "l1_gap": limit.l1_norm - 1.0,
                        "bound": kernel_distance_bound(limit.x, depth, alpha),
                    }
                )
    return from_rows(rows)


def ball(model: DeepFactorization, point: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return the curve of the plane's first quadrant on which D_F(z, x(0)) is that of a point.

    Parameters
    ----------
    model : DeepFactorization
        A signed model.
    point : ndarray of shape (2,)
        A point of the curve, not 0.
    angles : ndarray of shape (K,)
        Directions in which to look, from 0 to pi/2.

    Returns
    -------
    ndarray of shape (K, 2)
        The points.
    """
    level = np.sum(model.divergence(point, np.zeros(2)))
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    low, high = np.zeros(len(angles)), np.full(len(angles), 2 * np.sum(np.abs(point)))
    for _ in range(60):  # to rounding
        middle = (low + high) / 2
        z = middle[:, None] * directions
        below = np.sum(model.divergence(z, np.zeros_like(z)), axis=1) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low[:, None] * directions


def checks(shapes: dict[str, np.ndarray], limits: dict[str, np.ndarray]) -> list[Claim]:
    """Return what shapes and limits say about D5.

    Parameters
    ----------
    shapes : dict
        Of `measure_shapes`.
    limits : dict
        Of `measure_limits`.

    Returns
    -------
    list of Claim
        Two of D5, each with its rival.
    """
    inside, steeper, flatter = [], [], []
    for *_, own in groups(shapes, "depth", "init_scale"):
        z, scaled = own["z"][:-1], own["scaled"][:-1]  # both sides are 1 at the end
        inside.append(min(np.min(scaled / z**2 - 1), np.min(1 - scaled / z)))
        steeper.append(np.min(scaled / z**1.9 - 1))
        flatter.append(np.min(1 - scaled / z**1.1))
    ratio = limits["distance"] / limits["bound"]
    return [
        Claim(
            "D5",
            "z^2 < D_F(z, x(0))/D_F(1, x(0)) < z for 0 < z < 1 and all alpha; margin: smaller of "
            "the two relative differences",
            np.array(inside),
            "between z^1.9 and z^1.1; margin: of the side that fails less",
            np.array([max(min(steeper), min(flatter))]),
        ),
        Claim(
            "D5",
            "||x_inf - A^+ y||_2 is at most its bound, of third order in x_inf/alpha^L; margin: 1 "
            "minus their ratio",
            1 - ratio,
            "at most half of it",
            1 - 2 * ratio,
        ),
    ]

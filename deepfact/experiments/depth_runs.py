"""One problem seen by several depths: the flows side by side, and what their limits certify."""

from __future__ import annotations

import numpy as np

from deepfact.divergence import bregman_divergence
from deepfact.experiments.approach import approach_limit
from deepfact.experiments.fits import relative_error
from deepfact.experiments.instances import model_of_depth
from deepfact.experiments.tables import from_rows, join
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import gaussian_problem
from deepfact.theory import l1_gap_bound_sharp

__all__ = ["counted", "measure_flows", "polyline", "relative_error", "s3_bound"]


def measure_flows(
    M: int,
    N: int,
    s: int,
    start: float,
    depths: list[float],
    seed: int,
    n_times: int,
    room: float,
) -> dict[str, dict[str, np.ndarray]]:
    """Follow the signed flows of several depths to rest on one Gaussian problem.

    Parameters
    ----------
    M, N, s : int
        Size and number of nonzeros.
    start : float
        alpha^L, each product at time 0, for every depth.
    depths : list of float
        Depths; 1 and infinity are allowed.
    seed : int
        Seed of the problem.
    n_times : int
        Number of log-spaced times after 0.
    room : float
        Height of a panel over the range of all coordinates: the lines drawn miss a thousandth of it
        at most.

    Returns
    -------
    dict of str to dict
        ``depths``, a row for each depth: ``depth``, ``start``, ``N``; ``lowest`` and ``highest``
        coordinate on the way; ``room``; ``first`` and ``last`` time; of the limit ``error`` against
        the true vector, ``l1_norm``, ``lower_bound``, ``large`` (number of entries above 1 % of the
        largest) and ``share`` of the norm in the s largest, the flow's ``distance`` from it in the
        end; ``Q``, the least l1 norm, with its lower bound ``Q_lower``; ``bound``, S3's.
        ``coordinates``: ``depth``, ``coordinate``, ``x`` (time), ``y``, lines thinned by
        `polyline`. ``entries``: ``depth``, ``coordinate``, ``limit``, ``true``. ``divergence``:
        ``depth``, ``time``, ``relative``, D_F(z, x(t)) to the solution z of smallest l1 norm over
        its value at the start.
    """
    problem = gaussian_problem(M, N, s, seed=seed)
    best = basis_pursuit(problem)
    runs = {L: approach_limit(problem, model_of_depth(L, start), n_times) for L in depths}
    reached = np.concatenate([run["path"].x.ravel() for run in runs.values()])
    lowest, highest = reached.min(), reached.max()
    thin = 1e-3 * np.ptp(room * np.array([lowest, highest]))
    rows, coordinates, entries, divergences = [], [], [], []
    for depth, run in runs.items():
        t, x, limit = run["path"].times[1:], run["path"].x, run["limit"]
        sizes = np.sort(np.abs(limit.x))[::-1]
        rows.append(
            {
                "depth": depth,
                "start": start,
                "N": N,
                "lowest": lowest,
                "highest": highest,
                "room": room,
                "first": t[0],
                "last": t[-1],
                "error": relative_error(limit.x, problem.x_true),
                "l1_norm": limit.l1_norm,
                "lower_bound": limit.lower_bound,
                "large": np.sum(sizes > 1e-2 * sizes[0]),
                "share": sizes[:s].sum() / sizes.sum(),
                "distance": run["distance"][-1],
                "Q": best.value,
                "Q_lower": best.lower_bound,
                "bound": s3_bound(best.value, N, depth, start),
            }
        )
        for i in range(N):
            few_t, few_x = polyline(t, x[1:, i], thin)
            same = np.ones(len(few_t), dtype=int)
            coordinates.append(
                {"depth": depth * same, "coordinate": i * same, "x": few_t, "y": few_x}
            )
        entries.append(
            {
                "depth": np.full(N, depth),
                "coordinate": np.arange(N),
                "limit": limit.x,
                "true": problem.x_true,
            }
        )
        model = model_of_depth(depth, start)
        divergence = np.array([bregman_divergence(model, best.x, point) for point in x])
        divergences.append(
            {
                "depth": np.full(len(t), depth),
                "time": t,
                "relative": (divergence / divergence[0])[1:],
            }
        )
    return {
        "depths": from_rows(rows),
        "coordinates": join(*coordinates),
        "entries": join(*entries),
        "divergence": join(*divergences),
    }


def s3_bound(Q: float, N: int, depth: float, start: float) -> float:
    """Return S3's bound on the l1 gap of the signed model from products that start at `start`.

    Parameters
    ----------
    Q : float
        Least l1 norm.
    N : int
        Number of unknowns.
    depth : float
        Number L of factors, or infinity.
    start : float
        alpha^L.

    Returns
    -------
    float
        The sharper bound; infinite for depth 1.
    """
    if depth == 1:
        return np.inf
    return l1_gap_bound_sharp(Q, N, depth, start if np.isinf(depth) else start ** (1 / depth))


def counted(depths: np.ndarray) -> str:
    """Write depths as a claim names them: one, two and three.

    Parameters
    ----------
    depths : array_like of shape (K,)
        At least one depth; repetitions are dropped.

    Returns
    -------
    str
        The numbers in words up to four, joined by commas and "and".
    """
    words = {1: "one", 2: "two", 3: "three", 4: "four", np.inf: "infinitely many"}
    *others, last = [words.get(depth, f"{depth:g}") for depth in np.unique(depths).tolist()]
    return f"{', '.join(others)} and {last}" if others else last


def polyline(t: np.ndarray, y: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Thin a curve over log t to the points that a drawing of it needs.

    Parameters
    ----------
    t : ndarray of shape (K,)
        Increasing positive times.
    y : ndarray of shape (K,)
        The values.
    tolerance : float
        What straight lines over log t between the points kept may miss of the values.

    Returns
    -------
    tuple of ndarray
        Times and values of the points kept, both ends among them, to six significant digits.
    """
    x = np.log(t)
    keep = [0, len(t) - 1]
    while True:
        miss = np.abs(np.interp(x, x[keep], y[keep]) - y)
        worst = int(np.argmax(miss))
        if miss[worst] <= tolerance:
            return tuple(np.array([float(f"{v:.6g}") for v in values[keep]]) for values in (t, y))
        keep = sorted([*keep, worst])

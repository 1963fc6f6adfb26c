"""One, two and three factors side by side: the dual picture (D1, D3) and statement S3."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.depth_runs import counted, measure_flows, relative_error, s3_bound
from deepfact.experiments.depth_side_by_side_figure import figure, figure_data
from deepfact.experiments.instances import model_of_depth
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.statuses import require

__all__ = ["checks", "describe", "figure", "figure_data", "measure_flows", "measure_limits"]


def measure_limits(
    M: int, N: int, s: int, starts: list[float], depths: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Compute limits of several depths on random instances, with their certificates.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros (signed).
    starts : list of float
        K values of alpha^L.
    depths : list of float
        D depths; 1 is allowed (and does not depend on the start).
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray of shape (trials * D * K,)
        ``instance``, ``depth``, ``start``; relative to the least l1 norm Q: ``certified``, l1 norm
        minus lower bound; ``above``, l1 norm minus Q; ``below``, Q minus lower bound; ``bound``,
        the right-hand side of S3 (infinite for depth 1 and where it says nothing). Relative to
        ||x_true||: ``error``, the distance to x_true. ``residual``, ||A x - y||/||y||.
        ``least_squares``, the relative distance of the limit to A^+ y.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence(seed).spawn(trials)):
        problem = gaussian_problem(M, N, s, seed=stream)
        best = basis_pursuit(problem)
        least_squares = np.linalg.pinv(problem.dense()) @ problem.y
        for depth in depths:
            for start in starts:
                limit = flow_limit(problem, model_of_depth(depth, start))
                require(limit)
                rows.append(
                    {
                        "instance": trial,
                        "depth": depth,
                        "start": start,
                        "certified": limit.gap / best.value,
                        "above": (limit.l1_norm - best.value) / best.value,
                        "below": (best.lower_bound - limit.lower_bound) / best.value,
                        "bound": s3_bound(best.value, N, depth, start) / best.value,
                        "error": relative_error(limit.x, problem.x_true),
                        "residual": limit.residual,
                        "least_squares": relative_error(limit.x, least_squares),
                    }
                )
    return from_rows(rows)


def describe(flows: dict[str, dict[str, np.ndarray]], limits: dict[str, np.ndarray]) -> str:
    """Write norm, error and concentration of each limit as lines of text.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`.
    limits : dict
        Of `measure_limits`.

    Returns
    -------
    str
        A line for each depth of the flows, and one for each depth of the limits.
    """
    lines = []
    nonzeros = np.count_nonzero(flows["entries"]["true"]) // len(flows["depths"]["depth"])
    for depth, own in groups(flows["depths"], "depth"):
        norm, Q, error, share = (own[name][0] for name in ("l1_norm", "Q", "error", "share"))
        lines.append(
            f"L = {depth}: l1-norm {norm:.4f} (smallest: {Q:.4f}), "
            f"error {100 * error:.2g} %, {100 * share:.4g} % of the norm in the "
            f"{nonzeros} largest entries"
        )
    smallest = limits["start"].min()
    for depth, own in groups(select(limits, start=smallest), "depth"):
        typical = np.median(own["certified"])
        lines.append(f"L = {depth}: median certified gap / Q from {smallest:.0e}: {typical:.2g}")
    return "\n".join(lines)


def checks(limits: dict[str, np.ndarray], tolerance: float = 1e-9) -> list[Claim]:
    """Return what the limits say about the dual picture and S3.

    Parameters
    ----------
    limits : dict
        Of `measure_limits`, depths 1 and 2 among the depths.
    tolerance : float, optional
        Relative difference up to which an equation holds (default: 1e-9).

    Returns
    -------
    list of Claim
        One of D1, one of D3 and one of S3, each with its rival.
    """
    allowed = f"{tolerance:.0e}".replace("e-0", "e-")
    shallow = select(limits, depth=1, start=limits["start"][-1])
    deep = select(limits, where=limits["depth"] >= 2)
    one, two = select(limits, depth=1), select(limits, depth=2)
    bounded = select(deep, where=np.isfinite(deep["bound"]))
    several = counted(deep["depth"])
    return [
        Claim(
            "D1",
            f"with one factor the limit is the solution of least l2-norm, A^+ y; margin: {allowed} "
            "minus the relative difference",
            tolerance - shallow["least_squares"],
            f"so is that of {several} factors",
            tolerance - deep["least_squares"],
        ),
        Claim(
            "D3",
            f"lower_bound <= Q <= ||x_inf||_1 for {several} factors; margin: smaller of the "
            "two differences relative to Q",
            np.minimum(deep["above"], deep["below"]),
            f"||x_inf||_1 = Q for them, to {allowed}",
            tolerance - deep["above"],
        ),
        Claim(
            "S3",
            f"||x_inf||_1 - Q is at most its bound for {several} factors; margin: 1 minus "
            "their ratio",
            1 - bounded["above"] / bounded["bound"],
            "with one factor the excess is at most the bound for two",
            1 - one["above"] / two["bound"],
        ),
    ]

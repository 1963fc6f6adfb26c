"""How the flow approaches the only nonnegative solution: trajectories for statement S6."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.singletons import SINGLETON_KINDS, SMALLEST_SLACK, singleton_problem
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.problem import Problem

__all__ = ["checks", "describe_approach", "late_constant", "measure_approach"]

FORGOTTEN = 0.02
"""Flows are followed until (distance/a)^theta is that small: what the start adds to x^-theta."""
SMALL = 1e-3
"""Flows are followed until the distance is at most this multiple of the least nonzero of x*."""
SMALL_TWO = 1e-6
"""At depth 2, where theta = 0: until distance/a is that small."""
FITTED = 1e2
"""Exponents are fitted to the last times, within this factor."""


def late_constant(problem: Problem, depth: float) -> float:
    """Predict lim t^(1/(1 + theta)) norm(x(t) - x*) where x* is the only nonnegative solution.

    Parameters
    ----------
    problem : Problem
        With ``x_true`` = x*.
    depth : float
        Number L of factors; at infinite depth time is in units of 1/L.

    Returns
    -------
    float
        With S the support of x*, P the projection onto the complement of the range of A_S,
        theta = 1 - 2/L and kappa = 1/(L (1 + theta)), at infinite depth 1/2: the norm of
        (xi, -A_S^+ A_off xi), where xi >= 0 minimises
        norm(P A_off xi)^2/2 - kappa sum xi_i^(1 - theta)/(1 - theta), at infinite depth with the
        logarithm in the place of the power.

    Raises
    ------
    RuntimeError
        If the minimiser is not found.

    Notes
    -----
    Statement S6 of ``docs/statements.md``.
    """
    A, support = problem.dense(), problem.x_true != 0
    on, off = A[:, support], A[:, ~support]
    moved = np.linalg.pinv(on) @ off
    B = off - on @ moved
    theta = 1 - 2 / depth
    kappa = 0.5 if np.isinf(depth) else 1 / (depth * (1 + theta))
    xi = _plane_minimiser(B, kappa) if theta == 0 else _power_minimiser(B, kappa, theta)
    return float(np.linalg.norm(np.append(xi, moved @ xi)))


def _plane_minimiser(B, kappa):
    """Minimise norm(B xi)^2/2 - kappa sum xi over xi >= 0."""
    # With (sum xi - 1)^2/2 in the place of the last term the minimiser has the same direction.
    xi = nnls(np.vstack([B, np.ones(B.shape[1])]), np.append(np.zeros(len(B)), 1.0))[0]
    return xi * kappa / (1 - xi.sum())


def _power_minimiser(B, kappa, theta):
    """Minimise norm(B xi)^2/2 - kappa sum xi^(1 - theta)/(1 - theta) by damped Newton steps."""
    G = B.T @ B
    xi = np.full(len(G), 1.0)
    for _ in range(200):
        gradient = G @ xi - kappa * xi**-theta
        curvature = kappa * theta * xi ** (-theta - 1)
        step = np.linalg.solve(G + np.diag(curvature), -gradient)
        decrement = np.sqrt(-gradient @ step)
        # No entry changes its size by more than a half.
        xi = xi + step * min(1.0, 0.5 / np.max(np.abs(step / xi)))
        if decrement <= 1e-10 * np.sqrt(kappa * np.sum(xi ** (1 - theta))):
            return xi
    raise RuntimeError("the minimiser of the late approach was not found")


def measure_approach(
    sizes: list[tuple[int, int, int]],
    depths: list[float],
    alphas: list[float],
    seed: int,
    points: int = 25,
) -> dict[str, np.ndarray]:
    """Follow flows of the positive model to the only nonnegative solution.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N, s) of the problems; one of each size and ensemble, drawn until its feasible set is a
        single point (a size for which 100 draws are not is left out).
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales (infinite depth: mu).
    seed : int
        Seed; each problem has its own stream.
    points : int, optional
        Number of times within the last factor `FITTED` (default: 25).

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and init scale: ``problem``, ``kind``, ``depth``, ``alpha``;
        ``slope``, fitted to log norm(x(t) - x*) in log t, and ``predicted``; ``constant``, norm
        times t^-predicted at the last time, and ``predicted_constant``; ``error``, the last norm
        relative to norm(x*). NaN where the integration failed.
    """
    cases = [(kind, *size) for kind in SINGLETON_KINDS for size in sizes]
    rows = []
    for number, (case, stream) in enumerate(
        zip(cases, np.random.SeedSequence([seed, 1]).spawn(len(cases)), strict=True)
    ):
        problem = next(
            (
                problem
                for child in stream.spawn(100)
                for problem, slack in [singleton_problem(*case, child)]
                if slack > SMALLEST_SLACK
            ),
            None,
        )
        for depth in depths if problem is not None else []:
            constant = late_constant(problem, depth)
            for alpha in alphas:
                row = {"problem": number, "kind": case[0], "depth": float(depth)}
                found = _approach(problem, float(depth), float(alpha), constant, points)
                rows.append({**row, "alpha": float(alpha), **found, "predicted_constant": constant})
    return from_rows(rows)


def _approach(problem, depth, alpha, constant, points):
    """Return what is measured along one flow, which is followed as far as theory asks for."""
    model = DeepFactorization(depth, alpha, signed=False)
    predicted = -0.5 if np.isinf(depth) else -1 / (2 - 2 / depth)
    forgotten = SMALL_TWO if depth == 2 else FORGOTTEN ** (1 / (1 - 2 / depth))
    distance = min(
        forgotten * float(np.exp(model.log_product)),
        SMALL * float(np.min(problem.x_true[problem.x_true != 0])),
    )
    times = (distance / constant) ** (1 / predicted) * np.geomspace(1 / FITTED, 1.0, points)
    path = gradient_flow(problem, model, times=times)
    if path.status == "failed":
        return {"slope": np.nan, "predicted": predicted, "constant": np.nan, "error": np.nan}
    distance = np.linalg.norm(path.x - problem.x_true, axis=1)
    return {
        "slope": fitted_slope(np.log(times), np.log(distance))[0],
        "predicted": predicted,
        "constant": distance[-1] * times[-1] ** -predicted,
        "error": distance[-1] / np.linalg.norm(problem.x_true),
    }


def describe_approach(approach: dict[str, np.ndarray]) -> str:
    """Write exponents and constants of the approach, by depth.

    Parameters
    ----------
    approach : dict of str to ndarray
        From `measure_approach`.

    Returns
    -------
    str
        A line for each depth.
    """
    lines = [
        f"along {len(approach['depth'])} flows, norm(x(t) - x*) ~ constant t^exponent:",
        "depth   exponent: fitted            predicted   constant/predicted",
    ]
    for depth, rows in groups(approach, "depth"):
        ratio = rows["constant"] / rows["predicted_constant"]
        lines.append(
            f"{depth:5g}   {rows['slope'].min():.4f} to {rows['slope'].max():.4f}"
            f" {rows['predicted'][0]:15.4f}   {ratio.min():.4f} to {ratio.max():.4f}"
        )
    return "\n".join(lines)


def checks(approach: dict[str, np.ndarray]) -> list[Claim]:
    """Return what trajectories say about S6.

    Parameters
    ----------
    approach : dict of str to ndarray
        From `measure_approach`, with a finite depth above 2.

    Returns
    -------
    list of Claim
        Two, each with its rival: on the exponent of time, and above depth 2 on the constant.
    """
    deep = select(approach, where=approach["depth"] > 2)
    finite = select(deep, where=np.isfinite(deep["depth"]))
    tied = finite["depth"] ** finite["predicted"]
    return [
        Claim(
            "S6",
            "positive model with one feasible point x*: from every alpha norm(x(t) - x*) falls "
            "like t^(-1/(2 - 2/L)); margin 0.05 - |fitted - predicted exponent|",
            0.05 - np.abs(approach["slope"] - approach["predicted"]),
            "like 1/t at every depth",
            0.05 - np.abs(deep["slope"] + 1),
        ),
        Claim(
            "S6",
            "L > 2, one feasible point: norm(x(t) - x*) t^(1/(2 - 2/L)) tends to a constant that "
            "is computed from A and x*, the same for every alpha; margin 0.05 - relative error",
            0.05 - np.abs(deep["constant"] / deep["predicted_constant"] - 1),
            "time runs L times as fast, as for one tied factor",
            0.05 - np.abs(finite["constant"] / (tied * finite["predicted_constant"]) - 1),
        ),
    ]

"""Positive model without a feasible point: nonnegative least squares, statement S9."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from deepfact import theory
from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.inconsistent import (
    KINDS,
    inconsistent_problem,
    minimiser_set,
    optimality_error,
    vertices,
)
from deepfact.experiments.no_feasible_point_figure import ROUNDING, SEVERAL, figure, figure_data
from deepfact.experiments.tables import from_rows, groups, join, select
from deepfact.limit import LimitResult, flow_limit
from deepfact.problem import Problem

__all__ = [
    "checks",
    "describe_decays",
    "describe_instance",
    "describe_limits",
    "figure",
    "figure_data",
    "measure_decays",
    "measure_limits",
    "quiet_limit",
]

SMALLEST_LOG_ALPHA = -300.0
"""Init scales below e^-300 are left out: the guarantee asks for them at depth 2 and small eps."""


def quiet_limit(problem: Problem, model: DeepFactorization) -> LimitResult:
    """Return `flow_limit` where the dual variable grows without bound.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        Depth and init scale.

    Returns
    -------
    LimitResult
        The limit.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return flow_limit(problem, model)


def describe_instance(M: int, N: int, depth: float, alpha: float, seed: int) -> str:
    """Write what `flow_limit` says where no nonnegative signal fits, and compare it with NNLS.

    Parameters
    ----------
    M, N : int
        Measurements and unknowns of a problem outside the cone.
    depth : float
        Number L of factors.
    alpha : float
        Init scale.
    seed : int
        Source of randomness.

    Returns
    -------
    str
        Status and message, the losses, nonzeros and entries off the support.
    """
    problem, nearest = inconsistent_problem(KINDS[0], M, N, seed)
    limit = quiet_limit(problem, DeepFactorization(depth, alpha, signed=False))
    loss, least = (0.5 * np.sum((problem.A @ x - problem.y) ** 2) for x in (limit.x, nearest))
    return (
        f"status:  {limit.status}\nmessage: {limit.message}\n\n"
        f"loss of the limit: {loss:.8f}\n"
        f"loss of NNLS:      {least:.8f}\n"
        f"nonzeros of NNLS: {np.count_nonzero(nearest)} of {problem.N}, M = {problem.M}\n"
        f"largest entry of the limit where NNLS is 0: {np.max(limit.x[nearest == 0]):.0e}"
    )


def measure_limits(
    sizes: list[tuple[int, int]],
    trials: int,
    depths: list[float],
    log10_scales: list[float],
    eps: list[float],
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Compute limits on problems without a feasible point, and what S9 says of them.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N) of the problems.
    trials : int
        Problems of each size and ensemble.
    depths : list of float
        Numbers L of factors, finite.
    log10_scales : list of float
        Init scales as log10 of a/Q.
    eps : list of float
        Wanted gaps as multiples of Q.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    dict of str to dict of str to ndarray
        Two tables, with columns on the problem: ``problem``, its number; ``kind``; ``Q``, the least
        l1 norm over the minimisers Z of the loss; ``width``, the largest relative distance between
        the vertices of Z that were found; ``plain_nnls`` = norm(A z - A x)/norm(y), z from
        `nonnegative_least_squares`, x from `scipy.optimize.nnls` without a basis of the range;
        and ``depth``.

        ``scales``, a row for each init scale ``scale`` = a/Q: ``told``, whether the limit's status
        is "infeasible", which is right, and if so ``image_error`` = norm(A x_inf - A z)/norm(y);
        ``optimality``, the `optimality_error` of x_inf, which needs no solver; ``pythagoras``, the
        largest violation of D(z, x_0) = D(z, x_inf) + D(x_inf, x_0) over vertices z of Z, relative
        to D(z, x_0); ``gap`` = norm(x_inf, 1) - Q and its ``bound`` S3, infinite where there is
        none.

        ``guarantees``, a row for each wanted gap ``eps``, a multiple of Q: ``gap`` from
        alpha = h(Q, eps Q); NaN where log alpha < `SMALLEST_LOG_ALPHA`.
    """
    cases = [(kind, *size) for kind in KINDS for size in sizes for _ in range(trials)]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    scales, guarantees = [], []
    for i, (case, stream) in enumerate(zip(cases, seeds, strict=True)):
        draw, directions = stream.spawn(2)
        problem, nearest = inconsistent_problem(*case, draw)
        A, y = problem.dense(), problem.y
        corners = vertices(problem, nearest, 5, directions)
        Q = float(corners[0].sum())
        about = {
            "problem": i,
            "kind": case[0],
            "Q": Q,
            "width": np.max(np.abs(corners - corners[0])) / np.max(corners[0]),
            "plain_nnls": np.linalg.norm(A @ (nnls(A, y)[0] - nearest)) / np.linalg.norm(y),
        }
        for depth in depths:
            here = {**about, "depth": float(depth)}
            for scale in log10_scales:
                log_alpha = (np.log(Q) + scale * np.log(10)) / depth
                found = _projection(problem, nearest, corners, depth, log_alpha)
                scales.append({**here, "scale": 10.0**scale, **found})
            for tolerance in eps:
                gap = _guaranteed(problem, Q, depth, tolerance)
                guarantees.append({**here, "eps": float(tolerance), "gap": gap})
    return {"scales": from_rows(scales), "guarantees": from_rows(guarantees)}


def _projection(problem, nearest, corners, depth, log_alpha):
    """Return how far the limit is from what S9 says, and its gap with the bound."""
    A, y, N = problem.dense(), problem.y, problem.N
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = quiet_limit(problem, model)
    if limit.status != "infeasible":
        names = ("image_error", "optimality", "pythagoras", "gap", "bound")
        return {"told": False, **dict.fromkeys(names, np.nan)}
    start = model.signal(np.zeros(N))
    whole = np.array([bregman_divergence(model, z, start) for z in corners])
    left = np.array([bregman_divergence(model, z, limit.x) for z in corners])
    done = bregman_divergence(model, limit.x, start)
    Q = float(corners[0].sum())
    return {
        "told": True,
        "image_error": np.linalg.norm(A @ (limit.x - nearest)) / np.linalg.norm(y),
        "optimality": optimality_error(A, y, limit.x),
        "pythagoras": np.max(np.abs(whole - left - done) / whole),
        "gap": limit.x.sum() - Q,
        "bound": theory.l1_gap_bound(Q, N, depth, log_alpha=log_alpha, signed=False),
    }


def _guaranteed(problem, Q, depth, eps):
    """Return the gap from alpha = h(Q, eps Q); infinite where the limit's status is wrong."""
    log_alpha = theory.log_init_scale_bound(Q, eps * Q, problem.N, depth, signed=False)
    if log_alpha < SMALLEST_LOG_ALPHA:
        return np.nan
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = quiet_limit(problem, model)
    return limit.x.sum() - Q if limit.status == "infeasible" else np.inf


def measure_decays(
    M: int,
    N: int,
    depths: list[float],
    log10_scale: float,
    problems: int,
    seed: int,
    points: int = 120,
) -> dict[str, np.ndarray]:
    """Integrate the flow on inconsistent problems.

    Parameters
    ----------
    M, N : int
        Measurements and unknowns.
    depths : list of float
        Numbers L of factors, finite.
    log10_scale : float
        Init scale as log10 of a/norm(z, 1), z from `nonnegative_least_squares`.
    problems : int
        Problems of each ensemble.
    seed : int
        Seed; each problem has its own stream.
    points : int, optional
        Number of log-spaced times (default: 120).

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and time: ``kind``, ``problem``, ``depth``; ``time``;
        ``excess_loss`` = l(x(t)) - l*, as 1/2 norm(A(x - z))^2 + <grad l(z), x - z>, in which
        nothing cancels (NaN if the integration failed), and ``first``, that at time 0; ``bound`` =
        D(x_inf, x_0)/t; ``distance`` = norm(x(t) - x_inf, inf); x(t) as ``x_0`` to ``x_{N-1}`` and
        z as ``nearest_0`` to ``nearest_{N-1}``.
    """
    streams = np.random.SeedSequence([seed, 1]).spawn(problems)
    parts = []
    for kind in KINDS:
        for i, stream in enumerate(streams):
            problem, nearest = inconsistent_problem(kind, M, N, stream)
            for depth in depths:
                decay = _decay(problem, nearest, depth, log10_scale, points)
                about = {"kind": kind, "problem": i, "depth": float(depth)}
                columns = {name: np.full(points, value) for name, value in about.items()}
                parts.append({**columns, **decay})
    return join(*parts)


def _decay(problem, nearest, depth, log10_scale, points):
    """Return the columns of one flow."""
    A, N = problem.dense(), problem.N
    log_alpha = (np.log(nearest.sum()) + log10_scale * np.log(10)) / depth
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = quiet_limit(problem, model)
    start = model.signal(np.zeros(N))
    unit = 1 / np.max(np.exp(model.log_rate) * np.abs(A.T @ (A @ start - problem.y)))
    times = unit * np.geomspace(0.1, 1e5, points)
    path = gradient_flow(problem, model, times=times)
    slope = A.T @ (A @ nearest - problem.y)
    slope[minimiser_set(problem, nearest)] = 0.0

    def excess(x):
        return 0.5 * np.sum(((x - nearest) @ A.T) ** 2, axis=-1) + (x - nearest) @ slope

    sound = path.status != "failed" and limit.status == "infeasible"
    return {
        "time": times,
        "excess_loss": excess(path.x) if sound else np.full(points, np.nan),
        "bound": bregman_divergence(model, limit.x, start) / times,
        "first": np.full(points, float(excess(start))),
        "distance": np.max(np.abs(path.x - limit.x), axis=1),
        **{f"x_{i}": path.x[:, i] for i in range(N)},
        **{f"nearest_{i}": np.full(points, nearest[i]) for i in range(N)},
    }


def _bound_margins(scales):
    bounded = select(scales, where=np.isfinite(scales["bound"]))
    return 1 - bounded["gap"] / bounded["bound"]


def _guarantee_margins(guarantees):
    tried = select(guarantees, where=~np.isnan(guarantees["gap"]))
    return 1 - tried["gap"] / (tried["eps"] * tried["Q"])


def describe_limits(limits: dict[str, dict[str, np.ndarray]]) -> str:
    """Write how far the limits are from what S9 says, by ensemble.

    Parameters
    ----------
    limits : dict of str to dict of str to ndarray
        From `measure_limits`.

    Returns
    -------
    str
        A line for each ensemble, after some on all problems.
    """
    scales, guarantees = limits["scales"], limits["guarantees"]
    problems = [rows for _, rows in groups(scales, "problem")]
    several = sum(rows["width"][0] > SEVERAL for rows in problems)
    wrong = sum(rows["plain_nnls"][0] > 1e-6 for rows in problems)
    lines = [
        f"{len(problems)} problems, {several} of them with more than one minimiser",
        f'limits with the status "infeasible": {scales["told"].sum()} of {scales["told"].size}',
        f"problems on which plain scipy.optimize.nnls is wrong: {wrong}\n",
        "                      largest   optimality   Pythagoras   smallest (bound - gap)/bound",
        " ensemble            |A dx|/|y|  conditions   violation        S3        S2",
    ]
    for kind, rows in groups(scales, "kind"):
        shown = select(rows, where=rows["width"] > SEVERAL)["pythagoras"]
        violation = f"{np.max(shown):10.0e}" if len(shown) else f"{'-':>10}"
        margins = _bound_margins(rows), _guarantee_margins(select(guarantees, kind=kind))
        bound, guarantee = (np.min(each, initial=np.inf) for each in margins)
        lines.append(
            f" {kind:18s} {np.max(rows['image_error']):10.0e} {np.max(rows['optimality']):11.0e}"
            f" {violation} {bound:15.2f} {guarantee:10.2f}"
        )
    return "\n".join(lines)


def _decay_margins(decays):
    """Return the least (bound - excess)/bound of each flow, less what rounding could hide."""
    excess = decays["excess_loss"] + ROUNDING * decays["first"]
    rows = groups({**decays, "margin": 1 - excess / decays["bound"]}, "kind", "problem", "depth")
    return [(kind, depth, here, np.min(here["margin"])) for kind, _, depth, here in rows]


def describe_decays(decays: dict[str, np.ndarray]) -> str:
    """Write how far the loss stays below its bound, and how near the flow comes to its limit.

    Parameters
    ----------
    decays : dict of str to ndarray
        From `measure_decays`.

    Returns
    -------
    str
        A line for each flow.
    """
    lines = [" ensemble            depth   smallest (bound - excess)/bound   |x(T) - x_inf|"]
    for kind, depth, rows, margin in _decay_margins(decays):
        lines.append(f" {kind:18s} {depth:5g} {margin:22.3f} {rows['distance'][-1]:26.0e}")
    return "\n".join(lines)


def checks(limits: dict[str, dict[str, np.ndarray]], decays: dict[str, np.ndarray]) -> list[Claim]:
    """Return what the tables say about S9.

    Parameters
    ----------
    limits : dict of str to dict of str to ndarray
        From `measure_limits`.
    decays : dict of str to ndarray
        From `measure_decays`.

    Returns
    -------
    list of Claim
        Four. A limit that was not found is a violation.
    """
    scales = limits["scales"]
    several = select(scales, where=scales["width"] > SEVERAL)
    return [
        Claim(
            "S9",
            "no feasible nonnegative point: A x_inf is the point of nonnegative least squares "
            "(scipy) and meets its optimality conditions; margin 1e-7 - relative error",
            1e-7 - np.maximum(scales["image_error"], scales["optimality"]),
        ),
        Claim(
            "S9",
            "x_inf is the Bregman projection of x_0 onto the minimisers Z of the loss: "
            "D(z, x_0) = D(z, x_inf) + D(x_inf, x_0) on vertices z of Z; "
            "margin 1e-7 - relative error",
            1e-7 - several["pythagoras"],
        ),
        Claim(
            "S9",
            "no feasible nonnegative point: the l1 gap over Z is within the bounds S2 (at "
            "alpha = h(Q, eps)) and S3; margin (bound - gap)/bound",
            np.concatenate([_bound_margins(scales), _guarantee_margins(limits["guarantees"])]),
        ),
        Claim(
            "S9",
            "no feasible nonnegative point: l(x(t)) - l* <= D(x_inf, x_0)/t at all times; "
            "margin (bound - excess)/bound",
            np.array([margin for *_, margin in _decay_margins(decays)]),
        ),
    ]

"""Positive model without a feasible point: nonnegative least squares, statement S9."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from deepfact import theory
from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.experiments.hard_columns import describe_hard_columns, measure_hard_columns
from deepfact.experiments.inconsistent import (
    KINDS,
    inconsistent_problem,
    optimality_error,
    vertices,
)
from deepfact.experiments.loss_decay import (
    decay_margins,
    describe_decays,
    measure_decays,
    quiet_limit,
)
from deepfact.experiments.no_feasible_point_figure import SEVERAL, figure, figure_data
from deepfact.experiments.tables import from_rows, groups, select

__all__ = [
    "checks",
    "describe_decays",
    "describe_hard_columns",
    "describe_instance",
    "describe_limits",
    "figure",
    "figure_data",
    "measure_decays",
    "measure_hard",
    "measure_limits",
    "quiet_limit",
]

SMALLEST_LOG_ALPHA = -300.0
"""Init scales below e^-300 are left out: the guarantee asks for them at depth 2 and small eps."""


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
        to D(z, x_0), and ``euclid``, the same with half the squared distance for D; ``unsigned`` =
        norm(A x_inf - y')/norm(y), y' the nearest point to y in the range of A; ``gap`` =
        norm(x_inf, 1) - Q and its ``bound``, the sharper one of S3.

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
        names = "image_error", "optimality", "pythagoras", "euclid", "unsigned", "gap", "bound"
        return {"told": False, **dict.fromkeys(names, np.nan)}
    start = model.signal(np.zeros(N))
    whole = np.array([bregman_divergence(model, z, start) for z in corners])
    left = np.array([bregman_divergence(model, z, limit.x) for z in corners])
    done = bregman_divergence(model, limit.x, start)
    Q = float(corners[0].sum())
    squares = np.sum((corners - start) ** 2, axis=1)
    parts = np.sum((corners - limit.x) ** 2, axis=1) + np.sum((limit.x - start) ** 2)
    nearest_image = A @ np.linalg.lstsq(A, y, rcond=1e-10)[0]
    return {
        "told": True,
        "image_error": np.linalg.norm(A @ (limit.x - nearest)) / np.linalg.norm(y),
        "optimality": optimality_error(A, y, limit.x),
        "pythagoras": np.max(np.abs(whole - left - done) / whole),
        "euclid": np.max(np.abs(squares - parts) / squares),
        "unsigned": np.linalg.norm(A @ limit.x - nearest_image) / np.linalg.norm(y),
        "gap": limit.x.sum() - Q,
        "bound": theory.l1_gap_bound_sharp(Q, N, depth, log_alpha=log_alpha, signed=False),
    }


def _guaranteed(problem, Q, depth, eps):
    """Return the gap from alpha = h(Q, eps Q); infinite where the limit's status is wrong."""
    log_alpha = theory.init_scale_bound(Q, eps * Q, problem.N, depth, signed=False, log=True)
    if log_alpha < SMALLEST_LOG_ALPHA:
        return np.nan
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = quiet_limit(problem, model)
    return limit.x.sum() - Q if limit.status == "infeasible" else np.inf


def measure_hard(N: int, depths: list[float], log10_ratios: list[float]) -> dict[str, np.ndarray]:
    """Maximise the gap over Z on columns (1, ..., 1, 1 + delta) with an unreachable measurement.

    Parameters
    ----------
    N : int
        Number of unknowns.
    depths : list of float
        Numbers L of factors, finite.
    log10_ratios : list of float
        Init scales as log10(Q/a).

    Returns
    -------
    dict of str to ndarray
        As `hard_columns.measure_hard_columns`.
    """
    return measure_hard_columns(N, depths, log10_ratios, signed=False, unreachable=0.5)


def _bound_margins(table, factor=1.0):
    """Return (bound - gap)/bound for a multiple of the bound S3."""
    return 1 - table["gap"] / (factor * table["bound"])


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


def checks(
    limits: dict[str, dict[str, np.ndarray]],
    hard: dict[str, np.ndarray],
    decays: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what the tables say about S9.

    Parameters
    ----------
    limits : dict of str to dict of str to ndarray
        From `measure_limits`.
    hard : dict of str to ndarray
        From `measure_hard`.
    decays : dict of str to ndarray
        From `measure_decays`.

    Returns
    -------
    list of Claim
        Four, each with its rival. A limit that was not found is a violation.
    """
    scales = limits["scales"]
    several = select(scales, where=scales["width"] > SEVERAL)
    return [
        Claim(
            "S9",
            "no feasible nonnegative point: A x_inf is the point of nonnegative least squares "
            "(scipy) and meets its optimality conditions; margin 1e-7 - relative error",
            1e-7 - np.maximum(scales["image_error"], scales["optimality"]),
            "the flow solves plain least squares: A x_inf is the nearest point in the range of A",
            1e-7 - scales["unsigned"],
        ),
        Claim(
            "S9",
            "x_inf is the Bregman projection of x_0 onto the minimisers Z of the loss: "
            "D(z, x_0) = D(z, x_inf) + D(x_inf, x_0) on vertices z of Z; "
            "margin 1e-7 - relative error",
            1e-7 - several["pythagoras"],
            "x_inf is the Euclidean projection of x_0 onto Z",
            1e-7 - several["euclid"],
        ),
        Claim(
            "S9",
            "no feasible nonnegative point: the l1 gap over Z is within the bounds S2 (at "
            "alpha = h(Q, eps)) and the sharper S3, on random problems and on columns "
            "(1, ..., 1, 1 + delta); margin (bound - gap)/bound",
            np.concatenate(
                [
                    _bound_margins(scales),
                    _guarantee_margins(limits["guarantees"]),
                    _bound_margins(hard),
                ]
            ),
            "half of the sharper bound S3 would do",
            np.concatenate([_bound_margins(table, factor=0.5) for table in (scales, hard)]),
        ),
        Claim(
            "S9",
            "no feasible nonnegative point: l(x(t)) - l* <= D(x_inf, x_0)/t at all times; "
            "margin (bound - excess)/bound",
            np.array([margin for *_, margin in decay_margins(decays)]),
            "a quarter of the bound would do: l(x(t)) - l* <= D(x_inf, x_0)/(4 t)",
            np.array([margin for *_, margin in decay_margins(decays, factor=0.25)]),
        ),
    ]

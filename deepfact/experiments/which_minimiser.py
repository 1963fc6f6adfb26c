"""Which minimiser the flow selects: statements S6 and S8."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.face_distance import (
    basis_inverses,
    distance_bound,
    has_positive_point,
)
from deepfact.experiments.faces import (
    integer_problem,
    maximise_on_face,
    mean_column_position,
    mean_column_problem,
)
from deepfact.experiments.singleton_flow import checks as approach_checks
from deepfact.experiments.singleton_flow import describe_approach, measure_approach
from deepfact.experiments.singletons import describe_singletons, measure_singletons
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.experiments.which_minimiser_figure import figure, figure_data
from deepfact.limit import flow_limit

__all__ = [
    "approach_checks",
    "checks",
    "describe_approach",
    "describe_faces",
    "describe_segment",
    "describe_singletons",
    "figure",
    "figure_data",
    "log_scale",
    "measure_approach",
    "measure_faces",
    "measure_segment",
    "measure_singletons",
]

SHOWN_DEPTHS = (2, 4, np.inf)
"""Depths of the segment that the text shows."""
ROUNDING = 1e-6
"""What rounding may add to a relative distance, in the limit and in the maximiser on the face."""


def log_scale(depth: float, log_a: float) -> float:
    """Return log alpha for products that start at a: log(a)/L, at infinite depth log a itself.

    Parameters
    ----------
    depth : float
        Number L of factors, 2 <= L <= infinity.
    log_a : float
        Natural logarithm of a = alpha^L.

    Returns
    -------
    float
        The logarithm of the init scale.
    """
    return log_a if np.isinf(depth) else log_a / depth


def measure_faces(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    log10_a: list[float],
    log10_a_two: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Compare limits with the independent maximisation on random faces of minimisers.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N, s) of `integer_problem`.
    trials : int
        Problems of each size, in each model.
    depths : list of float
        Numbers L of factors.
    log10_a : list of float
        Init scales as log10 of a, for depths above 2.
    log10_a_two : list of float
        As many for depth 2, where the limit is approached far more slowly.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and init scale: ``problem``, its number; ``signed``;
        ``dimension`` of the face of minimisers; ``depth``; ``width``, the distance from the
        prediction to that of the farthest other depth, for scale; ``log10_a``; ``error`` =
        norm(x_inf - prediction, inf)/norm(prediction, inf), NaN where the limit was not found;
        ``bound``, what S8 allows of it at this init scale; ``to_entropy``, the same distance to the
        prediction for depth 2. The positive model has no infinite depth where some entry is zero
        in every solution: its potential is infinite there.
    """
    cases = [(*size, signed) for signed in (False, True) for size in sizes for _ in range(trials)]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    rows = []
    for i, (case, stream) in enumerate(zip(cases, seeds, strict=True)):
        problem, face = integer_problem(*case, stream)
        inverses = basis_inverses(problem.dense()[:, face.support])
        finite = not (case[3] or has_positive_point(problem))
        targets = np.array([maximise_on_face(face, depth) for depth in depths])
        entropy = maximise_on_face(face, 2)
        for depth, target in zip(depths, targets, strict=True):
            if finite and np.isinf(depth):
                continue
            size = np.max(np.abs(target))
            width = np.max(np.abs(targets - target)) / size
            for value in log10_a if depth > 2 else log10_a_two:
                log_alpha = log_scale(depth, value * np.log(10))
                model = DeepFactorization(depth, log_alpha=log_alpha, signed=case[3])
                limit = flow_limit(problem, model)
                error = to_entropy = bound = np.nan
                if limit.success:
                    error, to_entropy = (
                        np.max(np.abs(limit.x - z)) / size for z in (target, entropy)
                    )
                    bound = distance_bound(problem, face, inverses, model, limit.x) / size
                rows.append(
                    {
                        "problem": i,
                        "signed": case[3],
                        "dimension": face.dimension,
                        "depth": float(depth),
                        "width": width,
                        "log10_a": float(value),
                        "error": error,
                        "bound": bound,
                        "to_entropy": to_entropy,
                    }
                )
    return from_rows(rows)


def measure_segment(
    ratios: list[float], depths: list[float], log10_a: float
) -> dict[str, np.ndarray]:
    """Measure where on the segment of `mean_column_problem` the limits of both models lie.

    Parameters
    ----------
    ratios : list of float
        Second entries of y.
    depths : list of float
        Numbers L of factors.
    log10_a : float
        Init scale as log10 of a.

    Returns
    -------
    dict of str to ndarray
        Columns ``ratio``, ``depth``, ``predicted``, ``positive`` and ``signed``: positions t/ratio
        (NaN where the limit was not found); ``log10_a``.
    """
    rows = []
    for ratio in ratios:
        problem = mean_column_problem(ratio)
        for depth in depths:
            log_alpha = log_scale(depth, log10_a * np.log(10))
            row = {
                "ratio": float(ratio),
                "depth": float(depth),
                "predicted": mean_column_position(ratio, depth),
            }
            for name, signed in (("positive", False), ("signed", True)):
                model = DeepFactorization(depth, log_alpha=log_alpha, signed=signed)
                limit = flow_limit(problem, model)
                row[name] = limit.x[2] / (2 * ratio) if limit.success else np.nan
            rows.append({**row, "log10_a": float(log10_a)})
    return from_rows(rows)


def describe_segment(segment: dict[str, np.ndarray]) -> str:
    """Write positions on the segment, for some of the depths.

    Parameters
    ----------
    segment : dict of str to ndarray
        From `measure_segment`.

    Returns
    -------
    str
        A line for each ratio and depth in `SHOWN_DEPTHS`.
    """
    lines = [
        "position t/y_2 on the segment, y_1 = 1 (0: mean column unused, 1: used in full)\n",
        " y_2    depth   predicted   positive   signed",
    ]
    shown = select(segment, where=np.isin(segment["depth"], SHOWN_DEPTHS))
    names = ("ratio", "depth", "predicted", "positive", "signed")
    for ratio, depth, *positions in zip(*(shown[name] for name in names), strict=True):
        predicted, positive, signed = positions
        lines.append(
            f"{ratio:5.2f}   {depth:4g}   {predicted:9.5f}  {positive:9.5f}  {signed:9.5f}"
        )
    return "\n".join(lines)


def describe_faces(faces: dict[str, np.ndarray]) -> str:
    """Write how far the limits are from the predictions, by depth and init scale.

    Parameters
    ----------
    faces : dict of str to ndarray
        From `measure_faces`.

    Returns
    -------
    str
        A line for each depth, after some on the problems.
    """
    problems = [rows for _, rows in groups(faces, "problem")]
    telling = sum(rows["width"].max() > 1e-3 for rows in problems)
    found = np.isfinite(faces["error"])
    lines = [
        f"{len(problems)} problems; dimensions of the faces: {np.unique(faces['dimension'])}",
        f"limits found: {found.sum()} of {found.size}",
        f"problems on which the depths select points more than 0.1 % apart: {telling}\n",
        "largest relative distance between limit and prediction, by init scale a",
    ]
    for depth, rows in groups(faces, "depth"):
        cells = [
            f"1e{scale:+04.0f}: {np.max(here['error']):.0e}"
            for scale, here in groups(rows, "log10_a")
        ]
        lines.append(f"L = {depth:4g}   " + "   ".join(cells))
    share = faces["error"] / (faces["bound"] + ROUNDING)
    k = int(np.argmax(share))
    lines.append(
        f"nearest to its bound: {share[k]:.2f} of it, problem {faces['problem'][k]} "
        f"({'signed' if faces['signed'][k] else 'positive'}), L = {faces['depth'][k]:g}, "
        f"a = 1e{faces['log10_a'][k]:g}; median {np.median(share):.2f}"
    )
    return "\n".join(lines)


def checks(
    segment: dict[str, np.ndarray], faces: dict[str, np.ndarray], singles: dict[str, np.ndarray]
) -> list[Claim]:
    """Return what the tables say about S6 and S8.

    Parameters
    ----------
    segment : dict of str to ndarray
        From `measure_segment`.
    faces : dict of str to ndarray
        From `measure_faces`.
    singles : dict of str to ndarray
        From `measure_singletons`.

    Returns
    -------
    list of Claim
        One for S6, two for S8, each with its rival. A limit that was not found is a violation.
    """
    deep = select(faces, where=faces["depth"] > 2)
    others = select(singles, singleton=False)["error"]
    others = others[np.isfinite(others)]
    geometric = np.array([mean_column_position(ratio, 2) for ratio in segment["ratio"]])
    models = ("positive", "signed")
    off = np.abs([segment[model] - segment["predicted"] for model in models])
    off_geometric = np.abs([segment[model] - geometric for model in models])
    return [
        Claim(
            "S6",
            "positive model with one feasible point x*: x_inf = x* for every alpha, small or "
            "large; margin 1e-6 - norm(x_inf - x*)/norm(x*)",
            ROUNDING - select(singles, singleton=True)["error"],
            *_refuted_by(
                "sparse is enough: the same where other nonnegative signals fit the data",
                ROUNDING - others,
            ),
        ),
        Claim(
            "S8",
            "many l1-minimisers, at every alpha: x_inf is as near to the maximiser of the entropy "
            "(L = 2), sum abs(x)^(2/L) (L > 2), sum log abs(x) (L = inf) on their face as its own "
            "entries off the face allow; margin 1 - relative distance/(bound + 1e-6)",
            _room(faces, "error"),
            *_refuted_by(
                "depth does not matter: every L > 2 selects the maximiser of the entropy too",
                _room(deep, "to_entropy"),
            ),
        ),
        Claim(
            "S8",
            "columns e1, e2 and their mean: x_3 is the power mean of x_1 and x_2 with exponent "
            "-(1 - 2/L), from geometric to harmonic; margin 1e-6 - error of the position",
            ROUNDING - off,
            *_refuted_by(
                "the geometric mean at every depth",
                (ROUNDING - off_geometric)[:, segment["depth"] > 2],
            ),
        ),
    ]


def _room(faces, distance):
    return 1 - faces[distance] / (faces["bound"] + ROUNDING)


def _refuted_by(rival, margins):
    """Return a rival with its margins; nothing where no instance speaks of it."""
    return (rival, margins) if np.size(margins) else ()

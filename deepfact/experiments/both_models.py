"""The main theorem in both models, on the same data: statements S2 and S3."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.both_models_figure import figure, figure_data
from deepfact.experiments.constructed_gaps import checks as constructed_checks
from deepfact.experiments.constructed_gaps import describe_constructed, measure_constructed
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import limit_path
from deepfact.problem import Problem, gaussian_problem, rademacher_problem

__all__ = [
    "checks",
    "constructed_checks",
    "describe",
    "describe_constructed",
    "describe_instance",
    "figure",
    "figure_data",
    "measure_constructed",
    "measure_gaps",
    "with_known_signs",
]

MODELS = {"positive": False, "signed": True}
GENERATORS = {"gaussian": gaussian_problem, "rademacher": rademacher_problem}
SMALLEST_LOG_ALPHA = -700.0
"""Init scales below e^-700 are left out: `flow_limit` is not tested for them."""


def with_known_signs(problem: Problem) -> Problem:
    """Turn columns of the matrix around so that the same measurements have a nonnegative signal.

    Parameters
    ----------
    problem : Problem
        With a true signal of any signs.

    Returns
    -------
    Problem
        ``A diag(sign)``, the same ``y``, and the absolute values of the signal.
    """
    signs = np.where(problem.x_true < 0, -1.0, 1.0)
    return Problem(problem.dense() * signs, problem.y, np.abs(problem.x_true))


def measure_gaps(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    log10_scales: list[float],
    eps: list[float],
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Compute the l1 gap of both models on the same random data, over a grid of init scales.

    The positive model is told the signs: it has the matrix of `with_known_signs`.

    Parameters
    ----------
    sizes : list of tuple (M, N, s)
        Measurements, unknowns, nonzeros.
    trials : int
        Instances of each size with a Gaussian and with a Rademacher matrix.
    depths : list of float
        Numbers L of factors.
    log10_scales : list of float
        Init scales as log10(a/Q), a = alpha^L.
    eps : list of float
        Wanted gaps, as multiples of Q: for these alpha = h(Q, eps) is tried.
    seed : int
        Seed; every instance draws from its own child of it.

    Returns
    -------
    dict of str to dict
        Two tables, with ``instance``, ``signed``, ``kind``, ``M``, ``N``, ``s``, ``depth``,
        ``log_alpha``, ``Q_lower`` and ``Q_upper`` (certified interval of the least l1 norm),
        ``l1_norm`` (of the limit, rounded up), ``gap`` = ``l1_norm`` - ``Q_lower`` (NaN where the
        limit was not found or leaves the interval of Q) in each row. ``grid``, for each init scale:
        ``scale`` = a/Q; ``small``, whether N' a < Q; ``lower_bound``, the flow's own on Q;
        ``certificate``, the gap that it certifies with no solver; ``bound``, the sharper one of S3;
        ``guarantee``, the eps with h(Q, eps) = alpha of S2, infinite where there is none; for the
        rivals ``guarantee_3`` and ``bound_3``, those of depth 3 from the same alpha and the same a.
        ``wanted``, for each wanted gap: ``eps``, as multiple of Q; ``tried``, whether h(Q, eps) >=
        e^-700 (the gap is NaN if not).

    Raises
    ------
    RuntimeError
        If a value of basis pursuit is not certified.
    """
    cases = [(kind, *size) for kind in GENERATORS for size in sizes for _ in range(trials)]
    children = np.random.SeedSequence(seed).spawn(len(cases))
    scales = 10.0 ** np.asarray(log10_scales, float)
    grid, wanted = [], []
    for i, ((kind, M, N, s), child) in enumerate(zip(cases, children, strict=True)):
        drawn = GENERATORS[kind](M, N, s, seed=child)
        for signed in MODELS.values():
            problem = drawn if signed else with_known_signs(drawn)
            case = {"instance": i, "signed": signed, "kind": kind, "M": M, "N": N, "s": s}
            on_grid, at_wanted = _gaps(problem, case, depths, scales, eps)
            grid += on_grid
            wanted += at_wanted
    return {"grid": from_rows(grid), "wanted": from_rows(wanted)}


def _gaps(problem, case, depths, scales, eps):
    """Return the rows of one instance and model at the scales, and those at the wanted gaps."""
    best = basis_pursuit(problem, signed=case["signed"])
    if not best.success:
        raise RuntimeError(f"no certified value of basis pursuit: {best.message}")
    grid, wanted = [], []
    for depth in depths:
        on_grid, at_wanted = _rows(problem, best.value, case | {"depth": float(depth)}, scales, eps)
        grid += on_grid
        wanted += at_wanted
    lower = max(best.lower_bound, *(row["lower_bound"] for row in grid))
    for row in grid + wanted:
        enclosed = row["l1_norm"] >= lower and row.get("lower_bound", 0.0) <= best.value
        row |= {"Q_lower": lower, "Q_upper": best.value}
        row["gap"] = row["l1_norm"] - lower if enclosed else np.nan
        if "lower_bound" in row:
            certificate = row["l1_norm"] - row["lower_bound"]
            row["certificate"] = certificate if enclosed else np.nan
    return grid, wanted


def _rows(problem, Q, case, scales, eps):
    """Return the same of one depth, before the interval of Q is known."""
    L, N, signed = case["depth"], case["N"], case["signed"]
    at_scale = np.log(scales * Q) / L
    at_eps = [theory.init_scale_bound(Q, each * Q, N, L, signed=signed, log=True) for each in eps]
    tried = [log_alpha >= SMALLEST_LOG_ALPHA for log_alpha in at_eps]
    wanted = [log_alpha for log_alpha, found in zip(at_eps, tried, strict=True) if found]
    models = [
        DeepFactorization(L, log_alpha=log_alpha, signed=signed)
        for log_alpha in (*at_scale, *wanted)
    ]
    limits = iter(limit_path(problem, models))
    on_grid, at_wanted = [], []
    for scale, log_alpha in zip(scales, at_scale, strict=True):
        limit = next(limits)
        on_grid.append(
            {
                **case,
                "scale": scale,
                "log_alpha": log_alpha,
                "small": scale * (2 * N if signed else N) < 1,
                "l1_norm": limit.l1_norm if limit.success else np.nan,
                "lower_bound": limit.lower_bound,
                "bound": theory.l1_gap_bound_sharp(Q, N, L, log_alpha=log_alpha, signed=signed),
                "guarantee": theory.guaranteed_gap(Q, N, L, log_alpha, signed),
                "guarantee_3": theory.guaranteed_gap(Q, N, 3, log_alpha, signed),
                "bound_3": theory.l1_gap_bound_sharp(
                    Q, N, 3, log_alpha=L * log_alpha / 3, signed=signed
                ),
            }
        )
    for each, log_alpha, found in zip(eps, at_eps, tried, strict=True):
        limit = next(limits) if found else None
        at_wanted.append(
            {
                **case,
                "eps": float(each),
                "log_alpha": log_alpha,
                "tried": found,
                "l1_norm": limit.l1_norm if found and limit.success else np.nan,
            }
        )
    return on_grid, at_wanted


def describe_instance(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write what is certified of the first instance, at the middle init scale.

    Parameters
    ----------
    tables : dict
        Of `measure_gaps`.

    Returns
    -------
    str
        For each model the interval of Q, and a line for each depth.
    """
    grid = select(tables["grid"], instance=0)
    scales = np.unique(grid["scale"])
    scale = scales[len(scales) // 2]
    lines = [f"first instance, a/Q = {scale:.0e}"]
    for name, signed in MODELS.items():
        own = select(grid, signed=signed, scale=scale)
        Q_lower, Q = own["Q_lower"][0], own["Q_upper"][0]
        lines.append(f"{name} model, {Q_lower:.8f} <= Q <= {Q:.8f} (linear program)")
        for depth, lower, norm in zip(
            own["depth"], own["lower_bound"], own["l1_norm"], strict=True
        ):
            lines.append(
                f"  L = {depth:<4g} flow: {lower:12.8f} <= Q <= {norm:12.8f} = norm(x_inf, 1)"
                f"   gap/Q = {(norm - Q_lower) / Q:.0e}"
            )
    return "\n".join(lines)


def describe(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write the smallest margins of each kind and size as lines of text.

    Parameters
    ----------
    tables : dict
        Of `measure_gaps`.

    Returns
    -------
    str
        How well Q is known, what was left out, and a line for each kind and size: the M that
        recovery needs (about), and the smallest (bound - gap)/bound, for both models.
    """
    grid, wanted = tables["grid"], tables["wanted"]
    width = (grid["Q_upper"] - grid["Q_lower"]) / grid["Q_upper"]
    count = len(np.unique(grid["instance"]))
    lines = [
        f"{count} instances; Q is known to a relative width of at most {width.max():.0e}",
        f"left out, since h(Q, eps) < e^{SMALLEST_LOG_ALPHA:.0f}: "
        f"{(~wanted['tried']).sum()} of {wanted['tried'].size}",
        "",
        "smallest margins               positive model             signed model",
        " matrix       M    N    s  (M needed)   S2    S3    (M needed)   S2    S3",
    ]
    for *case, rows in groups(grid, "kind", "M", "N", "s"):
        line = " {:10s} {:3d}  {:3d}  {:3d}".format(*case)
        for signed in MODELS.values():
            own = select(rows, signed=signed)
            threshold = theory.recovery_threshold(case[3], case[2], signed=signed)
            margins = (np.min(1 - own["gap"] / own[bound]) for bound in ("guarantee", "bound"))
            line += "   ({:5.1f})   {:5.2f} {:5.2f}  ".format(threshold, *margins)
        lines.append(line.rstrip())
    return "\n".join(lines)


def checks(tables: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    """Return what the gaps say about S2 and S3.

    Parameters
    ----------
    tables : dict
        Of `measure_gaps`.

    Returns
    -------
    list of Claim
        Three for each model. One of S2: on the grid of scales, where alpha = h(Q, eps) for one eps,
        and at the wanted eps; two of S3, for the gap to Q and for the certified one. NaN where a
        limit failed.
    """
    tried = tables | {"wanted": select(tables["wanted"], where=tables["wanted"]["tried"])}
    return [
        claim
        for name, signed in MODELS.items()
        for claim in _claims(name, *(select(tried[k], signed=signed) for k in ("grid", "wanted")))
    ]


def _claims(model, grid, wanted):
    guaranteed = select(grid, where=np.isfinite(grid["guarantee"]))
    small = select(grid, where=grid["small"])
    shallow = select(grid, depth=2)
    return [
        Claim(
            "S2",
            f"{model} model: alpha = h(Q, eps) gives norm(x_inf, 1) - Q <= eps; "
            "margin (eps - gap)/eps",
            np.concatenate(
                [
                    1 - guaranteed["gap"] / guaranteed["guarantee"],
                    1 - wanted["gap"] / (wanted["eps"] * wanted["Q_lower"]),
                ]
            ),
            "the alpha that depth 3 needs is small enough for depth 2",
            1 - shallow["gap"] / shallow["guarantee_3"],
        ),
        Claim(
            "S3",
            f"{model} model: norm(x_inf, 1) - Q is within the sharper, scale-covariant bound, at "
            "every alpha; margin (bound - gap)/bound",
            1 - grid["gap"] / grid["bound"],
            "the bound of depth 3, without a logarithm, holds for depth 2",
            1 - shallow["gap"] / shallow["bound_3"],
        ),
        Claim(
            "S3",
            f"{model} model, N' a < Q: the gap certified by the flow's own dual variable is within "
            "this bound too; margin (bound - certified gap)/bound",
            1 - small["certificate"] / small["bound"],
            "the bound of depth 3, without a logarithm, holds for depth 2",
            1 - shallow["certificate"] / shallow["bound_3"],
        ),
    ]

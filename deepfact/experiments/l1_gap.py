"""How far the flow's limit is from the least l1 norm: statements S2 and S3 on random problems."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit, limit_path
from deepfact.problem import gaussian_problem, rademacher_problem
from deepfact.theory import guaranteed_gap

__all__ = [
    "checks",
    "describe",
    "describe_instance",
    "guaranteed_gap",
    "measure_gaps",
    "measure_instance",
]

GENERATORS = {"gaussian": gaussian_problem, "rademacher": rademacher_problem}
SMALLEST_LOG_ALPHA = -700.0
"""Init scales below e^-700 are left out: `flow_limit` is not tested for them."""


def measure_instance(
    M: int, N: int, s: int, depths: list[float], scales: list[float], signed: bool, seed: int
) -> dict[str, np.ndarray]:
    """Compute limits on one Gaussian problem, with the interval that each certifies for Q.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    depths : list of float
        D numbers L of factors.
    scales : list of float
        K init scales as a/Q, a = alpha^L.
    signed : bool
        Signed model and signal, or positive ones.
    seed : int
        Seed of the problem.

    Returns
    -------
    dict of str to ndarray of shape (D K,)
        ``depth``, ``scale``, ``l1_norm`` and ``lower_bound`` of the limit; ``Q_lower`` and
        ``Q_upper``, the interval that linear programming certifies for Q; ``signed``.

    Raises
    ------
    RuntimeError
        If a limit is not found, or the two intervals have no point in common.
    """
    problem = gaussian_problem(M, N, s, seed=seed, signed=signed)
    best = basis_pursuit(problem, signed=signed)
    rows = []
    for depth in depths:
        for scale in scales:
            log_alpha = np.log(scale * best.value) / depth
            model = DeepFactorization(depth, log_alpha=log_alpha, signed=signed)
            limit = flow_limit(problem, model)
            if not limit.success or not limit.lower_bound <= best.value <= limit.l1_norm:
                raise RuntimeError(f"the limit does not enclose Q: {limit.message}")
            rows.append(
                {
                    "depth": float(depth),
                    "scale": float(scale),
                    "l1_norm": limit.l1_norm,
                    "lower_bound": limit.lower_bound,
                    "Q_lower": best.lower_bound,
                    "Q_upper": best.value,
                    "signed": signed,
                }
            )
    return from_rows(rows)


def measure_gaps(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    log10_scales: list[float],
    eps: list[float],
    signed: bool,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Compute the limit's l1 gap on random problems, over a grid of init scales.

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
    signed : bool
        Signed model and signals, or positive ones.
    seed : int
        Seed; every instance draws from its own child of it.

    Returns
    -------
    dict of str to dict
        Two tables, with ``instance``, ``signed``, ``kind``, ``M``, ``N``, ``s``, ``depth``,
        ``log_alpha``, ``Q_lower`` and ``Q_upper`` (certified interval of the least l1 norm),
        ``l1_norm`` (of the limit, rounded up), ``gap`` = ``l1_norm`` - ``Q_lower`` (NaN where the
        limit was not found or leaves the interval of Q) in each row. ``grid``, for each init scale:
        ``scale`` = a/Q; ``lower_bound``, the flow's own on Q; ``certificate``, the gap that it
        certifies with no solver; ``bound``, S3's, infinite where Q <= N' a; ``guarantee``, the eps
        with h(Q, eps) = alpha of S2, infinite where there is none; for the rivals ``guarantee_3``
        and ``bound_3``, those of depth 3 from the same alpha and the same a. ``wanted``, for each
        wanted gap: ``eps``, as multiple of Q; ``tried``, whether h(Q, eps) >= e^-700 (the gap is
        NaN if not).

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
        problem = GENERATORS[kind](M, N, s, seed=child, signed=signed)
        best = basis_pursuit(problem, signed=signed)
        if not best.success:
            raise RuntimeError(f"no certified value of basis pursuit: {best.message}")
        own_grid, own_wanted = [], []
        for L in np.asarray(depths, float):
            case = {"instance": i, "signed": signed, "kind": kind, "M": M, "N": N, "s": s}
            case["depth"] = L
            on_grid, at_wanted = _rows(problem, best.value, case, scales, eps)
            own_grid += on_grid
            own_wanted += at_wanted
        lower = max(best.lower_bound, *(row["lower_bound"] for row in own_grid))
        for row in own_grid + own_wanted:
            enclosed = row["l1_norm"] >= lower and row.get("lower_bound", 0.0) <= best.value
            row |= {"Q_lower": lower, "Q_upper": best.value}
            row["gap"] = row["l1_norm"] - lower if enclosed else np.nan
            if "lower_bound" in row:
                certificate = row["l1_norm"] - row["lower_bound"]
                row["certificate"] = certificate if enclosed else np.nan
        grid += own_grid
        wanted += own_wanted
    return {"grid": from_rows(grid), "wanted": from_rows(wanted)}


def _rows(problem, Q, case, scales, eps):
    """Return the rows of one instance and depth at the scales, and those at the wanted gaps."""
    L, N, signed = case["depth"], case["N"], case["signed"]
    at_scale = np.log(scales * Q) / L
    at_eps = [theory.log_init_scale_bound(Q, each * Q, N, L, signed=signed) for each in eps]
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
                "l1_norm": limit.l1_norm if limit.success else np.nan,
                "lower_bound": limit.lower_bound,
                "bound": theory.l1_gap_bound(Q, N, L, log_alpha=log_alpha, signed=signed),
                "guarantee": guaranteed_gap(Q, N, L, log_alpha, signed),
                "guarantee_3": guaranteed_gap(Q, N, 3, log_alpha, signed),
                "bound_3": theory.l1_gap_bound(Q, N, 3, log_alpha=L * log_alpha / 3, signed=signed),
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


def describe_instance(table: dict[str, np.ndarray]) -> str:
    """Write the certified intervals of one instance as lines of text.

    Parameters
    ----------
    table : dict
        Of `measure_instance`.

    Returns
    -------
    str
        The interval of linear programming, a header, and a line for each depth and scale.
    """
    solver = "basis pursuit" if table["signed"][0] else "linear program"
    lines = [
        f"{solver}: {table['Q_lower'][0]:.6f} <= Q <= {table['Q_upper'][0]:.6f}",
        "",
        "depth     a/Q     flow's lower bound    Q            norm(x_inf, 1)   gap/Q",
    ]
    names = ("depth", "scale", "lower_bound", "Q_lower", "Q_upper", "l1_norm")
    for depth, scale, lower, Q_lower, Q, norm in zip(*(table[k] for k in names), strict=True):
        lines.append(
            f"{depth:4g}   {scale:8.0e}   {lower:14.6f}   {Q:14.6f}"
            f"   {norm:14.6f}   {(norm - Q_lower) / Q:10.1e}"
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
        How well Q is known, what was left out, and a line for each kind and size.
    """
    grid, wanted = tables["grid"], tables["wanted"]
    width = (grid["Q_upper"] - grid["Q_lower"]) / grid["Q_upper"]
    count = len(np.unique(grid["instance"]))
    lines = [
        f"{count} instances; Q is known to a relative width of at most {width.max():.0e}",
        f"left out, since h(Q, eps) < e^{SMALLEST_LOG_ALPHA:.0f}: "
        f"{(~wanted['tried']).sum()} of {wanted['tried'].size}",
        "",
        "                          recovery needs     smallest           smallest",
        " matrix       M    N    s  M > (about)    (eps - gap)/eps  (bound - gap)/bound",
    ]
    for kind, M, N, s, own in groups(grid, "kind", "M", "N", "s"):
        threshold = theory.recovery_threshold(s, N, signed=own["signed"][0])
        lines.append(
            f" {kind:10s} {M:3d}  {N:3d}  {s:3d} {threshold:10.1f}"
            f" {np.min(1 - own['gap'] / own['guarantee']):16.2f}"
            f" {np.min(1 - own['gap'] / own['bound']):18.2f}"
        )
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
        One of S2: on the grid of scales, where alpha = h(Q, eps) for one eps, and at the wanted
        eps; two of S3, for the gap to Q and for the certified one. NaN where a limit failed.
    """
    grid = tables["grid"]
    wanted = select(tables["wanted"], where=tables["wanted"]["tried"])
    guaranteed = select(grid, where=np.isfinite(grid["guarantee"]))
    bounded = select(grid, where=np.isfinite(grid["bound"]))
    shallow = select(grid, depth=2)
    model = "signed" if grid["signed"][0] else "positive"
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
            f"{model} model: norm(x_inf, 1) - Q is within the scale-covariant bound; "
            "margin (bound - gap)/bound",
            1 - bounded["gap"] / bounded["bound"],
            "the bound of depth 3, without a logarithm, holds for depth 2",
            1 - shallow["gap"] / shallow["bound_3"],
        ),
        Claim(
            "S3",
            f"{model} model: the gap certified by the flow's own dual variable is within the bound "
            "too; margin (bound - certified gap)/bound",
            1 - bounded["certificate"] / bounded["bound"],
            "the bound of depth 3, without a logarithm, holds for depth 2",
            1 - shallow["certificate"] / shallow["bound_3"],
        ),
    ]

"""Two columns that are hard to tell apart, A = (1, 1 + delta), and two that cancel, A = (1, -1)."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows, groups
from deepfact.experiments.worst_delta import worst_delta
from deepfact.limit import flow_limit
from deepfact.theory import guaranteed_gap


def worst_case(
    Q: float, depth: float, log_alpha: float, signed: bool = True
) -> tuple[float, float]:
    """Maximise the gap on A = (1, 1 + delta) over delta, for a = alpha^L < Q.

    Parameters
    ----------
    Q : float
        Least l1 norm.
    depth : float
        Number L of factors, finite.
    log_alpha : float
        Natural logarithm of the init scale.
    signed : bool, optional
        Signed or positive model (default: True).

    Returns
    -------
    gap, delta : float
        The largest gap and where it is attained.
    """

    def gap(log_delta):
        delta = float(np.exp(log_delta))
        return theory.worst_case_gap(delta, Q, depth, signed=signed, log_alpha=log_alpha)

    # The worst delta is of the order of the worst gap, which is that of the asymptote.
    log_ratio = max(float(np.log(Q)) - depth * log_alpha, 1.0)
    centre = -np.log(log_ratio) if depth == 2 else -(1 - 2 / depth) * log_ratio
    grid = centre + np.linspace(-4.0, 4.0, 17)
    return worst_delta(gap, grid, 1e-8)


def measure_worst_case(
    depths: list[float], log10_ratios: list[float], Q: float = 1.0, signed: bool = True
) -> dict[str, np.ndarray]:
    """Compute the largest gap over A = (1, 1 + delta) and compare it with guarantee and asymptote.

    Parameters
    ----------
    depths : list of float
        Numbers L of factors, finite.
    log10_ratios : list of float
        Init scales as log10(Q/a), a = alpha^L.
    Q : float, optional
        Least l1 norm (default: 1).
    signed : bool, optional
        Signed or positive model (default: True).

    Returns
    -------
    dict of str to ndarray of shape (D K,)
        ``depth``, ``log10_ratio``, ``log_alpha``; as multiples of Q ``supremum`` with the ``delta``
        that attains it, ``guarantee`` (S2), ``bound`` (the sharper one of S3) and ``asymptote``,
        C/log(Q/a) or C (a/Q)^p, with ``constant`` = C; ``disagreement``, the relative difference
        between the supremum and the gap of `flow_limit` on that very matrix (NaN where 1 + delta
        would round off delta's digits).
    """
    rows = []
    for L in depths:
        C = theory.worst_case_constant(L)
        for log10_ratio in log10_ratios:
            log_ratio = float(np.log(10) * log10_ratio)
            log_alpha = (float(np.log(Q)) - log_ratio) / L
            gap, delta = worst_case(Q, L, log_alpha, signed)
            limit_gap = np.nan
            if delta > 1e-6:
                problem = theory.worst_case_problem(delta, Q)
                model = DeepFactorization(L, log_alpha=log_alpha, signed=signed)
                difference = problem.A[0, 1] - 1.0  # delta as it is in the matrix
                limit = flow_limit(problem, model)
                limit_gap = abs(limit.x[0]) * difference / (1 + difference)
            rows.append(
                {
                    "depth": float(L),
                    "log10_ratio": float(log10_ratio),
                    "log_alpha": log_alpha,
                    "supremum": gap / Q,
                    "delta": delta,
                    "guarantee": guaranteed_gap(Q, 2, L, log_alpha, signed) / Q,
                    "bound": theory.l1_gap_bound_sharp(Q, 2, L, log_alpha=log_alpha, signed=signed)
                    / Q,
                    "asymptote": C / log_ratio if L == 2 else C * np.exp(-log_ratio * (1 - 2 / L)),
                    "constant": C,
                    "disagreement": abs(limit_gap / gap - 1),
                }
            )
    return from_rows(rows)


def worst_case_fits(worst: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the exponent of the worst case at the smaller half of the init scales.

    Parameters
    ----------
    worst : dict of str to ndarray
        From `measure_worst_case`, with increasing ``log10_ratio`` for each depth.

    Returns
    -------
    dict of str to ndarray of shape (D,)
        ``depth``; the fitted ``exponent`` of log(Q/a) at L = 2 and of alpha beyond, and the
        ``predicted`` one; ``constant``; at the smallest init scale ``to_asymptote``, the supremum
        over the asymptote, and ``slack``, the guarantee over the supremum.
    """
    rows = []
    for L, here in groups(worst, "depth"):
        ratios = here["log10_ratio"]
        fit = ratios >= np.sort(ratios)[len(ratios) // 2]
        scale = np.log(ratios) if L == 2 else here["log_alpha"]
        rows.append(
            {
                "depth": L,
                "exponent": fitted_slope(scale[fit], np.log(here["supremum"][fit]))[0],
                "predicted": -1.0 if L == 2 else L - 2.0,
                "constant": here["constant"][-1],
                "to_asymptote": here["supremum"][-1] / here["asymptote"][-1],
                "slack": here["guarantee"][-1] / here["supremum"][-1],
            }
        )
    return from_rows(rows)


def improved_guarantee(worst: dict[str, np.ndarray]) -> np.ndarray:
    """Return the guarantee S2 at the largest init scale, continued by one power of alpha better.

    Parameters
    ----------
    worst : dict of str to ndarray
        From `measure_worst_case`, with increasing ``log10_ratio`` for each depth.

    Returns
    -------
    ndarray
        For each row: at L = 2 the guarantee times the square of the ratio of log(Q/a) to that of
        the first row of its depth, beyond times the power L - 1 of the ratio of alpha to it.
    """
    parts = []
    for L, rows in groups(worst, "depth"):
        fall = np.exp((L - 1) * (rows["log_alpha"] - rows["log_alpha"][0]))
        if L == 2:
            fall = (rows["log10_ratio"][0] / rows["log10_ratio"]) ** 2
        parts.append(rows["guarantee"][0] * fall)
    return np.concatenate(parts)


def measure_sign() -> dict[str, np.ndarray]:
    """Measure what decides the sign of the 1/2 in S2: the gap on A = (1, -1) for both signs.

    Returns
    -------
    dict of str to ndarray of shape (2,)
        ``half``, +1/2 and -1/2; ``eps``, the wanted gap; ``gap`` of the positive model from
        alpha = exp(half - (Q^2 + N/e)/(2 eps)).
    """
    problem, eps, alpha = theory.sign_counterexample()
    Q = float(np.abs(problem.y[0]))
    rows = []
    for half in (0.5, -0.5):
        log_alpha = float(np.log(alpha) + (half - 0.5))
        model = DeepFactorization(2, log_alpha=log_alpha, signed=False)
        rows.append({"half": half, "eps": eps, "gap": flow_limit(problem, model).l1_norm - Q})
    return from_rows(rows)


def describe_worst_case(worst: dict[str, np.ndarray]) -> str:
    """Write the rates of the worst case as a table.

    Parameters
    ----------
    worst : dict of str to ndarray
        From `measure_worst_case`.

    Returns
    -------
    str
        A line for each depth, and one on the agreement with `flow_limit`.
    """
    lines = [
        "depth   fitted exponent   predicted   constant C   supremum/asymptote   guarantee/supremum"
    ]
    for L, fit in groups(worst_case_fits(worst), "depth"):
        lines.append(
            f"{L:4g} {fit['exponent'][0]:15.4f} {fit['predicted'][0]:13g}"
            f" {fit['constant'][0]:14.4f} {fit['to_asymptote'][0]:15.4f} {fit['slack'][0]:20.1f}"
        )
    compared = worst["disagreement"][np.isfinite(worst["disagreement"])]
    lines.append(
        f"\nflow_limit on {len(compared)} of these matrices: "
        f"relative difference at most {compared.max():.0e}"
    )
    return "\n".join(lines)


def describe_sign(sign: dict[str, np.ndarray]) -> str:
    """Write the gaps that decide the sign of the 1/2.

    Parameters
    ----------
    sign : dict of str to ndarray
        From `measure_sign`.

    Returns
    -------
    str
        Three lines.
    """
    wrong, right = sign["gap"]
    return (
        f"wanted gap             {sign['eps'][0]:.3f}\n"
        f"gap from exp(+1/2 ...)  {wrong:.3f}   larger: the statement with +1/2 is false\n"
        f"gap from exp(-1/2 ...)  {right:.3f}"
    )

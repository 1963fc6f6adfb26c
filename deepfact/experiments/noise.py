"""Noisy measurements and compressible signals: statement S5."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from deepfact.checks import Claim
from deepfact.experiments.early_stopping import describe_early_stopping, measure_early_stopping
from deepfact.experiments.hard_noise import checks as hard_noise_checks
from deepfact.experiments.hard_noise import describe_hard_noise, measure_hard_noise
from deepfact.experiments.noise_figure import figure, figure_data, largest_recovered
from deepfact.experiments.noise_sweeps import measure_noise, measure_sparsity, measure_tails
from deepfact.experiments.tables import from_rows, groups, select

__all__ = [
    "checks",
    "describe_early_stopping",
    "describe_hard_noise",
    "describe_noise",
    "describe_sparsity",
    "describe_tails",
    "figure",
    "figure_data",
    "hard_noise_checks",
    "measure_early_stopping",
    "measure_hard_noise",
    "measure_noise",
    "measure_sparsity",
    "measure_tails",
]


def slopes(by_noise: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit log error = slope log noise + constant, for each method and instance.

    Parameters
    ----------
    by_noise : dict of str to ndarray
        From `measure_noise`.

    Returns
    -------
    dict of str to ndarray
        ``method``, ``depth``, ``trial`` and the least-squares ``slope``.
    """
    rows = []
    for method, trial, here in groups(by_noise, "method", "trial"):
        x = np.log(here["noise"]) - np.log(here["noise"]).mean()
        slope = x @ np.log(here["error"]) / np.sum(x**2)
        rows.append({"method": method, "depth": here["depth"][0], "trial": trial, "slope": slope})
    return from_rows(rows)


def describe_noise(by_noise: dict[str, np.ndarray]) -> str:
    """Write slopes and constants of the errors against the noise.

    Parameters
    ----------
    by_noise : dict of str to ndarray
        From `measure_noise`, of at least two instances.

    Returns
    -------
    str
        A line for each method, and two on certificates and the quotient property.
    """
    lines = ["method           slope (95 % interval)     error/||e||: smallest, median, largest"]
    for method, fits in groups(slopes(by_noise), "method"):
        slope = fits["slope"]
        half = student.ppf(0.975, len(slope) - 1) * slope.std(ddof=1) / np.sqrt(len(slope))
        here = select(by_noise, method=method)
        ratio = here["error"] / here["noise"]
        lines.append(
            f"{method:14s}   {slope.mean():.3f} +- {half:.3f}"
            f"  {ratio.min():18.2f}, {np.median(ratio):.2f}, {ratio.max():.2f}"
        )
    rho, quotient = by_noise["rho"], by_noise["quotient"]
    lines += [
        f"\nrho of the dual certificates: {rho.min():.2f} to {rho.max():.2f}",
        f"q(e)/(sqrt(s_*)||e||): {quotient.min():.2f} to {quotient.max():.2f}, "
        "so d is at least that",
    ]
    return "\n".join(lines)


def _methods(table):
    return list(dict.fromkeys(table["method"].tolist()))


def describe_sparsity(by_sparsity: dict[str, np.ndarray]) -> str:
    """Write median errors over the noise, by number of nonzeros and method.

    Parameters
    ----------
    by_sparsity : dict of str to ndarray
        From `measure_sparsity`.

    Returns
    -------
    str
        A line for each number of nonzeros, after one on recovery without noise.
    """
    M, N = by_sparsity["M"][0], by_sparsity["N"][0]
    lines = [
        "without noise, l1-minimisation recovers up to about "
        f"s = {largest_recovered(by_sparsity)} at M = {M}, N = {N}\n",
        "error/||e|| (median)",
        "      s  " + "  ".join(f"{name:>14s}" for name in _methods(by_sparsity)),
    ]
    for s, rows in groups(by_sparsity, "s"):
        medians = [np.median(here["error"] / here["noise"]) for _, here in groups(rows, "method")]
        lines.append(f"{s:7d}  " + "  ".join(f"{number:14.2f}" for number in medians))
    return "\n".join(lines)


def describe_tails(by_tail: dict[str, np.ndarray]) -> str:
    """Write median errors of compressible signals, by exponent and method.

    Parameters
    ----------
    by_tail : dict of str to ndarray
        From `measure_tails`.

    Returns
    -------
    str
        A line for each exponent.
    """
    lines = [
        "error of signals of norm 1 with entries k^-exponent (median)",
        f"tail = sigma_s/sqrt(s) for s = {by_tail['s'][0]}",
        "exponent  tail    " + "  ".join(f"{name:>14s}" for name in _methods(by_tail)),
    ]
    for exponent, rows in groups(by_tail, "exponent"):
        medians = [np.median(here["error"]) for _, here in groups(rows, "method")]
        lines.append(
            f"{exponent:8.4g}  {rows['tail'][0]:.4f}  "
            + "  ".join(f"{number:14.4f}" for number in medians)
        )
    return "\n".join(lines)


def checks(
    by_noise: dict[str, np.ndarray],
    by_sparsity: dict[str, np.ndarray],
    by_tail: dict[str, np.ndarray],
    stopped: dict[str, dict[str, np.ndarray]],
) -> list[Claim]:
    """Return what the tables say about S5.

    Parameters
    ----------
    by_noise, by_sparsity, by_tail : dict of str to ndarray
        From `measure_noise`, `measure_sparsity` and `measure_tails`.
    stopped : dict of str to dict of str to ndarray
        From `measure_early_stopping`.

    Returns
    -------
    list of Claim
        Four, each with its rival.
    """
    flows = [select(t, where=np.isfinite(t["depth"])) for t in (by_noise, by_sparsity, by_tail)]
    error, bound, l1_room = (
        np.concatenate([table[name] for table in flows]) for name in ("error", "bound", "l1_room")
    )
    sparse = [select(table, where=table["bound"] < np.inf) for table in flows[:2]]
    beyond_oracle = np.concatenate([1 - table["error"] / table["oracle"] for table in sparse])
    less = l1_room - 0.02 * np.concatenate([table["q_share"] for table in flows])
    slope = slopes(flows[0])["slope"]
    stops = stopped["stops"]
    return [
        Claim(
            "S5",
            "||x_inf - x*||_2 is within the bound of S5's form whose constants are computed for "
            "the given matrix, support and noise; margin: 1 minus their ratio",
            (1 - error / bound)[np.isfinite(bound)],
            "sparse signals: the error is at most that of least squares on the true support",
            beyond_oracle,
        ),
        Claim(
            "S5",
            "||x_inf||_1 <= ||x*||_1 + q(e) + eps, q(e) = min ||v||_1 over A v = e, eps from S3; "
            "margin: what is left of q(e) + eps, relative to it",
            l1_room,
            "the noise costs 2 % less: 0.98 q(e) in the place of q(e)",
            less,
        ),
        Claim(
            "S5",
            "the error of sparse recovery grows like ||e||_2: slope of log error in log noise, "
            "fitted to each instance; margin: 0.1 minus abs(slope - 1)",
            0.1 - np.abs(slope - 1),
            "the slow rate of the lasso: the error grows like ||e||_2^(1/2)",
            0.1 - np.abs(slope - 0.5),
        ),
        Claim(
            "S5",
            "D_F(x*, x(t)) falls at the promised rate while ||A x - y|| > ||e||, and is least "
            "after that; margin: least 1 - promised/measured fall over the time intervals",
            np.where(stops["later"], stops["margin"], -1.0),
            "D_F(x*, x(t)) falls as without noise, at the rate ||A x - y||^2",
            stops["margin_without_noise"],
        ),
    ]

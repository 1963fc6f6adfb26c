"""The l1 gap of one problem against the init scale, with its bounds and its asymptote (S7)."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.refined_gap import log_gap_near_minimiser, measured_gap
from deepfact.experiments.tables import groups, join
from deepfact.experiments.two_columns import worst_case
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem, gaussian_problem
from deepfact.theory import guaranteed_gap

SMALLEST_MEASURED = 1e-8
"""Gaps below this multiple of Q are taken from `log_gap_near_minimiser`, larger ones measured."""
FITTED_BELOW = 1e-12
"""The exponent of a curve is fitted where the gap is at most this multiple of Q."""


def fitted_slopes(curve: dict[str, np.ndarray]) -> tuple[float, float, float]:
    """Fit the exponent of the measured gap of one problem at one depth.

    Parameters
    ----------
    curve : dict of str to ndarray
        Rows of one depth from `measure_curves`.

    Returns
    -------
    slope, low, high : float
        Least-squares slope of log gap in log alpha where the gap is at most `FITTED_BELOW`, and the
        least and the largest slope between neighbours there.
    """
    fit = curve["measured"] <= FITTED_BELOW
    logs = np.log(curve["measured"][fit])
    log_alpha = np.log(10) * curve["log10_alpha"][fit]
    local = np.diff(logs) / np.diff(log_alpha)
    return fitted_slope(log_alpha, logs)[0], float(local.min()), float(local.max())


def gap_curve(
    problem: Problem, x: np.ndarray, depth: float, log_alpha: np.ndarray, signed: bool = True
) -> dict[str, np.ndarray]:
    """Compute the l1 gap on one problem against the init scale, with its bounds and asymptote.

    Parameters
    ----------
    problem : Problem
        A x = y.
    x : ndarray of shape (N,)
        The unique minimiser of the l1 norm.
    depth : float
        Number L of factors, finite.
    log_alpha : ndarray of shape (K,)
        Natural logarithms of the init scales.
    signed : bool, optional
        Signed or positive model (default: True).

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``depth``, ``log10_alpha``, and as multiples of Q: ``measured`` (from `flow_limit` where it
        is at least `SMALLEST_MEASURED`, else from `log_gap_near_minimiser`; ``refined`` says
        which), ``asymptote`` (S7), ``bound`` (the sharper one of S3), ``guarantee`` (S2),
        ``worst_case`` (the supremum over A = (1, 1 + delta) with the same Q); ``exponent`` and
        ``constant`` of the asymptote.
    """
    Q, N = float(np.abs(x).sum()), problem.N
    asymptote = theory.first_order_correction(problem, x, depth, signed=signed)
    measured, refined = [], []
    for value in log_alpha:
        model = DeepFactorization(depth, log_alpha=float(value), signed=signed)
        gap = measured_gap(problem, x, asymptote.certificate, model) / Q
        refined.append(not gap >= SMALLEST_MEASURED)
        if refined[-1]:
            log_gap = log_gap_near_minimiser(problem, x, asymptote.certificate, model)
            gap = float(np.exp(log_gap)) / Q
        measured.append(gap)
    return {
        "depth": np.full(len(log_alpha), float(depth)),
        "log10_alpha": log_alpha / np.log(10),
        "measured": np.array(measured),
        "refined": np.array(refined),
        "asymptote": asymptote.gap(log_alpha=log_alpha) / Q,
        "bound": theory.l1_gap_bound_sharp(Q, N, depth, log_alpha=log_alpha, signed=signed) / Q,
        "guarantee": np.array([guaranteed_gap(Q, N, depth, v, signed) for v in log_alpha]) / Q,
        "worst_case": np.array([worst_case(Q, depth, float(v), signed)[0] for v in log_alpha]) / Q,
        "exponent": np.full(len(log_alpha), asymptote.exponent),
        "constant": np.full(len(log_alpha), asymptote.gap_coefficient),
    }


def measure_curves(
    M: int, N: int, s: int, depths: list[float], points: int, seed: int
) -> dict[str, np.ndarray]:
    """Compute the l1 gap on one Gaussian problem against the init scale, down to 1e-20 Q.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    depths : list of float
        Numbers L of factors, finite.
    points : int
        Number of init scales for each depth.
    seed : int
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        The columns of `gap_curve`, one depth after another.

    Raises
    ------
    ValueError
        If the signal is not the minimiser of the l1 norm: choose more measurements.
    """
    problem = gaussian_problem(M, N, s, seed=seed)
    x = problem.x_true
    if not np.linalg.norm(basis_pursuit(problem).x - x) <= 1e-9 * np.linalg.norm(x):
        raise ValueError(f"l1-minimisation does not find the {s} nonzeros: choose M > {M}")
    curves = []
    for L in depths:
        asymptote = theory.first_order_correction(problem, x, L)
        last = np.log(1e-20 * np.abs(x).sum() / asymptote.gap_coefficient) / asymptote.exponent
        log_alpha = np.linspace(min(0.0, 0.02 * last), last, points)
        curves.append(gap_curve(problem, x, L, log_alpha))
    return join(*curves)


def describe_curves(curves: dict[str, np.ndarray]) -> str:
    """Write predicted and fitted exponents of one problem as a table.

    Parameters
    ----------
    curves : dict of str to ndarray
        From `measure_curves`.

    Returns
    -------
    str
        A line for each depth.
    """
    lines = [
        "depth   predicted exponent   constant   fitted exponent, local slopes   gap/predicted"
    ]
    for L, curve in groups(curves, "depth"):
        slope, low, high = fitted_slopes(curve)
        lines.append(
            f"{L:4g} {curve['exponent'][0]:15.4f} {curve['constant'][0]:17.4g} {slope:17.4f}"
            f"  in [{low:.4f}, {high:.4f}]"
            f" {curve['measured'][-1] / curve['asymptote'][-1]:14.4f}"
        )
    return "\n".join(lines)

"""Fitted 50 % points of recovery beside the predicted ones (S14)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from deepfact.experiments.tables import from_rows, groups, select
from deepfact.experiments.transition_fits import (
    ProbitFit,
    has_transition,
    probit_fit,
    threshold_tolerance,
)
from deepfact.theory import recovery_threshold, recovery_window

__all__ = ["METHODS", "chi_square", "fit_cuts", "fit_grid", "fit_growth", "growth_slopes"]

METHODS = {"depth_2": "L = 2", "depth_3": "L = 3", "basis_pursuit": "basis pursuit"}
"""Columns of the recovery table whose 50 % points are compared, with their labels."""


GRID_COLUMNS = (
    "signal",
    "nonzeros",
    "midpoint",
    "midpoint_error",
    "predicted",
    "margin",
    "square_law",
    "square_margin",
)


def _fit(kind, method, N, s, cells):
    counts = cells["measurements"], cells[method], cells["trials"]
    fit = probit_fit(*counts) if has_transition(*counts) else ProbitFit(*[np.nan] * 4)
    predicted = recovery_threshold(s, N, signed=kind == "signed")
    other = recovery_threshold(s, N, signed=kind != "signed")
    window = recovery_window(s, N, signed=kind == "signed")
    cone = np.sqrt(window**2 + 2 * predicted)
    tolerance = threshold_tolerance(fit.midpoint_error)
    return {
        "signal": kind,
        "method": method,
        "unknowns": N,
        "nonzeros": s,
        "predicted": predicted,
        "window": window,
        "midpoint": fit.midpoint,
        "midpoint_error": fit.midpoint_error,
        "width": fit.width,
        "width_error": fit.width_error,
        "width_margin": 1 - abs(fit.width - window) / (3 * fit.width_error),
        "cone_margin": 1 - abs(fit.width - cone) / (3 * fit.width_error),
        "margin": 1 - abs(fit.midpoint - predicted) / tolerance,
        "other_margin": 1 - abs(fit.midpoint - other) / tolerance,
    }


def fit_cuts(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Fit a normal distribution function to the cut of each signal and method.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.

    Returns
    -------
    dict of str to ndarray
        A row for each signal and method, with NaN where the counts determine no curve:
        ``signal``, ``method``, ``unknowns``, ``nonzeros``,
        ``predicted`` 50 % point and ``window`` (width), ``midpoint``, ``midpoint_error``,
        ``width``, ``width_error`` of `transition_fits.probit_fit`; ``margin``, 1 minus the
        deviation of the midpoint over `transition_fits.threshold_tolerance`; ``other_margin``, the
        same against the prediction for the other kind of signal; ``width_margin``, 1 minus the
        deviation of the width over 3 standard errors; ``cone_margin``, the same against the
        standard deviation of norm(Pi_C g)^2, the term -2 N delta of S14 left out.
    """
    rows = []
    for kind, table in tables.items():
        cut = select(table, part="cut")
        N, s = int(cut["unknowns"][0]), int(cut["nonzeros"][0])
        rows += [_fit(kind, method, N, s, cut) for method in METHODS]
    return from_rows(rows)


def fit_growth(
    tables: dict[str, dict[str, np.ndarray]], method: str = "depth_3"
) -> dict[str, np.ndarray]:
    """Fit a normal distribution function for each signal and number of unknowns.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.
    method : str, optional
        Column of the recovery table (default: "depth_3").

    Returns
    -------
    dict of str to ndarray
        The columns of `fit_cuts`, a row for each signal and N.
    """
    rows = []
    for kind, table in tables.items():
        for N, s, cells in groups(select(table, part="growth"), "unknowns", "nonzeros"):
            rows.append(_fit(kind, method, N, s, cells))
    return from_rows(rows)


def growth_slopes(growth: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the growth of the 50 % point with log N at a fixed number of nonzeros.

    Parameters
    ----------
    growth : dict
        Of `fit_growth`.

    Returns
    -------
    dict of str to ndarray
        A row for each signal: ``signal``, ``nonzeros``; ``slope`` of the midpoints in log N,
        weighted by their errors, and its standard error ``slope_error``; ``predicted``, the slope
        of N delta(s/N) with the same weights; ``allowed``, 3 standard errors and a measurement over
        the whole range of log N.
    """
    rows = []
    for kind, own in groups(growth, "signal"):
        x, weight = np.log(own["unknowns"]), own["midpoint_error"] ** -2.0
        x = x - weight @ x / weight.sum()
        precision = weight @ x**2
        error = 1 / np.sqrt(precision)
        rows.append(
            {
                "signal": kind,
                "nonzeros": int(own["nonzeros"][0]),
                "slope": float(weight * x @ own["midpoint"] / precision),
                "slope_error": float(error),
                "predicted": float(weight * x @ own["predicted"] / precision),
                "allowed": float(3 * error + 1 / np.ptp(x)),
            }
        )
    return from_rows(rows)


def fit_grid(
    tables: dict[str, dict[str, np.ndarray]], method: str = "depth_3"
) -> dict[str, np.ndarray]:
    """Fit a normal distribution function for each signal and number of nonzeros of the grid.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.
    method : str, optional
        Column of the recovery table (default: "depth_3").

    Returns
    -------
    dict of str to ndarray
        The columns of `fit_cuts`, a row for each signal and s up to N/2 whose counts determine a
        curve, and ``square_law``, what s^2 log(N/s) asks for if it is right at the smallest of
        these s, with ``square_margin``, the margin against it.
    """
    rows = []
    for kind, table in tables.items():
        own_rows = []
        for N, s, cells in groups(select(table, part="grid"), "unknowns", "nonzeros"):
            ran = select(cells, where=cells["measurements"] >= s)
            if 2 * s <= N and has_transition(ran["measurements"], ran[method], ran["trials"]):
                own_rows.append(_fit(kind, method, N, s, ran))
        for row in own_rows:
            first, N = own_rows[0], row["unknowns"]
            shape = [at["nonzeros"] ** 2 * np.log(N / at["nonzeros"]) for at in (row, first)]
            square = first["midpoint"] * shape[0] / shape[1]
            allowed = threshold_tolerance(row["midpoint_error"])
            rows.append(
                row
                | {
                    "square_law": float(square),
                    "square_margin": float(1 - abs(row["midpoint"] - square) / allowed),
                }
            )
    return from_rows(rows) if rows else {name: np.array([]) for name in GRID_COLUMNS}


def chi_square(cut: dict[str, np.ndarray], kind: str, method: str, widening: float = 1.0) -> float:
    """Compare the recoveries of a cut with the predicted curve, which has no fitted number (S14).

    Parameters
    ----------
    cut : dict
        The rows of a cut of `recovery_table.recovery_table`.
    kind : str
        "signed" or "nonnegative".
    method : str
        Column of the recovery table.
    widening : float, optional
        Factor of the predicted width (default: 1).

    Returns
    -------
    float
        sum (recovered - n p)^2/(n p (1 - p)) over the cells, with n instances each and
        p = Phi((M - N delta(s/N))/sigma).
    """
    N, s = int(cut["unknowns"][0]), int(cut["nonzeros"][0])
    sigma = widening * recovery_window(s, N, signed=kind == "signed")
    z = (cut["measurements"] - recovery_threshold(s, N, signed=kind == "signed")) / sigma
    chance, count = ndtr(z), cut["trials"]
    return float(np.sum((cut[method] - count * chance) ** 2 / (count * chance * ndtr(-z))))

"""Fitted 50 % points of recovery beside the predicted ones (S14)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from deepfact.experiments.tables import from_rows, groups, select
from deepfact.experiments.transition_fits import logistic_fit, threshold_tolerance
from deepfact.theory import recovery_threshold, recovery_window

__all__ = ["METHODS", "chi_square", "fit_cuts", "fit_growth"]

METHODS = {"depth_2": "L = 2", "depth_3": "L = 3", "basis_pursuit": "basis pursuit"}
"""Columns of the recovery table whose 50 % points are compared, with their labels."""


def _fit(kind, method, N, s, cells):
    fit = logistic_fit(cells["measurements"], cells[method], cells["trials"])
    predicted = recovery_threshold(s, N, signed=kind == "signed")
    other = recovery_threshold(s, N, signed=kind != "signed")
    tolerance = threshold_tolerance(fit.midpoint_error)
    return {
        "signal": kind,
        "method": method,
        "unknowns": N,
        "nonzeros": s,
        "predicted": predicted,
        "window": recovery_window(s, N, signed=kind == "signed"),
        "midpoint": fit.midpoint,
        "midpoint_error": fit.midpoint_error,
        "width": fit.width,
        "width_error": fit.width_error,
        "margin": 1 - abs(fit.midpoint - predicted) / tolerance,
        "other_margin": 1 - abs(fit.midpoint - other) / tolerance,
    }


def fit_cuts(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Fit a logistic curve to the cut of each signal and method.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.

    Returns
    -------
    dict of str to ndarray
        A row for each signal and method: ``signal``, ``method``, ``unknowns``, ``nonzeros``,
        ``predicted`` 50 % point and ``window`` (width), ``midpoint``, ``midpoint_error``,
        ``width``, ``width_error`` of `transition_fits.logistic_fit`; ``margin``, 1 minus the
        deviation of the midpoint over `transition_fits.threshold_tolerance`; ``other_margin``, the
        same against the prediction for the other kind of signal.
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
    """Fit a logistic curve for each signal and number of unknowns.

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

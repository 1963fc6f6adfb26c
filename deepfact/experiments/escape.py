"""The time that a small coordinate takes to grow: part of statement S11."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.tables import from_rows
from deepfact.problem import Problem

__all__ = ["measure_escapes"]

TOO_SHARP = 1e-3
"""Relative error of the integrator above which an escape is not followed."""
_UNTESTED = {"outcome": "starts above"} | dict.fromkeys(
    ("earliest", "latest", "margin", "early"), np.nan
)


def measure_escapes(
    targets: list[float], depths: list[float], alphas: list[float], threshold: float
) -> dict[str, np.ndarray]:
    """Test the escape time on a diagonal problem, where each coordinate moves by itself.

    Parameters
    ----------
    targets : list of float
        The entries of y; A is the identity.
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales (infinite depth: mu).
    threshold : float
        The size to be reached, as a fraction of the target.

    Returns
    -------
    dict of str to ndarray
        A row for each depth, init scale and target: ``depth``, ``alpha``, ``target``,
        ``threshold``; ``outcome``: "tested", "starts above" where alpha^L >= X, so that there is no
        escape, or "too sharp" where the integrator's own estimate of its error exceeds 1e-3;
        ``earliest`` and ``latest``, the escape times at the drifts y - a and y - X, between which
        the true drift lies; ``margin``, the smaller of (X - x(earliest))/X and
        (x(latest) - X)/X, less the integrator's error, and ``early``, the first of the two. Both
        are NaN if the integration failed, and where nothing was tested.
    """
    rows = []
    for depth in depths:
        for alpha in alphas:
            model = DeepFactorization(depth, alpha, signed=False)
            start = float(np.exp(model.log_product))
            about = {"depth": float(depth), "alpha": float(alpha)}
            y = np.asarray(targets, dtype=float)
            above = start >= threshold * y * (1 - 1e-12)  # equality up to rounding counts
            rows += [
                about | {"target": value, "threshold": threshold} | _UNTESTED for value in y[above]
            ]
            y = y[~above]
            if y.size:
                found = _escapes(y, threshold * y, model, float(alpha))
                rows += [
                    about | {"target": value, "threshold": threshold} | row
                    for value, row in zip(y, found, strict=True)
                ]
    return from_rows(rows)


def _escapes(y, X, model, alpha):
    """Return a row for each of the targets y, none of which is below the start."""
    start = float(np.exp(model.log_product))
    earliest, latest = (
        np.asarray(theory.escape_time(X, drift, model.depth, alpha)) for drift in (y - start, y - X)
    )
    times = np.sort(np.concatenate([earliest, latest]))
    path = gradient_flow(Problem(np.eye(len(y)), y), model, times=times, rtol=1e-10)
    sharp = np.max(path.error) > TOO_SHARP
    rows = []
    for i in range(len(y)):
        first, last = np.searchsorted(times, [earliest[i], latest[i]])
        early = (X[i] - path.x[first, i]) / X[i] - path.error[first]
        late = (path.x[last, i] - X[i]) / X[i] - path.error[last]
        margins = min(early, late), early
        if sharp or path.status == "failed":
            margins = np.nan, np.nan
        rows.append(
            {
                "outcome": "too sharp" if sharp else "tested",
                "earliest": earliest[i],
                "latest": latest[i],
                "margin": margins[0],
                "early": margins[1],
            }
        )
    return rows

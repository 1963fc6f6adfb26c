"""The time that a small coordinate takes to grow: part of statement S11."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.tables import from_rows
from deepfact.problem import Problem

__all__ = ["measure_escapes"]

TOO_SHARP = 0.5
"""Relative error, over the threshold, above which the integrator cannot decide an escape.

At the earlier of the two times the formula leaves room of the order of the threshold.
"""
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
        escape, or "too sharp" where the integrator's own estimate of its error exceeds
        `TOO_SHARP` times the threshold;
        ``earliest`` and ``latest``, the escape times at the drifts y - a and y - X, between which
        the true drift lies; ``margin``, the smaller of (X - x(earliest))/X and
        (x(latest) - X)/X, less the integrator's error, and ``early``, the first of the two. Both
        are NaN if the integration failed, and where nothing was tested.
    """
    rows = []
    for depth in depths:
        for alpha in alphas:
            model = DeepFactorization(depth, alpha, signed=False)
            for target in targets:
                about = {"depth": float(depth), "alpha": float(alpha), "target": float(target)}
                X = threshold * target
                # Equality up to rounding counts as a start above X.
                above = np.exp(model.log_product) >= X * (1 - 1e-12)
                found = _UNTESTED if above else _escape(target, X, model, alpha)
                rows.append(about | {"threshold": threshold} | found)
    return from_rows(rows)


def _escape(y, X, model, alpha):
    """Return what is found out about one coordinate, which starts below X."""
    start = float(np.exp(model.log_product))
    times = np.array(
        [theory.escape_time(X, drift, model.depth, alpha) for drift in (y - start, y - X)]
    )
    # One coordinate at a time: the integrator's error is relative to the whole signal.
    path = gradient_flow(Problem(np.eye(1), [y]), model, times=times, rtol=1e-12)
    sharp = np.max(path.error) > TOO_SHARP * X / y
    early = (X - path.x[0, 0]) / X - path.error[0]
    late = (path.x[1, 0] - X) / X - path.error[1]
    failed = sharp or path.status == "failed"
    return {
        "outcome": "too sharp" if sharp else "tested",
        "earliest": times[0],
        "latest": times[1],
        "margin": np.nan if failed else min(early, late),
        "early": np.nan if failed else early,
    }

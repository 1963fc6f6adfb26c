"""The time that a small coordinate takes to grow: part of statement S11."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.problem import Problem

__all__ = ["measure_escapes"]


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
        Columns ``depth``, ``alpha``, ``target``, ``threshold``, ``earliest``, ``latest`` (the
        escape times at the drifts y - a and y - X, between which the true drift lies) and
        ``margin``: the smaller of (X - x(earliest))/X and (x(latest) - X)/X, less the integrator's
        error; ``early``, the first of the two. Left out: a >= X, and escapes too sharp for the
        integrator, whose own estimate then exceeds 1e-3.
    """
    y = np.asarray(targets, dtype=float)
    problem = Problem(np.eye(len(y)), y)
    X = threshold * y
    rows = []
    for depth in depths:
        for alpha in alphas:
            model = DeepFactorization(depth, alpha, signed=False)
            a = float(np.exp(model.log_product))
            if a >= X.min():
                continue
            earliest = np.asarray(theory.escape_time(X, y - a, depth, alpha))
            latest = np.asarray(theory.escape_time(X, y - X, depth, alpha))
            times = np.sort(np.concatenate([earliest, latest]))
            path = gradient_flow(problem, model, times=times, rtol=1e-10)
            if np.max(path.error) > 1e-3:
                continue
            for i in range(len(y)):
                first, last = np.searchsorted(times, [earliest[i], latest[i]])
                early = (X[i] - path.x[first, i]) / X[i] - path.error[first]
                late = (path.x[last, i] - X[i]) / X[i] - path.error[last]
                margin = min(early, late) if path.status != "failed" else np.nan
                rows.append([depth, alpha, y[i], threshold, earliest[i], latest[i], margin, early])
    names = ("depth", "alpha", "target", "threshold", "earliest", "latest", "margin", "early")
    return dict(zip(names, np.array(rows).reshape(-1, len(names)).T, strict=True))

"""A matrix of one row on which the weighted gap comes near to its bound S4, at depths above 2."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.tables import from_rows, groups
from deepfact.experiments.worst_delta import worst_delta
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.theory import weighted_l1_gap_bound

__all__ = ["describe_hard_weights", "measure_hard_weights"]


def measure_hard_weights(
    N: int, depths: list[float], log10_ratios: list[float], spread: float, seed: int
) -> dict[str, np.ndarray]:
    """Maximise the weighted gap of the positive model over delta on w (1, ..., 1, 1 + delta).

    With A = (w_1, ..., w_{N-1}, (1 + delta) w_N), w = c^(2 - L), factors alpha c give all products
    but the last the same ratio to their start, for which Holder's inequality in the proof of S4 is
    an equality.

    Parameters
    ----------
    N : int
        Number of unknowns, at least 2.
    depths : list of float
        Finite numbers L > 2 of factors.
    log10_ratios : list of float
        Init scales as log10(1/alpha^L); the least weighted norm W is 1.
    spread : float
        The logarithms of the entries of the shape c are normal with this standard deviation.
    seed : int
        Source of randomness of the shape.

    Returns
    -------
    dict of str to ndarray
        A row for each depth and init scale: ``depth``, ``log10_ratio``, ``N``, the worst ``delta``,
        the weighted ``gap`` there and its ``bound``.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 4]))
    # The lowest start comes last, for which the proof's second inequality loses least.
    log_shape = np.sort(spread * rng.standard_normal(N))[::-1]
    rows = []
    for depth in depths:
        theta = 1 - 2 / depth
        weights = np.exp((2 - depth) * log_shape)
        for log10_ratio in log10_ratios:
            log_alpha = log_shape - np.log(10) * log10_ratio / depth
            model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)

            def gap(log_delta, model=model, weights=weights):
                stretched = np.append(np.ones(N - 1), 1 + float(np.exp(log_delta)))
                delta = stretched[-1] - 1  # as it is in the matrix
                problem = Problem((stretched * weights)[None, :], stretched[-1:])
                limit = flow_limit(problem, model)
                # <w, x> - W without cancellation: sum_i w_i x_i + (1 + delta) w_N x_N = 1 + delta.
                small = weights[:-1] @ limit.x[:-1]
                return small * delta / (1 + delta) if limit.success else np.nan

            # The worst delta is of the order of the bound.
            unit = (2 - depth) * (log_alpha[0] - log_shape[0])  # log of alpha^(2-L)
            bound = weighted_l1_gap_bound(
                float(np.exp(unit)), depth, log_alpha=log_alpha, signed=False
            )
            bound /= float(np.exp(unit))
            centre = np.log(bound) - theta * np.log(N) / 2
            grid = centre + np.linspace(-4.0, 4.0, 17)
            worst, delta = worst_delta(gap, grid)
            rows.append(
                {
                    "depth": float(depth),
                    "log10_ratio": float(log10_ratio),
                    "N": N,
                    "delta": delta,
                    "gap": worst,
                    "bound": bound,
                }
            )
    return from_rows(rows)


def describe_hard_weights(hard: dict[str, np.ndarray]) -> str:
    """Write how near to the bound S4 the constructed weights come.

    Parameters
    ----------
    hard : dict of str to ndarray
        From `measure_hard_weights`.

    Returns
    -------
    str
        A line for each depth.
    """
    lines = []
    for depth, rows in groups(hard, "depth"):
        share = rows["gap"] / rows["bound"]
        lines.append(
            f"L = {depth:g}, A = w (1, ..., 1, 1 + delta), N = {rows['N'][0]}, at the worst delta: "
            f"{share.min():.2f} to {share.max():.2f} of the bound"
        )
    return "\n".join(lines)

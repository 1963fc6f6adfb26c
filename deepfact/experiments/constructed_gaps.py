"""S2 and S3 on columns made to be confused, (1, ..., 1, 1 + delta), in both models."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.hard_columns import measure_hard_columns
from deepfact.experiments.tables import groups, join
from deepfact.theory import guaranteed_gap

__all__ = ["checks", "describe_constructed", "measure_constructed"]


def measure_constructed(
    N: int, depths: list[float], log10_ratios: list[float], sizes: list[float]
) -> dict[str, np.ndarray]:
    """Maximise the gap over delta on columns (1, ..., 1, 1 + delta), in both models.

    Parameters
    ----------
    N : int
        Number of unknowns.
    depths : list of float
        Numbers L of factors, finite.
    log10_ratios : list of float
        Init scales as log10(Q/a), a = alpha^L.
    sizes : list of float
        Values of Q, the least l1 norm. S2 is not covariant in scale: at depth 2 it is nearest to
        being attained at Q = sqrt(N/e), beyond where the entries are of order 1.

    Returns
    -------
    dict of str to ndarray
        A row for each model, size, depth and init scale: the columns of
        `hard_columns.measure_hard_columns`, ``signed``, ``Q``; as multiples of Q the ``guarantee``
        of S2 and ``without_N``, the same with 0 in the place of N', the number of products
        (infinite where no eps is guaranteed).
    """
    parts = []
    for signed in (False, True):
        for Q in sizes:
            table = measure_hard_columns(N, depths, log10_ratios, signed=signed, Q=Q)
            log_a = np.log(Q) - np.log(10) * table["log10_ratio"]
            pairs = list(zip(table["depth"], log_a / table["depth"], strict=True))
            size = len(pairs)
            parts.append(
                table
                | {
                    "signed": np.full(size, signed),
                    "Q": np.full(size, float(Q)),
                    "guarantee": np.array(
                        [guaranteed_gap(Q, N, L, value, signed) / Q for L, value in pairs]
                    ),
                    "without_N": np.array([_without_products(Q, L, value) for L, value in pairs]),
                }
            )
    return join(*parts)


def _without_products(Q, depth, log_alpha):
    """Return the guarantee of S2 with 0 for the number of products, as a multiple of Q."""
    if depth == 2:
        slack = -2 * log_alpha - 1
        return Q / slack if slack > 0 else np.inf
    c = depth / 2 * np.exp((depth - 2) * log_alpha)
    return c / (1 - c) if c < 1 else np.inf


def describe_constructed(constructed: dict[str, np.ndarray]) -> str:
    """Write how near to the bounds the constructed columns come.

    Parameters
    ----------
    constructed : dict of str to ndarray
        From `measure_constructed`.

    Returns
    -------
    str
        A line for each model and depth.
    """
    lines = [
        f"(1, ..., 1, 1 + delta), N = {constructed['N'][0]}, at the worst delta: largest share of",
        "model     depth   the bound S3   the guarantee S2",
    ]
    for signed, L, rows in groups(constructed, "signed", "depth"):
        bound, guarantee = (np.max(rows["gap"] / rows[name]) for name in ("bound", "guarantee"))
        name = "signed" if signed else "positive"
        lines.append(f"{name:8s} {L:6g} {bound:14.2f} {guarantee:18.2f}")
    return "\n".join(lines)


def checks(constructed: dict[str, np.ndarray]) -> list[Claim]:
    """Return what the constructed columns say about S2 and S3.

    Parameters
    ----------
    constructed : dict of str to ndarray
        From `measure_constructed`.

    Returns
    -------
    list of Claim
        One of each, with its rival.
    """
    guaranteed = np.isfinite(constructed["guarantee"])
    return [
        Claim(
            "S2",
            "both models, columns (1, ..., 1, 1 + delta) at the worst delta: alpha = h(Q, eps) "
            "gives norm(x_inf, 1) - Q <= eps; margin (eps - gap)/eps",
            (1 - constructed["gap"] / constructed["guarantee"])[guaranteed],
            "the init scale need not depend on the number of unknowns: h with N' = 0",
            1 - constructed["gap"] / constructed["without_N"],
        ),
        Claim(
            "S3",
            "both models, columns (1, ..., 1, 1 + delta) at the worst delta: norm(x_inf, 1) - Q is "
            "within the sharper bound; margin (bound - gap)/bound",
            1 - constructed["gap"] / constructed["bound"],
            "a third of the bound would do",
            1 - 3 * constructed["gap"] / constructed["bound"],
        ),
    ]

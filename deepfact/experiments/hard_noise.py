"""Noise that looks like one more column: it comes near to the computed bound of S5."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.noise_bound import fixed_signal_bound
from deepfact.experiments.noise_sweeps import compare
from deepfact.experiments.tables import from_rows, groups
from deepfact.problem import Problem

__all__ = ["checks", "describe_hard_noise", "hard_noise_problem", "measure_hard_noise"]


def hard_noise_problem(M: int, rho: float, level: float) -> tuple[Problem, np.ndarray]:
    """Return a signal of one nonzero, and noise along another column.

    Parameters
    ----------
    M : int
        Number of measurements, at least 2.
    rho : float
        Inner product of the first column with all others, at least 0 and below 1.
    level : float
        Size of the noise over that of the signal.

    Returns
    -------
    problem : Problem
        The columns e_1 and rho e_1 +- sqrt(1 - rho^2) e_k for k = 2, ..., M, without noise; the
        signal is the first unit vector.
    e : ndarray of shape (M,)
        The noise, ``level`` times the second column.
    """
    side = np.sqrt(1 - rho**2) * np.eye(M)[:, 1:]
    first = np.eye(M)[:, :1]
    A = np.hstack([first, rho * first + side, rho * first - side])
    x = np.zeros(A.shape[1])
    x[0] = 1.0
    return Problem(A, A @ x, x), level * A[:, 1]


def measure_hard_noise(
    M: int, rhos: list[float], level: float, depths: list[float], start: float
) -> dict[str, np.ndarray]:
    """Compare the flow's error with its bound where noise is a column of the matrix.

    The noise's own cheapest explanation is then the column itself. It stays in the limit, and no
    inequality in the proof of S5's computed bound loses much: for small rho and start its share is
    1/(rho + sqrt(1 + rho^2)).

    Parameters
    ----------
    M : int
        Number of measurements.
    rhos : list of float
        Values of rho of `hard_noise_problem`.
    level : float
        Size of the noise over that of the signal.
    depths : list of float
        Numbers L of factors.
    start : float
        a = alpha^L.

    Returns
    -------
    dict of str to ndarray
        A row for each rho and depth: ``rho``, ``depth``, ``error`` and ``bound``, both over
        ``noise`` = ||e||_2, and ``share``, that of the bound which theory lets one expect from a
        vanishing start.
    """
    rows = []
    for rho in rhos:
        problem, e = hard_noise_problem(M, rho, level)
        constants = fixed_signal_bound(problem.dense(), problem.x_true, 1)
        found = compare(problem, e, depths, start, [constants], level)
        for row in found[: len(depths)]:
            size = row["noise"]
            rows.append(
                {
                    "rho": float(rho),
                    "depth": row["depth"],
                    "noise": size,
                    "error": row["error"] / size,
                    "bound": row["bound"] / size,
                    "share": 1 / (rho + np.sqrt(1 + rho**2)),
                }
            )
    return from_rows(rows)


def describe_hard_noise(hard: dict[str, np.ndarray]) -> str:
    """Write which share of its bound the error takes where noise is a column.

    Parameters
    ----------
    hard : dict of str to ndarray
        From `measure_hard_noise`.

    Returns
    -------
    str
        A line for each rho.
    """
    lines = ["noise along a column: share of the bound that the error takes"]
    for rho, rows in groups(hard, "rho"):
        shares = ", ".join(
            f"L = {depth:g}: {error / bound:.3f}"
            for depth, error, bound in zip(rows["depth"], rows["error"], rows["bound"], strict=True)
        )
        lines.append(f"rho = {rho:g}   {shares}   (from a vanishing start: {rows['share'][0]:.3f})")
    return "\n".join(lines)


def checks(hard: dict[str, np.ndarray]) -> list[Claim]:
    """Return what noise along a column says about S5.

    Parameters
    ----------
    hard : dict of str to ndarray
        From `measure_hard_noise`.

    Returns
    -------
    list of Claim
        One, with its rival.
    """
    return [
        Claim(
            "S5",
            "noise along one column, which is nearly orthogonal to the signal's: ||x_inf - x*||_2 "
            "is within the bound with computed constants; margin: 1 minus their ratio",
            1 - hard["error"] / hard["bound"],
            "half of the bound would do",
            1 - 2 * hard["error"] / hard["bound"],
        )
    ]

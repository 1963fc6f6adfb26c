"""A matrix as a product of two or three matrices with weight decay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from deepfact.experiments.tables import from_rows
from deepfact.lifting.matrix_factors import (
    fit_matrix_factors,
    nuclear_norm_bounds,
    shrunk_singular_value,
)

__all__ = ["measure_fits"]


def _data(rows, columns, rng):
    """Draw a matrix with singular values spread evenly from 0 to 2."""
    left, _ = np.linalg.qr(rng.standard_normal((rows, columns)))
    right, _ = np.linalg.qr(rng.standard_normal((columns, columns)))
    return (left * np.linspace(2, 0, columns, endpoint=False)) @ right


def _start(rows, columns, depth, scale, rng):
    """Draw square inner factors: full inner rank."""
    sizes = [rows, *[columns] * depth]
    spread = scale / np.sqrt(columns)
    return [spread * rng.standard_normal(shape) for shape in pairwise(sizes)]


def measure_fits(
    rows: int,
    columns: int,
    penalty: float,
    depths: list[int],
    scales: list[float],
    starts: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Fit a matrix from many starts with products of two and more matrices.

    Parameters
    ----------
    rows, columns : int
        Size of the data, rows >= columns; their singular values are spread evenly from 0 to 2.
    penalty : float
        lambda.
    depths : list of int
        Numbers L of matrices.
    scales : list of float
        Sizes of the matrices at the start.
    starts : int
        Starts for each of them.
    seed : int
        Source of randomness.

    Returns
    -------
    runs : dict of str to ndarray
        A row for each run: ``depth``, ``scale``, ``start``; ``gap``, J less the nuclear norm's dual
        bound at the same product; ``excess``, J less the least one of this depth.
    spectra : dict of str to ndarray
        A row for each run and singular value: ``depth``, ``scale``, ``start``, ``data``,
        ``fitted`` (the entry of the fit between the data's singular vectors), ``aside``, the norm
        of the fit's entries between different singular vectors; ``upper``, the positive branch
        predicted; ``soft``, the singular value soft-thresholded; ``penalty``.
    """
    rng = np.random.default_rng(seed)
    Y = _data(rows, columns, rng)
    left, data, right = np.linalg.svd(Y, full_matrices=False)
    runs, spectra = [], []
    for depth in depths:
        upper = [shrunk_singular_value(s, penalty, depth) for s in data]
        own = []
        for scale in scales:
            for start in range(starts):
                factors = _start(rows, columns, depth, scale, rng)
                value, X = fit_matrix_factors(Y, penalty, factors)
                _, bound = nuclear_norm_bounds(Y, X, penalty)
                row = {"depth": depth, "scale": scale, "start": start}
                own.append({**row, "gap": value - bound, "value": value})
                core = left.T @ X @ right.T
                fitted = np.diag(core)
                aside = np.linalg.norm(core - np.diag(fitted))
                spectra += [
                    {
                        **row,
                        "data": s,
                        "fitted": z,
                        "aside": aside,
                        "upper": branch,
                        "soft": max(s - penalty, 0.0),
                        "penalty": penalty,
                    }
                    for s, z, branch in zip(data, fitted, upper, strict=True)
                ]
        least = min(row["value"] for row in own)
        runs += [{**row, "excess": row["value"] - least} for row in own]
    return from_rows(runs), from_rows(spectra)

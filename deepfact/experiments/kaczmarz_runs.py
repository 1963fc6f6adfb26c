"""Randomised Kaczmarz: runs against the exact mean error, its bound, and its floor."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.tables import from_rows
from deepfact.theory import kaczmarz_errors, kaczmarz_floor

__all__ = ["measure_kaczmarz"]


def measure_kaczmarz(
    short: int,
    long: int,
    noise: float,
    passes: list[float],
    longest: list[float],
    runs: int,
    instances: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Run randomised Kaczmarz on wide and on tall noisy Gaussian systems.

    Parameters
    ----------
    short, long : int
        Sides of A. Wide systems are short x long and have solutions; tall ones are long x short,
        with y = A x + noise.
    noise : float
        Standard deviation of the tall systems' errors, over that of A x.
    passes : list of float
        Recorded times, as multiples of |A|_F^2/smin^2.
    longest : list of float
        Runs of wide systems and of tall ones end at these times. Errors of wide systems are
        products of more and more random factors, so that their mean becomes that of rare runs; the
        exact mean needs none.
    runs : int
        Runs of each system; their mean error is compared with the exact one.
    instances : int
        Systems of each kind.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each kind, system and recorded step, errors over |A^+ y|^2: ``tall``, ``draw``,
        ``pace``, the step times smin^2/|A|_F^2; ``exact``, the exact mean error; ``mean`` and
        ``error``, mean of the runs and its standard error, NaN after ``longest``; ``bound``,
        (1 - smin^2/|A|_F^2)^k; ``twice``, with 2 smin^2; ``floor``, the exact limit, and ``lowest``
        and ``highest``, the bounds of it.
    """
    rows = []
    for tall in (False, True):
        for draw, stream in enumerate(np.random.SeedSequence([seed, int(tall)]).spawn(instances)):
            rng = np.random.default_rng(stream)
            A = rng.standard_normal((long, short) if tall else (short, long))
            y = A @ rng.standard_normal(A.shape[1])
            if tall:
                y = y + noise * np.std(y) * rng.standard_normal(len(y))
            rows += _rows(A, y, (passes, longest[tall]), runs, rng, tall, draw)
    return from_rows(rows)


def _rows(A, y, times, runs, rng, tall, draw):
    singular = np.linalg.svd(A, compute_uv=False)
    solution = np.linalg.pinv(A) @ y
    pace = singular[-1] ** 2 / np.sum(singular**2)
    passes, longest = np.array(times[0]), times[1]
    marks = np.unique(np.maximum(1, np.rint(passes / pace))).astype(int)
    exact = kaczmarz_errors(A, y, marks[-1])
    size, r2 = solution @ solution, np.sum((y - A @ solution) ** 2)
    squares = np.full((len(marks), runs), np.nan)
    run = marks * pace <= longest * (1 + 1e-6) + pace
    squares[run] = _run(A, y, solution, marks[run], runs, rng)
    limit = {
        "floor": kaczmarz_floor(A, y) / size,
        "lowest": r2 / singular[0] ** 2 / size,
        "highest": r2 / singular[-1] ** 2 / size,
    }
    return [
        {
            "tall": tall,
            "draw": draw,
            "pace": k * pace,
            "exact": exact[k] / size,
            "mean": np.mean(own) / size,
            "error": np.std(own, ddof=1) / np.sqrt(runs) / size,
            "bound": (1 - pace) ** k,
            "twice": (1 - 2 * pace) ** k,
            **limit,
        }
        for k, own in zip(marks, squares, strict=True)
    ]


def _run(A, y, solution, marks, runs, rng):
    """Return the squared errors of all runs at the marked steps."""
    sizes = np.sum(A**2, axis=1)
    shares = np.cumsum(sizes) / sizes.sum()
    x, found = np.zeros((runs, A.shape[1])), []
    for k in range(1, marks[-1] + 1):
        row = np.minimum(np.searchsorted(shares, rng.random(runs)), len(y) - 1)
        a = A[row]
        x += ((y[row] - np.sum(a * x, axis=1)) / sizes[row])[:, None] * a
        if k in marks:
            found.append(np.sum((x - solution) ** 2, axis=1))
    return found

"""Random problems: thirteen kinds of matrices times depths, signs, scales of y and of alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.fuzz.exact import equilibrated
from tests.fuzz.many_digits import Flow

KINDS = (
    "gaussian",
    "integer",
    "zero-one",
    "graded rows",
    "graded columns",
    "repeated rows",
    "repeated columns",
    "low rank",
    "vandermonde",
    "toeplitz",
    "zero columns",
    "positive",
    "correlated",
)
DEPTHS = (1.0, 2.0, 2.0001, 2.5, 3.0, 4.0, 6.0, 10.0, 30.0, np.inf)


@dataclass(frozen=True)
class Case:
    """One problem of the fuzz, determined by (seed, number)."""

    number: int
    kind: str
    measured: str  # what y comes from
    A: np.ndarray
    y: np.ndarray
    flow: Flow


def case(seed: int, number: int) -> Case:
    """Return problem ``number``; kinds and depths take turns, all else is drawn."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    kind = KINDS[number % len(KINDS)]
    depth = DEPTHS[number // len(KINDS) % len(DEPTHS)]
    M, N = int(rng.integers(1, 9)), int(rng.integers(2, 25))
    A = matrix(kind, M, N, rng)
    positive = bool(rng.integers(2)) and depth > 1
    measured = ("sparse", "dense", "random", "inconsistent")[
        rng.choice(4, p=[0.5, 0.25, 0.2, 0.05])
    ]
    x = np.zeros(N)
    if measured in ("sparse", "inconsistent"):
        s = int(rng.integers(1, max(2, min(M, N) + 1)))
        chosen = rng.choice(N, size=min(s, N), replace=False)
        x[chosen] = rng.standard_normal(len(chosen))
    elif measured == "dense":
        x = rng.standard_normal(N)
    if rng.random() < 0.2:
        x = np.round(3 * x)
    if positive:
        x = np.abs(x)
    y = A @ x
    size = np.abs(A).max() or 1.0
    if measured == "random":
        y = size * rng.standard_normal(M)
    elif measured == "inconsistent":
        y = y + 10.0 ** rng.uniform(-6, 0) * size * rng.standard_normal(M)
    exponent = 0.0 if rng.random() < 0.5 else rng.uniform(-60, 60)
    y = y * 10.0**exponent
    # The signal's size, up to the matrix's scaling.
    signal = (np.abs(x).max() or 1.0) * 10.0**exponent
    log_ratio = np.log(10.0) * (rng.uniform(-6, 0) if rng.random() < 0.5 else rng.uniform(-20, 4))
    if np.isinf(depth):
        log_alpha = np.log(signal) + 3 * log_ratio
    else:
        log_alpha = np.log(signal) / max(depth, 2.0) + log_ratio
        if depth > 2:
            log_alpha = float(np.clip(log_alpha, -680 / (depth - 2), 680 / (depth - 2)))
    return Case(number, kind, measured, A, y, Flow(depth, float(log_alpha), positive))


def matrix(kind: str, M: int, N: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random M x N matrix of one of the ``KINDS``."""
    A = rng.standard_normal((M, N))
    if kind == "integer":
        A = rng.integers(-9, 10, (M, N)).astype(float)
    elif kind == "zero-one":
        A = (rng.random((M, N)) < rng.uniform(0.2, 0.8)).astype(float)
    elif kind == "graded rows":
        A *= 10.0 ** rng.integers(-6, 7, (M, 1))
    elif kind == "graded columns":
        A *= 10.0 ** rng.integers(-4, 5, N)
    elif kind == "repeated rows":
        A = A[rng.integers(0, max(1, M // 2), M)]
    elif kind == "repeated columns":
        if rng.random() < 0.5:
            A = rng.integers(-1, 2, (M, N)).astype(float)
        A = A[:, rng.integers(0, max(1, 2 * N // 3), N)]
    elif kind == "low rank":
        r = int(rng.integers(1, max(2, min(M, N))))
        left, right = rng.standard_normal((M, r)), rng.standard_normal((r, N))
        if rng.random() < 0.5:  # exactly of low rank
            left, right = np.round(3 * left), np.round(3 * right)
        A = left @ right
    elif kind == "vandermonde":
        nodes = np.sort(rng.uniform(-1, 1, M)) * rng.choice([1.0, 1.5])
        A = np.vander(nodes, N, increasing=True)
    elif kind == "toeplitz":
        base = rng.uniform(0.3, 0.95) ** np.abs(np.arange(M)[:, None] - np.arange(N))
        A = base * (1.0 if rng.random() < 0.5 else rng.choice([-1.0, 1.0]))
    elif kind == "zero columns":
        A[:, rng.random(N) < 0.3] = 0.0
    elif kind == "positive":
        A = np.abs(A)
    elif kind == "correlated":
        A = A * rng.uniform(0.01, 0.5) + rng.standard_normal((M, 1))
    return A


def condition(A: np.ndarray) -> float:
    """Return the equilibrated matrix's condition number, on its numerical range (1e-13)."""
    sizes = np.linalg.svd(equilibrated(A)[0], compute_uv=False)
    if sizes[0] == 0:
        return 1.0
    return float(sizes[0] / sizes[sizes > 1e-13 * sizes[0]].min())

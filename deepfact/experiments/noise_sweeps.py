"""Errors of the flow's limits and of basis pursuit on noisy measurements: what S5 is about."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.early_stopping import unit_vector
from deepfact.experiments.noise_bound import (
    FixedSignalBound,
    fixed_signal_bound,
    least_l1_norm,
    limit_from,
)
from deepfact.experiments.tables import from_rows
from deepfact.l1_minimisation import basis_pursuit, bpdn
from deepfact.problem import Problem, gaussian_problem
from deepfact.theory import l1_gap_bound_sharp


def compare(
    problem: Problem,
    e: np.ndarray,
    depths: list[float],
    start: float,
    constants: list[FixedSignalBound],
    q: float,
) -> list[dict]:
    """Compare flow, basis pursuit and basis pursuit denoising on the measurements A x + e.

    Parameters
    ----------
    problem : Problem
        The problem without noise, with ``x_true``.
    e : ndarray of shape (M,)
        The noise. Only basis pursuit denoising is told its size.
    depths : list of float
        Numbers of factors.
    start : float
        a = alpha^L.
    constants : list of FixedSignalBound
        The constants to use; the best bound counts.
    q : float
        min ||v||_1 over A v = e.

    Returns
    -------
    list of dict
        A row for each depth, one for basis pursuit and one for basis pursuit denoising: ``method``;
        ``depth``, NaN for the last two; ``noise`` = ||e||_2; ``error`` in l2, and ``oracle`` =
        ||A_S^+ e||_2, that of least squares on the largest of the supports; for the flow ``bound``
        on its error and ``l1_room``, the part of q + (S3's bound of the gap) that is left between
        ||x_inf||_1 and ||x||_1 + q + (that bound), with ``q_share``, the part of it that is q, else
        NaN.

    Raises
    ------
    RuntimeError
        If a limit or a minimiser is not found.
    """
    A, x = problem.dense(), problem.x_true
    noisy = Problem(A, A @ x + e, x)
    size, norm = float(np.linalg.norm(e)), float(np.abs(x).sum())
    oracle = float(np.linalg.norm(constants[-1].pseudo_inverse @ e))
    rows = []
    for depth in depths:
        limit, _ = limit_from(noisy, depth, start)
        excess = q + l1_gap_bound_sharp(norm + q, len(x), depth, log_alpha=np.log(start) / depth)
        rows.append(
            {
                "method": f"flow, L = {depth:g}",
                "depth": float(depth),
                "noise": size,
                "error": np.linalg.norm(limit.x - x),
                "oracle": oracle,
                "bound": min(each.error(e, excess) for each in constants),
                "l1_room": (norm + excess - limit.l1_norm) / excess,
                "q_share": q / excess,
            }
        )
    for name, best in (("basis pursuit", basis_pursuit(noisy)), ("BPDN", bpdn(noisy, size))):
        if best.status not in ("optimal", "inaccurate"):
            raise RuntimeError(f"basis pursuit: {best.message}")
        row = {"method": name, "depth": np.nan, "noise": size}
        row |= {"error": np.linalg.norm(best.x - x), "oracle": oracle}
        rows.append({**row, "bound": np.nan, "l1_room": np.nan, "q_share": np.nan})
    return rows


def _compare_at(problem, level, supports, depths, start, rng):
    """Run `compare` with random noise of relative size ``level``."""
    A = problem.dense()
    e = level * np.linalg.norm(problem.y) * unit_vector(rng, problem.M)
    constants = [fixed_signal_bound(A, problem.x_true, size) for size in supports]
    return compare(problem, e, depths, start, constants, least_l1_norm(A, e))


def measure_noise(
    M: int,
    N: int,
    s: int,
    levels: list[float],
    depths: list[float],
    start: float,
    trials: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Measure errors against the noise level, with one direction of the noise for each instance.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    levels : list of float
        Noise levels ||e||/||A x||.
    depths : list of float
        Numbers of factors.
    start : float
        a = alpha^L.
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        A row for each instance, level and method: ``trial``, ``level``, ``start``, the columns of
        `compare`; for each instance ``rho`` of its dual certificate, and ``quotient``,
        q(e)/(sqrt(s_*) ||e||), s_* = M/log(eN/M).
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 0]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A = problem.dense()
        direction = unit_vector(rng, M)
        constants = fixed_signal_bound(A, problem.x_true, s)
        q = least_l1_norm(A, direction)
        about = {"rho": constants.rho, "quotient": q / np.sqrt(M / np.log(np.e * N / M))}
        for level in levels:
            size = level * np.linalg.norm(problem.y)
            found = compare(problem, size * direction, depths, start, [constants], size * q)
            here = {"trial": trial, "level": float(level), "start": start, **about}
            # The size as drawn: the norm of size * direction differs in its last digit.
            rows += [{**here, **row, "noise": size} for row in found]
    return from_rows(rows)


def measure_sparsity(
    M: int,
    N: int,
    sparsities: list[int],
    level: float,
    depths: list[float],
    start: float,
    trials: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Measure errors against the number of nonzeros, at one noise level.

    Parameters
    ----------
    M, N : int
        Size of the Gaussian problems.
    sparsities : list of int
        Numbers of nonzeros.
    level : float
        Noise level ||e||/||A x||.
    depths : list of float
        Numbers of factors.
    start : float
        a = alpha^L.
    trials : int
        Instances for each number.
    seed : int
        Source of randomness: one spawned stream for each trial.

    Returns
    -------
    dict of str to ndarray
        A row for each trial, number and method: ``trial``, ``M``, ``N``, ``s``, ``level``,
        ``start``, the columns of `compare`.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 1]).spawn(trials)):
        rng = np.random.default_rng(stream)
        for s in sparsities:
            problem = gaussian_problem(M, N, s, seed=rng)
            found = _compare_at(problem, level, [s], depths, start, rng)
            here = {"trial": trial, "M": M, "N": N, "s": s, "level": level, "start": start}
            rows += [{**here, **row} for row in found]
    return from_rows(rows)


def measure_tails(
    M: int,
    N: int,
    s: int,
    exponents: list[float],
    level: float,
    depths: list[float],
    start: float,
    trials: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Measure errors for compressible signals, sorted entries k^(-exponent) and ||x||_2 = 1.

    Parameters
    ----------
    M, N : int
        Size of the Gaussian problems.
    s : int
        The sparsity at which sigma_s(x)_1/sqrt(s) is reported.
    exponents : list of float
        Exponents; a larger one is nearer to a sparse signal.
    level : float
        Noise level ||e||/||A x||.
    depths : list of float
        Numbers of factors.
    start : float
        a = alpha^L.
    trials : int
        Instances for each exponent.
    seed : int
        Source of randomness: one spawned stream for each trial.

    Returns
    -------
    dict of str to ndarray
        A row for each trial, exponent and method: ``trial``, ``s``, ``exponent``, ``level``,
        ``start``, the columns of `compare` (the bounds are the best over supports of several
        sizes), and ``tail`` = sigma_s(x)_1/sqrt(s).
    """
    supports = sorted({1, 2, max(s // 2, 1), s})
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 2]).spawn(trials)):
        rng = np.random.default_rng(stream)
        for exponent in exponents:
            A = rng.standard_normal((M, N)) / np.sqrt(M)
            x = np.arange(1.0, N + 1) ** -exponent * rng.choice([-1.0, 1.0], N)
            x = rng.permutation(x / np.linalg.norm(x))
            found = _compare_at(Problem(A, A @ x, x), level, supports, depths, start, rng)
            tail = np.sort(np.abs(x))[: N - s].sum() / np.sqrt(s)
            here = {"trial": trial, "s": s, "exponent": float(exponent), "level": level}
            rows += [{**here, "start": start, **row, "tail": tail} for row in found]
    return from_rows(rows)

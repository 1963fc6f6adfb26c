"""Recovery rates over a grid of (measurements, sparsity): the empirical phase transition."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from deepfact.arguments import as_count, as_real_array, as_real_number, as_signed
from deepfact.deep_factorization import DeepFactorization
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import LimitResult, flow_limit
from deepfact.problem import gaussian_problem
from deepfact.sources import sources

METHODS = ("depth 1", "depth 2", "depth 3", "basis pursuit")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhaseTransition:
    """Counts of recovered vectors on a grid of cells.

    Parameters
    ----------
    N : int
        Number of unknowns.
    M, s : ndarray of shape (cells,)
        Measurements and sparsity of each cell.
    trials : int
        Instances a cell.
    recovered : ndarray of shape (cells, methods)
        How many of them each method recovered, by default each of `METHODS`.
    disagreements : ndarray of shape (cells, methods - 1)
        On how many each flow and basis pursuit differ, where that is among the methods.
    lp_solves : ndarray of shape (cells,)
        How many instances the flows' certificates left open, so that a linear program decided.
    """

    N: int
    M: np.ndarray
    s: np.ndarray
    trials: int
    recovered: np.ndarray
    disagreements: np.ndarray
    lp_solves: np.ndarray


def recovery_trial(
    M: int,
    N: int,
    s: int,
    signed: bool,
    log_alphas: tuple[float, float],
    tolerance: float,
    seed: np.random.SeedSequence,
    methods: tuple[str, ...] = METHODS,
) -> tuple[np.ndarray, bool]:
    """Try to recover one random s-sparse vector from M Gaussian measurements by every method.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    signed : bool
        Signed vector and model, or a nonnegative vector and the positive model.
    log_alphas : tuple of float
        log alpha for depth 2 and depth 3.
    tolerance : float
        Recovered means ||x - x_true||_2 <= tolerance ||x_true||_2; if x_true is 0, tolerance alone.
    seed : SeedSequence
        The trial's own.
    methods : tuple of str, optional
        Some of `METHODS`, in their order (default: all).

    Returns
    -------
    recovered : ndarray of bool, shape (methods,)
        By each method.
    solved : bool
        Whether a linear program was solved for basis pursuit. Otherwise the certificate of a flow
        decides: x_true is a minimiser if its norm is not above the certified lower bound, and not
        one if the flow's limit has a smaller norm.

    Raises
    ------
    ArithmeticError
        If a limit does not converge.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    problem = gaussian_problem(M, N, s, seed=np.random.default_rng(seed), signed=signed)
    x_true = problem.x_true
    size = _size(x_true)
    recovered = np.zeros(len(methods), dtype=bool)
    limits: dict[int, LimitResult] = {}
    for k, method in enumerate(methods):
        if method == "basis pursuit":
            # depth 1 knows no sign, and can have a smaller norm than any nonnegative solution
            deep = [limit for depth, limit in limits.items() if depth > 1]
            recovered[k], solved = _is_minimal(problem, deep, signed, tolerance)
            return recovered, solved
        depth = int(method[-1])
        log_alpha = None if depth == 1 else log_alphas[depth - 2]
        model = DeepFactorization(depth, signed=signed, log_alpha=log_alpha)
        limit = flow_limit(problem, model, start=limits.get(2))
        if not limit.success:
            raise ArithmeticError(f"depth {depth}: {limit.message}")
        limits[depth] = limit
        recovered[k] = np.linalg.norm(limit.x - x_true) <= tolerance * size
    return recovered, False


def _size(x_true: np.ndarray) -> float:
    """Return what errors are relative to: without nonzeros the unit, which nonzeros have."""
    return float(np.linalg.norm(x_true)) or 1.0


def _is_minimal(problem, limits, signed, tolerance) -> tuple[bool, bool]:
    """Return whether basis pursuit recovers x_true, and whether that took a linear program."""
    x_true = problem.x_true
    norm, size = np.abs(x_true).sum(), _size(x_true)
    for limit in limits:
        if limit.l1_norm < (1 - tolerance) * norm:
            return False, False
        near = np.linalg.norm(limit.x - x_true) <= tolerance * size
        if near and norm - limit.lower_bound <= tolerance * norm:
            return True, False
    best = basis_pursuit(problem, signed=signed)
    if not np.isfinite(best.x).all():
        raise ArithmeticError(f"basis pursuit: {best.message}")
    return bool(np.linalg.norm(best.x - x_true) <= tolerance * size), True


def _cell(arguments) -> list:
    """Run one cell; module-level, so that a process can be handed it."""
    M, N, s, trials, signed, log_alphas, tolerance, seed, methods, key = arguments
    recovered = np.zeros(len(methods), dtype=int)
    disagreements = np.zeros(len(methods) - 1, dtype=int)
    solves = 0
    with threadpool_limits(1):
        for trial in range(trials):
            found, solved = recovery_trial(
                M,
                N,
                s,
                signed,
                log_alphas,
                tolerance,
                np.random.SeedSequence(seed, spawn_key=(*key, trial)),
                methods,
            )
            recovered += found
            if methods[-1] == "basis pursuit":
                disagreements += found[:-1] != found[-1]
            solves += solved
    return [M, s, recovered.tolist(), disagreements.tolist(), solves]


def phase_transition(
    N: int,
    cells: list[tuple[int, int]],
    trials: int,
    nonnegative: bool | None = None,
    log_alphas: tuple[float, float] = (np.log(1e-8), np.log(1e-5)),
    tolerance: float = 1e-3,
    seed: int = 0,
    workers: int | None = None,
    checkpoint: str | Path | None = None,
    methods: tuple[str, ...] = METHODS,
    *,
    signed: bool | None = None,
) -> PhaseTransition:
    """Measure how often flows of depth 1, 2, 3 and basis pursuit recover s-sparse vectors.

    Every method sees the same instances. The seed of a trial depends on ``seed``, N, M, s and the
    trial alone: not on workers, order or the other cells. Cells with s > M are not run: M
    equations do not fix s unknowns even where the support is known, so every method fails almost
    surely.

    Parameters
    ----------
    N : int
        Number of unknowns.
    cells : list of (M, s)
        The grid.
    trials : int
        Instances a cell.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    log_alphas : tuple of float, optional
        log alpha for depth 2 and depth 3 (default: of 1e-8 and 1e-5).
    tolerance : float, optional
        Largest relative error that counts as recovery (default: 1e-3).
    seed : int, optional
        Seed of the experiment (default: 0).
    workers : int, optional
        Processes, each with one BLAS thread (default: one a core; 1 runs in this process).
    checkpoint : path, optional
        A file that collects finished cells; a run with the same arguments and the same code
        takes them up.
    methods : tuple of str, optional
        Which of `METHODS` to run, in their order (default: all).
    signed : bool, optional
        Signed vectors and model (default: True), or nonnegative vectors and the positive model.

    Returns
    -------
    PhaseTransition
        Cells in the order given.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range.
    ArithmeticError
        If a limit or a linear program could not be computed.
    OSError
        If the checkpoint cannot be written, before any work.
    RuntimeError
        If a process ends before its work, as where a script calls this outside of
        ``if __name__ == "__main__":`` and processes are spawned (macOS, Windows).

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    N = as_count("N", N, minimum=1)
    trials = as_count("trials", trials, minimum=1)
    seed = as_count("seed", seed, minimum=0)
    tolerance = as_real_number("tolerance", tolerance, above=0.0)
    log_alphas = as_real_array("log_alphas", log_alphas, ndim=1)
    if len(log_alphas) != 2:
        raise ValueError(f"log_alphas must be those of depth 2 and 3, got {len(log_alphas)}")
    workers = _cores() if workers is None else as_count("workers", workers, minimum=1)
    cells = [
        (as_count("cells' M", M, minimum=1), as_count("cells' s", s, minimum=0)) for M, s in cells
    ]
    for M, s in cells:
        if max(M, s) > N:
            raise ValueError(f"cells must have M <= N and s <= N = {N}, got ({M}, {s})")
    methods = tuple(methods)
    if not methods or methods != tuple(name for name in METHODS if name in methods):
        raise ValueError(f"methods must be some of {METHODS} in that order, got {methods}")
    signed = as_signed(signed, nonnegative)
    settings = (trials, signed, tuple(map(float, log_alphas)), tolerance, seed, methods)
    done = {}
    stamp = _stamp(N, settings)
    if checkpoint is not None:
        Path(checkpoint).parent.mkdir(parents=True, exist_ok=True)
        with Path(checkpoint).open("a+", encoding="utf-8", errors="replace") as file:
            file.seek(0)
            done = _finished(file, stamp, len(methods))
    for M, s in cells:
        if s > M:
            done[M, s] = [M, s, [0] * len(methods), [0] * (len(methods) - 1), 0]
    tasks = [
        (M, N, s, trials, signed, settings[2], tolerance, seed, methods, (N, M, s))
        for M, s in cells
        if (M, s) not in done
    ]
    # Long cells first, so that no worker is left alone with one at the end.
    tasks.sort(key=lambda task: -task[0])
    for finished, record in enumerate(_run(tasks, workers), 1):
        _log.info("N = %d: %d of %d cells", N, finished, len(tasks))
        done[record[0], record[1]] = record
        if checkpoint is not None:
            with Path(checkpoint).open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps([stamp, *record]))
    rows = [done[M, s] for M, s in cells]
    return PhaseTransition(
        N=N,
        M=np.array([row[0] for row in rows]),
        s=np.array([row[1] for row in rows]),
        trials=trials,
        recovered=np.array([row[2] for row in rows]),
        disagreements=np.array([row[3] for row in rows]),
        lp_solves=np.array([row[4] for row in rows]),
    )


def _finished(lines, stamp: str, methods: int) -> dict:
    """Return the finished cells of a checkpoint; lines cut short or of others are passed over."""
    done = {}
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            mark, M, s, recovered, disagreements, solves = json.loads(line)
            numbers = [M, s, *recovered, *disagreements, solves]
            lengths = (len(recovered), len(disagreements))
            whole = all(type(number) is int for number in numbers)
            if mark == stamp and whole and lengths == (methods, methods - 1):
                done[M, s] = [M, s, recovered, disagreements, solves]
    return done


def _stamp(N, settings) -> str:
    """Return a mark of the experiment and of the code that it depends on."""
    files = sources(f"import {__name__}")
    code = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(repr((N, settings)).encode() + code).hexdigest()[:16]


def _cores() -> int:
    """Return how many cores this process may use, all of them where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _run(tasks, workers):
    """Yield the cells' records as they finish, with a progress bar where somebody watches."""
    bar = {"total": len(tasks), "unit": "cell", "disable": None}
    if workers == 1 or len(tasks) < 2:
        yield from tqdm(map(_cell, tasks), **bar)
        return
    try:
        with ProcessPoolExecutor(workers) as pool:
            yield from tqdm(pool.map(_cell, tasks, chunksize=1), **bar)
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a process ended before its work was done: a script must call phase_transition under "
            'if __name__ == "__main__":, or with workers=1; or memory ran out'
        ) from error

"""Descent on the factors as one would run it: init scales, momentum, batches (S11, S12)."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_descent import gradient_descent
from deepfact.dynamics.near_limit import stable_step
from deepfact.experiments.fits import relative_error
from deepfact.experiments.tables import from_rows
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.statuses import require

__all__ = ["heavy_ball", "measure_batches", "measure_descents", "measure_momentum", "sign_problem"]


def sign_problem(M: int, N: int, s: int, seed: int | np.random.SeedSequence) -> Problem:
    """Draw a Gaussian problem whose signal has s nonzeros of size 1.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    Problem
        `gaussian_problem` with the signs of its signal.
    """
    problem = gaussian_problem(M, N, s, seed=seed)
    x = np.sign(problem.x_true)
    return Problem(problem.dense(), problem.dense() @ x, x)


def measure_descents(
    size: tuple[int, int, int],
    trials: int,
    depths: list[int],
    alphas: list[float],
    fraction: float,
    tolerance: float,
    max_iterations: int,
    seed: int,
    grown: float = 0.5,
) -> dict[str, np.ndarray]:
    """Run gradient descent from several init scales, beside the limits of the flow.

    Parameters
    ----------
    size : tuple of int
        M, N and s of `sign_problem`.
    trials : int
        Number of problems.
    depths : list of int
        Depths.
    alphas : list of float
        Init scales.
    fraction : float
        Step over the largest stable one at the limit (S10).
    tolerance : float
        Descent stops at this relative residual.
    max_iterations : int
        Largest number of steps.
    seed : int
        Seed; each problem has its own stream.
    grown : float, optional
        Share of its size that each nonzero must have for the signal to be found (default: 0.5).

    Returns
    -------
    dict of str to ndarray
        A row for each depth, init scale and problem: ``depth``, ``alpha``, ``trial``;
        ``found``, the first recorded iteration at which all nonzeros have grown that far (NaN where
        none is);
        ``iterations``, the last one, and ``status``; ``error`` and ``limit_error``, relative
        distances of descent and of the flow's limit to the sparse signal; ``fraction``,
        ``tolerance``, ``grown``.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence(seed).spawn(trials)):
        problem = sign_problem(*size, stream)
        for depth in depths:
            for alpha in alphas:
                model = DeepFactorization(depth, alpha)
                limit = require(flow_limit(problem, model)).x
                step = fraction * stable_step(problem, model)
                run = gradient_descent(
                    problem, model, step, max_iterations, tolerance=tolerance, records=50
                )
                on = problem.x_true != 0
                share = np.min(run.x[:, on] / problem.x_true[on], axis=1)
                found = run.iterations[share >= grown]
                rows.append(
                    {
                        "depth": depth,
                        "alpha": alpha,
                        "trial": trial,
                        "found": float(found[0]) if len(found) else np.nan,
                        "iterations": int(run.iterations[-1]),
                        "status": run.status,
                        "error": relative_error(run.x[-1], problem.x_true),
                        "limit_error": relative_error(limit, problem.x_true),
                        "fraction": fraction,
                        "tolerance": tolerance,
                        "grown": grown,
                    }
                )
    return from_rows(rows)


def heavy_ball(
    problems: list[Problem],
    alpha: float,
    step: float,
    momentum: float,
    tolerance: float = 1e-8,
    max_iterations: int = 100_000,
) -> tuple[np.ndarray, int]:
    """Run gradient descent with momentum at depth 2 in the signed model, side by side.

    u <- u - step u g + momentum (u - u_before), and v with the other sign of g.

    Parameters
    ----------
    problems : list of Problem
        K problems of the same size.
    alpha : float
        Init scale.
    step, momentum : float
        Step size, and the share of the last change that is added.
    tolerance : float, optional
        Stop when all relative residuals are below it and move little (default: 1e-8).
    max_iterations : int, optional
        Largest number of steps (default: 100 000).

    Returns
    -------
    x : ndarray of shape (K, N)
        The last signals u^2 - v^2.
    iterations : int
        The number of steps.

    Raises
    ------
    RuntimeError
        If the largest number of steps is not enough, or the iterates leave every bound.

    Notes
    -----
    Statement S12 of ``docs/statements.md``, [PPF24].
    """
    A = np.array([problem.dense() for problem in problems])
    y = np.array([problem.y for problem in problems])
    size = np.linalg.norm(y, axis=1)
    factors = np.full((2, len(problems), A.shape[2]), float(alpha))
    sign = np.array([1.0, -1.0])[:, None, None]
    change = np.zeros_like(factors)
    for iteration in range(max_iterations + 1):
        x = factors[0] ** 2 - factors[1] ** 2
        rest = (A @ x[:, :, None])[:, :, 0] - y
        if not np.max(np.abs(rest)) <= 1e6 * np.max(size):  # NaN too
            raise RuntimeError(f"step {step:g} diverged with momentum {momentum:g}")
        still = np.max(np.abs(change)) <= tolerance
        if iteration and still and np.all(np.linalg.norm(rest, axis=1) <= tolerance * size):
            return x, iteration
        g = (rest[:, None] @ A)[:, 0]
        change = momentum * change - step * sign * factors * g
        factors = factors + change
    raise RuntimeError(f"momentum {momentum:g}: not at rest after {max_iterations} steps")


def measure_momentum(
    size: tuple[int, int, int],
    trials: int,
    alpha: float,
    frictions: list[float],
    intrinsic: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Run descent with momentum for several frictions 1 - beta at equal lambda, or equal speed.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems.
    trials : int
        Number of problems.
    alpha : float
        Init scale.
    frictions : list of float
        Values of 1 - beta, falling.
    intrinsic : list of float
        Values of lambda = step/(1 - beta)^2, each held fixed while 1 - beta falls; or, for the
        rival, of step/(1 - beta) over the first friction, so that both start with the same run.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each rule ("lambda" or "speed"), value, friction: ``rule``, ``value``,
        ``friction``, ``step``, ``iterations``, ``alpha``; ``gap``, the mean of
        norm(x, 1)/Q - 1 over the problems; ``change``, the mean relative distance to the signals
        of the friction before (NaN for the first).

    Raises
    ------
    RuntimeError
        If a run of `heavy_ball` does not come to rest, or a linear program is not solved.
    """
    streams = np.random.SeedSequence(seed).spawn(trials)
    problems = [gaussian_problem(*size, seed=stream) for stream in streams]
    least = np.array([require(basis_pursuit(problem)).value for problem in problems])
    rows = []
    for rule in ("lambda", "speed"):
        for value in intrinsic:
            before = None
            for friction in frictions:
                power = friction**2 if rule == "lambda" else friction * frictions[0]
                x, iterations = heavy_ball(problems, alpha, value * power, 1 - friction)
                change = np.nan
                if before is not None:
                    distance = np.linalg.norm(x - before, axis=1)
                    change = float(np.mean(distance / np.linalg.norm(x, axis=1)))
                before = x
                rows.append(
                    {
                        "rule": rule,
                        "value": value,
                        "friction": friction,
                        "step": value * power,
                        "iterations": iterations,
                        "alpha": alpha,
                        "gap": float(np.mean(np.sum(np.abs(x), axis=1) / least - 1)),
                        "change": change,
                    }
                )
    return from_rows(rows)


def measure_batches(
    size: tuple[int, int, int],
    trials: int,
    alpha: float,
    fraction: float,
    batches: list[int],
    tolerance: float,
    max_iterations: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Run descent on batches at depths 2 and 3, and read the effective start off the factors.

    Parameters
    ----------
    size : tuple of int
        M, N and s of `sign_problem`.
    trials : int
        Number of problems.
    alpha : float
        Init scale.
    fraction : float
        Steps over (B/M) times the largest stable one of full descent.
    batches : list of int
        Batch sizes B.
    tolerance : float
        Descent stops at this relative residual.
    max_iterations : int
        Largest number of steps.
    seed : int
        Seed; each run has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each depth, batch size and problem: ``depth``, ``batch``, ``trial``, ``alpha``;
        of log10(alpha/alpha_eff) over the coordinates the least and the largest one, ``least`` and
        ``most``, and the median off the support, ``median``; ``iterations``, ``error`` (relative
        distance to the sparse signal) and ``status``.

    Notes
    -----
    Statement S12 of ``docs/statements.md``: 2 alpha_eff^(2-L) = u^(2-L) + v^(2-L), and
    alpha_eff^2 = u v at depth 2.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence(seed).spawn(trials)):
        draw, *rest = stream.spawn(1 + 2 * len(batches))
        problem = sign_problem(*size, draw)
        for depth in (2, 3):
            model = DeepFactorization(depth, alpha)
            stable = stable_step(problem, model)
            for batch in batches:
                run = gradient_descent(
                    problem,
                    model,
                    fraction * stable * batch / problem.M,
                    max_iterations,
                    batch_size=batch,
                    seed=rest.pop(),
                    tolerance=tolerance,
                    records=1,
                )
                u, v = run.factors
                low = np.sqrt(u * v) if depth == 2 else 2 * u * v / (u + v)
                fall = np.log10(alpha) - np.log10(low)
                rows.append(
                    {
                        "depth": depth,
                        "batch": batch,
                        "trial": trial,
                        "alpha": alpha,
                        "least": float(np.min(fall)),
                        "most": float(np.max(fall)),
                        "median": float(np.median(fall[problem.x_true == 0])),
                        "iterations": int(run.iterations[-1]),
                        "error": relative_error(run.x[-1], problem.x_true),
                        "status": run.status,
                    }
                )
    return from_rows(rows)

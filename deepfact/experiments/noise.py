"""Noisy measurements and compressible signals: loops of ``07_noise``, statement S5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.l1_minimisation import basis_pursuit, bpdn
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.theory import l1_gap_bound_sharp


@dataclass(frozen=True, eq=False)
class FixedSignalBound:
    """Constants of an error bound for one matrix, one support and its signs.

    Parameters
    ----------
    pseudo_inverse : ndarray of shape (s, M)
        A_S^+, for the s largest entries of the signal.
    nu : ndarray of shape (M,)
        Dual vector with (A^T nu)_S = sign(x_S) and the least possible rho.
    rho : float
        Largest abs((A^T nu)_i) off S; the bound needs it to be below 1.
    tail : float
        sigma_s(x)_1, the l1 norm of the signal off S.
    growth : float
        max_j sqrt(1 + ||A_S^+ a_j||^2)/(1 - rho) over the columns a_j off S; infinite for rho >= 1.
    """

    pseudo_inverse: np.ndarray
    nu: np.ndarray
    rho: float
    tail: float
    growth: float

    def error(self, e: np.ndarray, excess: float) -> float:
        """Bound ||z - x||_2 for every z with A z = A x + e and ||z||_1 <= ||x||_1 + excess.

        Parameters
        ----------
        e : ndarray of shape (M,)
            The noise.
        excess : float
            What the l1 norm of z may exceed that of x by.

        Returns
        -------
        float
            ||A_S^+ e||_2 + growth (excess - <nu, e> + 2 sigma_s(x)_1).
        """
        if not self.rho < 1:
            return np.inf
        spill = excess - float(self.nu @ e) + 2 * self.tail
        return float(np.linalg.norm(self.pseudo_inverse @ e)) + self.growth * spill


def fixed_signal_bound(A: np.ndarray, x: np.ndarray, s: int) -> FixedSignalBound:
    """Compute the constants of the error bound for the s largest entries of x.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    x : ndarray of shape (N,)
        The signal, with at least s nonzeros.
    s : int
        Size of the support S, at most M.

    Returns
    -------
    FixedSignalBound
        With the dual vector from a linear program.
    """
    M, N = A.shape
    support = np.zeros(N, bool)
    support[np.argsort(-np.abs(x), kind="stable")[:s]] = True
    on, off = A[:, support], A[:, ~support]
    ones = np.ones((N - s, 1))
    found = linprog(
        np.append(np.zeros(M), 1.0),
        A_ub=np.block([[off.T, -ones], [-off.T, -ones]]),
        b_ub=np.zeros(2 * (N - s)),
        A_eq=np.hstack([on.T, np.zeros((s, 1))]),
        b_eq=np.sign(x[support]),
        bounds=[(None, None)] * M + [(0, None)],
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"linprog: {found.message}")
    nu = found.x[:M]
    rho = float(np.max(np.abs(off.T @ nu)))
    pseudo_inverse = np.linalg.pinv(on)
    spread = np.sqrt(1 + np.max(np.sum((pseudo_inverse @ off) ** 2, axis=0)))
    growth = float(spread / (1 - rho)) if rho < 1 else np.inf
    return FixedSignalBound(pseudo_inverse, nu, rho, float(np.abs(x[~support]).sum()), growth)


def limit_from(problem: Problem, depth: float, start: float):
    """Return the flow's limit from products of size ``start`` and its model.

    Parameters
    ----------
    problem : Problem
        The problem.
    depth : float
        Number L of factors.
    start : float
        a = alpha^L.

    Returns
    -------
    tuple of LimitResult, DeepFactorization
        The limit (which has converged) and the signed model.
    """
    model = DeepFactorization(depth, log_alpha=np.log(start) / depth)
    limit = flow_limit(problem, model)
    if not limit.success:
        raise RuntimeError(f"flow_limit: {limit.message}")
    return limit, model


def least_l1_norm(A: np.ndarray, e: np.ndarray) -> float:
    """Return q(e) = min ||v||_1 subject to A v = e.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    e : ndarray of shape (M,)
        The noise.

    Returns
    -------
    float
        The value.
    """
    best = basis_pursuit(Problem(A, e))
    if not np.isfinite(best.value):
        raise RuntimeError(f"basis pursuit: {best.message}")
    return best.value


def compare(
    problem: Problem, e: np.ndarray, depths: list[float], start: float, constants, q: float
) -> dict[str, np.ndarray]:
    """Compare flow, basis pursuit and basis pursuit denoising on the measurements A x + e.

    Parameters
    ----------
    problem : Problem
        The problem without noise, with ``x_true``.
    e : ndarray of shape (M,)
        The noise. Only basis pursuit denoising is told its size.
    depths : list of float
        D numbers of factors.
    start : float
        a = alpha^L.
    constants : list of FixedSignalBound
        The constants to use; the best bound counts.
    q : float
        min ||v||_1 over A v = e.

    Returns
    -------
    dict of str to ndarray
        ``error`` of shape (D + 2,): l2 errors of the D limits, of basis pursuit and of basis
        pursuit denoising; of shape (D,): ``bound`` on the limits' errors, ``l1_room``, the part of
        q + (S3's bound of the gap) that is left between ||x_inf||_1 and ||x||_1 + q + (that bound).
    """
    A, x = problem.dense(), problem.x_true
    noisy = Problem(A, A @ x + e, x)
    error, bound, room = [], [], []
    norm = float(np.abs(x).sum())
    for depth in depths:
        limit, _ = limit_from(noisy, depth, start)
        excess = q + l1_gap_bound_sharp(norm + q, len(x), depth, log_alpha=np.log(start) / depth)
        error.append(np.linalg.norm(limit.x - x))
        bound.append(min(each.error(e, excess) for each in constants))
        room.append((norm + excess - limit.l1_norm) / excess)
    for best in (basis_pursuit(noisy), bpdn(noisy, float(np.linalg.norm(e)))):
        if best.status not in ("optimal", "inaccurate"):
            raise RuntimeError(f"basis pursuit: {best.message}")
        error.append(np.linalg.norm(best.x - x))
    return {"error": np.array(error), "bound": np.array(bound), "l1_room": np.array(room)}


def _collect(rows: list[list[dict]]) -> dict[str, np.ndarray]:
    """Stack (trial, setting) -> dict into arrays of shape (trials, settings, ...)."""
    return {key: np.array([[cell[key] for cell in row] for row in rows]) for key in rows[0][0]}


def _compare_at(problem, level, supports, depths, start, rng):
    """Run `compare` with random noise of relative size ``level``; add its norm ``noise``."""
    A = problem.dense()
    e = level * np.linalg.norm(problem.y) * _unit(rng, problem.M)
    constants = [fixed_signal_bound(A, problem.x_true, size) for size in supports]
    found = compare(problem, e, depths, start, constants, least_l1_norm(A, e))
    return {**found, "noise": np.linalg.norm(e)}


def noise_sweep(
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
        K noise levels ||e||/||A x||.
    depths : list of float
        D numbers of factors.
    start : float
        a = alpha^L.
    trials : int
        T instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        As `compare`, with leading axes (T, K); ``noise`` of shape (T, K), the norms ||e||;
        of shape (T,): ``rho``, and ``quotient``, q(e)/(sqrt(s_*) ||e||), s_* = M/log(eN/M).
    """
    rows, noise, rho, quotient = [], [], [], []
    for stream in np.random.SeedSequence([seed, 0]).spawn(trials):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A = problem.dense()
        direction = _unit(rng, M)
        constants = fixed_signal_bound(A, problem.x_true, s)
        q = least_l1_norm(A, direction)
        sizes = np.asarray(levels) * np.linalg.norm(problem.y)
        rows.append(
            [
                compare(problem, size * direction, depths, start, [constants], size * q)
                for size in sizes
            ]
        )
        noise.append(sizes)
        rho.append(constants.rho)
        quotient.append(q / np.sqrt(M / np.log(np.e * N / M)))
    return {
        **_collect(rows),
        "noise": np.array(noise),
        "rho": np.array(rho),
        "quotient": np.array(quotient),
    }


def sparsity_sweep(
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
        K numbers of nonzeros.
    level : float
        Noise level ||e||/||A x||.
    depths : list of float
        D numbers of factors.
    start : float
        a = alpha^L.
    trials : int
        T instances for each number.
    seed : int
        Source of randomness: one spawned stream for each trial.

    Returns
    -------
    dict of str to ndarray
        As `compare`, with leading axes (T, K), and ``noise`` of shape (T, K), the norms ||e||.
    """
    rows = []
    for stream in np.random.SeedSequence([seed, 1]).spawn(trials):
        rng, row = np.random.default_rng(stream), []
        for s in sparsities:
            problem = gaussian_problem(M, N, s, seed=rng)
            row.append(_compare_at(problem, level, [s], depths, start, rng))
        rows.append(row)
    return _collect(rows)


def power_law_sweep(
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
        K exponents; a larger one is nearer to a sparse signal.
    level : float
        Noise level ||e||/||A x||.
    depths : list of float
        D numbers of factors.
    start : float
        a = alpha^L.
    trials : int
        T instances for each exponent.
    seed : int
        Source of randomness: one spawned stream for each trial.

    Returns
    -------
    dict of str to ndarray
        As `compare`, with leading axes (T, K) (the bounds are the best over supports of several
        sizes), ``noise`` of shape (T, K), and ``tail`` of shape (T, K), sigma_s(x)_1/sqrt(s).
    """
    supports = sorted({1, 2, max(s // 2, 1), s})
    rows = []
    for stream in np.random.SeedSequence([seed, 2]).spawn(trials):
        rng, row = np.random.default_rng(stream), []
        for exponent in exponents:
            A = rng.standard_normal((M, N)) / np.sqrt(M)
            x = np.arange(1.0, N + 1) ** -exponent * rng.choice([-1.0, 1.0], N)
            x = rng.permutation(x / np.linalg.norm(x))
            found = _compare_at(Problem(A, A @ x, x), level, supports, depths, start, rng)
            row.append({**found, "tail": np.sort(np.abs(x))[: N - s].sum() / np.sqrt(s)})
        rows.append(row)
    return _collect(rows)


def early_stopping(
    problem: Problem, e: np.ndarray, depth: float, start: float, times: np.ndarray
) -> dict:
    """Follow the flow on noisy measurements and see when it is nearest to the signal.

    Parameters
    ----------
    problem : Problem
        The problem without noise, with ``x_true``.
    e : ndarray of shape (M,)
        The noise.
    depth : float
        Number L of factors.
    start : float
        a = alpha^L.
    times : ndarray of shape (K,)
        Increasing times, the first one 0.

    Returns
    -------
    dict
        Of shape (K,): ``times``, ``error`` = ||x(t) - x||_2, ``residual`` = ||A x(t) - y||_2 and
        ``divergence`` = D_F(x, x(t)). Numbers: ``limit_error``; ``discrepancy``, ``best_error`` and
        ``best_divergence``, the indices of the last time with residual at least ||e||, and of the
        least error and divergence; ``margin``, the least of 1 - (promised fall)/(fall) of the
        divergence over the intervals up to the discrepancy.
    """
    noisy = Problem(problem.A, problem.dense() @ problem.x_true + e, problem.x_true)
    limit, model = limit_from(noisy, depth, start)
    path = gradient_flow(noisy, model, times, rtol=1e-7)
    if path.status == "failed":
        raise RuntimeError(f"gradient_flow: {path.message}")
    divergence = np.array([bregman_divergence(model, problem.x_true, x) for x in path.x])
    residual, size = np.sqrt(2 * path.loss), float(np.linalg.norm(e))
    last = int(np.flatnonzero(residual >= size)[-1])
    after = residual[1 : last + 1]
    promised = np.diff(path.times[: last + 1]) * after * (after - size)
    fall = -np.diff(divergence[: last + 1])
    error = np.linalg.norm(path.x - problem.x_true, axis=1)
    return {
        "times": path.times,
        "error": error,
        "residual": residual,
        "divergence": divergence,
        "limit_error": float(np.linalg.norm(limit.x - problem.x_true)),
        "discrepancy": last,
        "best_error": int(np.argmin(error)),
        "best_divergence": int(np.argmin(divergence)),
        "margin": float(np.min(1 - promised / fall)),
    }


def early_stopping_trials(
    M: int,
    N: int,
    s: int,
    level: float,
    depths: list[float],
    start: float,
    n_times: int,
    trials: int,
    seed: int,
) -> list[list[dict]]:
    """Run `early_stopping` on random instances and several depths.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    level : float
        Noise level ||e||/||A x||.
    depths : list of float
        D numbers of factors.
    start : float
        a = alpha^L.
    n_times : int
        Number of log-spaced times after 0, up to 3000 times the first time scale of the flow.
    trials : int
        T instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    list of list of dict
        T rows of D results; each has ``noise`` = ||e||_2 and ``bpdn``, the error of basis pursuit
        denoising with the true noise level, too.
    """
    runs = []
    for stream in np.random.SeedSequence([seed, 3]).spawn(trials):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A = problem.dense()
        e = level * np.linalg.norm(problem.y) * _unit(rng, M)
        noisy = Problem(A, problem.y + e)
        size = float(np.linalg.norm(e))
        best = float(np.linalg.norm(bpdn(noisy, size).x - problem.x_true))
        row = []
        for depth in depths:
            # The dual variable of the first coordinate to grow reaches its limit 1/k at this time,
            # up to the logarithm of the start for two factors.
            unit = start ** (2 / depth - 1) / depth / np.max(np.abs(A.T @ noisy.y))
            times = np.append(0.0, np.geomspace(0.02, 3000.0, n_times) * unit)
            run = early_stopping(problem, e, depth, start, times)
            row.append({**run, "noise": size, "bpdn": best})
        runs.append(row)
    return runs


def _unit(rng: np.random.Generator, M: int) -> np.ndarray:
    """Return a uniformly random direction."""
    direction = rng.standard_normal(M)
    return direction / np.linalg.norm(direction)


def slopes(noise: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Fit log error = slope log noise + constant, for each instance and method.

    Parameters
    ----------
    noise : ndarray of shape (T, K)
        Noise levels.
    error : ndarray of shape (T, K, D)
        Errors.

    Returns
    -------
    ndarray of shape (T, D)
        Least-squares slopes.
    """
    x = np.log(noise) - np.log(noise).mean(axis=1, keepdims=True)
    return np.einsum("tk,tkd->td", x, np.log(error)) / np.sum(x**2, axis=1)[:, None]

"""The flow of one product u_1 u_2 for each coordinate, u_1 and u_2 unequal: statement S13."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import nnls

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import factor_flow, gradient_flow
from deepfact.experiments.tables import from_rows, join
from deepfact.problem import Problem, gaussian_problem
from deepfact.rates import sign_change_time

INTEGRATION = 1e-8
"""What integration and interpolation may add to a time, relative to it."""


def measure_pairs(
    M: int, N: int, alpha: float, spread: float, duration: float, seed: int, trials: int
) -> dict[str, np.ndarray]:
    """Integrate u_1, u_2 and the dual variable, and compare with the conserved quantity.

    Parameters
    ----------
    M, N : int
        Size of the Gaussian problems (one product for each coordinate, signed data).
    alpha : float
        Scale of the factors.
    spread : float
        The factors are alpha (1 + spread g), g standard normal: of any sign.
    duration : float
        Time to integrate over.
    seed : int
        Source of randomness: one spawned stream for each instance.
    trials : int
        T instances.

    Returns
    -------
    dict of str to ndarray of shape (T,)
        ``trial``; ``conserved``, the largest change of u_1^2 - u_2^2 relative to the largest
        u_1^2 + u_2^2; ``formula``, the largest deviation of u_1 u_2 from
        (abs(delta)/2) sinh(2 w + asinh(2 x_0/abs(delta))), relative to the largest entry;
        ``sign_changes``, how many coordinates changed their sign.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 1]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, max(M // 4, 1), seed=rng)
        A, y = problem.dense(), problem.y
        start = alpha * (1 + spread * rng.standard_normal((2, N)))

        def velocity(_, state, A=A, y=y, N=N):
            u, v = state[:N], state[N : 2 * N]
            residual = y - A @ (u * v)
            drift = A.T @ residual
            return np.concatenate([v * drift, u * drift, residual])

        solution = solve_ivp(
            velocity,
            (0.0, duration),
            np.concatenate([start.ravel(), np.zeros(M)]),
            method="DOP853",
            rtol=1e-12,
            atol=1e-15,
            t_eval=np.linspace(0.0, duration, 50),
        )
        u, v, nu = solution.y[:N], solution.y[N : 2 * N], solution.y[2 * N :]
        delta = (start[0] ** 2 - start[1] ** 2)[:, None]
        x0 = (start[0] * start[1])[:, None]
        x = 0.5 * np.abs(delta) * np.sinh(2 * A.T @ nu + np.arcsinh(2 * x0 / np.abs(delta)))
        rows.append(
            {
                "trial": trial,
                "conserved": np.max(np.abs(u**2 - v**2 - delta)) / np.max(u**2 + v**2),
                "formula": np.max(np.abs(u * v - x)) / np.max(np.abs(x)),
                "sign_changes": np.sum((u * v)[:, -1] * x0[:, 0] < 0),
            }
        )
    return from_rows(rows)


def single_products(problem: Problem, factors: np.ndarray, times: np.ndarray, rtol: float = 1e-9):
    """Follow the flow of one product for each coordinate.

    Parameters
    ----------
    problem : Problem
        The problem.
    factors : ndarray of shape (L, N)
        Initial factors.
    times : ndarray of shape (K,)
        Increasing times.
    rtol : float, optional
        Relative tolerance of the integration (default: 1e-9).

    Returns
    -------
    FactorFlowResult
        Of `factor_flow`, with success.

    Raises
    ------
    RuntimeError
        If the integration fails.
    """
    path = factor_flow(problem, factors, signed=False, times=times, rtol=rtol)
    if not path.success:
        raise RuntimeError(f"factor_flow: {path.message}")
    return path


def _nearly_equal(alpha, log10_imbalance, N):
    """Return two factors alpha (1 + imbalance) and alpha, the same in all coordinates."""
    return alpha * np.array([[1 + 10.0**log10_imbalance], [1.0]]) * np.ones(N)


def _difference(factors):
    """Return delta = u_1^2 - u_2^2 without cancellation."""
    return (factors[0] - factors[1]) * (factors[0] + factors[1])


def _first_passage(times, height, level):
    """Return when ``height``, linear between the times, first exceeds ``level``."""
    if not height[-1] > level:
        return np.inf
    k = int(np.argmax(height > level))
    share = (level - height[k - 1]) / (height[k] - height[k - 1])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))


def first_sign_change(
    problem: Problem, factors: np.ndarray, times: np.ndarray
) -> tuple[float, int]:
    """Return when and where the flow of products u_1 u_2 first has a negative coordinate.

    Parameters
    ----------
    problem : Problem
        The problem.
    factors : ndarray of shape (2, N)
        Initial factors, with positive products.
    times : ndarray of shape (K,)
        Increasing times, fine enough to interpolate the dual variable linearly.

    Returns
    -------
    time : float
        NaN if there is none.
    coordinate : int
        -1 if there is none.

    Raises
    ------
    RuntimeError
        If the integration fails.
    """
    path = single_products(problem, factors, times, rtol=1e-11)
    negative = path.x < 0
    if not negative.any():
        return np.nan, -1
    k = int(np.argmax(negative.any(axis=1)))
    # asinh(2 x/abs(delta)) is 2 w and a constant, and so as smooth as the dual variable w.
    changed = np.flatnonzero(negative[k])
    before, after = np.arcsinh(
        2 * path.x[k - 1 : k + 1, changed] / np.abs(_difference(factors)[changed])
    )
    found = times[k - 1] + (times[k] - times[k - 1]) * before / (before - after)
    first = int(np.argmin(found))
    return float(found[first]), int(changed[first])


def measure_one_coordinate(
    log10_imbalances: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure sign-change times of one product u_1 u_2 -> y < 0, and compare with the formula.

    Parameters
    ----------
    log10_imbalances : list of float
        Values of log10(u_1/u_2 - 1).
    trials : int
        Number of random pairs of a start and a target.
    seed : int
        Source of randomness: one spawned stream for each trial.

    Returns
    -------
    dict of str to ndarray
        A row for each trial and imbalance: ``trial``, ``log10_imbalance``; ``time`` and
        ``predicted``; ``earliest``, the time under the largest drift: the drift y - x lies between
        y and y - x_0 until then, so that predicted is the latest time; ``room``, how far time may
        be from predicted, with `INTEGRATION`.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 2]).spawn(trials)):
        rng = np.random.default_rng(stream)
        drift, size = rng.uniform(0.5, 2.0), 10 ** rng.uniform(-2, -1)
        problem = Problem(np.ones((1, 1)), np.array([-drift]))
        for exponent in log10_imbalances:
            factors = _nearly_equal(size, exponent, 1)
            x0, delta = float(np.prod(factors)), float(_difference(factors)[0])
            predicted = sign_change_time(x0, delta, drift)
            earliest = sign_change_time(x0, delta, drift + x0)
            times = np.linspace(0.0, 1.2 * predicted, 2000)
            rows.append(
                {
                    "trial": trial,
                    "log10_imbalance": float(exponent),
                    "time": first_sign_change(problem, factors, times)[0],
                    "predicted": predicted,
                    "earliest": earliest,
                    "room": predicted - earliest + INTEGRATION * predicted,
                }
            )
    return from_rows(rows)


def plateau_problem(M: int, N: int, s: int, rng: np.random.Generator) -> tuple[Problem, np.ndarray]:
    """Draw signed problems until y is well outside the cone of nonnegative combinations.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problem and number of nonzeros.
    rng : Generator
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem.
    drift : ndarray of shape (N,)
        A^T (A z - y) at the nonnegative least squares solution z: at least 0 where z = 0.
    """
    while True:
        problem = gaussian_problem(M, N, s, seed=rng)
        A = problem.dense()
        z, distance = nnls(A, problem.y)
        if distance > 0.3 * np.linalg.norm(problem.y):
            return problem, A.T @ (A @ z - problem.y)


def measure_plateau(
    M: int,
    N: int,
    s: int,
    alpha: float,
    log10_imbalances: list[float],
    trials: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Measure when nearly equal factors let the first coordinate change its sign.

    Parameters
    ----------
    M, N, s : int
        Size of the problems.
    alpha : float
        Scale of the factors.
    log10_imbalances : list of float
        Values of log10(u_1/u_2 - 1), the same in all coordinates.
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        A row for each instance and imbalance: ``trial``, ``log10_imbalance``; ``time``, measured
        with the two factors, and ``predicted``, when the dual variable of the positive model, from
        factors (u_1 + u_2)/2, has max_i -w_i = asinh(2 x_0/delta)/2; ``earliest`` and ``latest``,
        bounds on time by what delta can change of the dual variable; ``room``, how far time may be
        from predicted, with `INTEGRATION`; and for each instance ``slope`` of the predicted time in
        log(1/delta) where that is 800 to 1200, and the ``asymptotic`` one, 1/(2 max drift) on the
        plateau at the nonnegative least squares solution.

    Raises
    ------
    RuntimeError
        If an integration fails.

    Notes
    -----
    Statement S13 of ``docs/statements.md``.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 3]).spawn(trials)):
        problem, drift = plateau_problem(M, N, s, np.random.default_rng(stream))
        unit = 1 / (2 * drift.max())
        grid = np.append(0.0, np.geomspace(1e-3, 3000.0, 3000) * unit)
        height = _height(problem, alpha, grid, rtol=1e-8)
        ends = np.interp([400.0, 600.0], height, grid)
        for exponent in log10_imbalances:
            factors = _nearly_equal(alpha, exponent, N)
            rough = np.interp(_needed(factors), height, grid)
            times = rough * np.append(0.0, np.linspace(0.9, 1.1, 401))
            time = first_sign_change(problem, factors, times)[0]
            predicted, earliest, latest = _predicted_sign_change(problem, factors, times)
            room = latest - predicted if time > predicted else predicted - earliest
            rows.append(
                {
                    "trial": trial,
                    "log10_imbalance": float(exponent),
                    "time": time,
                    "predicted": predicted,
                    "earliest": earliest,
                    "latest": latest,
                    "room": room + INTEGRATION * predicted,
                    "slope": float(ends[1] - ends[0]) / 400.0,
                    "asymptotic": unit,
                }
            )
    return from_rows(rows)


def _height(problem, start, times, rtol):
    """Return how large max_i -w_i of the positive model has been, up to each time."""
    path = gradient_flow(problem, DeepFactorization(2, start, signed=False), times, rtol=rtol)
    if path.status == "failed":
        raise RuntimeError(f"gradient_flow: {path.message}")
    return np.maximum.accumulate(np.max(-path.dual @ problem.dense(), axis=1))


def _needed(factors):
    """Return the size asinh(2 x_0/delta)/2 of -w at which a coordinate changes its sign."""
    x0, delta = factors[0, 0] * factors[1, 0], abs(_difference(factors)[0])
    return 0.5 * float(np.arcsinh(2 * x0 / delta))


def _predicted_sign_change(problem, factors, times):
    """Return the predicted time of the first sign change and the earliest and the latest possible.

    Up to then the factors add A p, 0 <= p <= abs(delta)/4, to what drives the positive model from
    (u_1 + u_2)/2, and t ||A|| sqrt(N) abs(delta)/4 bounds what that does to nu.
    """
    A = problem.dense()
    start = float(np.mean(factors[:, 0]))
    height = _height(problem, start, times, rtol=1e-11)
    rate = np.linalg.norm(A, 2) * np.sqrt(problem.N) * abs(_difference(factors)[0]) / 4
    change = np.linalg.norm(A, axis=0).max() * rate * times
    return [
        _first_passage(times, height + shift, _needed(factors)) for shift in (0.0, change, -change)
    ]


def measure_losses(
    M: int,
    N: int,
    s: int,
    alpha: float,
    log10_imbalances: list[float],
    points: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Follow two nearly equal factors over the plateau, on the first of the problems above.

    Parameters
    ----------
    M, N, s : int
        Size of the problems.
    alpha : float
        Scale of the factors.
    log10_imbalances : list of float
        Values of log10(u_1/u_2 - 1); equal factors come last, with -inf.
    points : int
        Number of equally spaced times.
    seed : int
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        ``log10_imbalance``, ``time`` and ``loss``, relative to its start.
    """
    stream = np.random.SeedSequence([seed, 3]).spawn(1)[0]
    problem, drift = plateau_problem(M, N, s, np.random.default_rng(stream))
    largest = -np.log(10.0) * min(log10_imbalances)
    times = np.linspace(0.0, 2.6 * largest / (2 * drift.max()), points)
    parts = []
    for exponent in [*log10_imbalances, -np.inf]:
        path = single_products(problem, _nearly_equal(alpha, exponent, N), times)
        parts.append(
            {
                "log10_imbalance": np.full(points, float(exponent)),
                "time": times,
                "loss": path.loss / path.loss[0],
            }
        )
    return join(*parts)

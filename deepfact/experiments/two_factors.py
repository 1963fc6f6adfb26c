"""The flow of one product u_1 u_2 for each coordinate, u_1 and u_2 unequal: statement S13."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from deepfact.dynamics.factor_flow import factor_flow
from deepfact.experiments.tables import from_rows
from deepfact.problem import Problem, gaussian_problem
from deepfact.statuses import require
from deepfact.theory import sign_change_time

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
        (abs(delta)/2) sinh(2 w + asinh(2 x_0/abs(delta))), relative to the largest entry, and
        ``equal_formula`` that from x_0 exp(2 w), the formula of equal factors;
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
                "equal_formula": np.max(np.abs(u * v - x0 * np.exp(2 * A.T @ nu)))
                / np.max(np.abs(x)),
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
    require(path)
    return path


def nearly_equal(alpha: float, log10_imbalance: float, N: int) -> np.ndarray:
    """Return two factors alpha (1 + imbalance) and alpha, the same in all coordinates.

    Parameters
    ----------
    alpha : float
        The smaller factor.
    log10_imbalance : float
        log10(u_1/u_2 - 1).
    N : int
        Number of coordinates.

    Returns
    -------
    ndarray of shape (2, N)
        The factors.
    """
    return alpha * np.array([[1 + 10.0**log10_imbalance], [1.0]]) * np.ones(N)


def difference(factors: np.ndarray) -> np.ndarray:
    """Return delta = u_1^2 - u_2^2 without cancellation.

    Parameters
    ----------
    factors : ndarray of shape (2, N)
        The factors.

    Returns
    -------
    ndarray of shape (N,)
        The differences.
    """
    return (factors[0] - factors[1]) * (factors[0] + factors[1])


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
        2 * path.x[k - 1 : k + 1, changed] / np.abs(difference(factors)[changed])
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
        y and y - x_0 until then, so that predicted is the latest time; ``without_four``, the
        predicted one with log(x_0/delta) for log(4 x_0/delta); ``room``, how far time may be from
        predicted, with `INTEGRATION`.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 2]).spawn(trials)):
        rng = np.random.default_rng(stream)
        drift, size = rng.uniform(0.5, 2.0), 10 ** rng.uniform(-2, -1)
        problem = Problem(np.ones((1, 1)), np.array([-drift]))
        for exponent in log10_imbalances:
            factors = nearly_equal(size, exponent, 1)
            x0, delta = float(np.prod(factors)), float(difference(factors)[0])
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
                    "without_four": np.log(x0 / abs(delta)) / (2 * drift),
                    "room": predicted - earliest + INTEGRATION * predicted,
                }
            )
    return from_rows(rows)

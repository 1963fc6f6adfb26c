"""Two nearly equal factors on a plateau of the loss, and when they leave it: statement S13."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import nnls

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.tables import from_rows, join
from deepfact.experiments.two_factors import (
    INTEGRATION,
    difference,
    first_sign_change,
    nearly_equal,
    single_products,
)
from deepfact.problem import Problem, gaussian_problem


def _first_passage(times, height, level):
    """Return when ``height``, linear between the times, first exceeds ``level``."""
    if not height[-1] > level:
        return np.inf
    k = int(np.argmax(height > level))
    share = (level - height[k - 1]) / (height[k] - height[k - 1])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))


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
        from predicted, with `INTEGRATION`; ``unit`` = 1/(2 max h) with the drifts h on
        the plateau; ``leading``, the time if the leading coordinate drifted
        from the start as it does on the plateau.

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
        for exponent in log10_imbalances:
            factors = nearly_equal(alpha, exponent, N)
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
                    "leading": 2 * unit * _needed(factors),
                    "unit": unit,
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
    x0, delta = factors[0, 0] * factors[1, 0], abs(difference(factors)[0])
    return 0.5 * float(np.arcsinh(2 * x0 / delta))


def _predicted_sign_change(problem, factors, times):
    """Return the predicted time of the first sign change and the earliest and the latest possible.

    Up to then the factors add A p, 0 <= p <= abs(delta)/4, to what drives the positive model from
    (u_1 + u_2)/2, and t ||A|| sqrt(N) abs(delta)/4 bounds what that does to nu.
    """
    A = problem.dense()
    start = float(np.mean(factors[:, 0]))
    height = _height(problem, start, times, rtol=1e-11)
    rate = np.linalg.norm(A, 2) * np.sqrt(problem.N) * abs(difference(factors)[0]) / 4
    change = np.linalg.norm(A, axis=0).max() * rate * times
    return [
        _first_passage(times, height + shift, _needed(factors)) for shift in (0.0, change, -change)
    ]


def measure_slopes(
    M: int, N: int, s: int, alpha: float, log_differences: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure the time of the first sign change for differences far below rounding of the factors.

    With sum p and difference m of the factors at the start, x = (p^2 e^(2w) - m^2 e^(-2w))/4, where
    m may be as small as one likes: the dual variable is integrated, with log m.

    Parameters
    ----------
    M, N, s : int
        Size of the problems, those of `measure_plateau`.
    alpha : float
        Scale of the factors.
    log_differences : list of float
        Two values of log(p/m), the second one larger.
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray of shape (T,)
        ``trial``; ``slope`` of the measured time in log(1/delta); ``unit`` = 1/(2 max h), h the
        drifts on the plateau at the nonnegative least squares solution, and ``unit_at_start``, h
        the drifts at 0.

    Raises
    ------
    RuntimeError
        If an integration fails.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 3]).spawn(trials)):
        problem, drift = plateau_problem(M, N, s, np.random.default_rng(stream))
        unit = 1 / (2 * drift.max())
        times = [_tiny_sign_change(problem, alpha, value, unit) for value in log_differences]
        rows.append(
            {
                "trial": trial,
                "slope": np.diff(times)[0] / np.diff(log_differences)[0],
                "unit": unit,
                "unit_at_start": 1 / (2 * np.max(-problem.dense().T @ problem.y)),
            }
        )
    return from_rows(rows)


def _tiny_sign_change(problem, alpha, log_difference, unit):
    """Return when the first product vanishes, p = 2 alpha and m = p exp(-log_difference)."""
    A, y = problem.dense(), problem.y
    log_p = np.log(2 * alpha)

    def velocity(_, nu):
        w = A.T @ nu
        grow, shrink = 2 * (log_p + w), 2 * (log_p - log_difference - w)
        return y - A @ (0.25 * (np.exp(grow) - np.exp(shrink)))

    def first_zero(_, nu):
        return 0.5 * log_difference + np.min(A.T @ nu)

    first_zero.terminal = True  # type: ignore[attr-defined]
    end = 4 * unit * log_difference
    with np.errstate(under="ignore"):
        path = solve_ivp(
            velocity,
            (0.0, end),
            np.zeros(len(y)),
            method="LSODA",
            rtol=1e-9,
            atol=1e-9,
            events=first_zero,
        )
    if path.status != 1:
        raise RuntimeError(f"solve_ivp: no sign change before {end:g}: {path.message}")
    return float(path.t_events[0][0])


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
        ``alpha``, ``log10_imbalance``, ``time`` and ``loss``, relative to its start.
    """
    stream = np.random.SeedSequence([seed, 3]).spawn(1)[0]
    problem, drift = plateau_problem(M, N, s, np.random.default_rng(stream))
    largest = -np.log(10.0) * min(log10_imbalances)
    times = np.linspace(0.0, 2.6 * largest / (2 * drift.max()), points)
    parts = []
    for exponent in [*log10_imbalances, -np.inf]:
        path = single_products(problem, nearly_equal(alpha, exponent, N), times)
        parts.append(
            {
                "alpha": np.full(points, float(alpha)),
                "log10_imbalance": np.full(points, float(exponent)),
                "time": times,
                "loss": path.loss / path.loss[0],
            }
        )
    return join(*parts)

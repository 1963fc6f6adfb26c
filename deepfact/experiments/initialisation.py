"""Initialisations that are not constant or not identical: loops of ``08_initialisation``."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import nnls
from scipy.stats import binomtest

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import factor_flow, gradient_flow
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.rates import sign_change_time, single_product_weights
from deepfact.theory import weighted_l1_gap_bound


def weighted_trials(
    M: int,
    N: int,
    s: int,
    spread: float,
    depths: list[float],
    log10_starts: list[float],
    trials: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compare limits from factors alpha c, c a random shape, with weighted and plain l1 minimisers.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    spread : float
        The logarithms of the entries of c are normal with this standard deviation.
    depths : list of float
        D finite numbers L of factors. The weights are c^(2 - L): ones for L = 2.
    log10_starts : list of float
        K values of log10 alpha^L.
    trials : int
        T instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray of shape (T, D, K)
        ``gap`` = (<w, abs(x_inf)> - W)/W, its ``bound`` (infinite where there is none), and
        relative distances of x_inf ``to_weighted`` and ``to_plain``, the minimisers of <w, abs(z)>
        and of ||z||_1. For L = 2 both are the same.
    """
    names = ("gap", "bound", "to_weighted", "to_plain")
    table = {name: np.empty((trials, len(depths), len(log10_starts))) for name in names}
    for trial, stream in enumerate(np.random.SeedSequence([seed, 0]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        log_shape = spread * rng.standard_normal(N)
        plain = basis_pursuit(problem)
        for d, depth in enumerate(depths):
            weights = np.exp((2 - depth) * log_shape)
            best = basis_pursuit(problem, weights=weights)
            for k, log10_start in enumerate(log10_starts):
                log_alpha = log10_start * np.log(10) / depth + log_shape
                limit = flow_limit(problem, DeepFactorization(depth, log_alpha=log_alpha))
                if not (limit.success and best.success and plain.success):
                    raise RuntimeError(f"{limit.message}; {best.message}; {plain.message}")
                place = (trial, d, k)
                gap = weights @ np.abs(limit.x) - best.value
                table["gap"][place] = gap / best.value
                bound = _weighted_bound(best.value, depth, log_alpha, log_shape)
                table["bound"][place] = bound / best.value
                for name, z in (("to_weighted", best.x), ("to_plain", plain.x)):
                    table[name][place] = np.linalg.norm(limit.x - z) / np.linalg.norm(z)
    return table


def _weighted_bound(W, depth, log_alpha, log_shape):
    """Bound the gap in the weights c^(2-L); for L = 2: Q log(n)/log(Q/sum) of the plain norm."""
    if depth > 2:
        unit = (2 - depth) * (log_alpha[0] - log_shape[0])  # log of alpha^(2-L)
        return weighted_l1_gap_bound(W * np.exp(unit), depth, log_alpha=log_alpha) / np.exp(unit)
    start = np.exp(2 * log_alpha)
    total = 2 * start.sum()
    return W * np.log(total / start.min()) / np.log(W / total) if W > total else np.inf


def two_factor_deviation(
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
        ``conserved``, the largest change of u_1^2 - u_2^2 relative to the largest u_1^2 + u_2^2;
        ``formula``, the largest deviation of u_1 u_2 from
        (abs(delta)/2) sinh(2 w + asinh(2 x_0/abs(delta))), relative to the largest entry;
        ``sign_changes``, how many coordinates changed their sign.
    """
    out = {"conserved": [], "formula": [], "sign_changes": []}
    for stream in np.random.SeedSequence([seed, 1]).spawn(trials):
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
        out["conserved"].append(np.max(np.abs(u**2 - v**2 - delta)) / np.max(u**2 + v**2))
        out["formula"].append(np.max(np.abs(u * v - x)) / np.max(np.abs(x)))
        out["sign_changes"].append(np.sum((u * v)[:, -1] * x0[:, 0] < 0))
    return {name: np.array(values) for name, values in out.items()}


def _single_products(problem, factors, times, rtol=1e-9):
    """Follow the flow of one product for each coordinate."""
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
    """
    path = _single_products(problem, factors, times, rtol=1e-11)
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


def one_coordinate_sign_changes(
    log10_imbalances: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure sign-change times of one product u_1 u_2 -> y < 0, and compare with the formula.

    Parameters
    ----------
    log10_imbalances : list of float
        K values of log10(u_1/u_2 - 1).
    trials : int
        T random pairs of a start and a target.
    seed : int
        Source of randomness: one spawned stream for each trial.

    Returns
    -------
    dict of str to ndarray of shape (T, K)
        ``time`` and ``predicted``; ``earliest``, the time under the largest drift: the drift
        y - x lies between y and y - x_0 until then, so that predicted is the latest time.
    """
    measured, predicted, earliest = [], [], []
    for stream in np.random.SeedSequence([seed, 2]).spawn(trials):
        rng = np.random.default_rng(stream)
        drift, size = rng.uniform(0.5, 2.0), 10 ** rng.uniform(-2, -1)
        problem = Problem(np.ones((1, 1)), np.array([-drift]))
        row, formula, least = [], [], []
        for exponent in log10_imbalances:
            factors = _nearly_equal(size, exponent, 1)
            x0, delta = float(np.prod(factors)), float(_difference(factors)[0])
            formula.append(sign_change_time(x0, delta, drift))
            least.append(sign_change_time(x0, delta, drift + x0))
            times = np.linspace(0.0, 1.2 * formula[-1], 2000)
            row.append(first_sign_change(problem, factors, times)[0])
        measured.append(row)
        predicted.append(formula)
        earliest.append(least)
    return {
        "time": np.array(measured),
        "predicted": np.array(predicted),
        "earliest": np.array(earliest),
    }


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


def plateau_sign_changes(
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
        K values of log10(u_1/u_2 - 1), the same in all coordinates.
    trials : int
        T instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        ``time`` and ``predicted`` of shape (T, K): measured with the two factors, and when the dual
        variable of the positive model, from factors (u_1 + u_2)/2, has
        max_i -w_i = asinh(2 x_0/delta)/2. ``earliest`` and ``latest`` of shape (T, K): bounds on
        the former by what delta can change of the dual variable. Of shape (T,): ``slope`` of the
        predicted time in log(1/delta) where that is 800 to 1200, and the ``asymptotic`` one,
        1/(2 max drift) on the plateau at the nonnegative least squares solution.

    Notes
    -----
    Statement S13 of ``docs/statements.md``.
    """
    names = ("time", "predicted", "earliest", "latest", "slope", "asymptotic")
    out = {name: [] for name in names}
    for stream in np.random.SeedSequence([seed, 3]).spawn(trials):
        problem, drift = plateau_problem(M, N, s, np.random.default_rng(stream))
        unit = 1 / (2 * drift.max())
        grid = np.append(0.0, np.geomspace(1e-3, 3000.0, 3000) * unit)
        path = gradient_flow(problem, DeepFactorization(2, alpha, signed=False), grid, rtol=1e-8)
        if path.status == "failed":
            raise RuntimeError(f"gradient_flow: {path.message}")
        height = np.maximum.accumulate(np.max(-path.dual @ problem.dense(), axis=1))
        rows = []
        for exponent in log10_imbalances:
            factors = _nearly_equal(alpha, exponent, N)
            rough = np.interp(_needed(factors), height, grid)
            times = rough * np.append(0.0, np.linspace(0.9, 1.1, 401))
            measured = first_sign_change(problem, factors, times)[0]
            rows.append((measured, *_predicted_sign_change(problem, factors, times)))
        ends = np.interp([400.0, 600.0], height, grid)
        for name, column in zip(names[:4], np.transpose(rows), strict=True):
            out[name].append(column)
        out["slope"].append(float(ends[1] - ends[0]) / 400.0)
        out["asymptotic"].append(unit)
    return {name: np.array(values) for name, values in out.items()}


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
    path = gradient_flow(problem, DeepFactorization(2, start, signed=False), times, rtol=1e-11)
    if path.status == "failed":
        raise RuntimeError(f"gradient_flow: {path.message}")
    height = np.maximum.accumulate(np.max(-path.dual @ A, axis=1))
    rate = np.linalg.norm(A, 2) * np.sqrt(problem.N) * abs(_difference(factors)[0]) / 4
    change = np.linalg.norm(A, axis=0).max() * rate * times
    return [
        _first_passage(times, height + shift, _needed(factors)) for shift in (0.0, change, -change)
    ]


def plateau_losses(
    M: int,
    N: int,
    s: int,
    alpha: float,
    log10_imbalances: list[float],
    n_times: int,
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
        K values of log10(u_1/u_2 - 1); -inf for equal factors.
    n_times : int
        Number of equally spaced times.
    seed : int
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        ``times`` of shape (n_times,) and ``loss`` of shape (K, n_times), relative to its start.
    """
    stream = np.random.SeedSequence([seed, 3]).spawn(1)[0]
    problem, drift = plateau_problem(M, N, s, np.random.default_rng(stream))
    largest = -np.log(10.0) * min(each for each in log10_imbalances if np.isfinite(each))
    times = np.linspace(0.0, 2.6 * largest / (2 * drift.max()), n_times)
    loss = []
    for exponent in log10_imbalances:
        path = _single_products(problem, _nearly_equal(alpha, exponent, N), times)
        loss.append(path.loss / path.loss[0])
    return {"times": times, "loss": np.array(loss)}


def deep_product_trials(
    M: int, N: int, s: int, scales: list[float], trials: int, seed: int, depth: int = 3
) -> dict[str, np.ndarray]:
    """Follow single products of fully random factors, and compare with the weighted l1 problem.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    scales : list of float
        K scales of the factors.
    trials : int
        T instances, each with standard normal shapes c of the factors, the same for all scales.
    seed : int
        Source of randomness: one spawned stream for each instance.
    depth : int, optional
        Number L >= 3 of factors (default: 3).

    Returns
    -------
    dict of str to ndarray of shape (T, K)
        With t the weights and W(y) the least weighted norm for the measurements y: ``excess`` =
        (<t, x(T)> - W(A x(T)))/W, ``certified``, what the final factors certify of it, ``residual``
        ||A x(T) - y||/||y|| and ``distance``, relative, of x(T) to the minimiser for y.
    """
    names = ("excess", "certified", "residual", "distance")
    table = {name: np.empty((trials, len(scales))) for name in names}
    for trial, stream in enumerate(np.random.SeedSequence([seed, 4]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A, y = problem.dense(), problem.y
        shape = rng.standard_normal((depth, N))
        weights = single_product_weights(shape)
        goal = signed_weighted_minimiser(A, y, *weights)[0]
        for k, scale in enumerate(scales):
            unit = scale ** (2 - depth) / np.max(np.abs(A.T @ y))
            times = np.append(0.0, np.geomspace(0.1, 1000.0, 20) * unit)
            path = _single_products(problem, scale * shape, times)
            x = path.x[-1]
            least = signed_weighted_minimiser(A, A @ x, *weights)[1]
            slack = np.where(x > 0, *single_product_weights(path.factors[-1] / scale))
            norm = float(np.where(x > 0, *weights) @ np.abs(x))
            table["excess"][trial, k] = (norm - least) / least
            table["certified"][trial, k] = float(slack @ np.abs(x)) / least
            table["residual"][trial, k] = np.linalg.norm(A @ x - y) / np.linalg.norm(y)
            table["distance"][trial, k] = np.linalg.norm(x - goal) / np.linalg.norm(goal)
    return table


def signed_weighted_minimiser(
    A: np.ndarray, y: np.ndarray, plus: np.ndarray, minus: np.ndarray
) -> tuple[np.ndarray, float]:
    """Minimise sum plus_i max(x_i, 0) + minus_i max(-x_i, 0) subject to A x = y.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    plus, minus : ndarray of shape (N,)
        Positive weights; infinite where that sign is ruled out.

    Returns
    -------
    x : ndarray of shape (N,)
        The minimiser.
    value : float
        The least value.
    """
    weights = np.concatenate([plus, minus])
    allowed = np.isfinite(weights)
    columns = np.hstack([A, -A])[:, allowed]
    best = basis_pursuit(Problem(columns, y), nonnegative=True, weights=weights[allowed])
    if best.status not in ("optimal", "inaccurate"):
        raise RuntimeError(f"basis pursuit: {best.message}")
    parts = np.zeros(len(weights))
    parts[allowed] = best.x
    return parts[: len(plus)] - parts[len(plus) :], best.value


def broken_identity_trials(
    M: int,
    N: int,
    s: int,
    perturbations: list[float],
    scales: dict[int, float],
    trials: int,
    seed: int,
    tolerance: float = 0.02,
) -> dict[str, np.ndarray]:
    """Count recoveries of the signed model from factors scale exp(perturbation g), g normal.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    perturbations : list of float
        K standard deviations of the logarithms of all 2 L factors of all coordinates.
    scales : dict of int to float
        Scale of the factors for each depth.
    trials : int
        Instances, the same for all perturbations and depths.
    seed : int
        Source of randomness: one spawned stream for each instance.
    tolerance : float, optional
        Relative l2 error up to which the signal counts as recovered (default: 0.02).

    Returns
    -------
    dict of str to ndarray of shape (K,)
        For each depth L: ``L``, the number of recoveries by the flow, ``L predicted``, by the l1
        norm with the predicted weights (ones for two factors), ``L same``, on how many instances
        the two agree.
    """
    out = {
        f"{depth}{name}": np.zeros(len(perturbations), int)
        for depth in scales
        for name in ("", " predicted", " same")
    }
    for stream in np.random.SeedSequence([seed, 5]).spawn(trials):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A, y, truth = problem.dense(), problem.y, problem.x_true
        drift = np.max(np.abs(A.T @ y))
        noise = {depth: rng.standard_normal((2, depth, N)) for depth in scales}
        plain, _ = signed_weighted_minimiser(A, y, np.ones(N), np.ones(N))
        for k, perturbation in enumerate(perturbations):
            for depth, scale in scales.items():
                shape = np.exp(perturbation * noise[depth])
                unit = (scale ** (2 - depth) if depth > 2 else -np.log(scale)) / drift
                times = np.append(0.0, np.geomspace(0.1, 300.0, 20) * unit)
                path = factor_flow(problem, scale * shape, times=times, rtol=1e-6)
                if not path.success:
                    raise RuntimeError(f"factor_flow: {path.message}")
                best = plain
                if depth > 2:
                    (up, um), (vp, vm) = (single_product_weights(group) for group in shape)
                    weights = np.minimum(up, vm), np.minimum(um, vp)
                    best, _ = signed_weighted_minimiser(A, y, *weights)
                limits = tolerance * np.linalg.norm(truth)
                found, expected = (np.linalg.norm(x - truth) <= limits for x in (path.x[-1], best))
                out[f"{depth}"][k] += found
                out[f"{depth} predicted"][k] += expected
                out[f"{depth} same"][k] += found == expected
    return out


def binomial_interval(counts: np.ndarray, trials: int) -> np.ndarray:
    """Return Wilson's 95 % intervals of success rates.

    Parameters
    ----------
    counts : ndarray of shape (K,)
        Numbers of successes.
    trials : int
        Number of trials behind each.

    Returns
    -------
    ndarray of shape (2, K)
        Lower and upper ends.
    """
    intervals = [binomtest(int(k), trials).proportion_ci(method="wilson") for k in counts]
    return np.array([[each.low for each in intervals], [each.high for each in intervals]])

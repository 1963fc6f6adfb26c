"""Gradient descent against the flow: statements S10, S11 and S12."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact import rates
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.factor_flow import leave_one_out_products
from deepfact.dynamics.gradient_descent import gradient_descent, log_spaced
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.near_limit import limit_factors, slowest_mode, stable_step
from deepfact.experiments.fits import fitted_slope, relative_error
from deepfact.figures import OKABE_ITO
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.other_maps import TwoLayerMap
from deepfact.problem import Problem, gaussian_problem


def order_of_descent(
    problem: Problem, model: DeepFactorization, fraction: float, halvings: int
) -> dict[str, np.ndarray]:
    """Compare descent and flow at one time while the step is halved.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        Depth, init scale, signed or positive.
    fraction : float
        The time at which the flow's loss has fallen to this fraction of the first one.
    halvings : int
        Number of halvings of the first step, which is 1/8 of the largest stable one.

    Returns
    -------
    dict of str to ndarray of shape (halvings + 1,)
        ``step`` and ``error`` = norm(x_descent - x_flow)/norm(x_flow).
    """
    path = gradient_flow(problem, model)
    time = path.times[np.argmax(path.loss <= fraction * path.loss[0])]
    first = time / np.ceil(8 * time / stable_step(problem, model))
    target = gradient_flow(problem, model, times=[time]).x[0]
    steps = first / 2.0 ** np.arange(halvings + 1)
    errors = []
    for step in steps:
        run = gradient_descent(
            problem, model, step, max_iterations=round(time / step), tolerance=0.0, records=1
        )
        errors.append(np.linalg.norm(run.x[-1] - target) / np.linalg.norm(target))
    return {"step": steps, "error": np.array(errors)}


def _grow(A, y, factors, steps, iterations):
    """Whether the loss of each of K descents is at some record ten times the first one.

    The steps are those of `gradient_descent` on factors (S, L, K, N), all K at once.
    """
    sign = np.array([1.0, -1.0])[: len(factors), None, None]
    factors, others = factors.copy(), np.empty_like(factors)
    marks = set(log_spaced(iterations, 20).tolist())
    grown = np.zeros(len(A), dtype=bool)
    with np.errstate(all="ignore"):
        for iteration in range(iterations + 1):
            leave_one_out_products(factors, others)
            x = np.sum(sign * others[:, 0] * factors[:, 0], axis=0)
            residual = (A @ x[:, :, None])[:, :, 0] - y
            if iteration in marks:
                square = np.sum(residual**2, axis=1)
                if iteration == 0:
                    limit = 10 * square
                grown |= ~(square <= limit)  # NaN too
                if grown.all():
                    break
            others *= (sign * steps[:, None] * (residual[:, None] @ A)[:, 0])[:, None]
            factors -= others
    return grown


def measured_stable_steps(
    problems: list[Problem],
    models: list[DeepFactorization],
    seeds: list[int | np.random.SeedSequence],
    iterations: int = 3000,
    bisections: int = 14,
) -> np.ndarray:
    """Find by bisection the steps at which descent near the limit turns from decay to growth.

    Parameters
    ----------
    problems : list of Problem
        K problems of the same size.
    models : list of DeepFactorization
        Their models, of the same finite integer depth >= 2, all signed or all positive.
    seeds : list of int or SeedSequence
        Sources of the perturbations: all 2L factors are moved by 1e-6, each its own way.
    iterations : int, optional
        Steps of each run (default: 3000).
    bisections : int, optional
        Number of bisections of the logarithm of the step (default: 14).

    Returns
    -------
    ndarray of shape (K,)
        The largest stable steps found. A step counts as too large if the loss is ever ten times
        the first one: linearly stable, it only falls.
    """
    A = np.array([problem.dense() for problem in problems])
    y = np.array([problem.y for problem in problems])
    starts = []
    for problem, model, seed in zip(problems, models, seeds, strict=True):
        factors = limit_factors(problem, model)
        start = np.repeat(factors[:, None], int(model.depth), axis=1)
        noise = np.random.default_rng(seed).standard_normal(start.shape)
        starts.append(start + 1e-6 * np.max(factors) * noise)
    start = np.stack(starts, axis=2)

    def grow(steps, chosen):
        return _grow(A[chosen], y[chosen], start[:, :, chosen], steps[chosen], iterations)

    # A first guess from the size of the matrix alone, without the formula to be tested.
    low = 1.0 / np.linalg.norm(A, 2, axis=(1, 2)) ** 2
    high = low.copy()
    every = np.arange(len(A))
    left = every
    while len(left := left[grow(low, left)]):
        low[left] /= 2
    high = np.maximum(high, 2 * low)
    left = every
    while len(left := left[~grow(high, left)]):
        low[left], high[left] = high[left], 2 * high[left]
    for _ in range(bisections):
        middle = np.sqrt(low * high)
        too_large = grow(middle, every)
        low, high = np.where(too_large, low, middle), np.where(too_large, middle, high)
    return np.sqrt(low * high)


def stability_trials(
    size: tuple[int, int, int],
    trials: int,
    depths: list[int],
    log10_a: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Measure the largest stable step on random problems in both models.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems.
    trials : int
        Problems for each depth, init scale and model.
    depths : list of int
        Numbers L of factors.
    log10_a : list of float
        Init scales as log10 of a = alpha^L.
    seed : int
        Seed; each run has its own stream.

    Returns
    -------
    dict of str to ndarray
        Columns ``depth``, ``log10_a``, ``signed``, ``predicted`` and ``measured``.
    """
    cases = [
        (depth, scale, signed)
        for depth in depths
        for scale in log10_a
        for signed in (False, True)
        for _ in range(trials)
    ]
    streams = [stream.spawn(2) for stream in np.random.SeedSequence(seed).spawn(len(cases))]
    problems = [
        gaussian_problem(*size, seed=draw, nonnegative=not signed)
        for (_, _, signed), (draw, _) in zip(cases, streams, strict=True)
    ]
    models = [
        DeepFactorization(depth, log_alpha=scale * np.log(10) / depth, signed=signed)
        for depth, scale, signed in cases
    ]
    measured = np.empty(len(cases))
    for group in itertools.product(depths, (False, True)):
        here = [k for k, (depth, _, signed) in enumerate(cases) if (depth, signed) == group]
        measured[here] = measured_stable_steps(
            *([each[k] for k in here] for each in (problems, models, [move for _, move in streams]))
        )
    columns = np.array(cases, dtype=float).T
    predicted = np.array([stable_step(*pair) for pair in zip(problems, models, strict=True)])
    names = ("depth", "log10_a", "signed", "predicted", "measured")
    return dict(zip(names, (*columns, predicted, measured), strict=True))


def escape_trials(
    targets: list[float], depths: list[float], alphas: list[float], threshold: float
) -> dict[str, np.ndarray]:
    """Test the escape time on a diagonal problem, where each coordinate moves by itself.

    Parameters
    ----------
    targets : list of float
        The entries of y; A is the identity.
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales (infinite depth: mu).
    threshold : float
        The size to be reached, as a fraction of the target.

    Returns
    -------
    dict of str to ndarray
        Columns ``depth``, ``alpha``, ``target``, ``earliest``, ``latest`` (the escape times at the
        drifts y - a and y - X, between which the true drift lies) and ``margin``: the smaller of
        (X - x(earliest))/X and (x(latest) - X)/X, less the integrator's error. Left out: a >= X,
        and escapes too sharp for the integrator, whose own estimate then exceeds 1e-3.
    """
    y = np.asarray(targets, dtype=float)
    problem = Problem(np.eye(len(y)), y)
    X = threshold * y
    rows = []
    for depth in depths:
        for alpha in alphas:
            model = DeepFactorization(depth, alpha, signed=False)
            a = float(np.exp(model.log_product))
            if a >= X.min():
                continue
            earliest = rates.escape_time(X, y - a, depth, alpha)
            latest = rates.escape_time(X, y - X, depth, alpha)
            times = np.sort(np.concatenate([earliest, latest]))
            path = gradient_flow(problem, model, times=times, rtol=1e-10)
            if np.max(path.error) > 1e-3:
                continue
            for i in range(len(y)):
                first, last = np.searchsorted(times, [earliest[i], latest[i]])
                early = (X[i] - path.x[first, i]) / X[i] - path.error[first]
                late = (path.x[last, i] - X[i]) / X[i] - path.error[last]
                margin = min(early, late) if path.status != "failed" else np.nan
                rows.append([depth, alpha, y[i], earliest[i], latest[i], margin])
    names = ("depth", "alpha", "target", "earliest", "latest", "margin")
    return dict(zip(names, np.array(rows).reshape(-1, len(names)).T, strict=True))


def predicted_exponents(problem: Problem, depth: float) -> tuple[float, float]:
    """Return the exponents of alpha in the late rate and the residual's height (S11).

    Parameters
    ----------
    problem : Problem
        A problem whose l1-minimiser is unique and nondegenerate.
    depth : float
        Number L of factors, finite.

    Returns
    -------
    tuple of float
        The exponents; at depth 2 they depend on the problem.
    """
    if depth > 2:
        return rates.plateau_exponents(depth)
    best = basis_pursuit(problem)
    x = np.where(np.abs(best.x) > 1e-8 * np.abs(best.x).max(), best.x, 0.0)
    return rates.plateau_exponents(depth, 1 - rates.l1_error_exponent(problem, x) / 2)


def rate_exponent(
    problem: Problem, depth: float, log10_alphas: list[float]
) -> tuple[float, float, float]:
    """Fit the exponent of the late rate to exact limits.

    Parameters
    ----------
    problem : Problem
        The problem.
    depth : float
        Number L of factors, finite.
    log10_alphas : list of float
        Init scales as log10 of alpha.

    Returns
    -------
    slope, half_width, predicted : float
        Fitted exponent, half its 95 % confidence interval, predicted exponent.
    """
    logs = np.asarray(log10_alphas, dtype=float) * np.log(10)
    values = [
        np.log(slowest_mode(problem, DeepFactorization(depth, log_alpha=value))[0])
        for value in logs
    ]
    return *fitted_slope(logs, np.array(values)), predicted_exponents(problem, depth)[0]


@dataclass(frozen=True, eq=False)
class Plateau:
    """The residual along flows from several init scales, on one problem with s < M.

    Parameters
    ----------
    depth : float
        Number L of factors.
    alphas : ndarray of shape (K,)
        Init scales.
    exponents : tuple of float
        Predicted exponents of alpha in the late rate and in the residual's height.
    rate : ndarray of shape (K,)
        Late rate predicted from the limit: the least eigenvalue of A diag(X') A^T.
    measured_rate : ndarray of shape (K,)
        Rate at which the slowest part of the integrated flow's residual decays at the end.
    height : ndarray of shape (K,)
        Relative residual at time 1/rate.
    times : ndarray of shape (K, T)
        Times.
    residual : ndarray of shape (K, T)
        norm(y - A x(t))/norm(y).
    status : list of str
        Status of each integration.
    """

    depth: float
    alphas: np.ndarray
    exponents: tuple[float, float]
    rate: np.ndarray
    measured_rate: np.ndarray
    height: np.ndarray
    times: np.ndarray
    residual: np.ndarray
    status: list[str]


def plateau(problem: Problem, depth: float, log10_alphas: list[float], points: int = 60) -> Plateau:
    """Integrate signed flows until their slowest residual direction has decayed.

    Parameters
    ----------
    problem : Problem
        A problem whose l1-minimiser is unique and has fewer than M nonzeros.
    depth : float
        Number L of factors, finite.
    log10_alphas : list of float
        Init scales as log10 of alpha.
    points : int, optional
        Number of times (default: 60).

    Returns
    -------
    Plateau
        Residuals, rates and heights.
    """
    size = np.linalg.norm(problem.y)
    rows, every_time, status, measured, height, rate = [], [], [], [], [], []
    for value in log10_alphas:
        model = DeepFactorization(depth, log_alpha=value * np.log(10))
        slow, direction = slowest_mode(problem, model)
        late = np.array([1.0, 4.0, 6.0]) / slow
        times = np.sort(np.concatenate([np.geomspace(1e-1, 12 / slow, points), late]))
        path = gradient_flow(problem, model, times=times)
        vectors = problem.y - path.x @ problem.dense().T
        residual = np.linalg.norm(vectors, axis=1) / size
        at = np.searchsorted(times, late)
        part = np.abs(vectors[at] @ direction)
        rate.append(slow)
        height.append(residual[at[0]])
        measured.append(np.log(part[1] / part[2]) / (late[2] - late[1]))
        rows.append(residual)
        every_time.append(times)
        status.append(path.status)
    return Plateau(
        depth=float(depth),
        alphas=10.0 ** np.asarray(log10_alphas, dtype=float),
        exponents=predicted_exponents(problem, depth),
        rate=np.array(rate),
        measured_rate=np.array(measured),
        height=np.array(height),
        times=np.array(every_time),
        residual=np.array(rows),
        status=status,
    )


@dataclass(frozen=True, eq=False)
class StochasticRun:
    """Descent at depth 2 in the signed model, with the sums of S12.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The last iterate u^2 - v^2.
    log_a : ndarray of shape (N,)
        log alpha^2 - sum_k q(step g_k): the effective init scale of each coordinate.
    w : ndarray of shape (N,)
        A^T nu with nu = -step sum_k (gradient in R^M).
    d : ndarray of shape (N,)
        The tilt.
    identity_error : float
        Largest norm(x - 2 a sinh(2 w + d), inf)/norm(x, inf) over the whole run.
    range_error : float
        norm(w + step sum_k g_k, inf)/norm(w, inf) at the end.
    largest_step : float
        Largest abs(step g) of the run.
    iterations : int
        Number of steps.
    residual : float
        norm(A x - y)/norm(y) at the end.
    """

    x: np.ndarray
    log_a: np.ndarray
    w: np.ndarray
    d: np.ndarray
    identity_error: float
    range_error: float
    largest_step: float
    iterations: int
    residual: float


def stochastic_descents(
    problems: list[Problem],
    alpha: float,
    steps: list[float],
    batch_size: int,
    seeds: list[int | np.random.SeedSequence],
    max_iterations: int,
    tolerance: float = 1e-8,
) -> list[StochasticRun]:
    """Run descents at depth 2 on batches of rows side by side, and keep the sums of S12.

    Parameters
    ----------
    problems : list of Problem
        K problems of the same size, one for each run.
    alpha : float
        Init scale.
    steps : list of float
        K step sizes.
    batch_size : int
        Rows in a batch, drawn without replacement as in `gradient_descent`; M is full descent.
    seeds : list of int or SeedSequence
        K sources of the batches.
    max_iterations : int
        Largest number of steps.
    tolerance : float, optional
        Stop at this relative residual (default: 1e-8).

    Returns
    -------
    list of StochasticRun
        The last iterates and the sums.
    """
    every_A = np.array([problem.dense() for problem in problems])
    every_y = np.array([problem.y for problem in problems])
    rngs = [np.random.default_rng(seed) for seed in seeds]
    K, M, N = every_A.shape
    state = {
        "u": np.full((K, N), float(alpha)),
        "v": np.full((K, N), float(alpha)),
        "nu": np.zeros((K, M)),
        "total": np.zeros((K, N)),
        "log_a": np.full((K, N), 2 * np.log(alpha)),
        "d": np.zeros((K, N)),
    }
    identity_error, largest, residual = np.zeros(K), np.zeros(K), np.ones(K)
    iterations = np.zeros(K, dtype=int)
    buffer = np.empty((200, K, N))
    iteration, left = 0, np.arange(K)
    while iteration < max_iterations and len(left):
        A, y, step = every_A[left], every_y[left], np.asarray(steps, dtype=float)[left, None]
        u, v, nu, total, log_a, d = (each[left] for each in state.values())
        done = buffer[: min(len(buffer), max_iterations - iteration), : len(left)]
        run = np.arange(len(left))[:, None]
        for e in done:
            x = u * u - v * v
            if batch_size == M:
                r = (A @ x[:, :, None])[:, :, 0] - y
                np.multiply(step, (r[:, None] @ A)[:, 0], out=e)
                nu -= step * r
            else:
                rows = np.array([rngs[k].choice(M, size=batch_size, replace=False) for k in left])
                batch = A[run, rows]
                r = (M / batch_size) * ((batch @ x[:, :, None])[:, :, 0] - y[run, rows])
                np.multiply(step, (r[:, None] @ batch)[:, 0], out=e)
                nu[run, rows] -= step * r
            u *= 1 - e
            v *= 1 + e
        iteration += len(done)
        with np.errstate(divide="ignore"):
            low, high = np.log(np.abs(1 - done)), np.log(np.abs(1 + done))
        log_a += np.sum(low + high, axis=0)
        d -= np.sum(high - low - 2 * done, axis=0)
        total -= np.sum(done, axis=0)
        x, w = u * u - v * v, (nu[:, None] @ A)[:, 0]
        formula = np.exp(log_a + 2 * w + d) - np.exp(log_a - 2 * w - d)
        error = np.max(np.abs(formula - x), axis=1) / np.max(np.abs(x), axis=1)
        identity_error[left] = np.maximum(identity_error[left], error)  # NaN stays
        largest[left] = np.maximum(largest[left], np.max(np.abs(done), axis=(0, 2)))
        rest = np.linalg.norm((A @ x[:, :, None])[:, :, 0] - y, axis=1)
        residual[left] = rest / np.linalg.norm(y, axis=1)
        iterations[left] = iteration
        for each, values in zip(state.values(), (u, v, nu, total, log_a, d), strict=True):
            each[left] = values
        left = left[(tolerance < residual[left]) & (residual[left] < 1e6)]
    x = state["u"] ** 2 - state["v"] ** 2
    w = (state["nu"][:, None] @ every_A)[:, 0]
    range_error = np.max(np.abs(w - state["total"]), axis=1) / np.max(np.abs(w), axis=1)
    return [
        StochasticRun(
            x=x[k],
            log_a=state["log_a"][k],
            w=w[k],
            d=state["d"][k],
            identity_error=float(identity_error[k]),
            range_error=float(range_error[k]),
            largest_step=float(largest[k]),
            iterations=int(iterations[k]),
            residual=float(residual[k]),
        )
        for k in range(K)
    ]


def stochastic_trials(
    size: tuple[int, int, int],
    trials: int,
    alpha: float,
    fractions: list[float],
    batches: list[int],
    max_iterations: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Run descent on batches of several sizes, with steps in proportion to the batch.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems.
    trials : int
        Number of problems.
    alpha : float
        Init scale.
    fractions : list of float
        Steps as fractions of (B/M) times the largest stable step of full descent.
    batches : list of int
        Batch sizes B; M is full descent.
    max_iterations : int
        Largest number of steps of a run.
    seed : int
        Seed; each run has its own stream.

    Returns
    -------
    dict of str to ndarray
        Columns ``trial``, ``batch``, ``fraction``, ``identity_error``, ``range_error``,
        ``projection_error`` (relative distance between the last iterate and the limit of the flow
        with the map `TwoLayerMap`), ``residual``, ``largest_step``, ``error`` (relative distance
        to the sparse signal), ``flow_error`` (the same for the flow from alpha), and
        ``mean_shrinking``, ``most_shrinking``: mean and least of log10(a/alpha^2).
    """
    problems, stable, flow_errors, streams = [], [], [], []
    model = DeepFactorization(2, alpha)
    for stream in np.random.SeedSequence(seed).spawn(trials):
        draw, *rest = stream.spawn(1 + len(batches) * len(fractions))
        problem = gaussian_problem(*size, seed=draw)
        problems.append(problem)
        stable.append(stable_step(problem, model))
        flow_errors.append(relative_error(flow_limit(problem, model).x, problem.x_true))
        streams.append(rest)
    cases = list(itertools.product(range(trials), range(len(batches)), range(len(fractions))))
    runs = {}
    for b, batch in enumerate(batches):
        here = [case for case in cases if case[1] == b]
        found = stochastic_descents(
            [problems[trial] for trial, _, _ in here],
            alpha,
            [fractions[f] * stable[trial] * batch / size[0] for trial, _, f in here],
            batch,
            [streams[trial][b * len(fractions) + f] for trial, _, f in here],
            max_iterations,
        )
        runs |= zip(here, found, strict=True)
    rows = []
    for case in cases:
        (trial, b, f), run = case, runs[case]
        limit = flow_limit(problems[trial], TwoLayerMap(run.log_a, run.d))
        distance = np.max(np.abs(limit.x - run.x)) / np.max(np.abs(run.x))
        shrinking = (run.log_a - 2 * np.log(alpha)) / np.log(10)
        rows.append(
            [
                trial,
                batches[b],
                fractions[f],
                run.identity_error,
                run.range_error,
                distance if limit.success else np.nan,
                run.residual,
                run.largest_step,
                relative_error(run.x, problems[trial].x_true),
                flow_errors[trial],
                np.mean(shrinking),
                np.min(shrinking),
            ]
        )
    names = (
        "trial",
        "batch",
        "fraction",
        "identity_error",
        "range_error",
        "projection_error",
        "residual",
        "largest_step",
        "error",
        "flow_error",
        "mean_shrinking",
        "most_shrinking",
    )
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


def descent_figure(
    orders: dict[float, dict[str, np.ndarray]],
    stability: dict[str, np.ndarray],
    plateaus: list[Plateau],
    stochastic: dict[str, np.ndarray],
) -> Figure:
    """Draw order, stability, plateaus and what stochastic descent does to recovery.

    Parameters
    ----------
    orders : dict
        Results of `order_of_descent` by depth.
    stability : dict
        Columns of `stability_trials`.
    plateaus : list of Plateau
        Plateaus of depths above 2, on one problem.
    stochastic : dict
        Columns of `stochastic_trials`.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels.
    """
    colours = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    styles, markers = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))], "osD^v"
    figure, axes = plt.subplots(2, 2, figsize=(7.0, 5.6))

    axis = axes[0, 0]
    for k, (depth, order) in enumerate(orders.items()):
        axis.plot(
            order["step"],
            order["error"],
            marker=markers[k % 5],
            linestyle=styles[k % 5],
            color=colours[k % 5],
            label=f"$L = {depth:g}$",
        )
    steps, errors = order["step"], order["error"]
    axis.plot(steps, 0.4 * errors[-1] * steps / steps[-1], color="0.5", lw=0.8, label="slope 1")
    axis.set(xscale="log", yscale="log", xlabel="step size", ylabel="relative distance to the flow")
    axis.set_title("descent follows the flow, order 1")
    axis.legend()

    axis = axes[0, 1]
    for k, depth in enumerate(np.unique(stability["depth"])):
        here = stability["depth"] == depth
        axis.plot(
            stability["predicted"][here],
            stability["measured"][here],
            markers[k % 5],
            color=colours[k % 5],
            mfc="none",
            label=f"$L = {depth:g}$",
        )
    ends = np.array([0.0, 1.1 * stability["predicted"].max()])
    axis.plot(ends, ends, color="0.5", lw=0.8, zorder=0, label="equal")
    axis.set(xlabel=r"predicted $2/\lambda_{\max}$", xlim=ends, ylim=ends)
    axis.set_ylabel("measured largest stable step")
    axis.set_title("stability limit")
    axis.legend()

    axis = axes[1, 0]
    for k, run in enumerate(plateaus):
        rate, height = run.exponents
        for j, alpha in enumerate(run.alphas):
            shown = run.residual[j] > 1e-14
            axis.plot(
                run.times[j][shown] * alpha**rate,
                run.residual[j][shown] / alpha**height,
                linestyle=styles[j % 5],
                color=colours[k % 5],
                linewidth=1.0,
                label=f"$L = {run.depth:g}$" if j == 0 else None,
            )
    axis.set(xscale="log", yscale="log")
    axis.set_xlim(1e-7, None)
    axis.set_xlabel(r"time $\times\, \alpha^{2L-2}$")
    axis.set_ylabel(r"relative residual $/\,\alpha^L$")
    axis.set_title("plateaus of different $\\alpha$ collapse")
    axis.legend()

    axis = axes[1, 1]
    ratio = stochastic["error"] / stochastic["flow_error"]
    batches = np.unique(stochastic["batch"])[::-1]
    for k, batch in enumerate(batches):
        fractions = np.unique(stochastic["fraction"])
        groups = [
            ratio[(stochastic["batch"] == batch) & (stochastic["fraction"] == fraction)]
            for fraction in fractions
        ]
        middle = np.array([np.median(group) for group in groups])
        axis.errorbar(
            fractions,
            middle,
            yerr=[
                middle - [group.min() for group in groups],
                [group.max() for group in groups] - middle,
            ],
            marker=markers[k % 5],
            linestyle=styles[k % 5],
            color=colours[k % 5],
            elinewidth=0.7,
            label="all rows" if k == 0 else f"batches of {batch:g} rows",
        )
    axis.axhline(1.0, color="0.5", lw=0.8)
    axis.set_xlabel(r"step, in units of $(B/M) \cdot 2/\lambda_{\max}$")
    axis.set_ylabel("recovery error / that of the flow")
    axis.set_title("recovery: large steps hurt, batches do not")
    axis.legend()
    return figure

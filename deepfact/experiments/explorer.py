"""One recovery problem at a glance, fast enough for sliders: loop and figure of ``explorer``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator
from scipy.integrate import LSODA

from deepfact.arguments import as_count
from deepfact.deep_factorization import DeepFactorization
from deepfact.figures import OKABE_ITO, figure_style
from deepfact.limit import LimitResult, flow_limit
from deepfact.problem import Problem, gaussian_problem

# Logarithms to base 10 of the first and of the last time, in units of the first relative change.
TIMES = (-2.0, 4.0)
# Products of factors this large belong to trial steps that the integrator will take back.
_LARGEST_LOG_PRODUCT = 50.0


@dataclass(frozen=True, eq=False)
class Exploration:
    """What the explorer shows of one problem and one model.

    Parameters
    ----------
    problem : Problem
        The problem, with its true vector.
    model : DeepFactorization
        The model.
    limit : LimitResult
        The limit of the flow, with its certificate.
    times : ndarray of shape (K,)
        Times in units of the first relative change; none beyond the end of the trajectory.
    x : ndarray of shape (K, N)
        The trajectory.
    divergence_to_truth, divergence_to_limit : ndarray of shape (K,)
        D_F(z, x(t)) for the true vector and for the limit.
    lower_bound : ndarray of shape (K,)
        What the dual variable at that time certifies: no solution has a smaller l1 norm.
    complete : bool
        Whether the trajectory was followed to the last time.
    """

    problem: Problem
    model: DeepFactorization
    limit: LimitResult
    times: np.ndarray
    x: np.ndarray
    divergence_to_truth: np.ndarray
    divergence_to_limit: np.ndarray
    lower_bound: np.ndarray
    complete: bool


def explore(
    M: int,
    N: int,
    s: int,
    depth: float,
    alpha: float,
    noise: float = 0.0,
    signed: bool = True,
    seed: int = 0,
    n_times: int = 100,
    max_evaluations: int = 1200,
) -> Exploration:
    """Draw a Gaussian problem, follow the flow roughly and compute its limit exactly.

    Parameters
    ----------
    M, N, s : int
        Numbers of measurements, unknowns and nonzeros, 1 <= s <= M < N.
    depth : float
        Number of factors.
    alpha : float
        Init scale of each factor.
    noise : float, optional
        Standard deviation of the noise on each measurement (default: 0).
    signed : bool, optional
        Signed model and vector (default: True) or positive ones.
    seed : int, optional
        Source of randomness (default: 0).
    n_times : int, optional
        Number of log-spaced times from 10^-2 to 10^4 (default: 100).
    max_evaluations : int, optional
        Work that the trajectory may cost, see `rough_flow` (default: 1200).

    Returns
    -------
    Exploration
        All that the explorer shows.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    """
    s = as_count("s", s, minimum=1)
    if not s <= as_count("M", M, minimum=1):
        raise ValueError(f"s must be at most M = {M}, got {s}")
    if not M < as_count("N", N, minimum=1):
        raise ValueError(f"M must be less than N = {N}, got {M}")
    model = DeepFactorization(depth, alpha, signed=signed)
    problem = gaussian_problem(M, N, s, seed=seed, signed=signed, noise=noise)
    A, y = problem.dense(), problem.y
    times = np.logspace(*TIMES, as_count("n_times", n_times, minimum=2))
    slope = _rate(model) * np.max(np.abs(A.T @ (y - A @ model.signal(np.zeros(N)))))
    x, w = rough_flow(problem, model, times / slope, max_evaluations)
    limit = flow_limit(problem, model)
    nu = w @ np.linalg.pinv(A)  # w = A^T nu
    w = nu @ A
    with np.errstate(divide="ignore", invalid="ignore"):
        lower_bound = nu @ y / np.max(np.abs(w) if signed else w, axis=1)
    return Exploration(
        problem=problem,
        model=model,
        limit=limit,
        times=times[: len(x)],
        x=x,
        divergence_to_truth=model.divergence(problem.x_true, x).sum(axis=1),
        divergence_to_limit=model.divergence(limit.x, x).sum(axis=1),
        lower_bound=lower_bound,
        complete=len(x) == len(times),
    )


def rough_flow(
    problem: Problem, model: DeepFactorization, times: np.ndarray, max_evaluations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate the flow to the accuracy of a picture, with less work than `gradient_flow`.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, with one alpha for all coordinates.
    times : ndarray of shape (K,)
        Increasing nonnegative times.
    max_evaluations : int
        Evaluations of the right-hand side after which to stop, but not before the first time.

    Returns
    -------
    x : ndarray of shape (J, N)
        The signals at the first J <= K times, those that were reached.
    w : ndarray of shape (J, N)
        The dual variables, x = X(w).

    Notes
    -----
    LSODA at tolerance 10^-3 on N logarithmic coordinates h: h = log(x/a) in the positive model,
    h = artanh(theta k w)/theta in the signed one (h = k w for L = 2), w for L = 1. They move by
    h' = h'(w) A^T(y - Ax), are unbounded, and keep the relative accuracy of the slack
    1 - theta k |w| that decides the size of x.
    """
    A, y = problem.dense(), problem.y
    At = np.ascontiguousarray(A.T)
    gram = At @ A

    def velocity(_, h):
        x, rate, _, _ = _coordinates(model, h)
        return rate * (At @ (y - A @ x))

    def jacobian(_, h):
        x, rate, slope, growth = _coordinates(model, h)
        matrix = gram * -rate[:, None]
        matrix *= slope
        matrix.flat[:: problem.N + 1] += growth * rate * (At @ (y - A @ x))
        return matrix

    rows = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LSODA's failures: what was reached is returned
        start = np.zeros(problem.N)
        solver = LSODA(velocity, 0.0, start, times[-1], rtol=1e-3, atol=1e-3, jac=jacobian)
        while solver.status == "running" and (not rows or solver.nfev < max_evaluations):
            solver.step()
            passed = times[len(rows) :][times[len(rows) :] <= solver.t]
            if len(passed):
                rows.extend(solver.dense_output()(passed).T)
    h = np.reshape(rows, (len(rows), problem.N))
    return _coordinates(model, h)[0], _dual(model, h)


def _rate(model):
    return 1.0 if model.depth == 1 else np.exp(model.log_rate)


def _coordinates(model, h):
    """Return x, the rate dh/dw, dx/dh and d log(rate)/dh."""
    if model.depth == 1:
        return h, np.ones_like(h), np.ones_like(h), np.zeros_like(h)
    theta, k = model.theta, _rate(model)
    if not model.signed:
        x = np.exp(np.minimum(model.log_product + h, _LARGEST_LOG_PRODUCT))
        return x, k * np.exp(theta * h), x, theta
    # The smaller and the larger product are a (1 +- t)^(-1/theta), t = tanh(theta |h|).
    size = np.abs(h)
    u = np.exp(-2.0 * theta * size)
    t = (1.0 - u) / (1.0 + u)
    log_small = model.log_product + (np.log(0.5 + 0.5 * u) / theta if theta else -size)
    small = np.exp(log_small)
    large = np.exp(np.minimum(log_small + 2.0 * size, _LARGEST_LOG_PRODUCT))
    slope = large * (1.0 + t) + small * (1.0 - t)
    growth = 2.0 * theta * np.copysign(t, h)
    return np.copysign(large - small, h), k * (1.0 + u) ** 2 / (4.0 * u), slope, growth


def _dual(model, h):
    """Return w."""
    theta, k = model.theta, _rate(model)
    if model.depth == 1 or theta == 0:
        return h / k
    return (np.tanh(theta * h) if model.signed else -np.expm1(-theta * h)) / (theta * k)


def summary(exploration: Exploration) -> dict[str, str]:
    """Write the certificate and what became of the computation.

    Parameters
    ----------
    exploration : Exploration
        The result of `explore`.

    Returns
    -------
    dict of str to str
        Name and value of each line.
    """
    limit, truth = exploration.limit, exploration.problem.x_true
    error = np.linalg.norm(limit.x - truth) / np.linalg.norm(truth)
    lines = {
        "l1 norm of the limit": f"{limit.l1_norm:.6g}",
        "certified lower bound": f"{limit.lower_bound:.6g}",
        "gap": f"{limit.gap:.3g}",
        "l1 norm of the true vector": f"{np.abs(truth).sum():.6g}",
        "relative error of the limit": f"{error:.3g}",
        "limit": limit.status if limit.success else f"{limit.status}: {limit.message}",
        "trajectory": "complete",
    }
    if not exploration.complete:
        end = exploration.times[-1]
        lines["trajectory"] = f"stopped at time {end:.3g}, only gradient_flow goes on"
    return lines


def exploration_picture() -> Callable[[Exploration], bytes]:
    """Make a figure of trajectory, divergence, vectors and certificate that is drawn repeatedly.

    Returns
    -------
    callable
        Draws an `Exploration` and returns a PNG picture. The figure keeps its axes, ticks and
        labels: making them anew would take longer than all the rest.
    """
    with figure_style():
        figure = Figure(figsize=(9.6, 5.8), dpi=100, layout="none")
        figure.subplots_adjust(0.07, 0.08, 0.985, 0.95, wspace=0.18, hspace=0.36)
        axes = figure.subplots(2, 2)
        for panel in (axes[0, 0], axes[0, 1], axes[1, 1]):
            panel.set_xlim(*TIMES)
            panel.set_xlabel("time")
            panel.xaxis.set_major_locator(MultipleLocator(2))
            panel.xaxis.set_major_formatter(_power_of_ten)
        updates = [
            _trajectory_panel(axes[0, 0]),
            _divergence_panel(axes[0, 1]),
            _vectors_panel(axes[1, 0]),
            _certificate_panel(axes[1, 1]),
        ]
    canvas = FigureCanvasAgg(figure)

    def draw(exploration: Exploration) -> bytes:
        for update in updates:
            update(exploration)
        picture = io.BytesIO()
        with figure_style():  # also for ticks that are new
            canvas.print_png(picture, pil_kwargs={"compress_level": 1})
        return picture.getvalue()

    return draw


def _power_of_ten(exponent, _):
    # Plain text: the typesetting of formulas takes longer than the rest of the axis.
    return "10" + f"{exponent:.0f}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _trajectory_panel(axes):
    axes.set_title("every coordinate along the flow (blue: nonzeros of the true vector)", y=1.0)
    zeros = axes.add_collection(LineCollection([], colors="0.6", linewidths=0.6))
    nonzeros = axes.add_collection(LineCollection([], colors=OKABE_ITO["blue"], linewidths=1.2))
    (goal,) = axes.plot([], [], "<", color=OKABE_ITO["vermillion"], clip_on=False)

    def update(exploration):
        truth, times = exploration.problem.x_true, np.log10(exploration.times)
        for lines, chosen in ((zeros, truth == 0), (nonzeros, truth != 0)):
            lines.set_segments([np.column_stack([times, x]) for x in exploration.x.T[chosen]])
        goal.set_data(np.full(np.sum(truth != 0), TIMES[1]), truth[truth != 0])
        ends = [truth.min(), truth.max(), np.min(exploration.x), np.max(exploration.x)]
        axes.set_ylim(min(ends) - 0.1, max(ends) + 0.1)

    return update


def _divergence_panel(axes):
    axes.set_title("Bregman divergence", y=1.0)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(_power_of_ten)
    (truth,) = axes.plot([], [], color=OKABE_ITO["vermillion"], label="to the true vector")
    (limit,) = axes.plot([], [], color=OKABE_ITO["blue"], label="to the limit")
    axes.legend(loc="lower left")

    def update(exploration):
        top = -np.inf
        for line, values in (
            (truth, exploration.divergence_to_truth),
            (limit, exploration.divergence_to_limit),
        ):
            with np.errstate(divide="ignore"):
                line.set_data(np.log10(exploration.times), np.log10(values))
            top = max(top, np.log10(values[0]))
        axes.set_ylim(top - 10.0, top + 1.0)

    return update


def _vectors_panel(axes):
    axes.set_title("recovered and true vector", y=1.0)
    axes.set_xlabel("coordinate")
    (limit,) = axes.plot([], [], ".", color=OKABE_ITO["blue"], label="limit")
    (true,) = axes.plot([], [], "o", mfc="none", ms=7, color=OKABE_ITO["vermillion"], label="true")
    axes.legend(loc="upper right")

    def update(exploration):
        x, truth = exploration.limit.x, exploration.problem.x_true
        limit.set_data(np.arange(len(x)), x)
        true.set_data(np.flatnonzero(truth), truth[truth != 0])
        axes.set_xlim(-1, len(x))
        axes.set_ylim(min(x.min(), truth.min()) - 0.1, max(x.max(), truth.max()) + 0.1)

    return update


def _certificate_panel(axes):
    axes.set_title("certificate", y=1.0)
    (norm,) = axes.plot([], [], color=OKABE_ITO["blue"], label="l1 norm")
    (bound,) = axes.plot([], [], color=OKABE_ITO["green"], label="no solution has less")
    end = axes.axhspan(0.0, 0.0, color=OKABE_ITO["orange"], alpha=0.6, label="gap of the limit")
    axes.legend(loc="lower right")

    def update(exploration):
        times, limit = np.log10(exploration.times), exploration.limit
        norms = np.abs(exploration.x).sum(axis=1)
        norm.set_data(times, norms)
        bound.set_data(times, exploration.lower_bound)
        end.set_y(limit.lower_bound)
        end.set_height(limit.gap)
        axes.set_ylim(0.0, 1.15 * max(norms.max(), limit.l1_norm))

    return update

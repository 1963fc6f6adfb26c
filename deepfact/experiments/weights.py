"""Factors that start at alpha c with a shape c: weighted l1 norms, statement S4."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.hard_columns import hard_problem
from deepfact.experiments.hard_weights import describe_hard_weights, measure_hard_weights
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.noise_bound import fixed_signal_bound
from deepfact.experiments.tables import from_rows, groups, join, select, series
from deepfact.experiments.worst_delta import worst_delta
from deepfact.figures import figure_style
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.theory import weighted_l1_gap_bound

__all__ = [
    "checks",
    "describe_hard_start",
    "describe_hard_weights",
    "describe_weights",
    "figure",
    "figure_data",
    "measure_hard_start",
    "measure_hard_weights",
    "measure_weights",
]


def measure_weights(
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
        Finite numbers L of factors. The weights are c^(2 - L): ones for L = 2.
    log10_starts : list of float
        Values of log10 alpha^L.
    trials : int
        Number of instances.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        A row for each instance, depth and start: ``trial``, ``depth``, ``log10_start``, ``gap`` =
        (<w, abs(x_inf)> - W)/W, its ``bound`` (infinite where there is none), and relative
        distances of x_inf ``to_weighted`` and ``to_plain``, the minimisers of <w, abs(z)> and of
        ||z||_1. For L = 2 both are the same. ``inverse_gap`` is the gap in the weights c^(L-2),
        ``rho`` the largest entry off the support of a dual certificate of the weighted minimiser,
        and ``distance_bound`` what follows from it and ``bound`` for ``to_weighted`` (S4).

    Raises
    ------
    RuntimeError
        If a limit or a minimiser is not found.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 0]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        log_shape = spread * rng.standard_normal(N)
        plain = basis_pursuit(problem)
        for depth in depths:
            weights = np.exp((2 - depth) * log_shape)
            best = basis_pursuit(problem, weights=weights)
            inverse = basis_pursuit(problem, weights=1 / weights)
            rho, growth = _growth(problem.dense(), best.x, weights)
            for log10_start in log10_starts:
                log_alpha = log10_start * np.log(10) / depth + log_shape
                limit = flow_limit(problem, DeepFactorization(depth, log_alpha=log_alpha))
                if not (limit.success and best.success and inverse.success and plain.success):
                    raise RuntimeError(f"{limit.message}; {best.message}; {plain.message}")
                gap = weights @ np.abs(limit.x) - best.value
                bound = _weighted_bound(best.value, depth, log_alpha, log_shape)
                to_weighted, to_plain = (
                    np.linalg.norm(limit.x - z) / np.linalg.norm(z) for z in (best.x, plain.x)
                )
                rows.append(
                    {
                        "trial": trial,
                        "depth": float(depth),
                        "log10_start": float(log10_start),
                        "gap": gap / best.value,
                        "bound": bound / best.value,
                        "to_weighted": to_weighted,
                        "to_plain": to_plain,
                        "rho": rho,
                        "distance_bound": growth * bound / np.linalg.norm(best.x),
                        "inverse_gap": (np.abs(limit.x) / weights).sum() / inverse.value - 1,
                    }
                )
    return from_rows(rows)


def _growth(A, z, weights):
    """Return rho of a certificate of the weighted minimiser z, and how far a gap may be from z."""
    on = np.abs(z) > 1e-9 * np.max(np.abs(z))
    signs = np.where(on, np.sign(z), 0.0)
    constants = fixed_signal_bound(A / weights, signs, np.count_nonzero(on))
    off, w = A[:, ~on], weights[~on]
    slack = 1 - np.abs(off.T @ constants.nu) / w
    if not np.min(slack) > 0:
        return constants.rho, np.inf
    moved = np.sqrt(1 + np.sum((np.linalg.pinv(A[:, on]) @ off) ** 2, axis=0))
    return constants.rho, float(np.max(moved / (w * slack)))


def _weighted_bound(W, depth, log_alpha, log_shape):
    """Bound the gap in the weights c^(2-L); for L = 2: Q log(n)/log(Q/sum) of the plain norm."""
    if depth > 2:
        unit = (2 - depth) * (log_alpha[0] - log_shape[0])  # log of alpha^(2-L)
        return weighted_l1_gap_bound(W * np.exp(unit), depth, log_alpha=log_alpha) / np.exp(unit)
    start = np.exp(2 * log_alpha)
    total = 2 * start.sum()
    return W * np.log(total / start.min()) / np.log(W / total) if W > total else np.inf


def measure_hard_start(
    log10_shape: float, log10_starts: list[float], Q: float = 1.0
) -> dict[str, np.ndarray]:
    """Maximise the gap at L = 2 on A = (1, 1 + delta) over delta, with a larger start on the first.

    Parameters
    ----------
    log10_shape : float
        log10 of the first product over the second one, at the start.
    log10_starts : list of float
        Values of log10 of the second product at the start.
    Q : float, optional
        Least l1 norm (default: 1).

    Returns
    -------
    dict of str to ndarray
        A row for each start: ``log10_shape``, ``log10_start``, the worst ``delta``, and as
        multiples of Q the ``gap`` there and its ``bound``.
    """
    rows = []
    for log10_start in log10_starts:
        log_shape = 0.5 * np.log(10) * np.array([log10_shape, 0.0])
        log_alpha = 0.5 * np.log(10) * log10_start + log_shape
        model = DeepFactorization(2, log_alpha=log_alpha)

        def gap(log_delta, model=model):
            problem = hard_problem(2, float(np.exp(log_delta)), Q)
            delta = problem.A[0, -1] - 1  # as it is in the matrix
            limit = flow_limit(problem, model)
            return np.abs(limit.x[0]) * delta / (1 + delta) if limit.success else np.nan

        bound = _weighted_bound(Q, 2, log_alpha, log_shape)
        grid = np.log(bound / Q) + np.linspace(-3.0, 1.0, 17)
        worst, delta = worst_delta(gap, grid)
        rows.append(
            {
                "log10_shape": float(log10_shape),
                "log10_start": float(log10_start),
                "delta": delta,
                "gap": worst / Q,
                "bound": bound / Q,
            }
        )
    return from_rows(rows)


def describe_weights(weighted: dict[str, np.ndarray]) -> str:
    """Write which minimiser the limits are near to, at the first, middle and last start.

    Parameters
    ----------
    weighted : dict of str to ndarray
        From `measure_weights`.

    Returns
    -------
    str
        Three lines for each depth, and one for each depth above 2 on its worst instance.
    """
    trials = len(np.unique(weighted["trial"]))
    lines = [
        f"relative distance of x_inf from the minimiser of (median of {trials} instances)",
        "                the weighted norm     the plain norm",
    ]
    for depth, rows in groups(weighted, "depth"):
        starts = groups(rows, "log10_start")
        for log10_start, here in (starts[0], starts[len(starts) // 2], starts[-1]):
            near, far = (np.median(here[name]) for name in ("to_weighted", "to_plain"))
            start = f"1e{log10_start:g}"
            lines.append(f"L = {depth:g}, alpha^L = {start:6s} {near:10.1e} {far:18.1e}")
    for depth, rows in groups(select(weighted, where=weighted["depth"] > 2), "depth"):
        here = select(rows, log10_start=rows["log10_start"].min())
        k = int(np.argmax(here["to_weighted"]))
        lines.append(
            f"L = {depth:g}, largest distance at the smallest start: {here['to_weighted'][k]:.0e} "
            f"(bound {here['distance_bound'][k]:.0e}), instance {here['trial'][k] + 1}, "
            f"certificate {here['rho'][k]:.4f}"
        )
    return "\n".join(lines)


def describe_hard_start(hard: dict[str, np.ndarray]) -> str:
    """Write how near to the bound at L = 2 a hard start comes.

    Parameters
    ----------
    hard : dict of str to ndarray
        From `measure_hard_start`.

    Returns
    -------
    str
        One line.
    """
    share = hard["gap"] / hard["bound"]
    return (
        f"L = 2, A = (1, 1 + delta), first product 1e{hard['log10_shape'][0]:g} times the second: "
        f"{share.min():.2f} to {share.max():.2f} of the bound"
    )


def checks(
    weighted: dict[str, np.ndarray],
    hard: dict[str, np.ndarray],
    hard_deep: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what the table says about S4.

    Parameters
    ----------
    weighted : dict of str to ndarray
        From `measure_weights`.
    hard : dict of str to ndarray
        From `measure_hard_start`.
    hard_deep : dict of str to ndarray
        From `measure_hard_weights`.

    Returns
    -------
    list of Claim
        Four, each with its rival: three for depths above 2, one for depth 2.
    """
    deep = select(weighted, where=weighted["depth"] > 2)
    return [
        Claim(
            "S4",
            "L > 2, factors alpha c: the gap in the weighted norm, weights c^(2-L), is within its "
            "bound; margin 1 - gap/bound",
            _room(deep),
            "weights c^(L-2): what starts lower costs less",
            _room({**deep, "gap": deep["inverse_gap"]}),
        ),
        Claim(
            "S4",
            "L > 2, A = w (1, ..., 1, 1 + delta), w the weights: the gap in the weighted norm is "
            "within its bound at the worst delta; margin 1 - gap/bound",
            _room(hard_deep),
            "half of the bound would do",
            _room({**hard_deep, "bound": 0.5 * hard_deep["bound"]}),
        ),
        Claim(
            "S4",
            "L > 2: the distance of x_inf from the weighted minimiser is within the gap's bound "
            "times the factor that a dual certificate gives; margin 1 - distance/bound",
            1 - deep["to_weighted"] / deep["distance_bound"],
            "the shape does not matter: x_inf is as near to the minimiser of the plain norm",
            1 - deep["to_plain"] / deep["distance_bound"],
        ),
        Claim(
            "S4",
            "L = 2, factors alpha c: the gap in the plain l1 norm is within a bound that goes to 0 "
            "with alpha, on random problems and on A = (1, 1 + delta); margin 1 - gap/bound",
            np.concatenate([_room(select(weighted, depth=2)), _room(hard)]),
            "half of the bound would do",
            _room({**hard, "bound": 0.5 * hard["bound"]}),
        ),
    ]


def _room(table):
    bounded = select(table, where=np.isfinite(table["bound"]))
    return 1 - bounded["gap"] / bounded["bound"]


def figure_data(weighted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the medians that the panels show.

    Parameters
    ----------
    weighted : dict of str to ndarray
        From `measure_weights`.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    parts = []
    for depth, rows in groups(weighted, "depth"):
        cells = groups(rows, "log10_start")
        starts = 10.0 ** np.array([start for start, _ in cells])
        middle = {
            name: np.array([np.median(here[name]) for _, here in cells])
            for name in ("gap", "bound", "to_weighted", "to_plain")
        }
        gap = np.maximum(middle["gap"], 1e-16)
        parts.append(series("weighted gap", f"L = {depth:g}, median", starts, gap))
        parts.append(series("weighted gap", f"L = {depth:g}, bound", starts, middle["bound"]))
        for name in ("to_weighted", "to_plain"):
            distance = np.maximum(middle[name], 1e-14)
            parts.append(series("distance", f"L = {depth:g}, {name}, median", starts, distance))
    return join(*parts)


def figure(weighted: dict[str, np.ndarray]) -> Figure:
    """Draw the gap in the weighted norm, and which minimiser the limit is near to.

    Parameters
    ----------
    weighted : dict of str to ndarray
        From `measure_weights`.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.
    """
    figure_style()
    drawn, (by_gap, by_distance) = plt.subplots(1, 2, figsize=(7.2, 2.9))
    data = figure_data(weighted)

    def line(axis, panel, name, **style):
        here = select(data, panel=panel, series=name)
        axis.plot(here["x"], here["y"], **style)

    for d, (depth, _) in enumerate(groups(weighted, "depth")):
        color, style, marker = LOOKS[d % 6]
        name = f"L = {depth:g}"
        symbols = {"ls": "", "marker": marker, "color": color, "label": f"${name}$"}
        line(by_gap, "weighted gap", f"{name}, median", **symbols)
        line(by_gap, "weighted gap", f"{name}, bound", ls=style, color=color)
        look = {"ls": style, "marker": marker, "color": color}
        line(by_distance, "distance", f"{name}, to_weighted, median", **look, mfc=color)
        line(by_distance, "distance", f"{name}, to_plain, median", **look, mfc="white")
    by_gap.plot([], [], color="0.3", label="bound")
    by_gap.set(xscale="log", yscale="log", ylim=(1e-13, 10), title="weighted norm: gap and bound")
    by_gap.set(xlabel="start $\\alpha^L$", ylabel="$(\\langle w, |x_\\infty|\\rangle - W)/W$")
    by_gap.legend(loc="lower right")
    symbol = {"ls": "", "marker": "o", "color": "0.3"}
    by_distance.plot([], [], **symbol, label="from the weighted minimiser")
    by_distance.plot([], [], **symbol, mfc="white", label="from the plain minimiser")
    by_distance.set(xscale="log", yscale="log", ylim=(1e-11, 50))
    by_distance.set(xlabel="start $\\alpha^L$", ylabel="relative distance of $x_\\infty$")
    by_distance.set_title("which minimiser?")
    by_distance.legend(loc="lower right")
    return drawn

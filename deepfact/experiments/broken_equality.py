"""Factors that are random: weights for each sign, and how far equality can be broken (S13)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.checks import Claim
from deepfact.dynamics.factor_flow import factor_flow
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.signed_weights import signed_weighted_minimiser
from deepfact.experiments.tables import from_rows, groups, join, select, series
from deepfact.experiments.transition_fits import binomial_interval
from deepfact.experiments.two_factors import single_products
from deepfact.figures import figure_style
from deepfact.problem import gaussian_problem
from deepfact.statuses import require
from deepfact.theory import single_product_weights

NUMBERS = {3: "three", 4: "four", 5: "five", 6: "six"}


def measure_random_factors(
    M: int, N: int, s: int, scales: list[float], trials: int, seed: int, depth: int = 3
) -> dict[str, np.ndarray]:
    """Follow single products of fully random factors, and compare with the weighted l1 problem.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    scales : list of float
        Scales of the factors.
    trials : int
        Number of instances, each with standard normal shapes c of the factors, the same for all
        scales.
    seed : int
        Source of randomness: one spawned stream for each instance.
    depth : int, optional
        Number L >= 3 of factors (default: 3).

    Returns
    -------
    dict of str to ndarray
        A row for each instance and scale: ``trial``, ``depth``, ``scale``; with t the weights and
        W(y) the least weighted norm for the measurements y, ``excess`` =
        (<t, x(T)> - W(A x(T)))/W, ``certified``, what the final factors certify of it, ``residual``
        ||A x(T) - y||/||y|| and ``distance``, relative, of x(T) to the minimiser for y;
        ``plain_excess``, the excess with all weights 1.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 4]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A, y = problem.dense(), problem.y
        shape = rng.standard_normal((depth, N))
        weights = single_product_weights(shape)
        goal, ones = signed_weighted_minimiser(A, y, *weights)[0], np.ones(N)
        for scale in scales:
            unit = scale ** (2 - depth) / np.max(np.abs(A.T @ y))
            times = np.append(0.0, np.geomspace(0.1, 1000.0, 20) * unit)
            path = single_products(problem, scale * shape, times)
            x = path.x[-1]
            least = signed_weighted_minimiser(A, A @ x, *weights)[1]
            slack = np.where(x > 0, *single_product_weights(path.factors[-1] / scale))
            norm = float(np.where(x > 0, *weights) @ np.abs(x))
            plain_least = signed_weighted_minimiser(A, A @ x, ones, ones)[1]
            rows.append(
                {
                    "trial": trial,
                    "depth": depth,
                    "scale": float(scale),
                    "excess": (norm - least) / least,
                    "certified": float(slack @ np.abs(x)) / least,
                    "residual": np.linalg.norm(A @ x - y) / np.linalg.norm(y),
                    "plain_excess": np.abs(x).sum() / plain_least - 1,
                    "distance": np.linalg.norm(x - goal) / np.linalg.norm(goal),
                }
            )
    return from_rows(rows)


def measure_recovery(
    M: int,
    N: int,
    s: int,
    spreads: list[float],
    scales: list[tuple[int, float]],
    trials: int,
    seed: int,
    tolerance: float = 0.02,
) -> dict[str, np.ndarray]:
    """See which signals are recovered from factors scale exp(spread g), g standard normal.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    spreads : list of float
        Standard deviations of the logarithms of all 2 L factors of all coordinates.
    scales : list of tuple of int and float
        Depths, each with the scale of its factors.
    trials : int
        Instances, the same for all spreads and depths.
    seed : int
        Source of randomness: one spawned stream for each instance.
    tolerance : float, optional
        Relative l2 error up to which the signal counts as recovered (default: 0.02).

    Returns
    -------
    dict of str to ndarray
        A row for each instance, spread and depth: ``trial``, ``spread``, ``depth``, ``scale``,
        ``tolerance``; whether the signal is recovered by the flow, ``found``, and by the l1 norm
        with the predicted weights (ones for two factors), ``predicted``, and by the ``plain`` l1
        norm.

    Raises
    ------
    RuntimeError
        If an integration fails.
    """
    rows = []
    for trial, stream in enumerate(np.random.SeedSequence([seed, 5]).spawn(trials)):
        rng = np.random.default_rng(stream)
        problem = gaussian_problem(M, N, s, seed=rng)
        A, y, truth = problem.dense(), problem.y, problem.x_true
        drift = np.max(np.abs(A.T @ y))
        noise = [rng.standard_normal((2, depth, N)) for depth, _ in scales]
        plain, _ = signed_weighted_minimiser(A, y, np.ones(N), np.ones(N))
        for spread in spreads:
            for (depth, scale), normal in zip(scales, noise, strict=True):
                shape = np.exp(spread * normal)
                unit = (scale ** (2 - depth) if depth > 2 else -np.log(scale)) / drift
                times = np.append(0.0, np.geomspace(0.1, 300.0, 20) * unit)
                path = factor_flow(problem, scale * shape, times=times, rtol=1e-6)
                require(path)
                best = plain
                if depth > 2:
                    (up, um), (vp, vm) = (single_product_weights(group) for group in shape)
                    weights = np.minimum(up, vm), np.minimum(um, vp)
                    best, _ = signed_weighted_minimiser(A, y, *weights)
                limit = tolerance * np.linalg.norm(truth)
                rows.append(
                    {
                        "trial": trial,
                        "spread": float(spread),
                        "depth": depth,
                        "scale": float(scale),
                        "tolerance": tolerance,
                        "found": bool(np.linalg.norm(path.x[-1] - truth) <= limit),
                        "predicted": bool(np.linalg.norm(best - truth) <= limit),
                        "plain": bool(np.linalg.norm(plain - truth) <= limit),
                    }
                )
    return from_rows(rows)


def describe_random_factors(deep: dict[str, np.ndarray]) -> str:
    """Write what limits of random factors have to do with the predicted weights.

    Parameters
    ----------
    deep : dict of str to ndarray
        From `measure_random_factors`.

    Returns
    -------
    str
        A line for each scale.
    """
    lines = [
        f"{_number(deep)} random factors, median over the instances, relative:",
        "scale      excess of the weighted norm    certified    distance from the minimiser",
    ]
    for scale, rows in groups(deep, "scale"):
        excess, certified, distance = (
            np.median(rows[name]) for name in ("excess", "certified", "distance")
        )
        lines.append(f"{scale:.0e} {excess:20.1e} {certified:22.1e} {distance:18.1e}")
    return "\n".join(lines)


def _number(deep):
    depth = int(deep["depth"][0])
    return NUMBERS.get(depth, str(depth))


def describe_recovery(broken: dict[str, np.ndarray]) -> str:
    """Write how many signals are recovered, by spread and depth.

    Parameters
    ----------
    broken : dict of str to ndarray
        From `measure_recovery`.

    Returns
    -------
    str
        A line for each spread.
    """
    depths = list(dict.fromkeys(broken["depth"].tolist()))
    trials = len(np.unique(broken["trial"]))
    lines = [
        f"recovered, of {trials}       " + (15 * " ").join(f"L = {L}" for L in depths),
        "spread eta     " + len(depths) * "    flow   predicted" + "   flow and prediction agree",
    ]
    for spread, rows in groups(broken, "spread"):
        line = f"{spread:10g}"
        for k, (_, here) in enumerate(groups(rows, "depth")):
            line += f" {here['found'].sum():{9 if k else 12}d} {here['predicted'].sum():9d}"
        agree = np.sum(rows["found"] == rows["predicted"])
        lines.append(f"{line} {agree:15d} of {len(rows['found'])}")
    return "\n".join(lines)


def checks(deep: dict[str, np.ndarray], broken: dict[str, np.ndarray]) -> list[Claim]:
    """Return what the tables say about S13 with random factors.

    Parameters
    ----------
    deep : dict of str to ndarray
        From `measure_random_factors`.
    broken : dict of str to ndarray
        From `measure_recovery`.

    Returns
    -------
    list of Claim
        Two, each with its rival. The margins of the second are one number for each depth, of all
        its instances together.
    """
    return [
        Claim(
            "S13",
            f"products of {_number(deep)} random factors: excess of sum t+ x+ + t- x- over its "
            "minimum is within what the factors certify; margin 1 - excess/certified",
            1 - deep["excess"] / deep["certified"],
            "the factors do not matter: the same for the plain l1 norm",
            1 - deep["plain_excess"] / deep["certified"],
        ),
        Claim(
            "S13",
            "signed model, unequal factors: flow and l1 norm with the predicted weights recover "
            "on the same instances; margin: rate of agreement - 0.9, for each depth",
            _agreement(broken, "predicted") - 0.9,
            "L > 2: the plain l1 norm recovers on the same instances as the flow",
            _agreement(select(broken, where=broken["depth"] > 2), "plain") - 0.9,
        ),
    ]


def _agreement(broken, name):
    """Return for each instance the rate at which the flow and a norm agree at its depth."""
    rates = [
        np.full(len(rows["found"]), np.mean(rows["found"] == rows[name]))
        for _, rows in groups(broken, "depth")
    ]
    return np.concatenate(rates)


def figure_data(
    deep: dict[str, np.ndarray], broken: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the lines that the panels show.

    Parameters
    ----------
    deep : dict of str to ndarray
        From `measure_random_factors`.
    broken : dict of str to ndarray
        From `measure_recovery`.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    parts = []
    cells = groups(deep, "scale")
    scales = [scale for scale, _ in cells]
    for name in ("excess", "certified", "distance"):
        values = [np.maximum(rows[name], 1e-13) for _, rows in cells]
        for kind, pick in (("median", np.median), ("least", np.min), ("largest", np.max)):
            y = [pick(each) for each in values]
            parts.append(series("random factors", f"{name}, {kind}", scales, y))
    for depth, rows in groups(broken, "depth"):
        cells = groups(rows, "spread")
        spreads = [spread for spread, _ in cells]
        trials = len(cells[0][1]["found"])
        counts = np.array([here["found"].sum() for _, here in cells])
        low, high = binomial_interval(counts, trials, method="wilson")
        expected = np.array([here["predicted"].sum() for _, here in cells]) / trials
        lines = {"rate": counts / trials, "low": low, "high": high, "predicted": expected}
        for name, y in lines.items():
            parts.append(series("broken identity", f"L = {depth}, {name}", spreads, y))
    return join(*parts)


def figure(deep: dict[str, np.ndarray], broken: dict[str, np.ndarray]) -> Figure:
    """Draw limits of random factors by their scale, and recoveries by their spread.

    Parameters
    ----------
    deep : dict of str to ndarray
        From `measure_random_factors`.
    broken : dict of str to ndarray
        From `measure_recovery`.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.
    """
    figure_style()
    drawn, (by_scale, by_spread) = plt.subplots(1, 2, figsize=(7.2, 2.9))
    data = figure_data(deep, broken)

    def line(panel, name):
        here = select(data, panel=panel, series=name)
        return here["x"], here["y"]

    labels = {
        "excess": "excess of the weighted norm",
        "certified": "certified",
        "distance": "distance from the minimiser",
    }
    for name, (color, style, marker) in zip(labels, LOOKS[2::-1], strict=True):
        x, middle = line("random factors", f"{name}, median")
        low, high = (line("random factors", f"{name}, {kind}")[1] for kind in ("least", "largest"))
        by_scale.plot(x, middle, ls=style, marker=marker, color=color, label=labels[name])
        by_scale.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
    by_scale.set(
        xscale="log", yscale="log", xlabel="scale of the factors", ylabel="relative to $W$ or $x$"
    )
    by_scale.set_title(f"{_number(deep)} random factors: weighted $\\ell_1$")
    by_scale.legend(loc="lower right", fontsize=7)
    for k, (depth, rows) in enumerate(groups(broken, "depth")):
        color, style, marker = LOOKS[(k + 1) % 6]
        scale = f"$10^{{{np.log10(rows['scale'][0]):g}}}$"
        x, rate = line("broken identity", f"L = {depth}, rate")
        low, high = (line("broken identity", f"L = {depth}, {end}")[1] for end in ("low", "high"))
        by_spread.errorbar(
            x + 0.03 * (k - 0.5),
            rate,
            yerr=np.maximum([rate - low, high - rate], 0),
            fmt=marker,
            color=color,
            capsize=2,
            elinewidth=0.8,
            label=f"flow, $L = {depth}$, from {scale}",
        )
        x, expected = line("broken identity", f"L = {depth}, predicted")
        by_spread.plot(x, expected, ls=style, color=color, label=f"predicted, $L = {depth}$")
    by_spread.set(ylim=(-0.03, 1.5), xlabel="spread $\\eta$ of the factors")
    by_spread.set_yticks(np.linspace(0, 1, 6))
    by_spread.set_ylabel("recovery rate")
    by_spread.set_title("recovery from unequal factors")
    by_spread.legend(loc="upper center", ncols=2, fontsize=7)
    return drawn

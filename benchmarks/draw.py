"""Draw the figures of the benchmarks from their tables."""

import argparse
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

import deepfact as df
from benchmarks.measure import read
from benchmarks.targets import groups, slope

COLOURS = [df.OKABE_ITO[name] for name in list(df.OKABE_ITO)[1:7]] + [df.OKABE_ITO["black"]]
MARKERS = "osD^vPX"
FLOOR = 1e-16  # errors below are drawn here


def look(k, **more):
    """Return colour and marker of the k-th series."""
    return {"color": COLOURS[k % 7], "marker": MARKERS[k % 7], **more}


def label(axis):
    """Label a logarithmic axis at 1, 3, 10, ..., or at powers of ten if it spans many."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 300 * low else (1.0,)))
    axis.set_minor_formatter(NullFormatter())
    if high < 300 * low:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def columns(rows):
    """Turn rows into the columns of a figure's data."""
    return {key: [one[key] for one in rows] for key in rows[0]}


def draw_solvers(rows, directory):
    """Error against time of every solver of basis pursuit, one panel a size."""
    names = list(dict.fromkeys(one["solver"] for one in rows))
    sizes = groups(rows, "N")
    figure, axes = plt.subplots(
        1, len(sizes), figsize=(2.6 * len(sizes) + 1.4, 3.2), sharey=True, squeeze=False
    )
    data = []
    for axis, ((N,), found) in zip(axes[0], sizes.items(), strict=True):
        for (solver, setting), ones in groups(found, "solver", "setting").items():
            if any(one["status"] != "done" for one in ones):
                continue
            seconds = median(one["seconds"] for one in ones)
            error = max(FLOOR, median(one["error"] for one in ones))
            data.append(
                {"N": N, "solver": solver, "setting": setting, "seconds": seconds, "error": error}
            )
        for k, solver in enumerate(names):
            own = [one for one in data if (one["N"], one["solver"]) == (N, solver)]
            own.sort(key=lambda one: -one["error"])
            style = look(k, linestyle="-" if solver == "flow_limit" else ":", label=solver)
            axis.loglog([o["seconds"] for o in own], [o["error"] for o in own], **style)
        axis.set(title=f"N = {N:g}", xlabel="time (s)")
        label(axis.xaxis)
    axes[0, 0].set(ylabel="relative error")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    df.save_figure(figure, columns(data), "solvers", directory)


def draw_limits(rows, directory):
    """Time of a limit in Gram units against N."""
    figure, axis = plt.subplots(figsize=(4.4, 3.2))
    data = []
    for k, ((L, alpha), found) in enumerate(groups(rows, "depth", "alpha").items()):
        for (N,), ones in groups(found, "N").items():
            units = [one["gram_units"] for one in ones if one["status"] == "converged"]
            if units:
                data.append({"depth": L, "alpha": alpha, "N": N, "gram_units": median(units)})
        own = [one for one in data if (one["depth"], one["alpha"]) == (L, alpha)]
        style = look(k, label=rf"$L = {L:g}$, $\alpha$ = {alpha:g}")
        axis.loglog([o["N"] for o in own], [o["gram_units"] for o in own], **style)
    axis.axhline(20, color="black", linestyle="--", linewidth=1, label="target")
    axis.set(xlabel="N", ylabel="time (Gram units)")
    axis.legend()
    label(axis.xaxis)
    label(axis.yaxis)
    df.save_figure(figure, columns(data), "limits", directory)


def draw_growth(limits, operators, directory):
    """Time against N: dense and matrix-free, with fitted exponents."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 4.2))
    series = [
        (axes[0], f"$L = {L:g}$", "flow_limit", f"L={L:g} alpha={alpha:g}", found)
        for (L, alpha), found in groups(limits, "depth", "alpha").items()
    ]
    series += [
        (axes[1], f"{solver} {setting}", solver, setting, found)
        for (solver, setting), found in groups(operators, "solver", "setting").items()
    ]
    data = []
    for k, (axis, name, solver, setting, found) in enumerate(series):
        done = [one for one in found if one["status"] in ("converged", "done")]
        if not done:
            continue
        sizes = groups(done, "N")
        N = np.array([size for (size,) in sizes])
        seconds = np.array([median(one["seconds"] for one in ones) for ones in sizes.values()])
        exponent, half = slope([one["N"] for one in done], [one["seconds"] for one in done])
        if exponent is not None:
            name += rf": $N^{{{exponent:.2f} \pm {half:.2f}}}$"
        axis.loglog(N, seconds, **look(k, label=name))
        kind = "dense" if axis is axes[0] else "partial DCT"
        data += [
            {"matrix": kind, "solver": solver, "setting": setting, "N": n, "seconds": t}
            for n, t in zip(N, seconds, strict=True)
        ]
    axes[0].set(title="dense Gaussian, M = N/5", xlabel="N", ylabel="time (s)")
    axes[1].set(title="partial DCT, M = N/4, matrix-free", xlabel="N")
    for axis in axes:
        label(axis.xaxis)
        label(axis.yaxis)
        if axis.get_legend_handles_labels()[0]:  # below the panel
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7)
    df.save_figure(figure, columns(data), "growth", directory)


def draw_flows(rows, directory):
    """Error against time of the integrators, one panel a model."""
    names = list(dict.fromkeys(one["solver"] for one in rows))
    models = groups(rows, "N", "depth", "alpha")
    figure, axes = plt.subplots(
        1, len(models), figsize=(2.6 * len(models) + 1.4, 3.2), sharey=True, squeeze=False
    )
    data = []
    for axis, ((N, L, alpha), found) in zip(axes[0], models.items(), strict=True):
        for k, solver in enumerate(names):
            done = [o for o in found if o["solver"] == solver and o["status"] == "done"]
            error = [max(FLOOR, one["error"]) for one in done]
            style = look(k, linestyle="-" if solver == "gradient_flow" else ":", label=solver)
            axis.loglog([one["seconds"] for one in done], error, **style)
            keys = ("N", "depth", "alpha", "solver", "rtol", "seconds", "error")
            data += [{key: one[key] for key in keys} for one in done]
        axis.set(title=rf"N = {N:g}, $L = {L:g}$, $\alpha$ = {alpha:g}", xlabel="time (s)")
        label(axis.xaxis)
    axes[0, 0].set(ylabel="largest relative error")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    df.save_figure(figure, columns(data), "flows", directory)


def main():
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    arguments = parser.parse_args()
    names = ("limits", "solvers", "flows", "operators")
    tables = {name: read(arguments.results / f"{name}.csv") for name in names}
    with df.figure_style():
        draw_solvers(tables["solvers"], arguments.figures)
        draw_limits(tables["limits"], arguments.figures)
        draw_growth(tables["limits"], tables["operators"], arguments.figures)
        draw_flows(tables["flows"], arguments.figures)


if __name__ == "__main__":
    main()

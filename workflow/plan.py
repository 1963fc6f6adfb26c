"""Write the plan for a large cluster into docs/cluster.md, from the times of single trials.

`python -m workflow.plan measure` first measures these, on a core with nothing else to do (some
minutes), and writes them to benchmarks/results/trials.csv.
"""

import math
import re
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.measure import peak_memory, read, write
from deepfact.experiments.measurements import _share, grid_cells
from deepfact.phase_transition import recovery_trial

PAGE = Path("docs/cluster.md")
TRIALS = Path("benchmarks/results/trials.csv")
PLAN = re.compile(r"(?<=<!-- begin: plan -->\n).*?(?=<!-- end: plan -->)", re.DOTALL)

UNKNOWNS = (200, 400, 800, 1600)
SIDE = 10  # a trial in each cell of a coarse grid stands for the mean over a fine one
DIAGRAMS = ((1000, 1000, 100), (2000, 1000, 100), (4000, 1000, 100))  # N, cells a side, trials
CORES = 10_000
HOURS = 6  # a chunk shall not take longer
LINE = 64  # bytes, about, of a line of a table, a checkpoint or a log


def measure():
    """Return the mean CPU time of a trial of a signed vector for several N, and the peak of memory.

    That includes the list of all cells, from which a chunk takes its share.
    """
    N, side, trials = DIAGRAMS[0]
    _share([("grid", N, grid_cells(N, side), trials)], 0, CORES)
    rows = []
    with threadpool_limits(1):
        for N in UNKNOWNS:
            cells = [(M, s) for M, s in grid_cells(N, SIDE) if s < M]
            start = time.process_time()
            for M, s in tqdm(cells, desc=f"N = {N}", disable=None):
                seed = np.random.SeedSequence(0, spawn_key=(N, M, s, 0))
                recovery_trial(M, N, s, False, np.log(10) * np.array([-300, -5]), 1e-3, seed)
            seconds = (time.process_time() - start) / len(cells)
            rows.append({"N": N, "trials": len(cells), "seconds": seconds, "MiB": peak_memory()})
    return rows


def exponent(rows):
    """Return the power of N that the time grows with between the two largest N."""
    (first, second) = rows[-2:]
    return math.log(second["seconds"] / first["seconds"]) / math.log(second["N"] / first["N"])


def diagram(rows, N, side, trials):
    """Return what a phase diagram takes: cells with s < M cost time, all others none."""
    largest = rows[-1]
    seconds = largest["seconds"] * (N / largest["N"]) ** exponent(rows)
    cells = side * (side - 1) // 2
    hours = cells * trials * seconds / 3600
    chunks = CORES * math.ceil(hours / CORES / HOURS)
    return {
        "N": N,
        "cells": f"{side} × {side}",
        "trials a cell": trials,
        "seconds a trial": f"{seconds:.2g}",
        "core hours": f"{hours:,.0f}",
        "chunks": f"{chunks:,}",
        "cells a chunk": f"{cells / chunks:.0f}",
        "minutes a chunk": f"{60 * hours / chunks:.0f}",
        "hours on all cores": f"{hours / CORES:.1f}",
        "jobs a minute": f"{chunks / (60 * hours / CORES):.0f}",
        "seconds lost at most": f"{trials * seconds:.0f}",
        "output, MB": f"{LINE * (2 * side**2 + 2 * cells) / 1e6:.0f}",
    }


def table(rows):
    """Write rows of equal keys as a table in Markdown."""
    lines = [" | ".join(rows[0]), "|".join(["---"] * len(rows[0]))]
    lines += [" | ".join(map(str, row.values())) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def render(text, rows):
    """Put the plan into the text of the page, in place of the one that is there."""
    measured = [
        {
            "N": f"{row['N']:.0f}",
            "trials": f"{row['trials']:.0f}",
            "CPU seconds a trial": f"{row['seconds']:.3g}",
            "peak of memory, MiB": f"{row['MiB']:.0f}",
        }
        for row in rows
    ]
    plan = (
        f"Measured on {rows[0]['machine']}, one thread:\n\n{table(measured)}\n"
        f"Between the two largest N the time grows like N to the power {exponent(rows):.2f}."
        f" With that, on {CORES:,} cores like this one:\n\n"
        f"{table([diagram(rows, *case) for case in DIAGRAMS])}"
    )
    return PLAN.sub(lambda _: plan, text)


def main(arguments):
    """Measure if asked to, and write the page anew."""
    if arguments == ["measure"]:
        write(measure(), TRIALS)
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), read(TRIALS)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

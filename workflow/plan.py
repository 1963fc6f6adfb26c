"""Write the plan for a large cluster into docs/cluster.md, from the times of trials and of chunks.

`python -m workflow.plan measure` first measures single trials, on a core with nothing else to do (a
minute), and writes them to benchmarks/results/trials.csv, and beside it, to chunks.csv, what
figures/manifest.json says of the chunks.
"""

import argparse
import json
import math
import re
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.measure import peak_memory, read, write
from deepfact.experiments.measurements import _share, grid_cells, load_table
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import gaussian_problem
from deepfact.recovery import METHODS, recovery_trial

PAGE = Path("docs/cluster.md")
FIGURES = Path("figures")
RATES = ("recovery_signed.csv", "recovery_nonnegative.csv")
TRIALS = Path("benchmarks/results/trials.csv")
CHUNKS = Path("benchmarks/results/chunks.csv")
PLAN = re.compile(r"(?<=<!-- begin: plan -->\n).*?(?=<!-- end: plan -->)", re.DOTALL)

UNKNOWNS = (200, 400, 800)
PROGRAMS = 3
SIDE = 10  # a trial in each cell of a coarse grid stands for the mean over a fine one
DIAGRAMS = ((1000, 1000, 100), (2000, 1000, 100), (4000, 1000, 100))  # N, cells a side, trials
CORES = 10_000
HOURS = 6  # a chunk shall not take longer
LINE = 64  # bytes, about, of a line of a table, a checkpoint or a log


def measure():
    """Return mean CPU times, of a trial without and of a linear program, and the peak of memory.

    Few trials need a linear program, near the transition, but it takes longest. The peak includes
    the list of all cells, from which a chunk takes its share.
    """
    _share([("grid", N, grid_cells(N, side), trials) for N, side, trials in DIAGRAMS[:1]], 0, CORES)
    scales = (-300 * np.log(10), -5 * np.log(10))
    rows = []
    with threadpool_limits(1):
        for N in UNKNOWNS:
            cells = [(M, s) for M, s in grid_cells(N, SIDE) if s < M]
            start = time.process_time()
            for M, s in tqdm(cells, desc=f"N = {N}", disable=None):
                seed = np.random.SeedSequence(0, spawn_key=(N, M, s, 0))
                recovery_trial(M, N, s, False, scales, 1e-3, seed, METHODS[:-1])
            trial = (time.process_time() - start) / len(cells)
            start = time.process_time()
            for seed in range(PROGRAMS):
                basis_pursuit(gaussian_problem(N // 2, N, N // 5, seed))
            program = (time.process_time() - start) / PROGRAMS
            rows.append({"N": N, "trial": trial, "program": program, "MiB": peak_memory()})
    return rows


def share_of_programs():
    """Return in which share of the trials of the printed figure a linear program was solved."""
    table = load_table(FIGURES / RATES[0])
    run = (table["part"] == "grid") & (table["nonzeros"] < table["measurements"])
    return table["lp_solves"][run].sum() / table["trials"][run].sum()


def exponent(rows, what):
    """Return the power of N that a time grows with between the two largest N."""
    (first, second) = rows[-2:]
    return math.log(second[what] / first[what]) / math.log(second["N"] / first["N"])


def time_at(rows, what, N):
    """Return the time at another N by the power law between the two nearest."""
    after = min(max(1, sum(row["N"] < N for row in rows)), len(rows) - 1)
    pair = rows[after - 1 : after + 1]
    return pair[1][what] * (N / pair[1]["N"]) ** exponent(pair, what)


def foreseen(rows, table):
    """Return the seconds that these laws foresee for a table of recovery rates.

    Over the cells of a grid with s < M, M^2 is N^2/2 on average: a cell takes 2 (M/N)^2 of the
    mean.
    """
    total = 0.0
    for M, N, s, trials, programs in zip(
        *(table[k] for k in ("measurements", "unknowns", "nonzeros", "trials", "lp_solves")),
        strict=True,
    ):
        if s < M:
            trial = trials * time_at(rows, "trial", N) + programs * time_at(rows, "program", N)
            total += 2 * (M / N) ** 2 * trial
    return total


def chunks_of(manifest):
    """Return number, seconds and peak of memory of the chunks that measured the printed figure."""
    made = [entry for entry in manifest["made"] if entry["by"] == "workflow/recovery.py"]
    return {
        "chunks": sum(entry["jobs"] for entry in made),
        "seconds": sum(entry["seconds"] for entry in made),
        "MiB": max(entry["peak_memory_mib"] for entry in made),
    }


def diagram(rows, programs, factor, N, side, trials):
    """Return what a phase diagram takes: cells with s < M cost time, all others none."""
    program = time_at(rows, "program", N)
    seconds = factor * (time_at(rows, "trial", N) + programs * program)
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
        "minutes a cell": f"{trials * seconds / 60:.1f}",
        "output, MB": f"{LINE * (2 * side**2 + 2 * cells) / 1e6:.0f}",
    }


def table(rows):
    """Write rows of equal keys as a table in Markdown."""
    lines = [" | ".join(rows[0]), " | ".join(["---"] * len(rows[0]))]
    lines += [" | ".join(map(str, row.values())) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def render(text, rows, chunks):
    """Put the plan into the text of the page, in place of the one that is there."""
    measured = [
        {
            "N": f"{row['N']:.0f}",
            "a trial, seconds": f"{row['trial']:.3g}",
            "a linear program, seconds": f"{row['program']:.3g}",
            "peak of memory, MiB": f"{row['MiB']:.0f}",
        }
        for row in rows
    ]
    programs = share_of_programs()
    expected = sum(foreseen(rows, load_table(FIGURES / name)) for name in RATES)
    factor = chunks["seconds"] / expected
    trial, program = exponent(rows, "trial"), exponent(rows, "program")
    plan = (
        f"CPU times, measured on {rows[0]['machine']}, one thread:\n\n{table(measured)}\n"
        f"Between the two largest N a trial grows like N to the power {trial:.2f}, a linear program"
        f" like N to the power {program:.2f}. The printed figure solved one in"
        f" {100 * programs:.1f} % of its trials.\n\nIts {chunks['chunks']:.0f} chunks took"
        f" {chunks['seconds']:.0f} seconds in all, start of Python included, and at most"
        f" {chunks['MiB']:.0f} MiB each. These laws, with the"
        f" time of a trial proportional to M², foresee {expected:.0f} seconds: so all times below"
        f" are multiplied by {factor:.2f}. On {CORES:,} cores like this one:"
        f"\n\n{table([diagram(rows, programs, factor, *case) for case in DIAGRAMS])}"
    )
    return PLAN.sub(lambda _: plan, text)


def main():
    """Measure if asked to, and write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["measure"])
    if parser.parse_args().what:
        write(measure(), TRIALS)
        manifest = json.loads((FIGURES / "manifest.json").read_text(encoding="utf-8"))
        write([chunks_of(manifest)], CHUNKS)
    text = render(PAGE.read_text(encoding="utf-8"), read(TRIALS), read(CHUNKS)[0])
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""``python -m tests.fuzz``: judge many random answers and print a table by kind.

Exit status 1 if an answer is wrong. ``--only 12345`` reruns one problem and says all about it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tests.fuzz.problems import KINDS
from tests.fuzz.run import run, run_many

CHUNK = 50


def main(arguments=None) -> int:
    """Run the fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="number of problems")
    parser.add_argument("--first", type=int, default=0, help="number of the first problem")
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after this long")
    parser.add_argument("--seed", type=int, default=20211220, help="seed of the whole run")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--what", choices=("limit", "l1"), default="limit", help="solver to judge")
    parser.add_argument("--rows", type=Path, help="file of finished rows; goes on where it ended")
    parser.add_argument("--only", type=int, help="rerun one problem, with all figures")
    options = parser.parse_args(arguments)
    if options.only is not None:
        row = run(options.what, options.seed, options.only, verbose=True)
        print(json.dumps(row, indent=1))
        return int(bool(row["faults"]))
    rows = _finished(options)
    done = {row["number"] for row in rows}
    numbers = range(options.first, options.first + options.count)
    waiting = [n for n in numbers if n not in done]
    chunks = [
        (options.what, options.seed, waiting[k : k + CHUNK]) for k in range(0, len(waiting), CHUNK)
    ]
    end = time.monotonic() + options.seconds
    stream = options.rows.open("a") if options.rows else None
    with tqdm(total=len(numbers), initial=len(done), smoothing=0.02) as bar:
        results = _results(chunks, options.processes)
        for found in results:
            rows += found
            bar.update(len(found))
            bar.set_postfix(wrong=sum(bool(r["faults"]) for r in rows))
            if stream:
                stream.writelines(json.dumps(row) + "\n" for row in found)
                stream.flush()
            if time.monotonic() > end:
                results.close()
                break
    print(table(rows))
    return int(any(row["faults"] for row in rows))


def _results(chunks, processes):
    if processes < 2:
        yield from map(run_many, chunks)
        return
    # A worker that dies ends the run with an error; finished rows are kept.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            for done in as_completed([pool.submit(run_many, chunk) for chunk in chunks]):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _finished(options):
    """Return the rows of an earlier run of the same seed and kind."""
    if options.rows is None or not options.rows.exists():
        return []
    rows = []
    for line in options.rows.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # a line cut off by a kill
            continue
        if (row["seed"], row["what"]) == (options.seed, options.what):
            rows.append(row)
    return rows


def table(rows) -> str:
    """Return the table by kind, then every wrong answer and every one without reference."""
    statuses = sorted({row["status"] for row in rows})
    faults = sorted({fault for row in rows for fault in row["faults"]})
    head = ["kind", "problems", *statuses, "no reference", "x judged"]
    head += [f"wrong {fault}" for fault in faults] + ["wrong", "stalled in scope %"]
    lines = [" | ".join(head)]
    for kind in (*KINDS, "all"):
        part = [row for row in rows if kind in ("all", row["kind"])]
        scope = [row for row in part if row["in_scope"]]
        stalled = sum(row["status"] not in ("converged", "infeasible", "optimal") for row in scope)
        cells = [kind, len(part)]
        cells += [sum(row["status"] == status for row in part) for status in statuses]
        cells += [sum(not row["reference"] for row in part), sum(row["judged_x"] for row in part)]
        cells += [sum(fault in row["faults"] for row in part) for fault in faults]
        cells += [sum(bool(row["faults"]) for row in part)]
        cells += [f"{100 * stalled / max(1, len(scope)):.2f} of {len(scope)}"]
        lines.append(" | ".join(str(cell) for cell in cells))
    lines += [
        f"--only {row['number']}: {row['kind']}, depth {row['depth']}, "
        f"{'positive' if row['positive'] else 'signed'}: {'; '.join(row['notes'])}"
        for row in rows
        if row["faults"]
    ]
    missing = [row for row in rows if not row["reference"]]
    lines += [f"no reference for {row['number']}: {row['notes'][-1]}" for row in missing[:50]]
    if len(missing) > 50:
        lines.append(f"no reference for {len(missing) - 50} others")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

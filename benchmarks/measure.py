"""Times, peak memory and the machine: how every benchmark measures.

A measurement runs in a process of its own, so that a limit can end it and its peak of memory is
its own. It names a function of a benchmark, whose arguments and value are plain data (JSON).
"""

import contextlib
import csv
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from threadpoolctl import threadpool_info, threadpool_limits

ROOT = Path(__file__).parents[1]
START_UP = 20.0  # seconds for what comes before the first timed call: imports, data, warm-up
PACKAGES = (
    "deepfact", "numpy", "scipy", "cvxpy", "clarabel", "highspy", "scs", "spgl1", "celer",
    "scikit-learn",
)  # fmt: skip


def in_own_process(module, function, arguments, limit):
    """Call a function of a benchmark in a new process.

    Parameters
    ----------
    module, function : str
        Name of a module of this folder and of a function in it that returns a dict.
    arguments : dict
        Its keyword arguments.
    limit : float
        Seconds after which it is ended, besides 20 s for what precedes the first timed call.

    Returns
    -------
    dict
        What the function returned, with "status" (unless it has its own: "done", "over limit" or
        "failed: ..." with the last line of the error) and "peak_MiB" of the whole process.
    """
    command = [sys.executable, "-m", "benchmarks.measure", module, function, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=limit + START_UP
        )
    except subprocess.TimeoutExpired:
        return {"status": "over limit"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"status": f"failed: {lines[-1]}"}
    return {"status": "done", **json.loads(done.stdout.splitlines()[-1])}


def alternate(calls, repeats, budget=10.0):
    """Time several calls in turn, so that a disturbance of the machine meets all of them.

    Parameters
    ----------
    calls : dict of str to callable
        What to time.
    repeats : int
        Most rounds.
    budget : float, optional
        No further round begins after these seconds (default: 10).

    Returns
    -------
    values : dict
        The last value of each call.
    seconds : dict of str to list of float
        The times of each call.
    """
    values, seconds = {}, {name: [] for name in calls}
    start = time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        with threadpool_limits(1):
            for _ in range(repeats):
                for name, call in calls.items():
                    before = time.perf_counter()
                    values[name] = call()
                    seconds[name].append(time.perf_counter() - before)
                if time.perf_counter() - start > budget:
                    break
    finally:
        gc.enable()
    return values, seconds


def summary(seconds):
    """Return median, least and largest of some times, and their number, as columns."""
    return {
        "seconds": statistics.median(seconds),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
        "repeats": len(seconds),
    }


def fill(columns, row):
    """Return the row with exactly these columns, empty where it has no value."""
    extra = set(row) - set(columns)
    if extra:
        raise ValueError(f"row must have no columns but {columns}, got also {sorted(extra)}")
    return {column: row.get(column, "") for column in columns}


def has(package):
    """Whether a peer is installed."""
    return importlib.util.find_spec(package) is not None


def circumstances():
    """Return machine and versions, the last two columns of every table."""
    versions = [f"python {platform.python_version()}"]
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    blas = {f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info()}
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line for line in lines if line.startswith("model name")).split(": ")[1]
    machine = f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return {"machine": machine, "versions": "; ".join([*versions, *sorted(blas)])}


def write(rows, path, around=None):
    """Write rows of equal keys as CSV, with machine and versions (default: those of this run)."""
    around = circumstances() if around is None else around
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *around], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(cells | around)


def read(path):
    """Read a table; numbers become floats, empty cells NaN in columns without text."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numeric = {column for column in rows[0] if _is_numeric(row[column] for row in rows)}
    return [{k: float(v or "nan") if k in numeric else v for k, v in row.items()} for row in rows]


def _is_numeric(cells):
    try:
        for cell in cells:
            float(cell or "nan")
    except ValueError:
        return False
    return True


def peak_memory():
    """Return the largest resident memory of this process so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _main(module, function, arguments):
    call = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    value = call(**json.loads(arguments))
    print()
    print(json.dumps({**value, "peak_MiB": peak_memory()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])

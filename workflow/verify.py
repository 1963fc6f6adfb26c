"""Rebuild everything from scratch in a folder of its own and compare the numbers: `make verify`.

Every CSV file is compared cell by cell; a column that the committed file lacks is named, which is
no error. Text and whole numbers must be the same; how far other numbers may differ, and why, is in
config/tolerances.yaml. Pictures are not compared: they show these numbers, and their bytes depend
on the last digit.
"""

import argparse
import csv
import math
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from workflow import run

COMMITTED = Path("figures")
REBUILT = Path("build/verify")
TOLERANCES = Path("config/tolerances.yaml")


@dataclass(frozen=True)
class Tolerance:
    """How far numbers may be from the committed ones: ``absolute + relative |committed|``.

    Parameters
    ----------
    because : str
        Why so far.
    file, column : str, optional
        Regular expressions for the names of the files and of the columns meant; default all.
    where : dict of str to str, optional
        Regular expressions for the cells in other columns of the same row; default all rows.
    relative, absolute : float, optional
        The two numbers; default 0.
    whole : bool, optional
        Whether it is for whole numbers, which else must be the same; default False.
    """

    because: str
    file: str = ".*"
    column: str = ".*"
    where: dict = field(default_factory=dict)
    relative: float = 0.0
    absolute: float = 0.0
    whole: bool = False

    def matches(self, file, column, row):
        """Whether it is for this cell."""
        return (
            re.fullmatch(self.file, file)
            and re.fullmatch(self.column, column)
            and all(re.fullmatch(cell, row.get(key, "")) for key, cell in self.where.items())
        )

    def allows(self, committed, rebuilt):
        """Whether the rebuilt number is near enough; NaN and infinity are near themselves only."""
        if not (math.isfinite(committed) and math.isfinite(rebuilt)):
            return repr(committed) == repr(rebuilt)
        return abs(rebuilt - committed) <= self.absolute + self.relative * abs(committed)


def read_tolerances(path=TOLERANCES):
    """Read the tolerances; the first one that matches a cell counts."""
    return [Tolerance(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def read_table(path):
    """Read the column names and the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or []), list(reader)


def is_exact(cell):
    """Whether a cell is text or a whole number."""
    try:
        float(cell)
    except ValueError:
        return True
    return re.fullmatch(r"[+-]?\d+", cell) is not None


def compare(committed, rebuilt, tolerances):
    """Say in which columns of the committed file two CSV files differ by more than is allowed.

    Parameters
    ----------
    committed, rebuilt : pathlib.Path
        The two files.
    tolerances : list of Tolerance
        One of them must match each number that is not whole.

    Returns
    -------
    list of str
        A line for each difference, none if there is none.

    Raises
    ------
    LookupError
        If no tolerance matches a number.
    """
    name = committed.name
    if not rebuilt.exists():
        return [f"{name}: not rebuilt"]
    (columns, rows), (new_columns, new_rows) = read_table(committed), read_table(rebuilt)
    missing = [column for column in columns if column not in new_columns]
    if missing:
        return [f"{name}: no column {', '.join(missing)}"]
    if len(rows) != len(new_rows):
        return [f"{name}: {len(new_rows)} rows instead of {len(rows)}"]
    found = []
    for column in columns:
        worst, count = None, 0
        for line, (row, new_row) in enumerate(zip(rows, new_rows, strict=True), start=2):
            old, new = row[column], new_row[column]
            if old == new:
                continue
            exact = is_exact(old) or is_exact(new)
            tolerance = find([t for t in tolerances if t.whole == exact], name, column, row)
            if tolerance is None and not exact:
                raise LookupError(f"no tolerance for {name}, {column}")
            if tolerance is None:
                size, allowed = math.inf, "must be the same"
            else:
                a, b = float(old), float(new)
                if tolerance.allows(a, b):
                    continue
                size = abs(b - a) if math.isfinite(b - a) else math.inf
                bound = tolerance.absolute + tolerance.relative * abs(a)
                allowed = f"{size:.1e} apart, allowed {bound:.1e}"
            count += 1
            if worst is None or size > worst[0]:
                worst = size, f"line {line}: {new} instead of {old}, {allowed}"
        if worst:
            found.append(f"{name}, {column}: {count} of {len(rows)} differ; {worst[1]}")
    return found


def new_columns(committed, rebuilt):
    """Say which columns of a rebuilt file the committed one lacks: nothing to compare, no error."""
    (known, _), (found, _) = read_table(committed), read_table(rebuilt)
    return [f"{committed.name}: new column {name}" for name in found if name not in known]


def find(tolerances, file, column, row):
    """Return the first tolerance that matches, or None."""
    return next((t for t in tolerances if t.matches(file, column, row)), None)


def verify(committed, rebuilt, tolerances):
    """Print which data files of two folders differ; return whether none does."""
    names = sorted({path.name for folder in (committed, rebuilt) for path in folder.glob("*.csv")})
    found, new, same = [], [], 0
    for name in names:
        if not (committed / name).exists():
            found.append(f"{name}: not committed")
            continue
        differences = compare(committed / name, rebuilt / name, tolerances)
        if (rebuilt / name).exists():
            new += new_columns(committed / name, rebuilt / name)
        found += differences
        same += not differences
    print(*found, *new, sep="\n", end="\n" if found or new else "")
    print(f"{same} of {len(names)} data files agree with those in {committed}/")
    return bool(names) and not found


def main():
    """Rebuild, at paper scale, and compare with the committed figures' folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", required=True)
    arguments = parser.parse_args()
    shutil.rmtree(REBUILT, ignore_errors=True)
    folders = [f"{name}_dir={REBUILT / name}" for name in ("figures", "results", "logs")]
    status = run.main(["--cores", arguments.cores, "--config", *folders])
    agree = verify(COMMITTED, REBUILT / "figures", read_tolerances())
    sys.exit(status or int(not agree))


if __name__ == "__main__":
    main()

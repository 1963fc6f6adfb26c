"""Write the tables of README.md: which notebook checks which statement, and how fast we are.

The rows of the first come from figures/statements.csv, the times from Snakemake's benchmark files:
run it after the workflow, `make figures readme`; without these files the times stay as they are.
The second comes from benchmarks/results/targets.csv, which `make benchmarks` writes, and stands in
docs/speed.md as well.
"""

import csv
import json
import math
import re
from pathlib import Path

from deepfact.checks import read_checks

README = Path("README.md")
SPEED_PAGE = Path("docs/speed.md")
STATEMENTS = Path("figures/statements.csv")
LOGS = Path("logs")
TARGETS = Path("benchmarks/results/targets.csv")

TABLE = re.compile(r"(?<=<!-- begin: statements -->\n).*?(?=<!-- end: statements -->)", re.DOTALL)
SPEED = re.compile(r"(?<=<!-- begin: speed -->\n).*?(?=<!-- end: speed -->)", re.DOTALL)
TIME = re.compile(r"\(notebooks/(\w+)\.ipynb\).*\| ([^|]+) \|$", re.MULTILINE)


def measured_times(notebooks):
    """Read how long each notebook took, rounded up so that it rarely changes."""
    times = {}
    for notebook in notebooks:
        with (LOGS / f"{notebook}.benchmark.tsv").open(encoding="utf-8", newline="") as file:
            seconds = float(next(csv.DictReader(file, delimiter="\t"))["s"])
        five = 5 * math.ceil(seconds / 5)
        times[notebook] = f"{five} s" if five <= 60 else f"{math.ceil(seconds / 60)} min"
    return times


def written_times(text):
    """Read the times back from the text of the README."""
    return dict(TIME.findall(TABLE.search(text).group()))


def title(notebook):
    """Read the title of a notebook: its first heading."""
    cells = json.loads(Path(f"notebooks/{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    headings = (
        re.search(r"^# (.+)$", "".join(cell["source"]), re.MULTILINE)
        for cell in cells
        if cell["cell_type"] == "markdown"
    )
    return next(heading for heading in headings if heading).group(1).strip()


def render(text, checks, times):
    """Put the table into the text of the README, in place of the one that is there."""
    lines = ["| statement | notebook | figure | checks | time |", "|---|---|---|---|---|"]
    for statement, notebook in dict.fromkeys((c.statement, c.notebook) for c in checks):
        holds = [c.holds for c in checks if (c.statement, c.notebook) == (statement, notebook)]
        count = f"{holds.count(True)} of {len(holds)} hold"
        lines.append(
            f"| [{statement}](docs/statements.md) | [{title(notebook)}](notebooks/{notebook}.ipynb)"
            f" | [{notebook}](figures/{notebook}.pdf) | {count} | {times[notebook]} |"
        )
    table = "\n".join(lines) + "\n"
    return TABLE.sub(lambda _: table, text)


def read_targets(path):
    """Read the rows of the table of targets that have a target, by what was measured."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["target"]]
    return {
        what: [r for r in rows if r["what"] == what]
        for what in dict.fromkeys(r["what"] for r in rows)
    }


def render_speed(text, targets):
    """Put the table of targets, a line for all cases of one, into a text."""
    lines = ["| what | worst case | best case | target | met |", "|---|---|---|---|---|"]
    for what, rows in targets.items():
        sign = {"<=": "≤", ">=": "≥"}[rows[0]["relation"]]
        cases = sorted(
            (row for row in rows if row["measured"]),
            key=lambda row: float(row["measured"]),
            reverse=sign == "≤",
        )
        ends = [f"{amount(r)} ({described(r)})" for r in (*cases[:1], *cases[-1:])]
        worst, best = ends or ["not measured", ""]
        met = [row["met"] for row in rows].count("yes")
        target = f"{sign} {float(rows[0]['target']):g}"
        lines.append(f"| {what} | {worst} | {best} | {target} | {met} of {len(rows)} |")
    first = next(iter(targets.values()))[0]
    lines += ["", f"Measured on {first['machine']}, one thread, with {first['versions']}."]
    return SPEED.sub(lambda _: "\n".join(lines) + "\n", text)


def amount(row):
    """Write what was measured; "at least" where the peer was stopped before it had ended."""
    least = "≥ " if row["note"].endswith("at least this ratio") else ""
    return f"{least}{float(row['measured']):.3g}"


def described(row):
    """Say in which case, and against what, a row of the table of targets was measured."""
    return f"{row['case']}; {row['peer']}" if row["peer"] else row["case"]


def main():
    """Write README.md and docs/speed.md anew."""
    text = README.read_text(encoding="utf-8")
    checks = read_checks(STATEMENTS)
    notebooks = {check.notebook for check in checks}
    measured = all((LOGS / f"{notebook}.benchmark.tsv").exists() for notebook in notebooks)
    times = measured_times(notebooks) if measured else written_times(text)
    targets = read_targets(TARGETS)
    README.write_text(render_speed(render(text, checks, times), targets), encoding="utf-8")
    page = SPEED_PAGE.read_text(encoding="utf-8")
    SPEED_PAGE.write_text(render_speed(page, targets), encoding="utf-8")


if __name__ == "__main__":
    main()

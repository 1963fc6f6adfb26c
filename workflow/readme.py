"""Write the tables of README.md: five statements with their checks, and how fast we are.

Which rows the first has is the README's choice; what they say comes from figures/statements.csv and
figures/manifest.json, so run it after the workflow, `make figures readme`. The whole table is a
page of the book. The second comes from benchmarks/results/targets.csv, which `make benchmarks`
writes, and stands in docs/speed.md as well.
"""

import csv
import json
import re
from pathlib import Path

from deepfact.checks import read_checks
from workflow.times import notebook_times

README = Path("README.md")
SPEED_PAGE = Path("docs/speed.md")
STATEMENTS = Path("figures/statements.csv")
MANIFEST = Path("figures/manifest.json")
TARGETS = Path("benchmarks/results/targets.csv")

TABLE = re.compile(r"(?<=<!-- begin: statements -->\n).*?(?=<!-- end: statements -->)", re.DOTALL)
SPEED = re.compile(r"(?<=<!-- begin: speed -->\n).*?(?=<!-- end: speed -->)", re.DOTALL)
ROW = re.compile(r"^\| ([SDT]\d+) \|.*\[(\w+)\]\(figures/\w+\.pdf\) \|$", re.MULTILINE)


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
    """Write the rows of the table in a text anew; which rows there are, the text says itself.

    A row begins with the key of its statement and ends with the name of its notebook's figure.
    """

    def row(match):
        key, notebook = match.groups()
        holds = [c.holds for c in checks if (c.statement, c.notebook) == (key, notebook)]
        if not holds:
            raise ValueError(f"README.md: {notebook} has no check of {key}")
        return (
            f"| {key} | [{title(notebook)}](notebooks/{notebook}.ipynb) |"
            f" {holds.count(True)} of {len(holds)} hold | {times[notebook]} |"
            f" [{notebook}](figures/{notebook}.pdf) |"
        )

    return TABLE.sub(lambda table: ROW.sub(row, table[0]), text)


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
    times = notebook_times(MANIFEST)
    targets = read_targets(TARGETS)
    README.write_text(render_speed(render(text, checks, times), targets), encoding="utf-8")
    page = SPEED_PAGE.read_text(encoding="utf-8")
    SPEED_PAGE.write_text(render_speed(page, targets), encoding="utf-8")


if __name__ == "__main__":
    main()

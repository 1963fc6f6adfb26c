"""Write the table of README.md: which notebook checks which statement, in what time.

The rows come from figures/statements.csv, the times from Snakemake's benchmark files: run it after
the workflow, `make figures readme`.
"""

import csv
import json
import math
import re
from pathlib import Path

from deepfact.statements import read_checks

README = Path("README.md")
STATEMENTS = Path("figures/statements.csv")
LOGS = Path("logs")

TABLE = re.compile(r"(?<=<!-- begin: statements -->\n).*?(?=<!-- end: statements -->)", re.DOTALL)
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


def main():
    """Write README.md anew."""
    checks = read_checks(STATEMENTS)
    times = measured_times({check.notebook for check in checks})
    README.write_text(render(README.read_text(encoding="utf-8"), checks, times), encoding="utf-8")


if __name__ == "__main__":
    main()

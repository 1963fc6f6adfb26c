"""Join the notebooks' rows to the table of statements, and verify that every statement holds."""

import argparse
import sys
from pathlib import Path

from deepfact.checks import checks_to_markdown, read_checks, sort_checks, write_checks


def join(rows, csv, markdown):
    """Join the rows of several files to one sorted table, as CSV and as Markdown."""
    checks = sort_checks(check for path in rows for check in read_checks(path))
    write_checks(checks, csv)
    markdown.write_text(checks_to_markdown(checks), encoding="utf-8")


def verify(table):
    """Print which rows of the table do not hold, and why; return whether there are none."""
    checks = read_checks(table)
    violated = [check for check in checks if not check.holds]
    for check in violated:
        if not check.worst_margin >= 0:
            print(
                f"{check.statement} does not hold in {check.notebook}: {check.claim}"
                f" (worst margin {check.worst_margin:.3g} over {check.instances} instances)"
            )
        else:
            print(
                f"{check.statement}, {check.notebook}: the data do not refute the rival"
                f" {check.rival} (its margin is {check.rival_margin:.3g})"
            )
    if not violated:
        print(f"all {len(checks)} checks hold")
    return not violated


def main():
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("join", help=join.__doc__)
    command.add_argument("rows", nargs="+", type=Path)
    command.add_argument("--csv", required=True, type=Path)
    command.add_argument("--markdown", required=True, type=Path)
    command = commands.add_parser("verify", help=verify.__doc__)
    command.add_argument("table", type=Path)
    command.add_argument("--tell", action="store_true", help="do not fail, only say what fails")
    arguments = parser.parse_args()
    if arguments.command == "join":
        join(arguments.rows, arguments.csv, arguments.markdown)
    elif not verify(arguments.table) and not arguments.tell:
        sys.exit(1)


if __name__ == "__main__":
    main()

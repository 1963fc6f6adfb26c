"""Measure recovery rates for one kind of signal in chunks, as CSV: two rules of the Snakefile."""

import argparse
import logging
from pathlib import Path

import yaml

from deepfact.experiments.measurements import join_tables, load_table, recovery_table, save_table

CHECKPOINT = ".jsonl"


def measure(nonnegative, chunk, parameters, output):
    """Run one chunk of the experiments in this process: finished cells survive a killed run."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    checkpoint = output.with_suffix(CHECKPOINT)
    table = recovery_table(nonnegative, chunk=chunk, workers=1, checkpoint=checkpoint, **parameters)
    save_table(table, output)


def gather(folder, chunks, output):
    """Join the tables of all chunks, and drop the checkpoints: a rerun shall measure again."""
    tables = [folder / f"{chunk}.csv" for chunk in range(chunks)]
    save_table(join_tables([load_table(table) for table in tables]), output)
    for table in tables:
        table.with_suffix(CHECKPOINT).unlink(missing_ok=True)


def main():
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("measure", help=measure.__doc__)
    command.add_argument("--nonnegative", action="store_true")
    command.add_argument("--chunk", type=int, required=True)
    command.add_argument("--parameters", type=yaml.safe_load, required=True)
    command.add_argument("--output", type=Path, required=True)
    command = commands.add_parser("gather", help=gather.__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("--chunks", type=int, required=True)
    command.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "gather":
        gather(arguments.folder, arguments.chunks, arguments.output)
    else:
        measure(arguments.nonnegative, arguments.chunk, arguments.parameters, arguments.output)


if __name__ == "__main__":
    main()

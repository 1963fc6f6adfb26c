"""Measure a table that takes long in chunks, as CSV: two rules of the Snakefile.

The function that measures belongs to deepfact.experiments. It takes `chunk` and `chunks`, which
share of the table to measure, `workers`, and `checkpoint`, a file that collects what is finished.
Its module has `join_tables`, `save_table` and `load_table`.
"""

import argparse
import importlib
import logging
from pathlib import Path

import yaml

CHECKPOINT = ".jsonl"


def find(function):
    """Return the module and the function that the configuration names as module.function."""
    module, name = function.split(".")
    experiment = importlib.import_module(f"deepfact.experiments.{module}")
    return experiment, getattr(experiment, name)


def measure(function, chunk, arguments, output):
    """Measure one chunk in this process: what is finished survives a killed run."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    experiment, table = find(function)
    checkpoint = output.with_suffix(CHECKPOINT)
    measured = table(chunk=chunk, workers=1, checkpoint=checkpoint, **arguments)
    experiment.save_table(measured, output)


def gather(function, folder, chunks, output):
    """Join the tables of all chunks, and drop the checkpoints: a rerun shall measure again."""
    experiment, _ = find(function)
    tables = [folder / f"{chunk}.csv" for chunk in range(chunks)]
    joined = experiment.join_tables([experiment.load_table(table) for table in tables])
    experiment.save_table(joined, output)
    for table in tables:
        table.with_suffix(CHECKPOINT).unlink(missing_ok=True)


def main():
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("measure", help=measure.__doc__)
    command.add_argument("function")
    command.add_argument("--chunk", type=int, required=True)
    command.add_argument("--arguments", type=yaml.safe_load, required=True)
    command.add_argument("--output", type=Path, required=True)
    command = commands.add_parser("gather", help=gather.__doc__)
    command.add_argument("function")
    command.add_argument("folder", type=Path)
    command.add_argument("--chunks", type=int, required=True)
    command.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "gather":
        gather(given.function, given.folder, given.chunks, given.output)
    else:
        measure(given.function, given.chunk, given.arguments, given.output)


if __name__ == "__main__":
    main()

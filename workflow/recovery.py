"""Measure recovery rates for one kind of signal and write them as CSV: a rule of the Snakefile."""

import argparse

import yaml

from deepfact.experiments.measurements import recovery_table, save_table


def main():
    """Run the experiments that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nonnegative", action="store_true")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--parameters", type=yaml.safe_load, required=True)
    arguments = parser.parse_args()
    table = recovery_table(
        nonnegative=arguments.nonnegative,
        workers=arguments.workers,
        checkpoint=arguments.checkpoint,
        **arguments.parameters,
    )
    save_table(table, arguments.output)


if __name__ == "__main__":
    main()

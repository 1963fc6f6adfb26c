"""Write the table of one benchmark: `python -m benchmarks.run NAME --output O --parameters Y`."""

import argparse
import importlib
from pathlib import Path

import yaml

from benchmarks.measure import write


def main():
    """Run the benchmark that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--parameters", type=yaml.safe_load, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    benchmark = importlib.import_module(f"benchmarks.{arguments.name}")
    write(benchmark.rows(**arguments.parameters), arguments.output)


if __name__ == "__main__":
    main()

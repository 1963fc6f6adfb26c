"""Write figures/manifest.json: where each figure and data file comes from. A rule of the Snakefile.

The manifest names the revision of the sources that built the files, hence not the commit that adds
the built files. Without git the revision is null, with the reason.
"""

import argparse
import csv
import hashlib
import importlib.metadata
import json
import math
import platform
import subprocess
from pathlib import Path

import yaml
from scipy import linalg  # noqa: F401 (loads the BLAS libraries, so that they are listed)
from threadpoolctl import threadpool_info

SOURCES = ("Snakefile", "config", "deepfact", "notebooks", "requirements.lock", "workflow")


def digest(path):
    """Return the sha256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def plain(value):
    """Write what JSON has no number for as YAML writes it: .inf, -.inf, .nan."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return yaml.safe_dump(value).split()[0]
    return value


def measured(benchmarks, chunks=1):
    """Sum the seconds of Snakemake's benchmark files; take the largest of their peaks of memory.

    ``{chunk}`` in a file's name stands for the numbers from 0 to ``chunks`` - 1. Both are null
    where one of the jobs was too short to be measured.
    """
    rows = []
    for path in benchmarks:
        for name in dict.fromkeys(str(path).format(chunk=chunk) for chunk in range(chunks)):
            with Path(name).open(encoding="utf-8", newline="") as file:
                rows += csv.DictReader(file, delimiter="\t")

    def combined(column, rule):
        try:
            return round(rule(float(row[column]) for row in rows), 2)
        except ValueError:  # "NA"
            return None

    return {
        "jobs": len(rows),
        "seconds": combined("s", sum),
        "cpu_seconds": combined("cpu_time", sum),
        "peak_memory_mib": combined("max_rss", max),
    }


def git(*arguments):
    """Return what git prints."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def source():
    """Describe the revision of the sources, and which of them are changed against it."""
    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if top.resolve() != Path.cwd().resolve():
            return {"revision": None, "reason": "this folder is not the top of a git repository"}
        status = git("status", "--porcelain", "--", *SOURCES).splitlines()
        return {
            "revision": git("rev-parse", "HEAD"),
            "description": git("describe", "--tags", "--always"),
            "changed": [line[3:] for line in status],
        }
    except FileNotFoundError:
        return {"revision": None, "reason": "git is not installed"}
    except subprocess.CalledProcessError as error:
        return {"revision": None, "reason": error.stderr.strip().splitlines()[0]}


def environment():
    """Describe the interpreter, the machine and the version of every installed package."""
    versions = {
        distribution.name.lower(): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    blas = {
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
        for pool in threadpool_info()
    }
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "blas": sorted(blas),
        "packages": dict(sorted(versions.items())),
    }


def build(makers):
    """Build the manifest: what made which files, with which parameters, in which environment."""
    made = [
        {
            "by": maker["by"],
            "config": plain(maker["config"]),
            "seeds": {key: v for key, v in maker["config"].items() if "seed" in key},
            **measured(maker["benchmarks"], maker.get("chunks", 1)),
            "sha256": {Path(path).name: digest(path) for path in sorted(maker["files"])},
        }
        for maker in makers
    ]
    return {"source": source(), "environment": environment(), "made": made}


def differences(manifest, folder):
    """Say which files of a folder are not those of its manifest."""
    recorded = {name: sha for made in manifest["made"] for name, sha in made["sha256"].items()}
    present = {path.name for path in Path(folder).iterdir()} - {"manifest.json"}
    found = [f"{name}: not in the manifest" for name in sorted(present - recorded.keys())]
    found += [f"{name}: missing" for name in sorted(recorded.keys() - present)]
    found += [
        f"{name}: changed since it was built"
        for name in sorted(present & recorded.keys())
        if digest(Path(folder) / name) != recorded[name]
    ]
    return found


def main():
    """Write the manifest of the makers that the arguments list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--makers", type=yaml.safe_load, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    text = json.dumps(build(arguments.makers), indent=1, ensure_ascii=False, allow_nan=False)
    arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Run Snakemake in this folder, taking up a run that was killed.

`python -m workflow.run ARGUMENTS` is `snakemake ARGUMENTS`, except that the lock which a killed run
leaves behind is taken away first. That is safe only while no other run is under way: every run
started this way holds an exclusive lock of the operating system, which ends with its process
however that ends.
"""

import fcntl
import subprocess
import sys
from pathlib import Path


def main(arguments):
    """Run Snakemake with these arguments; return its exit status."""
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    with (folder / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run is under way in this folder.", file=sys.stderr)
            return 1
        if any((folder / "locks").glob("*")):
            print("Taking up a run that was killed.", file=sys.stderr)
            subprocess.run([*SNAKEMAKE, *arguments, "--unlock"], check=True)
        # The child inherits the lock: it holds as long as either of the two lives.
        return subprocess.run([*SNAKEMAKE, *arguments], pass_fds=[lock.fileno()]).returncode


SNAKEMAKE = [sys.executable, "-m", "snakemake"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The workflow on a real Slurm of two nodes, beside the same on this machine alone: equal files.

The chunks and a few notebooks; `make cluster-test` runs all of the workflow at smoke scale.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import two_node_slurm
from test_configuration import NOTEBOOKS
from test_workflow import SMOKE, digests, make_copy

MISSING = [
    program
    for program in ("munged", "slurmctld", "slurmd", "sbatch")
    if shutil.which(program, path=two_node_slurm.SEARCH) is None
]
PLUGIN = importlib.util.find_spec("snakemake_executor_plugin_slurm")
pytestmark = [
    pytest.mark.skipif(PLUGIN is None, reason="needs the extra cluster"),
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)} (slurm-wlm, munge)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Slurm's daemons"),
    pytest.mark.skipif(os.path.lexists(two_node_slurm.LINK), reason="there is a Slurm already"),
]

# Without data there is no chunk, and one notebook without any beside those with.
SOME = [*dict.fromkeys(each["notebook"] for each in SMOKE["data"].values()), NOTEBOOKS[0]]
FIGURES = [] if os.environ.get("WHOLE_WORKFLOW") else SOME
TARGETS = [f"build/smoke/figures/{figure}.pdf" for figure in FIGURES]
# A small cluster without accounting, on which nothing takes long.
CLUSTER = [
    *("--profile", "profiles/slurm", "--slurm-no-account"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3"),
]


def python(folder, *arguments):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )


def build(folder, *options):
    """Run the workflow at smoke scale in a copy; return the digest of every figure and table."""
    make_copy(folder)
    smoke = ("--configfile", "config/smoke.yaml")
    done = python(folder, "-m", "snakemake", *TARGETS, *smoke, *options)
    assert done.returncode == 0, done.stdout
    tables = [folder / f"build/smoke/results/{data}" for data in SMOKE["data"]]
    made = digests(folder / "build/smoke/figures", *tables)
    return {Path(path).relative_to(folder): digest for path, digest in made.items()}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = make_copy(tmp_path_factory.mktemp("cluster"))
    done = python(folder, two_node_slurm.__file__, "up")
    assert done.returncode == 0, done.stdout
    yield folder
    done = python(folder, two_node_slurm.__file__, "down")
    assert done.returncode == 0, done.stdout
    assert not two_node_slurm.FOLDER.exists()
    assert not os.path.lexists(two_node_slurm.LINK)


def test_a_cluster_that_is_there_is_not_touched(cluster):
    configuration = two_node_slurm.LINK.read_bytes()
    done = python(cluster, two_node_slurm.__file__, "up")
    assert done.returncode == 1
    assert f"{two_node_slurm.LINK} is there already" in done.stdout
    assert two_node_slurm.LINK.read_bytes() == configuration


@pytest.mark.usefixtures("cluster")
def test_slurm_builds_the_same_files(tmp_path):
    here = build(tmp_path / "here", "--cores", "2")
    there = build(tmp_path / "there", *CLUSTER)
    assert {path.name for path in here} >= {f"{name}.csv" for name in [*SMOKE["data"], *SOME, 0]}
    assert there == here
    jobs = two_node_slurm.ask("squeue", "--noheader", "--states=all", "--format=%T %N").split("\n")
    assert set(filter(None, jobs)) == {"COMPLETED n1", "COMPLETED n2"}

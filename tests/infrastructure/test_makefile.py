"""The commands of the Makefile, in a folder with a space in its name: which programs they call."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# It stands for every program of an environment, and says which one was called, and how.
STAND_IN = '#!/bin/sh\necho "$0 $*"\necho "home: $XDG_CACHE_HOME $JUPYTER_RUNTIME_DIR"\n'


@pytest.fixture
def clone(tmp_path):
    """Make what `make` looks at, with environments of stand-ins."""
    folder = tmp_path / "a b/deepfact"
    for name in (
        *("Makefile", "requirements.lock", "pyproject.toml", "benchmarks/requirements.lock"),
        "profiles/jupyterlab/overrides.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for environment in (".venv", ".venv-peers"):
        (folder / environment / "bin").mkdir(parents=True)
        for program in ("mypy", "python", "ruff", "snakefmt", "snakemake"):
            (folder / environment / "bin" / program).write_text(STAND_IN, encoding="utf-8")
            (folder / environment / "bin" / program).chmod(0o755)
        (folder / environment / ".ready").touch()
    return folder


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("figures", ".venv/bin/python -m workflow.run --cores all"),
        ("verify", ".venv/bin/python -m workflow.verify --cores all"),
        ("test", ".venv/bin/python -m pytest -n logical"),
        ("lab", ".venv/bin/python -m jupyterlab notebooks/00_tour.ipynb"),
        (
            "benchmarks",
            "{}/.venv-peers/bin/python -m workflow.run --snakefile benchmarks/Snakefile",
        ),
    ],
)
def test_programs_are_those_of_the_environment(clone, target, call):
    done = subprocess.run(["make", target], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any(line.startswith(call.format(clone)) for line in done.stdout.splitlines()), (
        done.stdout
    )
    caches = f"home: {clone}/.venv/cache {clone}/.venv/jupyter/runtime"
    assert caches in done.stdout.splitlines()


SETTINGS = "share/jupyter/lab/settings/overrides.json"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_jupyterlab_of_the_environment_asks_nothing_about_news(clone):
    subprocess.run(["make", "lab"], cwd=clone, capture_output=True, check=True)
    news = json.loads((clone / ".venv" / SETTINGS).read_text(encoding="utf-8"))
    assert news["@jupyterlab/apputils-extension:notification"] == {
        "checkForUpdates": False,
        "fetchNews": "false",
    }


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_binder_gets_the_same_settings(clone, tmp_path):
    shutil.copy(ROOT / "postBuild", clone)  # with the right to be executed, as Binder wants it
    environment = {**os.environ, "NB_PYTHON_PREFIX": str(tmp_path / "prefix")}
    subprocess.run(["./postBuild"], cwd=clone, env=environment, check=True)
    settings = (tmp_path / "prefix" / SETTINGS).read_text(encoding="utf-8")
    assert settings == (ROOT / "profiles/jupyterlab/overrides.json").read_text(encoding="utf-8")

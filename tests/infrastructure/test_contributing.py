"""What carries on the work: hooks before a commit, and the workflows of GitHub."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))


# Hooks before a commit


def test_hooks_need_no_network():
    (repository,) = HOOKS["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] in ("system", "pygrep")
        assert not hook.get("additional_dependencies")


@pytest.fixture
def repository(tmp_path):
    """Make a repository with the hooks, a good notebook, and something for each hook to find."""
    for name in (".pre-commit-config.yaml", "pyproject.toml", "notebooks/00_tour.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "large.csv").write_bytes(b"0" * 1_100_000)
    notebook = (ROOT / "notebooks/00_tour.ipynb").read_text(encoding="utf-8")
    other = notebook.replace('"name": "python3"', '"name": "mine"')
    (tmp_path / "notebooks/other.ipynb").write_text(other, encoding="utf-8")
    (tmp_path / "ugly.py").write_text("import os\nx=1\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("hook", "complaint"),
    [
        ("ruff", "`os` imported but unused"),
        ("ruff-format", "1 file reformatted"),
        ("large-files", "large.csv"),
        ("kernelspec", "notebooks/other.ipynb"),
    ],
)
@pytest.mark.skipif(shutil.which("pre-commit") is None, reason="needs the extra dev")
def test_hooks_find_what_they_are_for(repository, monkeypatch, hook, complaint):
    monkeypatch.setenv("PRE_COMMIT_HOME", str(repository / ".git/pre-commit"))
    done = subprocess.run(
        ["pre-commit", "run", hook, "--all-files"], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert complaint in done.stdout
    assert "notebooks/00_tour.ipynb\n" not in done.stdout


# The workflows of GitHub


def jobs():
    for path in WORKFLOWS:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, job in loaded["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


@pytest.mark.parametrize("job", list(jobs()))
def test_commands_of_a_job_exist(job):
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert set(re.findall(r"\bmake ([\w-]+)", commands)) <= set(TARGETS)
    assert all((ROOT / path).exists() for path in re.findall(r"--configfile (\S+)", commands))


def test_every_supported_edge_is_tested():
    (matrix,) = (
        job.values[0]["strategy"]["matrix"] for job in jobs() if "strategy" in job.values[0]
    )
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    supported = re.findall(r"Python :: (\d\.\d+)", project)
    assert matrix["python"] == [supported[0], supported[-1]]

"""The manifest: what it records, and that the committed one is that of the committed files."""

import json
import math
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from test_configuration import SETTINGS
from test_environment import lock_entries, project_requirements

from workflow import manifest

ROOT = Path(__file__).parents[2]
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write_benchmark(path, seconds, memory, cpu):
    path.write_text(
        f"{HEADER}{seconds}\t0:00:00\t{memory}\t0\t0\t0\t0\t0\t0\t{cpu}\n", encoding="utf-8"
    )
    return path


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_times_add_up_and_memory_does_not(tmp_path):
    files = [
        write_benchmark(tmp_path / "0.tsv", 1.25, 100.5, 1.0),
        write_benchmark(tmp_path / "1.tsv", 2.5, 90.0, 2.0),
    ]
    assert manifest.measured(files) == {
        "jobs": 2,
        "seconds": 3.75,
        "cpu_seconds": 3.0,
        "peak_memory_mib": 100.5,
    }


def test_a_pattern_stands_for_all_chunks(tmp_path):
    for chunk in range(3):
        write_benchmark(tmp_path / f"{chunk}.tsv", 1.0, 3.0 + chunk, 2.0)
    found = manifest.measured([f"{tmp_path}/{{chunk}}.tsv"], 2)
    assert (found["jobs"], found["seconds"], found["peak_memory_mib"]) == (2, 2.0, 4.0)


def test_what_was_not_measured_is_null(tmp_path):
    files = [
        write_benchmark(tmp_path / "0.tsv", 1.25, 100.5, 1.0),
        write_benchmark(tmp_path / "1.tsv", 0.01, "NA", "NA"),
    ]
    measured = manifest.measured(files)
    assert measured["seconds"] == 1.26
    assert measured["cpu_seconds"] is measured["peak_memory_mib"] is None


def test_infinite_parameters_are_written_as_yaml_writes_them():
    config = {"depths": [2, math.inf, -math.inf], "deep": {"x": math.nan, "flag": True}}
    plain = manifest.plain(config)
    assert plain == {"depths": [2, ".inf", "-.inf"], "deep": {"x": ".nan", "flag": True}}
    assert yaml.safe_load(plain["depths"][1]) == math.inf
    json.dumps(plain, allow_nan=False)


def test_revision_and_changed_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet")
    for name in ("deepfact", "figures"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("1", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = manifest.source()
    assert re.fullmatch(r"[0-9a-f]{40}", clean["revision"])
    assert clean["changed"] == []
    # A rebuilt figure changes no source, an edited or a new module does.
    for path in ("figures/a", "deepfact/a", "deepfact/b"):
        (tmp_path / path).write_text("2", encoding="utf-8")
    assert manifest.source() == {**clean, "changed": ["deepfact/a", "deepfact/b"]}


def test_revision_without_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert manifest.source()["revision"] is None
    assert "not a git repository" in manifest.source()["reason"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert manifest.source() == {"revision": None, "reason": "git is not installed"}


def test_a_foreign_repository_is_not_named(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "unpacked").mkdir()
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "another project")
    monkeypatch.chdir(tmp_path / "unpacked")
    reason = "this folder is not the top of a git repository"
    assert manifest.source() == {"revision": None, "reason": reason}


def make_figures(folder):
    (folder / "figures").mkdir()
    for name in ("a.csv", "a.png"):
        (folder / "figures" / name).write_text(name, encoding="utf-8")
    maker = {
        "by": "notebooks/a.ipynb",
        "config": {"seed": 3, "depths": [2, math.inf]},
        "files": [str(path) for path in (folder / "figures").iterdir()],
        "benchmarks": [write_benchmark(folder / "a.tsv", 1.0, 2.0, 3.0)],
    }
    return folder / "figures", manifest.build([maker])


def test_manifest_of_a_toy(tmp_path):
    folder, built = make_figures(tmp_path)
    (made,) = built["made"]
    assert made["by"] == "notebooks/a.ipynb"
    assert made["config"] == {"seed": 3, "depths": [2, ".inf"]}
    assert made["seeds"] == {"seed": 3}
    assert made["sha256"] == {name: manifest.digest(folder / name) for name in ("a.csv", "a.png")}
    assert built["environment"]["packages"]["numpy"]
    assert any("openblas" in name for name in built["environment"]["blas"])
    json.dumps(built, allow_nan=False)


def test_differences_from_the_manifest_are_named(tmp_path):
    folder, built = make_figures(tmp_path)
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    assert manifest.differences(built, folder) == []
    (folder / "a.csv").write_text("edited by hand", encoding="utf-8")
    (folder / "a.png").unlink()
    (folder / "b.png").touch()
    assert manifest.differences(built, folder) == [
        "b.png: not in the manifest",
        "a.png: missing",
        "a.csv: changed since it was built",
    ]


# The committed one: `make figures` writes it


@pytest.fixture(scope="module")
def committed():
    return json.loads((ROOT / "figures/manifest.json").read_text(encoding="utf-8"))


def test_committed_files_are_those_that_were_built(committed):
    assert manifest.differences(committed, ROOT / "figures") == []


def test_committed_files_were_built_with_the_committed_parameters(committed):
    paper = SETTINGS["paper"]
    notebooks, tables = paper["notebooks"].items(), paper["data"].values()
    wanted = [(f"notebooks/{name}.ipynb", values) for name, values in notebooks]
    wanted += [(f"deepfact.experiments.{each['function']}", each["arguments"]) for each in tables]
    wanted.append(("workflow/statements.py", {}))
    built = [(made["by"], made["config"]) for made in committed["made"]]
    assert built == [(by, manifest.plain(config)) for by, config in wanted]


def test_committed_files_were_built_with_the_locked_packages(committed):
    packages, python = (committed["environment"][key] for key in ("packages", "python"))
    around = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    locked = {
        entry.name: entry.specifier
        for entry, _ in lock_entries()
        if entry.marker is None or entry.marker.evaluate(around)
    }
    for name in project_requirements():
        assert locked[name].contains(packages[name]), name


def test_committed_files_come_from_committed_sources(committed):
    assert committed["source"]["changed"] == []
    revision = committed["source"]["revision"]
    assert re.fullmatch(r"[0-9a-f]{40}", revision)
    known = subprocess.run(
        ["git", "merge-base", "--is-ancestor", revision, "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if known.returncode == 128:
        pytest.skip(f"no history to look the revision up in: {known.stderr.strip()}")
    assert known.returncode == 0


def test_time_and_memory_are_recorded(committed):
    for made in committed["made"]:
        assert made["jobs"] >= 1
        assert made["seconds"] > 0
        if made["by"] != "workflow/statements.py":  # too short to be measured
            assert made["cpu_seconds"] > 0
            assert made["peak_memory_mib"] > 0

"""What the pages for readers name exists: files, commands, keys of the cluster's profile."""

import re
from pathlib import Path

import pytest
import yaml

import deepfact as df
from workflow import thresholds

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
FOLDERS = "benchmarks|config|deepfact|docs|figures|notebooks|profiles|tests|workflow"
EXAMPLES = re.compile(r"tangent|your_|dual_descent")  # what a recipe makes


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def page(request):
    return request.param


def test_files_exist(page):
    text = page.read_text(encoding="utf-8")
    links = [page.parent / name for name in re.findall(r"\]\((?!https?://)([^)#\s]+)", text)]
    named = [ROOT / name for name in re.findall(rf"`((?:{FOLDERS})/[\w./]*)`", text)]
    of_the_book = {ROOT / "docs/notebooks" / path.name for path in (ROOT / "notebooks").iterdir()}
    missing = {path for path in (*links, *named) if not path.exists()} - of_the_book
    assert not {path for path in missing if not EXAMPLES.search(path.name)}


def test_commands_are_targets_of_the_makefile(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", text, re.MULTILINE)) <= set(TARGETS)


def test_names_of_the_package_exist(page):
    for name in re.findall(r"`df\.([\w.]+)", page.read_text(encoding="utf-8")):
        value = df
        for part in name.split("."):
            value = getattr(value, part)


def test_thresholds_are_those_of_the_code():
    """Written by `make readme`."""
    text = (ROOT / thresholds.PAGE).read_text(encoding="utf-8")
    assert thresholds.render(text, ROOT / thresholds.CODE) == text
    assert text.count("\n| `certificate.py` `_") >= 8


def test_a_threshold_without_a_word_is_named(tmp_path):
    table = "x\n|---|---|---|\n| old |\n"
    (tmp_path / "a.py").write_text("_A, B = 1e-3, 2**24  # |x| at most\nC = [1]\nd = 2\n")
    assert thresholds.render(table, tmp_path) == (
        "x\n|---|---|---|\n| `a.py` `_A, B` | `1e-3, 2**24` | \\|x\\| at most |\n"
    )
    (tmp_path / "a.py").write_text("A = 1e-3\n")
    with pytest.raises(ValueError, match="say what A decides"):
        thresholds.render(table, tmp_path)


def test_keys_of_the_profile_exist():
    profile = (ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8")
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    for key in ("slurm_partition", "slurm_account", "set-resources", "restart-times", "jobs"):
        assert f"`{key}`" in text
        assert f"{key}:" in profile
    assert yaml.safe_load(profile)["executor"] == "slurm"

"""The page about clusters: its plan follows from the measured times, its names are those in use."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.measure import read
from workflow import plan

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / plan.PAGE).read_text(encoding="utf-8")


def test_generated_plan_agrees_with_the_measured_times():
    trials, (chunks,) = read(ROOT / plan.TRIALS), read(ROOT / plan.CHUNKS)
    assert plan.render(TEXT, trials, chunks) == TEXT


def test_plan_of_a_known_law():
    """Trials take (N/100)² seconds, programs (N/100)³; 45 of 100 cells are run, ten trials each."""
    rows = [{"N": N, "trial": (N / 100) ** 2, "program": (N / 100) ** 3} for N in (100, 200, 400)]
    assert plan.exponent(rows, "trial") == pytest.approx(2)
    for N in (50, 100, 150, 300, 800):
        assert plan.time_at(rows, "trial", N) == pytest.approx((N / 100) ** 2)
    shown = plan.diagram(rows, 0.25, 0.5, 800, 10, 10)
    assert shown["seconds a trial"] == f"{0.5 * (64 + 512 / 4):.2g}"
    assert shown["core hours"] == f"{45 * 10 * 96 / 3600:.0f}"
    assert shown["minutes a cell"] == "16.0"
    assert shown["chunks"] == "10,000"
    long = plan.diagram(rows, 0, 1, 800, 1000, 100)
    hours = 999 * 500 * 100 * 64 / 3600
    assert long["core hours"] == f"{hours:,.0f}"
    assert float(long["minutes a chunk"]) <= 60 * plan.HOURS
    chunks = int(long["chunks"].replace(",", ""))
    assert chunks % plan.CORES == 0
    assert float(long["minutes a chunk"]) == pytest.approx(60 * hours / chunks, abs=0.5)


def test_time_of_chunks_that_follow_the_law():
    """Two cells that are run, one of them with programs, and one that is not."""
    rows = [{"N": N, "trial": (N / 100) ** 2, "program": (N / 100) ** 3} for N in (100, 200, 400)]
    names = ("measurements", "unknowns", "nonzeros", "trials", "lp_solves")
    table = {name: [] for name in names}
    for cell in ((100, 200, 10, 3, 0), (200, 400, 10, 2, 1), (10, 200, 11, 3, 0)):
        for name, value in zip(names, cell, strict=True):
            table[name].append(value)
    assert plan.foreseen(rows, table) == pytest.approx(0.5 * 3 * 4 + 0.5 * (2 * 16 + 64))
    made = {"by": "workflow/recovery.py", "jobs": 2, "seconds": 3.0, "peak_memory_mib": 5}
    other = {"by": "a notebook", "jobs": 1, "seconds": 1.0, "peak_memory_mib": 9}
    assert plan.chunks_of({"made": [made, other, made | {"seconds": 4.0}]}) == {
        "chunks": 4,
        "seconds": 7.0,
        "MiB": 5,
    }


def test_page_names_what_there_is():
    profile = (ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8")
    for key in ("slurm_partition", "slurm_account", "set-resources", "restart-times", "jobs"):
        assert f"`{key}`" in TEXT
        assert f"{key}:" in profile
    settings = yaml.safe_load(profile)
    assert settings["executor"] == "slurm"
    assert settings["restart-times"] == 1
    for link in re.findall(r"\]\((?!https?://)([^)#]+)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
    for path in re.findall(r"`((?:config|profiles)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
    assert re.search(r"^cluster-test:", (ROOT / "Makefile").read_text(), re.MULTILINE)

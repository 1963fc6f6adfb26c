import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepfact.checks import read_checks
from workflow import readme
from workflow.times import notebook_times

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
VERSION = re.search(r'^version = "(.+)"', PROJECT, re.MULTILINE)[1]


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_python_blocks_run(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        command = [sys.executable, "-W", "error", "-c", block]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_generated_table_agrees_with_the_table_of_statements():
    checks = read_checks(readme.STATEMENTS)
    assert len(readme.ROW.findall(TEXT)) == 5
    assert readme.render(TEXT, checks, notebook_times(readme.MANIFEST)) == TEXT


def test_generated_speed_agrees_with_the_table_of_targets():
    for text in (TEXT, readme.SPEED_PAGE.read_text(encoding="utf-8")):
        assert readme.render_speed(text, readme.read_targets(readme.TARGETS)) == text


def test_speed_shows_worst_and_best_case():
    row = {"what": "w", "case": "N = 1", "peer": "", "relation": "<=", "target": "2.0"}
    around = {"machine": "m", "versions": "v", "note": ""}
    rows = [
        row | around | {"measured": "1.0", "met": "yes"},
        row | around | {"measured": "3.0", "met": "no", "case": "N = 2", "peer": "p"},
        row | around | {"measured": "", "met": "not measured"},
    ]
    text = "<!-- begin: speed -->\n<!-- end: speed -->"
    shown = readme.render_speed(text, {"w": rows, "u": rows[2:]})
    assert "| w | 3 (N = 2; p) | 1 (N = 1) | ≤ 2 | 1 of 3 |" in shown
    assert "| u | not measured |  | ≤ 2 | 0 of 1 |" in shown


def test_a_peer_that_was_stopped_is_a_lower_bound():
    row = {"measured": "1100", "note": "descent ended before that: at least this ratio"}
    assert readme.amount(row) == "≥ 1.1e+03"
    assert readme.amount(row | {"note": ""}) == "1.1e+03"


def test_binder_links_open_notebooks_that_exist():
    """The paths are those under which tests/infrastructure/test_browser.py opens them."""
    opened = re.findall(r"\?urlpath=(lab/tree|voila/render)/([^)]+)\)", TEXT)
    assert TEXT.count("mybinder.org/v2/") == TEXT.count("/main?urlpath=") == len(opened)
    assert opened == [
        ("lab/tree", "notebooks/00_tour.ipynb"),
        ("voila/render", "notebooks/interactive/explorer.ipynb"),
    ]
    assert all(Path(path).exists() for _, path in opened)


def test_two_minutes_to_read():
    prose = re.sub(
        r"<!-- begin: (\w+) -->.*?<!-- end: \1 -->|```.*?```|\]\(.*?\)", "", TEXT, flags=re.DOTALL
    )
    assert len(prose.split()) <= 500  # at 250 words a minute


def test_times_come_from_the_manifest(tmp_path):
    seconds = {"notebooks/a.ipynb": 3.2, "notebooks/b.ipynb": 60.0, "notebooks/c.ipynb": 61.0}
    made = [{"by": by, "seconds": s} for by, s in {**seconds, "workflow/d.py": 1.0}.items()]
    (tmp_path / "manifest.json").write_text(json.dumps({"made": made}), encoding="utf-8")
    assert notebook_times(tmp_path / "manifest.json") == {"a": "5 s", "b": "60 s", "c": "2 min"}


def test_row_without_a_check_is_an_error():
    with pytest.raises(ValueError, match=r"README\.md: \w+ has no check of S1"):
        readme.render(TEXT, [], {})

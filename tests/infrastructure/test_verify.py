"""`make verify`: which numbers of a rebuilt data file differ from the committed ones."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_workflow import make_toy, run

from workflow import verify

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "figures").glob("*.csv"))
TOLERANCES = [
    verify.Tolerance("rounding", file=r"a\.csv", where={"panel": "error"}, absolute=1e-12),
    verify.Tolerance("the rest", relative=1e-6),
]
TABLE = "panel,count,value\nerror,1,1e-15\ngap,2,0.5\ngap,3,inf\ngap,4,nan\n"


def compare(tmp_path, rebuilt):
    for name, text in {"old": TABLE, "new": rebuilt}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text(text, encoding="utf-8")
    return verify.compare(tmp_path / "old/a.csv", tmp_path / "new/a.csv", TOLERANCES)


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.5", "0.5"), ("0.5", "0.5000004"), ("1e-15", "7e-13"), ("1e-15", "-7e-13")],
)
def test_agrees(tmp_path, old, new):
    assert compare(tmp_path, TABLE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "0.5",
            "0.500001",
            "value: 1 of 4 differ; line 3: 0.500001 instead of 0.5, 1.0e-06 apart, allowed 5.0e-07",
        ),
        (
            "1e-15",
            "2e-12",
            "value: 1 of 4 differ; line 2: 2e-12 instead of 1e-15, 2.0e-12 apart, allowed 1.0e-12",
        ),
        ("2,0.5", "3,0.5", "count: 1 of 4 differ; line 3: 3 instead of 2, must be the same"),
        ("2,0.5", "2.0000001,0.5", "count: 1 of 4 differ"),
        ("gap,2", "Gap,2", "panel: 1 of 4 differ; line 3: Gap instead of gap, must be the same"),
        ("0.5", "nan", "line 3: nan instead of 0.5, inf apart"),
        ("0.5", "", "line 3:  instead of 0.5, must be the same"),
        ("inf", "1e300", "line 4: 1e300 instead of inf, inf apart"),
        ("inf", "-inf", "line 4: -inf instead of inf, inf apart"),
        ("nan", "0.5", "line 5: 0.5 instead of nan, inf apart"),
        ("gap,4,nan\n", "", "a.csv: 3 rows instead of 4"),
        ("gap,4,nan\n", "gap,4,nan\ngap,5,1.0\n", "a.csv: 5 rows instead of 4"),
        ("count", "number", "a.csv: no column count"),
    ],
)
def test_says_what_differs(tmp_path, old, new, said):
    (found,) = compare(tmp_path, TABLE.replace(old, new, 1))
    assert said in found


def test_a_missing_column_is_said(tmp_path):
    rebuilt = re.sub(r",[^,]*$", "", TABLE, flags=re.MULTILINE)
    (found,) = compare(tmp_path, rebuilt)
    assert found == "a.csv: no column value"


def test_the_worst_of_several_is_shown(tmp_path):
    rebuilt = TABLE.replace("0.5", "0.6").replace("1e-15", "3.5").replace(",1,", ",9,")
    found = compare(tmp_path, rebuilt)
    assert len(found) == 2
    assert "value: 2 of 4 differ; line 2: 3.5 instead of 1e-15" in found[1]


def test_a_number_without_tolerance_is_an_error(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n0.5\n", encoding="utf-8")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/a.csv").write_text("x\n0.6\n", encoding="utf-8")
    with pytest.raises(LookupError, match=r"no tolerance for a\.csv, x"):
        verify.compare(path, tmp_path / "b/a.csv", [])


def test_tolerances_are_stated_for_every_committed_number_and_used():
    tolerances = verify.read_tolerances(ROOT / verify.TOLERANCES)
    used = set()
    for path in COMMITTED:
        columns, rows = verify.read_table(path)
        for column in columns:
            for row in rows:
                exact = verify.is_exact(row[column])
                chosen = [each for each in tolerances if each.whole == exact]
                tolerance = verify.find(chosen, path.name, column, row)
                assert exact or tolerance, (path.name, column, row)
                used |= {id(tolerance)} if tolerance else set()
    assert used == {id(tolerance) for tolerance in tolerances}
    assert all(tolerance.because for tolerance in tolerances)


def test_whole_numbers_differ_only_where_that_is_allowed(tmp_path):
    (tmp_path / "b").mkdir()
    for path, count in ((tmp_path / "a.csv", 15), (tmp_path / "b/a.csv", 16)):
        path.write_text(f"solves\n{count}\n", encoding="utf-8")
    one = verify.Tolerance("rounding", column="solves", absolute=1.0, whole=True)
    for tolerances, count in (([one], 0), ([], 1), ([verify.Tolerance("", absolute=1.0)], 1)):
        assert len(verify.compare(tmp_path / "a.csv", tmp_path / "b/a.csv", tolerances)) == count


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_data_agree_with_themselves_and_not_with_a_changed_copy(path, tmp_path):
    tolerances = verify.read_tolerances(ROOT / verify.TOLERANCES)
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    assert verify.compare(path, copy, tolerances) == []
    lines = path.read_text(encoding="utf-8").splitlines()
    copy.write_text("\n".join([lines[0], *lines[2:]]) + "\n", encoding="utf-8")
    assert "rows instead of" in verify.compare(path, copy, tolerances)[0]


def test_every_file_is_looked_for_in_both_folders(tmp_path, capsys):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "both.csv").write_text(TABLE, encoding="utf-8")
    assert verify.verify(old, new, TOLERANCES)
    assert "1 of 1 data files agree" in capsys.readouterr().out
    (old / "a.csv").write_text(TABLE, encoding="utf-8")
    (new / "b.csv").write_text(TABLE, encoding="utf-8")
    assert not verify.verify(old, new, TOLERANCES)
    printed = capsys.readouterr().out
    assert "a.csv: not rebuilt" in printed
    assert "b.csv: not committed" in printed
    assert "1 of 3 data files agree" in printed


def test_a_new_column_is_said_and_a_changed_number_beside_it_is_an_error(tmp_path, capsys):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "a.csv").write_text("panel,value\ngap,0.5\n", encoding="utf-8")
    for value, agrees in (("0.5", True), ("0.6", False)):
        text = f"seed,panel,value\n0,gap,{value}\n"
        (new / "a.csv").write_text(text, encoding="utf-8")
        assert verify.verify(old, new, TOLERANCES) is agrees
        printed = capsys.readouterr().out
        assert "a.csv: new column seed\n" in printed
        assert ("value: 1 of 1 differ" in printed) is not agrees


def test_nothing_to_compare_is_no_agreement(tmp_path):
    assert not verify.verify(tmp_path, tmp_path, TOLERANCES)


def verify_in(folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "workflow.verify", "--cores", "1"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout


def test_rebuild_of_a_toy_is_compared_with_what_was_committed(tmp_path):
    folder = make_toy(tmp_path)
    status, printed = run(folder)
    assert status == 0, printed
    before = {path: path.stat().st_mtime_ns for path in (folder / "figures").iterdir()}
    stale = folder / "build/verify/figures/stale.csv"
    stale.parent.mkdir(parents=True)
    stale.touch()
    status, printed = verify_in(folder)
    assert status == 0, printed
    assert "3 of 3 data files agree with those in figures/" in printed
    assert not stale.exists()
    assert {path: path.stat().st_mtime_ns for path in (folder / "figures").iterdir()} == before

    data = folder / "figures/01_first.csv"
    data.write_text(data.read_text(encoding="utf-8").replace("0.0", "0.5"), encoding="utf-8")
    status, printed = verify_in(folder)
    assert status == 1
    assert "01_first.csv, y: 1 of 2 differ; line 2: 0.0 instead of 0.5" in printed
    assert "2 of 3 data files agree" in printed

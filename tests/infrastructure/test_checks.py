import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfact.checks import (
    Check,
    Claim,
    Record,
    checks_to_markdown,
    read_checks,
    save_checks,
    sort_checks,
    write_checks,
)

ROOT = Path(__file__).parents[2]
GOOD = {
    "statement": "S2",
    "claim": "the gap stays below the bound",
    "notebook": "01_toy",
    "instances": 10,
    "worst_margin": 0.25,
}


def check(**changes):
    return Check(**{**GOOD, **changes})


@pytest.mark.parametrize(
    ("margin", "holds"),
    [
        (1.0, True),
        (0.0, True),
        (-0.0, True),
        (5e-324, True),
        (np.float32(1), True),
        (-5e-324, False),
        (-1, False),
        (-math.inf, False),
        (math.nan, False),
        (np.float64("nan"), False),
    ],
)
def test_holds_is_the_sign_of_the_margin(margin, holds):
    assert check(worst_margin=margin).holds is holds


def test_is_frozen_and_holds_plain_numbers():
    row = check(instances=np.int64(3), worst_margin=np.float64(0.5))
    assert type(row.instances) is int
    assert type(row.worst_margin) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.worst_margin = 1.0
    with pytest.raises(AttributeError):
        row.holds = True


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("statement", "2", ValueError),
        ("statement", "S0", ValueError),
        ("statement", "P2", ValueError),
        ("rival", "without a margin", ValueError),
        ("rival_margin", -1.0, ValueError),
        ("statement", "S2 ", ValueError),
        ("statement", 2, TypeError),
        ("claim", "", ValueError),
        ("claim", "two\nlines", ValueError),
        ("notebook", None, TypeError),
        ("notebook", "notebooks/00_tour.ipynb", ValueError),
        ("instances", 0, ValueError),
        ("instances", 2.0, TypeError),
        ("instances", True, TypeError),
        ("worst_margin", "0.1", TypeError),
        ("worst_margin", 1j, TypeError),
        ("worst_margin", None, TypeError),
        ("worst_margin", True, TypeError),
        ("worst_margin", np.array([1.0]), TypeError),
    ],
)
def test_rejects_bad_fields(field, value, error):
    with pytest.raises(error, match=field):
        check(**{field: value})


lines = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" |,\"'"), min_size=1
).filter(lambda text: text.strip() == text)


def with_rivals(rows):
    """Give every other row a rival."""
    return [
        dataclasses.replace(row, rival=f"not: {row.claim}", rival_margin=-row.worst_margin)
        if k % 2
        else row
        for k, row in enumerate(rows)
    ]


rows = st.lists(
    st.builds(
        Check,
        statement=st.builds("{}{}".format, st.sampled_from("SDT"), st.integers(1, 20)),
        claim=lines,
        notebook=st.from_regex(r"\w+", fullmatch=True),
        instances=st.integers(1, 10**9),
        worst_margin=st.floats(allow_nan=False),
    )
).map(with_rivals)


@given(rows=rows)
def test_reads_back_what_it_wrote(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    write_checks(rows, path)
    assert read_checks(path) == rows


@given(rows=rows)
def test_markdown_has_a_line_a_row(rows):
    table = checks_to_markdown(rows).splitlines()
    assert len(table) == len(rows) + 2
    assert {line.replace(r"\|", "").count("|") for line in table} == {9}


@given(margin=st.floats(allow_nan=False))
def test_markdown_never_rounds_a_margin_up(margin):
    shown = float(checks_to_markdown([check(worst_margin=margin)]).splitlines()[-1].split("|")[5])
    assert shown <= margin
    if 1e-300 < abs(margin) < 1e300:
        assert abs(shown - margin) <= 0.01 * abs(margin)


def test_nan_is_written_and_read_as_a_violation(tmp_path):
    save_checks([check(worst_margin=math.nan)], "01_toy", tmp_path)
    (row,) = read_checks(tmp_path / "01_toy.statements.csv")
    assert math.isnan(row.worst_margin)
    assert not row.holds


def test_table_has_the_agreed_columns(tmp_path):
    save_checks([check()], "01_toy", tmp_path / "new")
    assert (tmp_path / "new" / "01_toy.statements.csv").read_bytes() == (
        b"statement,claim,notebook,instances,worst_margin,rival,rival_margin,holds\n"
        b"S2,the gap stays below the bound,01_toy,10,0.25,,,true\n"
    )
    assert checks_to_markdown([check(worst_margin=-0.123456)]).splitlines() == [
        "| statement | claim | notebook | instances | worst_margin "
        "| rival | rival_margin | holds |",
        "|---|---|---|---:|---:|---|---:|---|",
        "| S2 | the gap stays below the bound | 01_toy | 10 | -0.124 |  |  | **no** |",
    ]


def test_save_needs_checks_of_that_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for directory in (None, tmp_path):
        with pytest.raises(ValueError, match="empty"):
            save_checks([], "01_toy", directory)
        with pytest.raises(ValueError, match="02_other"):
            save_checks([check()], "02_other", directory)
    save_checks([check()], "01_toy", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("statement,", "key,"), "columns"),
        (("true", "false"), "holds"),
        (("0.25", "-0.25"), "holds"),
        ((",true", ""), "7 values"),
        (("S2", "Q2"), "statement"),
        ((",,true", ",a rival,true"), "float"),
        ((",,true", ",-1.0,true"), "rival"),
    ],
)
def test_read_rejects_a_table_that_was_tampered_with(change, message, tmp_path):
    path = tmp_path / "rows.csv"
    write_checks([check()], path)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ValueError, match=message):
        read_checks(path)


def test_read_rejects_an_empty_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.touch()
    with pytest.raises(ValueError, match="columns"):
        read_checks(path)


RIVAL = {"rival": "the gap stays below half the bound", "rival_margin": -0.2}


def test_holds_needs_the_rival_refuted():
    assert check(**RIVAL).holds
    assert not check(**RIVAL | {"rival_margin": 0.0}).holds
    assert not check(**RIVAL | {"rival_margin": math.nan}).holds
    assert not check(**RIVAL, worst_margin=-1.0).holds
    with pytest.raises(ValueError, match="rival"):
        check(**RIVAL | {"rival": " "})
    with pytest.raises(TypeError, match="rival_margin"):
        check(**RIVAL | {"rival_margin": "-1"})


@given(margin=st.floats(allow_nan=False))
def test_markdown_never_rounds_a_rivals_margin_down(margin):
    (row,) = checks_to_markdown([check(**RIVAL | {"rival_margin": margin})]).splitlines()[2:]
    assert float(row.split("|")[7]) >= margin


def test_claim_takes_the_smallest_margins():
    claim = Claim("S2", GOOD["claim"], [[3.0, 1.0], [2.0, 4.0]], RIVAL["rival"], [5.0, -0.2])
    assert claim.check("01_toy") == check(instances=4, worst_margin=1.0, **RIVAL)
    assert math.isnan(Claim("S2", "c", [1.0, np.nan]).check("01_toy").worst_margin)
    assert not Claim("S2", "c", [1.0], "r", [np.nan, -1.0]).check("01_toy").holds
    with pytest.raises(ValueError, match="instances"):
        Claim("S2", "c", []).check("01_toy")


def test_record_saves_prints_and_stops(tmp_path, capsys):
    record = Record("01_toy", None, tmp_path)
    record.check(Claim("S2", "good", [1.0], "bad", [-0.5]), Claim("S3", "fails", [-1.0]))
    with pytest.raises(ArithmeticError, match="does not hold: fails"):
        record.finish()
    good, bad = capsys.readouterr().out.splitlines()
    assert "S2" in good
    assert "rival's -5.0e-01" in good
    assert "worst margin -1.0e+00" in bad
    assert read_checks(tmp_path / "01_toy.statements.csv") == record.checks
    forgiving = Record("01_toy", stop_if_violated=False)
    forgiving.check(Claim("S3", "fails", [-1.0]))
    forgiving.finish()


def test_sorts_by_number_then_notebook():
    keys = [("T1", "a"), ("S10", "a"), ("S2", "b"), ("D1", "a"), ("S2", "a"), ("S1", "z")]
    rows = sort_checks(check(statement=key, notebook=notebook) for key, notebook in keys)
    assert [(row.statement, row.notebook) for row in rows] == [
        ("S1", "z"),
        ("S2", "a"),
        ("S2", "b"),
        ("S10", "a"),
        ("D1", "a"),
        ("T1", "a"),
    ]


def workflow_statements(*arguments):
    command = [sys.executable, "-m", "workflow.statements", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_join_and_verify(tmp_path):
    save_checks([check(statement="S10", notebook="a")], "a", tmp_path)
    save_checks([check(statement="S9", notebook="b", worst_margin=-1)], "b", tmp_path)
    table, markdown = tmp_path / "all.csv", tmp_path / "all.md"
    rows = [tmp_path / "a.statements.csv", tmp_path / "b.statements.csv"]
    assert not workflow_statements("join", *rows, "--csv", table, "--markdown", markdown).returncode
    assert [row.statement for row in read_checks(table)] == ["S9", "S10"]
    assert markdown.read_text() == checks_to_markdown(read_checks(table))
    done = workflow_statements("verify", table)
    assert done.returncode == 1
    assert "S9 does not hold in b" in done.stdout
    assert "S10" not in done.stdout
    assert workflow_statements("verify", rows[0]).returncode == 0

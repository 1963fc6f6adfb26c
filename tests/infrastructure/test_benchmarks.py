"""The benchmarks at smoke scale: what they record, not how fast it is."""

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import deepfact as df
from benchmarks import draw, limits, measure, solvers, targets

ROOT = Path(__file__).parents[2]
CONFIGS = {
    name: yaml.safe_load((ROOT / f"benchmarks/{name}.yaml").read_text(encoding="utf-8"))
    for name in ("default", "smoke")
}
NAMES = sorted(CONFIGS["smoke"]["benchmarks"])
BENCHMARKS = {name: importlib.import_module(f"benchmarks.{name}") for name in NAMES}


def in_this_process(module, function, arguments, limit):  # noqa: ARG001
    """Measure without a process of its own, whose imports take longer than what is measured."""
    call = getattr(BENCHMARKS[module], function)
    return {"status": "done", **json.loads(json.dumps(call(**arguments)))}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run every benchmark with the peers that are installed; return the folder of the tables."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        for name in set(NAMES) - {"limits", "recovery"}:
            patch.setattr(BENCHMARKS[name], "in_own_process", in_this_process)
        for name, benchmark in BENCHMARKS.items():
            rows = benchmark.rows(**CONFIGS["smoke"]["benchmarks"][name])
            measure.write(rows, folder / f"{name}.csv")
    return folder


@pytest.fixture(scope="module")
def tables(results):
    return targets.read_all(results)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_benchmark(name):
    expected = list(inspect.signature(BENCHMARKS[name].rows).parameters)
    for config in CONFIGS.values():
        assert sorted(config["benchmarks"][name]) == sorted(expected)


def test_smoke_stays_away_from_the_committed_results():
    for key in ("results_dir", "figures_dir", "logs_dir"):
        assert CONFIGS["smoke"][key].startswith("build/")


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_times(tables, name):
    for row in tables[name]:
        assert tuple(row) == (*BENCHMARKS[name].COLUMNS, "machine", "versions")
        assert "numpy" in row["versions"]
        times = [value for key, value in row.items() if "seconds" in key and np.isfinite(value)]
        assert times
        assert min(times) > 0


@pytest.mark.parametrize("name", ["limits", "solvers", "descent", "flows", "operators"])
def test_every_measurement_was_made(tables, name):
    assert {row["status"] for row in tables[name]} <= {"done", "converged"}


def test_limits_meet_the_measurements(tables):
    for row in tables["limits"]:
        assert row["residual"] <= 1e-10
        assert row["error"] <= 1e-8  # alpha^L is 1e-12
        assert row["peak_MiB"] > 10
        np.testing.assert_allclose(row["gram_units"], row["seconds"] / row["unit_seconds"], 1e-3)


def test_errors_of_the_solvers(tables):
    largest = {
        ("flow_limit", "alpha=1e-16"): 1e-10,
        ("scipy linprog", "simplex"): 1e-9,
        ("SPGL1", "1e-9"): 1e-7,
        ("celer Lasso", "1e-06"): 1e-4,
    }
    rows = {(row["solver"], row["setting"]): row for row in tables["solvers"]}
    assert {key for key in largest if key[0] not in solvers.NEEDS} <= set(rows)
    for key, bound in largest.items():
        if key in rows:
            assert rows[key]["error"] <= bound, key
    assert rows["flow_limit", "alpha=1e-16"]["dual_margin"] > 0


@pytest.mark.parametrize(("solver", "package"), solvers.NEEDS.items())
def test_peers_that_are_installed_are_measured(tables, solver, package):
    pytest.importorskip(package)
    assert solver in {row["solver"] for row in tables["solvers"]}


@pytest.mark.parametrize("solver", ["cvxpy CLARABEL", "cvxpy HIGHS", "cvxpy SCS"])
def test_solvers_of_cvxpy_at_every_setting(solver):
    problem = limits.gaussian(50, 0)
    for setting, (function, options) in solvers.settings_of(solver).items():
        x, found = function(problem, **options)
        assert limits.relative_error(x, problem) <= 1e-4, setting
        assert found["solver_seconds"] > 0


def test_margin_of_a_unique_minimiser_and_of_others():
    problem = limits.gaussian(100, 0)
    dual = df.flow_limit(problem, df.DeepFactorization(2, 1e-16)).dual
    assert solvers.unique_minimiser_margin(problem, dual) > 0
    twins = df.Problem(np.hstack([problem.A, problem.A]), problem.y, np.tile(problem.x_true, 2) / 2)
    assert solvers.unique_minimiser_margin(twins, dual) == -1.0
    other = df.Problem(problem.A, problem.A @ np.ones(100), np.ones(100))
    assert solvers.unique_minimiser_margin(other, dual) == -1.0


def test_descent_meets_its_goal(tables):
    goal = CONFIGS["smoke"]["benchmarks"]["descent"]["goal"]
    for row in tables["descent"]:
        assert row["goal"] == goal
        assert row["descent_residual"] <= goal


def test_trajectories_agree_with_the_reference(tables):
    for row in tables["flows"]:
        assert row["error"] <= 1e-3


def test_limits_of_the_phase_transition_converge(tables):
    for row in tables["recovery"]:
        assert row["not_converged"] == 0
        assert 0 < row["recovered"] < row["limits"]


def test_matrix_free_errors_and_products(tables):
    for row in tables["operators"]:
        assert row["error"] <= 1e-5
        assert row["products"] >= 1


def test_targets_and_figures_of_smoke_tables(tables, results, tmp_path):
    rows = targets.table(tables)
    assert {row["met"] for row in rows} <= {"yes", "no", "not measured", ""}
    assert len({row["what"] for row in rows}) >= 6
    with df.figure_style():
        draw.draw_limits(tables["limits"], tmp_path)
        draw.draw_growth(tables["limits"], tables["operators"], tmp_path)
        draw.draw_solvers(tables["solvers"], tmp_path)
        draw.draw_flows(tables["flows"], tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    names = ("limits", "growth", "solvers", "flows")
    assert drawn == {f"{n}.{ending}" for n in names for ending in ("pdf", "svg", "png", "csv")}
    assert results.exists()


@pytest.mark.parametrize(
    ("measured", "relation", "met"),
    [(2.0, "<=", "yes"), (2.1, "<=", "no"), (2.0, ">=", "yes"), (1.9, ">=", "no")],
)
def test_whether_a_target_is_met(measured, relation, met):
    assert targets.row("", "", "", measured, relation, 2)["met"] == met


@pytest.mark.parametrize("measured", [None, float("nan")])
def test_what_was_not_measured_is_not_met(measured):
    assert targets.row("", "", "", measured, "<=", 2)["met"] == "not measured"


def test_slope_of_a_power_law():
    x = [1.0, 2.0, 4.0, 8.0]
    value, half = targets.slope(x, [3 * t**2.5 for t in x])
    np.testing.assert_allclose([value, half], [2.5, 0.0], atol=1e-7)
    assert targets.slope(x[:2], x[:2]) == (None, None)


def test_time_limit_and_failures_are_recorded(monkeypatch):
    found = measure.in_own_process("limits", "no_such_function", {}, 60)
    assert found["status"].startswith("failed: AttributeError")
    monkeypatch.setattr(measure, "START_UP", 0.0)
    assert measure.in_own_process("limits", "measure", {}, 0.01) == {"status": "over limit"}


def test_calls_alternate():
    order = []
    values, seconds = measure.alternate({k: lambda k=k: order.append(k) or k for k in "ab"}, 3)
    assert order == list("ababab")
    assert values == {"a": "a", "b": "b"}
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_rows_have_the_columns_of_their_table():
    assert measure.fill(("a", "b"), {"a": 1}) == {"a": 1, "b": ""}
    with pytest.raises(ValueError, match="'c'"):
        measure.fill(("a",), {"c": 1})


def test_table_is_read_as_it_was_written(tmp_path):
    rows = [{"n": 1, "text": "x", "seconds": 0.25}, {"n": 2, "text": "", "seconds": ""}]
    measure.write(rows, tmp_path / "t.csv")
    first, second = measure.read(tmp_path / "t.csv")
    assert (first["n"], first["text"], first["seconds"]) == (1.0, "x", 0.25)
    assert second["text"] == ""
    assert np.isnan(second["seconds"])


def test_committed_targets_follow_from_the_committed_tables(tmp_path):
    folder = ROOT / "benchmarks/results"
    tables = targets.read_all(folder)
    around = {key: tables["limits"][0][key] for key in ("machine", "versions")}
    measure.write(targets.table(tables), tmp_path / "targets.csv", around)
    assert (tmp_path / "targets.csv").read_text() == (folder / "targets.csv").read_text()


def test_dry_run(tmp_path):
    unwanted = shutil.ignore_patterns("__pycache__", "results", "figures")
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=unwanted)
    command = [sys.executable, "-m", "snakemake", "--snakefile", "benchmarks/Snakefile"]
    done = subprocess.run(
        [*command, "--cores", "1", "--dry-run"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert f"benchmarks/results/{name}.csv" in done.stdout

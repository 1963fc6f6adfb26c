"""Noise and compressible signals."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import noise
from deepfact.experiments.early_stopping import measure_early_stopping
from deepfact.experiments.noise_bound import fixed_signal_bound
from deepfact.experiments.noise_figure import largest_recovered
from deepfact.experiments.noise_sweeps import measure_noise, measure_sparsity, measure_tails
from deepfact.experiments.tables import groups, select

SIZES = {"M": 12, "N": 24, "depths": [2, 3], "start": 1e-12, "trials": 2, "seed": 0}


def test_fixed_signal_bound_is_a_certificate():
    problem = df.gaussian_problem(20, 40, 2, seed=0)
    bound = fixed_signal_bound(problem.A, problem.x_true, 2)
    support = problem.x_true != 0
    rho = problem.A.T @ bound.nu
    np.testing.assert_allclose(rho[support], np.sign(problem.x_true[support]), atol=1e-9)
    assert np.abs(rho[~support]).max() == pytest.approx(bound.rho)
    assert bound.rho < 1
    assert bound.tail == 0
    assert bound.error(np.zeros(20), 0.0) == 0.0  # exact recovery is part of the bound


def test_fixed_signal_bound_holds_for_random_feasible_points():
    problem = df.gaussian_problem(20, 40, 2, seed=1)
    A, x = problem.A, problem.x_true + 0.01 * np.sin(np.arange(40))
    bound = fixed_signal_bound(A, x, 2)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1.0, 1e3):
        z = x + size * rng.standard_normal(40)
        excess = np.abs(z).sum() - np.abs(x).sum()
        assert np.linalg.norm(z - x) <= bound.error(A @ (z - x), excess)


def test_no_bound_without_a_certificate():
    problem = df.gaussian_problem(6, 40, 5, seed=0)
    bound = fixed_signal_bound(problem.A, problem.x_true, 5)
    assert bound.rho >= 1
    assert bound.error(np.ones(6), 1.0) == np.inf


@pytest.fixture(scope="module")
def by_noise():
    return measure_noise(s=1, levels=[1e-2, 1e-1, 1.0], **SIZES)


@pytest.fixture(scope="module")
def by_sparsity():
    return measure_sparsity(sparsities=[1, 10], level=0.05, **SIZES)


@pytest.fixture(scope="module")
def by_tail():
    return measure_tails(s=2, exponents=[0.7, 3], level=0.02, **SIZES)


@pytest.fixture(scope="module")
def stopped():
    return measure_early_stopping(20, 40, 1, 0.1, [2, 3], 1e-6, 40, 1, 0)


def flows(table):
    return select(table, where=np.isfinite(table["depth"]))


def test_errors_against_noise(by_noise):
    assert len(by_noise["error"]) == 2 * 3 * 4
    flow = flows(by_noise)
    assert np.all(flow["error"] <= flow["bound"])
    assert np.all(flow["l1_room"] >= 0)
    three, exact = (select(by_noise, method=name) for name in ("flow, L = 3", "basis pursuit"))
    np.testing.assert_allclose(three["error"], exact["error"], rtol=0.1)
    np.testing.assert_allclose(noise.slopes(by_noise)["slope"], 1.0, atol=0.3)
    again = measure_noise(s=1, levels=[1e-2, 1e-1, 1.0], **SIZES)
    np.testing.assert_array_equal(by_noise["error"], again["error"])


def test_slopes_of_powers():
    sizes = np.array([1.0, 2.0, 5.0])
    table = {
        "method": np.repeat(["a", "b"], 3),
        "trial": np.zeros(6, int),
        "depth": np.full(6, 2.0),
        "noise": np.tile(sizes, 2),
        "error": np.concatenate([3 * sizes, sizes**2]),
    }
    fits = noise.slopes(table)
    assert fits["method"].tolist() == ["a", "b"]
    np.testing.assert_allclose(fits["slope"], [1.0, 2.0])


def test_sparser_is_better_and_tails_count(by_sparsity, by_tail):
    for _, rows in groups(by_sparsity, "method"):
        few, many = (here["error"] / here["noise"] for _, here in groups(rows, "s"))
        assert few.mean() < many.mean()
    for _, rows in groups(by_tail, "method"):
        long, short = (here for _, here in groups(rows, "exponent"))
        assert np.all(long["error"] > short["error"])
        assert np.all(long["tail"] > short["tail"])
    assert np.all(flows(by_tail)["error"] <= flows(by_tail)["bound"])


def test_early_stopping(stopped):
    for depth, stop in groups(stopped["stops"], "depth"):
        assert stop["margin"] >= 0
        assert stop["later"]
        path = select(stopped["paths"], depth=depth)
        assert len(path["time"]) == 41
        after = path["time"] > stop["discrepancy_time"]
        assert stop["discrepancy_time"] > 0
        assert path["residual"][~after].min() >= stop["noise"]
        assert path["residual"][after].max() < stop["noise"]
        assert stop["discrepancy_residual"] == pytest.approx(stop["noise"], rel=1e-4)
        assert stop["discrepancy_residual"] <= stop["noise"]
        assert stop["best_error"] <= path["error"].min()
        assert stop["best_error"] <= stop["discrepancy_error"]
        assert stop["best_error"] <= stop["limit_error"] * 1.001


def test_checks_hold(by_noise, by_sparsity, by_tail, stopped):
    rows = [claim.check("07_x") for claim in noise.checks(by_noise, by_sparsity, by_tail, stopped)]
    bounded = np.isfinite(flows(by_sparsity)["bound"]).sum()
    assert [row.instances for row in rows] == [12 + bounded + 8, 12 + 8 + 8, 4, 2]
    assert all(row.statement == "S5" for row in rows)
    assert [row.worst_margin >= 0 for row in rows] == 4 * [True]
    assert all(row.rival_margin < 0 for row in rows)


def test_rivals_would_stand_if_they_were_right(by_noise, by_sparsity, by_tail, stopped):
    def better(table, **columns):
        return {**table, **columns}

    tables = [
        better(table, error=0.5 * table["oracle"], q_share=0 * table["q_share"])
        for table in (by_noise, by_sparsity, by_tail)
    ]
    stops = {**stopped["stops"], "margin_without_noise": np.full(2, 0.1)}
    first, second, _, last = noise.checks(*tables, {**stopped, "stops": stops})
    assert all(claim.check("07_x").rival_margin > 0 for claim in (first, second, last))
    slow = better(by_noise, error=np.sqrt(by_noise["noise"]))
    assert noise.checks(slow, by_sparsity, by_tail, stopped)[2].check("07_x").rival_margin > 0


@pytest.mark.parametrize(
    ("column", "change", "violated"),
    [
        ("error", lambda table: 2 * table["bound"], 0),
        ("l1_room", lambda table: -table["l1_room"] - 1e-9, 1),
        ("error", lambda table: table["error"] * table["noise"], 2),
    ],
)
def test_checks_see_a_wrong_number(
    by_noise, by_sparsity, by_tail, stopped, column, change, violated
):
    wrong = {**by_noise, column: change(by_noise)}
    claims = noise.checks(wrong, by_sparsity, by_tail, stopped)
    assert not claims[violated].check("07_x").holds


@pytest.mark.parametrize(("column", "value"), [("later", False), ("margin", -1e-9)])
def test_checks_see_a_divergence_that_falls_too_slowly(
    by_noise, by_sparsity, by_tail, stopped, column, value
):
    stops = {**stopped["stops"], column: np.full(2, value)}
    claims = noise.checks(by_noise, by_sparsity, by_tail, {**stopped, "stops": stops})
    assert not claims[3].check("07_x").holds


def test_descriptions(by_noise, by_sparsity, by_tail, stopped):
    names = ["flow, L = 2", "flow, L = 3", "basis pursuit", "BPDN"]
    lines = noise.describe_noise(by_noise).splitlines()
    assert [line[:14].rstrip() for line in lines[1:5]] == names
    lines = noise.describe_sparsity(by_sparsity).splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["1", "10"]
    most = largest_recovered(by_sparsity)
    assert f"s = {most} at M = 12, N = 24" in lines[0]
    assert df.theory.recovery_threshold(most, 24) <= 12 < df.theory.recovery_threshold(most + 1, 24)
    lines = noise.describe_tails(by_tail).splitlines()
    assert lines[1].endswith("s = 2")
    assert [line.split()[0] for line in lines[-2:]] == ["0.7", "3"]
    lines = noise.describe_early_stopping(stopped).splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["1", "2"], ["1", "3"]]


def test_the_figure_shows_its_data(by_noise, by_sparsity, by_tail, stopped):
    tables = by_noise, by_sparsity, by_tail, stopped
    drawn, data = noise.figure(*tables), noise.figure_data(*tables)
    try:
        assert len(drawn.axes) == 4
        median = select(data, panel="noise", series="BPDN, median")
        assert any(np.array_equal(line.get_ydata(), median["y"]) for line in drawn.axes[0].lines)
        assert set(data["panel"]) == {"noise", "sparsity", "compressible", "early stopping"}
    finally:
        plt.close(drawn)

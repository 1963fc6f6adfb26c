"""Recovery experiments: the same counts whatever the workers, resumable, and of the right size."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import ndtr

import deepfact as df
from deepfact import recovery
from deepfact.experiments import measurements, recovery_table, transition_fits
from deepfact.recovery import recovery_trial

CELLS = [(6, 2), (12, 2), (18, 2), (18, 18), (20, 1)]


def counts(result):
    return result.recovered.tolist(), result.disagreements.tolist(), result.lp_solves.tolist()


def test_results_do_not_depend_on_workers_or_order():
    one = df.phase_transition(20, CELLS, 4, seed=3, workers=1)
    two = df.phase_transition(20, CELLS, 4, seed=3, workers=2)
    assert counts(one) == counts(two)
    backwards = df.phase_transition(20, CELLS[::-1], 4, seed=3, workers=1)
    np.testing.assert_array_equal(backwards.recovered[::-1], one.recovered)
    other = df.phase_transition(20, CELLS, 4, seed=4, workers=1)
    assert counts(other) != counts(one)


def test_an_interrupted_run_is_taken_up(tmp_path):
    whole = df.phase_transition(20, CELLS, 3, seed=0, workers=1)
    checkpoint = tmp_path / "cells.jsonl"
    df.phase_transition(20, CELLS[:3], 3, seed=0, workers=1, checkpoint=checkpoint)
    lines = checkpoint.read_text().strip().splitlines()
    assert len(lines) == 3
    # A line cut short by a kill, and a cell of another experiment, are not taken.
    forged = [*json.loads(lines[0])[:3], [9, 9, 9, 9], [9, 9, 9], 9]
    checkpoint.write_text(
        "\n".join([*lines[:2], json.dumps(["another", *forged[1:]]), lines[2][:-4]])
    )
    again = df.phase_transition(20, CELLS, 3, seed=0, workers=1, checkpoint=checkpoint)
    assert counts(again) == counts(whole)
    kept = json.loads(lines[1])
    kept[3] = [3, 3, 3, 3]  # what stands in the file is believed
    checkpoint.write_text(json.dumps(kept) + "\n")
    believed = df.phase_transition(20, CELLS, 3, seed=0, workers=1, checkpoint=checkpoint)
    assert (kept[1], kept[2]) in CELLS
    assert believed.recovered[CELLS.index((kept[1], kept[2]))].tolist() == [3, 3, 3, 3]


FOREIGN = """{}
3
null
"text"
[]
[1, 2]
{"0": 1}
not json
["STAMP", 5, 1]
["STAMP", 5, 1, [1], [0], 0]
["STAMP", 5, 1, [1, 1, 1, "x"], [0, 0, 0], 0]"""


@pytest.mark.parametrize("line", FOREIGN.splitlines())
def test_foreign_lines_of_a_checkpoint_are_passed_over(tmp_path, line):
    checkpoint = tmp_path / "cells.jsonl"
    first = df.phase_transition(12, [(5, 1)], 2, workers=1, checkpoint=checkpoint)
    stamp, *_ = json.loads(checkpoint.read_text())
    checkpoint.write_text(line.replace("STAMP", stamp) + "\n")
    again = df.phase_transition(12, [(5, 1)], 2, workers=1, checkpoint=checkpoint)
    assert again.recovered.tolist() == first.recovered.tolist()
    assert len(checkpoint.read_text().split("\n")) > 2  # measured again, and added
    assert json.loads(checkpoint.read_text().splitlines()[-1])[0] == stamp


def test_bytes_of_a_checkpoint_that_are_no_text_are_passed_over(tmp_path):
    checkpoint = tmp_path / "cells.jsonl"
    first = df.phase_transition(12, [(5, 1)], 2, workers=1, checkpoint=checkpoint)
    whole = b"\xff\xfe\x00\n" + checkpoint.read_bytes() + b"\n"
    checkpoint.write_bytes(whole)
    again = df.phase_transition(12, [(5, 1)], 2, workers=1, checkpoint=checkpoint)
    np.testing.assert_array_equal(again.recovered, first.recovered)
    assert checkpoint.read_bytes() == whole  # nothing was measured again


def test_checkpoint_that_cannot_be_written_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(recovery, "_cell", None)
    (tmp_path / "cells").mkdir()
    with pytest.raises(OSError, match="cells"):
        df.phase_transition(12, [(5, 1)], 2, workers=1, checkpoint=tmp_path / "cells")


@pytest.mark.parametrize("nonnegative", [False, True])
def test_nothing_to_recover_is_recovered(nonnegative):
    found = df.phase_transition(12, [(6, 0)], 3, nonnegative=nonnegative, workers=1)
    assert found.recovered.tolist() == [[3, 3, 3, 3]]
    assert found.disagreements.tolist() == [[0, 0, 0]]


SCRIPT = """
import multiprocessing

import deepfact as df

{guard}
    multiprocessing.set_start_method("spawn", force=True)
    found = df.phase_transition(12, [(5, 1), (6, 1)], 2, workers=2, methods=["depth 3"])
    print(found.recovered.tolist())
"""


@pytest.mark.parametrize("guard", ["if True:", 'if __name__ == "__main__":'])
def test_script_whose_processes_are_spawned(tmp_path, guard):
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=guard))
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if guard == "if True:":
        assert done.returncode == 1
        assert 'under if __name__ == "__main__":, or with workers=1' in done.stderr.splitlines()[-1]
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("[[")


def test_some_methods_count_as_among_all():
    whole = df.phase_transition(20, CELLS, 4, seed=3, workers=1)
    deep = df.phase_transition(20, CELLS, 4, seed=3, workers=1, methods=("depth 3",))
    np.testing.assert_array_equal(deep.recovered[:, 0], whole.recovered[:, 2])
    assert deep.disagreements.shape == (len(CELLS), 0)
    pair = ("depth 2", "basis pursuit")
    two = df.phase_transition(20, CELLS, 4, seed=3, workers=1, methods=pair)
    np.testing.assert_array_equal(two.recovered, whole.recovered[:, [1, 3]])
    np.testing.assert_array_equal(two.disagreements[:, 0], whole.disagreements[:, 1])


@pytest.mark.parametrize("signed", [True, False])
def test_basis_pursuit_is_decided_as_the_linear_program_decides(signed):
    """The certificate's verdict against cvxpy on instances around the transition."""
    decided = 0
    for k in range(12):
        seed = np.random.SeedSequence(5, spawn_key=(k,))
        recovered, solved = recovery_trial(12, 30, 3, signed, (-69.0, -11.5), 1e-3, seed)
        problem = df.gaussian_problem(12, 30, 3, np.random.default_rng(seed), signed=signed)
        best = df.basis_pursuit(problem, signed=signed)
        error = np.linalg.norm(best.x - problem.x_true) / np.linalg.norm(problem.x_true)
        assert recovered[3] == (error <= 1e-3)
        decided += not solved
    assert decided >= 8


def test_easy_and_impossible_cells():
    result = df.phase_transition(30, [(25, 1), (30, 3), (3, 3), (4, 3)], 5, workers=1)
    assert result.recovered[0].tolist() == [0, 5, 5, 5]
    assert result.recovered[1].tolist() == [5, 5, 5, 5]  # M = N: the solution is unique
    assert result.recovered[2].tolist() == [0, 0, 0, 0]
    assert result.recovered[3][0] == 0


def test_as_many_nonzeros_as_measurements():
    """With M = N = s the solution is unique; two unknowns and one equation are a matter of luck."""
    square = df.phase_transition(12, [(12, 12)], 5, workers=1)
    assert square.recovered[0].tolist() == [5, 5, 5, 5]
    line = df.phase_transition(2, [(1, 1)], 40, workers=1).recovered[0]
    assert 8 < line[3] < 32


def test_numbers_of_numpy_in_a_checkpoint(tmp_path):
    cells, file = np.array([[10, 2], [12, 3]]), tmp_path / "cells.jsonl"
    first = df.phase_transition(
        20, cells, np.int64(3), seed=np.int64(1), workers=1, checkpoint=file
    )
    size = file.stat().st_size
    again = df.phase_transition(20, cells.tolist(), 3, seed=1, workers=1, checkpoint=file)
    np.testing.assert_array_equal(again.recovered, first.recovered)
    assert file.stat().st_size == size  # all taken up


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"cells": [(21, 1)]}, ValueError, "cells must have M <= N"),
        ({"methods": ("depth 4",)}, ValueError, "methods must be some of"),
        ({"methods": ("depth 3", "depth 1")}, ValueError, "in that order"),
        ({"cells": [(5, 21)]}, ValueError, "cells must have M <= N"),
        ({"cells": [(0, 1)]}, ValueError, "cells' M must be at least 1"),
        ({"cells": [(5, 1.5)]}, TypeError, "cells' s must be an integer"),
        ({"trials": 0}, ValueError, "trials must be at least 1"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be greater"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"workers": 0}, ValueError, "workers must be at least 1"),
        ({"log_alphas": (-1.0,)}, ValueError, "log_alphas must be those of depth 2 and 3, got 1"),
        ({"log_alphas": (-1.0, np.nan)}, ValueError, "log_alphas must be finite"),
    ],
)
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        df.phase_transition(**{"N": 20, "cells": [(5, 1)], "trials": 1, "workers": 1} | arguments)


def test_probit_fit_finds_a_known_curve():
    rng = np.random.default_rng(0)
    M = np.arange(10, 40, 2)
    midpoint, width, trials = 24.3, 4.0, np.full(15, 4000)
    recovered = rng.binomial(trials, ndtr((M - midpoint) / width))
    fit = transition_fits.probit_fit(M, recovered, trials)
    assert abs(fit.midpoint - midpoint) < 4 * fit.midpoint_error < 0.3
    assert abs(fit.width - width) < 4 * fit.width_error < 0.5
    with pytest.raises(ValueError, match="recovered must have a success"):
        transition_fits.probit_fit(M, trials * (M > 24), trials)


def test_probit_fit_has_the_right_errors():
    rng = np.random.default_rng(1)
    M, trials = np.arange(10, 40, 3), np.full(10, 60)
    fits = [
        transition_fits.probit_fit(M, rng.binomial(trials, ndtr((M - 24.3) / 4)), trials)
        for _ in range(200)
    ]
    for value, error, true in (("midpoint", "midpoint_error", 24.3), ("width", "width_error", 4)):
        z = np.array([(getattr(fit, value) - true) / getattr(fit, error) for fit in fits])
        assert 0.85 < z.std() < 1.15
        assert abs(z.mean()) < 0.35


def test_binomial_interval_covers():
    rng = np.random.default_rng(0)
    for chance in (0.02, 0.5, 0.97):
        lower, upper = transition_fits.binomial_interval(rng.binomial(20, chance, 4000), 20)
        assert np.mean((lower <= chance) & (chance <= upper)) >= 0.945
    lower, upper = transition_fits.binomial_interval(np.array([0, 20]), np.array([20, 20]))
    assert lower[0] == 0
    assert upper[1] == 1
    np.testing.assert_allclose([upper[0], 1 - lower[1]], 1 - 0.025 ** (1 / 20))


TABLE = {
    "signed": True,
    "seed": 1,
    "unknowns": 12,
    "side": 3,
    "trials": 1,
    "cut_unknowns": 20,
    "cut_nonzeros": 2,
    "cut_points": 3,
    "cut_trials": 2,
    "growth_unknowns": [16, 14],
    "growth_nonzeros": 1,
    "growth_points": 3,
    "growth_trials": 2,
    "log10_alpha_2": -20,
    "log10_alpha_3": -5,
    "workers": 1,
}


def test_table_survives_its_file(tmp_path):
    table = measurements.recovery_table(**TABLE)
    path = tmp_path / "new" / "table.csv"
    measurements.save_table(table, path)
    loaded = measurements.load_table(path)
    for name in recovery_table.COLUMNS:
        np.testing.assert_array_equal(loaded[name], table[name])
    assert (table["part"] == "grid").sum() == 9


@pytest.mark.parametrize("chunks", [2, 5, 40])
def test_chunks_join_to_the_table_of_one_run(tmp_path, chunks):
    """Byte for byte, also where there are more chunks than cells."""
    whole = tmp_path / "whole.csv"
    measurements.save_table(measurements.recovery_table(**TABLE), whole)
    paths = [tmp_path / f"{chunk}.csv" for chunk in range(chunks)]
    for chunk, path in enumerate(paths):
        share = measurements.recovery_table(**TABLE, chunk=chunk, chunks=chunks)
        measurements.save_table(share, path)
    sizes = [len(path.read_text().splitlines()) - 1 for path in paths]
    assert max(sizes) - min(sizes) <= 1
    joined = tmp_path / "joined.csv"
    tables = [measurements.load_table(path) for path in paths]
    measurements.save_table(measurements.join_tables(tables[::-1]), joined)
    assert joined.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("chunk", [-1, 3])
def test_a_chunk_that_is_none(chunk):
    with pytest.raises(ValueError, match="chunk must be"):
        measurements.recovery_table(**TABLE, chunk=chunk, chunks=3)


@pytest.mark.parametrize("name", ["side", "trials", "cut_points", "growth_trials"])
def test_counts_of_a_table_are_checked_before_any_work(name):
    with pytest.raises(ValueError, match=f"^{name} must be at least 1"):
        measurements.recovery_table(**{**TABLE, name: 0})


def test_chunks_take_about_equal_time():
    """By the cost that the deal goes by, at the scale of the printed figure."""
    parts = [("grid", 200, recovery_table.grid_cells(200, 40), 50)]
    parts += [("growth", N, recovery_table.cut_cells(N, 8, 9, True), 100) for N in (100, 400, 1600)]
    cost = [
        sum(
            count * M * M * N
            for _, N, cells, count in recovery_table.share_cells(parts, chunk, 16)
            for M, s in cells
            if s <= M
        )
        for chunk in range(16)
    ]
    assert max(cost) <= 1.1 * min(cost)


def test_depth_two_and_basis_pursuit_agree_as_the_scale_shrinks():
    counts = measurements.depth_two_by_scale(14, 40, 4, 12, True, [-1, -300], 0)
    assert counts["differ"][0] > counts["differ"][1]
    assert counts["differ"][1] <= 1
    assert abs(counts["recovered"][1] - counts["basis_pursuit"][1]) <= counts["differ"][1]
    assert counts["basis_pursuit"][0] == counts["basis_pursuit"][1] > 0

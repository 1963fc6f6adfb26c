"""The loops of the notebook on saddles and tickets."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import saddles_and_tickets as st
from deepfact.experiments.lasso_averages import (
    gap_slopes,
    measure_average_limits,
    measure_averages,
)
from deepfact.experiments.mask_times import (
    draw_problems,
    measure_early_bird,
    measure_mask_times,
    time_slopes,
)
from deepfact.experiments.pruning import flat_problem, top_mask
from deepfact.experiments.retraining import (
    measure_retraining,
    measure_wrong_signs,
    sign_slopes,
    ticket,
)
from deepfact.experiments.staircase import (
    forward_selection,
    measure_ends,
    measure_plateaus,
    measure_staircase,
)
from deepfact.experiments.subset_sums import measure_subset_sums, nearest_subset_sum

SIZE = (20, 40, 3)


@pytest.fixture(scope="module")
def problems():
    return draw_problems(*SIZE, 1, seed=0)


@pytest.fixture(scope="module")
def tables(problems):
    found, _ = problems
    return {
        "staircase": measure_staircase(st.leaving_problem(), [[2, -16], [3, -2]], 100),
        "plateaus": measure_plateaus(8, 16, 2, 1, [[2, -80, -160], [3, -4, -5]], seed=0),
        "ends": measure_ends(20, 60, 8, 5, seed=0),
        "limits": measure_average_limits([[15, 30, 2, 3], [15, 30, 6, 3]], 20, seed=0),
        "averages": measure_averages(*SIZE, 1, [[2, -40, -80], [3, -3, -4]], 3, seed=0),
        "times": {
            **(times := measure_mask_times(found, 3, [[2, -16, -32], [3, -2, -3]], 400)),
            "draws": np.full(len(times["mask"]), 3),
        },
        "early": measure_early_bird(found[0], 3, 2, -32, 300),
        "pruning": st.measure_pruning(100, 4, [30, 60], 400, 4, -8, seed=0),
        "masks": st.measure_random_masks(40, 100, 5, [5, 20], 200, seed=0),
        "retrained": measure_retraining(*SIZE, 2, [[2, -6, -8], [3, -2, -3]], [1e-6, 1.0], seed=0),
        "signs": measure_wrong_signs(40, 4, 1, 1.5, [-20, -40], seed=0),
        "sums": measure_subset_sums([10, 14], 0.5, 3000, seed=0),
    }


def rows_of(tables):
    return [claim.check("19_x") for claim in st.checks(tables)]


def test_checks_are_of_every_row(tables):
    rows = rows_of(tables)
    assert [row.statement for row in rows] == 5 * ["T15"] + 9 * ["T8"]
    assert [row.worst_margin >= 0 for row in rows] == 14 * [True]
    assert all(row.rival for row in rows)
    # too few draws here for the independent scores and the mean density to be told apart
    close = {7, 13}
    assert all(row.rival_margin < 0 for k, row in enumerate(rows) if k not in close)


@pytest.mark.parametrize(
    ("name", "column", "change", "violated"),
    [
        ("plateaus", "slope", lambda x: 1.2 * x, {0}),
        ("ends", "path", lambda x: x + 1e-6, {1}),
        ("times", "jump", lambda x: 1.1 * x, {2}),
        ("limits", "error", lambda x: x + 1e-6, {3}),
        ("averages", "gap", lambda x: np.sqrt(x), {4}),
        ("times", "mask", lambda x: 1.1 * x, {5}),
        ("times", "loss", lambda x: 0.5 * x, {6}),
        ("pruning", "predicted", lambda x: x + 0.2, {7}),
        ("masks", "loss", lambda x: x + 1, {8}),
        ("retrained", "slope", lambda x: x / 2, {9}),
        ("retrained", "rewound", lambda x: x + 1e-6, {10}),
        ("retrained", "constrained", lambda x: x + 1e-6, {11}),
        ("signs", "time", lambda x: 1.1 * x, {12}),
        ("sums", "log", lambda x: x + 1, {13}),
    ],
)
def test_checks_see_a_wrong_number(tables, name, column, change, violated):
    wrong = {**tables, name: {**tables[name], column: change(tables[name][column])}}
    rows = rows_of(wrong)
    assert {k for k, row in enumerate(rows) if not row.worst_margin >= 0} == violated


def test_rivals_would_stand_if_they_were_right(tables):
    plateaus, times = tables["plateaus"], tables["times"]
    swapped = {
        **tables,
        "plateaus": {**plateaus, "rival": plateaus["slope"]},
        "ends": {**tables["ends"], "greedy": tables["ends"]["path"]},
        "limits": {**tables["limits"], "error": 0 * tables["limits"]["error"]},
        "averages": {**tables["averages"], "gap_of_flow": tables["averages"]["gap"]},
        "times": {
            **times,
            "tau_jump": times["tau_mask"],
            "jump": times["mask"],
            "restarted": times["tau_mask"],
            "next": times["loss"],
        },
        "masks": {**tables["masks"], "unfitted": tables["masks"]["loss"]},
        "retrained": {
            **tables["retrained"],
            "guarantee": tables["retrained"]["slope"],
            "one_wrong": tables["retrained"]["rewound"],
            "unrepaired": tables["retrained"]["rewound"],
        },
        "signs": {**tables["signs"], "right": tables["signs"]["predicted"]},
    }
    rows = rows_of(swapped)
    assert all(rows[k].rival_margin >= 0 for k in range(14) if k not in (7, 13))


def test_slopes_are_the_predicted_ones(tables):
    slopes = time_slopes(tables["times"])
    assert slopes["depth"].tolist() == [2, 2, 3, 3]
    assert slopes["slope"] == pytest.approx(slopes["predicted"], abs=0.02)
    assert gap_slopes(tables["averages"])["slope"] == pytest.approx(-1, abs=0.1)
    assert sign_slopes(tables["signs"])["slope"] == pytest.approx(-1, abs=0.1)


def test_a_score_held_at_its_threshold_slows_the_flow_down():
    """On the last plateau, after a coordinate left: alpha^(L (L-2)/(2L-2)), 3/4 at L = 3."""
    plateaus = measure_plateaus(8, 16, 2, 6, [[3, -4, -5]], seed=0)
    held = plateaus["predicted"] == 0.75
    assert 0 < held.sum() < len(held)
    assert plateaus["slope"][held] == pytest.approx(0.75, rel=0.01)


def test_problems_have_an_early_mask(problems):
    (problem,), draws = problems
    path = df.saddle_path(problem)
    assert draws >= 1
    assert path.times[0] < path.mask_time(3) < path.times[-1]
    assert np.array_equal(path.x[-1] != 0, problem.x_true != 0)


def test_early_bird_mask_is_right_from_its_time_on(tables):
    early = tables["early"]
    late = early["tau"] >= early["tau_mask"]
    assert early["right"][late].all()
    last_wrong = early["tau"][~early["right"]].max()
    assert last_wrong == pytest.approx(early["tau_mask"][0], rel=0.05)
    assert early["loss"][0] == pytest.approx(1)


def test_staircase_of_the_limit_path(tables):
    table = tables["staircase"]
    limit = table["depth"] == 0
    values = np.unique(table["x"][limit].round(12))
    np.testing.assert_allclose(values, np.round([-10 / 49, 0, 0.8, 1.4, 10 / 7], 12))
    assert set(table["depth"]) == {0, 2, 3}


def test_forward_selection_finds_orthogonal_columns():
    problem = df.Problem(np.eye(4), [0.0, 3.0, 0.0, -2.0])
    np.testing.assert_allclose(forward_selection(problem), problem.y)


def test_flat_problems_and_masks():
    problem = flat_problem(10, 30, 4, np.random.default_rng(0))
    assert sorted(np.abs(problem.x_true))[-5:] == [0, 1, 1, 1, 1]
    assert top_mask(np.array([1.0, -3.0, 2.0]), 2).tolist() == [False, True, True]
    part = ticket(problem, problem.x_true != 0)
    assert part.N == 4


def test_nearest_subset_sum_by_all_subsets():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 9):
        weights = rng.uniform(-1, 1, n)
        sums = np.array([weights[[k >> i & 1 == 1 for i in range(n)]].sum() for k in range(2**n)])
        assert nearest_subset_sum(weights, 0.3) == pytest.approx(np.abs(sums - 0.3).min())


def test_wrong_signs_are_late_and_balanced_ones_stay(tables):
    signs = tables["signs"]
    assert np.all(signs["predicted"] > 1.05 * signs["right"])
    assert np.all(tables["retrained"]["unrepaired"] > 0.1)


def test_descriptions_have_a_line_for_each_result(tables):
    paths = st.describe_paths(tables)
    assert len(paths.splitlines()) == 7
    masks = st.describe_masks(tables)
    assert len(masks.splitlines()) == 7
    tickets = st.describe_tickets(tables)
    assert len(tickets.splitlines()) == 7


def test_figure_has_eight_panels_and_its_numbers(tables):
    drawn = st.figure(tables)
    try:
        assert [axis.get_title(loc="left")[:3] for axis in drawn.axes] == [
            f"({letter})" for letter in "abcdefgh"
        ]
    finally:
        plt.close(drawn)
    data = st.figure_data(tables)
    assert len({len(column) for column in data.values()}) == 1
    assert len(set(data["panel"])) == 9


def test_the_notebooks_calls_return_these_tables():
    paths = st.measure_paths(
        [[2, -8]], 20, [8, 16, 2, 1], [[2, -80, -160], [3, -4, -5]], [10, 20, 2, 1],
        [[15, 30, 2, 1]], [*SIZE, 1], [[3, -2, -3]], [2, 5], seed=0,
    )  # fmt: skip
    assert list(paths) == ["staircase", "plateaus", "ends", "limits", "averages"]
    masks = st.measure_masks([*SIZE, 1], [[3, -1, -2]], [3, -2], 100, seed=0)
    assert list(masks) == ["times", "early"]
    assert np.all(masks["times"]["draws"] >= 1)
    tickets = st.measure_tickets(
        [*SIZE, 1], [[3, -2, -3]], [0.1], [20, 2, 1], 1.5, [-10, -20], [6], 0.5, 10, seed=0
    )
    assert list(tickets) == ["retrained", "signs", "sums"]

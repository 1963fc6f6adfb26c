"""The loops of the notebook on which minimiser the flow selects."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import which_minimiser
from deepfact.experiments.face_distance import (
    basis_inverses,
    distance_bound,
    has_positive_point,
)
from deepfact.experiments.faces import (
    integer_problem,
    maximise_on_face,
    mean_column_position,
    mean_column_problem,
    minimal_face,
)
from deepfact.experiments.singletons import measure_singletons, singleton_problem
from deepfact.experiments.tables import select
from deepfact.experiments.which_minimiser import checks, measure_faces, measure_segment
from deepfact.rates import selection_criterion

DEPTHS = [2, 3, np.inf]


@pytest.mark.parametrize("depth", [2, 2.5, 4, np.inf])
def test_segment_maximiser_is_the_power_mean(depth):
    problem = mean_column_problem(0.3)
    face = minimal_face(problem, signed=False)
    assert face.dimension == 1
    assert face.support.tolist() == [0, 1, 2]
    t = 0.3 * mean_column_position(0.3, depth)
    best = np.array([1 - t, 0.3 - t, 2 * t])
    assert maximise_on_face(face, depth) == pytest.approx(best, rel=1e-12)
    nearby = [best + step * np.array([-1, -1, 2]) for step in (-1e-4, 1e-4)]
    assert all(
        selection_criterion(best, depth) > selection_criterion(other, depth) for other in nearby
    )


def test_segment_ends_are_geometric_and_harmonic_means():
    t = 0.2 * mean_column_position(0.2, 2)
    assert (2 * t) ** 2 == pytest.approx((1 - t) * (0.2 - t))
    t = 0.2 * mean_column_position(0.2, np.inf)
    assert 2 / (2 * t) == pytest.approx(1 / (1 - t) + 1 / (0.2 - t))


def test_limits_lie_where_predicted_on_the_segment():
    columns = measure_segment([0.4], DEPTHS, -12)
    assert columns["positive"] == pytest.approx(columns["predicted"], abs=1e-8)
    assert columns["signed"] == pytest.approx(columns["predicted"], abs=1e-8)


@pytest.mark.parametrize("signed", [False, True])
def test_face_holds_minimisers_only(signed):
    problem, face = integer_problem(4, 10, 2, signed, seed=1)
    best = df.basis_pursuit(problem, signed=signed)
    assert face.dimension >= 1
    assert problem.A @ face.directions == pytest.approx(0, abs=1e-12)
    for depth in DEPTHS:
        z = maximise_on_face(face, depth)
        assert problem.A @ z == pytest.approx(problem.y, abs=1e-9)
        assert np.sum(np.abs(z)) == pytest.approx(best.value, rel=1e-8)
        assert np.all(z[face.support] * np.sign(face.point[face.support]) > 0)


def test_a_unique_minimiser_is_a_face_of_dimension_0():
    problem = df.gaussian_problem(M=10, N=20, s=1, seed=0)
    face = minimal_face(problem, signed=True)
    assert face.dimension == 0
    assert face.point == pytest.approx(problem.x_true, abs=1e-9)


def test_infeasible_problems_have_no_face():
    with pytest.raises(ValueError, match="feasible"):
        minimal_face(df.Problem(np.ones((1, 2)), [-1.0]), signed=False)


def test_weighted_pseudoinverses_are_convex_combinations_of_basis_inverses():
    """Within rounding, and with weights that differ by many orders of magnitude."""
    rng = np.random.default_rng(0)
    A, moved = rng.standard_normal((3, 6)), rng.standard_normal(3)
    inverses = basis_inverses(A)
    assert inverses.shape == (20, 3, 3)
    largest = np.abs(inverses @ moved).max()
    reached = 0.0
    for spread in (0.1, 1.0, 5.0):
        for _ in range(200):
            weights = np.exp(spread * rng.standard_normal(6))
            solution = weights * (A.T @ np.linalg.solve((A * weights) @ A.T, moved))
            reached = max(reached, np.abs(solution).max() / largest)
    assert 0.5 < reached < 1 + 1e-6


def test_dependent_columns_are_no_basis():
    columns = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    inverses = basis_inverses(columns)
    assert inverses.shape == (2, 2, 3)
    np.testing.assert_allclose(inverses @ [3.0, 3.0, 4.0], [[3.0, 2.0]] * 2)


def test_distance_bound_on_a_segment_beside_one_other_column():
    """The other column's product moves the data by itself, in units of the unit vectors."""
    problem = mean_column_problem(0.4)
    wide = df.Problem(np.column_stack([problem.A, [0.3, 0.2]]), problem.y)
    face = minimal_face(wide, signed=False)
    assert face.support.tolist() == [0, 1, 2]
    inverses = basis_inverses(wide.A[:, face.support])
    model = df.DeepFactorization(3, alpha=1e-2, signed=False)
    bound = distance_bound(wide, face, inverses, model, np.array([0.8, 0.2, 0.4, 0.01]))
    assert bound == pytest.approx(0.01 + 2 * 0.003)  # the basis e_2, mean: coefficient 2 * 0.3
    limit = df.flow_limit(wide, model)
    distance = np.abs(limit.x - maximise_on_face(face, 3)).max()
    assert 0 < distance <= distance_bound(wide, face, inverses, model, limit.x)


def test_products_of_the_other_sign_are_off_the_face():
    problem = mean_column_problem(0.4)
    face = minimal_face(problem, signed=True)
    inverses = basis_inverses(problem.A)
    model = df.DeepFactorization(2, alpha=0.1, signed=True)
    limit = df.flow_limit(problem, model)
    distance = np.abs(limit.x - maximise_on_face(face, 2)).max()
    assert 1e-5 < distance <= distance_bound(problem, face, inverses, model, limit.x)


def test_positive_point():
    assert has_positive_point(mean_column_problem(0.4))
    forced = df.Problem(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]), [1.0, 0.0])
    assert not has_positive_point(forced)


FACES = ([(4, 10, 2)], 1, DEPTHS, [-4, -8], [-100, -400])


@pytest.fixture(scope="module")
def segment():
    return measure_segment([0.5], DEPTHS, -12)


@pytest.fixture(scope="module")
def faces():
    return measure_faces(*FACES, seed=0)


@pytest.fixture(scope="module")
def singles():
    return measure_singletons([(16, 22, 2), (8, 22, 4)], 1, [2, 3], [0.1, 10.0], seed=0)


def test_limits_approach_the_prediction(faces):
    assert len(faces["error"]) == 2 * 3 * 2
    assert set(faces["log10_a"][faces["depth"] == 2]) == {-100, -400}
    smallest = np.isin(faces["log10_a"], [-8, -400])
    assert faces["error"][smallest].max() < 1e-6
    assert faces["error"][~smallest].max() > 1e-6
    assert np.all(faces["error"] <= faces["bound"] + 1e-10)


def test_infinite_depth_asks_for_a_positive_point(monkeypatch):
    monkeypatch.setattr(which_minimiser, "has_positive_point", lambda _: False)
    table = measure_faces(*FACES, seed=0)
    at_infinity = select(table, depth=np.inf)
    assert at_infinity["signed"].all()
    assert set(select(table, signed=False)["depth"]) == {2, 3}


def test_same_seed_same_numbers(faces):
    assert np.array_equal(measure_faces(*FACES, seed=0)["error"], faces["error"])


def test_single_points_are_found_from_every_init_scale(singles):
    flags = [select(singles, problem=k)["singleton"] for k in range(4)]
    assert [set(flag) for flag in flags] == [{True}, {False}, {True}, {False}]
    assert select(singles, singleton=True)["error"].max() < 1e-8
    assert select(singles, singleton=False)["error"].max() > 1e-2


def test_certificate_of_a_single_point():
    problem, slack = singleton_problem("row of ones", 16, 22, 2, seed=3)
    assert slack > 0
    assert np.all(problem.x_true >= 0)
    with pytest.raises(ValueError, match="kind"):
        singleton_problem("other", 4, 8, 1, seed=0)


def test_checks_hold(segment, faces, singles):
    rows = [claim.check("11_x") for claim in checks(segment, faces, singles)]
    assert [(row.statement, row.instances) for row in rows] == [("S6", 8), ("S8", 12), ("S8", 6)]
    assert all(row.holds and row.rival for row in rows)
    alone = checks(segment, faces, select(singles, singleton=True))
    assert [claim.check("11_x").rival is None for claim in alone] == [True, False, False]


def test_rivals_would_stand_if_they_were_right(segment, faces, singles):
    geometric = np.array([mean_column_position(ratio, 2) for ratio in segment["ratio"]])
    tables = (
        {**segment, "positive": geometric, "signed": geometric},
        {**faces, "to_entropy": np.zeros_like(faces["error"])},
        {**singles, "error": np.zeros_like(singles["error"])},
    )
    assert all(claim.check("11_x").rival_margin > 0 for claim in checks(*tables))


@pytest.mark.parametrize("wrong", [1e-3, np.nan])
def test_checks_see_a_wrong_limit(segment, faces, singles, wrong):
    def with_one(table, column, chosen):
        place = np.flatnonzero(chosen)[-1]
        values = table[column].copy()
        values[place] += wrong
        return {**table, column: values}

    tables = (
        with_one(segment, "signed", segment["depth"] == 3),
        with_one(faces, "error", faces["log10_a"] == -8),
        with_one(singles, "error", singles["singleton"]),
    )
    assert not any(claim.check("11_x").holds for claim in checks(*tables))
    elsewhere = with_one(singles, "error", ~singles["singleton"])
    assert all(claim.check("11_x").holds for claim in checks(segment, faces, elsewhere))


def test_the_figure_shows_its_data(segment, faces, singles):
    drawn = which_minimiser.figure(segment, faces, singles)
    data = which_minimiser.figure_data(segment, faces, singles)
    try:
        assert len(drawn.axes) == 3
        shown = np.concatenate([line.get_ydata() for line in drawn.axes[2].lines])
        of_panel = np.isin(data["panel"], ["one", "many"])
        assert sorted(shown) == pytest.approx(sorted(np.maximum(data["value"][of_panel], 1e-16)))
    finally:
        plt.close(drawn)
    alone = which_minimiser.figure_data(segment, faces, select(singles, singleton=True))
    assert "many" not in alone["panel"]


def test_descriptions(segment, faces, singles):
    text = which_minimiser.describe_segment(segment)
    assert len(text.splitlines()) == 3 + 2  # depths 2 and infinity
    lines = which_minimiser.describe_faces(faces).splitlines()
    assert lines[1] == "limits found: 12 of 12"
    assert [line.split()[2] for line in lines if line.startswith("L = ")] == ["2", "3", "inf"]
    assert lines[-1].startswith("nearest to its bound")
    lines = which_minimiser.describe_singletons(singles).splitlines()
    assert lines[0] == "2 of 4 feasible sets are single points"
    only = which_minimiser.describe_singletons(select(singles, singleton=True)).splitlines()
    assert only[-1].endswith("-")

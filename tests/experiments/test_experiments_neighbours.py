"""The experiment of the notebook 14_neighbours."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import ndtr

import deepfact as df
from deepfact.experiments import neighbours as experiment
from deepfact.experiments.factor_descent import heavy_ball, sign_problem
from deepfact.experiments.recovery_neighbours import PLACES, correlated_problem, fit_transitions
from deepfact.experiments.sparse_methods import (
    fista_lasso,
    iterative_hard_thresholding,
    orthogonal_matching_pursuit,
    reweighted_l1,
)
from deepfact.experiments.tables import select
from deepfact.theory import recovery_threshold, recovery_window


@pytest.fixture(scope="module")
def tables():
    return (
        experiment.measure_methods(40, 2, [4, 8, 14], 3, 1e-5, 0),
        experiment.measure_designs(40, 2, [4, 8, 14], 0.9, 3, 1e-5, 0),
        experiment.measure_scales(40, 2, [4, 8, 14], 3, {2: [0, -4, -16], 3: [0, -4]}, 0),
        experiment.measure_descents((16, 30, 2), 1, [2, 3], [0.1, 0.01, 0.001], 0.5, 1e-6, 9000, 0),
        experiment.measure_momentum((10, 30, 2), 2, 0.1, [0.2, 0.1, 0.05], [1.0], 0),
        experiment.measure_batches((16, 30, 2), 1, 0.01, 0.3, [4, 16], 1e-3, 50_000, 0),
    )


@pytest.mark.parametrize("method", [orthogonal_matching_pursuit, iterative_hard_thresholding])
def test_methods_that_are_told_s_recover_from_many_measurements(method):
    problem = df.gaussian_problem(60, 100, 4, seed=3)
    x = method(problem.dense(), problem.y, 4)
    np.testing.assert_allclose(x, problem.x_true, atol=1e-7)
    assert np.count_nonzero(method(problem.dense(), problem.y, 2)) == 2
    assert not method(problem.dense(), np.zeros(60), 4).any()


def test_matching_pursuit_does_not_depend_on_the_length_of_columns():
    problem = df.gaussian_problem(40, 60, 3, seed=1)
    scale = np.geomspace(1e-3, 1e3, 60)
    x = orthogonal_matching_pursuit(problem.dense() * scale, problem.y, 3)
    np.testing.assert_allclose(x * scale, problem.x_true, atol=1e-9)


def test_fista_finds_the_minimiser_of_the_lasso():
    problem = df.gaussian_problem(20, 40, 6, seed=2)
    A, y = problem.dense(), problem.y
    penalty = 0.05
    x = fista_lasso(A, y, penalty=penalty, stages=1, iterations=5000)
    level = penalty * np.max(np.abs(A.T @ y))
    slope = A.T @ (y - A @ x)
    assert np.max(np.abs(slope)) <= level * (1 + 1e-6)
    np.testing.assert_allclose(slope[x != 0], level * np.sign(x[x != 0]), rtol=1e-6)


def test_reweighted_l1_recovers_what_basis_pursuit_does_not():
    won = 0
    for seed in range(12):
        problem = df.gaussian_problem(22, 80, 6, seed=seed)
        errors = [
            np.linalg.norm(x - problem.x_true)
            for x in (df.basis_pursuit(problem).x, reweighted_l1(problem))
        ]
        assert not errors[0] < 1e-6 < errors[1]
        won += errors[1] < 1e-6 < errors[0]
    assert won >= 2


def test_columns_have_the_correlation_that_was_asked_for():
    problems = [correlated_problem(40, 30, 3, 0.8, PLACES[0], seed) for seed in range(50)]
    A = np.concatenate([problem.dense() for problem in problems]) * np.sqrt(40)
    for lag in (1, 2, 5):
        found = np.mean(A[:, lag:] * A[:, :-lag])
        assert abs(found - 0.8**lag) < 0.03
    np.testing.assert_allclose(np.mean(A**2, axis=0), 1, atol=0.12)
    plain = df.gaussian_problem(40, 30, 3, seed=5)
    assert correlated_problem(40, 30, 3, 0.0, PLACES[0], 5) == plain
    block, one_sign = (correlated_problem(40, 30, 3, 0.8, place, 5) for place in PLACES[1:])
    assert np.ptp(np.flatnonzero(block.x_true)) == 2
    np.testing.assert_array_equal(np.abs(block.x_true), one_sign.x_true)


def test_transitions_are_fitted_to_each_case():
    M = np.tile(np.arange(5, 40, 4), 2)
    chance = ndtr((M - recovery_threshold(4, 60)) / recovery_window(4, 60))
    table = {
        "case": np.repeat(["right", "late"], 9),
        "unknowns": np.full(18, 60),
        "nonzeros": np.full(18, 4),
        "measurements": M,
        "trials": np.full(18, 1000),
        "recovered": np.rint(1000 * np.where(np.arange(18) < 9, chance, np.roll(chance, 2))),
    }
    table["recovered"][9:11] = 0
    fits = fit_transitions(table, "case")
    assert fits["case"].tolist() == ["right", "late"]
    assert fits["margin"][0] > 0.5 > 0 > fits["margin"][1]


def test_heavy_ball_without_momentum_is_descent():
    problem = sign_problem(12, 20, 2, 0)
    x, iterations = heavy_ball([problem], 0.1, 0.05, 0.0, tolerance=1e-9)
    model = df.DeepFactorization(2, 0.1)
    run = df.gradient_descent(problem, model, 0.05, iterations, tolerance=0)
    np.testing.assert_allclose(run.x[-1], x[0], atol=1e-12)
    with pytest.raises(RuntimeError, match="not at rest"):
        heavy_ball([problem], 0.1, 0.05, 0.0, max_iterations=5)
    with pytest.raises(RuntimeError, match="step 9 diverged"):
        heavy_ball([problem], 0.1, 9.0, 0.5)


def test_iterations_follow_the_times_of_s11(tables):
    slopes = experiment.iteration_slopes(tables[3])
    np.testing.assert_allclose(slopes["predicted"], [np.log10(1.5), np.log10(999 / 99)])
    np.testing.assert_allclose(slopes["other"], slopes["predicted"][::-1])
    assert np.all(np.abs(slopes["slope"] - slopes["predicted"]) < 0.1)


def test_each_check_fails_on_its_own_number(tables):
    methods, designs, scales, descents, momentum, batches = tables

    def failures(*new):
        return [not claim.check("x").worst_margin >= 0 for claim in experiment.checks(*new)]

    exact = methods["method"] == "basis pursuit"
    wrong_methods = methods | {"differ": np.where(exact, 3, methods["differ"])}
    assert failures(wrong_methods, *tables[1:])[0]
    assert not failures(*tables)[0]
    exact = designs["method"] == "basis pursuit"
    wrong_designs = designs | {"differ": np.where(exact, 3, designs["differ"])}
    assert failures(methods, wrong_designs, *tables[2:])[2]
    assert not failures(*tables)[2]
    same = descents | {"found": np.full_like(descents["found"], 70)}
    assert failures(methods, designs, scales, same, momentum, batches)[4]
    assert not failures(*tables)[4]
    higher = batches | {"least": -batches["least"]}
    assert failures(methods, designs, scales, descents, momentum, higher)[5]
    assert not failures(*tables)[5]
    alike = batches | {"median": np.ones_like(batches["median"])}
    assert failures(methods, designs, scales, descents, momentum, alike)[6]
    assert not failures(*tables)[6]
    still = momentum | {"change": np.ones_like(momentum["change"])}
    assert failures(methods, designs, scales, descents, still, batches)[7]
    assert not failures(*tables)[7]


def test_rivals_are_computed_from_the_same_data(tables):
    for claim in experiment.checks(*tables)[4:]:
        assert claim.check("x").holds


def test_batches_keep_what_the_flow_keeps_only_from_below(tables):
    batches = tables[5]
    assert np.all(batches["least"] > 0)
    assert set(batches["status"]) == {"converged"}
    deep, shallow = (select(batches, depth=depth)["median"] for depth in (3, 2))
    assert np.all(deep < shallow / 10)


def test_descriptions(tables):
    methods, designs, scales, descents, momentum, batches = tables
    text = experiment.describe_recovery(methods, designs, scales)
    assert len(text.splitlines()) == 3 + 6 + 6 + 5
    assert "alpha = 1e-05" in text
    assert len(experiment.describe_descents(descents).splitlines()) == 2 + 6
    assert len(experiment.describe_momentum(momentum).splitlines()) == 1 + 2
    assert len(experiment.describe_batches(batches).splitlines()) == 1 + 4


def test_figure_draws_its_data(tables):
    data = experiment.figure_data(*tables)
    rates = select(data, panel="methods", series="flow")
    np.testing.assert_allclose(rates["y"], select(tables[0], method="flow")["recovered"] / 3)
    figure = experiment.figure(*tables)
    try:
        assert len(figure.axes) == 9 + 1
        assert "10^{-2}" in figure.axes[8].get_title()
    finally:
        plt.close(figure)

"""The lasso's path against convex programs, its gap by definition, averages of the flow."""

import cvxpy as cp
import numpy as np
import pytest

import deepfact as df
from deepfact.dynamics.averaged_flow import path_clock
from deepfact.other_maps import SineMap

FIXTURE = df.Problem([[1, 0.5, 0.7, 0], [0.5, 1, 0.1, 0.7]], [1.0, 0.0])  # not monotone
MONOTONE = df.gaussian_problem(20, 40, 3, seed=0)


def solved(problem, penalty, signed=True):
    """Return minimiser and minimum of the lasso by an interior-point method."""
    x = cp.Variable(problem.N, nonneg=not signed)
    loss = cp.sum_squares(problem.A @ x - problem.y) / 2
    program = cp.Problem(cp.Minimize(loss + penalty * cp.norm1(x)))
    program.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12)
    return x.value, program.value


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize(("M", "N", "s"), [(20, 40, 3), (12, 30, 10), (30, 15, 5)])
def test_path_is_that_of_a_convex_program(M, N, s, signed):
    problem = df.gaussian_problem(M, N, s, seed=M, noise=0.1)
    path = df.lasso_path(problem, signed)
    assert path.success
    assert np.all(np.diff(path.penalties) < 0)
    assert path.penalties[-1] == 0
    penalties = path.penalties[0] * np.array([1.1, 0.7, 0.2, 0.03])
    for x, penalty in zip(path.at(penalties), penalties, strict=True):
        best, value = solved(problem, penalty, signed)
        np.testing.assert_allclose(x, best, atol=1e-5)
        own = 0.5 * np.sum((problem.A @ x - problem.y) ** 2) + penalty * np.abs(x).sum()
        assert own <= value * (1 + 1e-9)
        assert df.lasso_gap(problem, x, penalty, signed) <= 1e-12


def test_path_ends_at_the_minimiser_of_the_l1_norm():
    for seed in range(8):
        problem = df.gaussian_problem(30, 60, 20, seed=seed)
        path = df.lasso_path(problem)
        np.testing.assert_allclose(path.x[-1], df.basis_pursuit(problem).x, atol=1e-9)


def test_gap_bounds_what_is_lost_and_is_the_difference_of_primal_and_dual():
    rng = np.random.default_rng(0)
    A, y = MONOTONE.A, MONOTONE.y
    for signed in (True, False):
        x = rng.normal(size=40) if signed else rng.uniform(size=40)
        penalty = 0.1
        residual = y - A @ x
        objective = 0.5 * residual @ residual + penalty * np.abs(x).sum()
        assert (
            df.lasso_gap(MONOTONE, x, penalty, signed)
            >= objective - solved(MONOTONE, penalty, signed)[1] - 1e-9
        )
        pull = A.T @ residual
        dual = min(1, penalty / (np.abs(pull) if signed else pull).max()) * residual
        value = 0.5 * y @ y - 0.5 * np.sum((y - dual) ** 2)
        gap = df.lasso_gap(MONOTONE, x, penalty, signed)
        assert gap == pytest.approx(objective - value, rel=1e-10)


def test_symmetric_columns_enter_together():
    path = df.lasso_path(df.Problem(np.eye(2), [1.0, -1.0]))
    assert path.success
    np.testing.assert_allclose(path.at([0.5]), [[0.5, -0.5]])


def test_of_equal_columns_one_is_used():
    problem = df.Problem([[1.0, 1.0, 0.3], [0.0, 0.0, 1.0]], [1.0, 0.2])
    path = df.lasso_path(problem)
    assert path.success
    (x,) = path.at([0.1])
    assert np.count_nonzero(x[:2]) == 1
    assert df.lasso_gap(problem, x, 0.1) <= 1e-15


def test_zero_data_and_positive_model_without_use():
    assert df.lasso_path(df.Problem([[1.0, 2.0]], [0.0])).success
    path = df.lasso_path(df.Problem([[1.0, 2.0]], [-1.0]), signed=False)
    np.testing.assert_array_equal(path.x, [[0, 0]])


def test_monotone_is_what_it_says():
    assert df.lasso_path(MONOTONE).monotone
    assert not df.lasso_path(FIXTURE).monotone
    for seed in range(12):
        problem = df.gaussian_problem(15, 30, 6, seed=seed)
        path = df.lasso_path(problem)
        grid = np.geomspace(path.penalties[0], path.penalties[-2] / 30, 3000)
        scaled = np.abs(path.at(grid)) / grid[:, None]
        assert path.monotone == bool(np.all(np.diff(scaled, axis=0) >= -1e-9 * scaled.max()))


def test_average_of_the_saddle_path_is_the_lassos_where_that_is_monotone():
    errors = {True: [], False: []}
    for seed in range(12):
        problem = df.gaussian_problem(15, 30, 2 + seed % 6, seed=seed)
        lasso, path = df.lasso_path(problem), df.saddle_path(problem)
        penalties = np.geomspace(0.9 * lasso.penalties[0], lasso.penalties[-2] / 3, 50)
        error = np.abs(path.average(1 / penalties) - lasso.at(penalties)).max()
        errors[lasso.monotone].append(error)
    assert len(errors[True]) >= 3
    assert len(errors[False]) >= 3
    assert max(errors[True]) <= 1e-10
    assert min(errors[False]) > 1e-8


@pytest.mark.parametrize("depth", [2, 3, np.inf])
def test_averages_of_the_flow_are_integrals_of_it(depth):
    model = df.DeepFactorization(depth, alpha=0.05 if depth < np.inf else 1e-3)
    found = df.averaged_flow(MONOTONE, model, np.array([0.4, 0.1]))
    assert found.success
    for end, average in zip(found.times, found.x, strict=True):
        times = np.linspace(0, end, 20001)
        flow = df.gradient_flow(MONOTONE, model, times)
        direct = np.trapezoid(flow.x, times, axis=0) / end
        np.testing.assert_allclose(average, direct, atol=1e-5)


def test_positive_average_is_that_of_its_own_lasso():
    problem = df.gaussian_problem(20, 40, 3, seed=1, nonnegative=True)
    path = df.lasso_path(problem, signed=False)
    penalties = path.penalties[0] * np.array([0.8, 0.3])
    model = df.DeepFactorization(3, alpha=1e-4, signed=False)
    found = df.averaged_flow(problem, model, penalties)
    np.testing.assert_allclose(found.x, path.at(penalties), atol=1e-3)


@pytest.mark.parametrize(
    ("model", "penalties", "error"),
    [
        (df.DeepFactorization(1), [0.1], ValueError),
        (df.DeepFactorization(2, alpha=2.0), [0.1], ValueError),
        (df.DeepFactorization(3, alpha=np.full(40, 0.1)), [0.1], ValueError),
        (df.DeepFactorization(3, alpha=0.1), [0.0], ValueError),
        ("model", [0.1], TypeError),
    ],
)
def test_bad_arguments_of_averages(model, penalties, error):
    with pytest.raises(error):
        df.averaged_flow(MONOTONE, model, penalties)


def test_clock_needs_a_deformation():
    with pytest.raises(TypeError, match="MirrorMap"):
        path_clock("model")
    with pytest.raises(ValueError, match="deformation"):
        path_clock(SineMap())
    assert path_clock(df.DeepFactorization(2, alpha=np.exp(-3))) == pytest.approx(3)
    assert path_clock(df.DeepFactorization(4, alpha=0.1)) == pytest.approx(50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3), 0.1), "length N"),
        ((np.ones(40), 0.0), "penalty"),
        ((-np.ones(40), 0.1, False), "nonnegative"),
    ],
)
def test_bad_arguments_of_the_gap(arguments, message):
    with pytest.raises(ValueError, match=message):
        df.lasso_gap(MONOTONE, *arguments)


def test_penalties_below_the_path_are_refused():
    with pytest.raises(ValueError, match="penalties"):
        df.lasso_path(MONOTONE).at([-0.1])
    with pytest.raises(ValueError, match="taus"):
        df.saddle_path(MONOTONE).average([0.0])

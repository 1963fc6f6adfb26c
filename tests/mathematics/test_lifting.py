"""Factors and their prices, factored least squares, products of matrices."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import approx_fprime, linprog, minimize_scalar

import deepfact as df
from deepfact import lifting


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("power", [1.5, 2.0, 3.0])
def test_no_factors_are_cheaper_than_balanced_ones(rng, depth, power):
    x = np.array([0.3, -2.0, 5.0])
    price = lifting.factor_price(x, depth, power)
    balanced = lifting.balanced_factors(x, depth)
    np.testing.assert_allclose(balanced.prod(axis=0), x)
    assert np.sum(np.abs(balanced) ** power) / depth == pytest.approx(price)
    for _ in range(50):
        factors = rng.standard_normal((depth, 3))
        factors[0] = x / factors[1:].prod(axis=0)
        assert np.sum(np.abs(factors) ** power) / depth >= price


def test_search_finds_the_price(rng):
    for depth, power in ((2, 2.0), (3, 2.0), (4, 4.0)):
        found = lifting.searched_price(-0.7, depth, power, 3 * rng.standard_normal(depth - 1))
        assert found == pytest.approx(0.7 ** (power / depth), rel=1e-10)
    with pytest.raises(ValueError, match="x must not be 0"):
        lifting.searched_price(0.0, 2, 2.0, np.zeros(1))


def test_least_norm_is_among_the_basic_solutions():
    problem = df.gaussian_problem(4, 7, 7, seed=1)
    supports, solutions = lifting.basic_solutions(problem)
    assert len(supports) == 35
    np.testing.assert_allclose(solutions @ problem.dense().T, np.tile(problem.y, (35, 1)))
    assert np.all((solutions != 0).sum(axis=1) == 4)
    columns = np.hstack([problem.dense(), -problem.dense()])
    best = linprog(np.ones(14), A_eq=columns, b_eq=problem.y).fun
    assert np.abs(solutions).sum(axis=1).min() == pytest.approx(best)
    with pytest.raises(ValueError, match="N choose M"):
        lifting.basic_solutions(problem, most=34)


@pytest.mark.parametrize(("depth", "power"), [(2, 2.0), (3, 2.0), (3, 3.0), (4, 4.0)])
def test_derivatives_of_the_objective(rng, depth, power):
    problem = df.gaussian_problem(4, 6, 2, seed=2)
    model = lifting.FactoredLasso(problem, 0.3, depth, power)
    factors = rng.standard_normal((depth, 6))
    factors[0, 1] = 0.0
    _, gradient = model.value_and_gradient(factors)

    def at(flat):
        return model.value_and_gradient(flat.reshape(depth, 6))

    flat = factors.ravel()
    np.testing.assert_allclose(gradient.ravel(), approx_fprime(flat, lambda z: at(z)[0]), atol=1e-5)
    numeric = approx_fprime(flat, lambda z: at(z)[1].ravel())
    np.testing.assert_allclose(model.hessian(factors), numeric, atol=1e-5)


def test_lasso_minimiser_and_its_bounds(rng):
    problem = df.gaussian_problem(8, 14, 3, seed=3)
    x = lifting.lasso_minimiser(problem, 0.05)
    z = cp.Variable(14)
    objective = cp.sum_squares(problem.dense() @ z - problem.y) / 2 + 0.05 * cp.norm1(z)
    best = cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL")
    value, bound = lifting.lasso_bounds(problem, x, 0.05)
    assert value == pytest.approx(bound, abs=1e-14)
    assert value == pytest.approx(best, rel=1e-6)
    value, bound = lifting.lasso_bounds(problem, rng.standard_normal(14), 0.05)
    assert bound < best < value
    few = lifting.lasso_minimiser(problem, 0.05, [0, 3, 5])
    assert set(np.flatnonzero(few)) <= {0, 3, 5}


def test_hessian_at_a_critical_point_of_two_factors():
    problem = df.gaussian_problem(8, 14, 3, seed=4)
    model = lifting.FactoredLasso(problem, 0.02)
    x = lifting.lasso_minimiser(problem, 0.02, np.arange(4))
    factors = lifting.balanced_factors(x, 2)
    np.testing.assert_allclose(model.value_and_gradient(factors)[1], 0, atol=1e-15)
    eigenvalue = lifting.escape_eigenvalue(problem, x, 0.02)
    assert eigenvalue < 0
    assert np.linalg.eigvalsh(model.hessian(factors))[0] == pytest.approx(eigenvalue, abs=1e-14)
    full = lifting.lasso_minimiser(problem, 0.02)
    assert lifting.escape_eigenvalue(problem, full, 0.02) > 0
    assert lifting.escape_eigenvalue(problem, np.ones(14), 0.02) == np.inf


def test_stationary_point_beside_a_basic_solution():
    problem = df.gaussian_problem(4, 7, 7, seed=5)
    _, solutions = lifting.basic_solutions(problem)
    model = lifting.FactoredLasso(problem, 1e-9, 3)
    x = lifting.stationary_point(problem, 1e-9, solutions[0], 2 / 3)
    gradient = model.value_and_gradient(lifting.balanced_factors(x, 3))[1]
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    with pytest.raises(ArithmeticError, match="sign"):
        lifting.stationary_point(problem, 1e3, solutions[0], 2 / 3)


def test_descent_from_one_start_ends_at_the_lasso(rng):
    problem = df.gaussian_problem(8, 14, 3, seed=3)
    end = lifting.FactoredLasso(problem, 0.05).descend(rng.standard_normal((2, 14)))
    best = lifting.lasso_minimiser(problem, 0.05)
    np.testing.assert_allclose(end.prod(axis=0), best, atol=1e-6)


def test_soft_threshold_is_optimal_among_matrices(rng):
    Y = rng.standard_normal((5, 4))
    X = lifting.soft_threshold_singular_values(Y, 0.7)
    value, bound = lifting.nuclear_norm_bounds(Y, X, 0.7)
    assert value == pytest.approx(bound, abs=1e-13)
    value, bound = lifting.nuclear_norm_bounds(Y, rng.standard_normal((5, 4)), 0.7)
    assert bound < lifting.nuclear_norm_bounds(Y, X, 0.7)[0] < value
    start = [rng.standard_normal((5, 4)), rng.standard_normal((4, 4))]
    fitted, product = lifting.fit_matrix_factors(Y, 0.7, start)
    np.testing.assert_allclose(product, X, atol=1e-6)
    assert fitted == pytest.approx(lifting.nuclear_norm_bounds(Y, X, 0.7)[0], rel=1e-10)
    with pytest.raises(ValueError, match="two matrices"):
        lifting.fit_matrix_factors(Y, 0.7, start[:1])


def test_branches_of_a_singular_value():
    assert lifting.shrunk_singular_value(0.5, 0.3, 2) == pytest.approx(0.2)
    jump = (2 * 0.3 / 9) ** 0.75
    assert lifting.shrunk_singular_value(4 * jump * (1 - 1e-9), 0.3, 3) == 0
    edge = lifting.shrunk_singular_value(4 * jump * (1 + 1e-9), 0.3, 3)
    assert edge == pytest.approx(jump, rel=1e-3)
    z = lifting.shrunk_singular_value(1.5, 0.3, 3)
    found = minimize_scalar(
        lambda t: (t - 1.5) ** 2 / 2 + 0.3 * t ** (2 / 3), bounds=(0.5, 1.5), method="bounded"
    )
    assert z == pytest.approx(found.x, abs=1e-5)

import dataclasses
from fractions import Fraction
from itertools import combinations

import cvxpy as cp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog
from scipy.sparse.linalg import LinearOperator

from deepfact import basis_pursuit as module_or_function
from deepfact.l1_minimisation import basis_pursuit, bpdn
from deepfact.problem import Problem, dct_problem, gaussian_problem

SMALL = st.integers(-3, 3).map(float)


def exact(v):
    return [Fraction(float(t)) for t in np.ravel(v)]


def check_certificate(result, problem, weights=None, nonnegative=False, noise_level=0.0):
    """Check in exact arithmetic: the dual vector is feasible, its value not overstated."""
    A, y = problem.dense(), problem.y
    w = exact(np.ones(A.shape[1]) if weights is None else weights)
    eta = exact(result.dual)
    for j in range(A.shape[1]):
        c = sum(a * e for a, e in zip(exact(A[:, j]), eta, strict=True))
        assert c <= w[j]
        assert nonnegative or -c <= w[j]
    product = sum(a * e for a, e in zip(exact(y), eta, strict=True))
    with mp.workdps(60):
        norm = mp.sqrt(sum(mp.mpf(e.numerator) ** 2 / mp.mpf(e.denominator) ** 2 for e in eta))
        value = mp.mpf(product.numerator) / product.denominator - mp.mpf(noise_level) * norm
        # The returned vector is rounded once more than the bound: a few units either way.
        assert result.lower_bound <= value * (1 + 8 * mp.mpf(2) ** -52)


def exact_minimum(A, y, weights, nonnegative):
    """Return min <w, |x|> over A x = y, by all bases in rational arithmetic; None if infeasible."""
    M, N = A.shape
    best = None
    A, y = A.astype(int), y.astype(int)
    for size in range(min(M, N) + 1):
        for S in combinations(range(N), size):
            x = solve_exactly([[Fraction(int(A[i, j])) for j in S] for i in range(M)], y)
            if x is None or (nonnegative and any(t < 0 for t in x)):
                continue
            value = sum(Fraction(float(weights[j])) * abs(t) for j, t in zip(S, x, strict=True))
            best = value if best is None else min(best, value)
    return best


def solve_exactly(rows, y):
    """Return the solution of a full-column-rank rational system, or None."""
    rows = [[*row, Fraction(int(t))] for row, t in zip(rows, y, strict=True)]
    columns, pivot = len(rows[0]) - 1, 0
    for j in range(columns):
        found = next((i for i in range(pivot, len(rows)) if rows[i][j]), None)
        if found is None:
            return None
        rows[pivot], rows[found] = rows[found], rows[pivot]
        rows[pivot] = [t / rows[pivot][j] for t in rows[pivot]]
        for i in range(len(rows)):
            if i != pivot and rows[i][j]:
                rows[i] = [a - rows[i][j] * b for a, b in zip(rows[i], rows[pivot], strict=True)]
        pivot += 1
    if any(row[-1] for row in rows[pivot:]):
        return None
    return [rows[i][-1] for i in range(columns)]


def test_public_name_is_the_function():
    assert module_or_function is basis_pursuit


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("solver", ["HIGHS", "CLARABEL", "SCIPY"])
def test_recovers_a_sparse_signal_to_rounding(nonnegative, solver):
    problem = gaussian_problem(40, 100, 6, seed=3, nonnegative=nonnegative)
    result = basis_pursuit(problem, nonnegative=nonnegative, solver=solver)
    assert result.success
    assert np.max(np.abs(result.x - problem.x_true)) < 1e-14
    assert result.residual < 1e-15
    assert 0 < result.gap < 1e-12 * result.value
    assert result.value == pytest.approx(np.abs(problem.x_true).sum(), rel=1e-14)
    check_certificate(result, problem, nonnegative=nonnegative)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_agrees_with_a_linear_program_of_scipy_where_recovery_fails(nonnegative):
    problem = gaussian_problem(20, 60, 18, seed=1, nonnegative=nonnegative)
    weights = np.random.default_rng(0).uniform(0.1, 10, 60)
    result = basis_pursuit(problem, nonnegative=nonnegative, weights=weights)
    B = problem.A if nonnegative else np.hstack([problem.A, -problem.A])
    cost = weights if nonnegative else np.tile(weights, 2)
    assert result.value == pytest.approx(linprog(cost, A_eq=B, b_eq=problem.y).fun, rel=1e-12)
    assert result.gap < 1e-12 * result.value
    assert np.count_nonzero(result.x) == 20
    assert result.value == pytest.approx(weights @ np.abs(result.x), rel=1e-15)
    check_certificate(result, problem, weights, nonnegative)


@settings(max_examples=60)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5)),
    nonnegative=st.booleans(),
)
def test_against_exact_minimum_of_all_bases(data, shape, nonnegative):
    A = data.draw(arrays(float, shape, elements=SMALL))
    y = data.draw(arrays(float, shape[0], elements=SMALL))
    weights = data.draw(arrays(float, shape[1], elements=st.sampled_from([0.25, 1.0, 3.0])))
    result = basis_pursuit(Problem(A, y), nonnegative=nonnegative, weights=weights)
    Q = exact_minimum(A, y, weights, nonnegative)
    if Q is None:
        assert result.status == "infeasible"
        assert np.isnan(result.x).all()
        return
    assert result.status == "optimal"
    assert result.lower_bound <= Q
    assert result.value == pytest.approx(float(Q), rel=1e-13, abs=1e-13)
    assert result.gap <= 1e-12 * max(float(Q), 1)
    assert np.allclose(A @ result.x, y, rtol=0, atol=1e-13)
    assert not nonnegative or result.x.min() >= 0
    check_certificate(result, Problem(A, y), weights, nonnegative)


def test_weights_are_a_rescaling_of_the_columns():
    problem = gaussian_problem(15, 40, 4, seed=5)
    weights = np.logspace(-3, 3, 40)
    weighted = basis_pursuit(problem, weights=weights)
    plain = basis_pursuit(Problem(problem.A / weights, problem.y))
    assert weighted.success
    assert np.allclose(weights * weighted.x, plain.x, rtol=1e-10, atol=1e-12)
    assert np.any(np.abs(basis_pursuit(problem).x - weighted.x) > 1e-3)


@pytest.mark.parametrize(("size_A", "size_y"), [(1.0, 1e-280), (1e-150, 1e100), (1e200, 1e-90)])
def test_any_scale(size_A, size_y):
    problem = gaussian_problem(15, 40, 3, seed=2)
    scaled = basis_pursuit(Problem(size_A * problem.A, size_y * problem.y))
    assert scaled.success
    assert np.allclose(scaled.x * size_A / size_y, problem.x_true, rtol=0, atol=1e-13)
    assert 0 <= scaled.gap < 1e-12 * scaled.value


def test_minimiser_beyond_the_largest_double_is_a_failure():
    result = basis_pursuit(Problem([[1e-200]], [1e200]))
    assert result.status == "failed"
    assert np.isnan(result.x).all()
    assert "largest double" in result.message


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("noise_level", [0.0, 0.5])
def test_zero_measurements(nonnegative, noise_level):
    result = bpdn(Problem(np.ones((2, 3)), np.zeros(2)), noise_level, nonnegative=nonnegative)
    assert result.success
    assert result.value == result.lower_bound == result.gap == result.residual == 0
    assert not result.x.any()


def test_infeasible_signed():
    A = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    result = basis_pursuit(Problem(A, [1.0, 2.0]))
    assert result.status == "infeasible"
    assert not result.success
    assert "no signal reaches y" in result.message
    assert np.isnan(result.x).all()
    assert result.value == np.inf
    assert result.lower_bound == 0
    assert np.isnan(result.gap)
    assert np.allclose(A.T @ result.dual, 0, rtol=0, atol=1e-14)
    assert result.dual @ [1.0, 2.0] == pytest.approx(np.sqrt(0.5))


def test_infeasible_nonnegative_is_separated():
    problem = gaussian_problem(8, 12, 12, seed=0)
    result = basis_pursuit(problem, nonnegative=True)
    assert basis_pursuit(problem).success
    assert result.status == "infeasible"
    assert np.max(problem.A.T @ result.dual) < 1e-14
    assert problem.y @ result.dual > 0.1


def test_infeasible_without_columns():
    assert basis_pursuit(Problem(np.zeros((2, 3)), [1.0, 0.0])).status == "infeasible"


@pytest.mark.parametrize("nonnegative", [False, True])
def test_slightly_inconsistent_measurements_are_not_taken_for_solved(nonnegative):
    """1e-8 is below the feasibility tolerance of the linear programming solver."""
    A = np.array([[1.0, 2.0], [3.0, 1.0], [1.0, 1.0]])
    y = A @ [1.0, 2.0] + [0, 0, 1e-8]
    assert basis_pursuit(Problem(A, y), nonnegative=nonnegative).status == "infeasible"
    assert basis_pursuit(Problem(A, A @ [1.0, 2.0]), nonnegative=nonnegative).success


def test_rank_deficient_duplicate_rows_and_columns_and_tall():
    base = gaussian_problem(12, 30, 3, seed=4)
    rows = np.vstack([base.A, base.A[:5], base.A.sum(axis=0)])
    result = basis_pursuit(Problem(rows, rows @ base.x_true))
    assert result.success
    assert np.allclose(result.x, base.x_true, atol=1e-13)
    columns = basis_pursuit(Problem(np.hstack([base.A, base.A]), base.y))
    assert columns.success
    assert np.allclose(columns.x[:30] + columns.x[30:], base.x_true, atol=1e-13)
    tall = np.random.default_rng(0).standard_normal((50, 20))
    x = np.arange(20.0) - 7
    assert np.allclose(basis_pursuit(Problem(tall, tall @ x)).x, x, atol=1e-12)


def test_linear_operator_and_its_size_limit():
    problem = dct_problem(30, 80, 4, seed=1)
    result = basis_pursuit(problem)
    assert np.allclose(result.x, problem.x_true, atol=1e-13)
    with pytest.raises(ValueError, match=r"problem\.A is a LinearOperator .* max_entries = 2399"):
        basis_pursuit(problem, max_entries=2399)
    assert basis_pursuit(problem, max_entries=2400).success
    huge = LinearOperator((10**5, 10**6), matvec=lambda x: x, dtype=float)
    with pytest.raises(ValueError, match="max_entries"):
        bpdn(Problem(huge, np.ones(10**5)), 0.1)


def test_operator_with_nan_is_refused():
    operator = LinearOperator(
        (2, 2), matvec=lambda x: x * np.nan, rmatvec=lambda x: x * np.nan, dtype=float
    )
    with pytest.raises(ValueError, match=r"problem\.A must be finite"):
        basis_pursuit(Problem(operator, [1.0, 2.0]))


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_lower_bound_needs_no_trust_in_the_solver(monkeypatch, sigma):
    problem = gaussian_problem(10, 25, 3, seed=8)
    best = bpdn(problem, sigma)
    rng = np.random.default_rng(1)

    def lie(*_):
        return rng.standard_normal(25), rng.standard_normal(10) * 10 ** rng.uniform(-9, 9), "lie"

    monkeypatch.setattr("deepfact.l1_minimisation.proposal", lie)
    bounds = []
    for _ in range(60):
        result = bpdn(problem, sigma)
        assert result.status == "inaccurate"
        assert result.lower_bound <= best.value
        check_certificate(result, problem, noise_level=sigma)
        bounds.append(result.lower_bound)
    assert max(bounds) > 0.02 * best.value


def test_lower_bound_allows_for_cancellation(monkeypatch):
    """Nearly dependent rows: A^T eta and <y, eta> are differences of huge terms."""
    rng = np.random.default_rng(5)
    row = rng.uniform(0.5, 2.0, 6)
    A = np.vstack([row, row + 1e-11 * rng.standard_normal(6), rng.standard_normal(6)])
    problem = Problem(A, A @ [0.0, 1.0, 0.0, -2.0, 0.0, 0.0])

    def lie(*_):
        eta = rng.standard_normal() * np.array([1.0, -1.0, 0.0]) * 1e10
        return rng.standard_normal(6), eta + rng.standard_normal(3), "lie"

    check_certificate(basis_pursuit(problem), problem)
    monkeypatch.setattr("deepfact.l1_minimisation.proposal", lie)
    for _ in range(100):
        check_certificate(basis_pursuit(problem), problem)


def test_failing_solver(monkeypatch):
    def fail(*_, **__):
        raise cp.error.SolverError("out of luck")

    monkeypatch.setattr(cp.Problem, "solve", fail)
    result = basis_pursuit(gaussian_problem(5, 10, 2))
    assert result.status == "failed"
    assert "out of luck" in result.message
    assert np.isnan(result.x).all()
    assert np.isnan(result.value)
    assert result.lower_bound == 0


def test_result_is_frozen():
    result = basis_pursuit(gaussian_problem(5, 10, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.value = 0.0


@pytest.mark.parametrize("noise_level", [1e-6, 0.01, 0.5])
def test_bpdn_with_the_identity_is_soft_thresholding(noise_level):
    y = np.array([3.0, -2.0, 0.5, 0.25, -1.0])
    w = np.array([1.0, 2.0, 0.5, 4.0, 1.0])
    result = bpdn(Problem(np.eye(5), y), noise_level, weights=w)
    assert result.success
    t = np.max((np.abs(y) - np.abs(result.x))[result.x != 0] / w[result.x != 0])
    expected = np.sign(y) * np.maximum(np.abs(y) - t * w, 0)
    assert np.allclose(result.x, expected, rtol=0, atol=1e-12)
    assert np.linalg.norm(result.x - y) == pytest.approx(noise_level, rel=1e-9)
    assert 0 <= result.gap < 1e-9 * result.value
    check_certificate(result, Problem(np.eye(5), y), w, noise_level=noise_level)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_bpdn_certificate_and_constraint(nonnegative):
    sigma = 0.05 * np.sqrt(40)
    problem = gaussian_problem(40, 120, 6, seed=1, noise=0.05, nonnegative=True)
    result = bpdn(problem, sigma, nonnegative=nonnegative)
    assert result.success
    assert result.residual * np.linalg.norm(problem.y) == pytest.approx(sigma, rel=1e-10)
    assert abs(result.gap) < 1e-11 * result.value
    assert not nonnegative or result.x.min() >= 0
    check_certificate(result, problem, nonnegative=nonnegative, noise_level=sigma)
    # The true signal obeys the constraint, so it cannot be shorter than the minimiser.
    assert np.linalg.norm(problem.A @ problem.x_true - problem.y) <= 1.2 * sigma
    assert bpdn(problem, 1.2 * sigma).lower_bound <= np.abs(problem.x_true).sum()


def test_bpdn_limits_in_the_noise_level():
    problem = gaussian_problem(20, 50, 4, seed=6)
    assert np.array_equal(bpdn(problem, 0.0).x, basis_pursuit(problem, solver="CLARABEL").x)
    values = [bpdn(problem, sigma).value for sigma in (0.0, 1e-5, 1e-2, 0.1, 1.0)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 5
    everything = bpdn(problem, float(np.linalg.norm(problem.y)))
    assert not everything.x.any()
    assert everything.success
    assert everything.residual == 1


def test_bpdn_infeasible():
    A = np.array([[1.0], [0.0]])
    assert bpdn(Problem(A, [1.0, 0.5]), 0.4).status == "infeasible"
    result = bpdn(Problem(A, [1.0, 0.5]), 0.6)
    assert result.success
    assert result.x[0] == pytest.approx(1 - np.sqrt(0.36 - 0.25), abs=1e-12)


PROBLEM = gaussian_problem(4, 8, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"problem": PROBLEM.A}, TypeError, "problem must be a Problem"),
        ({"nonnegative": 1}, TypeError, "nonnegative must be True or False"),
        ({"signed": 1}, TypeError, "signed must be True or False"),
        ({"signed": True, "nonnegative": True}, ValueError, "they are opposites"),
        ({"weights": np.ones(7)}, ValueError, "weights must have length N = 8, got 7"),
        ({"weights": np.ones((8, 1))}, ValueError, "weights must have 1 dim"),
        ({"weights": np.zeros(8)}, ValueError, "weights must be positive"),
        ({"weights": -np.ones(8)}, ValueError, "weights must be positive"),
        ({"weights": np.full(8, np.nan)}, ValueError, "weights must be finite"),
        ({"weights": np.full(8, np.inf)}, ValueError, "weights must be finite"),
        ({"weights": np.ones(8) * 1j}, TypeError, "weights must hold real"),
        ({"weights": ["a"] * 8}, TypeError, "weights must hold real"),
        ({"weights": 2.0}, ValueError, "weights must have 1 dim"),
        ({"solver": "GUROBI9"}, ValueError, "solver must be one of"),
        ({"solver": None}, TypeError, "solver must be the name"),
        ({"max_entries": 0}, ValueError, "max_entries must be at least 1"),
        ({"max_entries": 1e6}, TypeError, "max_entries must be an integer"),
        ({"noise_level": -1.0}, ValueError, "noise_level must be at least 0"),
        ({"noise_level": np.nan}, ValueError, "noise_level must be finite"),
        ({"noise_level": np.inf}, ValueError, "noise_level must be finite"),
        ({"noise_level": "1"}, TypeError, "noise_level must be a real number"),
        ({"noise_level": 1j}, TypeError, "noise_level must be a real number"),
    ],
)
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        bpdn(**{"problem": PROBLEM, "noise_level": 0.1, **arguments})
    if "noise_level" not in arguments:
        with pytest.raises(error, match=match):
            basis_pursuit(**{"problem": PROBLEM, **arguments})

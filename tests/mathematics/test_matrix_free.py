"""The limit from products with A alone: against the matrix, with certificates, and honest ends."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import random_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from deepfact.deep_factorization import DeepFactorization
from deepfact.limit import entry as limit_module
from deepfact.limit import flow_limit
from deepfact.limit.matrix_free import operator_limit
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem, dct_problem, gaussian_problem

DEPTHS = [2, 2.5, 3, 6, np.inf]


def counted(A):
    """Return A as an operator that counts its applications."""
    count = {"products": 0}

    def forward(x):
        count["products"] += 1
        return A.matvec(x)

    def adjoint(r):
        count["products"] += 1
        return A.rmatvec(r)

    return LinearOperator(A.shape, matvec=forward, rmatvec=adjoint, dtype=float), count


def relative(x, z):
    return np.linalg.norm(x - z) / np.linalg.norm(z)


def off_curve(problem, model, limit):
    """Return how far A^T nu is from the signal's own dual variable, relative to its size."""
    w = problem.A.T @ limit.dual
    off = np.abs(model.potential_gradient(limit.x) - w)
    return np.max(np.exp(model.log_rate) * off) / np.max(np.exp(model.log_rate) * np.abs(w))


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize(("depth", "log10_alpha"), [(2, -20), (3, -5), (6, -4), (np.inf, -12)])
def test_few_products_at_2_to_the_14_unknowns(depth, log10_alpha, signed):
    problem = dct_problem(2**12, 2**14, 2**8, seed=0, signed=signed)
    A, count = counted(problem.A)
    assert problem.M * problem.N > limit_module._DENSE_LIMIT
    model = DeepFactorization(depth, signed=signed, log_alpha=log10_alpha * np.log(10))
    limit = flow_limit(Problem(A, problem.y), model)
    assert limit.status == "converged"
    assert limit.iterations == count["products"] <= 112  # SPGL1 needs 112 for an error of 1e-6
    assert limit.residual <= 1e-10
    assert relative(limit.x, problem.x_true) <= 1e-6
    assert limit.lower_bound <= np.abs(problem.x_true).sum() <= limit.l1_norm


def small_problem(kind, signed):
    """Return a problem with its matrix, and enough nonzeros for positive feasible points."""
    generate = dct_problem if kind == "dct" else gaussian_problem
    problem = generate(60, 150, 12 if signed else 60, seed=2, signed=signed)
    A = problem.dense()
    if kind == "rows":
        A = A * np.geomspace(1, 5, 60)[:, None]
    return Problem(A, A @ problem.x_true)


@pytest.mark.parametrize("kind", ["dct", "gaussian"])
@pytest.mark.parametrize("alpha", [0.3, 1e-2])
@pytest.mark.parametrize("depth", DEPTHS)
def test_agrees_with_the_matrix(kind, depth, alpha):
    problem = small_problem(kind, signed=True)
    model = DeepFactorization(depth, alpha)
    limit = operator_limit(aslinearoperator(problem.A), problem.y, model)
    assert limit.converged
    assert limit.residual <= 1e-10
    assert relative(limit.x, flow_limit(problem, model).x) <= 1e-6
    assert off_curve(problem, model, limit) <= 2e-8


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize("kind", ["dct", "gaussian", "rows"])
def test_claims_are_true_and_most_problems_end_well(kind, signed):
    """Whatever the operator: a claim holds, and the bounds do with or without one."""
    problem = small_problem(kind, signed)
    ends = []
    for depth in DEPTHS:
        for alpha in (0.1, 1e-3):
            model = DeepFactorization(depth, alpha, signed)
            matrix = flow_limit(problem, model)
            limit = operator_limit(aslinearoperator(problem.A), problem.y, model)
            ends.append(limit.converged)
            assert limit.lower_bound <= matrix.l1_norm
            assert matrix.lower_bound <= limit.l1_norm
            if limit.converged:
                assert limit.residual <= 1e-10
                assert relative(limit.x, matrix.x) <= 1e-6
    assert np.mean(ends) >= 0.5


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
def test_one_alpha_a_coordinate(signed):
    problem = small_problem("dct", signed)
    log_alpha = np.log(0.1) + 0.3 * np.random.default_rng(0).standard_normal(150)
    for depth in (2, 3):
        model = DeepFactorization(depth, signed=signed, log_alpha=log_alpha)
        limit = operator_limit(aslinearoperator(problem.A), problem.y, model)
        assert limit.converged
        assert relative(limit.x, flow_limit(problem, model).x) <= 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_where_the_support_is_not_unique(seed):
    """Integer matrices with dependent columns: any end but a false one."""
    rng = np.random.default_rng(seed)
    A = rng.integers(-2, 3, size=(4, 9)).astype(float)
    A[:, 1] = A[:, 0]
    y = A @ rng.integers(-1, 2, size=9)
    program = linprog(np.ones(18), A_eq=np.hstack([A, -A]), b_eq=y)
    for depth in (2, 3):
        model = DeepFactorization(depth, 1e-3)
        limit = operator_limit(aslinearoperator(A), y, model)
        assert limit.lower_bound <= program.fun * (1 + 1e-9)
        assert program.fun <= limit.l1_norm * (1 + 1e-9)
        if limit.converged and y.any():
            assert relative(limit.x, flow_limit(Problem(A, y), model).x) <= 1e-5


def other_operator(kind, rng):
    """Return an operator that is not like a row of a DCT."""
    A = dct_problem(100, 300, 5, seed=rng).A
    rows, columns = np.ones(100), np.ones(300)
    if kind == "sparse":
        sparse = random_array((100, 500), density=0.05, rng=rng, data_sampler=rng.standard_normal)
        return aslinearoperator(sparse.tocsr())
    if kind == "very sparse":  # a fifth of the columns are zero
        sparse = random_array((100, 500), density=0.016, rng=rng, data_sampler=rng.standard_normal)
        return aslinearoperator(sparse.tocsr())
    if kind == "convolution":
        filtered = np.fft.rfft(rng.standard_normal(256)) / 8
        seen = np.sort(rng.choice(256, 80, replace=False))

        def forward(x):
            return np.fft.irfft(filtered * np.fft.rfft(x.ravel()), 256)[seen]

        def adjoint(r):
            full = np.zeros(256)
            full[seen] = r.ravel()
            return np.fft.irfft(filtered.conj() * np.fft.rfft(full), 256)

        return LinearOperator((80, 256), matvec=forward, rmatvec=adjoint, dtype=float)
    if kind == "Kronecker":
        B, C = rng.standard_normal((2, 10, 18))
        return LinearOperator(
            (100, 324),
            matvec=lambda x: (B @ x.reshape(18, 18) @ C.T).ravel(),
            rmatvec=lambda r: (B.T @ r.reshape(10, 10) @ C).ravel(),
            dtype=float,
        )
    if kind == "zero columns":
        columns[rng.choice(300, 60, replace=False)] = 0.0
    if kind == "columns":
        columns = 10 ** rng.uniform(-1, 1, 300)
    if kind == "rows":
        rows = 10 ** rng.uniform(-2, 2, 100)
    return LinearOperator(
        A.shape,
        matvec=lambda x: rows * A.matvec(columns * x.ravel()),
        rmatvec=lambda r: columns * A.rmatvec(rows * r.ravel()),
        dtype=float,
    )


KINDS = ["sparse", "very sparse", "convolution", "Kronecker", "zero columns", "columns", "rows"]


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_operators(kind, signed):
    """Each ends well, and where the matrix says."""
    rng = np.random.default_rng(3)
    A = other_operator(kind, rng)
    M, N = A.shape
    matrix = A @ np.eye(N)
    used = np.flatnonzero(matrix.any(axis=0))
    x = np.zeros(N)
    x[rng.choice(used, M // 12, replace=False)] = rng.standard_normal(M // 12)
    if not signed:
        x[used] = np.abs(x[used]) + 0.05 * rng.random(len(used))
    problem = Problem(matrix, matrix @ x)
    for depth, alpha in ((2, 1e-3), (3, 1e-2), (3, 1e-4)):
        model = DeepFactorization(depth, alpha, signed)
        limit = operator_limit(A, problem.y, model)
        reference = flow_limit(problem, model)
        assert reference.success
        assert limit.converged, (depth, alpha)
        assert relative(limit.x, reference.x) <= 1e-6
        assert limit.lower_bound <= reference.l1_norm
        assert reference.lower_bound <= limit.l1_norm
        still = model.signal(np.zeros(N - len(used)))
        np.testing.assert_allclose(np.delete(limit.x, used), still, rtol=1e-12, atol=0)


@pytest.mark.parametrize("density", [0.02, 0.002])
def test_sparse_matrices_with_few_entries_a_column(density):
    """8 and .8 entries a column on average; the second has many columns that are parallel."""
    rng = np.random.default_rng(0)
    A = random_array((400, 4000), density=5 * density, rng=rng, data_sampler=rng.standard_normal)
    x = np.zeros(4000)
    used = np.flatnonzero(abs(A).sum(axis=0))
    x[rng.choice(used, 10, replace=False)] = rng.standard_normal(10)
    problem, model = Problem(A.toarray(), A @ x), DeepFactorization(3, 1e-3)
    limit = operator_limit(aslinearoperator(A.tocsr()), problem.y, model)
    assert limit.converged
    assert relative(limit.x, flow_limit(problem, model).x) <= 1e-6


def test_a_wrong_adjoint_is_an_error():
    A = small_problem("gaussian", signed=True).A
    for wrong in (2 * A, -A, A * (np.arange(150) != 7)):
        operator = LinearOperator(
            A.shape, matvec=lambda x: A @ x, rmatvec=lambda r, B=wrong: B.T @ r, dtype=float
        )
        with pytest.raises(ValueError, match="rmatvec as the adjoint of matvec"):
            operator_limit(operator, np.ones(60), DeepFactorization(3, 1e-2))


def test_no_measurement_and_depth_one():
    problem = small_problem("rows", signed=True)
    A = aslinearoperator(problem.A)
    limit = operator_limit(A, np.zeros(60), DeepFactorization(3, 0.1))
    assert limit.converged
    assert not limit.x.any()
    limit = operator_limit(A, problem.y, DeepFactorization(1))
    assert limit.converged
    np.testing.assert_allclose(limit.x, np.linalg.pinv(problem.A) @ problem.y, atol=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_measurements_out_of_range_are_not_solved(depth):
    A = small_problem("gaussian", signed=True).A
    doubled = np.vstack([A, A[:1]])
    y = doubled @ np.ones(150)
    y[-1] += 1.0
    model = DeepFactorization(depth, None if depth == 1 else 1e-2)
    limit = operator_limit(aslinearoperator(doubled), y, model)
    assert not limit.converged
    assert limit.residual > 1e-3
    nothing = aslinearoperator(np.zeros(A.shape))
    assert not operator_limit(nothing, y[:60], model).converged


def test_a_large_operator_that_stalls_says_so(monkeypatch):
    problem = small_problem("dct", signed=True)
    monkeypatch.setattr(limit_module, "_DENSE_LIMIT", 0)
    A = problem.A.copy()
    A[0, 0] = np.nan
    bad = aslinearoperator(A)
    limit = flow_limit(Problem(bad, problem.y), DeepFactorization(3, 1e-2))
    assert limit.status == "stalled"
    assert "products" in limit.message
    assert limit.lower_bound == 0.0


class Linear(MirrorMap):
    """The identity: no model of the paper."""

    def signal(self, w):
        return w

    def signal_derivative(self, w):
        return np.ones_like(w)

    def potential(self, x):
        return 0.5 * x**2

    def potential_gradient(self, x):
        return x


def test_bad_input():
    one_way = LinearOperator((2**12, 2**13), matvec=lambda x: x[: 2**12], dtype=float)
    problem = Problem(one_way, np.ones(2**12))
    with pytest.raises(ValueError, match=r"problem\.A must have an adjoint"):
        flow_limit(problem, DeepFactorization(3, 1e-3))
    with pytest.raises(ValueError, match=r"problem\.A must have at most 16777216 entries .*4096 x"):
        flow_limit(problem, Linear())

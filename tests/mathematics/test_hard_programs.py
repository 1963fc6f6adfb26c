"""Basis pursuit on rows, columns and data of very different sizes; right values in rationals."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.linalg import hilbert

from deepfact import Problem, basis_pursuit, bpdn
from tests.fuzz.exact import basis_pursuit as exact_basis_pursuit
from tests.fuzz.exact import least_squares, rational_matrix


def check(A, y, nonnegative=False, rtol=1e-6):
    """Return the result after holding it against the exact linear program."""
    least = least_squares(A, y, nonnegative)
    assert least.feasible
    Q = exact_basis_pursuit(rational_matrix(A), least.target, least.z, nonnegative).value
    Q = int(Q.p) / int(Q.q)
    result = basis_pursuit(Problem(A, y), nonnegative=nonnegative)
    assert result.status == "optimal"
    assert result.value == pytest.approx(Q, rel=rtol)
    assert result.lower_bound <= Q
    assert result.lower_bound == pytest.approx(Q, rel=rtol)
    return result


def spikes(M, N, seed):
    rng = np.random.default_rng(seed)
    x = np.zeros(N)
    x[rng.choice(N, 4, replace=False)] = 1.0
    return rng, rng.standard_normal((M, N)), x


def test_diagonal_of_very_unequal_entries():
    """x = (1, 1) is the only solution."""
    result = basis_pursuit(Problem(np.diag([1, 1e-10]), [1, 1e-10]))
    assert result.status == "optimal"
    np.testing.assert_allclose(result.x, [1, 1], rtol=1e-12)
    assert result.lower_bound <= 2 <= result.value * (1 + 1e-15)


@pytest.mark.parametrize("exponent", [-32, -100, 60])
def test_scaled_rows_change_nothing(exponent):
    _, A, x = spikes(10, 30, 0)
    scale = np.exp2(exponent * (np.arange(10) % 2))
    result = check(A * scale[:, None], (A @ x) * scale, rtol=1e-12)
    plain = basis_pursuit(Problem(A, A @ x))
    np.testing.assert_allclose(result.x, plain.x, atol=1e-12)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_two_rows_that_are_nearly_equal(seed, nonnegative):
    """Equal to 1e-8: a residual of 1e-9 would change the value in the second digit."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((6, 16))
    A[1] = A[0] + 1e-8 * rng.standard_normal(16)
    x = np.abs(rng.standard_normal(16)) if nonnegative else rng.standard_normal(16)
    check(A, A @ x, nonnegative)


@pytest.mark.parametrize("noise", [1e-9, 1e-8, 1e-7, 1e-6])
def test_little_noise(noise):
    """As many nonzeros as rows, most of the noise's size."""
    rng, A, x = spikes(20, 50, 1)
    check(A, A @ x + noise * rng.standard_normal(20), rtol=1e-12)


def test_single_precision_data():
    _, A, x = spikes(20, 50, 2)
    A = A.astype(np.float32)
    check(A.astype(float), (A @ x.astype(np.float32)).astype(float), rtol=1e-12)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_graded_rows_and_columns(seed, nonnegative):
    rng, A, x = spikes(20, 50, seed)
    rows, columns = 10.0 ** rng.integers(-4, 5, 20), 10.0 ** rng.integers(-4, 5, 50)
    check(A * rows[:, None], (A @ x) * rows, nonnegative, rtol=1e-9)
    check(A * columns, (A * columns) @ x, nonnegative, rtol=1e-7)


@pytest.mark.parametrize("size", [6, 8, 10])
def test_hilbert_matrices(size):
    A = hilbert(size)
    check(A, A @ np.ones(size))


@pytest.mark.parametrize("seed", range(4))
def test_denoising_of_many_spikes(seed):
    """The shape of l1-magic's example: 120 x 512, orthonormal rows, 20 spikes of size 1.

    Optimality: A^T eta is the sign on the support and no larger off it, eta along the residual.
    """
    rng = np.random.default_rng(seed)
    A = np.linalg.qr(rng.standard_normal((512, 120)))[0].T
    x = np.zeros(512)
    x[rng.choice(512, 20, replace=False)] = rng.choice([-1, 1], 20)
    level = 0.005 * np.sqrt(120) * np.sqrt(1 + 2 * np.sqrt(2 / 120))
    y = A @ x + 0.005 * rng.standard_normal(120)
    result = bpdn(Problem(A, y), level)
    assert result.status == "optimal"
    r = y - A @ result.x
    assert np.linalg.norm(r) == pytest.approx(level, rel=1e-9)
    price = A.T @ r
    support = result.x != 0
    np.testing.assert_allclose(
        price[support], np.sign(result.x[support]) * np.abs(price).max(), rtol=1e-6
    )


def test_certificate_is_sharper_than_the_solver():
    """HiGHS meets its own conditions to 1e-10; those that it meets nearly are made exact."""
    rng = np.random.default_rng(2)
    x = np.zeros(800)
    x[rng.choice(800, 30, replace=False)] = rng.standard_normal(30)
    A = rng.standard_normal((200, 800))
    result = basis_pursuit(Problem(A, A @ x))
    assert result.status == "optimal"
    np.testing.assert_allclose(result.x, x, atol=1e-13)
    assert abs(result.gap) <= 1e-12 * result.value


@pytest.mark.parametrize("seed", [1005, 1007])
def test_dual_vectors_that_cancel(seed):
    """Columns 10^+-4: A^T eta loses eight digits, and its error bound must not lose more."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((15, 40))
    x = np.zeros(40)
    x[rng.choice(40, 3, replace=False)] = rng.standard_normal(3)
    A = A * 10.0 ** rng.integers(-4, 5, 40)
    check(A, A @ x, rtol=1e-6)


@pytest.mark.parametrize("weights", [[0.0, 1.0], [np.inf, 1.0]])
def test_weights_without_meaning_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be"):
        basis_pursuit(Problem([[1.0, 2.0]], [1.0]), weights=weights)


@pytest.mark.parametrize("level", [1e-14, 1e-10, 1e-6])
def test_denoising_of_hardly_any_noise(level):
    """With as many nonzeros as rows: x = A_S^-1 (y - level eta/norm(eta)), eta = A_S^-T 1."""
    result = bpdn(Problem([[1, 0.5, 0.2], [0.3, 1, 1e-4]], [1, 1]), level)
    assert result.status == "optimal"
    eta = np.array([0.7, 0.5]) / 0.85
    right = eta.sum() - level * np.linalg.norm(eta)
    assert result.value == pytest.approx(right, rel=1e-13)
    assert result.lower_bound == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("weights", [[1e-300, 1e300], [1e-320, 1e308]])
def test_weights_beyond_the_range_are_said_to_be(weights):
    result = basis_pursuit(Problem([[1.0, 2.0], [3.0, 5.0]], [1.0, 1.0]), weights=weights)
    assert result.status == "failed"
    assert "weights and columns" in result.message


def test_nothing_is_printed():
    """In a process of its own: HiGHS 1.16 prints a banner when it is first used."""
    script = "import deepfact as df; print(df.basis_pursuit(df.Problem([[1, 2]], [1])).status)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "optimal\n", "")

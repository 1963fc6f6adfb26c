"""The loops of the notebook 07_noise."""

import numpy as np
import pytest

import deepfact as df
from deepfact.experiments import noise as experiment

SIZES = {"M": 12, "N": 24, "depths": [2, 3], "start": 1e-12, "trials": 2, "seed": 0}


def test_fixed_signal_bound_is_a_certificate():
    problem = df.gaussian_problem(20, 40, 2, seed=0)
    bound = experiment.fixed_signal_bound(problem.A, problem.x_true, 2)
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
    bound = experiment.fixed_signal_bound(A, x, 2)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1.0, 1e3):
        z = x + size * rng.standard_normal(40)
        excess = np.abs(z).sum() - np.abs(x).sum()
        assert np.linalg.norm(z - x) <= bound.error(A @ (z - x), excess)


def test_no_bound_without_a_certificate():
    problem = df.gaussian_problem(6, 40, 5, seed=0)
    bound = experiment.fixed_signal_bound(problem.A, problem.x_true, 5)
    assert bound.rho >= 1
    assert bound.error(np.ones(6), 1.0) == np.inf


def test_noise_sweep():
    table = experiment.noise_sweep(s=1, levels=[1e-2, 1e-1, 1.0], **SIZES)
    assert table["error"].shape == (2, 3, 4)
    assert np.all(table["error"][..., :2] <= table["bound"])
    assert np.all(table["l1_room"] >= 0)
    np.testing.assert_allclose(table["error"][..., 1], table["error"][..., 2], rtol=0.1)
    slope = experiment.slopes(table["noise"], table["error"])
    np.testing.assert_allclose(slope, 1.0, atol=0.3)
    again = experiment.noise_sweep(s=1, levels=[1e-2, 1e-1, 1.0], **SIZES)
    np.testing.assert_array_equal(table["error"], again["error"])


def test_slopes_of_powers():
    noise = np.array([[1.0, 2.0, 5.0]])
    error = np.stack([3 * noise, noise**2], axis=-1)
    np.testing.assert_allclose(experiment.slopes(noise, error), [[1.0, 2.0]])


def test_sparsity_and_power_law_sweeps():
    sparse = experiment.sparsity_sweep(sparsities=[1, 10], level=0.05, **SIZES)
    relative = sparse["error"] / sparse["noise"][..., None]
    assert relative.shape == (2, 2, 4)
    assert np.all(relative[:, 0].mean(axis=0) < relative[:, 1].mean(axis=0))
    law = experiment.power_law_sweep(s=2, exponents=[0.7, 3], level=0.02, **SIZES)
    assert np.all(law["error"][:, 0] > law["error"][:, 1])
    assert np.all(law["tail"][:, 0] > law["tail"][:, 1])
    assert np.all(law["error"][..., :2] <= law["bound"])


def test_early_stopping():
    runs = experiment.early_stopping_trials(12, 24, 1, 0.1, [2, 3], 1e-4, 40, 1, 0)
    for run in runs[0]:
        assert len(run["times"]) == 41
        assert run["margin"] >= 0
        assert run["best_divergence"] >= run["discrepancy"] > 0
        assert run["residual"][run["discrepancy"]] >= run["noise"]
        assert run["residual"][run["discrepancy"] + 1] < run["noise"]
        assert run["error"].min() <= run["limit_error"] * 1.001

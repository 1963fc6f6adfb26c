"""The limit path: jumps and plateaus by hand, its end, the flow that it is the limit of."""

import numpy as np
import pytest
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.saddle_path import saddle_path
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem, gaussian_problem

# Worked out by hand: coordinate 0 leaves again when coordinate 2 enters.
FIXTURE = Problem([[1, 0.5, 0.7, 0], [0.5, 1, 0.1, 0.7]], [1.0, 0.0])


def test_fixture():
    path = saddle_path(FIXTURE)
    assert path.status == "converged"
    np.testing.assert_allclose(path.times, [1, 4, 4 + 80 / 49], rtol=1e-13)
    plateaus = [[0.8, 0, 0, 0], [0, 0, 1.4, 0], [0, 0, 10 / 7, -10 / 49]]
    np.testing.assert_allclose(path.x, plateaus, atol=1e-14)
    np.testing.assert_allclose(path.loss, [0.1, 0.01, 0], atol=1e-15)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
@pytest.mark.parametrize(("M", "N", "s"), [(20, 60, 4), (30, 40, 25), (12, 30, 12)])
def test_ends_at_the_minimiser_of_the_l1_norm(M, N, s, signed):
    for seed in range(8):
        problem = gaussian_problem(M, N, s, seed=seed)
        best = basis_pursuit(problem, signed=signed)
        if best.status == "infeasible":
            continue
        path = saddle_path(problem, signed)
        assert path.success
        error = np.linalg.norm(path.x[-1] - best.x)
        assert error <= 1e-9 * np.linalg.norm(best.x)
        assert np.all(np.diff(path.times) > 0)
        assert np.all(np.diff(path.loss) < 0)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "positive"])
def test_each_plateau_is_stationary_and_each_score_within_its_thresholds(signed):
    path = saddle_path(gaussian_problem(15, 40, 8, seed=3, noise=0.1), signed)
    for x, score, drift in zip(path.x, path.score, path.drift, strict=True):
        on = x != 0
        np.testing.assert_array_equal(drift[on], 0)
        np.testing.assert_array_equal(score[on], np.sign(x[on]))
        assert score.max() <= 1
        assert not signed or score.min() >= -1
    # s is the integral of its drift, wherever a coordinate is inactive
    steps = np.diff(path.times)[:, None] * path.drift[:-1]
    np.testing.assert_allclose(path.score[1:], path.score[:-1] + steps, atol=1e-9)


def distances(problem, path, depth, log10_alpha):
    """Return how far the flow is from each plateau at its middle."""
    log_alpha = log10_alpha * np.log(10)
    clock = -log_alpha if depth == 2 else np.exp((2 - depth) * log_alpha) / (depth - 2)
    model = DeepFactorization(depth, log_alpha=log_alpha)
    flow = gradient_flow(problem, model, middles(path) * clock)
    return np.abs(flow.x - path.x).max(axis=1)


def middles(path):
    return np.append(0.5 * (path.times[:-1] + path.times[1:]), 1.5 * path.times[-1])


def slopes(problem, path, depth, log10_alphas):
    near, far = (distances(problem, path, depth, value) for value in log10_alphas)
    seen = far > 1e-11
    assert seen.any()
    return np.log10(near / far)[seen] / (log10_alphas[0] - log10_alphas[1]), seen


def test_the_deep_flow_comes_near_each_plateau_like_alpha_to_the_depth():
    problem = gaussian_problem(8, 16, 2, seed=2)
    path = saddle_path(problem)
    slope, _ = slopes(problem, path, 3, (-4, -5))
    np.testing.assert_allclose(slope, 3, rtol=0.01)


def test_the_flow_of_depth_two_comes_near_each_plateau_at_the_predicted_rate():
    """Inactive products are alpha^(2 (1 - |s|)); active ones relax like e^(-rate t)."""
    problem = gaussian_problem(8, 16, 2, seed=2)
    path = saddle_path(problem)
    slope, seen = slopes(problem, path, 2, (-80, -160))
    predicted = []
    for m, middle in enumerate(middles(path)):
        passed, on = middle - path.times[m], path.x[m] != 0
        rows = problem.A[:, on] * np.sqrt(np.abs(path.x[m][on]))
        relaxed = 2 * np.linalg.eigvalsh(rows.T @ rows).min() * passed
        score = path.score[m] + passed * path.drift[m]
        predicted.append(min(2 * (1 - np.abs(score[~on]).max()), relaxed))
    # Weaker powers than that are not yet seen at such alphas.
    strong = np.array(predicted)[seen] > 0.02
    np.testing.assert_allclose(slope[strong], np.array(predicted)[seen][strong], rtol=0.1)


def test_thresholds_weigh_the_norm():
    problem = gaussian_problem(10, 25, 5, seed=5)
    rng = np.random.default_rng(0)
    upper, lower = rng.uniform(0.5, 2.0, size=(2, 25))
    path = saddle_path(problem, thresholds=(upper, lower))
    A = problem.A
    best = linprog(np.concatenate([upper, lower]), A_eq=np.hstack([A, -A]), b_eq=problem.y)
    np.testing.assert_allclose(path.x[-1], best.x[:25] - best.x[25:], atol=1e-8)


def test_without_solution_it_ends_at_a_minimiser_of_the_loss():
    problem = gaussian_problem(30, 10, 3, seed=1, noise=0.3)
    path = saddle_path(problem)
    best = np.linalg.lstsq(problem.A, problem.y, rcond=None)[0]
    np.testing.assert_allclose(path.x[-1], best, atol=1e-10)


def test_symmetric_columns_jump_together():
    path = saddle_path(Problem(np.eye(2), [1.0, -1.0]))
    np.testing.assert_allclose(path.times, [1])
    np.testing.assert_allclose(path.x, [[1, -1]])


def test_dependent_columns_are_not_guessed():
    path = saddle_path(Problem([[1.0, 1.0, 0.5], [0.0, 0.0, 1.0]], [1.0, 0.3]))
    assert path.status == "degenerate"
    assert not path.success
    with pytest.raises(ValueError, match="complete"):
        path.mask_time(1)


def test_a_problem_at_rest_has_no_jump():
    path = saddle_path(Problem([[1.0, 2.0]], [0.0]))
    assert path.success
    assert path.x.shape == (0, 2)


@pytest.mark.parametrize("seed", range(6))
def test_mask_time_against_a_fine_grid(seed):
    problem = gaussian_problem(20, 40, 5, seed=seed, noise=0.02 * (seed % 2))
    path = saddle_path(problem)
    nonzeros = np.count_nonzero(path.x[-1])
    for s in {1, nonzeros // 2, nonzeros} - {0}:
        predicted = path.mask_time(s)
        final = set(np.argsort(-np.abs(path.x[-1]))[:s])
        grid = np.linspace(0, 1.1 * path.times[-1], 20001)
        other = [tau for tau in grid if set(top(path, tau, s)) != final]
        measured = max(other, default=0.0)
        assert measured <= predicted <= measured + 2 * grid[1]


def top(path, tau, s):
    m = int(np.searchsorted(path.times, tau, side="right")) - 1
    if m < 0:
        x, score = np.zeros(path.x.shape[1]), tau * path.initial_drift
    else:
        x, score = path.x[m], path.score[m] + (tau - path.times[m]) * path.drift[m]
    active = x != 0
    return np.lexsort((-np.where(active, np.abs(x), np.abs(score)), ~active))[:s]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"problem": np.eye(2)}, TypeError, "problem"),
        ({"thresholds": (np.ones(3), np.ones(3))}, ValueError, "thresholds"),
        ({"thresholds": (np.zeros(4), np.ones(4))}, ValueError, "thresholds"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        saddle_path(**{"problem": FIXTURE, **arguments})


def test_plot_is_a_staircase():
    axes = saddle_path(FIXTURE).plot()
    assert len(axes.patches) == 3

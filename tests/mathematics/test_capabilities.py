"""What is asked of a map is what it can do, never its class: limits of maps of one's own."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import deepfact as df
from deepfact.limit import entry


class PositivePair(df.MirrorMap):
    """The positive model of depth 2 as one would write it: X(w) = a e^(2 w)."""

    positive = True

    def __init__(self, alpha):
        self.a = alpha**2

    def signal(self, w):
        with np.errstate(over="ignore"):
            return self.a * np.exp(2 * w)

    def signal_derivative(self, w):
        return 2 * self.signal(w)

    def potential(self, x):
        return (x * np.log(x / self.a) - x + self.a) / 2

    def potential_gradient(self, x):
        return np.log(x / self.a) / 2


class DeclaredPair(PositivePair):
    """The same, which says that it is made of exponentials: a, k and theta = 0."""

    deformation = 0.0
    log_rate = np.log(2.0)

    def __init__(self, alpha):
        super().__init__(alpha)
        self.log_product = 2 * np.log(alpha)


class Identity(df.MirrorMap):
    """The plain flow, x = w."""

    identity = True

    def signal(self, w):
        return w.copy()

    def signal_derivative(self, w):
        return np.ones_like(w)

    def potential(self, x):
        return x**2 / 2

    def potential_gradient(self, x):
        return x


@pytest.mark.parametrize("alpha", [0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("seed", range(3))
def test_certificate_of_a_map_of_four_functions(alpha, seed):
    problem = df.gaussian_problem(20, 50, 3, seed=seed, signed=False)
    own = df.flow_limit(problem, PositivePair(alpha))
    built_in = df.flow_limit(problem, df.DeepFactorization(2, alpha, signed=False))
    assert own.status == built_in.status == "converged"
    assert own.lower_bound == pytest.approx(built_in.lower_bound, rel=1e-14)
    assert own.l1_norm == pytest.approx(built_in.l1_norm, rel=1e-13)
    np.testing.assert_allclose(own.x, built_in.x, atol=1e-13)


@pytest.mark.parametrize("alpha", [10.0, 0.1, 1e-6, 1e-100])
def test_declared_exponentials_are_treated_as_the_built_in_ones(alpha):
    problem = df.gaussian_problem(20, 50, 3, seed=1, signed=False)
    own, built_in = DeclaredPair(alpha), df.DeepFactorization(2, alpha, signed=False)
    limits = [df.flow_limit(problem, model) for model in (own, built_in)]
    limits += [df.limit_path(problem, [model])[0] for model in (own, built_in)]
    for limit in limits:
        assert limit.status == "converged"
    for name in ("x", "dual", "lower_bound", "l1_norm", "gap"):
        first, second, third, fourth = (getattr(limit, name) for limit in limits)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(third, fourth)
    times = np.array([0.0, 1.0, 10.0])
    flows = [df.gradient_flow(problem, model, times).x for model in (own, built_in)]
    np.testing.assert_array_equal(*flows)


def test_operators_of_a_map_of_ones_own(monkeypatch):
    monkeypatch.setattr(entry, "_DENSE_LIMIT", 0)
    problem = df.gaussian_problem(20, 50, 3, seed=1, signed=False)
    A = df.Problem(aslinearoperator(problem.A), problem.y)
    for own, built_in in (
        (DeclaredPair(1e-3), df.DeepFactorization(2, 1e-3, signed=False)),
        (Identity(), df.DeepFactorization(1)),
    ):
        limits = [df.flow_limit(A, model) for model in (own, built_in)]
        assert [limit.status for limit in limits] == 2 * ["converged"]
        np.testing.assert_array_equal(limits[0].x, limits[1].x)
        assert limits[0].lower_bound == limits[1].lower_bound > 0
    with pytest.raises(ValueError, match="model must have a deformation"):
        df.flow_limit(A, PositivePair(1e-3))


def test_a_positive_map_has_no_divergence_to_negative_points():
    with pytest.raises(ValueError, match="z must be nonnegative in the positive model"):
        df.bregman_divergence(PositivePair(0.1), [-1.0], [1.0])


def test_a_path_needs_a_deformation():
    problem = df.gaussian_problem(4, 9, 1)
    with pytest.raises(TypeError, match="models must have a deformation"):
        df.limit_path(problem, [PositivePair(0.1)])
    pair = [DeclaredPair(0.1), df.DeepFactorization(2, 0.01, signed=False)]  # one map, two classes
    assert all(limit.success for limit in df.limit_path(df.Problem([[1.0, 2.0]], [1.0]), pair))

"""The Bregman identity along the flow: loops of the notebook ``03_bregman_identity``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.approach import time_grid
from deepfact.experiments.instances import draw_problem, model_of_depth
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem


@dataclass(frozen=True, eq=False)
class IdentityRun:
    """Both sides of the Bregman identity on one instance, at K times for Z feasible vectors.

    Parameters
    ----------
    model : DeepFactorization
        The model.
    names : tuple of str
        What the feasible vectors are; the last one is the flow's limit. The positive model of
        infinite depth does without the one that has zeros, where its potential is infinite.
    times : ndarray of shape (K,)
        The times, from 0 on.
    divergence : ndarray of shape (Z, K)
        D_F(z, x(t)).
    integral : ndarray of shape (K,)
        int_0^t ||A x(s) - y||^2 ds, integrated with the factors and not with the dual variable.
    loss : ndarray of shape (K,)
        1/2 ||A x(t) - y||^2.
    """

    model: DeepFactorization
    names: tuple[str, ...]
    times: np.ndarray
    divergence: np.ndarray
    integral: np.ndarray
    loss: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """|D(z, x(0)) - D(z, x(t)) - integral| / D(z, x(0)), of shape (Z, K)."""
        start = self.divergence[:, :1]
        return np.abs(start - self.divergence - self.integral) / start

    @property
    def smallest_decrease(self) -> float:
        """Smallest D(z, x(t_k)) - D(z, x(t_{k+1})) over D(z, x(0))."""
        return float(np.min(-np.diff(self.divergence, axis=1) / self.divergence[:, :1]))

    @property
    def integral_margin(self) -> float:
        """Smallest 1 - int_0^T ||r||^2 / D(z, x(0)) over all z but the limit (equality there)."""
        return float(np.min(1.0 - self.integral[-1] / self.divergence[:-1, 0]))

    @property
    def limit_excess(self) -> float:
        """|int_0^T ||r||^2 - D(x_inf, x(0))| / D(x_inf, x(0))."""
        return float(abs(self.integral[-1] / self.divergence[-1, 0] - 1.0))

    @property
    def loss_margin(self) -> float:
        """Smallest 1 - 2 t l(t) / D(z, x(0)) over all times and all z."""
        return float(np.min(1.0 - 2.0 * self.times * self.loss / self.divergence[:, :1]))


def loss_integral(
    problem: Problem, model: DeepFactorization, times: np.ndarray, rtol: float = 1e-11
) -> np.ndarray:
    """Integrate ||A x(t) - y||^2 along the flow, without the dual variable.

    The unknowns are the logarithms g of the products of factors over their start, with
    g' = +-k e^(theta g) A^T(y - A x), and the integral itself.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, of depth at least 2.
    times : ndarray of shape (K,)
        Increasing times from 0 on.
    rtol : float, optional
        Tolerance of each step of the integrator (default: 1e-11).

    Returns
    -------
    ndarray of shape (K,)
        The integral from 0 to each time.
    """
    A, y = problem.dense(), problem.y
    sign = np.array([1.0, -1.0])[: 1 + model.signed]
    size = len(sign) * problem.N
    start, rate, theta = np.exp(model.log_product), np.exp(model.log_rate), model.theta

    def parts(g):
        g = g.reshape(len(sign), -1)
        products = start * np.exp(g)
        residual = y - A @ (sign @ products)
        return products, residual, sign[:, None] * rate * np.exp(theta * g)

    def velocity(_, state):
        _, residual, growth = parts(state[:-1])
        return np.append(growth * (A.T @ residual), residual @ residual)

    def jacobian(_, state):
        products, residual, growth = parts(state[:-1])
        moved = np.hstack([A * (s * p) for s, p in zip(sign, products, strict=True)])
        result = np.zeros((size + 1, size + 1))
        result[:size, :size] = np.vstack([-g[:, None] * (A.T @ moved) for g in growth])
        result[np.arange(size), np.arange(size)] += theta * (growth * (A.T @ residual)).ravel()
        result[size, :size] = -2.0 * residual @ moved
        return result

    solution = solve_ivp(
        velocity,
        (0.0, times[-1]),
        np.zeros(size + 1),
        method="LSODA",
        t_eval=times,
        jac=jacobian,
        rtol=rtol,
        atol=1e-3 * rtol,
    )
    if not solution.success:
        raise RuntimeError(f"LSODA stopped: {solution.message}")
    return solution.y[-1]


def feasible_vectors(
    problem: Problem, signed: bool, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Collect solutions z of A z = y that have little in common.

    Parameters
    ----------
    problem : Problem
        The problem.
    signed : bool
        Any signs, or nonnegative vectors only.
    rng : Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray of shape (N,)
        The sparsest, basis pursuit's; a dense one (signed: of least l2 norm; nonnegative: the
        minimiser of sum z - 0.2 log z); and a random one (signed: the dense one plus a normal
        vector of the kernel; nonnegative: the minimiser of sum z/c - 0.2 log z, c log-normal).
    """
    best = basis_pursuit(problem, nonnegative=not signed).x
    if signed:
        pinv = np.linalg.pinv(problem.dense())
        dense = pinv @ problem.y
        step = rng.standard_normal(problem.N)
        other = dense + 0.1 * (step - pinv @ (problem.dense() @ step))
    else:
        best = np.maximum(best, 0.0)
        barrier = DeepFactorization(np.inf, 0.2, signed=False)
        dense = flow_limit(problem, barrier).x
        scale = rng.lognormal(sigma=1.0, size=problem.N)
        other = scale * flow_limit(Problem(problem.dense() * scale, problem.y), barrier).x
    return {"basis pursuit": best, "dense": dense, "random": other}


def run_identity(
    problem: Problem,
    model: DeepFactorization,
    rng: np.random.Generator,
    n_times: int = 80,
) -> IdentityRun:
    """Follow the flow from its start to rest and record both sides of the identity.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, of depth at least 2.
    rng : Generator
        Source of randomness of the feasible vectors.
    n_times : int, optional
        Number of log-spaced times after 0 (default: 80).

    Returns
    -------
    IdentityRun
        Divergences, integral and loss.
    """
    limit = flow_limit(problem, model)
    times = time_grid(problem, model, limit.x, n_times)
    path = gradient_flow(problem, model, times)
    if not (limit.success and path.success):
        raise RuntimeError(f"flow_limit: {limit.message}; gradient_flow: {path.message}")
    points = feasible_vectors(problem, model.signed, rng) | {"limit": limit.x}
    if np.isinf(model.depth) and not model.signed:  # F(0) is infinite
        del points["basis pursuit"]
    divergence = [[bregman_divergence(model, z, x) for x in path.x] for z in points.values()]
    return IdentityRun(
        model=model,
        names=tuple(points),
        times=times,
        divergence=np.array(divergence),
        integral=loss_integral(problem, model, times),
        loss=path.loss,
    )


def run_many(
    M: int,
    N: int,
    s: int,
    start: float,
    depths: list[float],
    trials: int,
    seed: int,
    n_times: int = 80,
) -> list[IdentityRun]:
    """Check the identity on random instances, with signed and with positive models.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    start : float
        alpha^L, each product at time 0, for every depth.
    depths : list of float
        Depths, at least 2; infinity is one.
    trials : int
        Instances for each sign of the model.
    seed : int
        Source of randomness: one spawned stream for each instance.
    n_times : int, optional
        Number of log-spaced times after 0 (default: 80).

    Returns
    -------
    list of IdentityRun
        One for each instance and depth, instances with the signed model first.
    """
    runs = []
    streams = iter(np.random.SeedSequence(seed).spawn(2 * trials))
    for signed in (True, False):
        for _ in range(trials):
            rng = np.random.default_rng(next(streams))
            problem = draw_problem(M, N, s, signed, rng)
            for depth in depths:
                model = model_of_depth(depth, start, signed)
                runs.append(run_identity(problem, model, rng, n_times))
    return runs

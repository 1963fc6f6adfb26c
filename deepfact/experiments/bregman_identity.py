"""The Bregman identity along the flow: statement S1."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.approach import time_grid
from deepfact.experiments.bregman_identity_figure import figure, figure_data
from deepfact.experiments.instances import draw_problem, model_of_depth
from deepfact.experiments.tables import groups, join, select
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.statuses import require

__all__ = [
    "checks",
    "describe",
    "feasible_vectors",
    "figure",
    "figure_data",
    "loss_integral",
    "measure_identity",
    "measure_shown",
]


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

    Raises
    ------
    RuntimeError
        If the integration fails.
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
    best = basis_pursuit(problem, signed=signed).x
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


def _follow(
    problem: Problem, model: DeepFactorization, rng: np.random.Generator, n_times: int, run: int
) -> dict[str, np.ndarray]:
    """Follow the flow to rest and record both sides of the identity, as rows of the table."""
    limit = flow_limit(problem, model)
    times = time_grid(problem, model, limit.x, n_times)
    path = gradient_flow(problem, model, times)
    require(limit)
    require(path)
    points = feasible_vectors(problem, model.signed, rng) | {"limit": limit.x}
    if np.isinf(model.depth) and not model.signed:  # F(0) is infinite
        del points["basis pursuit"]
    integral = loss_integral(problem, model, times)
    tables = []
    for name, z in points.items():
        divergence = np.array([bregman_divergence(model, z, x) for x in path.x])
        columns = {
            "run": run,
            "depth": float(model.depth),
            "signed": model.signed,
            "product": np.exp(model.log_product),
            "vector": name,
            "step": np.arange(n_times + 1),
            "time": times,
            "start": divergence[0],
            "divergence": divergence,
            "euclidean": np.sum((path.x - z) ** 2, axis=1) / np.sum((path.x[0] - z) ** 2),
            "integral": integral,
            "loss": path.loss,
            "deviation": np.abs(divergence[0] - divergence - integral) / divergence[0],
        }
        tables.append({key: np.broadcast_to(v, n_times + 1) for key, v in columns.items()})
    return join(*tables)


def measure_identity(
    M: int,
    N: int,
    s: int,
    start: float,
    depths: list[float],
    trials: int,
    seed: int,
    n_times: int = 80,
) -> dict[str, np.ndarray]:
    """Record both sides of the identity on random instances, with signed and positive models.

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
        Number K of log-spaced times after 0 (default: 80).

    Returns
    -------
    dict of str to ndarray
        A row for each trajectory, feasible vector z and time: ``run``, the trajectory's number, the
        signed ones first; ``depth``; ``signed``; ``product``, alpha^L; ``vector``, what z is (the
        positive model of infinite depth does without the one that has zeros, where its potential is
        infinite);
        ``step`` from 0 to K and its ``time``; ``start``, D_F(z, x(0));
        ``divergence``, D_F(z, x(t)); ``euclidean``, ||x(t) - z||^2/||x(0) - z||^2; ``integral``,
        int_0^t ||A x(s) - y||^2 ds, integrated with the factors and not with the dual variable;
        ``loss``, 1/2 ||A x(t) - y||^2; ``deviation``, |start - divergence - integral| / start.

    Raises
    ------
    RuntimeError
        If a limit is not found, or an integration fails.
    """
    tables = []
    streams = iter(np.random.SeedSequence(seed).spawn(2 * trials))
    for signed in (True, False):
        for _ in range(trials):
            rng = np.random.default_rng(next(streams))
            problem = draw_problem(M, N, s, signed, rng)
            for depth in depths:
                model = model_of_depth(depth, start, signed)
                tables.append(_follow(problem, model, rng, n_times, run=len(tables)))
    return join(*tables)


def measure_shown(
    M: int, N: int, s: int, start: float, depth: float, seed: int, n_times: int = 80
) -> dict[str, np.ndarray]:
    """Record both sides of the identity on one signed instance.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problem and number of nonzeros.
    start : float
        alpha^L, each product at time 0.
    depth : float
        Number L of factors, at least 2.
    seed : int
        Seed of the problem, and with 1 of the random feasible vector.
    n_times : int, optional
        Number of log-spaced times after 0 (default: 80).

    Returns
    -------
    dict of str to ndarray
        As `measure_identity`.

    Raises
    ------
    RuntimeError
        If the limit is not found, or an integration fails.
    """
    problem = gaussian_problem(M, N, s, seed=seed)
    rng = np.random.default_rng([seed, 1])
    return _follow(problem, model_of_depth(depth, start), rng, n_times, run=0)


def describe(table: dict[str, np.ndarray]) -> str:
    """Write number and longest time of the trajectories of each depth as lines of text.

    Parameters
    ----------
    table : dict
        Of `measure_identity`.

    Returns
    -------
    str
        A line for each depth.
    """
    lines = []
    for depth, own in groups(table, "depth"):
        name = f"{depth:g}"
        count, longest = len(np.unique(own["run"])), own["time"].max()
        lines.append(f"L = {name:<4}: {count} trajectories, to t = {longest:.0e} at most")
    return "\n".join(lines)


def checks(
    table: dict[str, np.ndarray], tolerance: float = 1e-6, rounding: float = 1e-12
) -> list[Claim]:
    """Return what the trajectories say about S1.

    Parameters
    ----------
    table : dict
        Of `measure_identity`.
    tolerance : float, optional
        Relative difference up to which two integrations agree (default: 1e-6).
    rounding : float, optional
        Increase, relative to D_F(z, x(0)), that rounding alone may make (default: 1e-12).

    Returns
    -------
    list of Claim
        Five, each with a margin for each trajectory and a rival.
    """
    allowed, tiny = (f"{value:.0e}".replace("e-0", "e-") for value in (tolerance, rounding))
    worst, decrease, integral, equality, loss = [], [], [], [], []
    half, euclidean, others = [], [], []
    for _, run in groups(table, "run"):
        worst.append(np.max(run["deviation"]))
        missed = run["start"] - run["divergence"] - run["integral"] / 2
        half.append(np.max(np.abs(missed) / run["start"]))
        end = select(run, step=run["step"].max())
        ratio = end["integral"] / end["start"]
        limit = end["vector"] == "limit"
        integral.append(np.min(1.0 - ratio[~limit]))
        equality.append(np.abs(ratio[limit] - 1.0)[0])
        others.append(np.max(np.abs(ratio[~limit] - 1.0)))
        loss.append(np.min(1.0 - 2.0 * run["time"] * run["loss"] / run["start"]))
        parts = [own for _, own in groups(run, "vector")]
        decrease.append(np.min([-np.diff(own["divergence"]) / own["start"][1:] for own in parts]))
        euclidean.append(np.min([-np.diff(own["euclidean"]) for own in parts]))
    return [
        Claim(
            "S1",
            "D_F(z, x(0)) - D_F(z, x(t)) = int_0^t ||Ax - y||^2 for every feasible z and all t; "
            f"margin: {allowed} minus the largest deviation relative to D_F(z, x(0))",
            tolerance - np.array(worst),
            "it falls by the integral of the loss, which is half as much",
            tolerance - np.array(half),
        ),
        Claim(
            "S1",
            "D_F(z, x(t)) never increases (beyond rounding); "
            f"margin: {tiny} plus the smallest decrease between recorded times relative to "
            "D_F(z, x(0))",
            rounding + np.array(decrease),
            "||x(t) - z||^2 never increases",
            rounding + np.array(euclidean),
        ),
        Claim(
            "S1",
            "int_0^inf ||Ax - y||^2 dt <= D_F(z, x(0)) for feasible z other than the limit; "
            "margin: 1 minus their ratio",
            np.array(integral),
            "it is at most half of D_F(z, x(0))",
            np.array(integral) - 0.5,
        ),
        Claim(
            "S1",
            "int_0^inf ||Ax - y||^2 dt = D_F(x_inf, x(0)), least divergence of all feasible z; "
            f"margin: {allowed} minus the relative deviation",
            tolerance - np.array(equality),
            "= D_F(z, x(0)) for every feasible z",
            tolerance - np.array(others),
        ),
        Claim(
            "S1",
            "l(x(t)) <= D_F(z, x(0))/(2t) for every feasible z and all t; margin: 1 minus their "
            "ratio",
            np.array(loss),
            "l(x(t)) <= D_F(z, x(0))/(4t)",
            2 * np.array(loss) - 1,
        ),
    ]

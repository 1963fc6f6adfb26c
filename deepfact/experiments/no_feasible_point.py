"""Positive model without a feasible point: nonnegative least squares, statement S9."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import linprog, nnls

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.figures import OKABE_ITO
from deepfact.limit import LimitResult, flow_limit
from deepfact.problem import Problem

KINDS = ("outside the cone", "outside the range", "dependent columns")
"""Ensembles of `inconsistent_problem`."""
ROUNDING = 1e-13
"""An excess of the loss below this multiple of the first one is rounding."""


def nonnegative_least_squares(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Minimise norm(A z - y) over z >= 0 with `scipy.optimize.nnls`, on a basis of A's range.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix, of any rank.
    y : ndarray of shape (M,)
        The measurements.

    Returns
    -------
    ndarray of shape (N,)
        A minimiser.

    Raises
    ------
    RuntimeError
        If the result does not meet the optimality conditions.

    Notes
    -----
    On matrices with dependent rows nnls itself may return a point that is no minimiser, with no
    warning (scipy 1.17.1; compare issue 25389 of scipy). Hence the basis, and the conditions.
    """
    U, sizes, _ = np.linalg.svd(A, full_matrices=False)
    U = U[:, sizes > 1e-10 * sizes[0]]
    z = nnls(U.T @ A, U.T @ y)[0]
    if optimality_error(A, y, z) > 1e-9:
        raise RuntimeError("scipy.optimize.nnls did not find a minimiser")
    return z


def optimality_error(A: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """Return how far z >= 0 is from the optimality conditions of nonnegative least squares.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    z : ndarray of shape (N,)
        A nonnegative signal.

    Returns
    -------
    float
        With g = A^T (A z - y), the larger of max(-g_i/norm(column i))/norm(y) and
        abs(<g, z>)/norm(y)^2.
    """
    size = np.linalg.norm(y)
    g = A.T @ (A @ z - y)
    return float(max(np.max(-g / np.linalg.norm(A, axis=0)) / size, abs(g @ z) / size**2))


def inconsistent_problem(
    kind: str, M: int, N: int, seed: int | np.random.SeedSequence
) -> tuple[Problem, np.ndarray]:
    """Draw a problem that no nonnegative signal solves, and solve it by active sets.

    Parameters
    ----------
    kind : str
        "outside the cone": Gaussian A and y, one minimiser of the loss; "outside the range": rank
        M/2, y is the image of a sparse nonnegative signal and a part that A cannot reach, many
        minimisers; "dependent columns": as the first, with a quarter of the columns repeated and
        another quarter replaced by sums of two others, many minimisers.
    M, N : int
        Measurements and unknowns.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem.
    nearest : ndarray of shape (N,)
        A minimiser of the loss over z >= 0, from `nonnegative_least_squares`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    rng = np.random.default_rng(seed)
    for _ in range(100):
        A = rng.standard_normal((M, N)) / np.sqrt(M)
        y = rng.standard_normal(M) / np.sqrt(M)
        if kind == "outside the range":
            basis = np.linalg.qr(rng.standard_normal((M, M)))[0]
            half = M // 2
            A = basis[:, :half] @ (basis[:, :half].T @ A)
            signal = np.zeros(N)
            chosen = rng.choice(N, size=max(2, half // 2), replace=False)
            signal[chosen] = rng.uniform(0.5, 1.5, size=len(chosen))
            y = A @ signal + 0.5 * basis[:, half:] @ (basis[:, half:].T @ y)
        elif kind == "dependent columns":
            quarter = N // 4
            first = A[:, : N - 2 * quarter]
            repeated = rng.choice(first.shape[1], size=quarter)
            pairs = rng.choice(first.shape[1], size=(2, quarter))
            A = np.hstack([first, first[:, repeated], first[:, pairs[0]] + first[:, pairs[1]]])
        nearest = nonnegative_least_squares(A, y)
        if np.linalg.norm(A @ nearest - y) > 1e-3 * np.linalg.norm(y) and nearest.any():
            return Problem(A, y), nearest
    raise RuntimeError("100 problems had a nonnegative solution each: choose fewer unknowns")


def minimiser_set(problem: Problem, nearest: np.ndarray) -> np.ndarray:
    """Return which coordinates minimisers of the loss over z >= 0 may use.

    Parameters
    ----------
    problem : Problem
        The problem.
    nearest : ndarray of shape (N,)
        One minimiser.

    Returns
    -------
    ndarray of bool, shape (N,)
        Where the gradient of the loss vanishes: Z = {z >= 0 : A z = A nearest, z = 0 elsewhere}.
    """
    A = problem.dense()
    residual = A @ nearest - problem.y
    size = np.linalg.norm(A, axis=0) * np.linalg.norm(residual)
    return A.T @ residual <= 1e-9 * size


def vertices(
    problem: Problem, nearest: np.ndarray, count: int, seed: int | np.random.SeedSequence
) -> np.ndarray:
    """Return vertices of the set of minimisers: of least l1 norm first, then in random directions.

    Parameters
    ----------
    problem : Problem
        The problem.
    nearest : ndarray of shape (N,)
        One minimiser of the loss.
    count : int
        Number of random directions.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    ndarray of shape (count + 1, N)
        The vertices.
    """
    rng = np.random.default_rng(seed)
    used = minimiser_set(problem, nearest)
    A = problem.dense()[:, used]
    # As many equations as the rank: linear programs are then free of rounding in redundant rows.
    _, sizes, V = np.linalg.svd(A, full_matrices=False)
    rank = int(np.sum(sizes > 1e-10 * sizes[0]))
    image = V[:rank] @ nearest[used]
    costs = [np.ones(A.shape[1]), *(rng.uniform(0.1, 1.0, A.shape[1]) for _ in range(count))]
    found = np.zeros((len(costs), problem.N))
    for k, cost in enumerate(costs):
        result = linprog(cost, A_eq=V[:rank], b_eq=image)
        if not result.success:
            raise RuntimeError(f"linear program: {result.message}")
        found[k, used] = np.maximum(result.x, 0.0)
    return found


def quiet_limit(problem: Problem, model: DeepFactorization) -> LimitResult:
    """Return `flow_limit` where the dual variable grows without bound.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        Depth and init scale.

    Returns
    -------
    LimitResult
        The limit.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return flow_limit(problem, model)


@dataclass(frozen=True, eq=False)
class InconsistentTrials:
    """Limits of the positive flow without a feasible point: I problems, D depths, K init scales.

    Parameters
    ----------
    kind : ndarray of shape (I,)
        Ensemble.
    depths : ndarray of shape (D,)
        Numbers L of factors, finite.
    scales : ndarray of shape (K,)
        Init scales as a/Q, a = alpha^L.
    Q : ndarray of shape (I,)
        Least l1 norm over the minimisers Z of the loss.
    width : ndarray of shape (I,)
        Largest relative distance between the vertices of Z that were found.
    told : ndarray of bool, shape (I, D, K)
        Whether the limit's status is "infeasible", which is right.
    image_error : ndarray of shape (I, D, K)
        norm(A x_inf - A z)/norm(y), z from `nonnegative_least_squares`.
    optimality : ndarray of shape (I, D, K)
        `optimality_error` of x_inf, which needs no solver.
    plain_nnls : ndarray of shape (I,)
        norm(A z - A x)/norm(y) for x from `scipy.optimize.nnls` without a basis of the range.
    pythagoras : ndarray of shape (I, D, K)
        Largest violation of D(z, x_0) = D(z, x_inf) + D(x_inf, x_0) over vertices z of Z, relative
        to D(z, x_0).
    gap : ndarray of shape (I, D, K)
        norm(x_inf, 1) - Q.
    bound : ndarray of shape (I, D, K)
        Bound S3 on it; infinite where there is none.
    eps : ndarray of shape (E,)
        Wanted gaps as multiples of Q.
    gap_at_eps : ndarray of shape (I, D, E)
        norm(x_inf, 1) - Q from alpha = h(Q, eps Q); NaN where log alpha < -300.
    """

    kind: np.ndarray
    depths: np.ndarray
    scales: np.ndarray
    Q: np.ndarray
    width: np.ndarray
    told: np.ndarray
    image_error: np.ndarray
    optimality: np.ndarray
    plain_nnls: np.ndarray
    pythagoras: np.ndarray
    gap: np.ndarray
    bound: np.ndarray
    eps: np.ndarray
    gap_at_eps: np.ndarray


def inconsistent_trials(
    sizes: list[tuple[int, int]],
    trials: int,
    depths: list[float],
    log10_scales: list[float],
    eps: list[float],
    seed: int,
) -> InconsistentTrials:
    """Compute limits on problems without a feasible point, and what S9 says of them.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N) of the problems.
    trials : int
        Problems of each size and ensemble.
    depths : list of float
        Numbers L of factors, finite.
    log10_scales : list of float
        Init scales as log10 of a/Q.
    eps : list of float
        Wanted gaps as multiples of Q.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    InconsistentTrials
        The measurements.
    """
    cases = [(kind, *size) for kind in KINDS for size in sizes for _ in range(trials)]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    shape = (len(cases), len(depths), len(log10_scales))
    told = np.zeros(shape, dtype=bool)
    image_error, optimality, pythagoras, gap, bound = np.full((5, *shape), np.nan)
    gap_at_eps = np.full((len(cases), len(depths), len(eps)), np.nan)
    Q, width, plain_nnls = np.zeros((3, len(cases)))
    for i, (case, stream) in enumerate(zip(cases, seeds, strict=True)):
        draw, directions = stream.spawn(2)
        problem, nearest = inconsistent_problem(*case, draw)
        A, N = problem.dense(), problem.N
        plain_nnls[i] = np.linalg.norm(A @ (nnls(A, problem.y)[0] - nearest))
        plain_nnls[i] /= np.linalg.norm(problem.y)
        corners = vertices(problem, nearest, 5, directions)
        Q[i] = corners[0].sum()
        width[i] = np.max(np.abs(corners - corners[0])) / np.max(corners[0])
        for j, depth in enumerate(depths):
            for k, scale in enumerate(log10_scales):
                log_alpha = (np.log(Q[i]) + scale * np.log(10)) / depth
                model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
                limit = quiet_limit(problem, model)
                told[i, j, k] = limit.status == "infeasible"
                if not told[i, j, k]:
                    continue
                error = np.linalg.norm(A @ (limit.x - nearest))
                image_error[i, j, k] = error / np.linalg.norm(problem.y)
                optimality[i, j, k] = optimality_error(A, problem.y, limit.x)
                start = model.signal(np.zeros(N))
                whole = [bregman_divergence(model, z, start) for z in corners]
                left = [bregman_divergence(model, z, limit.x) for z in corners]
                done = bregman_divergence(model, limit.x, start)
                pythagoras[i, j, k] = np.max(np.abs(np.array(whole) - left - done) / whole)
                gap[i, j, k] = limit.x.sum() - Q[i]
                bound[i, j, k] = theory.l1_gap_bound(
                    Q[i], N, depth, log_alpha=log_alpha, signed=False
                )
            for k, tolerance in enumerate(eps):
                log_alpha = theory.log_init_scale_bound(
                    Q[i], tolerance * Q[i], N, depth, signed=False
                )
                if log_alpha >= -300:
                    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
                    limit = quiet_limit(problem, model)
                    found = limit.status == "infeasible"
                    gap_at_eps[i, j, k] = limit.x.sum() - Q[i] if found else np.inf
    return InconsistentTrials(
        kind=np.array([case[0] for case in cases]),
        depths=np.asarray(depths, dtype=float),
        scales=10.0 ** np.asarray(log10_scales, dtype=float),
        Q=Q,
        width=width,
        told=told,
        image_error=image_error,
        optimality=optimality,
        plain_nnls=plain_nnls,
        pythagoras=pythagoras,
        gap=gap,
        bound=bound,
        eps=np.asarray(eps, dtype=float),
        gap_at_eps=gap_at_eps,
    )


@dataclass(frozen=True, eq=False)
class LossDecay:
    """The loss along one flow, against the bound D(x_inf, x_0)/t.

    Parameters
    ----------
    kind : str
        Ensemble of the problem.
    depth : float
        Number L of factors.
    times : ndarray of shape (T,)
        Times.
    x : ndarray of shape (T, N)
        Signals.
    excess : ndarray of shape (T,)
        l(x(t)) - l*, as 1/2 norm(A(x - z))^2 + <grad l(z), x - z>: nothing cancels.
    bound : ndarray of shape (T,)
        D(x_inf, x_0)/t.
    first : float
        The excess at time 0.
    limit : ndarray of shape (N,)
        x_inf.
    nearest : ndarray of shape (N,)
        A minimiser from `nonnegative_least_squares`.
    status : str
        Status of the integration.
    """

    kind: str
    depth: float
    times: np.ndarray
    x: np.ndarray
    excess: np.ndarray
    bound: np.ndarray
    first: float
    limit: np.ndarray
    nearest: np.ndarray
    status: str

    def margin(self) -> float:
        """Return the least (bound - excess)/bound, less what rounding could hide.

        Returns
        -------
        float
            NaN if the integration failed.
        """
        if self.status == "failed":
            return np.nan
        return float(np.min(1 - (self.excess + ROUNDING * self.first) / self.bound))


def loss_decay(
    kind: str,
    M: int,
    N: int,
    depth: float,
    log10_scale: float,
    seed: int | np.random.SeedSequence,
    points: int = 120,
) -> LossDecay:
    """Integrate the flow on an inconsistent problem.

    Parameters
    ----------
    kind : str
        Ensemble of `inconsistent_problem`.
    M, N : int
        Measurements and unknowns.
    depth : float
        Number L of factors, finite.
    log10_scale : float
        Init scale as log10 of a/norm(z, 1), z from `nonnegative_least_squares`.
    seed : int or SeedSequence
        Source of randomness.
    points : int, optional
        Number of times (default: 120).

    Returns
    -------
    LossDecay
        Loss and bound at log-spaced times.
    """
    problem, nearest = inconsistent_problem(kind, M, N, seed)
    A = problem.dense()
    log_alpha = (np.log(nearest.sum()) + log10_scale * np.log(10)) / depth
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = quiet_limit(problem, model)
    start = model.signal(np.zeros(N))
    unit = 1 / np.max(np.exp(model.log_rate) * np.abs(A.T @ (A @ start - problem.y)))
    times = unit * np.geomspace(0.1, 1e5, points)
    path = gradient_flow(problem, model, times=times)
    slope = A.T @ (A @ nearest - problem.y)
    slope[minimiser_set(problem, nearest)] = 0.0

    def excess(x):
        return 0.5 * np.sum(((x - nearest) @ A.T) ** 2, axis=-1) + (x - nearest) @ slope

    return LossDecay(
        kind=kind,
        depth=float(depth),
        times=times,
        x=path.x,
        excess=excess(path.x),
        bound=bregman_divergence(model, limit.x, start) / times,
        first=float(excess(start)),
        limit=limit.x,
        nearest=nearest,
        status=path.status if limit.status == "infeasible" else "failed",
    )


def no_feasible_point_figure(decays: list[LossDecay], runs: InconsistentTrials) -> Figure:
    """Draw the flow to nonnegative least squares, the loss against its bound, and the l1 gap.

    Parameters
    ----------
    decays : list of LossDecay
        Flows on one problem with several depths.
    runs : InconsistentTrials
        Limits.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels.
    """
    colours = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    styles, markers = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))], "osD^v"
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 2.9))

    path = decays[-1]
    used = np.flatnonzero(path.nearest)
    for i in range(path.x.shape[1]):
        active = i in used
        left.plot(
            path.times,
            path.x[:, i],
            color=OKABE_ITO["blue"] if active else "0.6",
            linewidth=1.1 if active else 0.7,
            zorder=2 if active else 1,
        )
    left.plot(
        np.full(len(used), path.times[-1] * 2.5),
        path.nearest[used],
        "<",
        color=OKABE_ITO["vermillion"],
        label="nonnegative least squares",
        clip_on=False,
    )
    left.set(xscale="log", xlabel="time $t$", ylabel="coordinates $x_i(t)$")
    left.set_title(f"flow, $L = {path.depth:g}$")
    left.set_ylim(top=1.2 * path.nearest.max())
    left.legend(loc="upper left", handletextpad=0.2)

    for k, decay in enumerate(decays):
        shown = decay.excess > ROUNDING * decay.first
        middle.plot(
            decay.times[shown],
            decay.excess[shown],
            linestyle=styles[k % 5],
            color=colours[k % 5],
            label=f"$L = {decay.depth:g}$",
        )
        middle.plot(decay.times, decay.bound, linestyle=styles[k % 5], color=colours[k % 5], lw=0.7)
    middle.set(xscale="log", yscale="log", xlabel="time $t$")
    middle.set_ylim(bottom=ROUNDING * decays[0].first)
    middle.set_ylabel(r"$\ell(x(t)) - \ell^*$ (thin: bound)")
    middle.set_title("loss against $D_F(x_\\infty, x_0)/t$")
    middle.legend(loc="lower left")

    many = runs.width > 1e-6
    for j, depth in enumerate(runs.depths):
        gap = np.maximum(runs.gap[many, j] / runs.Q[many, None], 1e-15)
        colour = colours[j % 5]
        right.errorbar(
            runs.scales * 1.5 ** (j - (len(runs.depths) - 1) / 2),  # side by side
            np.median(gap, axis=0),
            yerr=[
                np.median(gap, axis=0) - gap.min(axis=0),
                gap.max(axis=0) - np.median(gap, axis=0),
            ],
            fmt=markers[j % 5],
            color=colour,
            elinewidth=0.7,
            label=f"$L = {depth:g}$",
        )
        bound = np.median(runs.bound[many, j] / runs.Q[many, None], axis=0)
        finite = np.isfinite(bound)
        right.plot(runs.scales[finite], bound[finite], linestyle=styles[j % 5], color=colour)
    right.set(xscale="log", yscale="log", xlabel=r"init scale $a/Q$, $a = \alpha^L$")
    right.set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$ (lines: bound S3)")
    right.set_title("the short one of many")
    right.legend(loc="lower right")
    return figure

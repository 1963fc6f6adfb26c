"""Which minimiser the flow selects: statements S6 and S8."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import cvxpy as cp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.linalg import null_space
from scipy.optimize import brentq, linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.figures import OKABE_ITO
from deepfact.limit import flow_limit
from deepfact.problem import Problem

LARGEST_SCALE = 1e4
"""Entries below 1e-4 on the whole face count as zero: linear programs are far more accurate."""
SINGLETON_KINDS = ("gaussian", "row of ones")
"""Ensembles of `singleton_problem`."""


def log_scale(depth: float, log_a: float) -> float:
    """Return log alpha for products that start at a: log(a)/L, at infinite depth log a itself.

    Parameters
    ----------
    depth : float
        Number L of factors, 2 <= L <= infinity.
    log_a : float
        Natural logarithm of a = alpha^L.

    Returns
    -------
    float
        The logarithm of the init scale.
    """
    return log_a if np.isinf(depth) else log_a / depth


def singleton_problem(
    kind: str, M: int, N: int, s: int, seed: int | np.random.SeedSequence
) -> tuple[Problem, float]:
    """Draw a problem with a sparse nonnegative signal, and test that no other one fits.

    Parameters
    ----------
    kind : {"gaussian", "row of ones"}
        Gaussian matrix, or one whose first row is replaced by ones.
    M, N, s : int
        Measurements, unknowns, nonzeros of the signal (uniform on [1/2, 3/2]).
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem with its signal.
    slack : float
        Largest t such that some eta with norm(eta, inf) <= 1 has A_S^T eta = 0 on the support and
        A^T eta >= t off it. If t > 0 and A_S is injective, the signal is the only nonnegative
        solution: any other z has 0 = <eta, A z - y> >= t sum_{i not in S} z_i.
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((M, N)) / np.sqrt(M)
    if kind == "row of ones":
        A[0] = 1 / np.sqrt(M)
    elif kind != "gaussian":
        raise ValueError(f"kind must be one of {SINGLETON_KINDS}, got {kind!r}")
    x = np.zeros(N)
    support = rng.choice(N, size=s, replace=False)
    x[support] = rng.uniform(0.5, 1.5, size=s)
    off = np.setdiff1d(np.arange(N), support)
    result = linprog(
        np.append(np.zeros(M), -1.0),
        A_ub=np.column_stack([-A[:, off].T, np.ones(N - s)]),
        b_ub=np.zeros(N - s),
        A_eq=np.column_stack([A[:, support].T, np.zeros(s)]),
        b_eq=np.zeros(s),
        bounds=[(-1, 1)] * M + [(None, None)],
    )
    slack = float(result.x[-1]) if result.success else 0.0
    if np.linalg.matrix_rank(A[:, support]) < s:
        slack = 0.0
    return Problem(A, A @ x, x), slack


@dataclass(frozen=True, eq=False)
class SingletonTrials:
    """Limits of the positive model where one nonnegative signal, or many, fit the data.

    Parameters
    ----------
    kind : ndarray of shape (I,)
        Ensemble of the matrix.
    slack : ndarray of shape (I,)
        Slack of the certificate; the feasible set is {x*} where it is positive.
    depths : ndarray of shape (D,)
        Numbers L of factors.
    alphas : ndarray of shape (K,)
        Init scales (infinite depth: mu).
    error : ndarray of shape (I, D, K)
        norm(x_inf - x*)/norm(x*); NaN where the limit was not found.
    converged : ndarray of shape (I, D, K)
        Whether the limit was found.
    """

    kind: np.ndarray
    slack: np.ndarray
    depths: np.ndarray
    alphas: np.ndarray
    error: np.ndarray
    converged: np.ndarray

    @property
    def singleton(self) -> np.ndarray:
        """Whether the feasible set is a single point, shape (I,)."""
        return self.slack > 1e-6


def singleton_trials(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    alphas: list[float],
    seed: int,
) -> SingletonTrials:
    """Compute limits from small and large init scales for both ensembles of `singleton_problem`.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N, s) of the problems.
    trials : int
        Problems of each size and ensemble.
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    SingletonTrials
        Errors of all limits.
    """
    cases = [(kind, *size) for kind in SINGLETON_KINDS for size in sizes for _ in range(trials)]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    error = np.full((len(cases), len(depths), len(alphas)), np.nan)
    converged = np.zeros(error.shape, dtype=bool)
    slack = np.zeros(len(cases))
    for i, (case, stream) in enumerate(zip(cases, seeds, strict=True)):
        problem, slack[i] = singleton_problem(*case, stream)
        for j, depth in enumerate(depths):
            for k, alpha in enumerate(alphas):
                limit = flow_limit(problem, DeepFactorization(depth, alpha, signed=False))
                converged[i, j, k] = limit.success
                if limit.success:
                    distance = np.linalg.norm(limit.x - problem.x_true)
                    error[i, j, k] = distance / np.linalg.norm(problem.x_true)
    return SingletonTrials(
        kind=np.array([case[0] for case in cases]),
        slack=slack,
        depths=np.asarray(depths, dtype=float),
        alphas=np.asarray(alphas, dtype=float),
        error=error,
        converged=converged,
    )


@dataclass(frozen=True, eq=False)
class Face:
    """The face of l1-minimisers: z = point + directions t with signs * z >= 0.

    Parameters
    ----------
    point : ndarray of shape (N,)
        A minimiser whose support is the largest of all.
    support : ndarray of shape (S,)
        That support.
    directions : ndarray of shape (N, d)
        Orthonormal basis of the kernel of A, restricted to the support: the face has dimension d.
    """

    point: np.ndarray
    support: np.ndarray
    directions: np.ndarray

    @property
    def dimension(self) -> int:
        """The dimension d of the face."""
        return self.directions.shape[1]


def minimal_face(problem: Problem, signed: bool) -> Face:
    """Find all l1-minimisers of a small problem by two linear programs.

    Parameters
    ----------
    problem : Problem
        A x = y, feasible (for x >= 0 in the positive model).
    signed : bool
        Signed or positive model.

    Returns
    -------
    Face
        The face of minimisers.

    Notes
    -----
    The second program finds the largest support: in homogeneous form, p = tau z with tau >= 1, it
    maximises sum min(p_i, 1) over the cone of minimisers; there each p_i that can be positive is
    at least 1.
    """
    A, y = problem.dense(), problem.y
    B = np.hstack([A, -A]) if signed else A
    M, n = B.shape
    first = linprog(np.ones(n), A_eq=B, b_eq=y)
    if not first.success:
        raise ValueError(f"problem must have a feasible point: {first.message}")
    # Unknowns p, s, tau: B p = tau y, sum p <= tau Q, s <= p.
    room = first.fun * (1 + 1e-10) + 1e-12
    identity = np.eye(n)
    second = linprog(
        np.concatenate([np.zeros(n), -np.ones(n), [0.0]]),
        A_ub=np.vstack(
            [
                np.column_stack([-identity, identity, np.zeros(n)]),
                np.concatenate([np.ones(n), np.zeros(n), [-room]]),
            ]
        ),
        b_ub=np.zeros(n + 1),
        A_eq=np.column_stack([B, np.zeros((M, n)), -y]),
        b_eq=np.zeros(M),
        bounds=[(0, None)] * n + [(0, 1)] * n + [(1, LARGEST_SCALE)],
    )
    p = np.where(second.x[n : 2 * n] > 0.5, second.x[:n] / second.x[-1], 0.0)
    point = p[: A.shape[1]] - p[A.shape[1] :] if signed else p
    support = np.flatnonzero(point)
    point[support] += np.linalg.lstsq(A[:, support], y - A @ point, rcond=None)[0]
    directions = np.zeros((A.shape[1], 0))
    if len(support):
        kernel = null_space(A[:, support], rcond=1e-10)
        directions = np.zeros((A.shape[1], kernel.shape[1]))
        directions[support] = kernel
    return Face(point, support, directions)


def maximise_on_face(face: Face, depth: float) -> np.ndarray:
    """Maximise the criterion of S8 over a face with cvxpy and CLARABEL; Newton steps refine.

    Parameters
    ----------
    face : Face
        The face of minimisers.
    depth : float
        L = 2: entropy; L > 2: sum abs(z)^(2/L); infinite: sum log abs(z).

    Returns
    -------
    ndarray of shape (N,)
        The maximiser.
    """
    signs = np.sign(face.point[face.support])
    t = cp.Variable(face.dimension)
    size = np.abs(face.point[face.support]) + (signs[:, None] * face.directions[face.support]) @ t
    if depth == 2:
        criterion = cp.sum(cp.entr(size))
    elif np.isinf(depth):
        criterion = cp.sum(cp.log(size))
    else:
        criterion = cp.sum(cp.power(size, 2 / depth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "may be inaccurate": Newton's method sees to that
        cp.Problem(cp.Maximize(criterion)).solve(solver="CLARABEL")
    z = np.abs(face.point + face.directions @ t.value)[face.support]
    D = signs[:, None] * face.directions[face.support]
    exponent = 2 / depth - 1 if depth > 2 else -1.0
    for _ in range(20):
        slope = z**exponent if depth > 2 else -np.log(z)
        curvature = z ** (exponent - 1) if depth > 2 else 1 / z
        step = D @ np.linalg.solve((D.T * curvature) @ D, D.T @ slope)
        step /= abs(exponent) if depth > 2 else 1.0
        if not np.all(z + step > 0):
            break
        z = z + step
    maximiser = np.zeros(len(face.point))
    maximiser[face.support] = signs * z
    return maximiser


def integer_problem(
    M: int, N: int, s: int, signed: bool, seed: int | np.random.SeedSequence
) -> tuple[Problem, Face]:
    """Draw problems with entries -1, 0, 1 until one has more than one l1-minimiser.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros of the signal (integers from 1 to 4, with random signs in
        the signed model).
    signed : bool
        Signed or positive model.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem.
    face : Face
        Its minimisers, a face of dimension at least 1.
    """
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        A = rng.integers(-1, 2, size=(M, N)).astype(float)
        x = np.zeros(N)
        x[rng.choice(N, size=s, replace=False)] = rng.integers(1, 5, size=s)
        if signed:
            x *= rng.choice([-1.0, 1.0], size=N)
        problem = Problem(A, A @ x)
        if not problem.y.any() or np.linalg.matrix_rank(A) < M:
            continue
        face = minimal_face(problem, signed)
        if face.dimension:
            return problem, face
    raise RuntimeError("1000 problems had a unique minimiser each: choose another size")


@dataclass(frozen=True, eq=False)
class FaceTrials:
    """Limits on problems with many l1-minimisers, against the predicted one.

    Parameters
    ----------
    signed : ndarray of shape (I,)
        Signed or positive model.
    dimension : ndarray of shape (I,)
        Dimension of the face of minimisers.
    width : ndarray of shape (I, D)
        Distance from the prediction to that of the farthest other depth, for scale.
    depths : ndarray of shape (D,)
        Numbers L of factors.
    log10_a : ndarray of shape (D, K)
        Init scales as log10 of a = alpha^L.
    error : ndarray of shape (I, D, K)
        norm(x_inf - prediction, inf)/norm(prediction, inf); NaN where the limit was not found.
    converged : ndarray of shape (I, D, K)
        Whether the limit was found.
    """

    signed: np.ndarray
    dimension: np.ndarray
    width: np.ndarray
    depths: np.ndarray
    log10_a: np.ndarray
    error: np.ndarray
    converged: np.ndarray


def face_trials(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    log10_a: list[float],
    log10_a_shallow: list[float],
    seed: int,
) -> FaceTrials:
    """Compare limits with the independent maximisation on random faces of minimisers.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N, s) of `integer_problem`.
    trials : int
        Problems of each size, in each model.
    depths : list of float
        Numbers L of factors.
    log10_a : list of float
        Init scales as log10 of a, for depths above 2.
    log10_a_shallow : list of float
        As many for depth 2, where the limit is approached far more slowly.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    FaceTrials
        Errors of all limits.
    """
    cases = [(*size, signed) for signed in (False, True) for size in sizes for _ in range(trials)]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    error = np.full((len(cases), len(depths), len(log10_a)), np.nan)
    converged = np.zeros(error.shape, dtype=bool)
    dimension = np.zeros(len(cases), dtype=int)
    width = np.zeros((len(cases), len(depths)))
    for i, (case, stream) in enumerate(zip(cases, seeds, strict=True)):
        problem, face = integer_problem(*case, stream)
        dimension[i] = face.dimension
        targets = np.array([maximise_on_face(face, depth) for depth in depths])
        for j, (depth, target) in enumerate(zip(depths, targets, strict=True)):
            size = np.max(np.abs(target))
            width[i, j] = np.max(np.abs(targets - target)) / size
            for k, value in enumerate(log10_a if depth > 2 else log10_a_shallow):
                log_alpha = log_scale(depth, value * np.log(10))
                model = DeepFactorization(depth, log_alpha=log_alpha, signed=case[3])
                limit = flow_limit(problem, model)
                converged[i, j, k] = limit.success
                if limit.success:
                    error[i, j, k] = np.max(np.abs(limit.x - target)) / size
    return FaceTrials(
        signed=np.array([case[3] for case in cases]),
        dimension=dimension,
        width=width,
        depths=np.asarray(depths, dtype=float),
        log10_a=np.array([log10_a if L > 2 else log10_a_shallow for L in depths], dtype=float),
        error=error,
        converged=converged,
    )


def mean_column_problem(ratio: float) -> Problem:
    """Return the problem whose minimisers are a segment: columns e_1, e_2 and their mean.

    Parameters
    ----------
    ratio : float
        y = (1, ratio), 0 < ratio <= 1.

    Returns
    -------
    Problem
        Its nonnegative solutions x = (1 - t, ratio - t, 2 t), 0 <= t <= ratio, have one l1 norm.
    """
    return Problem(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]), np.array([1.0, ratio]))


def mean_column_position(ratio: float, depth: float) -> float:
    """Return the predicted t/ratio: x_3 is the mean of x_1 and x_2 with exponent -(1 - 2/L).

    Parameters
    ----------
    ratio : float
        As in `mean_column_problem`.
    depth : float
        Number L of factors.

    Returns
    -------
    float
        Position on the segment, between 0 (only e_1 and e_2) and 1 (as much of the mean as can be).
    """
    p = 1 - 2 / depth

    def excess(t):
        one, two = 1 - t, ratio - t
        if p == 0:
            return 2 * t - np.sqrt(one * two)
        return 2 * t - ((one**-p + two**-p) / 2) ** (-1 / p)

    return brentq(excess, 0.0, ratio * (1 - 1e-12), xtol=1e-15) / ratio


def segment_positions(
    ratios: list[float], depths: list[float], log10_a: float = -12.0
) -> dict[str, np.ndarray]:
    """Measure where on the segment of `mean_column_problem` the limits of both models lie.

    Parameters
    ----------
    ratios : list of float
        Second entries of y.
    depths : list of float
        Numbers L of factors.
    log10_a : float, optional
        Init scale as log10 of a (default: -12).

    Returns
    -------
    dict of str to ndarray
        Columns ``ratio``, ``depth``, ``predicted``, ``positive`` and ``signed``: positions t/ratio.
    """
    rows = []
    for ratio in ratios:
        problem = mean_column_problem(ratio)
        for depth in depths:
            log_alpha = log_scale(depth, log10_a * np.log(10))
            measured = []
            for signed in (False, True):
                model = DeepFactorization(depth, log_alpha=log_alpha, signed=signed)
                limit = flow_limit(problem, model)
                measured.append(limit.x[2] / (2 * ratio) if limit.success else np.nan)
            rows.append([ratio, depth, mean_column_position(ratio, depth), *measured])
    names = ("ratio", "depth", "predicted", "positive", "signed")
    return dict(zip(names, np.array(rows).T, strict=True))


def which_minimiser_figure(
    segment: dict[str, np.ndarray], faces: FaceTrials, singletons: SingletonTrials
) -> Figure:
    """Draw the selected minimisers, their convergence, and the singletons.

    Parameters
    ----------
    segment : dict
        Columns of `segment_positions`.
    faces : FaceTrials
        Limits on random faces.
    singletons : SingletonTrials
        Limits on random singletons and other feasible sets.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels.
    """
    colours = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    styles, markers = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))], "osD^v"
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 2.9))
    for k, ratio in enumerate(np.unique(segment["ratio"])[::-1]):
        here = segment["ratio"] == ratio
        p = 1 - 2 / segment["depth"][here]
        grid = np.linspace(0, 1, 41)
        curve = [
            mean_column_position(ratio, 2 / (1 - value) if value < 1 else np.inf) for value in grid
        ]
        left.plot(grid, curve, linestyle=styles[k % 5], color=colours[k % 5])
        left.plot(
            p,
            segment["positive"][here],
            markers[k % 5],
            color=colours[k % 5],
            mfc="none",
            label=f"$y_2/y_1 = {ratio:g}$",
        )
        left.plot(p, segment["signed"][here], "x", color=colours[k % 5], markersize=3)
    ticks = {2: "2", 3: "3", 4: "4", 6: "6", np.inf: r"$\infty$"}
    left.set_xticks([1 - 2 / L for L in ticks], list(ticks.values()))
    left.set(xlabel="depth $L$ (scale: $1 - 2/L$)", ylabel="position on the segment, $t/y_2$")
    left.set_title("depth chooses the minimiser")
    left.set_ylim(0, 1)
    left.legend(loc="lower left")

    for j, depth in enumerate(faces.depths[faces.depths > 2]):
        row = np.flatnonzero(faces.depths == depth)[0]
        error = np.maximum(faces.error[:, row], 1e-16)
        name = r"$L = \infty$" if np.isinf(depth) else f"$L = {depth:g}$"
        middle.plot(
            10.0 ** faces.log10_a[row],
            np.median(error, axis=0),
            linestyle=styles[j % 5],
            marker=markers[j % 5],
            color=colours[j % 5],
            label=name,
        )
        middle.fill_between(
            10.0 ** faces.log10_a[row],
            error.min(axis=0),
            error.max(axis=0),
            color=colours[j % 5],
            alpha=0.12,
            linewidth=0,
        )
    middle.set(xscale="log", yscale="log", xlabel=r"init scale $a = \alpha^L$")
    middle.set_ylabel("relative distance to the prediction")
    middle.set_title("random integer matrices")
    middle.legend()

    single = singletons.singleton
    for flag, colour, marker, name in (
        (False, OKABE_ITO["vermillion"], "s", "many feasible points"),
        (True, OKABE_ITO["blue"], "o", "one feasible point"),
    ):
        if not (single == flag).any():
            continue
        error = np.maximum(singletons.error[single == flag], 1e-16)
        low, high = np.nanmin(error, axis=(0, 1)), np.nanmax(error, axis=(0, 1))
        right.plot(
            singletons.alphas,
            np.nanmedian(error, axis=(0, 1)),
            marker=marker,
            linestyle="-" if flag else "--",
            color=colour,
            label=name,
        )
        right.fill_between(singletons.alphas, low, high, color=colour, alpha=0.15, linewidth=0)
    right.set(xscale="log", yscale="log", xlabel=r"init scale $\alpha$")
    right.set_ylabel(r"$\Vert x_\infty - x^*\Vert_2/\Vert x^*\Vert_2$")
    right.set_title("nothing to choose from")
    right.legend(loc="upper left")
    return figure

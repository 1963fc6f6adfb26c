"""PhaseMax: its duality with basis pursuit, the flow's dual variable, and success probabilities."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr
from scipy.stats import chi2

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.fits import fitted_slope, relative_error
from deepfact.experiments.tables import from_rows, groups
from deepfact.l1_minimisation import basis_pursuit
from deepfact.lifting.phase_max import (
    anchor_distance,
    maximise_phase,
    phase_max_problem,
    signal_from_dual,
)
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.statuses import require
from deepfact.theory.phase_retrieval import (
    anchor_cone,
    phase_max_ratio,
    phase_max_success,
    spanning_probability,
)

__all__ = [
    "curve_excess",
    "measure_dual_errors",
    "measure_duality",
    "measure_success",
    "measure_transitions",
    "predicted_dual_error",
    "probit_midpoint",
    "selected_combination",
    "vertex_dual_error",
]

INSIDE = 1e-9
"""Largest distance, relative to the anchor's length, that counts as being in the cone."""


def _anchor(n, degrees):
    """Return the signal e_1 and a unit vector at an angle to it."""
    angle = np.radians(degrees)
    signal, anchor = np.zeros(n), np.zeros(n)
    signal[0] = 1.0
    anchor[:2] = np.cos(angle), np.sin(angle)
    return signal, anchor


def measure_duality(
    n: int, ratios: list[float], degrees: float, trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Compare PhaseMax as a linear program with basis pursuit and with the cone.

    Parameters
    ----------
    n : int
        Unknowns.
    ratios : list of float
        Measurements m over n.
    degrees : float
        Angle between anchor and signal.
    trials : int
        Instances for each of them.
    seed : int
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        ``m``, ``n``; ``value``, <g, x> at the program's solution; ``lower`` and ``upper``, the
        certified interval of the least l1 norm; ``signal``, <g, x0>; ``error``,
        |x - x0|/|x0|; ``distance``, the anchor's from the cone.
    """
    rng = np.random.default_rng(seed)
    signal, anchor = _anchor(n, degrees)
    rows = []
    for ratio in ratios:
        m = round(ratio * n)
        for _ in range(trials):
            vectors = rng.standard_normal((m, n))
            magnitudes = np.abs(vectors @ signal)
            x = maximise_phase(vectors, magnitudes, anchor)
            best = require(basis_pursuit(phase_max_problem(vectors, magnitudes, anchor)))
            rows.append(
                {
                    "m": m,
                    "n": n,
                    "value": anchor @ x,
                    "lower": best.lower_bound,
                    "upper": np.abs(best.x).sum(),
                    "signal": anchor @ signal,
                    "error": relative_error(x, signal),
                    "distance": anchor_distance(vectors, signal, anchor),
                }
            )
    return from_rows(rows)


def selected_combination(problem: Problem, signal: np.ndarray, depth: float) -> np.ndarray:
    """Return the l1-minimiser that the flow selects, where the signal is PhaseMax's maximiser.

    Every t >= 0 with B (s t) = g is one, s the signs of B^T x0. The flow selects the one with the
    largest sum t_i^{2/L}; for L = 2 with the largest entropy (statement S8).

    Parameters
    ----------
    problem : Problem
        B and the anchor g.
    signal : ndarray of shape (n,)
        x0.
    depth : float
        Number L >= 2 of factors.

    Returns
    -------
    ndarray of shape (m,)
        t.
    """
    import cvxpy as cp

    columns = problem.dense() * np.sign(problem.dense().T @ signal)
    if depth == 2:  # t = exp(columns^T nu), however small: the dual problem of the entropy

        def dual(nu):
            t = np.exp(columns.T @ nu)
            return t.sum() - nu @ problem.y, columns @ t - problem.y

        def bend(nu):
            return (columns * np.exp(columns.T @ nu)) @ columns.T

        found = minimize(dual, np.zeros(problem.M), jac=True, hess=bend, method="trust-exact",
                         options={"gtol": 1e-12})  # fmt: skip
        return np.exp(columns.T @ found.x)
    t = cp.Variable(problem.N, nonneg=True)
    criterion = cp.Maximize(cp.sum(cp.power(t, 2 / depth)))
    cp.Problem(criterion, [columns @ t == problem.y]).solve(solver="CLARABEL")
    return t.value


def predicted_dual_error(
    problem: Problem, signal: np.ndarray, selected: np.ndarray, depth: float, log_alpha: float
) -> float:
    """Predict |eta - x0| to leading order, eta = nu/|B^T nu|_inf of the flow's limit.

    With t of `selected_combination` and the signs s of B^T x0, B^T (eta - x0) has the entries
    -s_i alpha^{L-2} (t_i^{2/L-1} - max t^{2/L-1}) for L > 2 and, with a = alpha^2,
    -s_i log(max t/t_i)/log(max t/a) for L = 2.

    Parameters
    ----------
    problem : Problem
        B and the anchor.
    signal : ndarray of shape (n,)
        x0.
    selected : ndarray of shape (m,)
        t.
    depth : float
        Number L >= 2 of factors.
    log_alpha : float
        Logarithm of the init scale.

    Returns
    -------
    float
        The length.
    """
    largest = selected.max()
    if depth > 2:
        lack = selected ** (2 / depth - 1) - largest ** (2 / depth - 1)
        lack *= np.exp((depth - 2) * log_alpha)
    else:
        lack = np.log(largest / selected) / (np.log(largest) - 2 * log_alpha)
    signs = np.sign(problem.dense().T @ signal)
    return float(np.linalg.norm(np.linalg.lstsq(problem.dense().T, signs * lack)[0]))


def vertex_dual_error(
    problem: Problem, minimiser: np.ndarray, depth: float, log_alpha: float
) -> float:
    """Predict |eta - x0| as if the flow's limit were a basic l1-minimiser, with n nonzeros.

    Parameters
    ----------
    problem : Problem
        B and the anchor.
    minimiser : ndarray of shape (m,)
        An l1-minimiser with n nonzeros.
    depth : float
        Number L >= 2 of factors.
    log_alpha : float
        Logarithm of the init scale.

    Returns
    -------
    float
        The length that `predicted_dual_error` would have on its support.
    """
    support = np.flatnonzero(minimiser)
    part = Problem(problem.dense()[:, support], problem.y)
    signal = np.linalg.lstsq(part.dense().T, np.sign(minimiser[support]))[0]
    return predicted_dual_error(part, signal, np.abs(minimiser[support]), depth, log_alpha)


def probit_midpoint(
    m: np.ndarray, recovered: np.ndarray, trials: np.ndarray
) -> tuple[float, float]:
    """Fit P = Phi(b sqrt(m) - c/sqrt(m)) to counts by maximum likelihood.

    That is the form of the predicted curves, with d and kappa free.

    Parameters
    ----------
    m, recovered, trials : ndarray of shape (points,)
        Measurements, successes, instances.

    Returns
    -------
    midpoint : float
        c/b, at which P = 1/2.
    error : float
        Its standard error, from the Fisher information.
    """
    regressors = np.column_stack([np.sqrt(m), -1 / np.sqrt(m)])
    failed = trials - recovered

    def loss(coefficients):
        t = regressors @ coefficients
        return -(recovered @ log_ndtr(t) + failed @ log_ndtr(-t))

    b, c = minimize(loss, np.array([1.0, np.mean(m)]), method="Nelder-Mead",
                    options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}).x  # fmt: skip
    t = regressors @ np.array([b, c])
    weight = trials * np.exp(-(t**2)) / (2 * np.pi * ndtr(t) * ndtr(-t))
    covariance = np.linalg.inv(regressors.T @ (weight[:, None] * regressors))
    gradient = np.array([-c / b**2, 1 / b])
    return float(c / b), float(np.sqrt(gradient @ covariance @ gradient))


def measure_dual_errors(
    n: int,
    ratio: float,
    degrees: float,
    depths: list[int],
    log10_alphas: list[float],
    log10_alphas_two: list[float],
    instances: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Read the signal off the flow's dual variable at smaller and smaller init scales.

    Parameters
    ----------
    n : int
        Unknowns.
    ratio : float
        Measurements m over n.
    degrees : float
        Angle between anchor and signal.
    depths : list of int
        Numbers L of factors.
    log10_alphas : list of float
        log10 of the init scales, falling; the slope is fitted to the last three.
    log10_alphas_two : list of float
        The same for L = 2, where the asymptote sets in once alpha^2 is far below the smallest entry
        of the selected minimiser, which can be tiny.
    instances : int
        Number of problems, drawn until the signal is PhaseMax's only maximiser.
    seed : int
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        ``draw``, ``depth``, ``alpha``, ``error`` = |eta - x0|/|x0|, ``predicted`` (leading order)
        and ``vertex``, the same for basis pursuit's minimiser in place of the one selected;
        ``slope``, fitted against log alpha (L = 2: against log log(max t/a), t the selected
        minimiser) over the last three scales, and ``rate``, L - 2 (L = 2: -1).
    """
    rng = np.random.default_rng(seed)
    signal, anchor = _anchor(n, degrees)
    m = round(ratio * n)
    rows = []
    for draw in range(instances):
        while True:
            vectors = rng.standard_normal((m, n))
            if anchor_distance(vectors, signal, anchor) <= INSIDE:
                break
        problem = phase_max_problem(vectors, np.abs(vectors @ signal), anchor)
        vertex = require(basis_pursuit(problem)).x
        for depth in depths:
            errors, selected = [], selected_combination(problem, signal, depth)
            scales = log10_alphas if depth > 2 else log10_alphas_two
            logs = np.log(10) * np.asarray(scales, dtype=float)
            for log_alpha in logs:
                model = DeepFactorization(depth, log_alpha=log_alpha)
                eta = signal_from_dual(problem, require(flow_limit(problem, model)).dual)
                errors.append(relative_error(eta, signal))
            clock = logs if depth > 2 else np.log(np.log(selected.max()) - 2 * logs)
            slope, _ = fitted_slope(clock[-3:], np.log(errors[-3:]))
            rows += [
                {
                    "draw": draw,
                    "depth": depth,
                    "alpha": np.exp(log_alpha),
                    "error": error,
                    "predicted": predicted_dual_error(problem, signal, selected, depth, log_alpha),
                    "vertex": vertex_dual_error(problem, vertex, depth, log_alpha),
                    "slope": slope,
                    "rate": depth - 2 if depth > 2 else -1,
                }
                for log_alpha, error in zip(logs, errors, strict=True)
            ]
    return from_rows(rows)


def measure_success(
    n: int, degrees: list[float], shares: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Count how often the anchor is in the cone, for Gaussian vectors.

    Parameters
    ----------
    n : int
        Unknowns.
    degrees : list of float
        Angles between anchor and signal.
    shares : list of float
        Measurements as multiples of n `phase_max_ratio`.
    trials : int
        Instances for each angle and number of measurements.
    seed : int
        Source of randomness: one spawned stream for each angle and number.

    Returns
    -------
    dict of str to ndarray
        ``n``, ``degrees``, ``m``, ``recovered``, ``trials``; ``predicted``, the probability by
        `phase_max_success`, at angle 0 by `spanning_probability`; ``bare``, the same
        without the cone's offset of order 1, at angle 0 with all n dimensions.
    """
    streams = iter(np.random.SeedSequence(seed).spawn(len(degrees) * len(shares)))
    rows = []
    for degree in degrees:
        signal, anchor = _anchor(n, degree)
        angle = np.radians(degree)
        for share in shares:
            rng = np.random.default_rng(next(streams))
            m = round(share * phase_max_ratio(angle) * n)
            recovered = sum(
                anchor_distance(rng.standard_normal((m, n)), signal, anchor) <= INSIDE
                for _ in range(trials)
            )
            exact = degree == 0
            rows.append(
                {
                    "n": n,
                    "degrees": degree,
                    "m": m,
                    "recovered": recovered,
                    "trials": trials,
                    "predicted": spanning_probability(m, n - 1)
                    if exact
                    else phase_max_success(m, n, angle),
                    "bare": spanning_probability(m, n) if exact else _bare(m, n, angle),
                }
            )
    return from_rows(rows)


def _bare(m, n, angle):
    """Return the prediction from the statistical dimension alone, without its offset."""
    cone = anchor_cone(angle)
    return float(ndtr((m * cone.share - (n - 2)) / np.sqrt(m * cone.variance)))


def curve_excess(own: dict[str, np.ndarray], column: str, level: float) -> float:
    """Compare counts with a predicted curve by a chi-square test.

    Parameters
    ----------
    own : dict
        The rows of `measure_success` of one angle.
    column : str
        The predicted probabilities.
    level : float
        Level of the test.

    Returns
    -------
    float
        The statistic over its quantile, less 1: negative if the curve is accepted.
    """
    p = np.clip(own[column], 1e-12, 1 - 1e-12)
    expected = own["trials"] * p
    terms = (own["recovered"] - expected) ** 2 / (expected * (1 - p))
    return float(terms.sum() / chi2.ppf(level, len(p)) - 1)


def measure_transitions(success: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the number of measurements at which half of the signals are recovered.

    Parameters
    ----------
    success : dict
        Of `measure_success`.

    Returns
    -------
    dict of str to ndarray
        For each angle ``degrees``, ``n``; ``midpoint`` and ``error``, fitted and its standard
        error; ``predicted``, (n - 2 + kappa)/d; ``limit``, n/d; ``cosine``, 2 (n - 1)/cos^2, half
        of what complex signals need.
    """
    rows = []
    for degree, own in groups(success, "degrees"):
        midpoint, error = probit_midpoint(own["m"], own["recovered"], own["trials"])
        angle, n = np.radians(degree), own["n"][0]
        cone = anchor_cone(angle)
        rows.append(
            {
                "degrees": degree,
                "n": n,
                "midpoint": midpoint,
                "error": error,
                "predicted": (n - 2 + cone.offset) / cone.share,
                "limit": n / cone.share,
                "cosine": 2 * (n - 1) / np.cos(angle) ** 2,
            }
        )
    return from_rows(rows)

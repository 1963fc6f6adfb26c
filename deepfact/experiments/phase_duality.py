"""PhaseMax as basis pursuit, and the signal in the dual variable of the flow."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.fits import fitted_slope, relative_error
from deepfact.experiments.phase_success import INSIDE, signal_and_anchor
from deepfact.experiments.tables import from_rows
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

__all__ = [
    "measure_dual_errors",
    "measure_duality",
    "predicted_dual_error",
    "selected_combination",
    "vertex_dual_error",
]


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

    Raises
    ------
    RuntimeError
        If a program is not solved.
    """
    rng = np.random.default_rng(seed)
    signal, anchor = signal_and_anchor(n, degrees)
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

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rng = np.random.default_rng(seed)
    signal, anchor = signal_and_anchor(n, degrees)
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

"""Rates of the l1 gap in the init scale: statements S2, S3 and S7."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from scipy.linalg import null_space
from scipy.optimize import minimize_scalar

from deepfact import rates, theory
from deepfact.deep_factorization import DeepFactorization, deformed_exponent
from deepfact.experiments.l1_gap import guaranteed_gap
from deepfact.figures import OKABE_ITO
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem

SMALLEST_MEASURED = 1e-8
"""Gaps below this multiple of Q are taken from `log_gap_near_minimiser`, larger ones measured."""


def measured_gap(
    problem: Problem, x: np.ndarray, certificate: np.ndarray, model: DeepFactorization
) -> float:
    """Return the gap of `flow_limit` without the cancellation of ||x_inf||_1 - ||x*||_1.

    Parameters
    ----------
    problem : Problem
        A x = y.
    x : ndarray of shape (N,)
        The minimiser x* of the l1 norm.
    certificate : ndarray of shape (N,)
        rho = A^T nu for some nu, the signs of x* on its support.
    model : DeepFactorization
        Depth, init scale, signed or positive.

    Returns
    -------
    float
        sum abs(x_inf_i) - rho_i x_inf_i off the support: since A x_inf = A x*, this is the gap. NaN
        where the limit was not found.
    """
    limit = flow_limit(problem, model)
    off = limit.x[x == 0]
    return float(np.sum(np.abs(off) - certificate[x == 0] * off)) if limit.success else np.nan


def log_gap_near_minimiser(
    problem: Problem, x: np.ndarray, certificate: np.ndarray, model: DeepFactorization
) -> float:
    """Return the logarithm of the limit's l1 gap where it is too small for `flow_limit`.

    Solves the same equations A x = y, x = X(A^T nu) in variables in which nothing cancels: the
    entries of x off the support of x*, in logarithms, and the differences x - x* on it. With Z a
    basis of the kernel of A_S^T, the entries off the support obey Z^T A_off x_off = 0, which is
    the optimality condition of a smooth convex problem in M - s unknowns.

    Parameters
    ----------
    problem : Problem
        A x = y with y = A x*.
    x : ndarray of shape (N,)
        The unique minimiser x* of the l1 norm, with s < M nonzeros.
    certificate : ndarray of shape (N,)
        rho = A^T nu for some nu, the signs of x* on its support, of size below 1 elsewhere.
    model : DeepFactorization
        Depth >= 2, one init scale for all coordinates, signed or positive.

    Returns
    -------
    float
        NaN where the iteration does not converge: the init scale is not small enough.
    """
    A, support = problem.dense(), x != 0
    on, off = A[:, support], A[:, ~support]
    lift = np.linalg.pinv(on.T)  # A_S^T lift = identity
    B, C = off.T @ null_space(on.T), off.T @ lift
    rate, theta, signs = float(np.exp(model.log_rate)), model.theta, np.sign(x[support])
    outside = certificate[~support]
    start = np.linalg.lstsq(B, outside - C @ signs, rcond=None)[0]

    change = np.zeros(len(signs))
    z = None
    for _ in range(100):
        moved = x[support] + change
        if np.any(moved * signs <= 0):
            return np.nan
        v = rate * model.potential_gradient(moved)
        if z is None:
            z = np.mean(np.abs(v)) * start
        z = _balance(B, C @ v, z, theta, model.signed)
        if z is None:
            return np.nan
        values, _, log_scale = _products(C @ v + B @ z, theta, model.signed)
        log_unit = float(model.log_product) + log_scale
        with np.errstate(under="ignore"):
            new = -np.exp(log_unit) * (lift.T @ (off @ values))
        settled = np.max(np.abs(new - change) / np.abs(moved)) <= 1e-14
        change = new
        if settled:
            return log_unit + float(np.log(np.sum(np.abs(values) - outside * values)))
    return np.nan


def _products(v, theta, signed):
    """Return X/(a e^m) and its derivative for the scaled dual variable v, and m."""
    grow = deformed_exponent(v, theta)
    if not signed:
        m = float(np.max(grow))
        return np.exp(grow - m), np.exp((1 + theta) * grow - m), m
    shrink = deformed_exponent(-v, theta)
    m = float(max(np.max(grow), np.max(shrink)))
    slope = np.exp((1 + theta) * grow - m) + np.exp((1 + theta) * shrink - m)
    return np.exp(grow - m) - np.exp(shrink - m), slope, m


def _balance(B, c, z, theta, signed):
    """Return z with B^T X(c + B z) = 0 by damped Newton steps; None where they fail."""
    last = np.inf
    for _ in range(500):
        v = c + B @ z
        if theta and np.max(theta * (np.abs(v) if signed else v)) >= 1:
            return None
        with np.errstate(under="ignore"):
            values, slope, m = _products(v, theta, signed)
            root = np.sqrt(slope)
        # Divided by the columns' largest weight: entries far below the largest drop out.
        step = np.linalg.lstsq(root[:, None] * B, -values / np.maximum(root, 1e-300), rcond=None)[0]
        decrement = float(np.linalg.norm(root * (B @ step)))
        if decrement <= 1e-7 * np.sqrt(np.sum(np.abs(values))) and decrement >= 0.5 * last:
            return z
        last, size, move = decrement, 1.0, B @ step
        while size > 1e-12:
            moved = v + size * move
            inside = not theta or np.max(theta * (np.abs(moved) if signed else moved)) < 1
            if inside:
                with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                    there, _, m_there = _products(moved, theta, signed)
                    turn = np.exp(min(m_there - m, 600.0)) * float(there @ move)
                if turn <= 0.5 * decrement**2 or decrement <= 1e-6 * np.sqrt(
                    np.sum(np.abs(values))
                ):
                    break
            size /= 2
        z = z + size * step
    return None


def gap_curve(
    problem: Problem, x: np.ndarray, depth: float, log_alpha: np.ndarray, signed: bool = True
) -> dict[str, np.ndarray]:
    """Compute the l1 gap on one problem against the init scale, with its bounds and asymptote.

    Parameters
    ----------
    problem : Problem
        A x = y.
    x : ndarray of shape (N,)
        The unique minimiser of the l1 norm.
    depth : float
        Number L of factors, finite.
    log_alpha : ndarray of shape (K,)
        Natural logarithms of the init scales.
    signed : bool, optional
        Signed or positive model (default: True).

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``depth``, ``log10_alpha``, and as multiples of Q: ``measured`` (from `flow_limit` where it
        is at least `SMALLEST_MEASURED`, else from `log_gap_near_minimiser`; ``refined`` says
        which), ``asymptote`` (S7), ``bound`` (S3), ``guarantee`` (S2), ``worst_case`` (the supremum
        over A = (1, 1 + delta) with the same Q).
    """
    Q, N = float(np.abs(x).sum()), problem.N
    asymptote = rates.first_order_correction(problem, x, depth, nonnegative=not signed)
    measured, refined = [], []
    for value in log_alpha:
        model = DeepFactorization(depth, log_alpha=float(value), signed=signed)
        gap = measured_gap(problem, x, asymptote.certificate, model) / Q
        refined.append(not gap >= SMALLEST_MEASURED)
        if refined[-1]:
            log_gap = log_gap_near_minimiser(problem, x, asymptote.certificate, model)
            gap = float(np.exp(log_gap)) / Q
        measured.append(gap)
    return {
        "depth": np.full(len(log_alpha), float(depth)),
        "log10_alpha": log_alpha / np.log(10),
        "measured": np.array(measured),
        "refined": np.array(refined),
        "asymptote": asymptote.gap(log_alpha=log_alpha) / Q,
        "bound": theory.l1_gap_bound(Q, N, depth, log_alpha=log_alpha, signed=signed) / Q,
        "guarantee": np.array([guaranteed_gap(Q, N, depth, v, signed) for v in log_alpha]) / Q,
        "worst_case": np.array(
            [worst_case(Q, depth, float(value), signed)[0] for value in log_alpha]
        )
        / Q,
    }


@dataclass(frozen=True, eq=False)
class RateTrials:
    """Measured against predicted rates on random problems: I instances, D depths, G gaps.

    Parameters
    ----------
    signed : bool
        Signed or positive model.
    depths : ndarray of shape (D,)
        Numbers L of factors.
    exponent : ndarray of shape (I, D)
        Predicted exponent of alpha.
    rho : ndarray of shape (I, D)
        Largest entry of the certificate off the support.
    log_ratio : ndarray of shape (I, D, G)
        log(gap/predicted gap), at init scales at which the predicted gap is 10^g Q.
    slope : ndarray of shape (I, D)
        Least-squares slope of log gap against log alpha over these scales.
    slope_low, slope_high : ndarray of shape (I, D)
        Least and largest slope between neighbouring scales.
    disagreement : ndarray of shape (I, D)
        abs(log(gap of flow_limit/refined gap)) at a predicted gap of 1e-6 Q.
    excluded : int
        Draws without a unique nondegenerate minimiser, or with an infinite rate: drawn again.
    """

    signed: bool
    depths: np.ndarray
    exponent: np.ndarray
    rho: np.ndarray
    log_ratio: np.ndarray
    slope: np.ndarray
    slope_low: np.ndarray
    slope_high: np.ndarray
    disagreement: np.ndarray
    excluded: int


def rate_trials(
    M: int,
    N: int,
    s: int,
    instances: int,
    depths: list[float],
    log10_gaps: list[float],
    signed: bool,
    seed: int,
) -> RateTrials:
    """Compare the measured gap with its asymptote on random Gaussian problems.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    instances : int
        Number of problems.
    depths : list of float
        Numbers L of factors, finite.
    log10_gaps : list of float
        The init scales are those at which the asymptote is 10^g Q, for these g, at least two.
    signed : bool
        Signed or positive model.
    seed : int
        Seed; every draw has its own child of it.

    Returns
    -------
    RateTrials
        Measured and predicted rates.
    """
    depths = np.asarray(depths, float)
    log_gaps = np.log(10) * np.asarray(log10_gaps, float)
    shape = instances, len(depths)
    exponent, rho, slope, low, high, disagreement = (np.full(shape, np.nan) for _ in range(6))
    log_ratio = np.full((*shape, len(log_gaps)), np.nan)
    source = np.random.SeedSequence(seed)
    excluded, i = 0, 0
    while i < instances:
        if excluded > 20 * instances:
            raise ValueError(f"M = {M} is too small for l1 recovery of s = {s} among N = {N}")
        problem = gaussian_problem(M, N, s, seed=source.spawn(1)[0], nonnegative=not signed)
        x = problem.x_true
        try:
            predicted = [
                rates.first_order_correction(problem, x, L, nonnegative=not signed) for L in depths
            ]
        except ValueError:
            excluded += 1
            continue
        if any(one.gap_coefficient == 0 for one in predicted):
            excluded += 1
            continue
        log_Q = float(np.log(np.abs(x).sum()))
        for j, (L, one) in enumerate(zip(depths, predicted, strict=True)):

            def log_gap(relative, L=L, one=one, problem=problem, x=x, log_Q=log_Q):
                log_alpha = (relative + log_Q - np.log(one.gap_coefficient)) / one.exponent
                model = DeepFactorization(L, log_alpha=float(log_alpha), signed=signed)
                return model, log_gap_near_minimiser(problem, x, one.certificate, model)

            found = [log_gap(g) for g in log_gaps]
            logs = np.array([value for _, value in found])
            log_alpha = np.array([model.log_alpha for model, _ in found])
            exponent[i, j], rho[i, j] = one.exponent, one.rho
            log_ratio[i, j] = logs - log_Q - log_gaps
            slope[i, j] = np.polyfit(log_alpha, logs, 1)[0] if np.isfinite(logs).all() else np.nan
            steps = np.diff(logs) / np.diff(log_alpha)
            low[i, j], high[i, j] = steps.min(), steps.max()
            model, refined = log_gap(np.log(1e-6))
            direct = measured_gap(problem, x, one.certificate, model)
            disagreement[i, j] = abs(float(np.log(direct)) - refined)
        i += 1
    return RateTrials(
        signed, depths, exponent, rho, log_ratio, slope, low, high, disagreement, excluded
    )


def worst_case(
    Q: float, depth: float, log_alpha: float, signed: bool = True
) -> tuple[float, float]:
    """Maximise the gap on A = (1, 1 + delta) over delta, for a = alpha^L < Q.

    Parameters
    ----------
    Q : float
        Least l1 norm.
    depth : float
        Number L of factors, finite.
    log_alpha : float
        Natural logarithm of the init scale.
    signed : bool, optional
        Signed or positive model (default: True).

    Returns
    -------
    gap, delta : float
        The largest gap and where it is attained.
    """

    def gap(log_delta):
        delta = float(np.exp(log_delta))
        return rates.worst_case_gap(delta, Q, depth, signed=signed, log_alpha=log_alpha)

    # The worst delta is of the order of the worst gap, which is that of the asymptote.
    log_ratio = max(float(np.log(Q)) - depth * log_alpha, 1.0)
    centre = -np.log(log_ratio) if depth == 2 else -(1 - 2 / depth) * log_ratio
    grid = centre + np.linspace(-4.0, 4.0, 17)
    best = int(np.argmax([gap(value) for value in grid]))
    found = minimize_scalar(
        lambda value: -gap(value),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return -float(found.fun), float(np.exp(found.x))


def worst_case_trials(
    depths: list[float], log10_ratios: list[float], Q: float, signed: bool = True
) -> dict[str, np.ndarray]:
    """Compute the largest gap over A = (1, 1 + delta) and compare it with guarantee and asymptote.

    Parameters
    ----------
    depths : list of float
        Numbers L of factors, finite.
    log10_ratios : list of float
        Init scales as log10(Q/a), a = alpha^L.
    Q : float
        Least l1 norm.
    signed : bool, optional
        Signed or positive model (default: True).

    Returns
    -------
    dict of str to ndarray of shape (D K,)
        ``depth``, ``log10_ratio``, ``log_alpha``; as multiples of Q ``supremum`` with the ``delta``
        that attains it, ``guarantee`` (S2), ``bound`` (S3) and ``asymptote``, C/log(Q/a) or
        C (a/Q)^p; ``disagreement``, the relative difference between the supremum and the gap of
        `flow_limit` on that very matrix (NaN where 1 + delta would round off delta's digits).
    """
    rows = []
    for L in depths:
        C = rates.worst_case_constant(L)
        for log10_ratio in log10_ratios:
            log_ratio = float(np.log(10) * log10_ratio)
            log_alpha = (float(np.log(Q)) - log_ratio) / L
            gap, delta = worst_case(Q, L, log_alpha, signed)
            limit_gap = np.nan
            if delta > 1e-6:
                problem = rates.worst_case_problem(delta, Q)
                model = DeepFactorization(L, log_alpha=log_alpha, signed=signed)
                difference = problem.A[0, 1] - 1.0  # delta as it is in the matrix
                limit = flow_limit(problem, model)
                limit_gap = abs(limit.x[0]) * difference / (1 + difference)
            rows.append(
                {
                    "depth": L,
                    "log10_ratio": log10_ratio,
                    "log_alpha": log_alpha,
                    "supremum": gap / Q,
                    "delta": delta,
                    "guarantee": guaranteed_gap(Q, 2, L, log_alpha, signed) / Q,
                    "bound": theory.l1_gap_bound(Q, 2, L, log_alpha=log_alpha, signed=signed) / Q,
                    "asymptote": C / log_ratio if L == 2 else C * np.exp(-log_ratio * (1 - 2 / L)),
                    "disagreement": abs(limit_gap / gap - 1),
                }
            )
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def sign_gaps() -> tuple[float, float, float]:
    """Return what decides the sign of the 1/2 in S2.

    Returns
    -------
    eps : float
        The wanted gap.
    wrong : float
        The gap from alpha = exp(+1/2 - (Q^2 + N/e)/(2 eps)) in the positive model.
    right : float
        The gap from alpha = exp(-1/2 - (Q^2 + N/e)/(2 eps)).
    """
    problem, eps, alpha = theory.sign_counterexample()
    Q = float(np.abs(problem.y[0]))
    gaps = []
    for log_alpha in (np.log(alpha), np.log(alpha) - 1):
        model = DeepFactorization(2, log_alpha=float(log_alpha), signed=False)
        gaps.append(flow_limit(problem, model).l1_norm - Q)
    return eps, gaps[0], gaps[1]


def rate_figure(curves: list[dict[str, np.ndarray]], labels: list[str]) -> Figure:
    """Draw gap, bounds, asymptote and worst case against the init scale, a panel for each depth.

    Parameters
    ----------
    curves : list of dict
        One for each depth, from `gap_curve`.
    labels : list of str
        Text in each panel.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    columns = 2 if len(curves) > 1 else 1
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.3 * columns, 2.5 * rows + 0.5), sharey=True, squeeze=False
    )
    for axis, data, label in zip(axes.flat, curves, labels, strict=False):
        x = 10.0 ** data["log10_alpha"]
        for name, colour, style, text in (
            ("guarantee", OKABE_ITO["blue"], "--", "guarantee S2"),
            ("bound", OKABE_ITO["vermillion"], "-", "sharper bound S3"),
            ("worst_case", OKABE_ITO["green"], "-.", r"worst $A=(1,1+\delta)$"),
            ("asymptote", OKABE_ITO["orange"], "-", "asymptote S7"),
        ):
            keep = np.isfinite(data[name])
            if name == "asymptote":
                keep &= data[name] < 10
            axis.plot(x[keep], data[name][keep], style, color=colour, label=text)
        for refined, face, text in (
            (False, OKABE_ITO["black"], "measured gap"),
            (True, "white", "the same, refined"),
        ):
            here = data["refined"] == refined
            axis.plot(
                x[here],
                data["measured"][here],
                "o",
                color=OKABE_ITO["black"],
                label=text,
                markerfacecolor=face,
                markersize=3.5,
                markeredgewidth=0.8,
                zorder=3,
            )
        axis.set(xscale="log", yscale="log", title=f"$L = {data['depth'][0]:g}$")
        axis.text(
            0.97,
            0.05,
            label,
            transform=axis.transAxes,
            ha="right",
            va="bottom",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
        )
        axis.set_ylim(1e-22, 1e3)
        axis.xaxis.set_major_locator(LogLocator(numticks=6))
        axis.minorticks_off()
    for axis in axes.flat[len(curves) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel(r"init scale $\alpha$")
    for axis in axes[:, 0]:
        axis.set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$")
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    return figure

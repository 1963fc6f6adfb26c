"""When the mask of the largest coordinates is final, and how high the loss is then: T8."""

from __future__ import annotations

import numpy as np

from deepfact.dynamics.averaged_flow import path_clock
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.saddle_path import saddle_path
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.staircase import model_at
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.problem import Problem, gaussian_problem

__all__ = [
    "draw_problems",
    "mask_curve",
    "measure_early_bird",
    "measure_mask_times",
    "time_slopes",
]

FITTED = 3
"""The slopes are fitted to this many smallest init scales."""
FAR = 0.9
"""Masks count as final in the midst of a plateau if no inactive score is beyond this then."""


def draw_problems(M: int, N: int, s: int, instances: int, seed: int) -> tuple[list[Problem], int]:
    """Draw Gaussian problems whose mask becomes final in the midst of a plateau before the last.

    Parameters
    ----------
    M, N, s : int
        Size.
    instances : int
        How many.
    seed : int
        Seed.

    Returns
    -------
    problems : list of Problem
        Problems whose path ends on s coordinates, with a mask time after the first jump when no
        inactive score is beyond `FAR`.
    draws : int
        How many were drawn for these: the others' masks wait for a jump, or nearly so.
    """
    source, problems, draws = np.random.SeedSequence(seed), [], 0
    while len(problems) < instances:
        problem = gaussian_problem(M, N, s, seed=source.spawn(1)[0])
        path = saddle_path(problem)
        draws += 1
        if np.count_nonzero(path.x[-1]) == s:
            tau = path.mask_time(s)
            if tau > path.times[0] and _largest_score(path, tau)[1] <= FAR:
                problems.append(problem)
    return problems, draws


def _largest_score(path, tau):
    """Return the number of the plateau at a time, and the largest inactive score then."""
    m = int(np.searchsorted(path.times, tau, side="right")) - 1
    score = np.abs(path.score[m] + (tau - path.times[m]) * path.drift[m])
    return m, score[path.x[m] == 0].max()


def mask_curve(
    problem: Problem, depth: float, log10_alpha: float, taus: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow loss and mask of the flow at some rescaled times.

    Parameters
    ----------
    problem : Problem
        The problem, whose true signal has the final mask.
    depth, log10_alpha : float
        The model.
    taus : ndarray of shape (K,)
        Rescaled times.

    Returns
    -------
    loss : ndarray of shape (K,)
        Losses.
    lead : ndarray of shape (K,)
        The logarithm of the least entry of the final mask over the largest outside: negative
        where the mask is another one.
    """
    model = model_at(depth, log10_alpha)
    flow = gradient_flow(problem, model, taus * path_clock(model))
    inside = problem.x_true != 0
    with np.errstate(divide="ignore"):
        size = np.log(np.maximum(np.abs(flow.x), 1e-300))
    return flow.loss, size[:, inside].min(axis=1) - size[:, ~inside].max(axis=1)


def measure_mask_times(
    problems: list[Problem], s: int, scales: list[list[float]], points: int
) -> dict[str, np.ndarray]:
    """Measure when the mask becomes final and when the last jump happens, beside the path's times.

    Parameters
    ----------
    problems : list of Problem
        From `draw_problems`.
    s : int
        Size of the mask.
    scales : list of list of float
        Depth, and at least three values of log10 alpha, falling.
    points : int
        Rescaled times of the first look; a second one is as fine between two of them.

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and scale: ``problem``, ``depth``, ``log10_alpha``; predicted
        ``tau_mask`` and ``tau_jump`` of the last jump, ``restarted``, the latter if scores began
        anew after each jump; ``mask`` and ``jump`` as measured; ``loss`` at the measured mask
        time, the losses ``plateau`` there and ``next`` of the path, and ``start``; ``score``, the
        largest inactive one at the mask's time; and ``clock``, T(alpha).
    """
    rows = []
    for k, problem in enumerate(problems):
        path = saddle_path(problem)
        tau_mask, end = path.mask_time(s), path.times[-1]
        m, score = _largest_score(path, tau_mask)
        losses = np.append(path.loss, path.loss[-1])
        middle = (path.loss[-2] + path.loss[-1]) / 2
        fixed = {
            "tau_mask": tau_mask,
            "tau_jump": end,
            "restarted": _restarted(path),
            "plateau": losses[m],
            "next": losses[m + 1],
            "start": problem.y @ problem.y / 2,
            "score": score,
        }
        for depth, *log10_alphas in scales:
            for log10_alpha in log10_alphas:
                taus = np.linspace(0, 1.3 * end, points)
                loss, lead = mask_curve(problem, depth, log10_alpha, taus)
                cells = {_last(lead < 0), _last(loss > middle)}
                fine = [np.linspace(taus[i], taus[i + 1], points // 4) for i in cells]
                taus = np.unique(np.concatenate([taus[: max(cells) + 2], *fine]))
                loss, lead = mask_curve(problem, depth, log10_alpha, taus)
                mask = _crossing(taus, lead, _last(lead < 0))
                jump = _crossing(taus, middle - loss, _last(loss > middle))
                rows.append(
                    {
                        "problem": k,
                        "depth": float(depth),
                        "log10_alpha": float(log10_alpha),
                        **fixed,
                        "clock": path_clock(model_at(depth, log10_alpha)),
                        "mask": mask,
                        "jump": jump,
                        "loss": np.exp(np.interp(mask, taus, np.log(loss))),
                    }
                )
    return from_rows(rows)


def measure_early_bird(
    problem: Problem, s: int, depth: float, log10_alpha: float, points: int
) -> dict[str, np.ndarray]:
    """Follow the loss and the mask of one flow, beside those of the limit path.

    Parameters
    ----------
    problem : Problem
        One of `draw_problems`.
    s : int
        Size of the mask.
    depth, log10_alpha : float
        The model.
    points : int
        Rescaled times.

    Returns
    -------
    dict of str to ndarray
        A row for each time: ``tau``, ``loss`` and ``path_loss`` in units of the loss at the start,
        ``right``, whether the mask is the final one, ``tau_mask`` and the model in each row.
    """
    path = saddle_path(problem)
    taus = np.linspace(0, 1.2 * path.times[-1], points)
    loss, lead = mask_curve(problem, depth, log10_alpha, taus)
    start = problem.y @ problem.y / 2
    steps = np.append(start, path.loss)[np.searchsorted(path.times, taus, side="right")]
    return {
        "tau": taus,
        "loss": loss / start,
        "path_loss": steps / start,
        "right": lead > 0,
        "tau_mask": np.full(points, path.mask_time(s)),
        "depth": np.full(points, float(depth)),
        "log10_alpha": np.full(points, float(log10_alpha)),
    }


def _restarted(path):
    """Return the time of the last jump if every score began at 0 after each jump."""
    drifts = [path.initial_drift, *path.drift[:-1]]
    return sum(1 / np.abs(drift).max() for drift in drifts)


def _last(wrong):
    return int(np.flatnonzero(wrong)[-1])


def _crossing(taus, lead, i):
    """Return where a lead that is negative at i and not at i + 1 is 0."""
    share = lead[i] / (lead[i] - lead[i + 1])
    return float(taus[i] + share * (taus[i + 1] - taus[i]))


def time_slopes(times: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit how fast measured times tend to predicted ones, over all problems.

    Parameters
    ----------
    times : dict of str to ndarray
        From `measure_mask_times`.

    Returns
    -------
    dict of str to ndarray
        A row for each depth and event ("mask", "jump"): the fitted ``slope`` of the root mean
        square relative error, in log(1/alpha) at depth 2 and in alpha beyond, its ``half_width``,
        the ``predicted`` one, -1 or L - 2, the ``rival`` slope for another time, the last jump's
        for the mask and that of restarted scores for the jump, and ``instances``.
    """
    rows = []
    for depth, own in groups(times, "depth"):
        scales = np.unique(own["log10_alpha"])[:FITTED]  # the smallest ones
        place = np.log(-scales * np.log(10)) if depth == 2 else scales * np.log(10)
        for event, right, wrong in (
            ("mask", "tau_mask", "tau_jump"),
            ("jump", "tau_jump", "restarted"),
        ):
            fits = []
            for predicted in (right, wrong):
                errors = [
                    np.sqrt(np.mean((runs[event] / runs[predicted] - 1) ** 2))
                    for runs in (select(own, log10_alpha=value) for value in scales)
                ]
                fits.append(fitted_slope(place, np.log(errors)))
            rows.append(
                {
                    "depth": depth,
                    "event": event,
                    "slope": fits[0][0],
                    "half_width": fits[0][1],
                    "predicted": -1.0 if depth == 2 else depth - 2,
                    "rival": fits[1][0],
                    "instances": len(np.unique(own["problem"])) * len(scales),
                }
            )
    return from_rows(rows)

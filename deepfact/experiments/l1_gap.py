"""How far the flow's limit is from the least l1 norm: statements S2 and S3 on random problems."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.figures import OKABE_ITO
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import limit_path
from deepfact.problem import gaussian_problem, rademacher_problem

GENERATORS = {"gaussian": gaussian_problem, "rademacher": rademacher_problem}
SMALLEST_LOG_ALPHA = -700.0
"""Init scales below e^-700 are left out: `flow_limit` is not tested for them."""
ROUNDING = 1e-13
"""Gaps below this multiple of Q are differences of two numbers that agree to rounding."""


@dataclass(frozen=True, eq=False)
class L1GapTrials:
    """Certified l1 gaps of the flow's limit: I instances, D depths, K init scales, E tolerances.

    Parameters
    ----------
    signed : bool
        Signed or positive model.
    kind : ndarray of shape (I,)
        Ensemble of the matrix, "gaussian" or "rademacher".
    M, N, s : ndarray of shape (I,)
        Measurements, unknowns and nonzeros of each instance.
    Q_lower, Q_upper : ndarray of shape (I,)
        Certified interval of the least l1 norm.
    depths : ndarray of shape (D,)
        Numbers L of factors.
    scales : ndarray of shape (K,)
        Init scales as a/Q, a = alpha^L.
    l1_norm : ndarray of shape (I, D, K)
        ||x_inf||_1, rounded up.
    lower_bound : ndarray of shape (I, D, K)
        Lower bound on Q from the flow's own dual variable, rounded down.
    bound : ndarray of shape (I, D, K)
        Bound S3 on the gap; infinite where Q <= N' a.
    guarantee : ndarray of shape (I, D, K)
        The eps with h(Q, eps) = alpha, S2; infinite where there is none.
    converged : ndarray of shape (I, D, K)
        Whether the limit was found.
    eps : ndarray of shape (E,)
        Wanted gaps as multiples of Q.
    log_alpha_at_eps : ndarray of shape (I, D, E)
        log h(Q, eps).
    l1_norm_at_eps : ndarray of shape (I, D, E)
        ||x_inf||_1 from alpha = h(Q, eps); NaN where that is below the smallest init scale tried.
    converged_at_eps : ndarray of shape (I, D, E)
        Whether that limit was found; True where it was left out.
    """

    signed: bool
    kind: np.ndarray
    M: np.ndarray
    N: np.ndarray
    s: np.ndarray
    Q_lower: np.ndarray
    Q_upper: np.ndarray
    depths: np.ndarray
    scales: np.ndarray
    l1_norm: np.ndarray
    lower_bound: np.ndarray
    bound: np.ndarray
    guarantee: np.ndarray
    converged: np.ndarray
    eps: np.ndarray
    log_alpha_at_eps: np.ndarray
    l1_norm_at_eps: np.ndarray
    converged_at_eps: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """Upper end of the certified interval of ||x_inf||_1 - Q, shape (I, D, K)."""
        return self.l1_norm - self.Q_lower[:, None, None]

    @property
    def certificate(self) -> np.ndarray:
        """The gap that the flow's own dual variable certifies, with no solver, shape (I, D, K)."""
        return self.l1_norm - self.lower_bound

    @property
    def gap_at_eps(self) -> np.ndarray:
        """Upper end of the certified interval of the gap at alpha = h(Q, eps), shape (I, D, E)."""
        return self.l1_norm_at_eps - self.Q_lower[:, None, None]

    def guarantee_margins(self) -> np.ndarray:
        """Return (eps - gap)/eps of S2 wherever it makes a claim; NaN where the limit failed.

        Returns
        -------
        ndarray
            One value for each solve: on the grid of scales, where alpha = h(Q, eps) for one eps,
            and at the wanted eps.
        """
        claimed = np.isfinite(self.guarantee)
        gap = np.where(self.converged, self.gap, np.nan)
        on_grid = 1 - gap[claimed] / self.guarantee[claimed]
        eps = self.eps * self.Q_lower[:, None, None]
        wanted = (1 - np.where(self.converged_at_eps, self.gap_at_eps, np.nan) / eps)[self.tried]
        return np.concatenate([on_grid, wanted])

    @property
    def tried(self) -> np.ndarray:
        """Whether h(Q, eps) was large enough to be tried, shape (I, D, E)."""
        return self.log_alpha_at_eps >= SMALLEST_LOG_ALPHA

    def bound_margins(self, certified: bool = False) -> np.ndarray:
        """Return (bound - gap)/bound of S3 wherever it makes a claim; NaN where the limit failed.

        Parameters
        ----------
        certified : bool, optional
            Take the gap that the flow's own dual variable certifies (default: False, the gap to
            the value of basis pursuit).

        Returns
        -------
        ndarray
            One value for each instance, depth and scale with Q > N' a.
        """
        claimed = np.isfinite(self.bound)
        gap = np.where(self.converged, self.certificate if certified else self.gap, np.nan)
        return 1 - gap[claimed] / self.bound[claimed]


def guaranteed_gap(Q: float, N: int, depth: float, log_alpha: float, signed: bool = True) -> float:
    """Return the eps with h(Q, eps) = alpha: the gap that S2 guarantees from init scale alpha.

    Parameters
    ----------
    Q : float
        Least l1 norm over the feasible set.
    N : int
        Number of unknowns.
    depth : float
        Number L of factors, a finite real number >= 2.
    log_alpha : float
        Natural logarithm of the init scale.
    signed : bool, optional
        Signed model, with N' = 2N products (default: True), or positive model, with N' = N.

    Returns
    -------
    float
        L = 2: (Q^2 + N'/e)/(2 log(1/alpha) - 1); L > 2: (Q + N') c/(1 - c), c = (L/2) alpha^(L-2).
        Infinite where that is not positive: no eps is guaranteed.
    """
    products = 2 * N if signed else N
    if depth == 2:
        slack = -2 * log_alpha - 1
        return (Q**2 + products / np.e) / slack if slack > 0 else np.inf
    c = depth / 2 * np.exp((depth - 2) * log_alpha)
    return (Q + products) * c / (1 - c) if c < 1 else np.inf


def l1_gap_trials(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    log10_scales: list[float],
    eps: list[float],
    signed: bool,
    seed: int,
) -> L1GapTrials:
    """Compute the limit's l1 gap on random problems, over a grid of init scales.

    Parameters
    ----------
    sizes : list of tuple (M, N, s)
        Measurements, unknowns, nonzeros.
    trials : int
        Instances of each size with a Gaussian and with a Rademacher matrix.
    depths : list of float
        Numbers L of factors.
    log10_scales : list of float
        Init scales as log10(a/Q), a = alpha^L.
    eps : list of float
        Wanted gaps, as multiples of Q: for these alpha = h(Q, eps) is tried.
    signed : bool
        Signed model and signals, or positive ones.
    seed : int
        Seed; every instance draws from its own child of it.

    Returns
    -------
    L1GapTrials
        One instance for each ensemble, size and trial.
    """
    cases = [(kind, *size) for kind in GENERATORS for size in sizes for _ in range(trials)]
    children = np.random.SeedSequence(seed).spawn(len(cases))
    depths, eps = np.asarray(depths, float), np.asarray(eps, float)
    scales = 10.0 ** np.asarray(log10_scales, float)
    grid = len(cases), len(depths), len(scales)
    wanted = len(cases), len(depths), len(eps)
    l1_norm, lower_bound, bound, guarantee = (np.full(grid, np.nan) for _ in range(4))
    log_alpha_at_eps, l1_norm_at_eps = np.full(wanted, np.nan), np.full(wanted, np.nan)
    converged, converged_at_eps = np.zeros(grid, bool), np.ones(wanted, bool)
    Q_lower, Q_upper = np.empty(len(cases)), np.empty(len(cases))
    for i, ((kind, M, N, s), child) in enumerate(zip(cases, children, strict=True)):
        problem = GENERATORS[kind](M, N, s, seed=child, nonnegative=not signed)
        best = basis_pursuit(problem, nonnegative=not signed)
        if not best.success:
            raise RuntimeError(f"no certified value of basis pursuit: {best.message}")
        Q = best.value
        for j, L in enumerate(depths):
            at_scale = np.log(scales * Q) / L
            at_eps = np.array(
                [theory.log_init_scale_bound(Q, each * Q, N, L, signed=signed) for each in eps]
            )
            log_alpha_at_eps[i, j] = at_eps
            tried = np.flatnonzero(at_eps >= SMALLEST_LOG_ALPHA)
            limits = limit_path(
                problem,
                [
                    DeepFactorization(L, log_alpha=value, signed=signed)
                    for value in (*at_scale, *at_eps[tried])
                ],
            )
            for k, (log_alpha, limit) in enumerate(zip(at_scale, limits, strict=False)):
                converged[i, j, k] = limit.success
                l1_norm[i, j, k], lower_bound[i, j, k] = limit.l1_norm, limit.lower_bound
                bound[i, j, k] = theory.l1_gap_bound(Q, N, L, log_alpha=log_alpha, signed=signed)
                guarantee[i, j, k] = guaranteed_gap(Q, N, L, log_alpha, signed)
            for k, limit in zip(tried, limits[len(scales) :], strict=True):
                converged_at_eps[i, j, k] = limit.success
                l1_norm_at_eps[i, j, k] = limit.l1_norm
        Q_lower[i] = max(best.lower_bound, lower_bound[i].max())
        Q_upper[i] = best.value
    return L1GapTrials(
        signed=signed,
        kind=np.array([case[0] for case in cases]),
        M=np.array([case[1] for case in cases]),
        N=np.array([case[2] for case in cases]),
        s=np.array([case[3] for case in cases]),
        Q_lower=Q_lower,
        Q_upper=Q_upper,
        depths=depths,
        scales=scales,
        l1_norm=l1_norm,
        lower_bound=lower_bound,
        bound=bound,
        guarantee=guarantee,
        converged=converged,
        eps=eps,
        log_alpha_at_eps=log_alpha_at_eps,
        l1_norm_at_eps=l1_norm_at_eps,
        converged_at_eps=converged_at_eps,
    )


def l1_gap_summary(trials: L1GapTrials) -> dict[str, np.ndarray]:
    """Summarise gaps and bounds over the instances, all as multiples of Q.

    Parameters
    ----------
    trials : L1GapTrials
        The measurements.

    Returns
    -------
    dict of str to ndarray of shape (D K,)
        ``depth``, ``scale`` (a/Q), and least, median and largest value of the gap (``gap_*``), of
        the gap that the flow certifies (``certificate_*``), of S3's bound (``bound_*``) and of S2's
        guarantee (``guarantee_*``); infinite bounds where an instance has none.
    """
    Q = trials.Q_lower[:, None, None]
    columns = {
        "depth": np.repeat(trials.depths, len(trials.scales)),
        "scale": np.tile(trials.scales, len(trials.depths)),
    }
    for name in ("gap", "certificate", "bound", "guarantee"):
        values = np.sort(getattr(trials, name) / Q, axis=0)
        count = len(values)
        columns[f"{name}_least"] = values[0].ravel()
        columns[f"{name}_median"] = (0.5 * (values[(count - 1) // 2] + values[count // 2])).ravel()
        columns[f"{name}_largest"] = values[-1].ravel()
    return columns


def l1_gap_figure(summary: dict[str, np.ndarray]) -> Figure:
    """Draw gap and bounds against the init scale, one panel for each depth.

    Parameters
    ----------
    summary : dict
        Columns of `l1_gap_summary`.

    Returns
    -------
    matplotlib.figure.Figure
        Dots and bars: measured gap, median and range over the instances; crosses: what the flow's
        own dual variable certifies; lines with bands: the bounds.
    """
    depths = np.unique(summary["depth"])
    columns = len(depths) if len(depths) <= 3 else -(-len(depths) // 2)
    rows = -(-len(depths) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(2.3 * columns + 0.4, 2.5 * rows + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axis, depth in zip(axes.flat, depths, strict=False):
        here = summary["depth"] == depth
        order = np.argsort(summary["scale"][here])
        data = {name: column[here][order] for name, column in summary.items()}
        x = data["scale"]
        for name, colour, style, label in (
            ("guarantee", OKABE_ITO["blue"], "--", "guarantee S2"),
            ("bound", OKABE_ITO["vermillion"], "-", "sharper bound S3"),
        ):
            low, middle, high = (data[f"{name}_{part}"] for part in ("least", "median", "largest"))
            finite = np.isfinite(high)
            axis.plot(x[finite], middle[finite], style, color=colour, label=label)
            axis.fill_between(
                x[finite], low[finite], high[finite], color=colour, alpha=0.25, linewidth=0
            )
        axis.plot(
            x,
            data["certificate_median"],
            "x",
            color=OKABE_ITO["green"],
            markersize=4.5,
            label="certified by the flow",
        )
        middle = data["gap_median"]
        spread = [
            middle - np.maximum(data["gap_least"], 1e-16),
            data["gap_largest"] - middle,
        ]
        axis.errorbar(
            x,
            middle,
            yerr=spread,
            fmt="o",
            color=OKABE_ITO["black"],
            markersize=3.5,
            elinewidth=0.8,
            capsize=2,
            label="measured gap",
        )
        axis.axhspan(1e-17, ROUNDING, color="0.85", linewidth=0)
        axis.set(xscale="log", yscale="log", title=f"$L = {depth:g}$")
        axis.set_ylim(ROUNDING / 10, 1e3)
        axis.set_yticks(10.0 ** np.arange(-12, 4, 3))
        axis.minorticks_off()
    for axis in axes.flat[len(depths) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel(r"init scale $a/Q$, $a=\alpha^L$")
    for axis in axes[:, 0]:
        axis.set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure

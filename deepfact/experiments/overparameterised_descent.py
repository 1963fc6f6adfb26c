"""Overparameterised descent converges: statement T3."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.kaczmarz_runs import measure_kaczmarz
from deepfact.experiments.linear_rate import (
    lazy_slopes,
    measure_decay,
    measure_lazy,
    measure_width,
)
from deepfact.experiments.overparameterised_descent_figure import figure, figure_data
from deepfact.experiments.relu_net import (
    QUANTITIES,
    measure_nets,
    measure_training,
    width_slopes,
)
from deepfact.experiments.tables import groups, select

__all__ = [
    "checks",
    "describe",
    "figure",
    "figure_data",
    "measure_decay",
    "measure_kaczmarz",
    "measure_lazy",
    "measure_nets",
    "measure_training",
    "measure_width",
    "net_checks",
    "sampling_checks",
]

FITTED = 1e-3
"""A net has learnt its labels when this part of the loss is left."""


def checks(
    decay: dict[str, np.ndarray], lazy: dict[str, np.ndarray], width: dict[str, np.ndarray]
) -> list[Claim]:
    """Return what the flows say about linear rates and the lazy limit.

    Parameters
    ----------
    decay : dict of str to ndarray
        From `measure_decay`.
    lazy : dict of str to ndarray
        From `measure_lazy`.
    width : dict of str to ndarray
        From `measure_width`.

    Returns
    -------
    list of Claim
        Four claims, each with its rival.
    """
    signed, positive = (select(decay, signed=flag) for flag in (True, False))
    slopes = lazy_slopes(lazy)
    exponent = -2 * slopes["depth"]
    last = select(lazy, alpha=lazy["alpha"].max())
    alone = np.sqrt(2) * last["predicted"]
    means = [
        (ratio, own["rate"].mean(), own["predicted"][0]) for ratio, own in groups(width, "ratio")
    ]
    ratios, rates, predicted = (np.log(column) for column in np.array(means).T)
    return [
        Claim(
            "T3",
            "l(t) <= l(0) exp(-4 L alpha^(2L-2) lambda_min t) in the signed model at every init "
            "scale; margin: log decrease over the guaranteed one - 1",
            -signed["log_loss"] / signed["clock"] - 1,
            "in the positive model too, at half of the rate",
            -positive["log_loss"] / positive["clock"] - 1,
        ),
        Claim(
            "T3",
            "the rate is sharp for large init scales, with an excess of order alpha^(-2L); "
            "margin 0.1 - absolute error of the fitted exponents of excess and distance",
            0.1
            - np.abs(np.concatenate([slopes["excess"] - exponent, slopes["deviation"] - exponent])),
            "of order alpha^(-L)",
            0.1 - np.abs(slopes["excess"] - exponent / 2),
        ),
        Claim(
            "T3",
            "at the largest init scale the factors move by |x_LS|/((2L)^(1/2) alpha^(L-1)) and a "
            "computed correction; margin 0.01 - relative error of the correction",
            0.01 - np.abs((last["moved"] / last["predicted"] - 1) / last["correction"] - 1),
            "by |x_LS|/(L^(1/2) alpha^(L-1)), as if one product moved alone",
            0.01 - np.abs((last["moved"] / alone - 1) / last["correction"] - 1),
        ),
        Claim(
            "T3",
            "wider is faster: mean rates of Gaussian problems are proportional to "
            "((N/M)^(1/2) - 1)^2; margin 0.1 - absolute error of the fitted exponent",
            [0.1 - abs(fitted_slope(predicted, rates)[0] - 1)],
            "to N/M",
            [0.1 - abs(fitted_slope(ratios, rates)[0] - 1)],
            instances=len(width["rate"]),
        ),
    ]


def net_checks(nets: dict[str, np.ndarray]) -> list[Claim]:
    """Return what nets of growing width say about their kernel.

    Parameters
    ----------
    nets : dict of str to ndarray
        From `measure_nets`.

    Returns
    -------
    list of Claim
        Four claims, each with its rival.
    """
    slopes = width_slopes(nets)
    falling = select(slopes, where=np.isin(slopes["quantity"], QUANTITIES))["slope"]
    moved = select(slopes, quantity="distance")["slope"]
    wide = select(nets, width=nets["width"].max())
    return [
        Claim(
            "T3",
            "largest move of a neuron, share of flipped gates, relative move and deviation from "
            "the kernel fall like m^(-1/2); margin: distance of the fitted slope to the ends of "
            "[-0.6, -0.45]",
            np.minimum(falling + 0.6, -0.45 - falling),
            "like 1/m",
            0.075 - np.abs(falling + 1),
            instances=len(nets["width"]),
        ),
        Claim(
            "T3",
            "the total move of the weights does not grow with the width; margin 0.05 - absolute "
            "value of the fitted slope",
            0.05 - np.abs(moved),
            "it grows like the weights themselves, slope 1/2",
            0.05 - np.abs(moved - 0.5),
            instances=len(nets["width"]),
        ),
        Claim(
            "T3",
            "at the largest width it is the kernel's, nearly (y . H^(-1) y)^(1/2); margin 0.1 - "
            "relative error",
            0.1 - np.abs(wide["distance"] / wide["predicted"] - 1),
            "|y|/lambda_min(H)^(1/2), whatever the labels",
            0.1 - np.abs(wide["distance"] / wide["worst"] - 1),
        ),
        Claim(
            "T3",
            f"nets of every width fit random labels, to {FITTED:g} of the loss within a few times "
            "the kernel's time; margin: that minus what is left",
            FITTED - nets["last"],
            "nets narrower than n^6 do not",
            select(nets, where=nets["width"] < nets["n"] ** 6.0)["last"] - FITTED,
        ),
    ]


def sampling_checks(kaczmarz: dict[str, np.ndarray]) -> list[Claim]:
    """Return what runs of randomised Kaczmarz say about interpolation and noise.

    Parameters
    ----------
    kaczmarz : dict of str to ndarray
        From `measure_kaczmarz`.

    Returns
    -------
    list of Claim
        Three claims, each with its rival.
    """
    wide, tall = (select(kaczmarz, tall=flag) for flag in (False, True))
    run = select(kaczmarz, where=np.isfinite(kaczmarz["mean"]))
    wide_run = select(run, tall=False)
    floor = np.minimum(tall["floor"] / tall["lowest"] - 1, 1 - tall["floor"] / tall["highest"])
    return [
        Claim(
            "T3",
            "where data can be interpolated, constant-step stochastic gradient descent has "
            "E|x_k - A^+ y|^2 <= (1 - smin^2/|A|_F^2)^k |A^+ y|^2; margin 1 - exact mean/bound",
            1 - wide["exact"] / wide["bound"],
            "with 2 smin^2, the square of the mean error's rate",
            1 - wide["exact"] / wide["twice"],
        ),
        Claim(
            "T3",
            "means of runs agree with the exact recursion, with and without noise; margin 4 - "
            "difference in standard errors",
            4 - np.abs(run["mean"] - run["exact"]) / run["error"],
            "the bound is the mean",
            4 - np.abs(wide_run["mean"] - wide_run["bound"]) / wide_run["error"],
        ),
        Claim(
            "T3",
            "where they cannot, the error has a floor between |r|^2/smax^2 and |r|^2/smin^2; "
            "margin: relative distance to the nearer end",
            floor,
            "it goes on falling at the linear rate: 1 - exact mean/bound",
            1 - tall["exact"] / tall["bound"],
        ),
    ]


def describe(
    lazy: dict[str, np.ndarray], nets: dict[str, np.ndarray], kaczmarz: dict[str, np.ndarray]
) -> str:
    """Write exponents, the nets' slopes and widths, and the floors of noisy data.

    Parameters
    ----------
    lazy : dict of str to ndarray
        From `measure_lazy`.
    nets : dict of str to ndarray
        From `measure_nets`.
    kaczmarz : dict of str to ndarray
        From `measure_kaczmarz`.

    Returns
    -------
    str
        A line for each depth, each quantity of the nets, their width, and the floor.
    """
    lines = []
    for L, own in groups(lazy_slopes(lazy), "depth"):
        largest = select(lazy, depth=L, alpha=lazy["alpha"].max())["deviation"].max()
        lines.append(
            f"L = {L:g}: exponents of alpha {own['excess'].mean():.4f} (rate) and "
            f"{own['deviation'].mean():.4f} (distance), predicted {-2 * L:g}; distance moved off "
            f"by {largest:.1e} at alpha = {lazy['alpha'].max():g}"
        )
    slopes = width_slopes(nets)
    for name, slope, half in zip(
        slopes["quantity"], slopes["slope"], slopes["half_width"], strict=True
    ):
        predicted = "0" if name == "distance" else "-0.5"
        lines.append(f"{name}: slope {slope:.3f} +- {half:.3f} in the width, predicted {predicted}")
    n, least, narrow = int(nets["n"][0]), nets["least"].min(), nets["width"].min()
    own = select(nets, width=narrow)
    lines.append(
        f"nets of width {narrow} leave {own['loss'].max():.0e} of the loss in the kernel's time, "
        f"{own['last'].max():.0e} at the end; n^6 = {n**6:.1e}, over lambda_min^4: "
        f"{n**6 / least**4:.1e}"
    )
    tall = select(kaczmarz, tall=True)
    lines.append(
        f"floors of noisy data: {tall['floor'].min():.3f} to {tall['floor'].max():.3f} of |x_LS|^2"
    )
    return "\n".join(lines)

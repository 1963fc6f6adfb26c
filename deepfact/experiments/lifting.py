"""Lifting: nonconvex factors, convex values (statement T1 of docs/overparameterization.md)."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.lasso_landscape import measure_descents, measure_saddles
from deepfact.experiments.lifting_figure import figure, figure_data
from deepfact.experiments.nuclear_norm import measure_fits
from deepfact.experiments.tables import groups, select
from deepfact.experiments.two_prices import PLAIN, measure_basic, measure_flows, measure_prices

__all__ = [
    "checks",
    "describe_descents",
    "describe_fits",
    "describe_prices",
    "figure",
    "figure_data",
    "measure_basic",
    "measure_descents",
    "measure_fits",
    "measure_flows",
    "measure_prices",
    "measure_saddles",
]

SEARCHED = 1e-9
"""Allowed relative error of a least price found by search, and of a fitted exponent."""
SECOND = 0.05
"""Allowed relative error of the second-order term of weight decay's minima."""
FOUND = 1e-6
"""Allowed distance of descent's last value from the certified optimum."""
EIGENVALUE = 1e-11
"""Allowed error of an eigenvalue relative to lambda: rounding of a matrix of order 100."""
BRANCH = 1e-4
"""Allowed distance of a singular value from its branch."""


def describe_prices(
    prices: dict[str, np.ndarray], flows: dict[str, np.ndarray], basic: dict[str, np.ndarray]
) -> str:
    """Write the exponents of the prices, the flows' limits and the minima of weight decay.

    Parameters
    ----------
    prices, flows, basic : dict
        Of `measure_prices`, `measure_flows` and `measure_basic`.

    Returns
    -------
    str
        A line for each depth and penalty, for each depth of the flow, and one more.
    """
    lines = ["least price of factors: exponent fitted / predicted"]
    for depth, power, own in groups(prices, "depth", "power"):
        lines.append(
            f"  L = {depth}, power {power:g}: {own['slope'][0]:.12f} / {own['predicted'][0]:.12f}"
        )
    lines.append("limits of flows, worst problem: l1 norm / Q - 1, l_(2/L) price / least - 1")
    for depth, own in groups(flows, "depth"):
        norm, price = own["norm"].max() - 1, own["price"].max() - 1
        lines.append(f"  L = {depth}: {norm:.1e}, {price:.1e}")
    minima, both = (np.sum(basic[name] > 0) for name in ("eigenvalue", "eigenvalue_two"))
    lines.append(
        f"basic solutions: {len(basic['draw'])}; with a minimum of weight decay beside them: "
        f"{minima} at L = {basic['depth'][0]}, {both} at L = 2"
    )
    return "\n".join(lines)


def describe_descents(descents: dict[str, np.ndarray], saddles: dict[str, np.ndarray]) -> str:
    """Write where descent ends, and how well the Hessian's eigenvalue is predicted.

    Parameters
    ----------
    descents, saddles : dict
        Of `measure_descents` and `measure_saddles`.

    Returns
    -------
    str
        A line for each depth and penalty, and one for the saddles.
    """
    lines = ["L  power  runs  at the lasso's optimum  worst certified gap  spread of J"]
    for depth, power, own in groups(descents, "depth", "power"):
        ended = np.sum(own["gap"] <= FOUND)
        lines.append(
            f"{depth}  {power:5g}  {len(own['gap']):4d}  {ended:22d}  {own['gap'].max():19.1e}  "
            f"{own['excess'].max():11.1e}"
        )
    error = np.abs(saddles["eigenvalue"] - saddles["formula"])[saddles["formula"] < 0]
    lines.append(
        f"critical points at L = 2 that are not global: {len(error)}; largest error of the "
        f"eigenvalue's formula: {error.max():.1e} lambda"
    )
    return "\n".join(lines)


def describe_fits(runs: dict[str, np.ndarray], spectra: dict[str, np.ndarray]) -> str:
    """Write where products of matrices end.

    Parameters
    ----------
    runs, spectra : dict
        Of `measure_fits`.

    Returns
    -------
    str
        A line for each depth.
    """
    lines = []
    for depth, own in groups(runs, "depth"):
        values = select(spectra, depth=depth)
        off = np.max(_branch_distance(values))
        lines.append(
            f"{depth} matrices: {len(own['gap'])} runs, worst gap to the nuclear norm's optimum "
            f"{own['gap'].max():.1e}, spread of J {own['excess'].max():.1e}; largest distance of a "
            f"singular value from its branches {off:.1e}"
        )
    return "\n".join(lines)


def checks(
    prices: dict[str, np.ndarray],
    flows: dict[str, np.ndarray],
    basic: dict[str, np.ndarray],
    saddles: dict[str, np.ndarray],
    descents: dict[str, np.ndarray],
    runs: dict[str, np.ndarray],
    spectra: dict[str, np.ndarray],
) -> list[Claim]:
    """Judge the prices, the landscape of factored least squares, and products of matrices.

    Parameters
    ----------
    prices, flows, basic : dict
        Of `measure_prices`, `measure_flows` and `measure_basic`.
    saddles, descents : dict
        Of `measure_saddles` and `measure_descents`.
    runs, spectra : dict
        Of `measure_fits`.

    Returns
    -------
    list of Claim
        The rows, in order.
    """
    return [*_price_claims(prices, flows, basic), *_landscape_claims(saddles, descents),
            *_matrix_claims(runs, spectra)]  # fmt: skip


def _price_claims(prices, flows, basic):
    relative = np.abs(prices["searched"] / prices["formula"] - 1)
    exponent = np.abs(prices["slope"] - prices["predicted"])
    decay = select(prices, power=PLAIN)
    depth = basic["depth"][0]
    deep = select(flows, where=flows["depth"] > PLAIN)
    count = len(basic["draw"])
    second = np.abs(basic["second"] / basic["predicted"] - 1)
    return [
        Claim(
            "T1",
            "the least mean |u_l|^q of L factors of x is |x|^(q/L): the value found by search and "
            f"the exponent fitted over sizes of x; margin: {SEARCHED:g} minus the larger error",
            SEARCHED - np.maximum(relative, exponent),
            "weight decay costs |x| at every depth",
            SEARCHED - np.abs(decay["slope"] - 1),
        ),
        Claim(
            "T1",
            f"flow from products {flows['start'][0]:g} ends at the least l1 norm Q at depths "
            f"{', '.join(map(str, np.unique(flows['depth'])))}; margin: bound S3 minus the excess, "
            "over Q",
            flows["allowed"] - (flows["norm"] - 1),
            "it ends at the least price of weight decay, l_(2/L), by the same margin (L > 2)",
            deep["allowed"] - (deep["price"] - 1),
        ),
        Claim(
            "T1",
            f"weight decay at L = {depth} has a strict minimum beside each basic solution "
            f"({count} in all); margin: least eigenvalue of the Hessian over lambda",
            basic["eigenvalue"],
            "so has weight decay at L = 2",
            basic["eigenvalue_two"],
        ),
        Claim(
            "T1",
            f"there J = lambda |x|_p^p - lambda^2 |A_S^-T p'|^2/2 with p = 2/{depth}; margin: "
            f"{SECOND:g} minus the relative error of the second term",
            SECOND - second,
            "the first term is lambda |x|_1, as it is for the implicit bias",
            SECOND - np.abs(basic["second_l1"] / basic["predicted"] - 1),
        ),
    ]


def _landscape_claims(saddles, descents):
    stuck = select(saddles, where=saddles["formula"] < 0)
    convex = select(descents, where=_convex(descents) & (descents["depth"] <= PLAIN + 1))
    decay = select(descents, where=~_convex(descents))
    return [
        Claim(
            "T1",
            "a critical point at L = 2 that is not global has the Hessian's least eigenvalue "
            f"lambda - max |h_i|; margin: {EIGENVALUE:g} minus the error over lambda",
            EIGENVALUE - np.abs(stuck["eigenvalue"] - stuck["formula"]),
            "the entries of h enter by half, as in a Hessian of u alone",
            EIGENVALUE - np.abs(stuck["eigenvalue"] - stuck["half"]),
        ),
        Claim(
            "T1",
            "every start ends at the lasso's minimum, for L = 2 with weight decay and L = 3 with "
            f"cubes; margin: {FOUND:g} minus the certified gap J - dual bound",
            FOUND - convex["gap"],
            "for L = 3 with weight decay every start ends at one value as well; its margin: "
            f"{FOUND:g} minus the excess over the best",
            FOUND - decay["excess"],
        ),
    ]


def _matrix_claims(runs, spectra):
    two, more = select(runs, depth=2), select(runs, where=runs["depth"] > PLAIN)
    deep = select(spectra, where=spectra["depth"] > PLAIN)
    return [
        Claim(
            "T1",
            "two matrices with weight decay end at the soft-thresholded SVD from every start; "
            f"margin: {FOUND:g} minus the gap J - dual bound of the nuclear norm",
            FOUND - two["gap"],
            "so do three matrices, at one value at least; its margin: the same with the excess "
            "over the best start",
            FOUND - more["excess"],
        ),
        Claim(
            "T1",
            "with three matrices each singular value ends at 0 or at the upper root of z + "
            f"(2 lambda/3) z^(-1/3) = s; margin: {BRANCH:g} minus the distance",
            BRANCH - _branch_distance(deep),
            "at 0 or at the soft threshold s - lambda",
            BRANCH - np.minimum(np.abs(deep["fitted"]), np.abs(deep["fitted"] - deep["soft"])),
        ),
    ]


def _convex(descents):
    """Whether the penalty's power is the depth, so that its price is the l1 norm."""
    return descents["power"] == descents["depth"]


def _branch_distance(values):
    """Return how far the fit is from 0 and the predicted branch; L = 2 has the latter only."""
    upper = np.abs(values["fitted"] - values["upper"])
    nearest = np.minimum(np.abs(values["fitted"]), upper)
    return np.where(values["depth"] > PLAIN, nearest, upper) + values["aside"]

"""Depth as a preconditioner: statements T2 and T10."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.balanced_nets import limit_slopes, measure_limits
from deepfact.experiments.conditioning import measure_conditions, measure_rates
from deepfact.experiments.conservation import (
    integrator_orders,
    measure_integrators,
    measure_laws,
    measure_layers,
    measure_wear,
    wear_rates,
)
from deepfact.experiments.depth_as_preconditioner_figure import figure, figure_data
from deepfact.experiments.loop_integrals import measure_loops
from deepfact.experiments.tables import groups, select
from deepfact.experiments.transition_fits import binomial_interval
from deepfact.experiments.tuned_descent import measure_tuned, measure_units, wins

__all__ = [
    "balance_checks",
    "checks",
    "describe_balance",
    "describe_speed",
    "figure",
    "figure_data",
    "measure_conditions",
    "measure_integrators",
    "measure_laws",
    "measure_layers",
    "measure_limits",
    "measure_loops",
    "measure_rates",
    "measure_tuned",
    "measure_units",
    "measure_wear",
    "speed_checks",
]

EXACT = 1e-12
"""Relative rounding allowed to identities along runs of hundreds of steps."""


def checks(loops: dict[str, np.ndarray], limits: dict[str, np.ndarray]) -> list[Claim]:
    """Return what loops and limits say about the geometry of the end-to-end motion.

    Parameters
    ----------
    loops : dict of str to ndarray
        From `measure_loops`.
    limits : dict of str to ndarray
        From `measure_limits`.

    Returns
    -------
    list of Claim
        Four claims of T2, each with its rival.
    """
    deep = select(loops, where=loops["depth"] > 1)
    slopes = limit_slopes(limits)
    return [
        Claim(
            "T2",
            "the end-to-end field's loop integral is the area integral of its computed curl; "
            "margin 1e-12 - difference/integral of the field's norm",
            1e-12 - np.abs(loops["loop"] - loops["area"]) / loops["size"],
            "it vanishes for two and more layers: the field is a loss's gradient",
            1e-12 - np.abs(deep["loop"]) / deep["size"],
        ),
        Claim(
            "T2",
            "weighted with the Hessian of K/(K+1) |w|^(1+1/K) the field has no loop integral; "
            "margin 1e-12 - loop/integral of the weighted field's norm",
            1e-12 - np.abs(loops["in_metric"]) / loops["metric_size"],
            "nor has it without the weight",
            1e-12 - np.abs(deep["loop"]) / deep["size"],
        ),
        Claim(
            "T2",
            "integrated balanced nets end at the mirror projection of their start, found from one "
            "scalar equation; margin 1e-9 - relative distance",
            1e-9 - np.maximum(limits["error"], limits["stationarity"]),
            "they end at the solution nearest to their start in Euclidean norm",
            1e-9 - np.minimum(limits["euclidean"], limits["euclidean_stationarity"]),
        ),
        Claim(
            "T2",
            "the distance to the solution of least l2-norm falls like |w_0|^(1/K); "
            "margin 0.02 - absolute error of the fitted slope",
            0.02 - np.abs(slopes["slope"] - slopes["predicted"]),
            "so does that of diagonal nets of the same depth",
            0.02 - np.abs(slopes["diagonal"] - slopes["predicted"]),
        ),
    ]


def speed_checks(
    conditions: dict[str, np.ndarray],
    rates: dict[str, np.ndarray],
    tuned: dict[str, np.ndarray],
    units: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what the runs say about when depth makes gradient descent faster.

    Parameters
    ----------
    conditions : dict of str to ndarray
        From `measure_conditions`.
    rates : dict of str to ndarray
        From `measure_rates`.
    tuned : dict of str to ndarray
        From `measure_tuned`, of powers 2 and 4.
    units : dict of str to ndarray
        From `measure_units`.

    Returns
    -------
    list of Claim
        Five claims of T2, each with its rival.
    """
    K, change = conditions["depth"], conditions["with_depth"] / conditions["kappa"]
    lowest, highest = (conditions["place"] == place for place in ("lowest", "highest"))
    attained = np.concatenate([K[lowest] * change[lowest], change[highest] / K[highest]])
    root = np.minimum(change * np.sqrt(K), np.sqrt(K) / change) - 1
    share = {
        p: np.array([binomial_interval(*map(np.array, wins(tuned, p, L))) for L in _deep(tuned)])
        for p in (2, 4)
    }
    exponent = 2 - 2 / units["depth"]
    return [
        Claim(
            "T2",
            "near a minimiser kappa/K <= kappa' <= K kappa; margin 1e-9 + the smaller ratio - 1",
            1e-9 + np.minimum(change * K, K / change) - 1,
            "depth only helps: kappa' <= kappa",
            1e-9 + 1 / change - 1,
        ),
        Claim(
            "T2",
            "both ends are attained, with the minimiser along an extreme eigenvector; "
            "margin 1e-9 - relative error",
            1e-9 - np.abs(attained - 1),
            "depth changes the condition number by the root of K at most",
            root,
        ),
        Claim(
            "T2",
            "gradient descent on the factors converges at the rate of kappa', nets and diagonal "
            "nets; margin 0.05 - relative error of the fitted rate",
            0.05 - np.abs(rates["rate"] / rates["predicted"] - 1),
            "at the rate of kappa, whatever the depth",
            0.05 - np.abs(rates["rate"] / rates["plain"] - 1),
        ),
        Claim(
            "T2",
            "with the best step of each case depth is faster on most data for l4 and slower on "
            "most for l2; margin: 95 % interval of the share beyond 1/2",
            np.concatenate([share[4][:, 0] - 0.5, 0.5 - share[2][:, 1]]),
            "faster for l2 too",
            share[2][:, 0] - 0.5,
            instances=int(np.sum(tuned["depth"] > 1)),
        ),
        Claim(
            "T2",
            "with one small step for all depths the speed-up scales like unit^(2-2/K): either "
            "verdict comes from the units of y; margin 0.1 - error of the fitted slope",
            0.1 - np.abs(units["slope"] - exponent),
            "the verdict does not depend on the units: slope 0",
            0.1 - np.abs(units["slope"]),
        ),
    ]


def _deep(tuned):
    return sorted({K for K in tuned["depth"].tolist() if K > 1})


def balance_checks(
    laws: dict[str, np.ndarray],
    layers: dict[str, np.ndarray],
    wear: dict[str, np.ndarray],
    drifts: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what the runs say about the balance of factors.

    Parameters
    ----------
    laws : dict of str to ndarray
        From `measure_laws`, with and without weight decay.
    layers : dict of str to ndarray
        From `measure_layers`.
    wear : dict of str to ndarray
        From `measure_wear`.
    drifts : dict of str to ndarray
        From `measure_integrators`.

    Returns
    -------
    list of Claim
        Six claims of T10, each with its rival.
    """
    plain = select(laws, where=laws["weight_decay"] == 0)
    decayed = select(laws, where=laws["weight_decay"] > 0)
    rates, orders = wear_rates(wear), integrator_orders(drifts)
    exact = select(drifts, method="implicit midpoint")
    allowed = f"{EXACT:.0e}".replace("e-0", "e-")
    return [
        Claim(
            "T10",
            "a step of stochastic gradient descent multiplies u_i^2 - u_j^2 by 1 - (eta g prod)^2; "
            f"margin {allowed} - largest deviation over u_i^2 + u_j^2",
            EXACT - plain["law"],
            "it conserves it, as the flow does",
            EXACT - plain["conserved"],
        ),
        Claim(
            "T10",
            "with weight decay by (1 - eta lambda)^2 - (eta g prod)^2, at any depth; "
            f"margin {allowed} - largest deviation over u_i^2 + u_j^2",
            EXACT - decayed["law"],
            "by (1 - eta lambda)^2",
            EXACT - decayed["shrunk"],
        ),
        Claim(
            "T10",
            "a step adds eta^2 (W2'GG'W2 - W1G'GW1') to W1W1' - W2'W2; "
            f"margin {allowed} - deviation over |W1|^2 + |W2|^2",
            EXACT - layers["law"],
            "it adds nothing",
            EXACT - layers["conserved"],
        ),
        Claim(
            "T10",
            "label noise wears the balance off at a rate of order eta^2; "
            "margin 0.1 - absolute error of the fitted exponent",
            0.1 - np.abs(rates["exponent"] - 2),
            "of order eta",
            0.1 - np.abs(rates["exponent"] - 1),
        ),
        Claim(
            "T10",
            "and the rate is (eta noise)^2 at the smallest eta; margin 0.05 + half the 95 % "
            "interval - relative error",
            _rate_margin(rates, 1.0),
            "half of it",
            _rate_margin(rates, 0.5),
        ),
        Claim(
            "T10",
            "the balance drifts with the order 1 under Euler, 3 under Heun, 4 under Runge-Kutta; "
            "margin 0.1 - absolute error of the fitted order",
            0.1 - np.abs(orders["order"] - orders["predicted"]),
            "Heun's drift has Heun's order, 2",
            0.1 - np.abs(select(orders, method="Heun")["order"] - 2),
        ),
        Claim(
            "T10",
            f"the implicit midpoint rule conserves the balance; margin {allowed} - largest drift "
            "over the mean balance",
            EXACT - exact["drift"],
            "so does Runge-Kutta, with the same steps",
            EXACT - select(drifts, method="Runge-Kutta")["drift"],
        ),
    ]


def _rate_margin(rates, share):
    least = np.argmin(rates["step"])
    predicted = share * rates["predicted"][least]
    allowed = 0.05 + rates["half_width"][least] / predicted
    return np.array([allowed - abs(rates["rate"][least] / predicted - 1)])


def describe_speed(
    conditions: dict[str, np.ndarray], tuned: dict[str, np.ndarray], units: dict[str, np.ndarray]
) -> str:
    """Write by how much depth helps, near a minimiser and from a small start.

    Parameters
    ----------
    conditions : dict of str to ndarray
        From `measure_conditions`.
    tuned : dict of str to ndarray
        From `measure_tuned`.
    units : dict of str to ndarray
        From `measure_units`.

    Returns
    -------
    str
        A line for each depth near a minimiser, each power and depth, and each depth and unit.
    """
    lines = []
    for K, own in groups(select(conditions, place="random"), "depth"):
        change = own["with_depth"] / own["kappa"]
        better = int(np.sum(change < 1))
        lines.append(
            f"K = {K}: kappa'/kappa from {change.min():.2f} to {change.max():.2f} at random "
            f"minimisers, below 1 at {better} of {len(change)}"
        )
    for p, K, own in groups(select(tuned, where=tuned["depth"] > 1), "power", "depth"):
        ratio, (won, draws) = own["ratio"], wins(tuned, p, K)
        low, high = binomial_interval(np.array(won), np.array(draws))
        lines.append(
            f"l{p}, K = {K}: {ratio.min():.2g} to {ratio.max():.2g} times as fast as K = 1, median "
            f"{np.median(ratio):.2g}; faster on {won} of {draws} data sets [{low:.2f}, {high:.2f}]"
        )
    for K, unit, own in groups(units, "depth", "unit"):
        ratio = np.exp(np.median(own["log_ratio"]))
        lines.append(f"one step, l2, |w*| = {unit:g}, K = {K}: {ratio:.2g} times as fast as K = 1")
    return "\n".join(lines)


def describe_balance(
    laws: dict[str, np.ndarray], wear: dict[str, np.ndarray], drifts: dict[str, np.ndarray]
) -> str:
    """Write what is left of the balance, the rates of its wear, and the integrators' orders.

    Parameters
    ----------
    laws : dict of str to ndarray
        From `measure_laws`.
    wear : dict of str to ndarray
        From `measure_wear`.
    drifts : dict of str to ndarray
        From `measure_integrators`.

    Returns
    -------
    str
        A line for each run, step size and integrator.
    """
    lines = []
    for L, decay, own in groups(laws, "depth", "weight_decay"):
        lines.append(
            f"L = {L}, weight decay {decay:g}: {own['left'][0]:.3f} of the balance is left, "
            f"predicted {own['predicted'][0]:.3f}"
        )
    rates = wear_rates(wear)
    lines += [
        f"eta = {step:g}: the balance wears off at {rate:.3e} per step, predicted {predicted:.3e}"
        for step, rate, predicted in zip(
            rates["step"], rates["rate"], rates["predicted"], strict=True
        )
    ]
    lines.append(f"exponent in eta: {rates['exponent'][0]:.3f}, predicted 2")
    orders = integrator_orders(drifts)
    lines += [
        f"{method}: the balance drifts at order {order:.3f}, predicted {predicted}"
        for method, order, predicted in zip(
            orders["method"], orders["order"], orders["predicted"], strict=True
        )
    ]
    return "\n".join(lines)

"""Balance of factors under descent: one-step laws along runs, wear by noise, and integrators."""

from __future__ import annotations

import numpy as np

from deepfact.dynamics.factor_flow import leave_one_out_products
from deepfact.dynamics.one_step import euler_step, heun_step, midpoint_step, runge_kutta_step
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.theory import imbalance_factors, imbalances, layer_balance_gain

__all__ = [
    "INTEGRATORS",
    "integrator_orders",
    "measure_integrators",
    "measure_laws",
    "measure_layers",
    "measure_wear",
    "wear_rates",
]

INTEGRATORS = {
    "Euler": (euler_step, 1),
    "Heun": (heun_step, 3),
    "Runge-Kutta": (runge_kutta_step, 4),
    "implicit midpoint": (midpoint_step, None),
}
"""One step of each, and the order at which the balance drifts; None: not at all."""


def measure_laws(
    M: int,
    N: int,
    depths: list[int],
    weight_decays: list[float],
    steps: int,
    seed: int,
    step: float = 0.05,
    batch: int = 2,
) -> dict[str, np.ndarray]:
    """Run stochastic gradient descent on L unequal factors; compare the balance with its law.

    Parameters
    ----------
    M, N : int
        Shape of the Gaussian A; the data are those of a normal vector.
    depths : list of int
        Numbers L of factors.
    weight_decays : list of float
        lambda of the penalty (lambda/2) sum u_i^2.
    steps : int
        Iterations.
    seed : int
        Seed.
    step : float, optional
        Step size, small enough for the runs to stay bounded (default: 0.05).
    batch : int, optional
        Rows drawn for each step (default: 2).

    Returns
    -------
    dict of str to ndarray
        A row for each depth and weight decay, the worst over all steps, pairs and coordinates of
        the deviation of the balance after a step, relative to u_i^2 + u_j^2: ``law``, from the
        exact law; ``conserved``, from the balance before the step; ``shrunk``, from the balance
        times (1 - eta lambda)^2. ``left`` is the median over pairs and coordinates of the balance
        at the end over that at the start, and ``predicted`` the same of the product of the factors.
    """
    rows = []
    for L in depths:
        for decay in weight_decays:
            rng = np.random.default_rng([seed, L])
            A = rng.standard_normal((M, N)) / np.sqrt(M)
            y = A @ rng.standard_normal(N)
            u = rng.uniform(0.5, 1.5, (L, N))
            pairs = np.triu_indices(L, 1)
            first, factor = imbalances(u)[pairs], np.ones((len(pairs[0]), N))
            worst = dict.fromkeys(("law", "conserved", "shrunk"), 0.0)
            for _ in range(steps):
                chosen = rng.choice(M, batch, replace=False)
                g = (M / batch) * (A[chosen] @ np.prod(u, axis=0) - y[chosen]) @ A[chosen]
                before, law = imbalances(u)[pairs], imbalance_factors(u, g, step, decay)[pairs]
                size = u[pairs[0]] ** 2 + u[pairs[1]] ** 2
                u = (1 - step * decay) * u - step * g * leave_one_out_products(u[None])[0]
                after = imbalances(u)[pairs]
                factor = factor * law
                for name, expected in (
                    ("law", before * law),
                    ("conserved", before),
                    ("shrunk", before * (1 - step * decay) ** 2),
                ):
                    worst[name] = max(worst[name], np.max(np.abs(after - expected) / size))
            left = float(np.median(imbalances(u)[pairs] / first))
            rows.append(
                {
                    "depth": L,
                    "weight_decay": decay,
                    **worst,
                    "left": left,
                    "predicted": float(np.median(factor)),
                }
            )
    return from_rows(rows)


def measure_layers(
    samples: int, shape: list[int], steps: int, seed: int, step: float = 0.05, batch: int = 2
) -> dict[str, np.ndarray]:
    """Run stochastic gradient descent on two linear layers; compare the balance with its law.

    Parameters
    ----------
    samples : int
        Number of data (x, y) with y = W x for a normal W.
    shape : list of int
        Outputs, hidden units and inputs.
    steps : int
        Iterations.
    seed : int
        Seed.
    step : float, optional
        Step size (default: 0.05).
    batch : int, optional
        Data drawn for each step (default: 2).

    Returns
    -------
    dict of str to ndarray
        A row for each step, relative to |W_1|^2 + |W_2|^2: ``law``, the deviation of
        W_1 W_1^T - W_2^T W_2 from that before plus the exact gain, and ``conserved``, without it.
    """
    k, h, d = shape
    rng = np.random.default_rng(seed)
    X, target = rng.standard_normal((samples, d)), rng.standard_normal((k, d)) / np.sqrt(d)
    inner, outer = (
        rng.standard_normal((h, d)) / np.sqrt(d),
        rng.standard_normal((k, h)) / np.sqrt(h),
    )
    rows = []
    for _ in range(steps):
        x = X[rng.choice(samples, batch, replace=False)]
        G = (outer @ inner - target) @ x.T @ x / batch
        before, gain = _layer_balance(inner, outer), layer_balance_gain(inner, outer, G, step)
        inner, outer = inner - step * outer.T @ G, outer - step * G @ inner.T
        moved, size = _layer_balance(inner, outer) - before, np.sum(inner**2) + np.sum(outer**2)
        rows.append(
            {
                "law": np.linalg.norm(moved - gain) / size,
                "conserved": np.linalg.norm(moved) / size,
            }
        )
    return from_rows(rows)


def _layer_balance(inner, outer):
    return inner @ inner.T - outer.T @ outer


def measure_wear(
    step_sizes: list[float],
    clock: float,
    runs: int,
    seed: int,
    target: float = 1.0,
    start: tuple[float, float] = (2.0, 0.3),
    noise: float = 1.0,
    records: int = 13,
) -> dict[str, np.ndarray]:
    """Fit x = u v to one number with noisy labels, and watch the balance u^2 - v^2 wear off.

    Parameters
    ----------
    step_sizes : list of float
        Step sizes eta.
    clock : float
        Length of the runs, as eta^2 noise^2 times the number of steps.
    runs : int
        Independent runs, averaged in log abs(balance).
    seed : int
        Seed.
    target : float, optional
        The number y (default: 1); each step sees y plus a fresh normal error.
    start : tuple of float, optional
        u and v at the start, of different size (default: 2 and 0.3).
    noise : float, optional
        Standard deviation of the labels' errors (default: 1); a run without noise is added for each
        step size.
    records : int, optional
        Recorded times (default: 13).

    Returns
    -------
    dict of str to ndarray
        A row for each step size, with and without noise, and recorded time: ``noise``, ``step``,
        ``iteration``, ``clock``, which is eta^2 times ``iteration``; ``log_left``, the mean
        logarithm of the balance over its start; ``half_width`` of that mean's 95 % interval;
        ``predicted``, -noise^2 clock.
    """
    rows = []
    for eta in step_sizes:
        last = int(np.ceil(clock / (eta * noise) ** 2))
        marks = set(np.unique(np.linspace(0, last, records).astype(int)).tolist())
        for sigma in (0.0, noise):
            rng = np.random.default_rng([seed, round(1e6 * eta)])
            u, v = (np.full(runs, value) for value in start)
            log_left = np.zeros(runs)
            for k in range(last + 1):
                if k in marks:
                    rows.append(_wear_row(sigma, eta, k, log_left))
                g = u * v - target - sigma * rng.standard_normal(runs)
                # The law, whose sum of logarithms keeps its accuracy where u^2 - v^2 has none left.
                log_left += np.log(np.abs(1 - (eta * g) ** 2))
                u, v = u - eta * g * v, v - eta * g * u
    return from_rows(rows)


def _wear_row(sigma, eta, k, log_left):
    spread = 1.96 * log_left.std(ddof=1) / np.sqrt(len(log_left))
    return {
        "noise": sigma,
        "step": eta,
        "iteration": k,
        "clock": eta**2 * k,
        "log_left": log_left.mean(),
        "half_width": spread,
        "predicted": -(sigma**2) * eta**2 * k,
    }


def wear_rates(wear: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the rate per step at which the balance wears off, and its fitted exponent in the step.

    Parameters
    ----------
    wear : dict of str to ndarray
        From `measure_wear`.

    Returns
    -------
    dict of str to ndarray
        A row for each step size with noise: ``step``, ``rate``, ``half_width`` of its 95 %
        interval, ``predicted``, which is eta^2 noise^2; ``exponent``, the slope of log rate in
        log eta over all rows.
    """
    rows = []
    for step, own in groups(select(wear, where=wear["noise"] > 0), "step"):
        count = own["iteration"][-1]
        rows.append(
            {
                "step": step,
                "rate": -own["log_left"][-1] / count,
                "half_width": own["half_width"][-1] / count,
                "predicted": (step * own["noise"][-1]) ** 2,
            }
        )
    rates = from_rows(rows)
    exponent, _ = fitted_slope(np.log(rates["step"]), np.log(rates["rate"]))
    return {**rates, "exponent": np.full(len(rates["step"]), exponent)}


def measure_integrators(
    M: int, N: int, counts: list[int], seed: int, time: float = 2.0
) -> dict[str, np.ndarray]:
    """Integrate the flow of two unequal factors by four methods; measure the balance's drift.

    Parameters
    ----------
    M, N : int
        Shape of the Gaussian A; the data are those of a normal vector.
    counts : list of int
        Numbers of steps.
    seed : int
        Seed.
    time : float, optional
        The end of the integration (default: 2).

    Returns
    -------
    dict of str to ndarray
        A row for each method and number of steps: ``method``, ``step``, and ``drift``, the largest
        abs(u_i^2 - v_i^2 - its start) over the mean of abs(u_i^2 - v_i^2) at the start.
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((M, N)) / np.sqrt(M)
    y = A @ rng.standard_normal(N)
    start = rng.uniform(0.5, 1.5, (2, N))

    def field(z):
        return -z[::-1] * ((A @ (z[0] * z[1]) - y) @ A)

    rows = []
    for method, (step, _) in INTEGRATORS.items():
        for count in counts:
            z = start
            for _ in range(count):
                z = step(field, z, time / count)
            first = imbalances(start)[0, 1]
            drift = np.max(np.abs(imbalances(z)[0, 1] - first)) / np.mean(np.abs(first))
            rows.append({"method": method, "step": time / count, "drift": drift})
    return from_rows(rows)


def integrator_orders(drifts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the orders at which the balance drifts in the step.

    Parameters
    ----------
    drifts : dict of str to ndarray
        From `measure_integrators`.

    Returns
    -------
    dict of str to ndarray
        A row for each method that drifts: ``method``, fitted ``order`` and ``predicted``.
    """
    return from_rows(
        [
            {
                "method": method,
                "order": fitted_slope(np.log(own["step"]), np.log(own["drift"]))[0],
                "predicted": INTEGRATORS[method][1],
            }
            for method, own in groups(drifts, "method")
            if INTEGRATORS[method][1] is not None
        ]
    )

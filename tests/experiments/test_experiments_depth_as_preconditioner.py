"""The experiment of notebook 17_depth_as_preconditioner."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact.experiments import balanced_nets, conservation, tuned_descent
from deepfact.experiments import depth_as_preconditioner as experiment
from deepfact.experiments.tables import select


@pytest.fixture(scope="module")
def tables():
    return {
        "loops": experiment.measure_loops(3, 4, [1, 2, 3], [0.2, 0.5], [2, 4], 1, seed=0),
        "limits": experiment.measure_limits(2, 4, 2, [2, 3], [1e-2, 1e-3, 1e-4, 1e-5], 1, seed=0),
        "conditions": experiment.measure_conditions(4, 50.0, [2, 5], 6, seed=0),
        "rates": experiment.measure_rates(16, 4, [2, 3], 2, seed=0),
        "tuned": experiment.measure_tuned(60, 6, [2, 4], [1, 2, 3], 12, seed=0),
        "units": experiment.measure_units(60, 6, [1, 2, 3], [0.25, 4.0], 1, seed=0),
        "laws": experiment.measure_laws(5, 6, [2, 3], [0.0, 0.1], 40, seed=0),
        "layers": experiment.measure_layers(10, [2, 3, 3], 40, seed=0),
        "wear": experiment.measure_wear([0.01, 0.03], 1.0, 100, seed=0),
        "drifts": experiment.measure_integrators(5, 6, [128, 256, 512], seed=0),
    }


def claims_of(tables):
    names = ("conditions", "rates", "tuned", "units"), ("laws", "layers", "wear", "drifts")
    speed, balance = ([tables[name] for name in group] for group in names)
    return [
        *experiment.checks(tables["loops"], tables["limits"]),
        *experiment.speed_checks(*speed),
        *experiment.balance_checks(*balance),
    ]


def failures(tables):
    rows = [claim.check("x") for claim in claims_of(tables)]
    return {k for k, row in enumerate(rows) if not row.worst_margin >= 0}


def test_claims_hold_and_rivals_do_not(tables):
    claims = claims_of(tables)
    assert [claim.statement for claim in claims] == ["T2"] * 9 + ["T10"] * 7
    assert all(claim.check("x").holds for claim in claims)
    assert claims[7].instances == 12 * 2 * 2


@pytest.mark.parametrize(
    ("table", "column", "change", "expected"),
    [
        ("loops", "area", 1 + 1e-9, {0}),
        ("loops", "in_metric", 1e8, {1}),
        ("limits", "error", 1e3, {2}),
        ("limits", "stationarity", 1e8, {2}),
        ("conditions", "with_depth", 10.0, {4, 5}),
        ("rates", "rate", 1.2, {6}),
        ("tuned", "ratio", 10.0, {7}),
        ("units", "slope", 1.2, {8}),
        ("laws", "law", 1e5, {9, 10}),
        ("layers", "law", 1e5, {11}),
        ("wear", "log_left", 1.2, {13}),
        ("drifts", "drift", 1e6, {15}),
    ],
)
def test_each_claim_fails_on_its_own_number(tables, table, column, change, expected):
    """Rounding errors may be 0 at this size, so that a factor needs something to act on."""
    own = tables[table]
    base = own[column] + 1e-15 if column in ("in_metric", "law", "drift") else own[column]
    assert failures({**tables, table: {**own, column: base * change}}) == expected


def test_slopes_are_fitted_to_their_own_columns(tables):
    limits = tables["limits"]
    bent = {**limits, "distance": limits["distance"] * limits["start"] ** 0.1}
    assert failures({**tables, "limits": bent}) == {3}
    wear = tables["wear"]
    bent = {**wear, "log_left": wear["log_left"] * (wear["step"] / wear["step"].min()) ** 0.5}
    assert failures({**tables, "wear": bent}) == {12}
    drifts = tables["drifts"]
    drifting = drifts["method"] != "implicit midpoint"
    factor = np.where(drifting, drifts["step"] ** 0.5, 1.0)
    assert failures({**tables, "drifts": {**drifts, "drift": drifts["drift"] * factor}}) == {14}


def test_unbalanced_layers_do_not_end_at_the_balanced_limit():
    rng = np.random.default_rng(0)
    A, w0 = rng.standard_normal((2, 4)), np.array([0.3, 0.2, -0.1, 0.4])
    y = A @ rng.standard_normal(4)
    layers = balanced_nets.balanced_layers(w0, 2, 3, rng)
    w, residual = balanced_nets.integrate_layers(A, y, layers, 1e-12)
    exact = balanced_nets.balanced_limit(A, y, w0, 2)
    assert residual <= 2e-11
    np.testing.assert_allclose(w, exact, atol=1e-9)
    other, _ = balanced_nets.integrate_layers(A, y, [layers[0] / 2, layers[1] * 2], 1e-12)
    assert np.linalg.norm(other - exact) > 1e-2


def test_iterations_agree_with_descent_on_the_layers():
    """Three layers with one hidden unit each, step by step."""
    rng = np.random.default_rng(1)
    A = rng.standard_normal((10, 3))
    y, start, eta = A @ rng.standard_normal(3), np.array([0.1, 0.2, 0.1]), 0.05
    root = np.linalg.norm(start) ** (1 / 3)
    v, a, b = start / root**2, root, root
    count, losses = 0, []
    while True:
        r = A @ (a * b * v) - y
        losses.append(np.mean(r**4))
        if losses[-1] <= 1e-3 * losses[0]:
            break
        g = r**3 @ A / 10
        v, a, b = v - eta * a * b * g, a - eta * b * (v @ g), b - eta * a * (v @ g)
        count += 1
    needed = tuned_descent.iterations_needed(A, y, start, 4, 3, np.array([eta, 50.0]), 1e-3, 10_000)
    assert needed[0] == pytest.approx(count, abs=1)
    assert np.isinf(needed[1])


def test_wear_without_noise_stops(tables):
    quiet = select(tables["wear"], noise=0.0)
    assert -0.05 < quiet["log_left"].min() < 0
    orders = conservation.integrator_orders(tables["drifts"])
    np.testing.assert_array_equal(orders["predicted"], [1, 3, 4])


def test_descriptions(tables):
    speed = experiment.describe_speed(tables["conditions"], tables["tuned"], tables["units"])
    assert len(speed.splitlines()) == 2 + 4 + 4
    balance = experiment.describe_balance(tables["laws"], tables["wear"], tables["drifts"])
    assert len(balance.splitlines()) == 4 + 2 + 1 + 3


def test_figure_draws_its_data(tables):
    names = ("loops", "limits", "conditions", "tuned", "wear", "drifts")
    parts = [tables[name] for name in names]
    data = experiment.figure_data(*parts)
    assert set(data["panel"]) == {"loop", "limit", "condition", "tuned", "wear", "drift"}
    figure = experiment.figure(*parts)
    try:
        loops, limits, *_ = figure.axes
        assert len(loops.lines) == 2 * 3
        assert len(limits.lines) == 3 * 2
        assert "predicted 3" in figure.axes[5].get_legend().get_texts()[1].get_text()
    finally:
        plt.close(figure)

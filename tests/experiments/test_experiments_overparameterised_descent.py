"""The experiment of notebook 18_overparameterised_descent."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact.experiments import linear_rate, relu_net
from deepfact.experiments import overparameterised_descent as experiment
from deepfact.experiments.tables import select
from deepfact.theory import relu_kernel


@pytest.fixture(scope="module")
def tables():
    return {
        "decay": experiment.measure_decay(6, 14, 2, [2, 3], [0.3, 3.0], 1, 12, seed=0),
        "lazy": experiment.measure_lazy(6, 14, 2, [2, 3], [3.0, 5.0, 10.0], 2, seed=0),
        "width": experiment.measure_width(40, [2, 4, 8], 5.0, 4, seed=0),
        "training": experiment.measure_training(20, 10, [64, 1024], seed=0),
        "nets": experiment.measure_nets(20, 10, [64, 256, 1024, 4096], 8, seed=0),
        "kaczmarz": experiment.measure_kaczmarz(
            4, 10, 0.3, [0.5, 1, 3, 24], [1.0, 3.0], 400, 2, seed=0
        ),
    }


def claims_of(tables):
    return [
        *experiment.checks(*(tables[name] for name in ("decay", "lazy", "width"))),
        *experiment.net_checks(tables["nets"]),
        *experiment.sampling_checks(tables["kaczmarz"]),
    ]


def failures(tables):
    rows = [claim.check("x") for claim in claims_of(tables)]
    return {k for k, row in enumerate(rows) if not row.worst_margin >= 0}


def test_claims_hold_and_rivals_do_not(tables):
    claims = claims_of(tables)
    assert [claim.statement for claim in claims] == ["T3"] * 11
    assert all(claim.check("x").holds for claim in claims)
    assert claims[3].instances == 12
    assert claims[4].instances == 32


@pytest.mark.parametrize(
    ("table", "column", "change", "expected"),
    [
        ("decay", "clock", lambda own: 2 * own["clock"], {0}),
        ("lazy", "excess", lambda own: own["excess"] * own["alpha"], {1}),
        ("lazy", "correction", lambda own: own["correction"] * 1.05, {2}),
        ("lazy", "deviation", lambda own: own["deviation"] * own["alpha"], {1}),
        ("width", "rate", lambda own: own["rate"] * own["ratio"] ** 0.5, {3}),
        ("nets", "flipped", lambda own: own["flipped"] * own["width"] ** 0.3, {4}),
        ("nets", "distance", lambda own: own["distance"] * own["width"] ** 0.2, {5, 6}),
        ("nets", "last", lambda own: own["last"] + 0.01, {7}),
        ("kaczmarz", "exact", lambda own: 1.5 * own["exact"], {8, 9}),
        ("kaczmarz", "bound", lambda own: own["bound"] ** 4, {8}),
        ("kaczmarz", "mean", lambda own: own["mean"] + 9 * own["error"], {9}),
        ("kaczmarz", "floor", lambda own: 50 * own["floor"], {10}),
    ],
)
def test_each_claim_fails_on_its_own_number(tables, table, column, change, expected):
    own = tables[table]
    assert failures({**tables, table: {**own, column: change(own)}}) == expected


def test_last_rates_are_those_of_trajectories(tables):
    """Both are above the guarantee: in units of it the loss decays late at 1 + excess."""
    lazy = select(tables["lazy"], depth=2, alpha=3.0)
    slopes = linear_rate.lazy_slopes(tables["lazy"])
    assert np.all(lazy["excess"] > 0)
    np.testing.assert_allclose(slopes["moved"], 1 - slopes["depth"], atol=1e-3)
    width = select(tables["width"], ratio=8)
    assert np.all(np.abs(width["rate"] / width["predicted"] - 1) < 0.3)


def test_training_moves_along_the_gradient():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y, weights = rng.standard_normal(5), rng.standard_normal((4, 3))
    residuals, start, end = relu_net.train(X, y, weights, 0.01, 1)
    np.testing.assert_allclose(residuals[0], -y, atol=1e-14)
    sign = np.repeat([1.0, -1.0], 4) / np.sqrt(8)

    def loss(W):
        return 0.5 * np.sum((np.maximum(X @ W.T, 0) @ sign - y) ** 2)

    gradient = np.zeros_like(start)
    for place in np.ndindex(*start.shape):
        shift = np.zeros_like(start)
        shift[place] = 1e-6
        gradient[place] = (loss(start + shift) - loss(start - shift)) / 2e-6
    np.testing.assert_allclose(end, start - 0.01 * gradient, atol=1e-9)
    many = rng.standard_normal((200_000, 3))
    gates = many @ X.T > 0
    sampled = X @ X.T * (gates.T.astype(float) @ gates) / len(many)
    np.testing.assert_allclose(relu_kernel(X), sampled, atol=0.01)


def test_description(tables):
    text = experiment.describe(tables["lazy"], tables["nets"], tables["kaczmarz"])
    assert len(text.splitlines()) == 2 + 5 + 2


def test_figure_draws_its_data(tables):
    names = ("decay", "lazy", "width", "training", "nets", "kaczmarz")
    parts = [tables[name] for name in names]
    data = experiment.figure_data(*parts)
    assert set(data["panel"]) == {"decay", "lazy", "width", "training", "nets", "sampling"}
    figure = experiment.figure(*parts)
    try:
        decay, lazy, _, training, nets, _ = figure.axes
        assert len(decay.lines) == 1 + 2 * 2
        assert len(lazy.lines) == 2 * 2
        assert len(training.lines) == 3
        assert "slope -4.00" in lazy.get_legend().get_texts()[0].get_text()
        np.testing.assert_array_equal(nets.lines[0].get_xdata(), [64, 256, 1024, 4096])
    finally:
        plt.close(figure)

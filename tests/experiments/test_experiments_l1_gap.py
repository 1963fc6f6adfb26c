"""The loop of the notebooks on the main theorem."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepfact import theory
from deepfact.experiments.l1_gap import (
    guaranteed_gap,
    l1_gap_figure,
    l1_gap_summary,
    l1_gap_trials,
)

ARGUMENTS = {
    "sizes": [(5, 20, 1), (4, 18, 3)],
    "trials": 1,
    "depths": [2, 3],
    "log10_scales": [0, -3, -6],
    "eps": [1.0, 1e-3],
    "seed": 3,
}


@pytest.fixture(scope="module", params=[True, False], ids=["signed", "positive"])
def trials(request):
    return l1_gap_trials(**ARGUMENTS, signed=request.param)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 2.5, 3, 6])
def test_guaranteed_gap_inverts_the_init_scale_bound(depth, signed):
    for Q, eps in ((0.3, 2.0), (5.0, 0.02)):
        log_alpha = theory.log_init_scale_bound(Q, eps, 40, depth, signed=signed)
        assert guaranteed_gap(Q, 40, depth, log_alpha, signed) == pytest.approx(eps, rel=1e-11)


@pytest.mark.parametrize("depth", [2, 4])
def test_no_gap_is_guaranteed_from_a_large_init_scale(depth):
    assert guaranteed_gap(1.0, 10, depth, 0.0) == np.inf


def test_intervals_are_ordered_and_gaps_positive(trials):
    assert trials.converged.all()
    assert np.all(trials.Q_lower <= trials.Q_upper * (1 + 1e-14))
    assert np.all(trials.lower_bound <= trials.Q_lower[:, None, None])
    assert np.all(trials.gap >= 0)
    assert np.all(trials.certificate >= trials.gap)


def test_margins_are_those_of_the_definition(trials):
    assert trials.bound_margins().size == np.isfinite(trials.bound).sum()
    assert trials.guarantee_margins().size == np.isfinite(trials.guarantee).sum() + (
        trials.tried.sum()
    )
    assert trials.guarantee_margins().min() >= 0
    assert trials.bound_margins(certified=True).min() >= 0
    assert trials.bound_margins().min() >= trials.bound_margins(certified=True).min()
    worst = np.unravel_index(np.argmin(1 - trials.gap / trials.bound), trials.gap.shape)
    bound = theory.l1_gap_bound(
        trials.Q_upper[worst[0]],
        int(trials.N[worst[0]]),
        trials.depths[worst[1]],
        (trials.scales[worst[2]] * trials.Q_upper[worst[0]]) ** (1 / trials.depths[worst[1]]),
        signed=trials.signed,
    )
    assert trials.bound_margins().min() == pytest.approx(1 - trials.gap[worst] / bound)


def test_init_scales_beyond_the_tested_range_are_left_out(trials):
    shallow, deep = trials.tried[:, 0], trials.tried[:, 1]
    assert not shallow[:, 1].any()  # eps = Q/1000 asks for alpha < e^-700 at L = 2
    assert np.isnan(trials.l1_norm_at_eps[:, 0, 1]).all()
    assert deep.all()


def test_a_failed_limit_counts_as_a_violation(trials):
    trials.converged[0, 0, 2] = False
    try:
        assert np.isnan(trials.bound_margins().min())
        assert np.isnan(trials.guarantee_margins().min())
    finally:
        trials.converged[0, 0, 2] = True


def test_same_seed_same_numbers_other_seed_other_numbers():
    arguments = ARGUMENTS | {"sizes": [(3, 6, 1)], "depths": [3], "eps": [1.0], "signed": True}
    one, two = l1_gap_trials(**arguments), l1_gap_trials(**arguments)
    assert np.array_equal(one.l1_norm, two.l1_norm)
    other = l1_gap_trials(**arguments | {"seed": 4})
    assert not np.array_equal(one.l1_norm, other.l1_norm)


def test_summary_is_over_the_instances(trials):
    summary = l1_gap_summary(trials)
    relative = trials.gap / trials.Q_lower[:, None, None]
    assert {len(column) for column in summary.values()} == {6}
    row = np.flatnonzero((summary["depth"] == 3) & (summary["scale"] == trials.scales[1]))
    assert summary["gap_median"][row] == pytest.approx(np.median(relative[:, 1, 1]))
    assert summary["gap_largest"][row] == relative[:, 1, 1].max()
    assert summary["bound_least"][0] == np.inf


def test_figure_has_a_panel_for_each_depth(trials):
    figure = l1_gap_figure(l1_gap_summary(trials))
    try:
        assert [axis.get_title() for axis in figure.axes] == ["$L = 2$", "$L = 3$"]
    finally:
        plt.close(figure)

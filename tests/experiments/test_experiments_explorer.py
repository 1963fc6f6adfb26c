"""The computation and the picture behind the sliders of the explorer."""

import io
import time
from pathlib import Path

import matplotlib.image
import nbformat
import numpy as np
import pytest

import deepfact as df
from deepfact.experiments.explorer import (
    _coordinates,
    _dual,
    exploration_picture,
    explore,
    rough_flow,
    summary,
)

NOTEBOOK = Path(__file__).parents[2] / "notebooks/interactive/explorer.ipynb"
SMALL = {"M": 20, "N": 50, "s": 3, "depth": 3, "alpha": 1e-2}
FULL = {"M": 60, "N": 200, "s": 6, "depth": 3, "alpha": 1e-2}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 2.5, 3, 6, np.inf])
def test_coordinates_are_those_of_the_mirror_map(depth, signed):
    model = df.DeepFactorization(depth, 0.1, signed=signed)
    h = np.linspace(-1.5, 2.0, 7)
    x, rate, slope, growth = _coordinates(model, h)
    w = _dual(model, h)
    np.testing.assert_allclose(x, model.signal(w), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(rate * slope, model.signal_derivative(w), rtol=1e-12)
    step = 1e-6
    ahead, behind = _coordinates(model, h + step), _coordinates(model, h - step)
    np.testing.assert_allclose(slope, (ahead[0] - behind[0]) / (2 * step), rtol=1e-7)
    numeric = (np.log(ahead[1]) - np.log(behind[1])) / (2 * step)
    np.testing.assert_allclose(np.broadcast_to(growth, h.shape), numeric, atol=1e-8)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    ("depth", "alpha"), [(1, 1.0), (2, 1e-1), (2, 1e-8), (3, 1e-2), (3, 1e-4), (4, 1e-2)]
)
def test_rough_flow_is_the_flow(depth, alpha, signed):
    """Within a jump a small error of the time is a large one of x: the median is over times."""
    problem = df.gaussian_problem(20, 50, 3, seed=1, signed=signed)
    model = df.DeepFactorization(depth, alpha, signed=signed)
    exact = df.gradient_flow(problem, model)
    times = exact.times[1:]
    x, w = rough_flow(problem, model, times, max_evaluations=10_000)
    assert len(x) == len(times)
    error = np.linalg.norm(x - exact.x[1:], axis=1) / np.linalg.norm(exact.x[1:], axis=1).max()
    assert np.median(error) < 1e-3
    assert np.mean(error < 1e-2) > 0.95
    np.testing.assert_allclose(model.signal(w), x, rtol=1e-3, atol=1e-12)


def test_rough_flow_stops_when_its_work_is_used_up():
    problem = df.gaussian_problem(20, 50, 3, seed=1)
    model = df.DeepFactorization(3, 1e-2)
    times = np.geomspace(0.1, 1e6, 50)
    everything, _ = rough_flow(problem, model, times, max_evaluations=10_000)
    part, w = rough_flow(problem, model, times, max_evaluations=100)
    assert 0 < len(part) < len(everything) == len(times)
    assert w.shape == part.shape
    np.testing.assert_array_equal(part, everything[: len(part)])


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("depth", [2, 3])
def test_exploration_obeys_the_statements(depth, signed):
    found = explore(**{**SMALL, "depth": depth}, signed=signed)
    best = df.basis_pursuit(found.problem, signed=signed)
    assert found.complete
    assert found.limit.success
    assert np.all(found.lower_bound <= best.value * (1 + 1e-9))
    assert found.limit.lower_bound <= best.value <= found.limit.l1_norm
    slack = 1e-3 * found.divergence_to_limit[0]
    for divergence in (found.divergence_to_limit, found.divergence_to_truth):
        assert np.all(np.diff(divergence) <= slack)  # S1
    assert found.divergence_to_limit[-1] < 1e-2 * found.divergence_to_limit[0]


def test_noise_takes_the_flow_away_from_the_true_vector():
    found = explore(**SMALL, noise=0.1)
    assert found.divergence_to_truth[-1] > 2 * found.divergence_to_truth.min()
    assert found.divergence_to_limit[-1] < 1e-2 * found.divergence_to_limit[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"s": 0}, "s must"),
        ({"s": 21}, "s must be at most M = 20"),
        ({"M": 0}, "s must be at most|M must"),
        ({"M": 50}, "M must be less than N = 50"),
        ({"depth": 0.5}, "depth must"),
        ({"alpha": 0.0}, "alpha must"),
        ({"noise": -1.0}, "noise must"),
        ({"n_times": 1}, "n_times must"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        explore(**{**SMALL, **change})


def test_summary_tells_numbers_and_status():
    found = explore(**SMALL)
    lines = summary(found)
    assert float(lines["gap"]) == pytest.approx(found.limit.gap, rel=5e-3)
    assert lines["limit"] == "converged"
    assert lines["trajectory"] == "complete"


def test_summary_is_honest_about_what_is_missing():
    lines = summary(explore(**SMALL, max_evaluations=100))
    assert lines["trajectory"].startswith("stopped at time")
    infeasible = explore(M=40, N=50, s=3, depth=2, alpha=0.1, noise=0.2, signed=False)
    assert summary(infeasible)["limit"].startswith("infeasible")


def test_picture_shows_what_it_is_given():
    draw = exploration_picture()
    first, second = explore(**SMALL), explore(**{**SMALL, "alpha": 1e-1})
    pictures = [draw(found) for found in (first, second, first)]
    assert pictures[0] == pictures[2] != pictures[1]
    image = matplotlib.image.imread(io.BytesIO(pictures[0]))
    assert image.shape == (580, 960, 4)
    halves = [part for row in np.array_split(image, 2) for part in np.array_split(row, 2, axis=1)]
    other = matplotlib.image.imread(io.BytesIO(pictures[1]))
    changed = [part for row in np.array_split(other, 2) for part in np.array_split(row, 2, axis=1)]
    for before, after in zip(halves, changed, strict=True):  # each of the four panels
        assert (before != after).any()


def test_picture_of_a_trajectory_cut_short():
    assert exploration_picture()(explore(**SMALL, max_evaluations=1)).startswith(b"\x89PNG")


def test_moves_are_fast():
    """Computing and drawing, N = 200: the median over settings, in time of this thread."""
    draw = exploration_picture()
    draw(explore(**FULL))
    spent = []
    for change in (
        {},
        {"depth": 1},
        {"depth": 2, "alpha": 1e-4},
        {"alpha": 1e-4},
        {"alpha": 1e-4, "signed": False},
        {"noise": 0.05},
        {"depth": 4},
        {"M": 100, "s": 20},
        {"alpha": 1e-4, "noise": 0.05},
    ):
        start = time.thread_time()
        draw(explore(**{**FULL, **change}))
        spent.append(time.thread_time() - start)
    assert np.median(spent) < 0.3


@pytest.fixture
def notebook():
    """Run the cells of the explorer here; return its names."""
    names = {}
    for cell in nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    return names


def test_sliders_exclude_bad_settings(notebook):
    sliders, shown = notebook["sliders"], notebook["shown"]
    sliders["s"].value = 40
    sliders["N"].value = 30
    assert (sliders["M"].value, sliders["s"].value) == (29, 29)
    assert shown == {name: slider.value for name, slider in sliders.items()}
    sliders["M"].value = 12
    assert shown["s"] == 12
    sliders["N"].value = 200
    assert (shown["M"], sliders["M"].max) == (12, 199)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("M", 40),
        ("N", 100),
        ("s", 10),
        ("depth", 2),
        ("alpha", 1e-1),
        ("noise", 0.1),
        ("seed", 1),
        ("signed", False),
    ],
)
def test_every_slider_redraws(notebook, name, value):
    before = notebook["picture"].value, notebook["numbers"].value
    notebook["sliders"][name].value = value
    assert notebook["picture"].value != before[0]
    assert notebook["numbers"].value != before[1]


def test_notebook_is_committed_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [f"c{k:02d}" for k in range(len(notebook.cells))]
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert "widgets" not in notebook.metadata

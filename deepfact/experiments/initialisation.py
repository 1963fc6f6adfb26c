"""Other initialisations: weights, unequal factors, and equality broken, in one figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.experiments import broken_equality, unequal_factors, weights
from deepfact.experiments.tables import join
from deepfact.figures import figure_style


def figure(
    weighted: dict[str, np.ndarray],
    losses: dict[str, np.ndarray],
    plateau: dict[str, np.ndarray],
    deep: dict[str, np.ndarray],
    broken: dict[str, np.ndarray],
) -> Figure:
    """Draw a row of two panels for each of the three experiments.

    Parameters
    ----------
    weighted : dict of str to ndarray
        From `weights.measure_weights`.
    losses, plateau : dict of str to ndarray
        From `unequal_factors.measure_losses` and `unequal_factors.measure_plateau`.
    deep, broken : dict of str to ndarray
        From `broken_equality.measure_random_factors` and `broken_equality.measure_recovery`.

    Returns
    -------
    matplotlib.figure.Figure
        Six panels.
    """
    figure_style()
    drawn, (first, second, third) = plt.subplots(3, 2, figsize=(7.2, 8.2))
    weights.draw(first, weighted)
    unequal_factors.draw(second, losses, plateau)
    broken_equality.draw(third, deep, broken)
    return drawn


def figure_data(
    weighted: dict[str, np.ndarray],
    losses: dict[str, np.ndarray],
    plateau: dict[str, np.ndarray],
    deep: dict[str, np.ndarray],
    broken: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows.

    Parameters
    ----------
    weighted, losses, plateau, deep, broken : dict of str to ndarray
        As for `figure`.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    return join(
        weights.figure_data(weighted),
        unequal_factors.figure_data(losses, plateau),
        broken_equality.figure_data(deep, broken),
    )

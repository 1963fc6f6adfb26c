"""One step of four classical integrators of z' = f(z), to see what each conserves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Newton-free iteration of the implicit step: rounding is reached long before, or never.
MOST_ITERATIONS = 200


def euler_step(field: Callable, z: np.ndarray, step: float) -> np.ndarray:
    """Take a step of Euler's method, of order 1: gradient descent, if f is a negative gradient.

    Parameters
    ----------
    field : callable
        f.
    z : ndarray
        The point.
    step : float
        The step in time.

    Returns
    -------
    ndarray
        The next point.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``.
    """
    return z + step * field(z)


def heun_step(field: Callable, z: np.ndarray, step: float) -> np.ndarray:
    """Take a step of Heun's method, of order 2.

    Parameters
    ----------
    field : callable
        f.
    z : ndarray
        The point.
    step : float
        The step in time.

    Returns
    -------
    ndarray
        The next point.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``.
    """
    first = field(z)
    return z + step / 2 * (first + field(z + step * first))


def runge_kutta_step(field: Callable, z: np.ndarray, step: float) -> np.ndarray:
    """Take a step of the classical Runge-Kutta method, of order 4.

    Parameters
    ----------
    field : callable
        f.
    z : ndarray
        The point.
    step : float
        The step in time.

    Returns
    -------
    ndarray
        The next point.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``.
    """
    k1 = field(z)
    k2 = field(z + step / 2 * k1)
    k3 = field(z + step / 2 * k2)
    k4 = field(z + step * k3)
    return z + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def midpoint_step(field: Callable, z: np.ndarray, step: float) -> np.ndarray:
    """Take a step of the implicit midpoint rule, of order 2: z + step f((z + next)/2).

    It conserves every quadratic form that the flow conserves.

    Parameters
    ----------
    field : callable
        f.
    z : ndarray
        The point.
    step : float
        The step in time, small enough that the fixed-point iteration contracts.

    Returns
    -------
    ndarray
        The next point.

    Raises
    ------
    ArithmeticError
        If the iteration does not settle.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``.
    """
    change = step * field(z)
    for _ in range(MOST_ITERATIONS):
        update = step * field(z + change / 2)
        moved = np.max(np.abs(update - change))
        change = update
        if moved <= 4 * np.finfo(float).eps * np.max(np.abs(z)):
            return z + change
    raise ArithmeticError(f"the implicit step of size {step} does not settle")

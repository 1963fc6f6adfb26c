"""What the statements share: log a, N', the deformed logarithm, results in logarithms."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_count, as_flag


def log_product(depth: float, log_alpha: float | np.ndarray) -> float | np.ndarray:
    """Return log a = L log alpha, the logarithm of a product of factors at time 0.

    Parameters
    ----------
    depth : float
        Number L of factors; at infinite depth alpha stands for mu = lim alpha^L.
    log_alpha : float or ndarray
        Natural logarithm of the init scale.

    Returns
    -------
    float or ndarray
        log a.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    return log_alpha if np.isinf(depth) else depth * log_alpha


def product_count(N: int, signed: bool) -> int:
    """Return N', the number of products that start at a > 0.

    Parameters
    ----------
    N : int
        Number of unknowns.
    signed : bool
        Signed or positive model.

    Returns
    -------
    int
        2 N or N.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    return as_count("N", N, minimum=1) * (2 if as_flag("signed", signed) else 1)


def saturating(t: float | np.ndarray, theta: float) -> np.ndarray:
    """Return (1 - e^(-theta t))/theta, the inverse of the deformed exponential at e^t.

    Parameters
    ----------
    t : float or ndarray
        Logarithm of the growth, at least 0 (any sign where the result stays in float64).
    theta : float
        1 - 2/L, in [0, 1]; the value is t for theta = 0.

    Returns
    -------
    ndarray
        The value.

    Notes
    -----
    Section "Dual picture" of ``docs/statements.md``.
    """
    t = np.asarray(t, dtype=np.float64)
    with np.errstate(under="ignore"):
        return t if theta == 0 else -np.expm1(-theta * t) / theta


def log_of(x: float | np.ndarray) -> np.ndarray:
    """Return the natural logarithm, with -inf for 0.

    Parameters
    ----------
    x : float or ndarray
        Nonnegative numbers.

    Returns
    -------
    ndarray
        The logarithms.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    with np.errstate(divide="ignore"):
        return np.log(x)


def plain(value: float | np.ndarray) -> float | np.ndarray:
    """Return a float for an array without dimensions, and other arrays as they are.

    Parameters
    ----------
    value : float or ndarray
        A result.

    Returns
    -------
    float or ndarray
        What a public function hands out.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


def exponential(value: float | np.ndarray, log: bool) -> float | np.ndarray:
    """Return exp(value), or value itself where the caller asked for the logarithm.

    Parameters
    ----------
    value : float or ndarray
        A logarithm.
    log : bool
        Whether to leave it one.

    Returns
    -------
    float or ndarray
        Beyond the range of float64: 0 or infinity.

    Raises
    ------
    TypeError
        If ``log`` is not True or False.

    Notes
    -----
    Section "Conventions" of ``docs/statements.md``.
    """
    if as_flag("log", log):
        return plain(value)
    with np.errstate(under="ignore", over="ignore"):
        return plain(np.exp(value))

"""Argument checks: every public function refuses bad input before it does any work."""

from __future__ import annotations

import numbers

import numpy as np


def as_real_array(name: str, value, ndim: int) -> np.ndarray:
    """Return ``value`` as a finite, nonempty float64 array with ``ndim`` dimensions.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like
        What the caller passed.
    ndim : int
        The number of dimensions that is right.

    Returns
    -------
    ndarray
        C-contiguous, float64.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If the array is empty, not finite, ragged, of another number of dimensions, or has entries
        that are masked.
    """
    if np.ma.is_masked(value):
        raise ValueError(f"{name} must have no masked entries: leave out what is not known")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a {ndim}-d array of real numbers: {error}") from None
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.ndim != ndim:
        advice = f": give {name}.ravel()" if ndim == 1 and array.size in array.shape else ""
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {array.shape}{advice}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    return array


def as_real_number(
    name: str, value, minimum: float = -np.inf, above: float = -np.inf, finite: bool = True
) -> float:
    """Return ``value`` as a float at least ``minimum`` and greater than ``above``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : float
        What the caller passed; arrays of no dimension are numbers.
    minimum : float, optional
        Smallest value that is right (default: none).
    above : float, optional
        Value that must be exceeded (default: none).
    finite : bool, optional
        Refuse infinities (default: True).

    Returns
    -------
    float
        The number.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is NaN, infinite (unless allowed) or out of range.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.is_masked(value):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.floating, np.integer)):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    number = float(value)
    if np.isnan(number) or (finite and np.isinf(number)):
        raise ValueError(f"{name} must be {'finite' if finite else 'a number'}, got {number}")
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    if above > -np.inf and number <= above:
        raise ValueError(f"{name} must be greater than {above}, got {number}")
    return number


def as_count(name: str, value, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : int
        What the caller passed.
    minimum : int
        Smallest value that is right.

    Returns
    -------
    int
        The count.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is below ``minimum``.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.is_masked(value):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (numbers.Integral, np.integer)):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def check_problem(problem) -> None:
    """Check that ``problem`` is a Problem.

    Parameters
    ----------
    problem : Problem
        What the caller passed as problem.

    Raises
    ------
    TypeError
        If it is of another type.
    """
    if not (hasattr(problem, "A") and hasattr(problem, "y") and hasattr(problem, "dense")):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")


def check_fit(problem, model) -> None:
    """Check that ``problem`` is a Problem, ``model`` a MirrorMap, and that alpha fits N.

    Parameters
    ----------
    problem : Problem
        What the caller passed as problem.
    model : MirrorMap
        What the caller passed as model.

    Raises
    ------
    TypeError
        If one is of another type.
    ValueError
        If alpha is a vector whose length is not N.
    """
    check_problem(problem)
    if not (hasattr(model, "signal") and hasattr(model, "check_length")):
        raise TypeError(f"model must be a MirrorMap, got {type(model).__name__}")
    model.check_length(problem.N)


def as_numbers(name: str, value, minimum: float = -np.inf, above: float = -np.inf):
    """Return a number as a float, or an array of numbers of any shape, with the bounds checked.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : float or array_like
        What the caller passed.
    minimum : float, optional
        Smallest value that is right (default: none).
    above : float, optional
        Value that must be exceeded (default: none).

    Returns
    -------
    float or ndarray
        The number, or the float64 array.

    Raises
    ------
    TypeError
        If an entry is no real number.
    ValueError
        If one is not finite or out of range, or the array is empty.
    """
    if np.ndim(value) == 0:
        return as_real_number(name, value, minimum=minimum, above=above)
    array = as_real_array(name, value, ndim=np.ndim(value))
    as_real_number(name, array.min(), minimum=minimum, above=above)
    return array


def as_flag(name: str, value) -> bool:
    """Return ``value`` as a bool.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : bool
        What the caller passed.

    Returns
    -------
    bool
        The flag.

    Raises
    ------
    TypeError
        If it is not True or False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def as_signed(signed, nonnegative) -> bool:
    """Return whether signals have any signs, from that flag or from its opposite.

    Parameters
    ----------
    signed : bool or None
        Any signs.
    nonnegative : bool or None
        No negative ones.

    Returns
    -------
    bool
        Whether signals have any signs; True where neither flag is given.

    Raises
    ------
    TypeError
        If a flag is not True or False.
    ValueError
        If both are given.
    """
    if nonnegative is None:
        return True if signed is None else as_flag("signed", signed)
    if signed is not None:
        raise ValueError("signed and nonnegative must not both be given: they are opposites")
    return not as_flag("nonnegative", nonnegative)


def as_depth(depth, above: float | None = None) -> float:
    """Return a number of factors, a real number >= 2 or infinity, as a float.

    Parameters
    ----------
    depth : float
        What the caller passed.
    above : float, optional
        Value that must be exceeded (default: none).

    Returns
    -------
    float
        The depth.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is NaN or too small.
    """
    depth = as_real_number("depth", depth, finite=False)
    if above is not None and not depth > above:
        raise ValueError(f"depth must be a real number > {above:g} or numpy.inf, got {depth}")
    if not depth >= 2:
        raise ValueError(f"depth must be a real number >= 2 or numpy.inf, got {depth}")
    return depth


def as_log_alpha(alpha, log_alpha):
    """Return the logarithm of an init scale that is given as itself or as its logarithm.

    Parameters
    ----------
    alpha : float or array_like or None
        The init scale, positive.
    log_alpha : float or array_like or None
        Its natural logarithm.

    Returns
    -------
    float or ndarray
        log alpha.

    Raises
    ------
    TypeError
        If an entry is no real number.
    ValueError
        If not exactly one of the two is given, or it is out of range.
    """
    if (alpha is None) == (log_alpha is None):
        raise ValueError("exactly one of alpha and log_alpha must be given")
    if log_alpha is not None:
        return as_numbers("log_alpha", log_alpha)
    return np.log(as_numbers("alpha", alpha, above=0.0))


def as_times(times) -> np.ndarray:
    """Return times of a trajectory, nonnegative and not decreasing.

    Parameters
    ----------
    times : array_like of shape (K,)
        What the caller passed.

    Returns
    -------
    ndarray of shape (K,)
        The times.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If they are empty, not finite, negative or decreasing.
    """
    times = as_real_array("times", times, ndim=1)
    if times[0] < 0 or np.any(np.diff(times) < 0):
        raise ValueError(
            "times must be nonnegative and not decreasing, got "
            f"{'a negative time' if times.min() < 0 else 'a decrease'}"
        )
    return times


def as_tolerance(rtol) -> float:
    """Return the relative tolerance of an integrator's steps.

    Parameters
    ----------
    rtol : float
        What the caller passed.

    Returns
    -------
    float
        A number in [1e-12, 1e-2].

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is out of that range.
    """
    rtol = as_real_number("rtol", rtol, minimum=1e-12)
    if rtol > 1e-2:
        raise ValueError(f"rtol must be at most 1e-2, got {rtol}")
    return rtol

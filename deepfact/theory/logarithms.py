"""Older names of logarithms that are now an argument, ``log=True``, of the functions themselves."""

from __future__ import annotations

import numpy as np

from deepfact.theory.l1_gap import init_scale_bound, l1_gap_bound, l1_gap_bound_sharp
from deepfact.theory.time_scales import escape_time


def log_init_scale_bound(*args, **kwargs) -> float | np.ndarray:
    """Return the logarithm of `init_scale_bound`, which is the same function with ``log=True``.

    Parameters
    ----------
    *args, **kwargs : object
        Those of `init_scale_bound`.

    Returns
    -------
    float or ndarray
        log h(Q, eps).

    Notes
    -----
    Statement S2 of ``docs/statements.md``.
    """
    return init_scale_bound(*args, log=True, **kwargs)


def log_l1_gap_bound(*args, **kwargs) -> float | np.ndarray:
    """Return the logarithm of `l1_gap_bound`, which is the same function with ``log=True``.

    Parameters
    ----------
    *args, **kwargs : object
        Those of `l1_gap_bound`.

    Returns
    -------
    float or ndarray
        Infinite where the bound makes no claim, -inf for a gap of 0.

    Notes
    -----
    Statement S3 of ``docs/statements.md``.
    """
    return l1_gap_bound(*args, log=True, **kwargs)


def log_l1_gap_bound_sharp(*args, **kwargs) -> float | np.ndarray:
    """Return the logarithm of `l1_gap_bound_sharp`, which is the same function with ``log=True``.

    Parameters
    ----------
    *args, **kwargs : object
        Those of `l1_gap_bound_sharp`.

    Returns
    -------
    float or ndarray
        -inf for a gap of 0.

    Notes
    -----
    Statement S3 of ``docs/statements.md``.
    """
    return l1_gap_bound_sharp(*args, log=True, **kwargs)


def log_escape_time(*args, **kwargs) -> float | np.ndarray:
    """Return the logarithm of `escape_time`, which is the same function with ``log=True``.

    Parameters
    ----------
    *args, **kwargs : object
        Those of `escape_time`.

    Returns
    -------
    float or ndarray
        -inf for X = alpha^L.

    Notes
    -----
    Statement S11 of ``docs/statements.md``.
    """
    return escape_time(*args, log=True, **kwargs)

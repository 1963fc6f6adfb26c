"""Thresholds of l1 recovery from Gaussian measurements: statement S14."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

from deepfact.arguments import as_count, as_numbers, as_signed
from deepfact.theory.scales import plain


def recovery_threshold(
    s: float | np.ndarray, N: int, nonnegative: bool | None = None, *, signed: bool | None = None
) -> float | np.ndarray:
    """Return N delta(s/N), the number of Gaussian measurements at which l1 recovery sets in.

    Parameters
    ----------
    s : float or array_like
        Number of nonzeros, 0 <= s <= N.
    N : int
        Number of unknowns.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    signed : bool, optional
        The signal may have any signs (default: True), or is known to be nonnegative.

    Returns
    -------
    float or ndarray
        The statistical dimension of the descent cone of the l1 norm, up to a bounded error. With
        r = s/N, k = 2 (nonnegative: 1) and tau the root of
        r tau = (1 - r) k (phi(tau) - tau Phi(-tau)) it is N (r + (1 - r) k Phi(-tau)).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S14 of ``docs/statements.md``. The form given there as a minimum over tau takes this
    value at its stationary point.
    """
    r, copies, N = _sparsity(s, N, as_signed(signed, nonnegative))
    tau = _stationary_threshold(r, copies)
    return plain(N * (r + (1 - r) * copies * ndtr(-tau)))


def recovery_window(
    s: float | np.ndarray, N: int, nonnegative: bool | None = None, *, signed: bool | None = None
) -> float | np.ndarray:
    """Return the predicted width sigma of the transition: P(recovery) = Phi((M - N delta)/sigma).

    Parameters
    ----------
    s : float or array_like
        Number of nonzeros, 0 <= s <= N.
    N : int
        Number of unknowns.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    signed : bool, optional
        The signal may have any signs (default: True), or is known to be nonnegative.

    Returns
    -------
    float or ndarray
        Standard deviation, in measurements, of the conic intrinsic volumes of the descent cone,
        to leading order in N: with tau as in `recovery_threshold` its square is
        s (2 + 4 tau^2) + (N - s) var((g - tau)_+^2) - 2 N delta, g standard normal (abs(g) for
        signed signals).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    r, copies, N = _sparsity(s, N, as_signed(signed, nonnegative))
    tau = _stationary_threshold(r, copies)
    tail = ndtr(-tau)
    density = np.exp(-(tau**2) / 2) / np.sqrt(2 * np.pi)
    second = tail - tau * density * _mills_defect(tau)
    fourth = (tau**4 + 6 * tau**2 + 3) * tail - (tau**3 + 5 * tau) * density
    spread = (1 - r) * (copies * fourth - (copies * second) ** 2)
    variance = r * (2 + 4 * tau**2) + spread - 2 * (r + (1 - r) * copies * tail)
    return plain(np.sqrt(N * np.maximum(variance, 0.0)))


def _sparsity(s, N, signed):
    s = as_numbers("s", s, minimum=0.0)
    N = as_count("N", N, minimum=1)
    if np.max(s) > N:
        raise ValueError(f"s must be at most N = {N}, got {np.max(s)}")
    return s / N, 2.0 if signed else 1.0, N


def _stationary_threshold(r, copies):
    """Solve r tau = (1 - r) copies (phi(tau) - tau Phi(-tau)), in logarithms."""
    r = np.asarray(r, dtype=np.float64)
    tau = np.empty(r.shape)
    for i in np.ndindex(r.shape):
        if r[i] == 0 or r[i] == 1:
            tau[i] = np.inf if r[i] == 0 else 0.0
            continue
        offset = np.log(r[i]) - np.log1p(-r[i]) - np.log(copies) + 0.5 * np.log(2 * np.pi)

        def excess(log_tau, offset=offset):
            t = np.exp(log_tau)
            return offset + log_tau + t * t / 2 - float(np.log(_mills_defect(t)))

        tau[i] = np.exp(brentq(excess, -750.0, 4.0, xtol=1e-15, rtol=4 * np.finfo(float).eps))
    # Beyond 40 all tails are 0 in double precision: the threshold at r = 0 is 0.
    return np.minimum(tau, 40.0)


def _mills_defect(t):
    """Return 1 - t Phi(-t)/phi(t), about 1/t^2 for large t, where the difference cancels."""
    t = np.asarray(t, dtype=np.float64)
    u = 1 / np.maximum(t, 30.0) ** 2
    far = u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u))))
    return np.where(t > 30, far, 1 - t * np.sqrt(np.pi / 2) * erfcx(t / np.sqrt(2)))

"""The largest l1 gap of the flow's limit: the sharp family of statement S7."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import lambertw

from deepfact.arguments import as_depth, as_flag, as_log_alpha, as_real_number
from deepfact.problem import Problem
from deepfact.theory.scales import log_of, log_product, saturating


def worst_case_problem(delta: float, Q: float = 1.0) -> Problem:
    """Return A = (1, 1 + delta) and y = (1 + delta) Q: the guarantee is sharp on this family.

    Parameters
    ----------
    delta : float
        Distance of the two columns, positive.
    Q : float, optional
        Least l1 norm of a solution, positive (default: 1).

    Returns
    -------
    Problem
        With minimiser (0, Q), known as ``x_true``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or not positive.

    Notes
    -----
    Statement S7 of ``docs/statements.md``.
    """
    delta = as_real_number("delta", delta, above=0.0)
    Q = as_real_number("Q", Q, above=0.0)
    A = np.array([[1.0, 1.0 + delta]])
    return Problem(A, A @ np.array([0.0, Q]), np.array([0.0, Q]))


def worst_case_gap(
    delta: float,
    Q: float,
    depth: float,
    alpha: float | None = None,
    signed: bool = True,
    *,
    log_alpha: float | None = None,
) -> float:
    """Return the l1 gap of the flow's limit on `worst_case_problem`, to rounding.

    Parameters
    ----------
    delta : float
        Distance of the two columns, positive.
    Q : float
        Least l1 norm of a solution, positive.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    signed : bool, optional
        Signed model (default: True) or positive model.
    log_alpha : float, optional
        Natural logarithm of alpha.

    Returns
    -------
    float
        The gap x_1 delta/(1 + delta), from one scalar equation.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S7 of ``docs/statements.md``.
    """
    delta = as_real_number("delta", delta, above=0.0)
    log_Q, t, theta = _worst_case_scales(Q, depth, alpha, signed, log_alpha)
    gap = _log_relative_gap(float(np.log(delta)), t, theta, signed)
    with np.errstate(under="ignore"):
        return float(np.exp(log_Q + gap))


def worst_case_supremum(
    Q: float,
    depth: float,
    alpha: float | None = None,
    signed: bool = True,
    *,
    log_alpha: float | None = None,
) -> tuple[float, float]:
    """Maximise `worst_case_gap` over delta.

    Parameters
    ----------
    Q : float
        Least l1 norm of a solution, positive.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.
    alpha : float, optional
        Init scale, positive (infinite depth: mu = lim alpha^L); either this or ``log_alpha``.
    signed : bool, optional
        Signed model (default: True) or positive model.
    log_alpha : float, optional
        Natural logarithm of alpha.

    Returns
    -------
    gap : float
        The largest gap; as alpha -> 0 it is ~ C Q/log(Q/a) for L = 2 and ~ C Q (a/Q)^theta for
        L > 2 with the constant C of `worst_case_constant`.
    delta : float
        Where it is attained.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S7 of ``docs/statements.md``: the exponents of the guarantee S2 cannot be improved.
    """
    log_Q, t, theta = _worst_case_scales(Q, depth, alpha, signed, log_alpha)
    # The columns compete where delta is of the order of 1/S(t) e^(-theta t), the scale of the gap.
    centre = -theta * t - float(np.log(saturating(t, theta))) if t > 1 else 0.0
    grid = centre + np.linspace(-40.0, 40.0, 161)
    values = [_log_relative_gap(u, t, theta, signed) for u in grid]
    best = int(np.argmax(values))
    found = minimize_scalar(
        lambda u: values[best] - _log_relative_gap(u, t, theta, signed),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": 1e-9},
    )
    with np.errstate(under="ignore"):
        gap = float(np.exp(log_Q + values[best] + max(-float(found.fun), 0.0)))
        return gap, float(np.exp(found.x))


def worst_case_constant(depth: float) -> float:
    """Return the constant C of the asymptotic worst case of `worst_case_supremum`.

    Parameters
    ----------
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.

    Returns
    -------
    float
        max over u in (0, 1) of u (u^(-theta) - (1 - u)^(-theta)), theta = 1 - 2/L; for L = 2 of
        u log((1 - u)/u), which is W(1/e) = 0.278... (Lambert's function).

    Raises
    ------
    TypeError, ValueError
        If ``depth`` is of the wrong kind or out of its range.

    Notes
    -----
    Statement S7 of ``docs/statements.md``. For infinite depth it is 1, the constant of the bound
    `deepfact.theory.l1_gap_bound_sharp` for N' = 2, which is therefore sharp there.
    """
    depth = as_depth(depth)
    if depth == 2:
        return float(lambertw(np.exp(-1.0)).real)
    if np.isinf(depth):
        return 1.0
    theta = 1 - 2 / depth

    def negative(log_u):
        u = np.exp(log_u)
        return u * np.exp(-theta * np.log1p(-u)) - np.exp((1 - theta) * log_u)

    found = minimize_scalar(
        negative, bounds=(-3 - 3 * depth, np.log(0.5)), method="bounded", options={"xatol": 1e-9}
    )
    return -float(found.fun)


def _worst_case_scales(Q, depth, alpha, signed, log_alpha):
    """Check the arguments of the worst case; return log Q, t = log(Q/a) and theta."""
    log_Q = float(np.log(as_real_number("Q", Q, above=0.0)))
    depth = as_depth(depth)
    as_flag("signed", signed)
    log_alpha = as_log_alpha(alpha, log_alpha)
    if np.ndim(log_alpha):
        raise ValueError(f"alpha must be a scalar here, got shape {np.shape(log_alpha)}")
    log_a = log_product(depth, log_alpha)
    return log_Q, log_Q - log_a, 1 - 2 / depth


def _log_relative_gap(log_delta, t, theta, signed):
    """Return log(gap/Q) on A = (1, 1 + delta) for t = log(Q/a), in units of a and in logarithms.

    The unknown is ell = log of the larger product of coordinate 2, whose dual variable is
    v_2 = (1 - e^(-theta ell))/theta; coordinate 1 has v_1 = v_2/(1 + delta).
    """
    with np.errstate(under="ignore"):
        delta = float(np.exp(log_delta))

    def signals(ell):
        if theta == 0:
            v2, large1, small1, small2 = ell, ell / (1 + delta), -ell / (1 + delta), -ell
        else:
            v2 = float(saturating(ell, theta))
            # Of two ways to write log(1 - theta v_1) the one that does not cancel: where v_1 is far
            # below rounding, x_1 would otherwise come out as the logarithm of a negative number.
            if theta * v2 <= (1 + delta) / 2:
                large1 = -np.log1p(-theta * v2 / (1 + delta)) / theta
            else:
                large1 = -(float(np.logaddexp(log_delta, -theta * ell)) - np.log1p(delta)) / theta
            small1 = -np.log1p(theta * v2 / (1 + delta)) / theta if signed else 0.0
            small2 = -np.log1p(theta * v2) / theta if signed else 0.0
        if not signed:
            return large1, ell
        return _log_difference(large1, small1), _log_difference(ell, small2)

    def excess(ell):
        one, two = signals(ell)
        return float(np.logaddexp(one - np.log1p(delta), two)) - t

    # x_2 <= Q bounds ell from above; y = x_1 + (1 + delta) x_2 <= (2 + delta) max(x_1, x_2) with
    # x_1 <= max(x_2, 1) from below, in the signed model with x_2 ~ 2 ell near 0.
    high = (max(t, 0.0) + 1.0) if signed else t + 1e-12 + 1e-12 * abs(t)
    if signed:
        low = min(1e-3, float(np.exp(max(min(t, 0.0) - 3, -700.0))))
        low = min(low, high / 2)
    else:
        low = min(t, 0.0) - 2.0
        while excess(low) > 0:
            low = 2 * low
    ell = brentq(excess, low, high, xtol=1e-300, rtol=4 * np.finfo(float).eps, maxiter=500)
    one = signals(ell)[0]
    return float(one - t + log_delta - np.log1p(delta))


def _log_difference(g, h):
    """Return log(e^g - e^h) for g > h."""
    return g + float(log_of(-np.expm1(h - g)))

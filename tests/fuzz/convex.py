"""Basis pursuit (and denoising) judged by exact linear programs."""

from __future__ import annotations

import numpy as np

import deepfact as df
from tests.fuzz.exact import basis_pursuit, floats, least_squares, rational, rational_matrix
from tests.fuzz.judge import Verdict
from tests.fuzz.many_digits import MARGIN, backward_error
from tests.fuzz.newton import UNIT
from tests.fuzz.problems import condition

RIGHT = 1e-6  # relative error of the value that "optimal" allows


def run_l1(one, verbose=False):
    """Return (verdict, whether there is a reference, 1.0)."""
    A, y, positive = one.A, one.y, one.flow.positive
    try:
        result = df.basis_pursuit(df.Problem(A, y), nonnegative=positive)
    except Exception as error:
        verdict = Verdict("raised", ["status"])
        verdict.notes.append(f"{type(error).__name__}: {error}")
        return verdict, False, 1.0
    least = least_squares(A, y, positive)
    optimum = basis_pursuit(rational_matrix(A), least.target, least.z, positive)
    dual = np.abs(floats(optimum.dual))
    Q = optimum.value
    value = int(Q.p) / int(Q.q) if Q != 0 else 0.0
    verdict = Verdict(result.status, feasible=least.feasible)
    if verbose:
        print("A =", repr(A), "\ny =", repr(y), "\n", positive, "\n", result, "\nQ =", value)
    # What rounding of y and the terms of A x can change in the value.
    terms = np.abs(A) @ np.abs(floats(optimum.x)) + np.abs(y)
    shift = MARGIN * UNIT * float(dual @ terms)
    reached = backward_error(A, y, floats(least.z)) <= 1e-13
    if result.status == "infeasible":
        if least.feasible and shift < 1e-3 * max(value, 1e-300) and condition(A) < 1e12:
            verdict.fault("status", "solvable, called infeasible")
        return verdict, True, 1.0
    if not least.feasible and not reached:
        if result.status == "optimal":
            verdict.fault("status", "no solution, called optimal")
        return verdict, True, 1.0
    verdict.judged_x = shift < 1e-3 * max(value, 1e-300)
    if value > 0:
        verdict.error, verdict.allowed = abs(result.value / value - 1), RIGHT + shift / value
    if result.status == "optimal":
        if verdict.judged_x and verdict.error > verdict.allowed:
            verdict.fault("x", f"value {result.value!r}, right {value!r}")
        if backward_error(A, y, result.x) > 1e-8:
            verdict.fault("residual", f"residual {backward_error(A, y, result.x):.1e}")
    if np.isfinite(result.lower_bound) and result.lower_bound > 0:
        most = Q if least.feasible else Q + rational(min(shift, 1e300))
        if rational(result.lower_bound) > most:
            verdict.fault("lower", f"lower_bound {result.lower_bound!r} above Q = {value!r}")
    elif result.lower_bound == np.inf and least.feasible and shift < 1e-3 * max(value, 1e-300):
        verdict.fault("lower", "an infinite lower bound of a solvable problem")
    return verdict, True, 1.0

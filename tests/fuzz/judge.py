"""One answer against the references.

What counts as right, where float64 data are only rounded values of what was meant:

* *Status.* "converged" exhibits its x: it is right only where the residual is within rounding,
  max r abs(A x - y) <= 1e-10 max r (abs(A) abs(x) + abs(y)) with r the equilibration of the rows.
  "infeasible" is wrong where A x = y (x >= 0) has a solution in exact arithmetic, unless rounding
  decides: the equilibrated matrix has full rank only by singular values below 1e-12 of the first,
  or (x >= 0) an error of y by some units of rounding takes the solution's last entries below 0.
  In between both statuses are honest. "stalled" is never wrong; it is counted.
* *x* must agree to 1e-6 of its largest entry, plus 100 times what rounding of the data can change
  (to first order) in the exact limit. Where that is more than a thousandth of x, x is not judged.
* *lower_bound* <= Q holds exactly, Q being rational; where y has no exact solution, up to what
  rounding of y changes. It must hold for every y within rounding, so it may exceed the least of
  these Q by no more than 1e-9 of it. Q <= *l1_norm* holds up to what rounding of y changes of Q:
  in the positive model the exact minimum may need entries that only rounding of y asks for.
* *residual* must be the residual of x: norm(A x - y)/norm(y) to 3 digits, or to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from flint import fmpq

from tests.fuzz.exact import rational
from tests.fuzz.many_digits import MARGIN, Reference, backward_error

SMALL = 1e-10  # residual up to which "converged" is honest, row by row
AGREES = 1e-6


@dataclass
class Verdict:
    """What is wrong with an answer; all figures that decided it."""

    status: str
    faults: list[str] = field(default_factory=list)  # among: status, x, lower, upper, residual
    error: float = np.nan  # relative to max abs(x)
    allowed: float = np.nan
    feasible: bool = True
    judged_x: bool = False
    notes: list[str] = field(default_factory=list)

    def fault(self, name: str, note: str) -> None:
        """Note a fault."""
        if name not in self.faults:
            self.faults.append(name)
        self.notes.append(note)


def judge_limit(A, y, flow, result, reference: Reference) -> Verdict:
    """Return the verdict on a LimitResult."""
    verdict = Verdict(result.status, feasible=reference.feasible)
    status = result.status
    if status not in ("converged", "infeasible", "stalled"):
        verdict.fault("status", f"unknown status {status!r}")
    if status != "stalled":
        _judge_x(verdict, flow, result, reference)
        _judge_residual(verdict, A, y, result)
    missing = backward_error(A, y, result.x)
    if status == "infeasible" and reference.robust:
        verdict.fault("status", "solvable, called infeasible")
    if status == "converged" and missing > SMALL:
        verdict.fault("residual", f"converged with residual {missing:.1e}")
    judge_bounds(verdict, result.lower_bound, result.l1_norm, status, reference)
    return verdict


def _judge_x(verdict, flow, result, reference):
    x = np.asarray(result.x, dtype=float)
    scale = np.abs(reference.x).max()
    if scale == 0.0:
        verdict.judged_x, verdict.error = True, float(np.abs(x).max())
        if verdict.error > 1e-6 * np.exp(min(reference.log_scale, 700)) and verdict.error > 0:
            verdict.fault("x", f"x is {verdict.error:.1e}, right 0")
        return
    if flow.positive and np.any(x < 0):
        verdict.fault("x", "negative entries")
    verdict.error = float(np.max(np.abs(x - reference.x)) / scale)
    unsure = MARGIN * reference.uncertainty
    verdict.allowed = float(AGREES + np.max(unsure) / scale)
    verdict.judged_x = verdict.allowed < 1e-3
    wrong = np.abs(x - reference.x) > AGREES * scale + unsure
    if verdict.judged_x and (np.any(wrong) or not np.all(np.isfinite(x))):
        verdict.fault("x", f"x is off by {verdict.error:.1e} (allowed {verdict.allowed:.1e})")
    determined = getattr(result, "determined", None)
    if determined is None or not verdict.judged_x:
        return
    determined = np.broadcast_to(np.asarray(determined), x.shape)
    if determined.dtype != bool:
        determined = determined <= AGREES
    with np.errstate(all="ignore"):
        relative = np.abs(x - reference.x) / np.abs(reference.x)
    relative = np.where(x == reference.x, 0.0, relative)
    false = determined & (relative > AGREES) & (np.abs(reference.x) > 1e-290)
    false &= np.abs(x - reference.x) > 2 * reference.uncertainty
    if np.any(false):
        worst = float(relative[false].max())
        verdict.fault("determined", f"entry called determined is off by {worst:.1e}")


def _judge_residual(verdict, A, y, result):
    B, z = A.astype(np.longdouble), np.asarray(result.x).astype(np.longdouble)
    size = np.abs(y).max()
    with np.errstate(all="ignore"):
        unit = size if size > 0 else 1.0
        norm = np.linalg.norm((y / unit).astype(float)) if size > 0 else 1.0
        right = float(np.linalg.norm(((B @ z - y) / unit).astype(float)) / norm)
        rounding = float(np.linalg.norm(((np.abs(B) @ np.abs(z)) / unit).astype(float)) / norm)
    if not abs(result.residual - right) <= 1e-3 * right + 1e-14 * (1 + rounding):
        verdict.fault("residual", f"residual {result.residual:.3e}, right {right:.3e}")


def judge_bounds(verdict, lower_bound, upper, status, reference: Reference) -> None:
    """Judge lower_bound <= Q <= upper, exactly; to rounding of y where that changes Q."""
    Q = reference.minimum
    value = float(int(Q.p) / int(Q.q)) if Q != 0 else 0.0
    shift = MARGIN * reference.minimum_uncertainty
    if np.isnan(lower_bound) or np.isnan(upper):
        verdict.fault("lower", "a bound is NaN")
        return
    least = Q - _fraction(shift)
    # Every y within rounding: Q may be less by <abs(y), abs(dual)> units of rounding.
    allowed = least + _fraction(1e-9 * value + 1.02 * shift)
    exact = reference.feasible
    if lower_bound > 0:
        bound = rational(lower_bound) if np.isfinite(lower_bound) else None
        most = Q if exact else Q + _fraction(1e-9 * value + shift)
        if bound is None or bound > most:
            verdict.fault("lower", f"lower_bound {lower_bound!r} above Q = {value!r}")
        elif reference.minimum_uncertainty > 1e-6 * value and bound > allowed:
            verdict.fault("lower", f"lower_bound {lower_bound!r} holds for y as rounded only")
    if status != "converged" or not np.isfinite(upper):
        return
    if exact and reference.minimum_uncertainty <= 1e-9 * value:
        if rational(upper) < least:
            verdict.fault("upper", f"l1_norm {upper!r} below Q = {value!r} less rounding")
    elif rational(upper) < least - _fraction(1e-9 * value):
        verdict.fault("upper", f"l1_norm {upper!r} below Q = {value!r} less rounding")


def _fraction(value: float) -> fmpq:
    return rational(min(float(value), 1e300))

"""Steps of the flow of the dual variable: LSODA, and Radau where the motion is stiff."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.integrate import LSODA, Radau
from scipy.linalg import qr, solve_triangular

from deepfact.dynamics.charts import DualChart, GrowthChart

# Tolerance of a step of LSODA, per unit of rtol and at least, and the relative error of the dual
# variable per unit of it (measured: 0.1 to 40).
STEP, LEAST_STEP, DUAL_ERROR = 0.002, 2.3e-14, 50.0
# Increments are counted from a new base beyond this part of the neighbourhood's radius, and once
# the velocity is this part of the base's, before rounding of the base's residual shows.
FAR, SLOW = 0.75, 1e-3
CLOSE = 0.2  # the same part for Radau, whose coarse steps the far end would slow down
# Steps between two looks whether LSODA has missed that the equations are stiff, and its most.
PATIENCE, MOST = 1000, 10_000


@dataclass(frozen=True)
class Points:
    """One point of the trajectory, or several, one a row; coordinates of dual and residual as A."""

    chart: DualChart | GrowthChart
    dual: np.ndarray
    residual: np.ndarray


class Integrator:
    """Steps of nu' = y - A X(A^T nu) for a matrix A of full row rank.

    LSODA takes them where the logarithms of products are known, Radau where they are not or where
    the rest of the motion, being stiff, is too small for LSODA to tell that it is.
    """

    def __init__(self, A, y, chart, rtol, max_steps) -> None:
        self.A, self.y, self.rtol, self.steps_left = A, y, rtol, max_steps
        self.here = Points(chart, np.zeros(len(y)), y - A @ chart.signal())
        self.size = np.linalg.norm(self.here.residual)
        self.tolerance = max(STEP * rtol, LEAST_STEP)
        self.time = 0.0
        self.step_size: float | None = None  # of Radau
        self.quick = True
        self.rate: np.ndarray | None = None

    def advance(self, times: np.ndarray) -> tuple[Points, str]:
        """Return the points at the first few times, and the reason if no more can follow."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(self.y) == 0 or self._is_rounding():  # nothing moves any more
                here, K = self.here, len(times)
                chart = here.chart.moved(np.zeros((K, self.A.shape[1])), here.chart.rate())
                return Points(chart, *(np.tile(a, (K, 1)) for a in (here.dual, here.residual))), ""
            start = self.time
            rows, xi, passed, message = self._segment(times - start)
            points = self._moved(np.reshape(rows, (-1, len(xi))))
            self.here = self._moved(xi)
            self.time = next((t for t in times if t - start == passed), start + passed)
        return points, message and f"stopped at t = {self.time:.6g}: {message}"

    def relative_error(self, times: np.ndarray, points: Points) -> np.ndarray:
        """Estimate relative errors of x from those of the steps and of the dual variable.

        A relative change e of the dual variable acts like a relative change e of the time, so
        that it moves x by e t x'; less than the rounding of the residual does to t x' is nothing.
        Nor is a drift of the residual by its rounding.
        """
        x, slope, eps = points.chart.signal(), points.chart.slope(), np.finfo(float).eps
        moving = times * _norm(slope * (points.residual @ self.A))
        noise = times * _norm(slope * _norm(self.A.T)) * np.linalg.norm(self.y)
        moving = np.maximum(0.0, moving - 16.0 * eps * noise)
        absolute = (DUAL_ERROR * self.tolerance + 4.0 * eps) * moving
        absolute = absolute + _norm(points.chart.rounding())
        drift = _norm(points.residual - (self.y - x @ self.A.T))
        drift = np.maximum(0.0, drift - 16.0 * eps * np.linalg.norm(self.y))
        return self.rtol + _ratio(absolute, _norm(x)) + _ratio(drift, self.size)

    def _is_rounding(self) -> bool:
        """Whether the residual is rounding that would move the dual variable, hence to be ignored.

        Where products off the support are smaller than the spacing of doubles near y, the last
        relaxation of the dual variable is beyond float64. It does not move x.
        """
        self._choose_coordinates()
        residual = self.here.residual
        if np.linalg.norm(residual) > 4.0 * np.finfo(float).eps * np.linalg.norm(self.y):
            return False
        slope = self.here.chart.slope() / self.rate
        try:
            rest = np.linalg.solve((self.xi_of_A * slope) @ self.Q, self.to_xi @ residual)
        except np.linalg.LinAlgError:
            return True
        return not 1e-3 * self.tolerance <= np.linalg.norm(rest) <= 0.1

    def _choose_coordinates(self) -> None:
        """Factorise diag(rate) A^T = Q R anew if the rates have changed by more than 2."""
        rate = self.here.chart.rate()
        if self.rate is not None and np.max(np.abs(np.log(rate / self.rate))) < np.log(2.0):
            return
        rows = rate[:, None] * self.A.T
        # Rows by size and columns pivoted: then Householder's QR is stable row by row.
        order = np.argsort(-np.linalg.norm(rows, axis=1))
        Q, R, self.pivots = qr(rows[order], mode="economic", pivoting=True)
        self.rate, self.R = rate, R
        self.Q = np.empty_like(Q)
        self.Q[order] = Q
        self.to_xi = np.empty_like(R)
        self.to_xi[:, self.pivots] = R
        self.xi_of_A = self.to_xi @ self.A
        self.weight = np.max(np.abs(self.xi_of_A), axis=0) * np.max(np.abs(self.Q), axis=1)

    def _segment(self, spans: np.ndarray) -> tuple[list, np.ndarray, float, str]:
        """Integrate from the present point until the last span or far enough for a new base.

        Returns xi at the spans that were reached, xi at the end, the time passed, a message.
        """
        Q, xi_of_A, chart = self.Q, self.xi_of_A, self.here.chart
        pull, zero = self.to_xi @ self.here.residual, np.zeros(Q.shape[1])
        increment, slope = chart.increments(self.rate)
        v, moving, left_domain = Q @ zero, pull, False  # v and xi' of the latest trial

        def velocity(_, xi):
            nonlocal v, moving, left_domain
            v = Q @ xi
            moving = pull - xi_of_A @ increment(v)
            left_domain |= not isfinite(moving[0])
            return moving

        def jacobian(time, xi):
            weight = slope(Q @ xi)
            if quick:  # columns that do nothing within the time passed, a bound on LSODA's step
                near = np.flatnonzero(weight * self.weight * time > 1e-6)
                return -(xi_of_A[:, near] * weight[near]) @ Q[near]
            return -(xi_of_A * weight) @ Q

        # LSODA starts as if nothing were stiff, and does not see stiffness below its tolerance.
        speed, unit = np.max(np.abs(pull)), 1.0 / np.sum(slope(v) * self.weight)
        quick = self.quick and isinstance(chart, GrowthChart) and speed * unit > self.tolerance
        first = min(unit, np.sqrt(self.tolerance) / speed) if quick else self.step_size
        options = {"first_step": first and min(first, spans[-1]), "jac": jacobian}
        options |= dict.fromkeys(("rtol", "atol"), self.tolerance if quick else self.rtol)
        xi, passed, message, rows = zero, 0.0, "", [zero] * int(np.sum(spans <= 0))
        slow, self.quick, before = SLOW**2 * (pull @ pull), True, self.steps_left
        if len(rows) == len(spans):
            return rows, xi, passed, message
        try:
            solver = (LSODA if quick else Radau)(velocity, 0.0, zero, spans[-1], **options)
            while solver.status == "running":
                if self.steps_left == 0:
                    message = "max_steps steps were not enough"
                    break
                self.steps_left -= 1
                wanted = None if quick else solver.h_abs
                message = solver.step() or ""
                distance = chart.distance(v)
                if message or left_domain or not distance < 0.999:
                    if quick:
                        self.quick, message = False, ""
                    elif not message:  # discard the step: NaN may have misled the error estimate
                        self.step_size = min(solver.step_size, 0.5 * wanted)
                    elif passed > 0:  # too sharp for the clock of this base point
                        self.step_size, message = 10.0 * np.spacing(passed), ""
                    break
                xi, passed = solver.y, solver.t
                if passed >= spans[len(rows)]:
                    reached = spans[len(rows) : np.searchsorted(spans, passed, side="right")]
                    rows.extend(solver.dense_output()(reached).T)
                if not quick:
                    self.step_size = solver.h_abs
                if distance > (FAR if quick else CLOSE) or moving @ moving < slow:
                    break
                if quick and (taken := before - self.steps_left) % PATIENCE == 0:
                    # Steps about as long as stability asks for, so late: taken for not stiff.
                    short = (passed - solver.t_old) * np.sum(slope(v) * self.weight) < 10.0
                    if short or taken >= MOST:  # or held up by rounding
                        self.quick = False
                        break
        except (ValueError, np.linalg.LinAlgError) as reason:  # NaN in a linear system
            message = f"the linear systems of the integrator broke down ({reason})"
        return rows, xi, passed, message

    def _moved(self, xi: np.ndarray) -> Points:
        """Return the point at the increments xi, or the points at its rows."""
        here, v = self.here, xi @ self.Q.T
        increment, _ = here.chart.increments(self.rate)
        dual = np.empty_like(xi)
        dual[..., self.pivots] = solve_triangular(self.R, xi.T).T
        residual = here.residual - increment(v) @ self.A.T
        return Points(here.chart.moved(v, self.rate), here.dual + dual, residual)


def _norm(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows, axis=-1)


def _ratio(a: np.ndarray, b: np.ndarray | float) -> np.ndarray:
    """Return a/b, and 0 for 0/0."""
    return np.divide(a, b, out=np.where(a == 0, 0.0, np.inf), where=b > 0)

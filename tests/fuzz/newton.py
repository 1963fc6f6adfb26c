"""Newton's method for the flow's limit, in balls of as many bits as the slacks need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

from tests.fuzz.exact import floats

UNIT = 2.0**-53
MARGIN = 100.0  # times the first-order effect of rounding the data
_MOST_BITS = 20_000


class NoReferenceError(ArithmeticError):
    """The reference could not be computed."""


@dataclass(frozen=True)
class Flow:
    """What determines the limit besides A and y; alpha is a number or a vector."""

    depth: float
    log_alpha: float | np.ndarray
    positive: bool


class Newton:
    """Newton's method on the dual, in balls of as many bits as the slacks need."""

    def __init__(self, B, t, flow, log_alpha):
        self.B, self.t, self.flow, self.log_alpha = B, t, flow, log_alpha
        self.M, self.N = B.shape

    def _set(self, bits):
        ctx.prec = int(bits)
        depth = self.flow.depth
        la = [arb(float(v)) for v in self.log_alpha]
        if np.isinf(depth):
            self.theta, log_a, log_k = arb(1), la, la
        else:
            L = arb(depth)
            self.theta = 1 - 2 / L if depth > 2 else arb(0)
            log_a, log_k = [L * v for v in la], [L.log() + (L - 2) * v for v in la]
        top = max(log_k, key=float)
        self.log_a, self.log_k = log_a, top
        self.a = [v.exp() for v in log_a]
        self.c = [(v - top).exp() for v in log_k]
        self.A = arb_mat(self.M, self.N, [arb(float(v)) for v in self.B.ravel()])
        self.AT = self.A.transpose()
        self.y = arb_mat(self.M, 1, [arb(v) for v in self.t]) if self.M else None

    def at_start(self):
        self._set(128)
        x = np.array([0.0 if not self.flow.positive else float(v.mid()) for v in self.a])
        return x, 100 * UNIT * np.abs(x)

    def _e(self, v):
        """Return e(v) and the slack 1 - theta v, None outside the domain."""
        if self.theta == 0:
            return v.exp(), arb(1)
        s = 1 - self.theta * v
        if not s > 0:
            return None
        return (-(s.log()) / self.theta).exp(), s

    def _at(self, w, log_shift):
        """Return x, dx/dw, smallest slacks at the dual variables w (a times e^log_shift)."""
        x, slope, slack, sizes = [], [], [], []
        for j in range(self.N):
            v = self.c[j] * w[j]
            up = self._e(v)
            if up is None:
                return None
            a = self.a[j] * log_shift
            p, dp = a * up[0], a * up[0] / up[1]
            if self.flow.positive:
                x.append(p)
                slope.append(self.c[j] * dp)
                slack.append(up[1])
                sizes.append(p)
                continue
            down = self._e(-v)
            if down is None:
                return None
            q, dq = a * down[0], a * down[0] / down[1]
            x.append(p - q)
            slope.append(self.c[j] * (dp + dq))
            slack.append(up[1].min(down[1]))
            sizes.append(p + q)
        return x, slope, slack, sizes

    def _scaled(self, slope):
        return arb_mat(
            self.M,
            self.N,
            [self.A[i, j] * slope[j] for i in range(self.M) for j in range(self.N)],
        )

    def _products(self, eta):
        return (self.AT * eta).entries()

    def solve(self, start, size_y, patient):
        log_a = self.log_alpha * (1 if np.isinf(self.flow.depth) else self.flow.depth)
        theta = 1 - 2 / self.flow.depth
        top = self._log_size(None if start is None else start[0])
        reach = max(0.0, top - float(np.min(log_a)))
        spread = np.ptp(log_a) * (1 + theta)
        bits = 192 + 1.1 * ((1 + 2 * theta) * reach + spread) / np.log(2)
        old = ctx.prec
        try:
            error = "too many bits"
            for _ in range(2):
                if bits > _MOST_BITS:
                    break
                try:
                    self._set(bits)
                    method = self._from_large_scale if patient else self._from_answer
                    return self._finish(method(start, top), size_y)
                except (ZeroDivisionError, NoReferenceError) as reason:
                    error = str(reason) or type(reason).__name__
                bits *= 2
            raise NoReferenceError(error)
        finally:
            ctx.prec = old

    def _log_size(self, start):
        """Return the logarithm of the signal's size: of least squares, or of the answer."""
        t = floats(self.t)
        norms = np.abs(self.B).max(axis=1)
        with np.errstate(all="ignore"):
            size = np.log(np.max(np.abs(t) / norms)) - 0.0
        size = size if np.isfinite(size) else -800.0
        if start is not None and np.all(np.isfinite(start)) and np.any(start):
            size = max(size, min(np.log(np.abs(start).max()), size + 80.0))
        return size

    def _from_answer(self, start, top):  # noqa: ARG002
        if start is None or not np.all(np.isfinite(start[0])):
            raise NoReferenceError("no start")
        w = self._dual_variables(start[0])
        rate = self.log_k.exp()
        for j in range(self.N):
            # Well off the bounds, the dual variable is known better than the entry.
            if np.isfinite(start[1][j]) and (self.theta != 0):
                v = rate * self.c[j] * arb(float(start[1][j]))
                slack = 1 - self.theta * (v if self.flow.positive else abs(v))
                if slack > arb("1e-6"):
                    w[j] = (v / self.c[j]).mid()
        one = arb(1)
        for _ in range(40):
            state = self._at(w, one)
            if state is None:
                raise NoReferenceError("the start is outside the domain")
            x, slope, slack, _ = state
            weighted = self._scaled(slope)
            gap = arb_mat(self.N, 1, [slope[j] * w[j] - x[j] for j in range(self.N)])
            eta = (weighted * self.AT).mid().solve((self.y + self.A * gap).mid()).mid()
            goal = self._products(eta)
            step = arb(1)
            for j in range(self.N):  # stay well inside the domain
                rate = self.theta * self.c[j] * (goal[j] - w[j])
                rate = rate if self.flow.positive else abs(rate)
                if self.theta == 0:
                    rate = self.c[j] * (goal[j] - w[j]) / 6
                    rate = rate if self.flow.positive else abs(rate)
                if rate * step > slack[j] * arb("0.9"):
                    step = slack[j] * arb("0.9") / rate
            if step == 1:
                return self._newton(eta, one, 1e-24, 60)
            w = [(u + step * (v - u)).mid() for u, v in zip(w, goal, strict=True)]
        raise NoReferenceError("the answer led nowhere")

    def _dual_variables(self, start):
        """Return w with X(w) about ``start``, slacks to relative accuracy."""
        theta = float(self.theta.mid())
        log_a = np.array([float(v.mid()) for v in self.log_a])
        with np.errstate(all="ignore"):
            log_ratio = np.log(np.abs(start)) - log_a
        if self.flow.positive:
            growth = np.maximum(log_ratio, -1e4)
        else:  # p - q = abs(x) by bisection in log(p/a)
            low, high = np.zeros(self.N), np.logaddexp(0.0, log_ratio)
            for _ in range(70):
                mid = 0.5 * (low + high)
                log_q = -mid if theta == 0 else -np.log1p(-np.expm1(-theta * mid)) / theta
                with np.errstate(all="ignore"):
                    value = mid + np.log(-np.expm1(log_q - mid))
                up = value < log_ratio
                low, high = np.where(up, mid, low), np.where(up, high, mid)
            growth = 0.5 * (low + high)
        w = []
        for j in range(self.N):
            g = arb(float(growth[j]))
            v = g if self.theta == 0 else (1 - (-self.theta * g).exp()) / self.theta
            v = v / self.c[j]
            w.append((v if self.flow.positive or start[j] >= 0 else -v).mid())
        return w

    def _newton(self, eta, shift, goal, most):
        """Return eta after damped Newton steps; relative change of all slacks below ``goal``."""
        for _ in range(most):
            state = self._at(self._products(eta), shift)
            if state is None:
                raise NoReferenceError("outside the domain")
            x, slope, slack, _ = state
            residual = (self.y - self.A * arb_mat(self.N, 1, x)).mid()
            d = (self._scaled(slope) * self.AT).mid().solve(residual).mid()
            change = self._products(d)
            decrease = sum((residual[i, 0] * d[i, 0] for i in range(self.M)), arb(0))
            relative = 0.0
            for j in range(self.N):
                r = abs(self.c[j] * change[j] / slack[j])
                relative = max(relative, float(r.mid()))
            step = arb(1)
            if relative > 0.1:  # a convex line: no further than where it has turned up
                for _ in range(200):
                    moved = self._at(self._products(eta + step * d), shift)
                    if moved is not None:
                        rest = self.A * arb_mat(self.N, 1, moved[0]) - self.y
                        end = sum((rest[i, 0] * d[i, 0] for i in range(self.M)), arb(0))
                        if abs(end) <= decrease * (1 - step / 8):
                            break
                    step = step / 2
                else:
                    raise NoReferenceError("the line search failed")
            eta = (eta + step * d).mid()
            if relative < goal:
                return eta
        raise NoReferenceError("Newton's method did not converge")

    def _from_large_scale(self, start, top):  # noqa: ARG002
        """Continue from an init scale above the signal down to the one asked for."""
        log_a = max(float(v.mid()) for v in self.log_a)
        theta = float(self.theta.mid())
        eta = arb_mat(self.M, 1, [0] * self.M)
        shift = max(0.0, top + 1.0 - log_a)
        for _ in range(400):
            eta = self._newton(eta, arb(shift).exp(), 1e-24 if shift == 0 else 1e-2, 400)
            if shift == 0:
                return eta
            before = max(1.0, top + 1.0 - log_a - shift)
            following = shift - (before if theta < 0.01 else 3.0 / theta)
            following = max(0.0, following)
            if theta < 0.01:  # slacks of the exponential grow in proportion to log(1/a)
                eta = eta * arb((top + 1.0 - log_a - following) or 1.0) / arb(before)
                eta = eta.mid()
                if self._at(self._products(eta), arb(1)) is None:
                    raise NoReferenceError("the continuation left the domain")
            shift = following
        raise NoReferenceError("the continuation did not end")

    def _finish(self, eta, size_y):
        state = self._at(self._products(eta), arb(1))
        x, slope, _, sizes = state  # sizes: p + q
        rest = self.A * arb_mat(self.N, 1, x) - self.y
        for i in range(self.M):
            size = sum((abs(self.A[i, j]) * sizes[j] for j in range(self.N)), abs(self.y[i, 0]))
            if not abs(rest[i, 0]) <= size * arb("1e-20"):
                raise NoReferenceError("the residual is not small")
        weighted = self._scaled(slope)
        G = (weighted * self.AT).mid().inv()
        G = (weighted.transpose() * G).mid()  # N x M
        inner = (G * self.A).mid()
        P = [
            [float(((1 if i == j else 0) - inner[i, j]).mid()) for j in range(self.N)]
            for i in range(self.N)
        ]
        PD = [
            [
                float(((slope[i] if i == j else 0) - inner[i, j] * slope[j]).mid())
                for j in range(self.N)
            ]
            for i in range(self.N)
        ]
        G = np.abs([[float(G[i, k]) for k in range(self.M)] for i in range(self.N)])
        # Equal columns stay equal when the data are rounded, small integers are exact.
        _, group = np.unique(self.B, axis=1, return_inverse=True)
        group = group.ravel()
        together = group[:, None] == np.arange(group.max() + 1)
        _, first = np.unique(group, return_index=True)
        rounded = np.abs(self.B) * ((self.B != np.round(self.B)) | (np.abs(self.B) > 2**20))
        with np.errstate(all="ignore"):
            PD = np.abs(np.array(PD) @ together)
        found = np.array([float(v.mid()) for v in x])
        sizes = np.array([float(v.mid()) for v in sizes])
        eta = np.abs([float(v) for v in eta.entries()])
        log_a = np.array([float(v.mid()) for v in self.log_a])
        with np.errstate(all="ignore"):
            unsure = G @ (np.abs(self.B) @ np.abs(found) + size_y)
            # A rounding error of y is made up for without an entry that turns negative.
            inside = bool(np.all(MARGIN * UNIT * unsure <= sizes)) or not self.flow.positive
            unsure += PD @ (rounded[:, first].T @ eta)
            if np.ptp(log_a) == 0:  # one alpha: all products change by one factor
                unsure += np.abs(P @ found) * abs(log_a[0])
            else:
                unsure += np.abs(P) @ (sizes * np.abs(log_a))
        return found, UNIT * unsure, inside

"""The convex program of basis pursuit, scaled, with bounds on its value.

Rows (where A x = y must hold exactly) and columns are scaled by powers of two, so that no entry is
rounded and the solvers' absolute tolerances mean the same everywhere.
"""

from __future__ import annotations

import numpy as np

from deepfact.error_free import accurate_products, split

FEASIBLE = 1e-9  # relative residual of each row up to which A x = y is taken to hold
_EPS = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).smallest_subnormal


class Program:
    """min <w, |x|> s.t. ||A x - y|| <= sigma, scaled: A = rows A_0 columns, x_0 = columns x."""

    def __init__(self, A, y, w, signed, noise_level):
        self.original = A, y
        self.signed = signed
        self.rows, self.columns = _equilibrium(A, separately=noise_level == 0)
        self.kA = _top(A, self.rows[:, None] + self.columns)
        self.ky, self.kw = _top(y, self.rows), _top(w, self.columns)
        self.A = np.ldexp(A, self.rows[:, None] + self.columns - self.kA)
        self.y = np.ldexp(y, self.rows - self.ky)
        w = np.ldexp(w, self.columns - self.kw)
        self.w = np.maximum(w, 1e-290)  # solvers cannot tell smaller ones from 0
        self.raised = bool(np.any(self.w > w))  # then it is no longer the caller's program
        self.abs_A = np.abs(self.A)
        self.A_parts = split(self.A)
        self.norm_y = float(np.linalg.norm(self.y))
        row = int(self.rows[0]) if noise_level else 0
        self.sigma = float(np.ldexp(noise_level, row - self.ky)) if self.norm_y else 0.0

    def unscaled(self, x, value, eta, lower):
        """Return signal, value, dual vector and lower bound in the caller's units."""
        with np.errstate(over="ignore", under="ignore"):
            x = np.ldexp(x, self.columns + (self.ky - self.kA))
            shift = self.kw + self.ky - self.kA
            value, bound = float(np.ldexp(value, shift)), float(np.ldexp(lower, shift))
            eta = self.unscaled_rows(np.ldexp(eta, self.kw - self.kA))
        if 0 < bound < np.finfo(np.float64).tiny:  # a subnormal number may be rounded up
            bound = max(0.0, float(np.nextafter(bound, 0.0)))
        return x, value, eta, bound

    def unscaled_rows(self, eta):
        """Return a vector of the dual space in the units of the caller's rows."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(eta, self.rows)

    def residual(self, x) -> float:
        """Return norm(A x - y)/norm(y) for the caller's A, y and x (0 for y = 0)."""
        A, y = self.original
        size = np.max(np.abs(y))
        if size == 0:
            return 0.0
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return float(np.linalg.norm((A @ x - y) / size) / np.linalg.norm(y / size))

    def missing(self, x):
        """Return y - A x, to more digits than float64 where the machine has them."""
        support = np.flatnonzero(x)
        wide = self.A[:, support].astype(np.longdouble)
        return (self.y - wide @ x[support]).astype(np.float64)

    def violation(self, x) -> float:
        """Return by how much x misses the constraint, relative to what its terms add up to."""
        r = np.abs(self.missing(x))
        if self.sigma:
            return max(float(np.linalg.norm(r)) - self.sigma, 0.0) / self.norm_y
        size = self.abs_A @ np.abs(x) + np.abs(self.y)
        # A row of rounding errors alone is held against the others.
        allowed = size + 16 * (len(self.y) + 3) * _EPS / FEASIBLE * np.max(size)
        return float(np.max(r / allowed))

    def hidden(self, x, eta) -> float:
        """Return what the residual of x may hide in the value, by the dual vector."""
        if self.sigma:
            return 0.0
        return float(np.abs(self.missing(x)) @ np.abs(eta))

    def bound(self, eta, sigma=None):
        """Return a lower bound on the optimal value and the feasible dual vector behind it.

        The rounding errors of A^T eta and <y, eta> are bounded by `accurate_products`. Terms eps
        times the sum of absolute values allow for the rounding of the scaled eta, and of y;
        factors 1 + 4 eps cover the rounding of the bound itself.
        """
        sigma = self.sigma if sigma is None else sigma
        M = len(eta)
        top = np.max(np.abs(eta))
        if not 0 < top < np.inf:
            return 0.0, np.zeros(M)
        eta = np.ldexp(eta, -np.frexp(top)[1])
        c, error = accurate_products(self.A_parts, eta)
        error += _EPS * (1 + M * _EPS) * (self.abs_A.T @ np.abs(eta))
        reach = np.abs(c) + error if self.signed else c + error
        scale = float(np.max(reach / self.w)) * (1 + 4 * _EPS)
        product, error = accurate_products(split(self.y[:, None]), eta)
        size = float(np.abs(self.y) @ np.abs(eta)) * (1 + M * _EPS)
        product = float(product[0] - error[0]) - 2 * _EPS * size
        if sigma:
            norm = float(np.linalg.norm(eta)) * (1 + (M + 3) * _EPS)
            product -= sigma * norm * (1 + 4 * _EPS)
        if not product > 0:
            return 0.0, np.zeros(M)
        if scale <= 0:  # A^T eta <= 0 < <y, eta>: no nonnegative signal at all
            return np.inf, eta
        scale = max(scale, 1e-200)  # a larger one is feasible too, and nothing overflows
        return product / scale * (1 - 4 * _EPS), eta / scale * (1 - 2 * _EPS)

    def badness(self, x, bound) -> float:
        """Return violation and relative gap of x, together."""
        excess = float(self.w @ np.abs(x)) - bound
        return self.violation(x) + abs(excess) / max(bound, _TINY)


def _top(values, exponents) -> int:
    """Return the exponent of the largest of values * 2^exponents, without forming them."""
    mantissa, own = np.frexp(values)
    return int(np.max(np.where(mantissa != 0, own + exponents, -(2**20)))) if mantissa.any() else 0


def _equilibrium(A, separately):
    """Return exponents of rows and columns; of rows all equal where not ``separately``."""
    size = np.abs(A)
    used = size > 0
    with np.errstate(divide="ignore"):
        log = np.where(used, np.log2(np.where(used, size, 1.0)), -np.inf)
    rows, columns = np.zeros(A.shape[0]), np.zeros(A.shape[1])
    for _ in range(3):
        if separately:
            top = np.max(log + columns, axis=1)
            rows = np.where(np.isfinite(top), -np.round(top), 0.0)
        top = np.max(log + rows[:, None], axis=0)
        columns = np.where(np.isfinite(top), -np.round(top), 0.0)
    return rows.astype(int), columns.astype(int)

"""The mirror maps of the paper: signals that are products of L factors, or differences of such."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepfact.arguments import as_flag, as_real_array, as_real_number
from deepfact.mirror_map import MirrorMap


@dataclass(frozen=True, eq=False)
class DeepFactorization(MirrorMap):
    """The factorised models x = u^L (positive) and x = u^L - v^L (signed), started at alpha.

    With a = alpha^L, k = L alpha^(L-2), theta = 1 - 2/L and the deformed exponential
    e(v) = (1 - theta v)^(-1/theta) (e^v for L = 2), the flow's signal is

        X(w) = a e(k w)                     positive model,
        X(w) = a (e(k w) - e(-k w))         signed model,
        X(w) = w                            L = 1 (``alpha`` and ``signed`` play no role).

    Parameters
    ----------
    depth : float
        Number L of factors: 1, any real number >= 2, or ``numpy.inf``.
    alpha : float or array_like of shape (N,), optional
        Init scale of each factor, positive; one value or one a coordinate. For infinite depth it is
        mu = lim alpha^L. Exactly one of ``alpha`` and ``log_alpha`` must be given, except for
        depth 1, which needs neither. An array is copied, and read-only here.
    signed : bool, optional
        Signed model (default: True) or positive model.
    log_alpha : float or array_like of shape (N,), optional
        Natural logarithm of alpha, for scales below the smallest double.

    Raises
    ------
    TypeError
        If an argument is not of the kind named above.
    ValueError
        If depth is not in {1} or [2, inf], alpha is not positive and finite, both or none of alpha
        and log_alpha are given, or alpha^(2-L) overflows float64.

    Notes
    -----
    For infinite depth, time is measured in units of 1/L, so that x' = -(p^2 + q^2) h(x) with
    x = p - q. Source: section "Dual picture" of ``docs/statements.md``.
    """

    depth: float
    alpha: float | np.ndarray | None = None
    signed: bool = True
    log_alpha: float | np.ndarray | None = None
    _log_alpha: float | np.ndarray = field(init=False, repr=False, default=0.0)

    def __post_init__(self) -> None:
        depth = as_real_number("depth", self.depth, finite=False)
        if not (depth == 1 or depth >= 2):
            raise ValueError(f"depth must be 1, a real number >= 2, or numpy.inf, got {depth}")
        signed = as_flag("signed", self.signed)
        if (self.alpha is None) == (self.log_alpha is None) and not (
            depth == 1 and self.alpha is None
        ):
            raise ValueError("exactly one of alpha and log_alpha must be given")
        log_alpha = 0.0
        if self.alpha is not None:
            alpha = _scalar_or_vector("alpha", self.alpha)
            if np.any(alpha <= 0):
                raise ValueError(f"alpha must be greater than 0, got {np.min(alpha)}")
            log_alpha = np.log(alpha)
            object.__setattr__(self, "alpha", alpha)
        elif self.log_alpha is not None:
            log_alpha = _scalar_or_vector("log_alpha", self.log_alpha)
            object.__setattr__(self, "log_alpha", log_alpha)
        if np.isfinite(depth) and np.any(np.abs((depth - 2) * log_alpha) > 690):
            raise ValueError(
                f"alpha must keep alpha^(2 - depth) within float64, got log_alpha = "
                f"{np.min(log_alpha)} at depth {depth}"
            )
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "signed", signed)
        object.__setattr__(self, "_log_alpha", log_alpha)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeepFactorization):
            return NotImplemented
        if self.depth == other.depth == 1:  # where alpha and signed play no role
            return True
        same = (self.depth, self.signed) == (other.depth, other.signed)
        return same and np.array_equal(self._log_alpha, other._log_alpha)

    def __hash__(self) -> int:
        return hash((self.depth, self.depth == 1 or self.signed))

    @property
    def theta(self) -> float:
        """Deformation theta = 1 - 2/L of the exponential: 0 for L = 2, 1 for infinite depth."""
        return 1.0 - 2.0 / self.depth

    @property
    def log_product(self) -> float | np.ndarray:  # type: ignore[override]
        """The logarithm of a, each product of factors at time 0."""
        return self._log_alpha if np.isinf(self.depth) else self.depth * self._log_alpha

    @property
    def log_rate(self) -> float | np.ndarray:  # type: ignore[override]
        """The logarithm of k, where v = k w is the dual variable in units of its own curvature."""
        if np.isinf(self.depth):
            return self._log_alpha
        return np.log(self.depth) + (self.depth - 2.0) * self._log_alpha

    @property
    def positive(self) -> bool:  # type: ignore[override]
        """Whether X takes positive values only: the positive model, L >= 2."""
        return self.depth > 1 and not self.signed

    @property
    def deformation(self) -> float | None:  # type: ignore[override]
        """The same as theta; None for depth 1, which has no deformed exponential."""
        return self.theta if self.depth > 1 else None

    @property
    def identity(self) -> bool:  # type: ignore[override]
        """Whether X(w) = w: depth 1."""
        return self.depth == 1

    def restrict(self, columns: np.ndarray) -> DeepFactorization:
        """Return the model of some coordinates.

        Parameters
        ----------
        columns : ndarray of bool or int
            Which ones.

        Returns
        -------
        DeepFactorization
            With their init scales.
        """
        if not np.ndim(self._log_alpha):
            return self
        log_alpha = np.asarray(self._log_alpha)[columns]
        return DeepFactorization(self.depth, signed=self.signed, log_alpha=log_alpha)

    def check_length(self, N: int) -> None:
        """Raise ValueError where alpha is a vector of another length than N."""
        if np.ndim(self._log_alpha) and np.size(self._log_alpha) != N:
            raise ValueError(
                f"alpha must be a scalar or have length N = {N}, got {np.size(self._log_alpha)}"
            )

    def signal(self, w: np.ndarray) -> np.ndarray:
        """Return X(w); infinite or NaN where theta k |w| >= 1, outside the domain."""
        w = np.asarray(w, dtype=np.float64)
        if self.depth == 1:
            return w.copy()
        grow, shrink = self._log_products(w)
        if not self.signed:
            return np.exp(grow)
        # e^g - e^h = 2 e^((g+h)/2) sinh((g-h)/2) keeps relative accuracy near w = 0.
        half = self._half_difference(w)
        small = np.abs(half) < 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            near = 2.0 * np.exp(0.5 * (grow + shrink)) * np.sinh(np.where(small, half, 0.0))
            return np.where(small, near, np.exp(grow) - np.exp(shrink))

    def signal_derivative(self, w: np.ndarray) -> np.ndarray:
        """Return X'(w) = k a (e(kw)^(1+theta) + e(-kw)^(1+theta)), one term if positive."""
        w = np.asarray(w, dtype=np.float64)
        if self.depth == 1:
            return np.ones_like(w)
        grow, shrink = self._log_products(w)
        # a e(v)^(1+theta) = p^(1+theta) a^(-theta)
        shift = self.log_rate - self.theta * np.asarray(self.log_product)
        with np.errstate(over="ignore"):
            slope = np.exp((1 + self.theta) * grow + shift)
            return slope + np.exp((1 + self.theta) * shrink + shift) if self.signed else slope

    def potential(self, x: np.ndarray) -> np.ndarray:
        """Return F(x), normalised so that F and F' vanish at x(0): F(x) = D_F(x, x(0))."""
        x = np.asarray(x, dtype=np.float64)
        return self.divergence(x, self.signal(np.zeros(x.shape)))

    def potential_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return w with X(w) = x."""
        x = np.asarray(x, dtype=np.float64)
        if self.depth == 1:
            return x.copy()
        if self.signed:
            g = self._log_growth(x)
        else:
            with np.errstate(divide="ignore"):
                g = np.log(x) - self.log_product
        v = _deformed_log(g, self.theta) * np.exp(-np.asarray(self.log_rate))
        return np.where(x < 0, -v, v) if self.signed else v

    def divergence(self, z: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return D_F(z, x) entrywise, without the cancellation of its definition."""
        z, x = np.broadcast_arrays(np.asarray(z, np.float64), np.asarray(x, np.float64))
        if self.depth == 1:
            return 0.5 * (z - x) ** 2
        if not self.signed:
            with np.errstate(divide="ignore"):
                return _divergence_in_logs(np.log(z), np.log(x), self.depth)
        # The signed model is the positive one on (p, q), x = p - q, with grad F(p) = -grad F(q).
        parts = []
        for log_z, log_x in zip(
            self.log_products_by_sign(z), self.log_products_by_sign(x), strict=True
        ):
            parts.append(_divergence_in_logs(log_z, log_x, self.depth))
        return parts[0] + parts[1]

    def log_products_of(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the logarithms of the larger and the smaller product behind the signal x.

        In the signed model |x| = p - q with p >= q > 0 and v(p) = -v(q); in the positive model
        x = p, and the second value is None.
        """
        if not self.signed:
            with np.errstate(divide="ignore"):
                return np.log(x), None
        a = np.asarray(self.log_product)
        g = self._log_growth(x)
        shrink = g if self.theta == 0 else np.log1p(-np.expm1(-self.theta * g)) / self.theta
        return a + g, a - shrink

    def _log_growth(self, x: np.ndarray) -> np.ndarray:
        """Return log(p/a) >= 0 for the larger product p of the signed model."""
        with np.errstate(divide="ignore"):
            log_ratio = np.log(np.abs(x)) - self.log_product
        if self.theta == 0:  # p = (|x| + sqrt(x^2 + 4 a^2))/2
            return _asinh_half_exp(log_ratio)
        return _log_larger_product(log_ratio, self.theta)

    def log_products_by_sign(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return (log p, log q) with x = p - q; in the positive model (log x,)."""
        large, small = self.log_products_of(x)
        if small is None:
            return (large,)
        return np.where(x < 0, small, large), np.where(x < 0, large, small)

    def _log_products(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        v = np.exp(self.log_rate) * w
        return (
            self.log_product + deformed_exponent(v, self.theta),
            self.log_product + deformed_exponent(-v, self.theta),
        )

    def _half_difference(self, w: np.ndarray) -> np.ndarray:
        v = np.exp(self.log_rate) * w
        if self.theta == 0:
            return v
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.arctanh(self.theta * v) / self.theta


def deformed_exponent(v: np.ndarray, theta: float) -> np.ndarray:
    """Return log e(v) = -log(1 - theta v)/theta, or v for theta = 0.

    Parameters
    ----------
    v : ndarray
        Scaled dual variable; the result is +inf at theta v = 1 and NaN beyond.
    theta : float
        Deformation 1 - 2/L in [0, 1].

    Returns
    -------
    ndarray
        Of the shape of ``v``.
    """
    if theta == 0:
        return np.asarray(v, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.log1p(-theta * np.asarray(v)) / theta


def _deformed_log(g, theta):
    """Return v with log e(v) = g."""
    return g if theta == 0 else -np.expm1(-theta * g) / theta


def _asinh_half_exp(g):
    """Return asinh(e^g / 2) without overflow."""
    with np.errstate(over="ignore"):
        return np.where(g > 30, g, np.arcsinh(0.5 * np.exp(np.minimum(g, 30.0))))


def _log_larger_product(log_ratio, theta):
    """Return l >= 0 with e^l - (2 - e^(-theta l))^(-1/theta) = r, r = e^log_ratio.

    The left side is increasing and l lies between log r and log(1 + r); Newton's method from the
    upper end. For large r its logarithm is solved, which cannot overflow.
    """
    log_ratio = np.asarray(log_ratio, dtype=np.float64)
    large = log_ratio > 20
    r = np.exp(np.where(large, 0.0, log_ratio))
    g = np.log1p(r)
    for _ in range(60):
        s = np.exp(-theta * g)
        log_q = -np.log1p(-np.expm1(-theta * g)) / theta
        value = np.expm1(g) - np.expm1(log_q) - r
        step = value / (np.exp(g) + s * np.exp((1 + theta) * log_q))
        g = g - step
        if np.all(np.abs(step) <= 4e-16 * g):
            break
    far = np.where(large, log_ratio, 30.0)
    for _ in range(3):
        log_q = -np.log1p(-np.expm1(-theta * far)) / theta
        far = np.where(large, log_ratio, 30.0) - np.log1p(-np.exp(log_q - far))
    return np.where(large, far, g)


def _divergence_in_logs(log_z, log_x, depth):
    """Return the positive model's D_F(z, x) from logarithms: F'' = x^(2/L-2)/L (L = inf: x^-2)."""
    r, scale = (0.0, 1.0) if np.isinf(depth) else (2.0 / depth, 1.0 / depth)
    with np.errstate(over="ignore", invalid="ignore"):
        d = np.where(log_z == log_x, 0.0, log_z - log_x)
        if r == 1:  # z log(z/x) - z + x, per x
            far = np.where(np.isneginf(d), 1.0, d * np.exp(d) - np.expm1(d))
        elif r == 0:
            far = np.expm1(d) - d
        else:
            far = (r * np.expm1(d) - np.expm1(r * d)) / (r * (1 - r))
        # sum_{n>=2} d^n/n! (1 + r + ... + r^(n-2)): the same function near d = 0
        small = np.where(np.abs(d) < 0.1, d, 0.0)
        term, weight, near = 0.5 * small**2, 1.0, 0.5 * small**2
        for n in range(3, 13):
            term = term * small / n
            weight = 1.0 + r * weight
            near = near + term * weight
        shape = np.where(np.abs(d) < 0.1, near, far)
        value = scale * np.exp(r * log_x) * shape
    # x = 0 has an infinite gradient: only z = 0 is at a finite distance, of none.
    return np.where(np.isneginf(log_x), np.where(np.isneginf(log_z), 0.0, np.inf), value)


def _scalar_or_vector(name, value):
    if np.ndim(value) == 0:
        return as_real_number(name, value)
    array = as_real_array(name, value, ndim=1).copy()  # the caller may change the given one
    array.setflags(write=False)
    return array

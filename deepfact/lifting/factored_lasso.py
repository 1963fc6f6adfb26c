"""Least squares with a product of factors for the signal and a penalty on the factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from deepfact.arguments import as_count, as_real_array, as_real_number, check_problem
from deepfact.problem import Problem


@dataclass(frozen=True)
class FactoredLasso:
    """J(u_1, ..., u_L) = 1/2 |A (u_1 ... u_L) - y|^2 + (lambda/L) sum_l |u_l|_q^q.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    penalty : float
        lambda > 0.
    depth : int, optional
        Number L >= 2 of factors (default: 2).
    power : float, optional
        q >= 2 (default: 2, weight decay).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``; factors are arrays of shape (L, N).
    """

    problem: Problem
    penalty: float
    depth: int = 2
    power: float = 2.0

    def __post_init__(self) -> None:
        check_problem(self.problem)
        as_real_number("penalty", self.penalty, above=0.0)
        as_count("depth", self.depth, minimum=2)
        as_real_number("power", self.power, minimum=2.0)

    def value_and_gradient(self, factors: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute J and its gradient.

        Parameters
        ----------
        factors : ndarray of shape (L, N)
            The factors.

        Returns
        -------
        value : float
            J.
        gradient : ndarray of shape (L, N)
            Its gradient.
        """
        A = self.problem.dense()
        residual = A @ factors.prod(axis=0) - self.problem.y
        size = np.abs(factors)
        others = _products_of_others(factors)
        share = self.penalty / self.depth
        value = residual @ residual / 2 + share * np.sum(size**self.power)
        slope = share * self.power * np.sign(factors) * size ** (self.power - 1)
        return float(value), (A.T @ residual) * others + slope

    def hessian(self, factors: np.ndarray) -> np.ndarray:
        """Compute the Hessian of J.

        Parameters
        ----------
        factors : ndarray of shape (L, N)
            The factors.

        Returns
        -------
        ndarray of shape (L N, L N)
            Second derivatives, the factors one after another.
        """
        A = self.problem.dense()
        L, N = factors.shape
        h = A.T @ (A @ factors.prod(axis=0) - self.problem.y)
        others = _products_of_others(factors)
        bend = self.penalty / L * self.power * (self.power - 1)
        # 0^0 = 1: at power 2 the penalty bends alike everywhere.
        H = (others[:, None, :, None] * others[None, :, None, :]) * (A.T @ A)
        for k in range(L):
            H[k, k] += np.diag(bend * np.abs(factors[k]) ** (self.power - 2))
            for j in range(L):
                if k != j:
                    H[k, j] += np.diag(h * np.delete(factors, [k, j], axis=0).prod(axis=0))
        return H.transpose(0, 2, 1, 3).reshape(L * N, L * N)

    def descend(self, start: np.ndarray) -> np.ndarray:
        """Run L-BFGS from one start until it makes no progress.

        Parameters
        ----------
        start : ndarray of shape (L, N)
            The factors at the start.

        Returns
        -------
        ndarray of shape (L, N)
            The factors at the end.
        """
        shape = np.shape(start)

        def value(flat):
            J, gradient = self.value_and_gradient(flat.reshape(shape))
            return J, gradient.ravel()

        options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30}
        found = minimize(value, np.ravel(start), jac=True, method="L-BFGS-B", options=options)
        return found.x.reshape(shape)


def balanced_factors(x: np.ndarray, depth: int) -> np.ndarray:
    """Return factors of x of equal absolute values, the signs in the last one.

    Parameters
    ----------
    x : array_like of shape (N,)
        The signal.
    depth : int
        Number L >= 1 of factors.

    Returns
    -------
    ndarray of shape (L, N)
        The factors.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    """
    x = as_real_array("x", x, ndim=1)
    depth = as_count("depth", depth, minimum=1)
    factors = np.tile(np.abs(x) ** (1 / depth), (depth, 1))
    factors[-1] *= np.sign(x)
    return factors


def escape_eigenvalue(problem: Problem, x: np.ndarray, penalty: float) -> float:
    """Return lambda - max_{x_i = 0} |h_i|, h = A^T (A x - y).

    At the balanced factors of a critical point of J with two factors and weight decay this is the
    smallest eigenvalue of the Hessian, if it is negative; if it is not, the point is global.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    x : array_like of shape (N,)
        The product of the factors at a critical point.
    penalty : float
        lambda > 0.

    Returns
    -------
    float
        The eigenvalue; infinity if no entry is 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    check_problem(problem)
    x = as_real_array("x", x, ndim=1)
    penalty = as_real_number("penalty", penalty, above=0.0)
    h = problem.dense().T @ (problem.dense() @ x - problem.y)
    return penalty - float(np.max(np.abs(h[x == 0]), initial=-np.inf))


def stationary_point(
    problem: Problem, penalty: float, x: np.ndarray, exponent: float
) -> np.ndarray:
    """Follow x to the minimum of 1/2 |A x - y|^2 + lambda sum |x_i|^p with its zeros and signs.

    Newton's method on the support, from x.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    penalty : float
        lambda > 0, so small that the minimum is near x.
    x : array_like of shape (N,)
        A point near it, such as a basic solution.
    exponent : float
        p = q/L, positive.

    Returns
    -------
    ndarray of shape (N,)
        The minimum.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    ArithmeticError
        If a step changes a sign: there is no minimum with these signs, or x is far from it.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    check_problem(problem)
    penalty = as_real_number("penalty", penalty, above=0.0)
    x = as_real_array("x", x, ndim=1).copy()
    exponent = as_real_number("exponent", exponent, above=0.0)
    support = np.flatnonzero(x)
    A, signs = problem.dense()[:, support], np.sign(x[support])
    z = np.abs(x[support])
    for _ in range(100):
        slope = signs * (A.T @ (A @ (signs * z) - problem.y)) + penalty * exponent * z ** (
            exponent - 1
        )
        bend = np.diag(penalty * exponent * (exponent - 1) * z ** (exponent - 2))
        step = np.linalg.solve(signs[:, None] * (A.T @ A) * signs + bend, -slope)
        if np.any(z + step <= 0):
            raise ArithmeticError("a step of Newton's method changes a sign")
        z = z + step
        if np.max(np.abs(step)) <= 1e-15 * np.max(z):
            break
    x[support] = signs * z
    return x


def _products_of_others(factors):
    """Return for each factor the product of all others; division would fail at zeros."""
    return np.array([np.delete(factors, k, axis=0).prod(axis=0) for k in range(len(factors))])

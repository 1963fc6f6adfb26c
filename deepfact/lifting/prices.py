"""What a penalty on the factors costs the signal, and the cheapest solutions of A x = y."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from deepfact.arguments import as_count, as_numbers, as_real_array, as_real_number, check_problem
from deepfact.problem import Problem


def factor_price(x: np.ndarray, depth: int, power: float = 2.0) -> float:
    """Return the least (1/L) sum_l |u_l|_q^q over all factors with product x.

    It is sum_i |x_i|^{q/L}, by the inequality of the means: weight decay (q = 2) has the price
    l_{2/L}, and q = L the l1 norm at every depth.

    Parameters
    ----------
    x : array_like of shape (N,)
        The signal.
    depth : int
        Number L >= 1 of factors.
    power : float, optional
        q > 0 (default: 2, weight decay).

    Returns
    -------
    float
        The price.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    x = as_real_array("x", x, ndim=1)
    depth = as_count("depth", depth, minimum=1)
    power = as_real_number("power", power, above=0.0)
    return float(np.sum(np.abs(x) ** (power / depth)))


def searched_price(x: float, depth: int, power: float, start: np.ndarray) -> float:
    """Search the least (1/L) sum_l |u_l|^q over factors with product x, in their logarithms.

    There the problem is convex: sum_l exp(q s_l) over sum_l s_l = log abs(x).

    Parameters
    ----------
    x : float
        The product, not 0.
    depth : int
        Number L >= 2 of factors.
    power : float
        q > 0.
    start : array_like of shape (L - 1,)
        Logarithms of all factors but the last one, relative to balanced ones.

    Returns
    -------
    float
        The least value found, to be compared with `factor_price`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    size = abs(as_real_number("x", x))
    depth = as_count("depth", depth, minimum=2)
    power = as_real_number("power", power, above=0.0)
    start = as_numbers("start", start)
    if size == 0:
        raise ValueError("x must not be 0")

    def logarithm(free):  # of the value, so that no start overflows
        terms = power * np.append(free, -np.sum(free))
        shares = softmax(terms)
        return logsumexp(terms) - np.log(depth), power * (shares[:-1] - shares[-1])

    found = minimize(
        logarithm, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-16}
    )
    return float(np.exp(found.fun) * size ** (power / depth))


def basic_solutions(problem: Problem, most: int = 100_000) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate the solutions of A x = y that vanish off M columns.

    Among them are minimisers of sum_i |x_i|^p for every 0 < p <= 1, which is concave on each
    orthant.

    Parameters
    ----------
    problem : Problem
        The data A and y; every M columns independent.
    most : int, optional
        Largest number N choose M that is enumerated (default: 100000).

    Returns
    -------
    supports : ndarray of int, shape (K, M)
        The columns.
    solutions : ndarray of shape (K, N)
        The solutions.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or there are too many supports.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    check_problem(problem)
    M, N = problem.M, problem.N
    if comb(N, M) > most:
        raise ValueError(f"N choose M must be at most {most}, got {comb(N, M)}")
    A = problem.dense()
    supports = np.array(list(combinations(range(N), M)))
    values = np.linalg.solve(np.moveaxis(A[:, supports], 1, 0), problem.y[:, None])[..., 0]
    solutions = np.zeros((len(supports), N))
    np.put_along_axis(solutions, supports, values, axis=1)
    return supports, solutions

"""Gradient descent, plain and stochastic, on the factors of a deep factorisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from deepfact.arguments import as_count, as_real_number, check_fit
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.factor_flow import check_factors, leave_one_out_products
from deepfact.problem import Problem

# A loss that exceeds this multiple of the first one counts as divergence.
DIVERGENCE = 1e12


@dataclass(frozen=True, eq=False)
class DescentResult:
    """The recorded iterates of `gradient_descent`.

    Parameters
    ----------
    iterations : ndarray of shape (K,)
        The recorded iterations: 0, log-spaced ones, and the last.
    x : ndarray of shape (K, N)
        The signals after that many steps.
    loss : ndarray of shape (K,)
        The losses 1/2 ||A x - y||^2.
    factors : ndarray
        The factors after the last step: the rows u and v, (2, N), of identical factors ((1, N) in
        the positive model and, with x itself, for depth 1), or the shape of the factors given.
    status : str
        "converged", "diverged" or "out of iterations".
    message : str
        The reason for the status.
    """

    iterations: np.ndarray
    x: np.ndarray
    loss: np.ndarray
    factors: np.ndarray
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether the status is "converged"."""
        return self.status == "converged"


def gradient_descent(
    problem: Problem,
    model: DeepFactorization | None = None,
    step_size: float = 1e-2,
    max_iterations: int = 100_000,
    batch_size: int | None = None,
    seed: int | np.random.SeedSequence | np.random.Generator | None = None,
    factors: np.ndarray | None = None,
    tolerance: float = 1e-8,
    records: int = 20,
) -> DescentResult:
    """Run gradient descent on the factors: all steps u_l <- u_l - step (prod_{j != l} u_j) g.

    Here g = A^T(Ax - y), or its unbiased estimate (M/B) A_B^T (A_B x - y_B) from a batch B of
    rows, and the factors v_l of the signed model move by +step (prod_{j != l} v_j) g. Identical
    factors stay identical: u <- u - step u^(L-1) g, v <- v + step v^(L-1) g, x = u^L - v^L.

    Parameters
    ----------
    problem : Problem
        The problem; a LinearOperator is turned into a dense matrix for batches only.
    model : DeepFactorization, optional
        Start with identical factors alpha, of any finite depth: a non-integer depth ends as
        "diverged" if a factor does not stay positive. Depth 1 is x <- x - step g from x = 0.
        Exactly one of ``model`` and ``factors`` must be given.
    step_size : float, optional
        Step size, positive (default: 0.01).
    max_iterations : int, optional
        Largest number of steps (default: 100 000).
    batch_size : int, optional
        Rows in each batch, 1 <= B <= M, drawn without replacement (default: None, all rows).
    seed : int, SeedSequence or Generator, optional
        Source of the batches (default: None, fresh entropy). Equal seeds give equal results.
    factors : array_like of shape (2, L, N), (1, L, N) or (L, N), optional
        Start with these separate factors instead: (2, L, N) in the signed model (u first, then
        v), one of the other shapes in the positive model.
    tolerance : float, optional
        Converged when ||Ax - y|| <= tolerance ||y|| (times the first residual where y = 0);
        nonnegative (default: 1e-8). Batches: checked at the records and every ten passes.
    records : int, optional
        Recorded iterations a decade, at least 1 (default: 20).

    Returns
    -------
    DescentResult
        Recorded iterations, signals and losses, the last factors and the status.

    Raises
    ------
    TypeError
        If an argument is not of the kind named above.
    ValueError
        If an argument is out of its range, factors or alpha have a wrong shape, the depth is
        infinite, alpha underflows, or not exactly one of model and factors is given.

    Notes
    -----
    Near the limit the steps are stable if and only if
    step < 2/lambda_max(A diag(L(u^(2L-2) + v^(2L-2))) A^T): statement S10 of
    ``docs/statements.md``. Steps and batches: statement S12.
    """
    if (model is None) == (factors is None):
        raise ValueError("exactly one of model and factors must be given")
    shape: tuple[int, ...]
    if factors is None:
        check_fit(problem, model)
        start, others_of, positive = _identical_start(model, problem.N)
        shape = (len(start), problem.N)
    else:
        if not isinstance(problem, Problem):
            raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
        signed = np.ndim(factors) == 3 and len(factors) != 1
        shape, start = check_factors(factors, signed, problem.N)
        start, others_of, positive = start.copy(), leave_one_out_products, False
    step_size = as_real_number("step_size", step_size, above=0.0)
    max_iterations = as_count("max_iterations", max_iterations, minimum=1)
    tolerance = as_real_number("tolerance", tolerance, minimum=0.0)
    records = as_count("records", records, minimum=1)
    if batch_size is not None:
        batch_size = as_count("batch_size", batch_size, minimum=1)
        if batch_size > problem.M:
            raise ValueError(
                f"batch_size must be at most M = {problem.M} (the rows of A), got {batch_size}"
            )
    try:
        rng = np.random.default_rng(seed)
    except (TypeError, ValueError) as reason:
        raise type(reason)(
            f"seed must be a nonnegative integer, SeedSequence, Generator or None: {reason}"
        ) from None

    gradient, check_every = _gradient_of(problem, batch_size, rng)
    marks = log_spaced(max_iterations, records)
    with np.errstate(all="ignore"):
        history, status, message = _descend(
            problem, start, others_of, positive, gradient, check_every, marks, step_size, tolerance
        )
    iterations, x, loss = (np.array(column) for column in zip(*history, strict=True))
    return DescentResult(iterations, x, loss, start.reshape(shape), status, message)


def _descend(
    problem, factors, others_of, positive, gradient, check_every, marks, step_size, tolerance
):
    """Move ``factors`` (S, L, N) in place; return the records, the status and the reason."""
    A, y = problem.A, problem.y
    sign = np.array([1.0, -1.0])[: len(factors)]
    step = (step_size * sign)[:, None, None]
    others, change = np.empty_like(factors), np.empty_like(factors)
    marked, last = set(marks.tolist()), int(marks[-1])
    history, limit, goal = [], np.inf, 0.0
    for iteration in range(last + 1):
        others_of(factors, others)
        x = sign @ (others[:, 0] * factors[:, 0])
        checked = iteration % check_every == 0 or iteration in marked
        residual = A @ x - y if checked or check_every == 1 else None
        if checked:
            square = residual @ residual
            if iteration == 0:
                limit = DIVERGENCE * square
                goal = (tolerance * (np.linalg.norm(y) or np.sqrt(square))) ** 2
            if positive and not np.min(factors) > 0:
                status = "diverged"
                message = f"a factor of non-integer depth left u > 0 by iteration {iteration}"
            else:
                status, message = _verdict(square, limit, goal, iteration)
            if status or iteration in marked:
                history.append((iteration, x, 0.5 * square))
            if status:
                return history, status, message
        if iteration < last:
            np.multiply(others, step * gradient(x, residual), out=change)
            factors -= change
    size = np.sqrt(square)
    return history, "out of iterations", f"||Ax - y|| = {size:.3g} after {last} iterations"


def _verdict(square, limit, goal, iteration) -> tuple[str, str]:
    """Return status and reason for the squared residual, or empty strings to go on."""
    if square <= goal:
        size = np.sqrt(square)
        return "converged", f"||Ax - y|| = {size:.3g} after {iteration} iterations"
    if not square <= limit:  # NaN too
        return "diverged", f"the loss grew to {0.5 * square:.3g} by iteration {iteration}"
    return "", ""


def _identical_start(model, N) -> tuple[np.ndarray, Callable, bool]:
    """Return factors (S, 1, N), the function to f^(L-1), and whether f must stay positive."""
    if not isinstance(model, DeepFactorization):
        raise TypeError(f"model must be a DeepFactorization, got {type(model).__name__}")
    depth = model.depth
    if np.isinf(depth):
        raise ValueError("model must have a finite depth: infinite depth has no finite factors")
    if depth == 1:
        return np.zeros((1, 1, N)), leave_one_out_products, False
    alpha = np.exp(model.log_product / depth)
    if np.min(alpha) == 0.0:
        raise ValueError("model must have an alpha within float64: exp(log_alpha) is 0")
    start = np.ones((1 + model.signed, 1, N)) * alpha
    if depth != int(depth):
        return start, lambda f, out: np.power(f, depth - 1, out=out), True

    def integer_power(f, out):
        out[...] = f
        for _ in range(int(depth) - 2):
            out *= f

    return start, integer_power, False


def _gradient_of(problem, batch_size, rng) -> tuple[Callable, int]:
    """Return the function from (x, full residual) to the gradient, and how often to check."""
    if batch_size is None:
        if isinstance(problem.A, LinearOperator):
            return (lambda _, residual: problem.A.rmatvec(residual)), 1
        return (lambda _, residual: residual @ problem.A), 1
    A, y, M = problem.dense(), problem.y, problem.M

    def estimate(x, _):
        rows = rng.choice(M, size=batch_size, replace=False)
        batch = A[rows]
        return (M / batch_size) * ((batch @ x - y[rows]) @ batch)

    return estimate, 10 * -(-M // batch_size)


def log_spaced(last: int, per_decade: int) -> np.ndarray:
    """Return 0, log-spaced integers and ``last``: the iterations that are recorded.

    Parameters
    ----------
    last : int
        The last iteration, at least 1.
    per_decade : int
        How many a decade.

    Returns
    -------
    ndarray of int
        Increasing, each once.
    """
    count = int(np.ceil(per_decade * np.log10(last))) + 1
    return np.unique(np.append(np.rint(np.geomspace(1, last, count)).astype(int), [0, last]))

"""The limit of the flow as t -> infinity, with no time stepping and with its own certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, svd
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator

from deepfact.arguments import check_fit
from deepfact.deep_factorization import DeepFactorization
from deepfact.limit.interior_point import interior_point, interior_point_path
from deepfact.limit.matrix_free import operator_limit
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem

_DENSE_LIMIT = 2**24  # entries of a LinearOperator's matrix that are still formed: 128 MiB
_CONSISTENT = 1e-10  # relative residual up to which A x = y counts as solvable


@dataclass(frozen=True)
class LimitResult:
    """The limit of a flow and what certifies it.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The limit x_inf of the flow.
    dual : ndarray of shape (M,)
        nu = int_0^inf (y - A x(t)) dt, so that x_inf = X(A^T nu).
    l1_norm : float
        ||x||_1, rounded outwards by what rounding and the residual could hide: never below Q.
    lower_bound : float
        <y, nu>/||A^T nu||_inf (positive model: / max (A^T nu)_i), rounded down: never above the
        minimal l1 norm Q. Of the projected measurements where ``status`` is "infeasible".
    gap : float
        ``l1_norm - lower_bound``, an upper bound of ||x||_1 - Q.
    residual : float
        ||A x - y||/||y||; ||A x|| where y = 0.
    iterations : int
        Matrix factorisations of the method; for an operator that is not formed, products with A
        and A^T.
    status : str
        "converged"; "infeasible" if A x = y has no (nonnegative) solution; or "stalled".
    message : str
        The same in words.
    """

    x: np.ndarray
    dual: np.ndarray
    l1_norm: float
    lower_bound: float
    gap: float
    residual: float
    iterations: int
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether x is the limit and solves A x = y."""
        return self.status == "converged"


@np.errstate(over="ignore", invalid="ignore")  # without a solution the dual diverges
def flow_limit(problem: Problem, model: MirrorMap, start: LimitResult | None = None) -> LimitResult:
    """Compute lim x(t) of the gradient flow: the minimiser of D_F(z, x(0)) over A z = y.

    Solves y = A X(A^T nu), the optimality condition of the smooth convex dual
    Phi(nu) = sum F*(A^T nu) - <y, nu>, by primal-dual interior-point steps for deep
    factorisations and by damped Newton steps for any other mirror map and for depth 1.

    Parameters
    ----------
    problem : Problem
        A x = y. A LinearOperator of at most 2^24 entries is turned into a matrix; a larger one is
        only applied (see `deepfact.limit.matrix_free.operator_limit` for what is then certified).
    model : MirrorMap
        The parametrisation; for `DeepFactorization` any depth and init scale.
    start : LimitResult, optional
        The limit of the same problem for another depth or init scale, as a first guess
        (default: none). From depth 2 to a larger one it saves most factorisations.

    Returns
    -------
    LimitResult
        With the signal, the dual variable and a certified interval for the minimal l1 norm.
        Without a feasible point, ``status`` is "infeasible" and ``x`` is still the flow's limit:
        the projection onto the minimisers of the loss (over z >= 0 in the positive model).

    Raises
    ------
    TypeError
        If ``problem``, ``model`` or ``start`` is of another type.
    ValueError
        If alpha's length does not fit, ``start`` is of another size, or a LinearOperator too large
        to form its matrix has no adjoint or comes with a model that is no `DeepFactorization`.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``; without feasible point, statement S9.

    Examples
    --------
    >>> import deepfact as df
    >>> problem = df.gaussian_problem(M=40, N=100, s=5, seed=0)
    >>> limit = df.flow_limit(problem, df.DeepFactorization(depth=3, alpha=1e-3))
    >>> limit.status
    'converged'
    """
    check_fit(problem, model)
    if not isinstance(start, LimitResult | None):
        raise TypeError(f"start must be a LimitResult, got {type(start).__name__}")
    if start is not None and (len(start.x), len(start.dual)) != (problem.N, problem.M):
        raise ValueError(
            f"start must belong to a problem of the same size {(problem.M, problem.N)}, "
            f"got {(len(start.dual), len(start.x))}"
        )
    if isinstance(problem.A, LinearOperator) and problem.M * problem.N > _DENSE_LIMIT:
        if not isinstance(model, DeepFactorization):
            raise ValueError(
                f"problem.A must have at most {_DENSE_LIMIT} entries to be formed as a matrix, "
                f"got {problem.M} x {problem.N}, or model must be a DeepFactorization"
            )
        return _from_products(operator_limit(problem.A, problem.y, model))
    A, y = problem.dense(), problem.y
    norm_y = np.linalg.norm(y)
    pseudo = _PseudoInverse(A)
    target, feasible, least = y, True, pseudo(y)
    if np.linalg.norm(A @ least - y) > _CONSISTENT * norm_y:
        target, feasible = A @ least, False
    x, dual, iterations, converged = _solve(A, target, pseudo, least, model, start)
    if not converged and isinstance(model, DeepFactorization) and not model.signed:
        nearest, distance = _nonnegative_least_squares(pseudo, target)
        if distance > _CONSISTENT * norm_y:
            feasible = False
            x, dual, iterations, converged, target = _solve_on_face(A, target, nearest, model)
    return _certify(A, y, target, pseudo, model, (x, dual, iterations, converged), feasible)


@np.errstate(over="ignore", invalid="ignore")
def limit_path(problem: Problem, models: Sequence[DeepFactorization]) -> list[LimitResult]:
    """Compute the limits of one problem for several init scales, each from its neighbours.

    Parameters
    ----------
    problem : Problem
        A x = y.
    models : sequence of DeepFactorization
        Models of one depth >= 2 and one sign whose init scales differ by common factors, such as
        ``[DeepFactorization(3, alpha) for alpha in np.logspace(-1, -6, 20)]``. The closer they
        are, the cheaper; their order plays no role.

    Returns
    -------
    list of LimitResult
        What `flow_limit` returns for each model, in the same order. ``iterations`` counts the
        factorisations spent on that scale alone: 0 where the one before still served.

    Raises
    ------
    TypeError
        If ``problem`` or a model is of another type.
    ValueError
        If there is no model, or models differ in more than a factor of alpha.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``.

    Examples
    --------
    >>> import deepfact as df
    >>> problem = df.gaussian_problem(M=40, N=100, s=5, seed=0)
    >>> path = df.limit_path(problem, [df.DeepFactorization(3, alpha) for alpha in (0.1, 0.01)])
    >>> [limit.status for limit in path]
    ['converged', 'converged']
    """
    models = list(models)
    if not models:
        raise ValueError("models must hold at least one model, got none")
    for model in models:
        check_fit(problem, model)
        if not isinstance(model, DeepFactorization) or model.depth == 1:
            raise TypeError("models must be DeepFactorizations of depth >= 2")
    first = models[0]
    shape = _relative_rate(first)
    for model in models:
        if (model.depth, model.signed) != (first.depth, first.signed) or not np.allclose(
            _relative_rate(model), shape, rtol=1e-12, atol=0.0
        ):
            raise ValueError("models must differ in alpha only, by a common factor")
    if isinstance(problem.A, LinearOperator):
        return [flow_limit(problem, model) for model in models]
    A, y = problem.A, problem.y
    pseudo = _PseudoInverse(A)
    if not y.any() or np.linalg.norm(A @ pseudo(y) - y) > _CONSISTENT * np.linalg.norm(y):
        return [flow_limit(problem, model) for model in models]
    order = sorted(range(len(models)), key=lambda k: -float(np.mean(models[k].log_product)))
    found = interior_point_path(
        pseudo.reduced,
        pseudo.restrict(y),
        pseudo(y),
        [models[k].log_product for k in order],
        shape,
        first.theta,
        first.signed,
    )
    results: dict[int, LimitResult] = {}
    for k, result in zip(order, found, strict=True):
        if result.converged:
            rate = np.exp(-np.max(models[k].log_rate))
            dual = np.nan_to_num(pseudo.extend(result.eta) * rate)
            solution = (result.x, dual, result.iterations, True)
            results[k] = _certify(A, y, y, pseudo, models[k], solution, True)
        else:
            results[k] = flow_limit(problem, models[k])
    return [results[k] for k in range(len(models))]


def _relative_rate(model: DeepFactorization):
    """Return k divided by its largest entry."""
    log_rate = np.asarray(model.log_rate)
    return np.exp(log_rate - log_rate.max())


def _from_products(result) -> LimitResult:
    met = result.converged
    return LimitResult(
        x=result.x,
        dual=result.dual,
        l1_norm=result.l1_norm,
        lower_bound=result.lower_bound,
        gap=result.l1_norm - result.lower_bound,
        residual=result.residual,
        iterations=result.products,
        status="converged" if met else "stalled",
        message="x is the limit and solves A x = y"
        if met
        else f"no convergence after {result.products} products: x is not the limit",
    )


class _PseudoInverse:
    """A^+ and, where rows of A depend on each other, an orthonormal basis of its range."""

    def __init__(self, A: np.ndarray) -> None:
        self.range, self.reduced, self._sizes = None, A, None
        self.column_norm = float(np.sqrt(np.max(np.einsum("mn,mn->n", A, A))))
        self._factor, failed = dpotrf(dsyrk(1.0, A.T, trans=1, lower=1), lower=1, clean=0)
        pivots = np.diag(self._factor)
        if failed or pivots.min() <= 1e-3 * pivots.max():
            U, sizes, Vt = svd(A, full_matrices=False)
            rank = int(np.sum(sizes > 1e-12 * sizes[0])) if sizes[0] > 0 else 0
            self._sizes, self._rows = sizes[:rank], Vt[:rank]
            self.range = U[:, :rank]
            self.reduced = self._sizes[:, None] * self._rows

    def restrict(self, y: np.ndarray) -> np.ndarray:
        return y if self.range is None else self.range.T @ y

    def extend(self, dual: np.ndarray) -> np.ndarray:
        return dual if self.range is None else self.range @ dual

    def __call__(self, y: np.ndarray) -> np.ndarray:
        if self._sizes is None:
            return self.reduced.T @ self.dual(y)
        return self._rows.T @ (self.restrict(y) / self._sizes)

    def dual(self, y: np.ndarray) -> np.ndarray:
        """Return nu with A^T nu = A^+ y."""
        if self._sizes is None:
            return dpotrs(self._factor, y, lower=1)[0]
        return self.range @ (self.restrict(y) / self._sizes**2)


def _solve(A, y, pseudo, least, model, start=None):
    """Return (x, dual, iterations, converged) for y in the range of A and least = A^+ y."""
    if isinstance(model, DeepFactorization) and model.depth == 1:
        return least, pseudo.dual(y), 1, True
    still = model.signal(np.zeros(A.shape[1]))
    if np.array_equal(A @ still, y):
        return still, np.zeros(len(y)), 0, True
    reduced, target = pseudo.reduced, pseudo.restrict(y)
    if not isinstance(model, DeepFactorization):
        x, dual, iterations, converged = _dual_newton(reduced, target, model)
        return x, pseudo.extend(dual), iterations, converged
    result = interior_point(
        reduced,
        target,
        least,
        model.log_product,
        _relative_rate(model),
        model.theta,
        model.signed,
        (start.x, pseudo.restrict(start.dual)) if start is not None else None,
    )
    dual = np.nan_to_num(pseudo.extend(result.eta) * np.exp(-np.max(model.log_rate)))
    if not result.converged and not y.any() and np.max(A.T @ dual) < 0:
        # By Gordan's alternative, only z = 0 is nonnegative with A z = 0.
        return np.zeros(A.shape[1]), dual, result.iterations, True
    return result.x, dual, result.iterations, result.converged


def _nonnegative_least_squares(pseudo, y):
    """Return a minimiser of ||A z - y|| over z >= 0 and the distance, 0 where none was found.

    On matrices with dependent rows, and on some others, nnls may return what is no minimiser, or
    not end (issue 25389 of scipy): hence the reduced rows, and the conditions of optimality.
    """
    A, y = pseudo.reduced, pseudo.restrict(y)
    try:
        z, distance = nnls(A, y)
    except RuntimeError:  # out of iterations
        return np.zeros(A.shape[1]), 0.0
    gradient = A.T @ (A @ z - y)
    allowed = pseudo.column_norm * (1e-9 * distance + 1e-14 * np.linalg.norm(y))
    optimal = gradient.min() >= -allowed and np.abs(gradient * z).max() <= allowed * z.max()
    return z, distance if optimal else 0.0


def _solve_on_face(A, y, nearest, model):
    """Return the limit among the nonnegative minimisers of the loss, and their image.

    Every such minimiser has the image of ``nearest``, and vanishes where the loss's gradient
    at it is positive (statement S9).
    """
    image = A @ nearest
    gradient = A.T @ (image - y)
    columns = gradient <= 1e-9 * np.linalg.norm(A, axis=0) * np.linalg.norm(image - y)
    x = np.zeros(A.shape[1])
    if not image.any() or not columns.any():
        return x, np.zeros(len(y)), 0, True, image
    log_alpha = np.broadcast_to(model._log_alpha, A.shape[1])[columns]
    part = DeepFactorization(model.depth, signed=False, log_alpha=log_alpha)
    face = np.ascontiguousarray(A[:, columns])
    pseudo = _PseudoInverse(face)
    x[columns], dual, iterations, converged = _solve(face, image, pseudo, pseudo(image), part)
    return x, dual, iterations, converged, image


def _dual_newton(A, y, model, max_iterations=200):
    """Return (x, dual, iterations, converged) by damped Newton steps on the dual objective."""
    dual, w = np.zeros(len(y)), np.zeros(A.shape[1])
    x = model.signal(w)
    size = np.inf
    for iteration in range(max_iterations):
        error = y - A @ x
        previous, size = size, np.linalg.norm(error) / (np.linalg.norm(y) or 1.0)
        if size < 1e-14 or (size < 1e-11 and size > 0.1 * previous):
            return x, dual, iteration, True
        try:
            factor = cho_factor((A * model.signal_derivative(w)) @ A.T, lower=True)
        except (LinAlgError, ValueError):
            return x, dual, iteration, False
        step = cho_solve(factor, error)
        change, slope, length = A.T @ step, float(error @ step), 1.0
        while True:  # the objective's derivative along the line is increasing
            with np.errstate(all="ignore"):
                moved = model.signal(w + length * change)
                end = float((A @ moved - y) @ step)
            if abs(end) <= (1 - length / 8) * abs(slope) or length < 1e-12:
                break
            length /= 2
        if not np.isfinite(end):
            return x, dual, iteration, False
        dual, w, x = dual + length * step, w + length * change, moved
    return x, dual, max_iterations, False


def _certify(A, y, target, pseudo, model, solution, feasible) -> LimitResult:
    """Return the result with bounds on Q that rounding cannot overturn."""
    x, dual, iterations, converged = solution
    positive = isinstance(model, DeepFactorization) and model.depth > 1 and not model.signed
    # Extended precision where the machine has it, for the entries that decide the last digits:
    # the bounds are then as sharp as x itself.
    unit = float(np.finfo(np.longdouble).eps)
    large = np.abs(x) > 1e-4 * np.abs(x).max()
    missing = target - A[:, large].astype(np.longdouble) @ x[large]
    missing = (missing - A @ np.where(large, 0.0, x)).astype(np.float64)
    correction = np.abs(pseudo(missing)).sum()
    l1_norm = float(np.nextafter((np.abs(x).sum(dtype=np.longdouble) + 1.01 * correction), np.inf))
    w = A.T @ dual
    w = w if positive else np.abs(w)
    rounding = (len(y) + 3) * pseudo.column_norm * np.linalg.norm(dual)  # >= |A|^T |dual|
    highest = ~(w < w.max() - 2 * np.finfo(np.float64).eps * rounding)
    w = A[:, highest].T.astype(np.longdouble) @ dual
    w = (w if positive else np.abs(w)) + unit * rounding
    value = dual @ target.astype(np.longdouble)
    value -= (len(y) + 3) * unit * (np.abs(dual) @ np.abs(target))
    lower = float(value / w.max()) if value > 0 and w.max() > 0 else 0.0
    lower_bound = float(np.nextafter(lower, -np.inf)) if 0 < lower < np.inf else 0.0
    residual = float(np.linalg.norm(A @ x - y)) / (np.linalg.norm(y) or 1.0)
    if not converged:
        status = "stalled"
        message = f"no convergence after {iterations} factorisations: x is not the limit"
    elif feasible:
        status, message = "converged", "x is the limit and solves A x = y"
    else:
        status = "infeasible"
        message = (
            f"A x = y has no {'nonnegative ' if positive else ''}solution: x is the flow's limit "
            "among the minimisers of the loss"
        )
    return LimitResult(
        x=x,
        dual=dual,
        l1_norm=l1_norm,
        lower_bound=lower_bound,
        gap=l1_norm - lower_bound,
        residual=residual,
        iterations=iterations,
        status=status,
        message=message,
    )

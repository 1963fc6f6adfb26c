"""The limit of the flow as t -> infinity, with no time stepping and with its own certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse.linalg import LinearOperator

from deepfact.arguments import as_real_number, check_fit
from deepfact.limit.certificate import LimitResult, interior_answer, judge
from deepfact.limit.dense import dense_limit, scale_problem
from deepfact.limit.matrix_free import operator_limit
from deepfact.limit.path import interior_point_path
from deepfact.mirror_map import MirrorMap
from deepfact.problem import DENSE_ENTRIES, Problem

_DENSE_LIMIT = DENSE_ENTRIES  # of a LinearOperator's matrix that is still formed


@np.errstate(over="ignore", invalid="ignore")  # without a solution the dual diverges
def flow_limit(
    problem: Problem,
    model: MirrorMap,
    start: LimitResult | None = None,
    tolerance: float | None = None,
) -> LimitResult:
    """Compute lim x(t) of the gradient flow: the minimiser of D_F(z, x(0)) over A z = y.

    Solves y = A X(A^T nu), the optimality condition of the smooth convex dual
    Phi(nu) = sum F*(A^T nu) - <y, nu>, by primal-dual interior-point steps for mirror maps with a
    deformation, such as those of factors, and by damped Newton steps for all others.

    Parameters
    ----------
    problem : Problem
        A x = y. A LinearOperator of at most 2^24 entries is turned into a matrix; a larger one is
        only applied (see `deepfact.limit.matrix_free.operator_limit` for what is then certified).
    model : MirrorMap
        The parametrisation, such as a `DeepFactorization` of any depth and init scale.
    start : LimitResult, optional
        The limit of the same problem for another depth or init scale, as a first guess
        (default: none). From depth 2 to a larger one it saves most factorisations.
    tolerance : float, optional
        Relative residual ||A x - y||/||y|| up to which data without an exact solution count as
        solvable, for data that are rounded or noisy: the limit is then that of their projection,
        and "converged" (default: none, the rounding of float64).

    Returns
    -------
    LimitResult
        With the signal, the dual variable and a certified interval for the minimal l1 norm.
        Without a feasible point, ``status`` is "infeasible" and ``x`` is still the flow's limit:
        the projection onto the minimisers of the loss (over z >= 0 in the positive model).

    Raises
    ------
    TypeError
        If ``problem``, ``model``, ``start`` or ``tolerance`` is of another type.
    ValueError
        If alpha's length does not fit, ``tolerance`` is negative, ``start`` is of another size, or
        a LinearOperator too large to form its matrix has no adjoint or comes with a model that
        has no deformation and is not the identity; if an operator's rmatvec is not the adjoint of
        its matvec.

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
    if tolerance is not None:
        tolerance = as_real_number("tolerance", tolerance, minimum=0.0)
    if not isinstance(start, LimitResult | None):
        raise TypeError(f"start must be a LimitResult, got {type(start).__name__}")
    if start is not None and (len(start.x), len(start.dual)) != (problem.N, problem.M):
        raise ValueError(
            f"start must belong to a problem of the same size {(problem.M, problem.N)}, "
            f"got {(len(start.dual), len(start.x))}"
        )
    if isinstance(problem.A, LinearOperator) and problem.M * problem.N > _DENSE_LIMIT:
        if model.deformation is None and not model.identity:
            raise ValueError(
                f"problem.A must have at most {_DENSE_LIMIT} entries to be formed as a matrix, "
                f"got {problem.M} x {problem.N}, or model must have a deformation, as a "
                "DeepFactorization has"
            )
        result = _from_products(operator_limit(problem.A, problem.y, model))
    else:
        result = dense_limit(problem.dense(), problem.y, model, start)
    return _accuracy_said(result, problem.precision, tolerance)


@np.errstate(over="ignore", invalid="ignore")
def limit_path(
    problem: Problem, models: Sequence[MirrorMap], tolerance: float | None = None
) -> list[LimitResult]:
    """Compute the limits of one problem for several init scales, each from its neighbours.

    Parameters
    ----------
    problem : Problem
        A x = y.
    models : sequence of MirrorMap
        Models with one deformation (a depth >= 2) and one sign whose init scales differ by common
        factors, such as ``[DeepFactorization(3, alpha) for alpha in np.logspace(-1, -6, 20)]``.
        The closer they are, the cheaper; their order plays no role.
    tolerance : float, optional
        As for `flow_limit` (default: none).

    Returns
    -------
    list of LimitResult
        What `flow_limit` returns for each model, in the same order. ``iterations`` counts the
        factorisations spent on that scale alone: 0 where the one before still served.

    Raises
    ------
    TypeError
        If ``problem``, a model or ``tolerance`` is of another type.
    ValueError
        If there is no model, models differ in more than a factor of alpha, or ``tolerance`` is
        negative.

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
        if model.deformation is None:
            raise TypeError("models must have a deformation, as DeepFactorizations of depth >= 2")
    if tolerance is not None:
        tolerance = as_real_number("tolerance", tolerance, minimum=0.0)
    first = models[0]
    theta, positive = float(first.deformation or 0.0), first.positive
    shape = _relative_rate(first)
    for model in models:
        if (model.deformation, model.positive) != (theta, positive) or not np.allclose(
            _relative_rate(model), shape, rtol=1e-12, atol=0.0
        ):
            raise ValueError("models must differ in alpha only, by a common factor")
    if isinstance(problem.A, LinearOperator):
        return [flow_limit(problem, model, tolerance=tolerance) for model in models]
    scaled = scale_problem(problem.A, problem.y)
    if not problem.y.any() or not scaled.consistent:
        return [flow_limit(problem, model, tolerance=tolerance) for model in models]
    order = sorted(range(len(models)), key=lambda k: -float(np.mean(models[k].log_product)))
    found = interior_point_path(
        scaled.rows.reduced,
        scaled.target,
        scaled.least,
        [scaled.log_product(models[k]) for k in order],
        scaled.rate(first),
        theta,
        not positive,
    )
    results: dict[int, LimitResult] = {}
    for k, result in zip(order, found, strict=True):
        limit = None
        if result.converged:
            limit = judge(
                scaled, models[k], interior_answer(scaled, models[k], result), "converged"
            )
        if limit is None or not limit.success:
            results[k] = flow_limit(problem, models[k], tolerance=tolerance)
        else:
            results[k] = _accuracy_said(limit, problem.precision, tolerance)
    return [results[k] for k in range(len(models))]


def _relative_rate(model: MirrorMap):
    """Return k divided by its largest entry."""
    log_rate = np.asarray(model.log_rate)
    return np.exp(log_rate - log_rate.max())


def _accuracy_said(result: LimitResult, precision: float, tolerance: float | None) -> LimitResult:
    """Return the result with what its residual means for data of this precision and tolerance."""
    status, message = result.status, result.message
    if status == "infeasible" and tolerance is not None and result.residual <= tolerance:
        status = "converged"
        message = (
            f"x is the limit and solves A x = y to the relative residual {result.residual:.2g}"
        )
    if precision > np.finfo(np.float64).eps:
        message += (
            f"; the data have a rounding unit of {precision:.2g} and were consistent to "
            f"{result.residual:.2g}"
        )
        if status == "infeasible":
            message += " (see tolerance)"
    return replace(result, status=status, message=message)


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
        determined=np.abs(result.x) > 1e-9 * np.abs(result.x).max(),
    )

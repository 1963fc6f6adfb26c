"""The limit for a matrix: scaled, solved, judged, and solved otherwise where that is needed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deepfact.limit.certificate import Answer, LimitResult, interior_answer, judge
from deepfact.limit.dual_newton import dual_newton
from deepfact.limit.interior_point import interior_point
from deepfact.limit.nonnegative import always_zero, nearest_point
from deepfact.limit.rows import (
    BELOW,
    CONSISTENT,
    Rows,
    equilibrate,
    independent_rows,
    row_residual,
    row_stable_least_squares,
)
from deepfact.mirror_map import MirrorMap

_HELD = 1e-6  # slacks above this are held by a dual variable
_NO_ENTRY = 1e-12  # entries of the only solution above minus this part of the largest may be 0
_DIVERGED = 1e6  # slacks above this: some coordinate may be 0 in every solution


@dataclass(frozen=True, eq=False)
class ScaledProblem:
    """B z = r y 2^e with B = r A d, whose rows and columns have norms near 1, x = d z 2^-e.

    Parameters
    ----------
    A, y : ndarray
        The problem as given.
    r, d : ndarray of shape (M,) and (N,)
        Powers of two.
    norms : ndarray of shape (N,)
        Of B's columns.
    exponent : int
        e.
    rows : Rows
        Independent rows of B.
    target : ndarray of shape (r,)
        Right side on these, of size 1.
    least, least_dual : ndarray of shape (N,) and (r,)
        The least-norm solution, and its dual variable.
    consistent : bool
        Whether the other rows agree; if not, ``target`` belongs to the projection of y.
    image : ndarray of shape (M,)
        y or its projection.
    """

    A: np.ndarray
    y: np.ndarray
    r: np.ndarray
    d: np.ndarray
    norms: np.ndarray
    exponent: int
    rows: Rows
    target: np.ndarray
    least: np.ndarray
    least_dual: np.ndarray
    consistent: bool
    image: np.ndarray

    def log_product(self, model: MirrorMap):
        """Return log a of the scaled signal."""
        shift = self.exponent * np.log(2.0)
        if np.all(self.d == 1):
            return model.log_product + shift
        return model.log_product - np.log(self.d) + shift

    def log_rate(self, model: MirrorMap):
        """Return log k of the scaled signal."""
        return model.log_rate if np.all(self.d == 1) else model.log_rate - np.log(self.d)

    def rate(self, model: MirrorMap):
        """Return k divided by its largest entry."""
        log_rate = np.asarray(self.log_rate(model))
        return np.exp(log_rate - log_rate.max())

    def signal(self, z: np.ndarray) -> np.ndarray:
        """Return x."""
        return np.ldexp(z * self.d, -self.exponent)


def scale_problem(A: np.ndarray, y: np.ndarray, columns: bool = True) -> ScaledProblem:
    """Scale a problem by powers of two and choose independent rows.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix.
    y : ndarray of shape (M,)
        Measurements.
    columns : bool, optional
        Whether columns may be scaled (default: True).

    Returns
    -------
    ScaledProblem
        Equivalent to the problem, or to its projection where that has no solution.
    """
    if not A.any():
        B, r, d, norms = A, np.ones(len(A)), np.ones(A.shape[1]), np.zeros(A.shape[1])
    else:
        B, r, d, norms = equilibrate(A, columns)
    rows = independent_rows(B)
    # y may be subnormal or its product with r overflow: by exponents, not by numbers.
    mantissa, exponents = np.frexp(y)
    exponents = exponents + np.frexp(r)[1] - 1
    exponent = -int(exponents[mantissa != 0].max()) if mantissa.any() else 0
    target = np.ldexp(mantissa, exponents + exponent)
    least, least_dual = rows.solve(target[rows.kept])
    consistent, image = True, y
    if len(rows.kept) < len(y):
        size = np.abs(target) + BELOW * np.max(norms * np.abs(least))
        consistent = row_residual(B, least, target, size) <= CONSISTENT
        if not consistent:
            # The loss counts the rows as they are.
            weight = r.max() / r
            missing = row_stable_least_squares(B * weight[:, None], target * weight)[1]
            target = target - missing / weight
            least, least_dual = rows.solve(target[rows.kept])
            image = A @ np.ldexp(least * d, -exponent)
    kept = target[rows.kept]
    return ScaledProblem(
        A, y, r, d, norms, exponent, rows, kept, least, least_dual, consistent, image
    )


def dense_limit(
    A: np.ndarray, y: np.ndarray, model: MirrorMap, start: LimitResult | None = None
) -> LimitResult:
    """Compute the limit of the flow for a matrix.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix.
    y : ndarray of shape (M,)
        Measurements.
    model : MirrorMap
        The parametrisation.
    start : LimitResult, optional
        Limit of the same problem for another depth or init scale (default: none).

    Returns
    -------
    LimitResult
        As `deepfact.flow_limit` returns it.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``.
    """
    deformed = model.deformation is not None
    scaled = scale_problem(A, y, columns=deformed)
    still = model.signal(np.zeros(A.shape[1]))
    seen = scaled.norms > 0
    if seen.any() and not seen.all():  # a zero column's coordinate stays where it starts
        start = replace(start, x=start.x[seen]) if start is not None else None
        part = dense_limit(A[:, seen], y, model.restrict(seen), start)
        x = still.copy()
        x[seen] = part.x
        answer = Answer(x, part.dual, (), part.iterations, part.status != "stalled")
        whole = judge(scaled, model, answer, part.status, A @ x)
        upper = float(np.nextafter(part.l1_norm + np.abs(still[~seen]).sum(), np.inf))
        return replace(
            whole, status=part.status, message=part.message, l1_norm=upper,
            lower_bound=part.lower_bound, gap=upper - part.lower_bound,
        )  # fmt: skip
    nothing = len(scaled.rows.kept) == 0  # A = 0
    if nothing and y.any():
        image = np.zeros(len(y))
        return judge(scaled, model, Answer(still, image, (), 0, True), "infeasible", image)
    if nothing or np.array_equal(A @ still, y):
        return judge(scaled, model, Answer(still, np.zeros(len(y)), (), 0, True), "converged")
    result = solve(scaled, model, start)
    if model.positive and (result.status == "stalled" or _diverges(scaled, model, result)):
        second = _nonnegative(scaled, model, result)
        # A limit stands unless it has entries that are proved to be zero in every solution.
        if result.status in ("stalled", second.status):
            result = second
    return result


def _diverges(scaled: ScaledProblem, model: MirrorMap, result: LimitResult) -> bool:
    """Tell whether slacks are so large that their rounding is felt on the support.

    They are where a coordinate is 0 in every solution: then the dual variable has no limit.
    """
    if not model.deformation:
        return False
    with np.errstate(all="ignore"):
        rate = np.exp(model.log_rate)
        slack = 1 - model.deformation * rate * (scaled.A.T @ result.dual)
    return not np.max(slack) < _DIVERGED


def solve(scaled: ScaledProblem, model: MirrorMap, start: LimitResult | None = None) -> LimitResult:
    """Solve and judge a scaled problem by each method in turn, until an answer is proved.

    Parameters
    ----------
    scaled : ScaledProblem
        The problem.
    model : MirrorMap
        The parametrisation.
    start : LimitResult, optional
        Limit of the same problem for another depth or init scale (default: none).

    Returns
    -------
    LimitResult
        "stalled" if no method's answer passes.
    """
    met = "converged" if scaled.consistent else "infeasible"
    first, work = None, 0
    for method in METHODS:
        answer = method(scaled, model, start)
        if answer is not None:
            work += answer.work
            result = judge(scaled, model, replace(answer, work=work), met)
            if result.status != "stalled":
                return result
            first = first or result
    return replace(first, iterations=work)


def _by_interior_point(scaled: ScaledProblem, model: MirrorMap, start=None) -> Answer | None:
    """Follow the interior-point path, for maps of deformed-exponential form."""
    if model.deformation is None:
        return None
    guess = None
    if start is not None:
        z = np.ldexp(start.x / scaled.d, scaled.exponent)
        guess = z, (start.dual / scaled.r)[scaled.rows.kept]
    found = _from_above(scaled, model, guess)
    answer = interior_answer(scaled, model, found)
    if guess is None or answer.proved:
        return answer
    # Where a start does not lead to a dual that holds every product, the path itself does.
    cold = interior_answer(scaled, model, _from_above(scaled, model))
    return replace(cold, work=answer.work + cold.work)


def _from_above(scaled, model, guess=None):
    return interior_point(
        scaled.rows.reduced,
        scaled.target,
        scaled.least,
        scaled.log_product(model),
        scaled.rate(model),
        model.deformation,
        not model.positive,
        guess,
    )


def _by_dual_newton(scaled: ScaledProblem, model: MirrorMap, start=None) -> Answer:  # noqa: ARG001
    """Take damped Newton steps on the dual, for any map."""
    x, eta, work, converged = dual_newton(scaled, model)
    if model.deformation:  # the dual variable must hold every slack
        w = scaled.A.T @ (scaled.r * scaled.rows.extend(eta))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            slack = 1 - model.deformation * np.exp(model.log_rate) * (
                w if model.positive else np.abs(w)
            )
        converged = converged and bool(np.min(slack) > _HELD)
    return Answer(x, scaled.r * scaled.rows.extend(eta), (eta,), work, converged)


def _by_unscaled_columns(scaled: ScaledProblem, model: MirrorMap, start=None) -> Answer | None:
    """Follow the interior-point path in the signal's own units, where columns were scaled.

    Scaled columns have unequal rates, and the path may be lost where these differ by many powers.
    """
    if model.deformation is None or np.all(scaled.d == 1):
        return None
    rows = scale_problem(scaled.A, scaled.image, columns=False)
    answer = _by_interior_point(rows, model, start)
    return replace(answer, etas=())


def _by_uniqueness(scaled: ScaledProblem, model: MirrorMap, start=None) -> Answer | None:  # noqa: ARG001
    """Take the only solution, where the rank is N (statement S6)."""
    if len(scaled.rows.kept) < scaled.A.shape[1]:
        return None
    z = scaled.least
    if model.positive:
        if not z.min() >= -_NO_ENTRY * z.max():
            return None
        z = np.maximum(z, 0.0)
    x = scaled.signal(z)
    with np.errstate(over="ignore"):
        # The dual of an entry that vanishes is infinite: one of a small entry gives a bound too.
        w = model.potential_gradient(np.maximum(x, _NO_ENTRY * x.max()) if model.positive else x)
        w = np.nan_to_num(w)
        eta = np.linalg.solve((scaled.rows.reduced / scaled.d).T, w)
    return Answer(x, scaled.r * scaled.rows.extend(eta), (eta,), 1, True)


METHODS = (_by_uniqueness, _by_interior_point, _by_unscaled_columns, _by_dual_newton)
"""What `solve` tries, in this order: functions of the scaled problem, the map and a limit to start
from (or None), that return an `Answer` which is not judged yet, or None where they do not apply."""


def _nonnegative(scaled: ScaledProblem, model: MirrorMap, stalled: LimitResult) -> LimitResult:
    """Solve a positive problem with no solution, or with coordinates that are 0 in every one."""
    A, y = scaled.A * scaled.d, scaled.y
    missing, columns = nearest_point(A, y)
    image, feasible = y, True
    if missing.any():
        # The nonnegative minimisers of the loss have one image, and vanish where the loss's
        # gradient at it is positive (statement S9).
        image, feasible = y - missing, False
    else:
        columns = np.ones(A.shape[1], dtype=bool)
    if columns.any():
        part = scaled if feasible else scale_problem(scaled.A[:, columns], image)
        power = 1.0 - (model.deformation or 0.0)
        zero = always_zero(part.rows.reduced, part.target, part.d, power)
        columns[np.flatnonzero(columns)[zero]] = False
    if columns.all():
        return stalled
    x = np.zeros(A.shape[1])
    if columns.any():
        found = dense_limit(scaled.A[:, columns], image, model.restrict(columns))
        if found.status == "stalled":
            return stalled
        x[columns], dual, work = found.x, found.dual, found.iterations
    else:
        dual, work = np.zeros(len(y)), 0
    etas = ((dual / scaled.r)[scaled.rows.kept],) if feasible else ()
    answer = Answer(x, dual, etas, stalled.iterations + work, True)
    result = judge(scaled, model, answer, "converged" if feasible else "infeasible", image)
    lower = result.lower_bound
    # A bound above a solution's norm speaks of y as stored, which has no solution at all.
    if feasible and stalled.lower_bound <= result.l1_norm:
        lower = max(lower, stalled.lower_bound)
    return replace(result, lower_bound=lower, gap=result.l1_norm - lower)

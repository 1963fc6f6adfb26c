"""The words that results use for how a computation ended."""

from __future__ import annotations

from typing import Protocol, TypeVar

STATUSES = {
    "converged": "The limit was found and proved, or descent has reached its tolerance.",
    "success": "The trajectory was followed to the last time.",
    "optimal": "The minimiser was found, and its dual variable proves it.",
    "inaccurate": "There is an answer, of less accuracy than was asked for.",
    "stalled": "There is an answer, but not everything about it could be proved.",
    "infeasible": "A x = y has no (nonnegative) solution; what is reported is said by the result.",
    "diverged": "The iterates left every bound.",
    "out of iterations": "The largest number of iterations was not enough.",
    "degenerate": "Ties or dependent columns: what was asked for is not determined.",
    "failed": "There is no answer, or only the part of it that came before the failure.",
}
"""Every status that a result of the package can have, and what it says."""

SUCCESSFUL = ("converged", "success", "optimal")
"""The statuses for which ``success`` is True."""


class Outcome(Protocol):
    """What all results have in common."""

    @property
    def status(self) -> str:
        """One of `STATUSES`."""

    @property
    def message(self) -> str:
        """The reason for the status, in words."""

    @property
    def success(self) -> bool:
        """Whether the result is what was asked for."""


Result = TypeVar("Result", bound=Outcome)


def require(result: Result) -> Result:
    """Return a result that is what was asked for, and raise for any other.

    Parameters
    ----------
    result : LimitResult, FlowResult, FactorFlowResult, DescentResult or BasisPursuitResult
        The result.

    Returns
    -------
    LimitResult, FlowResult, FactorFlowResult, DescentResult or BasisPursuitResult
        The same.

    Raises
    ------
    RuntimeError
        If ``result.success`` is False, with its kind, status and message.
    """
    if not result.success:
        raise RuntimeError(f"{type(result).__name__}: {result.status}: {result.message}")
    return result

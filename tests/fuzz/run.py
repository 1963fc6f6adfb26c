"""One numbered problem: solve, compute the reference, judge."""

from __future__ import annotations

import time
import warnings

import numpy as np

import deepfact as df
from tests.fuzz.judge import Verdict, judge_limit
from tests.fuzz.many_digits import reference
from tests.fuzz.problems import case, condition


def run(what: str, seed: int, number: int, verbose: bool = False) -> dict:
    """Return one row of the fuzz."""
    one = case(seed, number)
    start = time.perf_counter()
    if what == "l1":
        from tests.fuzz.convex import run_l1

        verdict, found, scale = run_l1(one, verbose)
    else:
        verdict, found, scale = _run_limit(one, verbose)
    cond = condition(one.A)
    return {
        "what": what,
        "seed": seed,
        "number": number,
        "kind": one.kind,
        "measured": one.measured,
        "M": one.A.shape[0],
        "N": one.A.shape[1],
        "depth": one.flow.depth,
        "positive": one.flow.positive,
        "log_alpha": one.flow.log_alpha,
        "condition": cond,
        "in_scope": bool(scale <= 1e6 and cond <= 1e8),
        "status": verdict.status,
        "reference": found,
        "feasible": verdict.feasible,
        "judged_x": verdict.judged_x,
        "error": verdict.error,
        "allowed": verdict.allowed,
        "faults": verdict.faults,
        "notes": verdict.notes,
        "seconds": time.perf_counter() - start,
    }


def run_many(task) -> list[dict]:
    """Return the rows of (what, seed, numbers)."""
    what, seed, numbers = task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [run(what, seed, number) for number in numbers]


def _run_limit(one, verbose):
    flow = one.flow
    problem = df.Problem(one.A, one.y)
    model = df.DeepFactorization(flow.depth, signed=not flow.positive, log_alpha=flow.log_alpha)
    try:
        result = df.flow_limit(problem, model)
    except Exception as error:
        verdict = Verdict("raised", ["status"])
        verdict.notes.append(f"{type(error).__name__}: {error}")
        return verdict, False, np.inf
    try:
        right = reference(one.A, one.y, flow, (result.x, result.dual))
    except ArithmeticError as error:
        verdict = Verdict(result.status)
        verdict.notes.append(str(error))
        if verbose:
            print("A =", repr(one.A), "\ny =", repr(one.y), "\n", flow, "\n", result)
        return verdict, False, np.inf
    verdict = judge_limit(one.A, one.y, flow, result, right)
    with np.errstate(all="ignore"):
        scale = np.exp(right.log_scale - np.log(np.abs(right.x).max()))
    if verbose:
        print("A =", repr(one.A), "\ny =", repr(one.y), "\n", flow, "\n", result, "\n", right)
    return verdict, True, float(scale)

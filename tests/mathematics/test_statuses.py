"""One vocabulary of statuses, and the function that insists on success."""

import ast
from pathlib import Path

import numpy as np
import pytest

import deepfact as df
from deepfact.statuses import STATUSES, SUCCESSFUL, require

PROBLEM = df.gaussian_problem(M=8, N=16, s=2, seed=0)
NOTHING = df.Problem(np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([1.0, 3.0]))
MODEL = df.DeepFactorization(depth=2, alpha=0.1)


def results():
    """Return results of every kind, of good and of bad ends."""
    factors = df.initial_factors(MODEL, PROBLEM.N)
    return [
        df.flow_limit(PROBLEM, MODEL),
        df.flow_limit(NOTHING, MODEL),
        df.gradient_flow(PROBLEM, MODEL, times=[0.0, 0.1]),
        df.gradient_flow(PROBLEM, MODEL, times=[0.0, 1e6], max_steps=1),
        df.factor_flow(PROBLEM, factors, times=[0.0, 0.1]),
        df.gradient_descent(PROBLEM, MODEL, step_size=0.01, max_iterations=3),
        df.gradient_descent(PROBLEM, MODEL, step_size=1e3, max_iterations=100),
        df.basis_pursuit(PROBLEM),
        df.basis_pursuit(NOTHING),
    ]


def test_results_use_the_vocabulary():
    ends = set()
    for result in results():
        assert result.status in STATUSES
        assert result.success == (result.status in SUCCESSFUL)
        assert result.message
        ends.add(result.status)
    assert ends >= {"converged", "success", "optimal", "infeasible", "failed", "diverged"}


def test_every_status_in_the_source_is_in_the_vocabulary():
    """Whatever is assigned to, compared with or given as ``status`` is one of the words."""
    found = set()
    for path in (Path(df.__file__).parent).rglob("*.py"):
        if "experiments" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword):
                targets = [node.arg]
            else:
                targets = [ast.unparse(each) for each in getattr(node, "targets", [])]
            if "status" in targets:
                words = [
                    each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)
                ]
                found |= {word for word in words if isinstance(word, str)}
    assert len(found) >= 4
    assert found <= set(STATUSES)


def test_require():
    good, bad = df.flow_limit(PROBLEM, MODEL), df.flow_limit(NOTHING, MODEL)
    assert require(good) is good
    with pytest.raises(RuntimeError, match="LimitResult: infeasible: "):
        require(bad)


def test_page_of_statuses_says_the_same():
    page = Path(__file__).parents[2] / "docs" / "api" / "statuses.rst"
    rows = [line.split("``") for line in page.read_text("utf-8").splitlines() if line[:2] == "``"]
    assert {row[1]: row[2].strip() for row in rows} == STATUSES

"""A small seeded part of the fuzz, and the references against cases with known answers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.exact import basis_pursuit, floats, least_squares, rational_matrix
from tests.fuzz.many_digits import Flow, reference
from tests.fuzz.problems import DEPTHS, KINDS, case
from tests.fuzz.run import run

ROOT = Path(__file__).parents[2]
SEED = 20211220
# Numbers of problems that some version of the solver got wrong.
SEEN = (55, 68, 93, 125, 137, 146, 184, 254, 289, 308, 384, 704, 855, 1147, 1230, 1281, 1399, 2068)
SEEN += (
    20000,
    20037,
    20286,
    20390,
    20546,
    21298,
    21417,
    21549,
    22857,
    23187,
    100180,
    100284,
    101733,
)
# Solved by: an exact rank of what is not zero in every solution; a second, cautious run; steps in
# which the curve is not reached before A x = y is.
ONCE_STALLED = (20793, 21430, 42761, 43099, 41149, 44243, 44300)


@pytest.mark.parametrize("part", range(len(KINDS)))
def test_first_problems(part):
    """Each kind of matrix at every depth."""
    numbers = range(part, len(KINDS) * len(DEPTHS), len(KINDS))
    wrong = {n: row["notes"] for n in numbers if (row := run("limit", SEED, n))["faults"]}
    assert not wrong


@pytest.mark.parametrize("number", SEEN)
def test_problems_once_wrong(number):
    """They stay right."""
    row = run("limit", SEED, number)
    assert not row["faults"], row["notes"]


@pytest.mark.parametrize("number", ONCE_STALLED)
def test_problems_once_stalled(number):
    """They are solved, and right."""
    row = run("limit", SEED, number)
    assert row["status"] == "converged"
    assert row["judged_x"]
    assert not row["faults"], row["notes"]


def test_problems_are_reproducible():
    """Each problem depends on its number alone."""
    first, second = case(SEED, 77), case(SEED, 77)
    np.testing.assert_array_equal(first.A, second.A)
    np.testing.assert_array_equal(first.y, second.y)
    assert first.flow == second.flow


# The references


def test_exact_minimum():
    """min |x_1| + |x_2| with x_1 + 2 x_2 = 2 is 1, at (0, 1)."""
    A, y = np.array([[1.0, 2.0]]), np.array([2.0])
    least = least_squares(A, y, positive=False)
    found = basis_pursuit(rational_matrix(A), least.target, least.z, positive=False)
    assert found.value == 1
    np.testing.assert_array_equal(floats(found.x), [0, 1])


def test_exact_nonnegative_least_squares():
    """The point of the quadrant nearest to (1, -1), and where its gradient vanishes."""
    least = least_squares(np.eye(2), np.array([1.0, -1.0]), positive=True)
    assert (least.feasible, least.columns) == (False, [0])
    np.testing.assert_array_equal(floats(least.z), [1, 0])


@pytest.mark.parametrize("alpha", [10.0, 0.1, 1e-12])
def test_many_digits_on_a_closed_form(alpha):
    """A = (1, -1): the dual variables are opposite, x_1 x_2 = alpha^4, x_1 - x_2 = y (depth 2)."""
    y = 0.1
    root = np.hypot(y, 2 * alpha**2)
    flow = Flow(2.0, float(np.log(alpha)), True)
    found = reference(np.array([[1.0, -1.0]]), np.array([y]), flow)
    right = np.array([(root + y) / 2, 2 * alpha**4 / (root + y)])
    np.testing.assert_allclose(found.x, right, rtol=1e-12)


def test_a_wrong_answer_is_noticed():
    """The judge finds fault with a limit that is off, a bound too high, a status that is false."""
    from dataclasses import replace

    import deepfact as df
    from tests.fuzz.judge import judge_limit

    problem = df.gaussian_problem(M=4, N=9, s=2, seed=0)
    limit = df.flow_limit(problem, df.DeepFactorization(3, log_alpha=-3.0))
    flow = Flow(3.0, -3.0, False)
    right = reference(problem.A, problem.y, flow, (limit.x, limit.dual))

    def faults(**changes):
        changed = replace(limit, **changes)
        return judge_limit(problem.A, problem.y, flow, changed, right).faults

    assert faults() == []
    assert "x" in faults(x=limit.x * (1 + 1e-4))
    assert faults(status="infeasible") == ["status"]
    Q = int(right.minimum.p) / int(right.minimum.q)
    assert faults(lower_bound=Q * (1 + 1e-15)) == ["lower"]
    assert faults(l1_norm=Q * (1 - 1e-13)) == ["upper"]
    assert faults(residual=0.5) == ["residual"]


def test_command_resumes(tmp_path):
    """Two processes, rows in a file; a second run finds them and adds what is missing."""
    rows = tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "tests.fuzz", "--rows", rows, "--processes", "2", "--count"]
    for count in ("2", "3"):
        done = subprocess.run(
            [*command, count], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = [json.loads(line)["number"] for line in rows.read_text().splitlines()]
        assert sorted(found) == list(range(int(count)))
    assert f"all | {count} |" in done.stdout

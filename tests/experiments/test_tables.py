"""Tables as dicts of columns."""

import numpy as np
import pytest

from deepfact.experiments.tables import from_rows, groups, join, select

TABLE = from_rows(
    [
        {"depth": 3.0, "kind": "b", "error": 1.0},
        {"depth": 2.0, "kind": "a", "error": 2.0},
        {"depth": 3.0, "kind": "a", "error": 3.0},
        {"depth": 3.0, "kind": "b", "error": 4.0},
    ]
)


def test_rows_become_columns():
    assert list(TABLE) == ["depth", "kind", "error"]
    assert TABLE["error"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": 1}], [{"a": 1}, {"a": 1, "b": 2}]])
def test_rows_must_agree(rows):
    with pytest.raises(ValueError, match="rows must"):
        from_rows(rows)


def test_select_by_value_and_by_mask():
    assert select(TABLE, depth=3, kind="b")["error"].tolist() == [1, 4]
    assert select(TABLE, kind="a", where=TABLE["error"] > 2)["error"].tolist() == [3]
    assert select(TABLE, depth=7)["error"].size == 0


def test_groups_come_in_the_order_of_the_rows_and_hold_all_of_them():
    found = groups(TABLE, "depth", "kind")
    assert [values for *values, _ in found] == [[3, "b"], [2, "a"], [3, "a"]]
    assert found[0][-1]["error"].tolist() == [1, 4]
    assert sum(len(part["error"]) for *_, part in found) == 4


def test_join():
    both = join(TABLE, select(TABLE, depth=2))
    assert both["error"].tolist() == [1, 2, 3, 4, 2]
    assert np.array_equal(both["kind"], [*TABLE["kind"], "a"])

"""Tables as dicts of columns of one length: from rows, rows chosen by value, groups of rows."""

import numpy as np

__all__ = ["from_rows", "groups", "join", "select", "series"]


def from_rows(rows):
    """Make a table of rows.

    Parameters
    ----------
    rows : list of dict
        At least one, all with the same keys in the same order.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        A column for each key.

    Raises
    ------
    ValueError
        If there is no row, or the keys differ.
    """
    if not rows:
        raise ValueError("rows must not be empty")
    if any(list(row) != list(rows[0]) for row in rows):
        raise ValueError("rows must all have the same keys")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def join(*tables):
    """Put the rows of tables with the same columns below each other.

    Parameters
    ----------
    *tables : dict of str to ndarray
        At least one.

    Returns
    -------
    dict of str to ndarray
        The columns of the first table, each with the rows of all.
    """
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def select(table, **values):
    """Return the rows whose columns have these values.

    Parameters
    ----------
    table : dict of str to ndarray of shape (K,)
        The table.
    **values : object
        Value of a column, or a boolean array of shape (K,) under the name ``where``.

    Returns
    -------
    dict of str to ndarray
        The chosen rows, in their order.
    """
    chosen = np.ones(len(next(iter(table.values()))), dtype=bool)
    for name, value in values.items():
        chosen &= value if name == "where" else table[name] == value
    return {name: column[chosen] for name, column in table.items()}


def groups(table, *names):
    """Split a table by the values of some columns.

    Parameters
    ----------
    table : dict of str to ndarray of shape (K,)
        The table.
    *names : str
        The columns.

    Returns
    -------
    list of tuple
        For each combination of values, in the order of its first row: the values, one after
        another, and the table of its rows.
    """
    found = list(dict.fromkeys(zip(*(table[name].tolist() for name in names), strict=True)))
    return [(*values, select(table, **dict(zip(names, values, strict=True)))) for values in found]


def series(panel, name, x, y):
    """Return one line of a figure as rows of a table.

    Parameters
    ----------
    panel : str
        The panel.
    name : str
        The line.
    x : array_like of shape (K,)
        Places.
    y : array_like of shape (K,) or float
        Values.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        Columns ``panel``, ``series``, ``x`` and ``y``.
    """
    x = np.asarray(x, dtype=float)
    return {
        "panel": np.full(x.shape, panel),
        "series": np.full(x.shape, name),
        "x": x,
        "y": np.broadcast_to(np.asarray(y), x.shape),
    }

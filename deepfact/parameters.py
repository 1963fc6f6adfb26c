"""Parameters of a notebook: each is of the kind of its default.

Jupyter and papermill take any value: one that does not fit must not end in an error that names
something else.
"""

from __future__ import annotations

import ast
import re
import sys

_INFINITY = re.compile(r"\b(?:np|math)\.inf\b|float\('inf'\)")  # which are no literals


def assigned(source: str) -> dict:
    """Return what some code assigns to names, as far as these values are literals.

    Parameters
    ----------
    source : str
        Python code.

    Returns
    -------
    dict
        Values by name; infinity is a literal here.
    """
    values = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            text = _INFINITY.sub("1e999", ast.unparse(statement.value))
            try:
                value = ast.literal_eval(text)
            except ValueError:
                continue
            values |= {each.id: value for each in statement.targets if isinstance(each, ast.Name)}
    return values


def kind(value) -> str:
    """Say of which kind a value is. Of lists only the depth counts: [2, 3] may become [2.5].

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        The kind, to be read after "must be".
    """
    if isinstance(value, list | tuple):
        inner = kind(value[0]) if value else ""
        return "a list of lists" if inner.startswith("a list") else "a list"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "true or false" if isinstance(value, bool) else "something else"
    return "a whole number" if isinstance(value, int) else "a number"


def check_kinds(defaults: dict, values: dict, where: str = "") -> None:
    """Check that each value is of the kind of its default: a list for a list, a number for one.

    Parameters
    ----------
    defaults, values : dict
        By name; names without a default are passed over.
    where : str, optional
        What the message begins with (default: nothing).

    Raises
    ------
    ValueError
        If a value is of another kind (a whole number is a number too), or the seed is negative.
    """
    for name, default in defaults.items():
        if name not in values:
            continue
        value, wanted = values[name], kind(default)
        if kind(value) != wanted and (kind(value), wanted) != ("a whole number", "a number"):
            raise ValueError(f"{where}{name} must be {wanted}, got {value!r}")
        if name == "seed" and value < 0:
            raise ValueError(f"{where}seed must be at least 0, got {value!r}")


def check_session() -> None:
    """Check the parameters of the notebook that is running, if one is.

    Its defaults are in the cell that first assigns ``stop_if_violated``. Later cells, such as the
    one that papermill puts behind it, may have assigned others.

    Raises
    ------
    ValueError
        As `check_kinds`.
    """
    shell = "IPython" in sys.modules and sys.modules["IPython"].get_ipython()
    if not shell:
        return
    for source in shell.user_ns.get("In", []):
        try:
            defaults = assigned(source)
        except SyntaxError:  # a magic command
            continue
        if "stop_if_violated" in defaults:
            check_kinds(defaults, shell.user_ns)
            return

"""Which parameters a notebook takes: papermill only warns of a name that it does not know."""

import ast
import json
import re

INFINITY = re.compile(r"\b(?:np|math)\.inf\b|float\('inf'\)")  # which are no literals


def parameters(path):
    """Return the values that the cell tagged "parameters" assigns, by name."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    values = {}
    for statement in ast.parse("\n".join("".join(cell["source"]) for cell in tagged)).body:
        if isinstance(statement, ast.Assign):
            value = INFINITY.sub("1e999", ast.unparse(statement.value))
            values |= {target.id: ast.literal_eval(value) for target in statement.targets}
    return values


def check_parameters(path, values):
    """Raise ValueError if the configuration does not fit a notebook.

    Each of its parameters must be one of the notebook's, and of the kind of the default: a list for
    a list, a number for a number, a whole one where the default is.
    """
    if not path.exists():
        raise ValueError(f"notebooks: {path.stem} is listed, but there is no {path}")
    defaults = parameters(path)
    unknown = sorted(values.keys() - defaults.keys())
    if unknown:
        known = ", ".join(sorted(defaults))
        raise ValueError(f"notebooks, {path.stem}: no parameter {', '.join(unknown)}, only {known}")
    for name, value in values.items():
        wanted = kind(defaults[name])
        if kind(value) != wanted and (kind(value), wanted) != ("a whole number", "a number"):
            raise ValueError(f"notebooks, {path.stem}: {name} must be {wanted}, got {value!r}")


def kind(value):
    """Say of which kind a value is. Of lists only the depth counts: [2, 3] may become [2.5]."""
    if isinstance(value, list | tuple):
        inner = kind(value[0]) if value else ""
        return "a list of lists" if inner.startswith("a list") else "a list"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "true or false" if isinstance(value, bool) else "something else"
    return "a whole number" if isinstance(value, int) else "a number"

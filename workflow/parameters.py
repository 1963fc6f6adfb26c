"""Which parameters a notebook takes: papermill only warns of a name that it does not know."""

import ast
import json


def parameters(path):
    """Return the names that the cell tagged "parameters" assigns."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    tree = ast.parse("".join("".join(cell["source"]) for cell in tagged))
    return {node.id for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)}


def check_parameters(path, values):
    """Raise ValueError if the configuration has a parameter that its notebook does not have."""
    if not path.exists():
        raise ValueError(f"notebooks: {path.stem} is listed, but there is no {path}")
    unknown = sorted(values.keys() - parameters(path))
    if unknown:
        known = ", ".join(sorted(parameters(path)))
        raise ValueError(f"notebooks, {path.stem}: no parameter {', '.join(unknown)}, only {known}")

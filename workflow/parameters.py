"""Which parameters a notebook takes: papermill only warns of a name that it does not know."""

import json

from deepfact.parameters import assigned, check_kinds


def parameters(path):
    """Return the values that the cell tagged "parameters" assigns, by name."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    return assigned("\n".join("".join(cell["source"]) for cell in tagged))


def check_parameters(path, values):
    """Raise ValueError if the configuration does not fit a notebook.

    Each of its parameters must be one of the notebook's, and of the kind of the default.
    """
    if not path.exists():
        raise ValueError(f"notebooks: {path.stem} is listed, but there is no {path}")
    defaults = parameters(path)
    unknown = sorted(values.keys() - defaults.keys())
    if unknown:
        known = ", ".join(sorted(defaults))
        raise ValueError(f"notebooks, {path.stem}: no parameter {', '.join(unknown)}, only {known}")
    check_kinds(defaults, values, where=f"notebooks, {path.stem}: ")

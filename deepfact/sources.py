"""Which files of the package a piece of code depends on, read from its imports."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent


def core() -> list[Path]:
    """Return the files of the package without its experiments, in order.

    Returns
    -------
    list of Path
        What every notebook depends on.
    """
    return sorted(p for p in PACKAGE.rglob("*.py") if PACKAGE / "experiments" not in p.parents)


def sources(code: str) -> list[Path]:
    """Return the files of the package that code imports, directly or through one another.

    An ``__init__.py`` is taken for a list of re-exports: a name that it has from a module leads to
    that module alone. The package as a whole (``import deepfact as df``) is its core, see `core`.

    Parameters
    ----------
    code : str
        Python code, which is parsed, not run.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    ImportError
        If the code imports from the package what is not there.
    SyntaxError
        If the code cannot be parsed.
    """
    found: set[Path] = set()
    waiting = [path for imported in _imports(code) for path in _files(*imported)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            imports = _imports(path.read_text(encoding="utf-8"))
            waiting += [other for imported in imports for other in _files(*imported)]
    return sorted(found)


def _imports(code: str) -> list[tuple[str, str | None]]:
    """Return module and name of each import from the package; the name is None for a module."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [(node.module, alias.name) for alias in node.names]
    return [item for item in found if item[0].split(".")[0] == PACKAGE.name]


def _files(module: str, name: str | None) -> list[Path]:
    """Return the file of a module, or of the module that a package has a name from."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    if path.with_suffix(".py").exists():
        return [path.with_suffix(".py")]
    if not (path / "__init__.py").exists():
        raise ImportError(f"there is no module {module}")
    if name is None:
        return core() if path == PACKAGE else sorted(path.rglob("*.py"))
    if (path / f"{name}.py").exists() or (path / name).is_dir():
        return _files(f"{module}.{name}", None)
    tree = ast.parse((path / "__init__.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _files(node.module, alias.name)
    return _files(module, None)

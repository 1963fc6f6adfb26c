"""The house: which file may import which, how long a file is, what is loaded at first."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import deepfact

ROOT = Path(__file__).parents[2]
MOST_LINES = 400

# Rooms from the ground up: a file imports from its own room and from lower ones only. A name is
# a file or a folder of the package, longest first.
FLOORS = (
    ("arguments", "parameters", "statuses", "figures", "sources", "error_free"),
    ("problem", "mirror_map", "checks"),
    ("deep_factorization", "other_maps"),
    ("divergence", "l1_program", "lasso", "theory"),
    ("l1_solutions",),
    ("rates", "l1_minimisation", "limit"),
    ("dynamics", "lifting"),
    ("recovery",),
    ("experiments",),
)
FLOOR = {name: k for k, names in enumerate(FLOORS) for name in names}
# Within the building: pairs (room, what it knows nothing of), beyond what the floors say.
STRANGERS = {
    # The risk of a flow is a function of its mirror map, whichever that is.
    "theory": {"dynamics", "limit", "recovery", "experiments", "deep_factorization"},
    "limit": {"theory", "dynamics", "l1_minimisation"},
    "l1_minimisation": {"limit", "dynamics", "theory", "deep_factorization"},
}


def modules():
    """Return the path of each module of the package by its name without ``deepfact.``."""
    found = {}
    for path in sorted((ROOT / "deepfact").rglob("*.py")):
        parts = path.relative_to(ROOT / "deepfact").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:  # the package itself re-exports everything
            found[name] = path
    return found


MODULES = modules()


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path):
    """Return (module, names) of every import from the package, anywhere in the file."""
    found = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append((node.module, [alias.name for alias in node.names]))
    inside = [(name, names) for name, names in found if name.split(".")[0] == "deepfact"]
    return [(name.partition(".")[2], names) for name, names in inside]


def arrows():
    """Return the set of pairs (module, module that it imports)."""
    found = set()
    for name, path in MODULES.items():
        for target, names in imports_of(path):
            modules = [".".join(filter(None, (target, each))) for each in names]
            named = [each for each in modules if each in MODULES]
            if target and len(named) < len(names) + (not names):
                named.append(target)
            found |= {(name, each) for each in named}
    return sorted(found)


def room_of(name):
    return name.split(".")[0]


def python_files():
    folders = [ROOT / name for name in ("deepfact", "workflow")]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def test_no_file_is_too_long():
    lines = {
        str(p.relative_to(ROOT)): len(p.read_text("utf-8").split("\n")) for p in python_files()
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_every_room_has_a_floor():
    assert {room_of(name) for name in MODULES} == set(FLOOR)


def test_no_arrow_runs_up():
    rooms = {arrow: tuple(map(room_of, arrow)) for arrow in arrows()}
    assert [arrow for arrow, (room, other) in rooms.items() if FLOOR[other] > FLOOR[room]] == []
    assert [
        arrow for arrow, (room, other) in rooms.items() if other in STRANGERS.get(room, ())
    ] == []


def test_no_circle():
    """Modules can be put in an order in which each imports earlier ones only."""
    needs = {name: set() for name in MODULES}
    for name, target in arrows():
        if not name.startswith(target + "."):  # a package re-exports what it holds
            needs[name].add(target)
        assert name != target
    while free := [name for name, targets in needs.items() if not targets]:
        for name in free:
            del needs[name]
        for targets in needs.values():
            targets -= set(free)
    assert not needs


def _own_names(tree):
    """Return all names that a file defines: functions, classes, methods, attributes, variables."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # object.__setattr__(self, "_name", value)
    return found


def private(name):
    return name.startswith("_") and not name.endswith("__")


def test_no_private_name_of_another_file():
    taken = []
    for path in python_files():
        tree = tree_of(path)
        names = {name for _, names in imports_of(path) for name in names}
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        foreign = names | (used - _own_names(tree))
        taken += [(str(path.relative_to(ROOT)), name) for name in foreign if private(name)]
    assert sorted(taken) == []


def test_no_function_shadows_a_module():
    for info in pkgutil.walk_packages(deepfact.__path__, "deepfact."):
        package, _, name = info.name.rpartition(".")
        importlib.import_module(info.name)
        assert getattr(importlib.import_module(package), name) is sys.modules[info.name]


def test_import_is_light():
    """What takes long to load is loaded by the functions that need it."""
    heavy = ("cvxpy", "matplotlib", "highspy", "scipy.stats", "joblib", "pandas", "sklearn")
    code = f"import sys, deepfact; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == []


def test_maps_are_asked_what_they_can_do():
    """Only what needs the factors themselves knows the class that has them."""
    rooms = [name for name in MODULES if room_of(name) in ("limit", "divergence", "dynamics")]
    assert len(rooms) > 20
    knows = {
        name
        for name in rooms
        if any("DeepFactorization" in names for _, names in imports_of(MODULES[name]))
    }
    assert knows == {
        f"dynamics.{name}" for name in ("factor_flow", "gradient_descent", "near_limit")
    }


def test_older_names_are_for_others():
    """Outside code may rely on them; the package itself has one name a thing."""
    old = {"log_init_scale_bound", "log_l1_gap_bound", "log_l1_gap_bound_sharp", "log_escape_time"}
    assert [name for name, target in arrows() if target == "rates"] == []
    used = []
    for name, path in MODULES.items():
        if name in ("rates", "theory", "theory.logarithms"):  # where they are defined
            continue
        nodes = list(ast.walk(tree_of(path)))
        names = {each for _, names in imports_of(path) for each in names}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        keywords = {node.arg for node in nodes if isinstance(node, ast.keyword)}
        used += [(name, each) for each in (names & old) | (keywords & {"nonnegative"})]
    assert used == []

"""Which files code depends on: for the notebooks' jobs and for the stamp of checkpoints."""

import inspect
import shutil
import sys
from pathlib import Path

import pytest

from deepfact import recovery, sources
from workflow.configuration import notebook_dependencies

ROOT = Path(__file__).parents[2]
TOY = {
    "__init__.py": "from deepfact.a import f\nfrom deepfact.part import g\n",
    "a.py": "def f():\n    import deepfact.b\n",
    "b.py": "import numpy\n",
    "c.py": "from deepfact import b, f\n",
    "part/__init__.py": "from deepfact.part.one import g as g\nfrom deepfact.part.two import h\n",
    "part/one.py": "",
    "part/two.py": "from deepfact.part.one import g\n",
    "experiments/__init__.py": "",
    "experiments/x.py": "from deepfact.part import h\nfrom deepfact.experiments import y\n",
    "experiments/y.py": "from deepfact.experiments import x\n",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    folder = tmp_path / "deepfact"
    for name, text in TOY.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(sources, "PACKAGE", folder)
    return folder


CORE = {name for name in TOY if not name.startswith("experiments/")}


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import numpy as np\nfrom numpy import linalg", set()),
        ("import deepfact.b", {"b.py"}),
        ("from deepfact.a import f", {"a.py", "b.py"}),
        ("from deepfact import f", {"a.py", "b.py"}),
        ("import deepfact.c as c", {"a.py", "b.py", "c.py"}),
        ("from deepfact import g", {"part/one.py"}),
        ("from deepfact.part import h", {"part/one.py", "part/two.py"}),
        ("from deepfact.part import two", {"part/one.py", "part/two.py"}),
        ("import deepfact.part", {name for name in TOY if name.startswith("part/")}),
        ("import deepfact as df", CORE),
        ("from deepfact import something", CORE),
        (
            "from deepfact.experiments.x import z",
            {"experiments/x.py", "experiments/y.py", "part/one.py", "part/two.py"},
        ),
    ],
)
def test_files_of_imports(toy, code, files):
    assert sources.sources(code) == sorted(toy / name for name in files)


def test_module_that_is_not_there(toy):  # noqa: ARG001
    with pytest.raises(ImportError, match=r"deepfact\.none"):
        sources.sources("import deepfact.none")


def test_core_has_no_experiments(toy):
    assert sources.core() == sorted(toy / name for name in CORE)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebook_depends_on_the_core_and_on_experiments_it_needs(path):
    found = {ROOT / name for name in notebook_dependencies(path)}
    assert set(sources.core()) < found  # each has an experiment of its own


def test_sources_are_the_modules_that_are_used():
    """What a module uses at run time is looked up without reading any import."""
    used, waiting = set(), [recovery]
    while waiting:
        module = waiting.pop()
        used.add(Path(module.__file__))
        for value in vars(module).values():
            home = sys.modules.get(getattr(value, "__module__", None) or "")
            home = value if inspect.ismodule(value) else home
            if getattr(home, "__name__", "").startswith("deepfact.") and (
                Path(home.__file__) not in used and home not in waiting
            ):
                waiting.append(home)
    found = set(sources.sources("import deepfact.recovery"))
    assert used <= found


def test_any_of_its_sources_changes_the_stamp_of_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PACKAGE", tmp_path / "deepfact")
    shutil.copytree(ROOT / "deepfact", tmp_path / "deepfact")
    first = recovery._stamp(20, ())
    assert recovery._stamp(20, ()) == first
    names = {path.name for path in sources.sources("import deepfact.recovery")}
    assert {"recovery.py", "mirror_map.py", "matrix_free.py"} < names
    for path in sources.sources("import deepfact.recovery"):
        code = path.read_bytes()
        path.write_bytes(code + b"\n")
        assert recovery._stamp(20, ()) != first, path
        path.write_bytes(code)
    (tmp_path / "deepfact/figures.py").write_bytes(b"")
    assert recovery._stamp(20, ()) == first

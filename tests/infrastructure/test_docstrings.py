"""Docstrings agree with signatures, say what is raised, and name their statement."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

import deepfact

docscrape = pytest.importorskip("numpydoc.docscrape")
ClassDoc, FunctionDoc = docscrape.ClassDoc, docscrape.FunctionDoc

ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
    for name in ("statements", "overparameterization")
}
STATEMENTS, PART_2 = PAGES.values()
KEYS = {name: re.findall(r"^## ([ST]\d+)", text, re.MULTILINE) for name, text in PAGES.items()}
# Modules whose functions are mathematics: each names a statement, a section or a reference; so do
# the public functions of these others, while their helpers need not.
MATHEMATICS = {"l1_minimisation", "recovery", "theory"}
DYNAMICS = {"divergence", "dynamics", "limit"}
CHECKS = {"as_real_array", "as_real_number", "as_count", "as_numbers", "as_flag", "as_depth"}
CHECKS |= {
    "as_log_alpha",
    "as_times",
    "as_tolerance",
    "as_signed",
    "check_fit",
    "check_problem",
    "require",
}


def public_objects():
    """Return every public name of the package and every public function of its flat modules."""
    found = {}
    for name in deepfact.__all__:
        value = getattr(deepfact, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            found[f"{value.__module__}.{value.__name__}"] = value
    for info in pkgutil.walk_packages(deepfact.__path__, "deepfact."):
        if info.ispkg:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == info.name
            if own and not name.startswith("_") and inspect.isroutine(value):
                found[f"{info.name}.{name}"] = value
    return [pytest.param(value, id=name) for name, value in sorted(found.items())]


def documented_methods():
    """Return the public methods, with documented parameters, of the public classes."""
    found = {}
    for name in deepfact.__all__:
        value = getattr(deepfact, name)
        if inspect.isclass(value):
            for key, method in inspect.getmembers(value, inspect.isfunction):
                if not key.startswith("_"):
                    found[f"{name}.{key}"] = method
    return [pytest.param(value, id=name) for name, value in sorted(found.items())]


def signature_names(value):
    names = []
    for parameter in inspect.signature(value).parameters.values():
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
        names.append(prefix.get(parameter.kind, "") + parameter.name)
    return [name for name in names if name not in ("self", "cls")]


def documented_names(doc, section="Parameters"):
    return [name.strip() for entry in doc[section] for name in entry.name.split(",")]


def parsed(value):
    return ClassDoc(value) if inspect.isclass(value) else FunctionDoc(value)


def source_tree(value):
    return ast.parse(textwrap.dedent(inspect.getsource(value)))


def raises_something(tree):
    """Whether the code raises, other than again, or calls one of the argument checks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in CHECKS:
            return True
    return False


def returns_something(tree):
    nodes = [tree.body[0]]
    while nodes:
        for node in ast.iter_child_nodes(nodes.pop()):
            if isinstance(node, ast.Return) and node.value is not None:
                return True
            if isinstance(node, (ast.Yield, ast.YieldFrom)):
                return True
            if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
                nodes.append(node)
    return False


@pytest.mark.parametrize("value", public_objects())
def test_docstring_agrees_with_signature(value):
    assert inspect.getdoc(value), "no docstring"
    doc = parsed(value)
    summary = " ".join(doc["Summary"])
    assert summary.endswith("."), "the summary is one sentence on one line"
    assert len(doc["Summary"]) == 1
    if inspect.isclass(value) and inspect.isabstract(value):
        return
    assert documented_names(doc) == signature_names(value)
    for entry in doc["Parameters"]:
        assert entry.type, f"{entry.name} has no type"
        assert entry.desc, f"{entry.name} is not described"


@pytest.mark.parametrize("value", public_objects())
def test_optional_parameters_say_so(value):
    """A parameter is called optional, or shows its None, exactly where it has a default."""
    types = {
        name.strip(): entry.type
        for entry in parsed(value)["Parameters"]
        for name in entry.name.split(",")
    }
    for parameter in inspect.signature(value).parameters.values():
        if parameter.name not in types:
            continue
        if parameter.default is not parameter.empty:
            assert re.search(r"optional|default", types[parameter.name]), parameter.name
        else:
            assert "optional" not in types[parameter.name], parameter.name


@pytest.mark.parametrize(
    "value", [case for case in public_objects() if not inspect.isclass(case.values[0])]
)
def test_returns_and_raises_sections(value):
    doc, tree = parsed(value), source_tree(value)
    if returns_something(tree):
        assert doc["Returns"] or doc["Yields"], "returns a value, without a section Returns"
    else:
        assert not doc["Returns"], "returns nothing, but has a section Returns"
    if raises_something(tree):
        assert doc["Raises"], "raises, without a section Raises"


@pytest.mark.parametrize(
    "value", [case for case in public_objects() if inspect.isclass(case.values[0])]
)
def test_classes_that_check_their_arguments_say_so(value):
    tree = source_tree(value)
    checks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in ("__init__", "__post_init__")
    ]
    if any(raises_something(node) for node in checks):
        assert parsed(value)["Raises"]


@pytest.mark.parametrize("method", documented_methods())
def test_methods(method):
    assert inspect.getdoc(method), "no docstring"
    names = documented_names(parsed(method))
    assert not names or names == signature_names(method)


def mathematical_functions():
    found = []
    for case in public_objects():
        value = case.values[0]
        module = value.__module__.split(".")[1]
        exported = value.__name__ in deepfact.__all__
        if not inspect.isclass(value) and (
            module in MATHEMATICS or (module in DYNAMICS and exported)
        ):
            found.append(case)
    return found


@pytest.mark.parametrize("value", mathematical_functions())
def test_mathematics_names_its_source(value):
    text = " ".join(inspect.getdoc(value).split())
    named = set(re.findall(r"``docs/(\w+)\.md``", text)) & PAGES.keys()
    assert named
    keys = re.findall(r"\b[ST]\d+\b", text)
    sections = re.findall(r'[Ss]ection "([^"]+)"', text)
    assert keys or sections
    assert set(keys) <= {key for name in named for key in KEYS[name]}
    for section in sections:
        assert any(f"\n## {section}\n" in PAGES[name] for name in named)
    for number in re.findall(r"arXiv:(\d+\.\d+)", text):
        assert f"arXiv:{number}" in STATEMENTS


def test_modules_have_docstrings():
    for info in pkgutil.walk_packages(deepfact.__path__, "deepfact."):
        assert importlib.import_module(info.name).__doc__, info.name


def test_public_names_are_sorted_and_complete():
    assert sorted(deepfact.__all__) == sorted(set(deepfact.__all__))
    assert len(set(deepfact.__all__)) == len(deepfact.__all__)
    for name in deepfact.__all__:
        assert hasattr(deepfact, name)


def test_statements_pages_have_every_key_once_and_in_order():
    headings = re.findall(r"^## (.+)$", STATEMENTS, flags=re.MULTILINE)
    assert headings[:2] == ["Conventions", "Dual picture"]
    assert headings[-3:] == ["Neighbours", "Numerics", "References"]
    assert [heading.split()[0] for heading in headings[2:-3]] == [f"S{k}" for k in range(1, 15)]
    numbers = [int(key[1:]) for key in KEYS["overparameterization"]]
    assert numbers == sorted(set(numbers))
    for text in PAGES.values():
        for section in re.findall(r"^## [ST]\d.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
            assert "*Checked by*" in section, section[:40]
            assert re.search(r"\*Origin|\(\*here\*\)", section), section[:40]


def test_statements_pages_cite_what_the_first_lists():
    body, references = STATEMENTS.split("\n## References\n")
    listed = re.findall(r"^- \*\*\[(.+?)\]\*\* ", references, flags=re.MULTILINE)
    assert listed == sorted(listed, key=str.lower)
    cited = set(re.findall(r"\[([A-Z][A-Za-z]+\+?\d\d)[,\]]", body + PART_2))
    assert cited == set(listed)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in PAGES.items()])
def test_statements_pages_number_nothing_of_the_paper(text):
    assert not re.search(r"(?i)\b(theorem|lemma|proposition|corollary|figure)\s+\d", text)
    assert not re.search(r"\.\./", text)
    assert text.count("$$") % 2 == 0
    for paragraph in re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL).split("\n"):
        assert paragraph.count("$") % 2 == 0, paragraph

"""What papermill, nbval, the workflow and readers rely on in every notebook."""

import ast
import importlib
import re
from pathlib import Path

import nbformat
import papermill
import pytest

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF_THE_WORKFLOW = {
    "seed": 0,
    "figures_dir": None,
    "results_dir": None,
    "stop_if_violated": True,
}


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_there_are_notebooks():
    assert PATHS


def test_format_kernel_and_ids(notebook):
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    # The name that JupyterLab writes: saving a notebook there changes nothing.
    assert notebook.metadata.kernelspec.display_name == "Python 3 (ipykernel)"
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.kernelspec.language == "python"
    assert [cell.id for cell in notebook.cells] == [f"c{k:02d}" for k in range(len(notebook.cells))]


def test_starts_with_a_title(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")


def test_parameters_cell(notebook):
    """One cell of plain assignments of literals, with the parameters that the workflow sets."""
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        (target,) = statement.targets
        value = ast.unparse(statement.value).replace("np.inf", "1e999")
        value = value.replace("math.inf", "1e999").replace("float('inf')", "1e999")
        parameters[target.id] = ast.literal_eval(value)
    assert {key: parameters.get(key, ...) for key in OF_THE_WORKFLOW} == OF_THE_WORKFLOW


def test_imports_the_package_at_its_top(notebook):
    assert any(
        re.search(r"^import deepfact as df$", cell.source, re.MULTILINE)
        for cell in code_cells(notebook)[:2]
    )


def test_takes_its_work_from_the_experiment_of_its_name(notebook, path):
    (names,) = (
        [alias.name for alias in node.names]
        for node in ast.walk(ast.parse(code_cells(notebook)[0].source))
        if isinstance(node, ast.ImportFrom) and node.module == "deepfact.experiments"
    )
    assert path.stem[3:] in names
    found = set()
    for name in names:
        found |= set(vars(importlib.import_module(f"deepfact.experiments.{name}")))
    assert {"checks", "figure"} <= found
    assert any(name.startswith("measure") for name in found)


def test_names_itself_once_in_its_record(notebook, path):
    source = "\n".join(cell.source for cell in code_cells(notebook))
    record = f'record = df.Record("{path.stem}", figures_dir, results_dir, stop_if_violated)'
    assert source.count(record) == source.count(path.stem) == 1
    tags = [cell.metadata.get("tags", []) for cell in code_cells(notebook)]
    behind = tags.index(["parameters"]) + 1
    assert code_cells(notebook)[behind].source.startswith(record)  # it checks the parameters
    assert "record.check(" in source
    assert source.count("record.figure(") == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("trials", 3.0, "trials must be a whole number, got 3.0"),
        ("seed", -1, "seed must be at least 0, got -1"),
        ("depths", 3, "depths must be a list, got 3"),
    ],
)
def test_papermill_names_a_parameter_of_the_wrong_kind(tmp_path, name, value, message):
    path = ROOT / "notebooks/13_depth_side_by_side.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match=message):
        papermill.execute_notebook(
            path, tmp_path / path.name, parameters={name: value}, progress_bar=False
        )


def test_ends_on_the_checked_numbers(notebook):
    last = code_cells(notebook)[-1]
    assert last.source == "# NBVAL_CHECK_OUTPUT\nrecord.finish()"
    assert last.outputs


def test_is_story_parameters_and_calls(notebook):
    """At most 60 lines of code without blank ones, no functions, loops only to show a table."""
    lines = [line for cell in code_cells(notebook) for line in cell.source.splitlines()]
    assert sum(bool(line.strip()) for line in lines) <= 60
    for node in ast.walk(ast.parse("\n".join(lines))):
        assert not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.While, ast.Lambda))
        if isinstance(node, ast.For):
            assert all(isinstance(step, ast.Expr) for step in node.body), "loops only print"
    assert sum(bool(re.search(r"\b(ax|axis|axes|plt)\w*\.", line)) for line in lines) <= 12


def test_calls_name_their_numbers(notebook):
    """Sizes, scales and seeds are parameters; a call may say 0, 1, 2 or a power of ten's base."""
    for cell in code_cells(notebook):
        if "parameters" in cell.metadata.get("tags", []):
            continue
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call):
                for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                    for node in ast.walk(value):
                        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
                            assert node.value in (0, 1, 2, 10), ast.unparse(call)


def test_is_committed_as_executed_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))


def test_outputs_are_clean(notebook):
    """No errors, no warnings, no paths of the machine that ran it, no widgets."""
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        text = output.get("text", "") + "".join(
            str(value) for kind, value in output.get("data", {}).items() if "image" not in kind
        )
        assert not re.search(r"/(home|root|tmp|Users|work)/", text)
        assert not re.search(r"0x[0-9a-f]{6}", text)
    assert "widgets" not in notebook.metadata


def test_is_small(path):
    assert path.stat().st_size < 1_000_000

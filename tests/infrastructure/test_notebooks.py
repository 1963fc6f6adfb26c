"""What papermill, nbval, the workflow and readers rely on in every notebook."""

import ast
import re
from pathlib import Path

import nbformat
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


def test_saves_under_its_own_name(notebook, path):
    source = "\n".join(cell.source for cell in code_cells(notebook))
    names = set(re.findall(r"notebook=\"(\w+)\"|\"(\d\d_\w+)\"", source))
    assert {first or second for first, second in names} == {path.stem}
    assert "save_figure(" in source
    assert "save_checks(" in source


def test_ends_on_the_checked_numbers(notebook):
    last = code_cells(notebook)[-1]
    assert "# NBVAL_CHECK_OUTPUT" in last.source
    assert "assert all(check.holds for check in checks) or not stop_if_violated" in last.source
    assert last.outputs


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

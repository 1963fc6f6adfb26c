"""The notebooks as readers meet them: in JupyterLab and in voila, driven in headless Chromium.

The server serves both, under the paths that the Binder links open. By default only the tour and the
explorer are tried; `make browser` (BROWSER=all) opens every notebook.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder for pictures of what was seen
MINUTE = 60_000  # in milliseconds, as the browser counts

IF_ALL = pytest.mark.skipif(
    os.environ.get("BROWSER") != "all", reason="takes long: `make browser` opens every notebook"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: none of " + str(NAMES))

# The project's own, and every cell is in the page even while it is not in sight.
OWN = (ROOT / "profiles/jupyterlab/overrides.json").read_text(encoding="utf-8")
CELLS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
SETTINGS = json.dumps(json.loads(OWN) | CELLS)

DONE = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')];
  return cells.length > 0 && cells.every(cell => /^\\[\\d+\\]:$/.test(cell.textContent.trim()));
}"""
PICTURES = """() => [...document.querySelectorAll('.jp-OutputArea-output img')]
  .filter(image => image.complete && image.naturalWidth > 100).length"""
ERRORS = "[data-mime-type='application/vnd.jupyter.error'], [data-mime-type$='.stderr']"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def copy_notebooks(folder):
    """Copy the notebooks without outputs: what is seen later was computed there."""
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts:
            continue
        notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, copy)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Start JupyterLab, with voila in it, on a copy; yield its address."""
    folder = tmp_path_factory.mktemp("server")
    copy_notebooks(folder)
    overrides = folder / "config/labconfig/default_setting_overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(SETTINGS, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # kernels: the package under test
    for name in ("config", "data", "runtime"):
        environment[f"JUPYTER_{name.upper()}_DIR"] = str(folder / name)
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "workspaces")
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
        f"--ServerApp.root_dir={folder}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            wait_for_answer(f"{address}/api", process, folder / "log")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_for_answer(address, process, log):
    end = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server, request):
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(2 * MINUTE)
    yield page
    if SCREENSHOTS:
        name = re.sub(r"\W+", "_", request.node.name)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
    page.close()
    for session in page_of(server, "api/sessions"):
        stop = urllib.request.Request(f"{server}/api/sessions/{session['id']}", method="DELETE")
        urllib.request.urlopen(stop, timeout=60).close()


def page_of(server, path):

    with urllib.request.urlopen(f"{server}/{path}", timeout=60) as answer:
        return json.load(answer)


def run_all_cells(page, server, notebook):
    """Open a notebook in JupyterLab, run all its cells and wait until they are done."""
    page.goto(f"{server}/lab/tree/{notebook}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    end = time.monotonic() + 120
    while not any(
        session["kernel"]["execution_state"] == "idle" and session["kernel"]["connections"]
        for session in page_of(server, "api/sessions")
    ):  # cells that are run before their kernel is there may be lost
        assert time.monotonic() < end, "no kernel"
        page.wait_for_timeout(200)
    page.wait_for_selector("#jp-main-statusbar >> text=| Idle")
    assert page.evaluate(PICTURES) == 0
    page.click("#jp-MainMenu >> text=Run")
    page.click("text=Run All Cells")
    page.wait_for_function(DONE, timeout=10 * MINUTE)
    page.wait_for_selector("#jp-main-statusbar >> text=| Idle")


@pytest.mark.parametrize(
    "notebook",
    [pytest.param(name, marks=[] if name == "00_tour" else IF_ALL) for name in NOTEBOOKS],
)
def test_notebook_runs_in_jupyterlab(page, server, notebook):
    run_all_cells(page, server, f"notebooks/{notebook}.ipynb")
    assert page.locator(ERRORS).all_text_contents() == []
    assert page.locator("text=Would you like to").count() == 0  # ... get notified about news?
    # Saved there, it is the same notebook but for its outputs.
    page.keyboard.press("Control+s")
    before = nbformat.read(ROOT / f"notebooks/{notebook}.ipynb", as_version=nbformat.NO_CONVERT)
    end = time.monotonic() + 60
    while True:
        after = page_of(server, f"api/contents/notebooks/{notebook}.ipynb")["content"]
        if any(cell.get("outputs") for cell in after["cells"]):
            break
        assert time.monotonic() < end, "not saved"
        page.wait_for_timeout(200)
    assert after["metadata"]["kernelspec"] == before.metadata.kernelspec
    keys = ("cell_type", "id", "source")
    assert [[cell[key] for key in keys] for cell in after["cells"]] == [
        [cell[key] for key in keys] for cell in before.cells
    ]
    page.wait_for_function(f"({PICTURES})() > 0")
    page.locator(".jp-OutputArea-output img").first.scroll_into_view_if_needed()
    assert page.locator(".jp-Dialog, .jp-toast-button").count() == 0  # nothing asks for attention


@pytest.mark.parametrize("path", ["voila/render", "lab/tree"])
def test_slider_of_the_explorer(page, server, path):
    """A move of a slider changes the picture and the numbers."""
    notebook = "notebooks/interactive/explorer.ipynb"
    if path == "lab/tree":
        run_all_cells(page, server, notebook)
    else:
        page.goto(f"{server}/{path}/{notebook}")
    picture, numbers = page.locator("img.widget-image"), page.locator(".widget-html div div")
    picture.wait_for()
    assert page.locator(ERRORS).all_text_contents() == []
    before = picture.get_attribute("src"), gap(numbers)
    assert before[1] > 0
    assert page.evaluate("() => document.querySelector('img.widget-image').naturalWidth") == 960
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box["x"] + box["width"] <= page.viewport_size["width"]
    assert box["width"] / box["height"] == pytest.approx(960 / 580, rel=0.01)
    start = time.monotonic()
    page.locator(".widget-slider:has-text('init scale') .noUi-handle").press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('img.widget-image').src !== before", arg=before[0]
    )
    while (after := gap(numbers)) == before[1]:
        assert time.monotonic() - start < 10
    assert time.monotonic() - start < 10
    assert after > before[1]  # a larger init scale certifies less
    assert "converged" in numbers.text_content()


def gap(numbers):
    return float(re.search(r"gap:\s*([\d.e+-]+)", numbers.text_content())[1])

"""The configuration, and the workflow itself, in copies of the project: the real one and a toy."""

import ast
import copy
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import nbformat
import pytest
import yaml

from deepfact.checks import read_checks, sort_checks
from deepfact.experiments import measurements
from workflow import manifest, recovery
from workflow.parameters import check_parameters

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "config/schema.yaml").read_text(encoding="utf-8"))
CONFIGS = {
    name: yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    for name in ("paper", "smoke")
}
NOTEBOOKS = sorted(CONFIGS["paper"]["notebooks"])
ENDINGS = ("pdf", "svg", "png", "csv")


# The configuration


def validate(config):
    jsonschema.Draft202012Validator(SCHEMA).validate(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_schema_accepts(name):
    validate(CONFIGS[name])


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "value", [1, 1.5, 1e-12, float("inf"), True, [1, 2.5], yaml.safe_load("[.inf, 1.0e-12]")]
)
def test_schema_accepts_parameter(value):
    config = copy.deepcopy(CONFIGS["paper"])
    config["notebooks"]["00_tour"]["alpha"] = value
    validate(config)


@pytest.mark.parametrize(
    "value",
    ["1.0", yaml.safe_load("1e-12"), None, {}, {"a": 1}, [], ["1"], [[1]], [True]],
    ids=repr,
)
def test_schema_rejects_parameter(value):
    config = copy.deepcopy(CONFIGS["paper"])
    config["notebooks"]["00_tour"]["alpha"] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(config)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["colour"], 1),
        (["figures_dir"], "/figures"),
        (["figures_dir"], "../figures"),
        (["figures_dir"], "figures/../.."),
        (["figures_dir"], 3),
        (["recovery", "chunks"], 0),
        (["recovery", "pieces"], 3),
        (["notebooks"], {}),
        (["notebooks", "tour"], {"seed": 0}),
        (["notebooks", "00_tour"], {}),
        (["notebooks", "00_tour", "seed"], "0"),
        (["notebooks", "00_tour", "seed"], 0.5),
        (["notebooks", "00_tour", "seed"], -1),
        (["notebooks", "00_tour", "Alpha"], 1),
        (["notebooks", "00_tour", "figures_dir"], 1),
        (["notebooks", "00_tour", "stop_if_violated"], True),
    ],
)
def test_schema_rejects(keys, value):
    config = copy.deepcopy(CONFIGS["paper"])
    place = config
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(config)


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_schema_rejects_missing_keys(key):
    config = {name: value for name, value in CONFIGS["paper"].items() if name != key}
    with pytest.raises(jsonschema.ValidationError):
        validate(config)


def keys_of(value):
    return {k: keys_of(v) for k, v in value.items()} if isinstance(value, dict) else None


def test_parameter_that_a_notebook_does_not_have():
    path = ROOT / "notebooks/00_tour.ipynb"
    check_parameters(path, {"trials": 1, "seed": 0})
    with pytest.raises(ValueError, match=r"00_tour: no parameter trails, only .*trials"):
        check_parameters(path, {"trails": 1})
    with pytest.raises(ValueError, match="99_none is listed"):
        check_parameters(path.with_stem("99_none"), {})


def test_configs_have_the_same_keys():
    assert keys_of(CONFIGS["paper"]) == keys_of(CONFIGS["smoke"])


def test_smoke_stays_away_from_the_committed_figures():
    for key in ("figures_dir", "results_dir", "logs_dir", "book_dir"):
        assert CONFIGS["smoke"][key].startswith("build/smoke/")


def test_configs_list_every_notebook():
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == NOTEBOOKS


def kind(value):
    if isinstance(value, list | tuple):
        return [kind(value[0])]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "other"


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_parameters_are_those_of_the_notebook(notebook, config):
    """Papermill only warns about a parameter that the notebook does not have."""
    cells = nbformat.read(ROOT / f"notebooks/{notebook}.ipynb", as_version=4).cells
    (cell,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    defaults = {}
    for statement in ast.parse(cell.source).body:
        text = ast.unparse(statement.value)
        for infinity in ("np.inf", "math.inf", "float('inf')"):
            text = text.replace(infinity, "1e999")
        defaults[statement.targets[0].id] = ast.literal_eval(text)
    for name, value in CONFIGS[config]["notebooks"][notebook].items():
        assert name in defaults
        assert kind(value) == kind(defaults[name]), name


# The workflow


def make_copy(folder):
    """Copy what the workflow needs, without figures and results."""
    unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("config", "deepfact", "docs", "notebooks", "profiles", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("Snakefile", "requirements.lock", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def start(folder, *arguments, **options):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-m", "workflow.run", "--cores", "2", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def run(folder, *arguments):
    """Run the workflow; return its exit status and all that it printed."""
    process = start(folder, *arguments)
    printed, _ = process.communicate(timeout=600)
    return process.returncode, printed


def digests(*folders):
    """Digests of all files but the manifest, which holds run times."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Run the real workflow at smoke scale, in a copy."""
    folder = make_copy(tmp_path_factory.mktemp("smoke"))
    status, printed = run(folder, "--configfile", "config/smoke.yaml")
    assert status == 0, printed
    return folder


def test_dry_run_at_paper_scale(tmp_path):
    status, printed = run(make_copy(tmp_path), "--dry-run")
    assert status == 0, printed
    for notebook in NOTEBOOKS:
        assert f"figures/{notebook}.pdf" in printed
    assert not (tmp_path / "figures").exists()


def test_workflow_rejects_a_number_that_yaml_reads_as_text(tmp_path):
    make_copy(tmp_path)
    with (tmp_path / "config/paper.yaml").open("a", encoding="utf-8") as file:
        file.write("    alpha: 1e-12\n")
    status, printed = run(tmp_path, "--dry-run")
    assert status == 1
    assert "alpha" in printed


def test_smoke_run_builds_everything(smoke):
    build = smoke / "build/smoke"
    wanted = {f"{notebook}.{ending}" for notebook in NOTEBOOKS for ending in ENDINGS}
    wanted |= {"manifest.json", "statements.csv", "statements.md"}
    wanted |= {"recovery_signed.csv", "recovery_nonnegative.csv"}
    assert {path.name for path in (build / "figures").iterdir()} == wanted
    assert all(path.stat().st_size for path in (build / "figures").iterdir())
    for notebook in NOTEBOOKS:
        assert (build / f"results/{notebook}.ipynb").exists()
        assert (build / f"logs/{notebook}.benchmark.tsv").exists()
    assert not (smoke / "figures").exists()
    assert not (smoke / "results").exists()


@pytest.mark.parametrize("signal", ["signed", "nonnegative"])
def test_smoke_chunks_are_gathered_to_the_table_of_one_run(smoke, tmp_path, signal):
    build = smoke / "build/smoke"
    parameters = {**CONFIGS["smoke"]["recovery"], "chunks": 1}
    assert CONFIGS["smoke"]["recovery"]["chunks"] > 1
    whole = measurements.recovery_table(signal == "nonnegative", workers=1, **parameters)
    measurements.save_table(whole, tmp_path / "whole.csv")
    gathered = build / f"figures/recovery_{signal}.csv"
    assert gathered.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    chunks = build / f"results/recovery/{signal}"
    numbers = range(CONFIGS["smoke"]["recovery"]["chunks"])
    # No checkpoints: they would keep a rerun from measuring anything.
    assert {path.name for path in chunks.iterdir()} == {f"{number}.csv" for number in numbers}
    for number in numbers:
        log = (build / f"logs/recovery/{signal}/{number}.log").read_text(encoding="utf-8")
        assert re.search(r"N = 30: (\d+) of \1 cells", log)


def test_a_killed_chunk_is_taken_up(tmp_path, monkeypatch):
    """Its checkpoint is that of this chunk alone, and believed."""
    parameters = {**CONFIGS["smoke"]["recovery"], "growth_unknowns": [40]}
    output = tmp_path / "1.csv"
    recovery.measure(False, 1, parameters, output)
    first = output.read_bytes()
    lines = output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    half = len(lines) // 2
    output.with_suffix(".jsonl").write_text("\n".join(lines[:half]), encoding="utf-8")
    output.unlink()
    run_again = []
    module = sys.modules["deepfact.recovery"]  # deepfact.phase_transition is its function
    cell = module._cell
    monkeypatch.setattr(module, "_cell", lambda task: run_again.append(1) or cell(task))
    recovery.measure(False, 1, parameters, output)
    assert output.read_bytes() == first
    assert 0 < len(run_again) == len([line for line in lines[half:] if line])


def test_smoke_table_joins_all_rows(smoke):
    build = smoke / "build/smoke"
    rows = [
        check
        for notebook in NOTEBOOKS
        for check in read_checks(build / f"results/{notebook}.statements.csv")
    ]
    table = read_checks(build / "figures/statements.csv")
    assert table == sort_checks(rows)
    assert {check.notebook for check in table} == set(NOTEBOOKS)
    assert all(check.holds for check in table)


def test_smoke_manifest_names_every_file(smoke):
    figures = smoke / "build/smoke/figures"
    recorded = json.loads((figures / "manifest.json").read_text(encoding="utf-8"))
    assert manifest.differences(recorded, figures) == []
    assert recorded["source"]["revision"] is None  # the copy is no repository
    assert recorded["source"]["reason"]
    config = CONFIGS["smoke"]
    for made in recorded["made"]:
        assert made["seconds"] > 0
        if made["by"].startswith("notebooks/"):
            notebook = Path(made["by"]).stem
            assert set(made["sha256"]) == {f"{notebook}.{ending}" for ending in ENDINGS}
            assert made["config"] == manifest.plain(config["notebooks"][notebook])
            assert made["seeds"] == {"seed": config["notebooks"][notebook]["seed"]}
            assert made["peak_memory_mib"] > 50


def test_report_has_every_figure_and_caption_and_needs_no_network(smoke):
    target = ("--report", "build/report.html")
    status, printed = run(smoke, "--configfile", "config/smoke.yaml", *target)
    assert status == 0, printed
    report = (smoke / "build/report.html").read_text(encoding="utf-8")
    for notebook in NOTEBOOKS:
        caption = (ROOT / f"docs/captions/{notebook}.rst").read_text(encoding="utf-8")
        assert " ".join(caption.split()[:4]) in report
        assert f"{notebook}.png" in report
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.?https?:", report)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_parameters_reach_the_notebook_as_numbers(smoke, notebook):
    executed = nbformat.read(smoke / f"build/smoke/results/{notebook}.ipynb", as_version=4)
    wanted = CONFIGS["smoke"]["notebooks"][notebook]
    given = executed.metadata.papermill.parameters
    assert {key: given[key] for key in wanted} == wanted
    assert given["stop_if_violated"] is False


def test_smoke_figures_are_identical_when_built_again(smoke):
    figures = smoke / "build/smoke/figures"
    before = digests(figures)
    log = smoke / "build/smoke/logs/00_tour.log"
    ran = log.stat().st_mtime_ns
    target = "build/smoke/figures/00_tour.pdf"
    status, printed = run(smoke, "--configfile", "config/smoke.yaml", "--forceall", target)
    assert status == 0, printed
    assert log.stat().st_mtime_ns > ran
    assert digests(figures) == before


def test_what_reruns_a_notebook(smoke):
    arguments = ("--configfile", "config/smoke.yaml", "--dry-run")
    status, printed = run(smoke, *arguments)
    assert status == 0
    assert "rule notebook" not in printed
    with (smoke / "deepfact/figures.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    status, printed = run(smoke, *arguments)
    assert status == 0
    for notebook in NOTEBOOKS:
        assert f"output: build/smoke/figures/{notebook}.pdf" in printed


# A toy, for what cannot be asked of the real notebooks

TOY = """
import time
from pathlib import Path

import matplotlib.pyplot as plt

from deepfact.figures import figure_style, save_figure
from deepfact.checks import Check, save_checks

figure_style()
figure, axes = plt.subplots()
axes.plot([0, 1], [0, margin])
save_figure(figure, {"x": [0, 1], "y": [0.0, margin]}, name, figures_dir)
if Path("wait").exists() and name == "02_second":
    Path("waiting").touch()
    time.sleep(600)
checks = [Check("S1", "a toy", name, 1, margin), Check("S2", "another", name, 1, 1.0)]
save_checks(checks, name, results_dir)
assert all(check.holds for check in checks) or not stop_if_violated
"""


def make_toy(folder):
    """Copy the workflow, with two toy notebooks in place of the real ones."""
    make_copy(folder)
    shutil.rmtree(folder / "notebooks")
    (folder / "notebooks").mkdir()
    config = {**CONFIGS["paper"], "notebooks": {}}
    for name in ("01_first", "02_second"):
        parameters = nbformat.v4.new_code_cell(
            f"seed = 0\nname = '{name}'\nmargin = 0.0\nfigures_dir = None\nresults_dir = None\n"
            "stop_if_violated = True",
            metadata={"tags": ["parameters"]},
        )
        notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(TOY)])
        notebook.metadata.kernelspec = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, folder / f"notebooks/{name}.ipynb")
        config["notebooks"][name] = {"seed": 0, "margin": 1.0e-12}
    write_config(folder, config)
    return folder, config


def write_config(folder, config):
    text = yaml.safe_dump(config)
    (folder / "config/paper.yaml").write_text(text, encoding="utf-8")


def test_violated_statement_fails_at_the_very_end(tmp_path):
    folder, config = make_toy(tmp_path)
    config["notebooks"]["01_first"]["margin"] = -0.5
    write_config(folder, config)
    status, printed = run(folder)
    assert status == 1
    assert "S1 does not hold in 01_first: a toy (worst margin -0.5 over 1 instances)" in printed
    for name in ("01_first", "02_second"):
        assert (folder / f"results/{name}.ipynb").exists()
        assert all((folder / f"figures/{name}.{ending}").exists() for ending in ENDINGS)
    table = read_checks(folder / "figures/statements.csv")
    assert [check.holds for check in table] == [False, True, True, True]
    assert "**no**" in (folder / "figures/statements.md").read_text(encoding="utf-8")
    before = digests(folder / "figures")
    status, printed = run(folder)  # only the verdict is asked for again
    assert status == 1
    assert "S1 does not hold" in printed
    assert "rule notebook" not in printed
    assert digests(folder / "figures") == before
    # Mended: only the notebook that changed runs again.
    config["notebooks"]["01_first"]["margin"] = 0.5
    write_config(folder, config)
    second = (folder / "results/02_second.ipynb").stat().st_mtime_ns
    status, printed = run(folder)
    assert status == 0, printed
    assert (folder / "results/02_second.ipynb").stat().st_mtime_ns == second


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.1)


def test_killed_run_is_taken_up(tmp_path):
    folder, _ = make_toy(tmp_path)
    (folder / "wait").touch()
    finished = folder / "results/01_first.statements.csv"
    incomplete = folder / ".snakemake/incomplete"  # has the six outputs of each unfinished notebook
    with start(folder, start_new_session=True) as process:
        try:
            wait_for((folder / "waiting").exists, process)
            wait_for(lambda: finished.exists() and len(list(incomplete.iterdir())) == 6, process)
            # Nobody else may take it up while it runs.
            status, printed = run(folder)
            assert status == 1
            assert "Another run is under way" in printed
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert any((folder / ".snakemake/locks").iterdir())
    assert not (folder / "figures/statements.csv").exists()
    first = finished.stat().st_mtime_ns

    (folder / "wait").unlink()
    status, printed = run(folder)
    assert status == 0, printed
    assert finished.stat().st_mtime_ns == first
    taken_up = digests(folder / "figures")
    status, printed = run(folder, "--forceall")
    assert status == 0, printed
    assert digests(folder / "figures") == taken_up

"""The workflow itself, in copies of the project: the real one and a toy."""

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

import nbformat
import pytest
import yaml
from test_configuration import NOTEBOOKS, SETTINGS

from deepfact import recovery
from deepfact.checks import read_checks, sort_checks
from deepfact.experiments import recovery_table
from workflow import data, manifest
from workflow.configuration import notebook_dependencies

ROOT = Path(__file__).parents[2]
SMOKE = SETTINGS["smoke"]
ENDINGS = ("pdf", "svg", "png", "csv")


def make_copy(folder):
    """Copy what the workflow needs, without figures and results."""
    unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("config", "deepfact", "docs", "notebooks", "profiles", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("Snakefile", "requirements.lock", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def start(folder, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "workflow.run", "--cores", "2", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": os.defpath},  # as if no environment were activated
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
    path = tmp_path / "config/00_tour.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("smoke:", "  alpha: 1e-12\nsmoke:"), encoding="utf-8")
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


@pytest.mark.parametrize("table", SMOKE["data"])
def test_smoke_chunks_are_gathered_to_the_table_of_one_run(smoke, tmp_path, table):
    build = smoke / "build/smoke"
    arguments = SMOKE["data"][table]["arguments"]
    assert arguments["chunks"] > 1
    whole = recovery_table.recovery_table(workers=1, **{**arguments, "chunks": 1})
    recovery_table.save_table(whole, tmp_path / "whole.csv")
    gathered = build / f"figures/{table}.csv"
    assert gathered.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    chunks = build / f"results/{table}"
    numbers = range(arguments["chunks"])
    # No checkpoints: they would keep a rerun from measuring anything.
    assert {path.name for path in chunks.iterdir()} == {f"{number}.csv" for number in numbers}
    for number in numbers:
        log = (build / f"logs/{table}/{number}.log").read_text(encoding="utf-8")
        assert re.search(r"N = 30: (\d+) of \1 cells", log)


def test_a_killed_chunk_is_taken_up(tmp_path, monkeypatch):
    """Its checkpoint is that of this chunk alone, and believed."""
    arguments = {**SMOKE["data"]["recovery_signed"]["arguments"], "growth_unknowns": [40]}
    work = ("recovery_table.recovery_table", 1, arguments)
    output = tmp_path / "1.csv"
    data.measure(*work, output)
    first = output.read_bytes()
    lines = output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    half = len(lines) // 2
    output.with_suffix(".jsonl").write_text("\n".join(lines[:half]), encoding="utf-8")
    output.unlink()
    run_again = []
    cell = recovery._cell
    monkeypatch.setattr(recovery, "_cell", lambda task: run_again.append(1) or cell(task))
    data.measure(*work, output)
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
    # Rivals are refuted, and chi-square is its limit, with more instances than these.
    assert all(check.worst_margin >= 0 for check in table if "chi-square" not in check.claim)


def test_smoke_manifest_names_every_file(smoke):
    figures = smoke / "build/smoke/figures"
    recorded = json.loads((figures / "manifest.json").read_text(encoding="utf-8"))
    assert manifest.differences(recorded, figures) == []
    assert recorded["source"]["revision"] is None  # the copy is no repository
    assert recorded["source"]["reason"]
    for made in recorded["made"]:
        assert made["seconds"] > 0
        if made["by"].startswith("notebooks/"):
            notebook = Path(made["by"]).stem
            assert set(made["sha256"]) == {f"{notebook}.{ending}" for ending in ENDINGS}
            assert made["config"] == manifest.plain(SMOKE["notebooks"][notebook])
            assert made["seeds"] == {"seed": SMOKE["notebooks"][notebook]["seed"]}
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
    wanted = SMOKE["notebooks"][notebook]
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


def jobs(printed):
    """Read from a dry run how many jobs of each rule there are, and which notebooks they run."""
    table = printed.rpartition("Job stats:")[2].partition("total")[0]
    count = {
        rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
    }
    return count, set(re.findall(r"output: build/smoke/figures/(\d\d_\w+)\.pdf", printed))


def experiments_of(notebook):
    """Name the experiments that a notebook depends on."""
    files = notebook_dependencies(ROOT / f"notebooks/{notebook}.ipynb")
    return [path for path in files if path.startswith("deepfact/experiments/")]


def test_what_reruns_a_notebook(smoke):
    """The core reruns all of them, an experiment those that import it, a new one itself alone."""

    def jobs_after_change(path):
        file, code = smoke / path, (smoke / path).read_bytes()
        file.write_bytes(code + b"# changed\n")
        found = dry_run()
        file.write_bytes(code)  # Snakemake compares the contents of what is newer
        return found

    def dry_run():
        status, printed = run(smoke, "--config", "scale=smoke", "--dry-run")
        assert status == 0, printed
        return jobs(printed)

    count, notebooks = dry_run()
    assert not notebooks
    assert not count.keys() & {"notebook", "data_chunk"}

    heavy = {each["notebook"] for each in SMOKE["data"].values()}
    imported = {notebook: experiments_of(notebook) for notebook in NOTEBOOKS}
    # A notebook and its experiment, which are copies of others.
    own = {n: f"deepfact/experiments/{n[3:]}.py" for n in NOTEBOOKS if n not in heavy}
    old = next(n for n, file in own.items() if file in imported[n])
    text = (smoke / f"notebooks/{old}.ipynb").read_text(encoding="utf-8").replace(old, "99_new")
    (smoke / "notebooks/99_new.ipynb").write_text(
        re.sub(rf"experiments(\.| import ){old[3:]}\b", r"experiments\1new", text), encoding="utf-8"
    )
    shutil.copy(smoke / own[old], smoke / "deepfact/experiments/new.py")
    shutil.copy(smoke / f"config/{old}.yaml", smoke / "config/99_new.yaml")
    count, notebooks = dry_run()
    assert notebooks == {"99_new"}
    assert count["notebook"] == 1
    assert "data_chunk" not in count
    assert jobs_after_change("deepfact/experiments/new.py")[1] == {"99_new"}
    for path in ("notebooks/99_new.ipynb", "config/99_new.yaml"):
        (smoke / path).unlink()

    assert jobs_after_change(f"config/{old}.yaml")[1] == set()  # its values count, not its time
    count, notebooks = jobs_after_change(own[old])
    assert notebooks == {n for n, files in imported.items() if own[old] in files}
    assert "data_chunk" not in count
    for each in SMOKE["data"].values():
        module = f"deepfact/experiments/{each['function'].split('.')[0]}.py"
        count, notebooks = jobs_after_change(module)
        assert notebooks == {n for n, files in imported.items() if module in files}
        assert count["data_chunk"] >= each["chunks"]
    count, notebooks = jobs_after_change("deepfact/figures.py")
    assert notebooks == set(NOTEBOOKS)


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
    for path in (folder / "config").glob("[0-9]*.yaml"):
        path.unlink()
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
        configure(folder, name, 1.0e-12)
    return folder


def configure(folder, name, margin):
    """Set the margin of a toy notebook."""
    values = {"seed": 0, "margin": margin}
    text = yaml.safe_dump({"paper": values, "smoke": values})
    (folder / f"config/{name}.yaml").write_text(text, encoding="utf-8")


def test_violated_statement_fails_at_the_very_end(tmp_path):
    folder = make_toy(tmp_path)
    configure(folder, "01_first", -0.5)
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
    configure(folder, "01_first", 0.5)
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
    folder = make_toy(tmp_path)
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

"""Rebuild every figure and check every statement.

`snakemake` builds figures/ at paper scale, `snakemake --configfile config/smoke.yaml` (or `--config scale=smoke`) a small
copy of everything under build/smoke/. A notebook is part of it if it has a configuration, config/<its name>.yaml: its
parameters at both scales, and the data that it draws but does not compute. No rule knows a notebook by name.
`snakemake book` makes a book of the executed notebooks.

The conda directives say which environment the rules need. They are not for `--software-deployment-method conda`, since
environment.yml installs the package from this folder: activate an environment with everything in it instead.
"""

import sys
from shlex import quote

import yaml
from snakemake.utils import min_version, validate

from workflow.configuration import (
    at_scale,
    check_names,
    data_dependencies,
    notebook_dependencies,
    read_notebooks,
)

min_version("9.0")

# The programs of this environment, whether it is activated or not.
shell.prefix(f"PATH={quote(str(Path(sys.executable).parent))}:$PATH; ")


configfile: "config/workflow.yaml"


config["notebooks"] = read_notebooks()
validate(config, "config/schema.yaml")
settings = at_scale(config)
check_names(settings)


report: "docs/report.rst"


FIGURES = settings["figures_dir"]
RESULTS = settings["results_dir"]
LOGS = settings["logs_dir"]
BOOK = settings["book_dir"]
NOTEBOOKS = list(settings["notebooks"])
DATA = settings["data"]


def one_line(values):
    """Write values as one line of YAML, in which 1.0e-12 and .inf stay numbers."""
    return yaml.safe_dump(values, default_flow_style=True, width=float("inf")).strip()


def tables_of(notebook):
    """Name the tables that a notebook draws but does not compute."""
    return [
        f"{FIGURES}/{data}.csv" for data in DATA if DATA[data]["notebook"] == notebook
    ]


def notebook_parameters(wildcards):
    """Write the parameters of a notebook."""
    parameters = {
        **settings["notebooks"][wildcards.notebook],
        "figures_dir": FIGURES,
        "results_dir": RESULTS,
        "stop_if_violated": False,
    }
    if tables_of(wildcards.notebook):
        parameters["data_dir"] = FIGURES
    return one_line(parameters)


def makers():
    """List what makes which files of the figures' folder, and the benchmark files of its jobs."""
    return [
        *(
            {
                "by": f"notebooks/{notebook}.ipynb",
                "config": settings["notebooks"][notebook],
                "files": expand(
                    f"{FIGURES}/{notebook}.{{ending}}",
                    ending=["pdf", "svg", "png", "csv"],
                ),
                "benchmarks": [f"{LOGS}/{notebook}.benchmark.tsv"],
            }
            for notebook in NOTEBOOKS
        ),
        *(
            {
                "by": f"deepfact.experiments.{measured['function']}",
                "config": measured["arguments"],
                "files": [f"{FIGURES}/{data}.csv"],
                # A pattern: thousands of names are too long for a command.
                "benchmarks": [f"{LOGS}/{data}/{{chunk}}.benchmark.tsv"],
                "chunks": measured["chunks"],
            }
            for data, measured in DATA.items()
        ),
        {
            "by": "workflow/statements.py",
            "config": {},
            "files": [f"{FIGURES}/statements.csv", f"{FIGURES}/statements.md"],
            "benchmarks": [f"{LOGS}/statements.benchmark.tsv"],
        },
    ]


wildcard_constraints:
    notebook="|".join(NOTEBOOKS),
    # Without data there is nothing to match.
    data="|".join(DATA) or "(?!)",
    chunk=r"\d+",


localrules:
    all,
    manifest,
    data,
    statements,
    statements_hold,
    book,


rule all:
    """Everything, and every statement holds."""
    input:
        statements_hold=f"{RESULTS}/statements_hold",


rule data_chunk:
    """Measure a share of a table that takes long; a rerun takes up what is finished."""
    input:
        package=lambda wildcards: data_dependencies(DATA[wildcards.data]["function"]),
        script="workflow/data.py",
        lock="requirements.lock",
    output:
        f"{RESULTS}/{{data}}/{{chunk}}.csv",
    log:
        f"{LOGS}/{{data}}/{{chunk}}.log",
    benchmark:
        f"{LOGS}/{{data}}/{{chunk}}.benchmark.tsv"
    # The longest way through the workflow begins here.
    priority: 2
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        function=lambda wildcards: DATA[wildcards.data]["function"],
        arguments=lambda wildcards: one_line(DATA[wildcards.data]["arguments"]),
    shell:
        "python -m workflow.data measure {params.function} --chunk {wildcards.chunk}"
        " --arguments {params.arguments:q} --output {output} > {log} 2>&1"


rule data:
    """Gather the chunks."""
    input:
        chunks=lambda wildcards: expand(
            f"{RESULTS}/{wildcards.data}/{{chunk}}.csv",
            chunk=range(DATA[wildcards.data]["chunks"]),
        ),
        script="workflow/data.py",
    output:
        f"{FIGURES}/{{data}}.csv",
    log:
        f"{LOGS}/{{data}}.log",
    priority: 2
    conda:
        "environment.yml"
    params:
        function=lambda wildcards: DATA[wildcards.data]["function"],
        folder=lambda wildcards, input: Path(input.chunks[0]).parent,
        chunks=lambda wildcards: DATA[wildcards.data]["chunks"],
    shell:
        "python -m workflow.data gather {params.function} {params.folder} --chunks {params.chunks}"
        " --output {output} > {log} 2>&1"


rule notebook:
    """Execute a notebook with papermill: its figure, the figure's data and its rows of the table of statements."""
    input:
        notebook="notebooks/{notebook}.ipynb",
        data=lambda wildcards: tables_of(wildcards.notebook),
        package=lambda wildcards: notebook_dependencies(
            f"notebooks/{wildcards.notebook}.ipynb"
        ),
        lock="requirements.lock",
    output:
        multiext(f"{FIGURES}/{{notebook}}", ".pdf", ".svg"),
        figure=report(
            f"{FIGURES}/{{notebook}}.png",
            caption="workflow/caption.rst",
            category="Figures",
            labels={"notebook": "{notebook}"},
        ),
        data=f"{FIGURES}/{{notebook}}.csv",
        notebook=f"{RESULTS}/{{notebook}}.ipynb",
        statements=f"{RESULTS}/{{notebook}}.statements.csv",
    log:
        f"{LOGS}/{{notebook}}.log",
    benchmark:
        f"{LOGS}/{{notebook}}.benchmark.tsv"
    # A notebook that waited for its data is the last to start.
    priority: lambda wildcards: int(bool(tables_of(wildcards.notebook)))
    # Kernels that start together may pick the same port.
    retries: 1
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        parameters=notebook_parameters,
    shell:
        "papermill {input.notebook} {output.notebook} --kernel python3 --cwd ."
        " --no-progress-bar --log-output --parameters_yaml {params.parameters:q} > {log} 2>&1"


rule statements:
    """Join the rows of all notebooks to the table of statements."""
    input:
        rows=expand(f"{RESULTS}/{{notebook}}.statements.csv", notebook=NOTEBOOKS),
        script="workflow/statements.py",
    output:
        csv=f"{FIGURES}/statements.csv",
        markdown=f"{FIGURES}/statements.md",
    log:
        f"{LOGS}/statements.log",
    benchmark:
        f"{LOGS}/statements.benchmark.tsv"
    conda:
        "environment.yml"
    shell:
        "python -m workflow.statements join {input.rows}"
        " --csv {output.csv} --markdown {output.markdown} > {log} 2>&1"


rule manifest:
    """Say of every figure and data file where it comes from."""
    input:
        files=[path for maker in makers() for path in maker["files"]],
        benchmarks=[
            path
            for maker in makers()
            for pattern in maker["benchmarks"]
            for path in expand(pattern, chunk=range(maker.get("chunks", 1)))
        ],
        script="workflow/manifest.py",
    output:
        f"{FIGURES}/manifest.json",
    log:
        f"{LOGS}/manifest.log",
    conda:
        "environment.yml"
    params:
        makers=lambda wildcards: one_line(makers()),
    shell:
        "python -m workflow.manifest --makers {params.makers:q} --output {output} > {log} 2>&1"


rule statements_hold:
    """Fail if a statement does not hold: after everything else, of which nothing is deleted."""
    input:
        figures=rules.manifest.input.files,
        manifest=rules.manifest.output,
        notebooks=expand(f"{RESULTS}/{{notebook}}.ipynb", notebook=NOTEBOOKS),
        table=rules.statements.output.csv,
        markdown=rules.statements.output.markdown,
        script="workflow/statements.py",
    output:
        touch(f"{RESULTS}/statements_hold"),
    log:
        f"{LOGS}/statements_hold.log",
    conda:
        "environment.yml"
    params:
        # A handful of instances refutes few rivals, and large numbers are not yet at work.
        tell="--tell" if config["scale"] == "smoke" else "",
    shell:
        "python -m workflow.statements verify {params.tell} {input.table} > {log} 2>&1"


rule book:
    """Build the book of the executed notebooks. Not a part of `all`: ask for it, `snakemake book`."""
    input:
        notebooks=rules.statements_hold.input.notebooks,
        figures=rules.statements_hold.input.figures,
        manifest=rules.manifest.output,
        table=rules.statements.output.csv,
        pages=sorted(str(path) for path in Path("docs").rglob("*") if path.is_file()),
        benchmarks=sorted(str(path) for path in Path("benchmarks/figures").glob("*")),
        changelog="CHANGELOG.md",
        package=sorted(str(path) for path in Path("deepfact").rglob("*.py")),
        scripts=["workflow/book.py", "workflow/references.py", "workflow/times.py"],
    output:
        f"{BOOK}/html/index.html",
    log:
        f"{LOGS}/book.log",
    # ... and the packages of pip install '.[book]'.
    conda:
        "environment.yml"
    params:
        figures=lambda wildcards, input: Path(input.table).parent,
        book=lambda wildcards, output: Path(output[0]).parents[1],
    shell:
        "python -m workflow.book {input.notebooks} --figures {params.figures}"
        " --output {params.book} > {log} 2>&1"

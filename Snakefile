"""Rebuild every figure and check every statement.

`snakemake` builds figures/ at paper scale, `snakemake --configfile config/smoke.yaml` a small copy of everything
under build/smoke/. A notebook is listed, with its parameters, in config/paper.yaml and config/smoke.yaml.
`snakemake book` makes a book of the executed notebooks.

The conda directives say which environment the rules need. They are not for `--software-deployment-method conda`, since
environment.yml installs the package from this folder: activate an environment with everything in it instead.
"""

import yaml
from snakemake.utils import min_version, validate

from workflow.parameters import check_parameters

min_version("9.0")


configfile: "config/paper.yaml"


validate(config, "config/schema.yaml")


report: "docs/report.rst"


FIGURES = config["figures_dir"]
RESULTS = config["results_dir"]
LOGS = config["logs_dir"]
BOOK = config["book_dir"]
NOTEBOOKS = sorted(config["notebooks"])
PACKAGE = sorted(str(path) for path in Path("deepfact").rglob("*.py"))

for notebook, values in config["notebooks"].items():
    check_parameters(Path("notebooks") / f"{notebook}.ipynb", values)


def notebook_parameters(wildcards):
    """Write the parameters of a notebook as one line of YAML, in which 1.0e-12 and .inf stay numbers."""
    parameters = {
        **config["notebooks"][wildcards.notebook],
        "figures_dir": FIGURES,
        "results_dir": RESULTS,
        "stop_if_violated": False,
    }
    if wildcards.notebook == "06_measurements":
        parameters["data_dir"] = FIGURES
    return yaml.safe_dump(
        parameters, default_flow_style=True, width=float("inf")
    ).strip()


def measured_rates(wildcards):
    """Name what a notebook draws but does not compute."""
    if wildcards.notebook == "06_measurements":
        return expand(rules.recovery.output, signal=["signed", "nonnegative"])
    return []


def recovery_parameters(wildcards):
    """Write the parameters of the recovery experiment as one line of YAML."""
    return yaml.safe_dump(
        config["recovery"], default_flow_style=True, width=float("inf")
    ).strip()


def makers():
    """List what makes which files of the figures' folder, and the benchmark files of its jobs."""
    return [
        *(
            {
                "by": f"notebooks/{notebook}.ipynb",
                "config": config["notebooks"][notebook],
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
                "by": "workflow/recovery.py",
                "config": config["recovery"],
                "files": [f"{FIGURES}/recovery_{signal}.csv"],
                # A pattern: thousands of names are too long for a command.
                "benchmarks": [f"{LOGS}/recovery/{signal}/{{chunk}}.benchmark.tsv"],
                "chunks": config["recovery"]["chunks"],
            }
            for signal in ["signed", "nonnegative"]
            if "06_measurements" in NOTEBOOKS
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
    signal="signed|nonnegative",
    chunk=r"\d+",


localrules:
    all,
    manifest,
    recovery,
    statements,
    statements_hold,
    book,


rule all:
    """Everything, and every statement holds."""
    input:
        statements_hold=f"{RESULTS}/statements_hold",


rule recovery_chunk:
    """Measure recovery rates (S14) on a share of the cells; a rerun takes up the finished ones."""
    input:
        package=[
            f"deepfact/{name}.py"
            for name in [
                "recovery",
                "experiments/measurements",
                "limit/entry",
                "limit/interior_point",
                "deep_factorization",
                "problem",
                "l1_minimisation",
                "theory",
            ]
        ],
        script="workflow/recovery.py",
        lock="requirements.lock",
    output:
        f"{RESULTS}/recovery/{{signal}}/{{chunk}}.csv",
    log:
        f"{LOGS}/recovery/{{signal}}/{{chunk}}.log",
    benchmark:
        f"{LOGS}/recovery/{{signal}}/{{chunk}}.benchmark.tsv"
    # The longest way through the workflow begins here.
    priority: 2
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        signal=lambda wildcards: (
            "--nonnegative" if wildcards.signal == "nonnegative" else ""
        ),
        parameters=recovery_parameters,
    shell:
        "python -m workflow.recovery measure {params.signal} --chunk {wildcards.chunk}"
        " --parameters {params.parameters:q} --output {output} > {log} 2>&1"


rule recovery:
    """Gather the chunks."""
    input:
        chunks=expand(
            f"{RESULTS}/recovery/{{signal}}/{{chunk}}.csv",
            chunk=range(config["recovery"]["chunks"]),
            allow_missing=True,
        ),
        script="workflow/recovery.py",
    output:
        f"{FIGURES}/recovery_{{signal}}.csv",
    log:
        f"{LOGS}/recovery/{{signal}}.log",
    priority: 2
    conda:
        "environment.yml"
    params:
        folder=lambda wildcards, input: Path(input.chunks[0]).parent,
        chunks=config["recovery"]["chunks"],
    shell:
        "python -m workflow.recovery gather {params.folder} --chunks {params.chunks}"
        " --output {output} > {log} 2>&1"


rule notebook:
    """Execute a notebook with papermill: its figure, the figure's data and its rows of the table of statements."""
    input:
        notebook="notebooks/{notebook}.ipynb",
        rates=measured_rates,
        package=PACKAGE,
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
    priority: lambda wildcards: wildcards.notebook == "06_measurements"
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
        makers=lambda wildcards: yaml.safe_dump(
            makers(), default_flow_style=True, width=float("inf")
        ).strip(),
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
    shell:
        "python -m workflow.statements verify {input.table} > {log} 2>&1"


rule book:
    """Build the book of the executed notebooks. Not a part of `all`: ask for it, `snakemake book`."""
    input:
        notebooks=rules.statements_hold.input.notebooks,
        figures=rules.statements_hold.input.figures,
        table=rules.statements.output.csv,
        pages=sorted(str(path) for path in Path("docs").rglob("*") if path.is_file()),
        benchmarks=sorted(str(path) for path in Path("benchmarks/figures").glob("*")),
        changelog="CHANGELOG.md",
        package=PACKAGE,
        scripts=["workflow/book.py", "workflow/references.py"],
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

"""Read the configuration: config/workflow.yaml, and of each notebook config/<its name>.yaml."""

import ast
import json
from pathlib import Path

import yaml

from deepfact.sources import PACKAGE, core, sources
from workflow.parameters import check_parameters

FOLDER = Path("config")
EXPERIMENTS = Path("deepfact/experiments")
# Arguments that workflow/data.py gives itself.
OF_THE_CHUNK = {"chunk", "workers", "checkpoint"}


def read_notebooks(folder=FOLDER):
    """Read the configurations of all notebooks, by name."""
    return {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("[0-9][0-9]_*.yaml"))
    }


def at_scale(config):
    """Take from the whole configuration what its scale says.

    Parameters
    ----------
    config : dict
        As config/schema.yaml describes it.

    Returns
    -------
    dict
        The folders; ``notebooks``, of each its parameters; ``data``, of each table that takes long
        and is drawn by a ``notebook``, its ``function``, ``arguments`` and number of ``chunks``.

    Raises
    ------
    ValueError
        If two notebooks have data of one name.
    """
    scale = config["scale"]
    notebooks = sorted(config["notebooks"].items())
    data = {}
    for notebook, values in notebooks:
        for name, declared in values.get("data", {}).items():
            for table, own in declared["tables"].items():
                key = f"{name}_{table}"
                if key in data:
                    raise ValueError(f"{notebook}: {data[key]['notebook']} has data {key} as well")
                data[key] = {
                    "notebook": notebook,
                    "function": declared["function"],
                    "arguments": {**declared[scale], **own},
                    "chunks": declared[scale]["chunks"],
                }
    return {
        **{key: config.get(key, folder) for key, folder in config[scale].items()},
        "notebooks": {name: values[scale] for name, values in notebooks},
        "data": data,
    }


def check_names(settings):
    """Raise ValueError if a notebook or a function does not take what `at_scale` returns for it."""
    for name, values in settings["notebooks"].items():
        check_parameters(Path("notebooks") / f"{name}.ipynb", values)
    for measured in settings["data"].values():
        check_arguments(measured["function"], measured["arguments"])


def check_arguments(function, arguments):
    """Raise ValueError if a function of deepfact.experiments does not take these arguments."""
    module, name = function.split(".")
    path = EXPERIMENTS / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not found:
        raise ValueError(f"data: there is no function {name} in {path}")
    known = {argument.arg for argument in (*found[0].args.args, *found[0].args.kwonlyargs)}
    unknown = sorted(arguments.keys() - (known - OF_THE_CHUNK))
    if unknown:
        raise ValueError(f"data, {function}: no parameter {', '.join(unknown)}")


def notebook_dependencies(path):
    """List the files that a notebook depends on: the core, and the experiments that it imports."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return _relative({*core(), *sources(code)})


def data_dependencies(function):
    """List the files of the package that a function which measures data depends on."""
    module = function.split(".")[0]
    return _relative(sources(f"import deepfact.experiments.{module}"))


def _relative(paths):
    """Name files as the workflow does, from its folder."""
    return sorted(str(path.relative_to(PACKAGE.parent)) for path in paths)

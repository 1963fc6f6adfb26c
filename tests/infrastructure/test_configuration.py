"""The configuration: what the schema accepts, and names of notebooks and of functions."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from deepfact.parameters import assigned, check_kinds, kind
from workflow.configuration import at_scale, check_arguments, check_names, read_notebooks
from workflow.parameters import check_parameters, parameters

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "config/schema.yaml").read_text(encoding="utf-8"))
CONFIG = {
    **yaml.safe_load((ROOT / "config/workflow.yaml").read_text(encoding="utf-8")),
    "notebooks": read_notebooks(ROOT / "config"),
}
SCALES = ("paper", "smoke")
SETTINGS = {scale: at_scale({**CONFIG, "scale": scale}) for scale in SCALES}
NOTEBOOKS = list(CONFIG["notebooks"])


def validate(config):
    jsonschema.Draft202012Validator(SCHEMA).validate(config)


def changed(keys, value):
    """Return the configuration with another value at one place."""
    config = copy.deepcopy(CONFIG)
    place = config
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return config


def test_schema_accepts_the_configuration():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validate(CONFIG)
    validate({**CONFIG, "figures_dir": "build/verify/figures"})


ALPHA = ("notebooks", "00_tour", "paper", "alpha")


@pytest.mark.parametrize(
    "value", [1, 1.5, float("inf"), True, [1, 2.5], [[1, 2], [3]], yaml.safe_load("[.inf, 1.0e-9]")]
)
def test_schema_accepts_parameter(value):
    validate(changed(ALPHA, value))


@pytest.mark.parametrize(
    "value",
    ["1.0", yaml.safe_load("1e-12"), None, {}, {"a": 1}, [], ["1"], [[]], [1, [1]], [[[1]]]],
    ids=repr,
)
def test_schema_rejects_parameter(value):
    with pytest.raises(jsonschema.ValidationError):
        validate(changed(ALPHA, value))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["colour"], 1),
        (["scale"], "large"),
        (["paper", "figures_dir"], "/figures"),
        (["smoke", "figures_dir"], "figures/../.."),
        (["figures_dir"], "../figures"),
        (["paper"], {"figures_dir": "figures"}),
        (["notebooks"], {}),
        (["notebooks", "tour"], {"paper": {"seed": 0}, "smoke": {"seed": 0}}),
        (["notebooks", "00_tour"], {"paper": {"seed": 0}}),
        (["notebooks", "00_tour", "paper"], {}),
        (["notebooks", "00_tour", "smoke", "seed"], 0.5),
        (["notebooks", "00_tour", "paper", "Alpha"], 1),
        (["notebooks", "00_tour", "paper", "figures_dir"], 1),
        (["notebooks", "00_tour", "data"], {"rates": {"function": "measurements.f"}}),
        (["notebooks", "05_measurements", "data", "recovery", "function"], "f"),
        (["notebooks", "05_measurements", "data", "recovery", "paper", "chunks"], 0),
        (["notebooks", "05_measurements", "data", "recovery", "tables"], {}),
    ],
)
def test_schema_rejects(keys, value):
    with pytest.raises(jsonschema.ValidationError):
        validate(changed(keys, value))


def keys_of(value):
    return {k: keys_of(v) for k, v in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_scales_have_the_same_keys(notebook):
    values = CONFIG["notebooks"][notebook]
    for part in (values, *values.get("data", {}).values()):
        assert keys_of(part["paper"]) == keys_of(part["smoke"])


def test_smoke_stays_away_from_the_committed_figures():
    assert all(folder.startswith("build/smoke/") for folder in CONFIG["smoke"].values())


def test_every_notebook_is_part_of_the_workflow():
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == NOTEBOOKS


def test_a_folder_may_be_set_apart():
    settings = at_scale({**CONFIG, "scale": "smoke", "figures_dir": "elsewhere"})
    assert settings == {**SETTINGS["smoke"], "figures_dir": "elsewhere"}


def test_data_of_two_notebooks_have_two_names():
    data = {"data": CONFIG["notebooks"]["05_measurements"]["data"]}
    config = changed(("notebooks", "00_tour"), CONFIG["notebooks"]["00_tour"] | data)
    with pytest.raises(ValueError, match="05_measurements: 00_tour has data recovery_signed"):
        at_scale(config)


@pytest.mark.parametrize("scale", SCALES)
def test_names_are_those_of_notebooks_and_functions(scale, monkeypatch):
    monkeypatch.chdir(ROOT)
    check_names(SETTINGS[scale])


def test_parameter_that_a_notebook_does_not_have():
    path = ROOT / "notebooks/00_tour.ipynb"
    check_parameters(path, {"trials": 1, "seed": 0})
    with pytest.raises(ValueError, match=r"00_tour: no parameter trails, only .*trials"):
        check_parameters(path, {"trails": 1})
    with pytest.raises(ValueError, match="99_none is listed"):
        check_parameters(path.with_stem("99_none"), {})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3.0, "trials must be a whole number, got 3.0"),
        ([3], r"trials must be a whole number, got \[3\]"),
        (True, "trials must be a whole number, got True"),
        ("3", "trials must be a whole number, got '3'"),
    ],
)
def test_parameter_of_the_wrong_kind(value, message):
    with pytest.raises(ValueError, match=f"notebooks, 00_tour: {message}"):
        check_parameters(ROOT / "notebooks/00_tour.ipynb", {"trials": value})


@pytest.mark.parametrize(
    ("value", "is_kind"),
    [
        (1, "a whole number"),
        (float("inf"), "a number"),
        (False, "true or false"),
        ([2, 2.5], "a list"),
        ([[1, 2]], "a list of lists"),
        (None, "something else"),
    ],
)
def test_kinds(value, is_kind):
    assert kind(value) == is_kind


def test_a_seed_is_not_negative():
    check_kinds({"seed": 0, "log10_alpha": 0}, {"seed": 3, "log10_alpha": -3, "other": "x"})
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        check_kinds({"seed": 0}, {"seed": -1})


def test_what_is_no_literal_has_no_kind():
    assert assigned("a = 1\nb = a + 1\nc, d = 2, 3\ne.f = 4\nimport g\nh = -np.inf") == {
        "a": 1,
        "h": -float("inf"),
    }


def test_parameters_are_the_literals_of_their_cell(tmp_path):
    source = "a = 1\nb = [2, np.inf, float('inf')]\nc = -math.inf\nd = None"
    cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    inf = float("inf")
    assert parameters(tmp_path / "a.ipynb") == {"a": 1, "b": [2, inf, inf], "c": -inf, "d": None}


@pytest.mark.parametrize(
    ("function", "name", "message"),
    [
        ("recovery_table.recovery_table", "pieces", "no parameter pieces"),
        ("recovery_table.recovery_table", "workers", "no parameter workers"),
        ("recovery_table.no_table", "seed", "no function no_table"),
        ("no_module.recovery_table", "seed", "no function recovery_table"),
    ],
)
def test_argument_that_a_function_does_not_take(function, name, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ValueError, match=message):
        check_arguments(function, {name: 1})

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCKS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("requirements.lock", "benchmarks/requirements.lock")
}
ON_PYPI_ONLY = {"snakemake"}


def by_name(requirements):
    return {canonicalize_name(r.name): r for r in map(Requirement, requirements)}


def project_requirements(*extras):
    optional = PROJECT["project"]["optional-dependencies"]
    assert set(extras) <= set(optional)
    groups = [PROJECT["project"]["dependencies"], *(optional[extra] for extra in extras)]
    return by_name(requirement for group in groups for requirement in group)


def conda_requirements():
    specs = [spec for spec in ENVIRONMENT["dependencies"] if isinstance(spec, str)]
    return {re.match(r"[a-z0-9_-]+", spec).group(): spec for spec in specs}


def pip_requirements():
    (pip,) = (spec["pip"] for spec in ENVIRONMENT["dependencies"] if isinstance(spec, dict))
    return pip


def lock_entries(lock="requirements.lock"):
    """Requirement and hashes of each entry of a lock file."""
    text = re.sub(r"^ *#.*\n", "", LOCKS[lock], flags=re.MULTILINE).replace("\\\n", " ")
    for line in text.splitlines():
        requirement, *hashes = line.split("--hash=")
        yield Requirement(requirement.strip()), [digest.strip() for digest in hashes]


def test_environment_has_the_names_and_ranges_of_pyproject():
    wanted = project_requirements("workflow", "test")
    conda = conda_requirements()
    python, pip = conda.pop("python"), conda.pop("pip")
    assert (python, pip) == ("python=3.11", "pip")
    *others, editable = pip_requirements()
    assert editable == "-e ."
    given = {name: Requirement(spec) for name, spec in conda.items()} | by_name(others)
    assert given == wanted
    assert set(by_name(others)) == ON_PYPI_ONLY


def test_conda_specs_are_valid():
    rattler = pytest.importorskip("rattler")
    for name, spec in conda_requirements().items():
        assert rattler.MatchSpec(spec, strict=True).name.normalized == name


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", ["workflow", "cluster", "book", "test", "dev"]),
        ("benchmarks/requirements.lock", ["peers"]),
    ],
)
def test_lock_has_one_version_in_range_of_every_requirement(lock, extras, python, platform):
    system = {"linux": "Linux", "darwin": "Darwin"}[platform]
    surroundings = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_system": system,
        "os_name": "posix",
        "extra": "",
    }
    locked = {}
    for entry, _ in lock_entries(lock):
        if entry.marker is None or entry.marker.evaluate(surroundings):
            assert entry.name not in locked
            locked[entry.name] = entry
    for name, wanted in project_requirements(*extras).items():
        (pin,) = locked[name].specifier
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version), wanted


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_a_build_backend_for_an_installation_without_network(lock):
    locked = {entry.name: entry for entry, _ in lock_entries(lock)}
    for name, wanted in by_name(PROJECT["build-system"]["requires"]).items():
        (pin,) = locked[name].specifier
        assert wanted.specifier.contains(pin.version)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_hashes_and_no_addresses(lock):
    for entry, hashes in lock_entries(lock):
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), entry
    assert "://" not in LOCKS[lock]
    assert not re.search(r"^-|^\S+ @", LOCKS[lock], re.MULTILINE)
    assert not re.search(r"(?<![\w.])/\w", LOCKS[lock])


def test_locks_agree_on_what_both_have():
    def versions(lock):
        return {(e.name, str(e.marker)): str(e.specifier) for e, _ in lock_entries(lock)}

    first, second = map(versions, LOCKS)
    both = first.keys() & second.keys()
    assert {"cvxpy", "numpy", "scipy", "snakemake"} <= {name for name, _ in both}
    assert {key: second[key] for key in both} == {key: first[key] for key in both}


def test_peers_are_in_no_other_environment():
    own = {"celer", "spgl1"}
    assert own <= set(project_requirements("peers"))
    assert not own & {entry.name for entry, _ in lock_entries()}
    assert not own & set(conda_requirements())


def test_binder_takes_conda_and_python_311_and_installs_the_package():
    pytest.importorskip("repo2docker")
    code = """
import os, sys
from repo2docker.app import Repo2Docker
os.chdir(sys.argv[1])
app = Repo2Docker()
for kind in app.buildpacks:
    pack = kind(app.base_image)
    pack.platform = "linux/amd64"
    if pack.detect():
        print(kind.__name__, pack.python_version)
        print(pack.render(build_args={}))
        break
"""
    command = [sys.executable, "-c", code, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    picked, _, dockerfile = done.stdout.partition("\n")
    assert picked == "CondaBuildPack 3.11"
    # The package is there when "-e ." in the environment installs it.
    copied = re.search(r"^COPY .*src/ \$\{REPO_DIR\}", dockerfile, re.MULTILINE)
    update = re.search(r'env update .*--file "environment.yml"', dockerfile)
    assert copied.end() < update.start()


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["repository-code"] == PROJECT["project"]["urls"]["Homepage"]
    assert PROJECT["project"]["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

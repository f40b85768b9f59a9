"""What is installed is what is declared: the files of the wheel, the packages that are imported, the locks."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from blocks.settings import ROOT
from infra.release.sbom import normal

PACKAGES = ("deployments", "flows", "tasks", "blocks", "infra")
# Of training, of tests, or about the files: the only ones that stay behind.
LEFT = re.compile(r"/training/|_test\.yml$|\.pt$|\.csv$|/README\.md$|/HISTORY\.md$")
_PINS = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)(?: ; ([^\\]+))?", re.M)
LOCKS = ("base", "dev", "train", "uv")


def tracked() -> list[str]:
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in told.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without what else lies in the folder, and taken apart. It is not the checkout that tests run in."""
    source, out, installed = (tmp_path_factory.mktemp(name) for name in ("source", "out", "installed"))
    for name in tracked():
        if name.split("/")[0] in {*PACKAGES, "pyproject.toml", "README.md", "LICENSE"}:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (built,) = out.glob("sohoa-*-py3-none-any.whl")
    zipfile.ZipFile(built).extractall(installed)
    return installed


def test_the_wheel_holds_all_that_the_product_reads_and_nothing_of_training(wheel: Path) -> None:
    held = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    ours = {name for name in tracked() if name.split("/")[0] in PACKAGES}
    assert not {name for name in ours - held if not LEFT.search(name)}
    assert not {name for name in held - ours if ".dist-info/" not in name}
    assert not {name for name in held if "/training/" in name or name.endswith(".pt")}
    assert all((wheel / package / "py.typed").exists() for package in PACKAGES)


def test_the_command_works_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    def sohoa(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-c", "from deployments.cli.main import main; main()", *arguments]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(wheel), "HOME": str(home)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sohoa("--version", home=tmp_path).stdout == f"sohoa {project['version']}\n"
    nothing = sohoa("doctor", home=tmp_path)
    told = "".join(nothing.stderr.split())
    assert nothing.returncode == 2 and "NOT_SET_UP" in told and "makeup" in told, nothing
    assert f"{tmp_path}/.local/share/sohoa" in told  # not a folder among the packages


def test_what_the_product_reads_from_files_is_found_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    code = f"""
import blocks
assert blocks.__file__.startswith({str(wheel)!r}), blocks.__file__
from blocks.records.migrate import MIGRATIONS
from tasks.monitoring.checks.finding import State
from tasks.monitoring.checks.parts import reading
from deployments.setup import DEPLOYMENTS
from infra.local.pki import SPECIFICATION
assert list((MIGRATIONS / "versions").glob("*.py"))
assert DEPLOYMENTS.is_file() and SPECIFICATION.is_file()
assert reading().state is State.GOOD, reading()
"""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(wheel), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def declared(*extras: str) -> dict[str, Requirement]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {normal(wanted.name): wanted for wanted in map(Requirement, lines)}


def imported(folder: str) -> dict[str, str]:
    """Package that is imported → a file that does; training's are its own (the extra `train`)."""
    own = {*PACKAGES, "tests"}
    found: dict[str, str] = {}
    for path in (ROOT / folder).rglob("*.py"):
        if "training" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in (name.split(".")[0] for name in names):
                if name not in own and name not in sys.stdlib_module_names:
                    found[name] = str(path.relative_to(ROOT))
    return found


@pytest.mark.parametrize(("folder", "extras"), [*((package, ()) for package in PACKAGES), ("tests", ("dev",))])
def test_what_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    wanted, made_by = set(declared(*extras)), packages_distributions()
    typing_only = {"mypy_boto3_s3"}  # under TYPE_CHECKING
    missing = {
        name: file
        for name, file in imported(folder).items()
        if name not in typing_only and not {normal(made) for made in made_by.get(name, [])} & wanted
    }
    assert not missing


def locked(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return {match[1]: match[2] for match in _PINS.finditer(text)}


@pytest.mark.parametrize(("lock", "extras"), [("base", ()), ("dev", ("dev",)), ("train", ("train",))])
def test_the_locks_are_compiled_from_what_is_declared(lock: str, extras: tuple[str, ...]) -> None:
    pinned, base = locked(lock), locked("base")
    for name, wanted in declared(*extras).items():
        assert wanted.specifier.contains(pinned[name]), name
    assert {name: pinned.get(name, version) for name, version in base.items()} == base


def test_the_lock_serves_python_3_11_to_3_13() -> None:
    text = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
    markers = {match[1]: match[3].strip() for match in _PINS.finditer(text) if match[3]}
    assert markers["pendulum"] == "python_full_version < '3.13'"  # Prefect's, and
    assert markers["whenever"] == "python_full_version == '3.13.*'"  # what it takes in its place


@pytest.mark.parametrize("lock", LOCKS)
def test_each_locked_package_has_hashes_and_none_an_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    for entry in re.split(r"(?m)^(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"https?://|file:|--index|--find-links|^/| @ ", text, re.M)

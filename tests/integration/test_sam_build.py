"""The deployment artefacts: valid, complete, the same each time, and able to answer a request."""

from __future__ import annotations

import filecmp
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import ROOT, Tables

pytestmark = pytest.mark.build

RUNTIME = (3, 13)
"""template.yaml's; a contract test compares the two."""

PLATFORMS = {"x86_64": "manylinux2014_x86_64", "aarch64": "manylinux2014_aarch64"}
ARM64 = 183
UNCHECKED_HASH = 1
LAYER_LIMIT_BYTES = 250 * 1024 * 1024
TOKEN = "sample-token-of-at-least-32-characters"
RUNNER = """
import importlib.util, json, sys
folder, event = sys.argv[1], json.load(sys.stdin)
spec = importlib.util.spec_from_file_location("app", folder + "/app.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps(module.handler(event, None) if event else sorted(sys.modules)))
"""


def sam(*arguments: object, **variables: str) -> None:
    found = shutil.which("sam", path=f"{ROOT / '.venv-sam' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("the SAM CLI is not installed: make .venv-sam/.stamp")
    done = subprocess.run(
        [found, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def interpreter_of(version: tuple[int, int]) -> str | None:
    """An interpreter of a version, found as the build finds it."""
    name = "{}.{}".format(*version)
    try:
        done = subprocess.run(
            [f"python{name}", "-c", "import sys; print(sys.executable)"],
            env={**os.environ, "PYENV_VERSION": name},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployed") / ".aws-sam" / "build"
    sam("build", "--build-dir", folder)
    return folder


@dataclass(frozen=True, slots=True)
class Here:
    """The artefacts for this machine's processor, and an interpreter that can run them."""

    folder: Path
    python: str

    def functions(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob("*/app.py"))

    def call(self, function: str, event: dict[str, Any], **variables: str) -> Any:
        """What the function answers; without an event, the modules that it loads."""
        done = subprocess.run(
            [self.python, "-S", "-c", RUNNER, self.folder / function],
            input=json.dumps(event),
            env={"PYTHONPATH": str(self.folder / "RuneCommonLayer" / "python"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    wheels = PLATFORMS.get(platform.machine()) if sys.platform == "linux" else None
    if wheels is None:
        pytest.skip("there are no wheels for this platform in the layer's pins")
    python, version = interpreter_of(RUNTIME), RUNTIME
    if python is None:
        python, version = sys.executable, sys.version_info[:2]
    folder = tmp_path_factory.mktemp("here") / ".aws-sam" / "build"
    sam("build", "--build-dir", folder, PLATFORM=wheels, RUNTIME_VERSION="{}.{}".format(*version))
    return Here(folder, python)


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return found


def files(folder: Path) -> Iterator[Path]:
    return (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_template_is_valid() -> None:
    sam("validate", "--lint")


def test_two_builds_of_one_source_are_equal(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "build"
    sam("build", "--build-dir", again)
    first, second = list(files(built)), list(files(again))
    assert first == second
    same, _, _ = filecmp.cmpfiles(built, again, [str(path) for path in first], shallow=False)
    assert [str(path) for path in first if str(path) not in set(same)] == []


def test_every_function_is_built_and_holds_its_entry_only(built: Path) -> None:
    folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
    found = {path.parent.name: path for path in built.glob("*/app.py")}
    assert len(found) == len(folders)
    for path in found.values():
        sources = {each.name for each in path.parent.iterdir()} - {"__pycache__", "run.sh"}
        assert sources == {"app.py"}


def test_the_layer_holds_libraries_for_the_runtimes_processor(built: Path) -> None:
    libraries = list((built / "RuneCommonLayer").rglob("*.so"))
    assert libraries
    assert {struct.unpack_from("<H", path.read_bytes(), 18)[0] for path in libraries} == {ARM64}


def test_the_layer_fits_and_holds_nothing_that_only_the_local_stack_needs(built: Path) -> None:
    site = built / "RuneCommonLayer" / "python"
    packages = {path.name for path in site.iterdir()}
    assert {"rune_common", "fastapi", "mangum", "pydynox"} <= packages
    assert not packages & {"boto3", "botocore", "moto", "pip", "typer", "uvloop", "bin"}
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < LAYER_LIMIT_BYTES


def test_bytecode_is_there_for_every_source_and_never_checked_against_it(built: Path) -> None:
    if interpreter_of(RUNTIME) is None:
        pytest.skip("the runtime's interpreter is not here, so there is no bytecode")
    tag = "cpython-{}{}".format(*RUNTIME)
    for path in built.rglob("*.py"):
        compiled = path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"
        assert compiled.is_file(), compiled
        content = compiled.read_bytes()
        assert struct.unpack_from("<I", content, 4)[0] == UNCHECKED_HASH
        assert str(built).encode() not in content


def test_a_built_function_answers_a_request(here: Here) -> None:
    answer = here.call("ReadHealthFunction", sample("read_health"))
    assert (answer["statusCode"], answer["body"]) == (200, '{"status":"ok"}')


def test_every_built_function_can_be_imported_without_loading_what_it_does_not_need(here: Here) -> None:
    for function in here.functions():
        loaded = here.call(function, {})
        assert "boto3" not in loaded
        assert "rune_common.http.app" in loaded or "fastapi" not in loaded, function


def test_built_functions_keep_a_job_and_show_it(here: Here, tables: Tables, tmp_path: Path) -> None:
    variables = {
        "AWS_ENDPOINT_URL_DYNAMODB": tables.endpoint,
        "RUNE_RUNS_TABLE": tables.runs,
        "RUNE_IDENTITY_TABLE": tables.identity,
        "RUNE_DATA_DIR": str(tmp_path),
        "RUNE_API_TOKENS": f"default:{TOKEN}",
    }
    accepted = here.call("SubmitJobFunction", sample("submit_job"), **variables)
    assert accepted["statusCode"] == 202, accepted["body"]
    listed = here.call("ListJobsFunction", sample("list_jobs"), **variables)
    assert listed["statusCode"] == 200, listed["body"]
    job_id = json.loads(accepted["body"])["job_id"]
    assert job_id in listed["body"]
    stranger = {**sample("list_jobs"), "headers": {}, "multiValueHeaders": {}}
    assert here.call("ListJobsFunction", stranger, **variables)["statusCode"] == 401

"""The settings' reference page is made from the code, and no variable is read that it does not tell."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.deployment import ROOT

from rune.cli.config_keys import KEYS, SECRET_KEYS
from rune.local.documents import settings_page
from rune_common.settings import Settings

PAGE = ROOT / "docs" / "reference" / "settings.md"
CLI_PAGE = ROOT / "docs" / "reference" / "cli.md"
SOURCES = ("layers/rune_common/src", "src", "functions")
AGENT = ROOT / "containers" / "agent" / "rune_agent"
NAME = re.compile(r"RUNE_[A-Z0-9_]*[A-Z0-9]")
SETTINGS = {each.metadata["variable"] for each in dataclasses.fields(Settings)}
COMMAND_LINE = {key.variable for key in KEYS.values()} | set(SECRET_KEYS.values())
OF_ONE_ATTEMPT = {"RUNE_TASK", "RUNE_KUBECTL_MODE", "RUNE_RUN_ID"}
"""What one of Rune's processes tells the next about a single piece of work; nobody sets these."""


def sources(*folders: str | Path) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def variables(path: Path) -> set[str]:
    """Names of variables among the strings of a module, its docstrings and comments left aside."""
    tree = ast.parse(path.read_text())
    documented = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
    )
    return {text for text in texts if NAME.fullmatch(text)}


def test_the_page_is_what_the_code_makes_of_it() -> None:
    assert PAGE.read_text() == settings_page(), "run `make docs`"


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_has_one_row_with_its_meaning(name: str) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert len(cells) == 5
    assert cells[3]
    assert re.match(r"(design|jobs-api|runs-api|holmes-driver|control-plane)\.md [\d.]+", cells[4])


def test_every_variable_in_the_code_is_a_setting_or_an_option() -> None:
    cli_options = set(NAME.findall(CLI_PAGE.read_text()))
    told = SETTINGS | COMMAND_LINE | OF_ONE_ATTEMPT | cli_options
    untold = {
        f"{path.relative_to(ROOT)}: {name}" for path in sources(*SOURCES) for name in variables(path) - told
    }
    assert untold == set()


def test_every_variable_that_the_agent_reads_is_a_setting() -> None:
    found = set().union(*(variables(path) for path in sources(AGENT)))
    assert found, "the agent reads some"
    assert found - SETTINGS - OF_ONE_ATTEMPT == set()


@pytest.mark.parametrize("name", sorted(COMMAND_LINE))
def test_every_variable_of_the_command_line_is_told(name: str) -> None:
    assert name in CLI_PAGE.read_text()

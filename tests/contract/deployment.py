"""template.yaml, read as data for the contract tests. Short tags become dicts: `!Ref X` is `{"Ref": "X"}`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FUNCTION = "AWS::Serverless::Function"


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = "Ref" if suffix == "Ref" else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return {name: text.split(".") if suffix == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    raise TypeError(f"!{suffix} of a mapping")


TemplateLoader.add_multi_constructor("!", _tagged)


@cache
def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader=TemplateLoader)
    return found


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Resources of a type by logical id."""
    return {name: each for name, each in template()["Resources"].items() if each["Type"] == kind}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the template whose code is a folder under functions/."""

    logical_id: str
    folder: str
    properties: dict[str, Any]

    def variables(self) -> dict[str, Any]:
        shared = template()["Globals"]["Function"]["Environment"]["Variables"]
        return {**shared, **self.properties.get("Environment", {}).get("Variables", {})}

    @property
    def streams(self) -> bool:
        """Whether it is a web server behind the Web Adapter."""
        return self.properties.get("Handler") == "run.sh"

    def events(self, kind: str) -> list[dict[str, Any]]:
        every = self.properties.get("Events", {}).values()
        return [event["Properties"] for event in every if event["Type"] == kind]


def functions() -> list[Function]:
    return [
        Function(name, each["Properties"]["CodeUri"].removeprefix("functions/"), each["Properties"])
        for name, each in resources(FUNCTION).items()
    ]


def logical_id(folder: str) -> str:
    """`read_job` to `ReadJobFunction`."""
    return "".join(word.capitalize() for word in folder.split("_")) + "Function"


def values(node: Any, key: str) -> Iterator[Any]:
    """Every value under a key, at any depth."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name == key:
                yield child
            yield from values(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from values(child, key)

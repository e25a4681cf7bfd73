"""Reads kubeconfigs: YAML within limits, and files inside the operator's folders (jobs-api.md 5.2)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any

from rune_common.domain.kubeconfig_rules import MAX_KUBECONFIG_BYTES, KubeconfigInvalid

MAX_EVENTS = 50_000
MAX_DEPTH = 32


class YamlKubeconfigs:
    """`folders` are absolute or begin with `~`; `home` is what `~` stands for, in requests too."""

    def __init__(self, folders: Sequence[str] = (), home: str = "") -> None:
        self._home = home or os.path.expanduser("~")
        self._folders = tuple(os.path.normpath(self._expanded(folder)) for folder in folders)

    def parse(self, text: str) -> dict[str, Any]:
        """The document. Only booleans and null are read as such: `012` and `2024-01-01` stay text.

        Raises KubeconfigInvalid: no YAML, no mapping, an alias (which can multiply without end), too deep.
        """
        import yaml

        loader = _loader()
        try:
            _check_events(yaml.parse(text, Loader=loader))
            document = yaml.load(text, Loader=loader)
        except (yaml.YAMLError, ValueError) as exc:
            if isinstance(exc, KubeconfigInvalid):
                raise
            raise KubeconfigInvalid("is neither YAML nor JSON") from None
        if not isinstance(document, dict):
            raise KubeconfigInvalid("is not a mapping")
        return document

    def read(self, path: str) -> str | None:
        """The file's text if the path, with `~`, `..` and all links resolved, lies inside a folder.

        Decided on the text first, so outside the folders nothing is looked at, not even for links.
        """
        if "\0" in path:
            return None
        named = os.path.normpath(self._expanded(path))
        for folder in self._folders:
            if _inside(named, folder):
                real = os.path.realpath(named)
                return _text(real) if _inside(real, os.path.realpath(folder)) else None
        return None

    def _expanded(self, path: str) -> str:
        return self._home + path[1:] if path == "~" or path.startswith("~/") else path


def _inside(path: str, folder: str) -> bool:
    return os.path.isabs(path) and path.startswith(folder.rstrip("/") + "/")


def _text(path: str) -> str | None:
    try:
        # Not blocking: a FIFO must not hold the request; what is no regular file is not read.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(MAX_KUBECONFIG_BYTES + 1)
            return content.decode() if len(content) <= MAX_KUBECONFIG_BYTES else None
    except (OSError, ValueError):
        return None


def _check_events(events: Any) -> None:
    import yaml

    depth = 0
    for count, event in enumerate(events, start=1):
        if isinstance(event, yaml.AliasEvent):
            raise KubeconfigInvalid("has YAML aliases")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if count > MAX_EVENTS or depth > MAX_DEPTH:
            raise KubeconfigInvalid("holds too many parts")


def _loader() -> Any:
    """A safe loader, in C where there is one, that leaves numbers and dates as the text they are."""
    import yaml

    parent = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    kept = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
    resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag in kept]
        for first, rules in parent.yaml_implicit_resolvers.items()
    }
    return type("KubeconfigLoader", (parent,), {"yaml_implicit_resolvers": resolvers})

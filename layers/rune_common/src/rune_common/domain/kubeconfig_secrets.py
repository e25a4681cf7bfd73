"""Literal secrets of a kubeconfig, so that they can be redacted wherever they turn up (runs-api.md 3.4)."""

from __future__ import annotations

import re

_SECRET = re.compile(r"""\b(?:token|password|client-key-data)["']?[ \t]*:[ \t]*["']?([^\s"',}]{8,})""")


def kubeconfig_secrets(text: str) -> tuple[str, ...]:
    """The values of `token`, `password` and `client-key-data` in a YAML or JSON kubeconfig."""
    return tuple(dict.fromkeys(_SECRET.findall(text)))

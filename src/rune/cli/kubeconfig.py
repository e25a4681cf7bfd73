"""
The user's kubeconfig, made into one self-contained document (jobs-api.md 15, row "kubeconfig").

The server and the agent accept neither file paths nor commands in it (jobs-api.md 5.2), so the current
context alone is kept, and files that it names are read here, as the user, and put inline.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rune.cli.configuration import BUILT_IN, Setting
from rune.cli.failures import CliFailure

LARGEST = 256 * 1024
REFERENCE = "ref:"
INLINED = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}


def kubeconfig_document(setting: Setting, *, http: bool, home: Path) -> str | None:
    """What to send as `kubeconfig`: a document, a `ref:<name>` as it is (http), or None for no cluster.

    http: only what was given by flag or variable is sent, so that no file lying around can choose it.
    local: the file is opened; the built-in path may be missing, any other may not.
    Raises CliFailure, naming the path as the user wrote it.
    """
    written = setting.text.strip()
    if not written or (http and not setting.on_the_spot):
        return None
    if written.startswith(REFERENCE):
        if http:
            return written
        raise CliFailure("a kubeconfig reference needs a server: add --backend http", code="kubeconfig")
    path = Path(written).expanduser() if not written.startswith("~/") else home / written[2:]
    if setting.source == BUILT_IN and not path.exists():
        return None
    return flatten(path, written)


def flatten(path: Path, written: str) -> str:
    """One YAML document with one context, cluster and user, and nothing that points outside of it."""
    import yaml

    document = _parsed(path, written)
    context_name = document.get("current-context")
    if not context_name:
        hint = "choose one with `kubectl config use-context`"
        raise _unusable(written, "has no current context", hint)
    context = _named(document, "contexts", "context", str(context_name), written)
    cluster_name, user_name = str(context.get("cluster", "")), str(context.get("user", ""))
    cluster = _named(document, "clusters", "cluster", cluster_name, written)
    user = _named(document, "users", "user", user_name, written) if user_name else {}
    _refuse_commands(user, written)
    if "proxy-url" in cluster:
        raise _unusable(written, "names a proxy (proxy-url), which is not supported")
    cluster, user = _inlined(cluster, path, written), _inlined(user, path, written)
    user = _with_token(user, path, written)
    kept = {name: value for name, value in context.items() if name in {"cluster", "user", "namespace"}}
    text: str = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": str(context_name),
            "contexts": [{"name": str(context_name), "context": kept}],
            "clusters": [{"name": cluster_name, "cluster": cluster}],
            "users": [{"name": user_name, "user": user}] if user_name else [],
        },
        sort_keys=False,
    )
    if len(text.encode()) > LARGEST:
        raise _unusable(written, "is larger than 256 KiB once its files are inline")
    return text


def _parsed(path: Path, written: str) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(_read(path, written))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise _unusable(written, "is not YAML") from exc
    if not isinstance(document, dict):
        raise _unusable(written, "is not a kubeconfig")
    return document


def _read(path: Path, written: str) -> bytes:
    try:
        if not path.is_file():
            raise _unusable(written, "does not exist" if not path.exists() else "is not a file")
        if path.stat().st_size > 4 * LARGEST:
            raise _unusable(written, "is too large")
        return path.read_bytes()
    except OSError as exc:
        raise _unusable(written, "cannot be read") from exc


def _named(document: Mapping[str, Any], section: str, member: str, name: str, written: str) -> dict[str, Any]:
    entries = document.get(section)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and str(entry.get("name")) == name:
            found = entry.get(member)
            return dict(found) if isinstance(found, dict) else {}
    raise _unusable(written, f"has no {member} for its current context")


def _refuse_commands(user: Mapping[str, Any], written: str) -> None:
    for kind in ("exec", "auth-provider"):
        if kind in user:
            hint = (
                "use a service account's token: `kubectl create token <account>`, put it into a kubeconfig "
                "of its own and give that with --kubeconfig"
            )
            raise _unusable(
                written, f"gets its credentials from a command ({kind}), which is not supported", hint
            )


def _inlined(section: Mapping[str, Any], path: Path, written: str) -> dict[str, Any]:
    kept = {name: value for name, value in section.items() if name not in INLINED}
    for reference, data in INLINED.items():
        if section.get(reference) and not section.get(data):
            content = _read(path.parent / str(section[reference]), f"{written}: {reference}")
            kept[data] = base64.b64encode(content).decode("ascii")
    return kept


def _with_token(user: Mapping[str, Any], path: Path, written: str) -> dict[str, Any]:
    kept = {name: value for name, value in user.items() if name != "tokenFile"}
    if user.get("tokenFile"):
        # As kubectl: a token file wins over a token, because files are renewed.
        content = _read(path.parent / str(user["tokenFile"]), f"{written}: tokenFile")
        kept["token"] = content.decode("utf-8", errors="replace").strip()
    return kept


def _unusable(written: str, problem: str, hint: str = "") -> CliFailure:
    return CliFailure(f"kubeconfig {written} {problem}", code="kubeconfig", hint=hint)

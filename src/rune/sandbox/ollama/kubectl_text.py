"""Reading what kubectl prints: aligned tables and `describe pod`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

HEADING = re.compile(r"\S+(?: \S+)*")
FIELD = re.compile(r"^( *)([A-Za-z0-9][A-Za-z0-9 /._-]*?):(?:\s+(.*))?$")
DONE = frozenset({"Completed", "Succeeded"})


@dataclass(frozen=True, slots=True)
class Pod:
    """One row of `get pods`: `ready` of `total` containers, restarts, the STATUS column as printed."""

    namespace: str
    name: str
    ready: int
    total: int
    status: str
    restarts: int
    node: str = ""

    @property
    def suspect(self) -> bool:
        """Neither running with all containers ready and under three restarts, nor finished as it should."""
        if self.status in DONE:
            return False
        return self.status != "Running" or self.ready < self.total or self.restarts >= 3


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the Events section."""

    type: str
    reason: str
    message: str


@dataclass(slots=True)
class Container:
    """A container of `describe pod`: `fields` by path, such as `Last State/Exit Code` or `Limits/memory`."""

    name: str
    fields: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> str:
        return self.fields.get(path, "")

    def said(self, what: str) -> list[str]:
        """A detail (`Reason`, `Exit Code`, `Message`) of the present and the last state, where printed."""
        return [v for state in ("State", "Last State") if (v := self.get(f"{state}/{what}"))]


@dataclass(slots=True)
class PodDescription:
    """What `describe pod` told; `fields` are the top-level ones."""

    fields: dict[str, str] = field(default_factory=dict)
    containers: list[Container] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def warnings(self, *reasons: str) -> list[str]:
        """Messages of events with one of these reasons, in the order printed."""
        return [e.message for e in self.events if e.reason in reasons]


def table(text: str, first: str) -> list[dict[str, str]] | None:
    """Rows by column name, from the line on that starts with the heading `first`; None without such a line.

    Cells lie under their headings, because kubectl pads columns with three blanks; a value may hold single
    blanks. A blank line ends the table.
    """
    lines = text.splitlines()
    start = next(
        (n for n, line in enumerate(lines) if line.split(" ", 1)[0] == first and "  " in line),
        None,
    )
    if start is None:
        return None
    headings = [(m.group(0), m.start()) for m in HEADING.finditer(lines[start])]
    bounds = [*(at for _, at in headings[1:]), None]
    rows = []
    for line in lines[start + 1 :]:
        if not line.strip() or line.strip() == "[TRUNCATED]":
            break
        cells = (line[at:end].strip() for (_, at), end in zip(headings, bounds, strict=True))
        rows.append(dict(zip((name for name, _ in headings), cells, strict=True)))
    return rows


def pods_of_table(text: str, namespace: str | None) -> list[Pod] | None:
    """Pods of `get pods` output; `namespace` stands in when the table has no such column. None: no table."""
    if "No resources found" in text:
        return []
    rows = table(text, "NAMESPACE")
    if rows is None:
        rows = table(text, "NAME")
    if rows is None or (rows and not {"READY", "STATUS"} <= rows[0].keys()):
        return None
    pods = []
    for row in rows:
        ready, _, total = row["READY"].partition("/")
        if total.isdigit() and ready.isdigit():
            restarts = _number(row.get("RESTARTS", ""))
            where = row.get("NAMESPACE") or namespace or "default"
            pods.append(
                Pod(
                    where,
                    row["NAME"],
                    int(ready),
                    int(total),
                    row["STATUS"],
                    restarts,
                    row.get("NODE", ""),
                )
            )
    return pods


def json_object(text: str) -> dict[str, object] | None:
    """The JSON object a `kubernetes_*` tool prints, error text before it skipped; None when there is none."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else (None, 0)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def describe(text: str) -> PodDescription | None:
    """Read `describe pod`; None when the text is something else."""
    if not re.search(r"^Name:\s+\S", text, re.MULTILINE):
        return None
    pod = PodDescription()
    section, path, container = "", [(-1, "")], None
    for line in text.splitlines():
        if section == "Events" and line.startswith(" "):
            continue
        found = FIELD.match(line)
        if found is None:
            continue
        indent, name, value = len(found[1]), found[2], (found[3] or "").strip()
        if indent == 0:
            section, container = name, None
            pod.fields.setdefault(name, value)
        elif section in ("Containers", "Init Containers") and indent == 2:
            container = Container(name)
            pod.containers.append(container)
            path = [(indent, "")]
        elif container is not None:
            while path[-1][0] >= indent:
                path.pop()
            parent = path[-1][1]
            full = f"{parent}/{name}" if parent else name
            container.fields.setdefault(full, value)
            path.append((indent, full))
    pod.events = list(_events(text))
    return pod


def _events(text: str) -> Iterable[Event]:
    _, found, after = text.partition("\nEvents:")
    if not found:
        return
    body = "\n".join(line[2:] for line in after.splitlines()[1:] if line.startswith("  "))
    for row in table(body, "Type") or []:
        if not row["Type"].startswith("-"):
            yield Event(row["Type"], row.get("Reason", ""), row.get("Message", ""))


def _number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found.group(0)) if found else 0

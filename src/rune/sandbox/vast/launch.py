"""What a create call asks for, once its template is merged in (jobs-api.md 6.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rune.sandbox.vast.environment import mapped_ports, read_environment
from rune.sandbox.vast.refusal import invalid
from rune.sandbox.vast.templates import Template

MIN_DISK_GB = 8.0
MAX_LABEL = 256
RUNTYPES = frozenset(
    {"args", "ssh", "jupyter", "ssh_direct", "ssh_proxy", "ssh_direc", "jupyter_direct", "jupyter_proxy"}
)
ENV_FORMS = ("object", "string")


@dataclass(frozen=True, slots=True)
class Launch:
    """`disk` GB; `env` by variable name, port flags among them; `volume_id` of a volume to attach."""

    image: str
    disk: float = MIN_DISK_GB
    runtype: str = "ssh"
    label: str | None = None
    env: Mapping[str, str] | None = None
    onstart: str = ""
    template_hash_id: str | None = None
    stopped: bool = False
    cancel_unavail: bool = False
    price: float | None = None
    volume_id: int | None = None

    @property
    def ports(self) -> tuple[str, ...]:
        return mapped_ports(self.env or {})


def read_launch(
    body: Mapping[str, Any],
    templates: Mapping[str, Template],
    *,
    env_forms: Sequence[str] = ENV_FORMS,
) -> Launch:
    """A create call's body; 400 `invalid_args` for what the provider would refuse.

    The request's scalar fields override the template's, its `env` is merged over the template's by key.
    """
    fields: dict[str, Any] = {}
    env: dict[str, str] = {}
    template_hash = _text(body, "template_hash_id")
    if template_hash:
        template = templates.get(template_hash)
        if template is None:
            raise invalid(f"no template has the hash {template_hash}")
        fields = template.launch_fields()
        env = read_environment(template.env)
    fields |= {name: value for name, value in body.items() if value is not None}
    if not fields.get("image"):
        raise invalid("image or template_hash_id is required")
    form = "string" if isinstance(body.get("env"), str) else "object"
    if body.get("env") is not None and form not in env_forms:
        raise invalid(f"env must be given as {' or '.join(env_forms)}")
    target = fields.get("target_state", "running")
    if target not in ("running", "stopped"):
        raise invalid("target_state is running or stopped")
    return Launch(
        image=str(_text(fields, "image")),
        disk=_disk(fields.get("disk", MIN_DISK_GB)),
        runtype=_runtype(_text(fields, "runtype") or "ssh"),
        label=read_label(body.get("label")),
        env=env | read_environment(body.get("env")),
        onstart=_text(fields, "onstart") or "",
        template_hash_id=template_hash,
        stopped=target == "stopped",
        cancel_unavail=fields.get("cancel_unavail") is True,
        price=_price(fields.get("price")),
        volume_id=_volume(body.get("volume_info")),
    )


def read_label(label: object) -> str | None:
    if label is None:
        return None
    if not isinstance(label, str) or len(label) > MAX_LABEL:
        raise invalid(f"label is a text of at most {MAX_LABEL} characters")
    return label


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name} is a text")
    return value


def _disk(disk: object) -> float:
    if isinstance(disk, bool) or not isinstance(disk, int | float) or disk < MIN_DISK_GB:
        raise invalid(f"disk is a number of GB, {MIN_DISK_GB:g} or more")
    return float(disk)


def _runtype(runtype: str) -> str:
    if not runtype.split() or set(runtype.split()) - RUNTYPES:
        raise invalid(f"unknown runtype {runtype!r}")
    return runtype


def _price(price: object) -> float | None:
    if price is not None and (isinstance(price, bool) or not isinstance(price, int | float)):
        raise invalid("price is a number of $/h")
    return None if price is None else float(price)


def _volume(info: object) -> int | None:
    match info:
        case None:
            return None
        case {"volume_id": int(volume_id)}:
            return volume_id
    raise invalid("volume_info names the volume_id of a volume that exists")

"""Templates: a stored launch request that a create call names by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune.sandbox.vast.environment import flags_of, read_environment
from rune.sandbox.vast.offers import Json
from rune.sandbox.vast.refusal import invalid


@dataclass(frozen=True, slots=True)
class Template:
    """`env` is a docker flag string; `recommended_disk_space` GB."""

    id: int
    hash_id: str
    name: str
    image: str
    tag: str = "latest"
    runtype: str = "args"
    env: str = ""
    onstart: str = ""
    recommended_disk_space: float = 16

    def document(self) -> Json:
        return {
            "id": self.id,
            "hash_id": self.hash_id,
            "name": self.name,
            "image": self.image,
            "tag": self.tag,
            "runtype": self.runtype,
            "env": self.env,
            "onstart": self.onstart,
            "recommended_disk_space": self.recommended_disk_space,
        }

    def launch_fields(self) -> Json:
        """The create call's fields that it stands for."""
        return {
            "image": f"{self.image}:{self.tag}",
            "disk": self.recommended_disk_space,
            "runtype": self.runtype,
            "onstart": self.onstart,
        }


def read_template(template_id: int, body: Mapping[str, Any]) -> Template:
    """A template from the request that makes one; 400 without a name or an image."""
    texts = {name: body.get(name) or "" for name in ("name", "image", "tag", "runtype", "onstart")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise invalid(f"{', '.join(texts)} are texts")
    if not texts["name"] or not texts["image"]:
        raise invalid("a template needs a name and an image")
    disk = body.get("recommended_disk_space") or 16
    if isinstance(disk, bool) or not isinstance(disk, int | float):
        raise invalid("recommended_disk_space is a number of GB")
    env = flags_of(read_environment(body.get("env")))
    content = json.dumps([texts, env, disk], sort_keys=True).encode()
    return Template(
        id=template_id,
        hash_id=hashlib.sha256(content).hexdigest()[:32],
        name=texts["name"],
        image=texts["image"],
        tag=texts["tag"] or "latest",
        runtype=texts["runtype"] or "args",
        env=env,
        onstart=texts["onstart"],
        recommended_disk_space=disk,
    )

"""A plain HTTP client of the simulated GPU market, as the product's adapter speaks to it."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from rune.sandbox.vast import VastSim

OLLAMA_ENV = {"-p 11434:11434": "1", "OLLAMA_HOST": "0.0.0.0:11434"}
LAUNCH = {"image": "ollama/ollama", "runtype": "args", "disk": 32, "env": OLLAMA_ENV, "cancel_unavail": True}
RTX_3090, RTX_4090, A100 = 7100103, 7100101, 7100105


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """Status and error word, after checking that the refusal has the provider's shape."""
        assert self.json.keys() == {"success", "error", "msg"}
        assert self.json["success"] is False
        return self.status, self.json["error"]


@dataclass(frozen=True, slots=True)
class VastClient:
    """One connection for each request; OSError and HTTPException for what breaks on the way."""

    sim: VastSim
    key: str | None = "sandbox-key"

    def __call__(self, method: str, path: str, body: object = None) -> Reply:
        """`path` is taken below `/api/v0` unless it begins with `/`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=20)
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        sent = body if isinstance(body, bytes | None) else json.dumps(body)
        try:
            connection.request(method, path if path[0] == "/" else f"/api/v0/{path}", sent, headers)
            response = connection.getresponse()
            text = response.read().decode()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
        finally:
            connection.close()

    def search(self, **filters: object) -> list[dict[str, Any]]:
        reply = self("POST", "bundles/", filters)
        assert reply.status == 200, reply.text
        found: list[dict[str, Any]] = reply.json["offers"]
        return found

    def rent(self, offer_id: int = RTX_4090, **changes: object) -> int:
        reply = self("PUT", f"asks/{offer_id}/", {**LAUNCH, **changes})
        assert reply.status == 200, reply.text
        assert reply.json["success"] is True
        made: int = reply.json["new_contract"]
        return made

    def get(self, instance_id: int) -> dict[str, Any] | None:
        reply = self("GET", f"instances/{instance_id}/")
        assert reply.status == 200, reply.text
        found: dict[str, Any] | None = reply.json["instances"]
        return found

    def running(self, instance_id: int) -> dict[str, Any]:
        found = self.get(instance_id)
        assert found is not None
        assert found["actual_status"] == "running"
        return found

    def ids(self) -> list[int]:
        return [each["id"] for each in self("GET", "instances/").json["instances"]]

    def host_port(self, instance_id: int) -> int:
        return int(self.running(instance_id)["ports"]["11434/tcp"][0]["HostPort"])


def query(filters: object) -> str:
    return urllib.parse.quote(json.dumps(filters))

"""The command starts the GPU market too (holmes-driver.md 6)."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from rune.sandbox.command import TAKEN, main


def fetched(url: str, key: str, method: str = "GET", body: object = None) -> Any:
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, {"Authorization": f"Bearer {key}"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def told(out: io.StringIO) -> tuple[dict[str, str], dict[str, str]]:
    first, *exports = out.getvalue().splitlines()
    variables = dict(line.removeprefix("export ").split("=", 1) for line in exports)
    return json.loads(first), variables


@pytest.mark.parametrize("action", ["up", "vast"])
def test_what_is_printed_is_enough_to_rent_and_to_ask(action):
    out = io.StringIO()

    def look() -> None:
        urls, variables = told(out)
        base, key = variables["RUNE_VASTAI_BASE_URL"], variables["VAST_API_KEY"]
        assert base == urls["vast"]
        body = {"image": "ollama/ollama", "env": {"-p 11434:11434": "1"}}
        made = fetched(f"{base}/api/v0/asks/7100101/", key, "PUT", body)["new_contract"]
        shown = fetched(f"{base}/api/v0/instances/{made}/", key)["instances"]
        port = shown["ports"]["11434/tcp"][0]["HostPort"]
        through_the_market = fetched(f"http://127.0.0.1:{port}/api/tags", key)
        assert through_the_market == fetched(f"{urls['ollama']}/api/tags", key)
        assert fetched(f"{base}/_sandbox/ledger", key)["open"] == [made]

    assert main([action, "--boot-seconds", "0"], {}, out=out, wait=look) == 0
    with pytest.raises(urllib.error.URLError):
        fetched(told(out)[0]["vast"], "")


def test_the_market_s_port_can_be_chosen(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["vast", "--port", str(port)], {}, out=io.StringIO(), wait=lambda: None) == TAKEN
    out = io.StringIO()
    assert main(["vast", "--port", str(port)], {}, out=out, wait=lambda: None) == 0
    assert told(out)[0]["vast"] == f"http://127.0.0.1:{port}"
    capsys.readouterr()

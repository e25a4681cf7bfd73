"""The catalog and the models of a server over HTTP (jobs-api.md 13, 5.1; acceptance 17)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.model_servers import ListedModels

URL = "http://127.0.0.1:11434"
LISTED = ListedModels(("a:1b", "b:1b"), ("b:1b",))


@dataclass
class FakeServers:
    """Model servers that all have the same models, or the same trouble."""

    listed: ListedModels | Exception = LISTED
    on_open: Exception | None = None
    opened: list[tuple[str, str]] = field(default_factory=list)

    def open(self, backend_type, backend_url):
        self.opened.append((backend_type, backend_url))
        if self.on_open:
            raise self.on_open
        return self

    def list_models(self):
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed


@pytest.fixture
def servers():
    return FakeServers()


@pytest.fixture
async def asking(build_services, open_client, servers):
    """A client of tenant `default` whose model servers are fakes."""
    async with open_client(build_services({"servers": servers})) as client:
        yield client


async def test_the_catalog_is_the_same_on_both_paths(asking, servers):
    found = (await asking.get("/v1/catalog/vastai-models")).json()
    assert list(found) == ["models"]
    assert found["models"][0] == {"name": "llama3.1:405b", "vram_mb": 260_000, "required_disk_gb": 324}
    assert len(found["models"]) == 8
    assert (await asking.get("/v1/catalog/models")).json() == found
    assert (await asking.get("/v1/catalog/models?backend_url=")).json() == found
    assert servers.opened == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/llm/models?backend_url=127.0.0.1:11434/", "ollama"),
        ("/v1/llm/models?backend_url=HTTP://127.0.0.1:11434&backend_type=ollama", "ollama"),
        ("/v1/llm/models?backend_url=http://127.0.0.1:11434&backend_type=", "ollama"),
        ("/v1/llm/models?backend_url=http://127.0.0.1:11434&backend_type=openai", "openai"),
        ("/v1/llm/models?backend_url=http://127.0.0.1:11434&backend_type=vllm", "openai"),
        ("/v1/ollama/models?backend_url=http://127.0.0.1:11434", "ollama"),
        ("/v1/ollama/models?ollama_url=http://127.0.0.1:11434&backend_type=openai", "ollama"),
        ("/v1/ollama/models?backend_url=http://127.0.0.1:11434&ollama_url=http://127.0.0.1:1", "ollama"),
        ("/v1/catalog/models?backend_url=http://127.0.0.1:11434&backend_type=openai", "openai"),
    ],
)
async def test_a_servers_models_are_listed_with_its_normal_address(asking, servers, path, kind):
    answer = await asking.get(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "backend_url": URL,
        "backend_type": kind,
        "models": ["a:1b", "b:1b"],
        "running_models": ["b:1b"],
    }
    assert [each[0] for each in servers.opened] == [kind]


@pytest.mark.parametrize("path", ["/v1/llm/models", "/v1/ollama/models?backend_url="])
async def test_a_missing_address_is_named(asking, path):
    answer = await asking.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_parameter")
    assert answer.json()["error"] == "missing required query parameter: backend_url"


@pytest.mark.parametrize("kind", ["bedrock", "nobody"])
async def test_a_server_that_cannot_be_asked_by_its_address_is_unknown(asking, servers, kind):
    answer = await asking.get("/v1/llm/models", params={"backend_url": URL, "backend_type": kind})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_backend_type")
    assert servers.opened == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.0.0.1",
        "http://127.1/",
        "file:///etc/passwd",
    ],
)
async def test_a_refused_address_is_never_opened(asking, servers, url):
    answer = await asking.get("/v1/llm/models", params={"backend_url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "backend_not_allowed")
    assert answer.json()["error"] == "backend_url is not allowed by policy"
    assert servers.opened == []


async def test_a_name_that_leads_to_a_refused_address_is_refused(asking, servers):
    servers.on_open = BackendNotAllowed()
    answer = await asking.get("/v1/llm/models?backend_url=http://inner.example")
    assert (answer.status_code, answer.json()["code"]) == (400, "backend_not_allowed")


async def test_all_troubles_of_a_server_look_the_same(asking, servers):
    answers = []
    for trouble in ("on_open", "listed"):
        setattr(servers, trouble, Unavailable("port 11434 of 127.0.0.1 is closed"))
        answer = await asking.get(f"/v1/llm/models?backend_url={URL}", headers={"X-Request-Id": "same"})
        answers.append((answer.status_code, answer.text))
        servers.on_open = None
    assert answers[0] == answers[1]
    assert answers[0][0] == 502
    assert '"Failed to query available models"' in answers[0][1]
    assert '"backend_unavailable"' in answers[0][1]


async def test_models_need_their_scope(build_services, open_client, servers):
    services = build_services({"servers": servers}, api_token_policies="default:runs:read+settings:read")
    async with open_client(services) as client:
        for path in (
            "/v1/catalog/vastai-models",
            "/v1/catalog/models",
            "/v1/llm/models",
            "/v1/ollama/models",
        ):
            assert (await client.get(path, params={"backend_url": URL})).status_code == 403
    assert servers.opened == []

"""The evidence routes over HTTP (runs-api.md 1.4, 7.1, 7.4)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.unit.conftest import TOKEN, TOKEN_B
from tests.unit.evidence_place import RUN, LinkedBlobs, Place
from tests.unit.evidence_runs import check

from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.domain.evidence.keys import parse_verifier_key

PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")
SEALED = f"default/{RUN}/evidence/sealed.json"
EVIDENCE = f"/api/v1/runs/{RUN}/evidence"


@pytest.fixture
def place() -> Iterator[Place]:
    with ScratchFiles() as scratch:
        found = Place(scratch)
        found.work()
        yield found


@pytest.fixture
def open_place(
    place: Place, build_services: Callable[..., Any], open_client: Callable[..., Any]
) -> Callable[..., Any]:
    def opened(token: str | None = TOKEN, replaced: dict[str, Any] | None = None, **settings: Any) -> Any:
        ports = {"runs": place.runs, "blobs": place.blobs, "evidence_keys": place.ports.keys}
        return open_client(build_services(ports | (replaced or {}), **settings), token=token)

    return opened


@pytest.fixture
async def api(open_place: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with open_place() as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert error["message"]
    return answer.status_code, error["code"]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_bundle_is_sent_with_its_digest(api: httpx.AsyncClient, place: Place, prefix: str) -> None:
    place.end()
    answer = await api.get(f"{prefix}/{RUN}/evidence", params={"format": "zip"})
    sha256 = hashlib.sha256(answer.content)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["ETag"] == f'"{sha256.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rune-{RUN}-{place.size}.zip"'
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert check(answer.content).ok


async def test_the_accept_header_chooses_the_zip_and_the_query_goes_before(
    api: httpx.AsyncClient, place: Place
) -> None:
    place.end()
    zipped = await api.get(EVIDENCE, headers={"Accept": "application/zip"})
    told = await api.get(EVIDENCE, params={"format": "json"}, headers={"Accept": "application/zip"})
    plain = await api.get(EVIDENCE)
    assert zipped.headers["Content-Type"] == "application/zip"
    assert told.headers["Content-Type"] == plain.headers["Content-Type"] == "application/json"
    assert plain.headers["ETag"].endswith('-json"')
    assert plain.json()["bundle"]["sha256"] == hashlib.sha256(zipped.content).hexdigest()


async def test_the_signed_manifest_comes_alone(api: httpx.AsyncClient, place: Place) -> None:
    place.end()
    envelope = (await api.get(EVIDENCE, params={"format": "dsse"})).json()
    assert json.loads(base64.b64decode(envelope["payload"]))["predicate"]["run_id"] == RUN


async def test_what_the_caller_has_is_not_sent_again(api: httpx.AsyncClient, place: Place) -> None:
    place.end()
    etag = (await api.get(EVIDENCE, params={"format": "zip"})).headers["ETag"]
    for known in (etag, f'"other", {etag}', "*", f"W/{etag}"):
        answer = await api.get(EVIDENCE, params={"format": "zip"}, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert (await api.get(EVIDENCE, headers={"If-None-Match": etag})).status_code == 200


async def test_a_link_leads_to_the_same_bytes(api: httpx.AsyncClient, place: Place) -> None:
    place.end()
    answer = await api.get(EVIDENCE, params={"format": "zip", "delivery": "link"})
    assert answer.headers["Rune-Evidence-Delivery"] == "link"
    download = answer.json()["download"]
    content = (await api.get(download["url"])).content
    assert (len(content), hashlib.sha256(content).hexdigest()) == (download["bytes"], download["sha256"])


async def test_on_aws_what_is_too_large_becomes_a_link(open_place: Callable[..., Any], place: Place) -> None:
    place.end()
    place.export(format="zip")
    blobs = LinkedBlobs()
    blobs._blobs = place.blobs._blobs
    async with open_place(replaced={"blobs": blobs}, env="prod") as client:
        small = await client.get(EVIDENCE, params={"format": "zip"})
        # Nobody reads what is linked to, so it is enough that the seal says that it is large.
        sealed = json.loads(blobs.get(SEALED))
        blobs.put(SEALED, json.dumps({**sealed, "size": 5 * 1024 * 1024}).encode())
        large = await client.get(EVIDENCE, params={"format": "zip"})
    assert small.headers["Content-Type"] == "application/zip"
    assert large.status_code == 200
    assert large.json()["download"]["url"].startswith("https://blobs.example/default/run-1/evidence/")


@pytest.mark.parametrize(
    "query",
    [{"format": "tar"}, {"at_sequence": "x"}, {"at_sequence": "-1"}, {"include": "all"}, {"delivery": "mail"},
     {"require_sealed": "maybe"}, {"format": "zip", "include": "timeline"}, {"at_sequence": "99"}],
)  # fmt: skip
async def test_a_query_that_does_not_fit_is_refused_by_its_name(
    api: httpx.AsyncClient, query: dict[str, str]
) -> None:
    answer = await api.get(EVIDENCE, params=query)
    assert code(answer) == (400, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]["fields"][0]["path"] in query
    assert "maybe" not in answer.text


async def test_evidence_of_a_run_that_goes_on_is_not_sealed(api: httpx.AsyncClient) -> None:
    assert code(await api.get(EVIDENCE, params={"require_sealed": "true"})) == (409, "EVIDENCE_NOT_SEALED")
    assert (await api.get(EVIDENCE)).json()["complete"] is False


async def test_another_tenant_sees_no_run(open_place: Callable[..., Any], place: Place) -> None:
    place.end()
    async with open_place(token=TOKEN_B) as client:
        foreign = await client.get(EVIDENCE)
        unknown = await client.get("/api/v1/runs/no-such-run/evidence")
    assert code(foreign) == code(unknown) == (404, "RUN_NOT_FOUND")


async def test_a_scope_and_a_token_are_needed(open_place: Callable[..., Any]) -> None:
    async with open_place(api_token_policies="default:runs:read,teamb:runs:read") as client:
        assert code(await client.get(EVIDENCE)) == (403, "INSUFFICIENT_SCOPE")
        assert code(await client.get(f"{EVIDENCE}/proof", params={"sequence": "1"})) == (
            403,
            "INSUFFICIENT_SCOPE",
        )
        assert (await client.get("/api/v1/runtime/evidence-keys")).status_code == 200
    async with open_place(token=None) as client:
        for path in (EVIDENCE, f"{EVIDENCE}/proof", "/api/v1/runtime/evidence-keys"):
            assert code(await client.get(path)) == (401, "AUTH_REQUIRED")


async def test_the_keys_are_published_in_every_form(api: httpx.AsyncClient) -> None:
    (key,) = (await api.get("/api/v1/runtime/evidence-keys")).json()["keys"]
    parsed = parse_verifier_key(key["verifier_key"])
    assert (parsed.key_id, key["algorithm"], key["retired_at"]) == (key["key_id"], "ed25519", None)
    assert base64.b64decode(key["public_key"]) == parsed.public
    assert key["not_before"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_proofs_are_of_inclusion_or_of_consistency(api: httpx.AsyncClient, prefix: str) -> None:
    one = (await api.get(f"{prefix}/{RUN}/evidence/proof", params={"sequence": 2})).json()
    assert (one["leaf_index"], one["tree_size"] >= 5) == (1, True)
    assert one["checkpoint"].splitlines()[2] == one["root"]
    two = (await api.get(f"{prefix}/{RUN}/evidence/proof", params={"from_size": 2, "to_size": 5})).json()
    assert two.keys() == {"from_size", "to_size", "hashes", "from_root", "to_root"}


@pytest.mark.parametrize(
    "query",
    [{}, {"sequence": "x"}, {"from_size": "1"}, {"sequence": "1", "from_size": "1"}, {"sequence": "0"},
     {"from_size": "9", "to_size": "2"}],
)  # fmt: skip
async def test_a_proof_of_nothing_is_refused(api: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert code(await api.get(f"{EVIDENCE}/proof", params=query)) == (400, "VALIDATION_ERROR")


async def test_a_caller_does_not_wait_for_ever(open_place: Callable[..., Any]) -> None:
    ticks = itertools.count(1_767_225_600_000, 30_000)
    async with open_place(replaced={"clock": lambda: next(ticks)}) as client:
        answer = await client.get(EVIDENCE)
    assert code(answer) == (503, "EVIDENCE_BUSY")
    assert int(answer.headers["Retry-After"]) > 0

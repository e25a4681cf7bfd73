"""Submitting a job over HTTP (jobs-api.md 1.3, 4.2 to 4.4, 5.1; acceptance 6, 12, 13, 17)."""

from __future__ import annotations

import asyncio

import pytest

from rune_common.domain.errors import Unavailable

PATH = "/v1/jobs/agentic-agent"
MARK = "SUBMITTED-VALUE"


async def test_a_question_is_accepted_and_can_be_read(client):
    answer = await client.post(PATH, json={"question": "why?"})
    assert answer.status_code == 202
    assert answer.json() == {"job_id": answer.json()["job_id"], "status": "accepted"}
    assert (await client.get(f"/v1/jobs/{answer.json()['job_id']}")).json()["status"] == "queued"


@pytest.mark.parametrize("kind", ["benchmarks", "nonsense", "agentic_agent"])
async def test_an_unknown_kind_is_not_found(client, kind):
    answer = await client.post(f"/v1/jobs/{kind}", json={"question": "why?"})
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown job kind")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"question": None}, "question", "missing"),
        ({"question": ""}, "question", "too_short"),
        ({"question": MARK * 7000}, "question", "too_long"),
        ({"question": 7}, "question", "type"),
        ({"model": MARK * 9}, "model", "too_long"),
        ({"model": MARK + " x"}, "model", "format"),
        ({"model": MARK + "\n"}, "model", "format"),
        ({"timeout_seconds": MARK}, "timeout_seconds", "type"),
        ({"timeout_seconds": "60"}, "timeout_seconds", "type"),
        ({"timeout_seconds": True}, "timeout_seconds", "type"),
        ({"timeout_seconds": 9}, "timeout_seconds", "too_small"),
        ({"timeout_seconds": 14_401}, "timeout_seconds", "too_large"),
        ({"backend_warmup": 1}, "backend_warmup", "type"),
        ({"backend_warmup": "true"}, "backend_warmup", "type"),
        ({"backend_warmup_timeout": -1}, "backend_warmup_timeout", "too_small"),
        ({"ollama_warmup_timeout": 3601}, "ollama_warmup_timeout", "too_large"),
        ({"max_cost_usd": 0}, "max_cost_usd", "too_small"),
        ({"max_cost_usd": "3"}, "max_cost_usd", "type"),
        ({"max_dph": 1, "min_dph": 2}, "min_dph", "too_large"),
        ({"max_dph": -1}, "max_dph", "too_small"),
        ({"max_dph": False}, "max_dph", "type"),
        ({"reliability": 101}, "reliability", "too_large"),
        ({"backend_url": "http://h/" + MARK * 200}, "backend_url", "too_long"),
        ({"agent": MARK * 9}, "agent", "too_long"),
        ({"approval": {"mode": MARK}}, "approval.mode", "unknown"),
        ({"approval": MARK}, "approval", "type"),
        ({"kubeconfig": "ref:" + MARK}, "kubeconfig", "unknown"),
        ({"kubeconfig": "/" + MARK * 400}, "kubeconfig", "too_long"),
        (
            {"kubeconfig": f"\nusers: [{{name: a, user: {{exec: {MARK}}}}}]"},
            "kubeconfig",
            "kubeconfig_not_allowed",
        ),
        ({"kubeconfig": f"{{ {MARK}"}, "kubeconfig", "kubeconfig_invalid"),
    ],
)
async def test_a_field_that_does_not_fit_is_named_and_its_value_is_not(client, fields, field, code):
    answer = await client.post(PATH, json={"question": "why?"} | fields)
    assert answer.status_code == 400
    body = answer.json()
    assert [(each["field"], each["code"]) for each in body["details"]] == [(field, code)]
    assert body["error"] == f"invalid request: {field} {body['details'][0]['message']}"
    assert MARK not in answer.text
    assert (await client.get("/v1/jobs")).json()["jobs"] == []


async def test_all_fields_that_do_not_fit_are_listed(client):
    answer = await client.post(PATH, json={"model": 1, "timeout_seconds": 1})
    assert {each["field"] for each in answer.json()["details"]} == {"question", "model", "timeout_seconds"}


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"agent": MARK}, "unknown_agent", "Unknown agent. Available: holmes"),
        ({"agent": "k8sgpt"}, "unknown_agent", "Unknown agent. Available: holmes"),
        (
            {"backend_type": MARK},
            "unknown_backend_type",
            "Unknown backend type. Available: ollama, openai, bedrock",
        ),
    ],
)
async def test_an_unknown_choice_names_what_is_available(client, fields, code, text):
    answer = await client.post(PATH, json={"question": "why?"} | fields)
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (400, code, text)


async def test_zero_and_empty_mean_not_given(client):
    empty = dict.fromkeys(
        ["model", "backend_url", "backend_type", "agent", "kubeconfig", "template_hash"], ""
    )
    zero = dict.fromkeys(["max_dph", "min_dph", "reliability", "backend_warmup_timeout"], 0)
    made = await client.post(PATH, json={"question": "why?"} | empty | zero)
    asked = await asked_of(client, made)
    assert (asked["model"], asked["backend_type"], asked["agent"]) == ("llama3.1:8b", "ollama", "holmes")
    assert (asked["backend_url"], asked["backend_warmup_timeout"]) == ("http://127.0.0.1:11434", 90)


async def test_older_names_mean_the_same(client):
    older = {"ollama_warmup": False, "ollama_warmup_timeout": 7, "ollama_url": "http://127.0.0.1:1"}
    asked = await asked_of(client, await client.post(PATH, json={"question": "why?"} | older))
    assert (asked["backend_warmup"], asked["backend_warmup_timeout"]) == (False, 7)
    assert asked["backend_url"] == "http://127.0.0.1:1"


async def test_ignored_fields_are_named_in_a_header(client):
    extra = {"region": "x", "provisioning": None, "vastai": True, "bad name": 1, "ollama_warmup": True}
    answer = await client.post(PATH, json={"question": "why?", "backend_warmup": False} | extra)
    assert answer.status_code == 202
    assert answer.headers["rune-ignored-fields"] == "region,provisioning,vastai,?,ollama_warmup"


async def test_at_most_twenty_ignored_fields_are_named(client):
    extra = {f"field{n}": n for n in range(50)}
    answer = await client.post(PATH, json={"question": "why?"} | extra)
    assert len(answer.headers["rune-ignored-fields"].split(",")) == 20


async def test_nothing_ignored_means_no_header(client):
    assert "rune-ignored-fields" not in (await client.post(PATH, json={"question": "why?"})).headers


@pytest.mark.parametrize(
    ("agent", "warned"), [("sre:holmes", False), ("holmes", False), ("sre:k8sgpt", True)]
)
async def test_an_agent_may_carry_a_scope_and_one_is_substituted(client, agent, warned):
    made = await client.post(PATH, json={"question": "why?", "agent": agent})
    asked = await asked_of(client, made)
    assert (asked["agent"], asked["requested_agent"]) == ("holmes", agent)
    events = (await client.get(f"/v1/jobs/{made.json()['job_id']}/events")).json()["events"]
    assert (
        ("job.warning", "agent_substituted") in [(e["name"], e["labels"].get("code")) for e in events]
    ) is warned


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.0.0.1:11434",
        "ftp://127.0.0.1",
        "http://user:pass@127.0.0.1",
    ],
)
async def test_a_forbidden_model_server_is_refused_without_a_connection(client, url):
    answer = await client.post(PATH, json={"question": "why?", "backend_url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "backend_not_allowed")
    assert answer.json()["error"] == "backend_url is not allowed by policy"


async def test_without_any_model_server_no_provider_is_configured(build_services, open_client):
    async with open_client(build_services(backend_url="")) as client:
        answer = await client.post(PATH, json={"question": "why?"})
        assert (answer.status_code, answer.json()["code"]) == (400, "provider_not_configured")


async def test_parallel_posts_with_one_key_make_one_job(client):
    headers = {"Idempotency-Key": "once"}
    body = {"question": "why?"}
    answers = await asyncio.gather(*(client.post(PATH, json=body, headers=headers) for _ in range(12)))
    assert [answer.status_code for answer in answers] == [202] * 12
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count("true") == 11
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1


async def test_a_key_belongs_to_one_body_and_one_tenant(client, client_b):
    first = await client.post(PATH, json={"question": "a"}, headers={"Idempotency-Key": "k"})
    other = await client.post(PATH, json={"question": "b"}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    replay = await client.post(PATH, content=b'{ "question":"a" }', headers={"X-Idempotency-Key": "k"})
    assert (replay.json(), replay.headers["idempotency-replayed"]) == (first.json(), "true")
    foreign = await client_b.post(PATH, json={"question": "a"}, headers={"Idempotency-Key": "k"})
    assert foreign.status_code == 202
    assert foreign.json() != first.json()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Idempotency-Key": "a", "X-Idempotency-Key": "b"}, 400),
        ({"Idempotency-Key": "a", "X-Idempotency-Key": "a"}, 202),
        ({"Idempotency-Key": ""}, 400),
        ({"Idempotency-Key": "with blank"}, 400),
        ({"Idempotency-Key": "k" * 256}, 400),
        ({"Idempotency-Key": "k" * 255}, 202),
    ],
)
async def test_which_keys_are_keys(client, headers, status):
    assert (await client.post(PATH, json={"question": "why?"}, headers=headers)).status_code == status


async def test_too_many_unfinished_jobs_have_to_wait_but_a_replay_does_not(build_services, open_client):
    async with open_client(build_services(tenant_max_active_runs=1)) as client:
        first = await client.post(PATH, json={"question": "why?"}, headers={"Idempotency-Key": "k"})
        refused = await client.post(PATH, json={"question": "why?"})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_active_jobs")
        assert refused.headers["retry-after"]
        replay = await client.post(PATH, json={"question": "why?"}, headers={"Idempotency-Key": "k"})
        assert replay.json() == first.json()


async def test_a_failed_write_is_unavailable_and_leaves_no_job(build_services, open_client):
    services = build_services()

    class Down(type(services.runs)):
        def create(self, *args, **kwargs):
            raise Unavailable("table")

    services = build_services({"runs": Down()})
    async with open_client(services) as client:
        answer = await client.post(PATH, json={"question": "why?"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await client.get("/v1/jobs")).json()["jobs"] == []


async def asked_of(client, made):
    assert made.status_code == 202, made.text
    answer = await client.get(f"/v1/jobs/{made.json()['job_id']}", params={"include": "request"})
    return answer.json()["request"]

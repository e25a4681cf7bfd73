"""Jobs and job events as projections of runs and their logs (jobs-api.md 4.1, 4.5, 4.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rune_common.adapters.lazy_redactor import LazyRedactor
from rune_common.domain.chain import genesis
from rune_common.domain.errors import RunNotFound, UnknownAgent, UnknownBackendType
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.job_events import job_event
from rune_common.domain.jobs import (
    KIND_WORDS,
    checked_job_id,
    job_error_code,
    job_record,
    job_status,
    resolve_agent,
    resolve_backend_type,
)
from rune_common.domain.runs import LogHead, Run, RunKind, RunState

RUN = Run(
    tenant="t",
    run_id="r-1",
    kind=RunKind.AGENT,
    state=RunState.QUEUED,
    created_at=1_000,
    updated_at=2_500,
    created_by="s",
    head=LogHead("t", "r-1", 0, genesis("t", "r-1")),
)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (RunState.QUEUED, "queued"),
        (RunState.RUNNING, "running"),
        (RunState.AWAITING_APPROVAL, "running"),
        (RunState.CANCELLING, "running"),
        (RunState.SUCCEEDED, "succeeded"),
        (RunState.FAILED, "failed"),
        (RunState.CANCELLED, "cancelled"),
    ],
)
def test_every_state_has_its_status(state, status):
    assert job_status(state) == status


def test_kinds_have_the_words_of_the_jobs_api():
    assert KIND_WORDS[RunKind.AGENT] == "agentic-agent"
    assert KIND_WORDS[RunKind.LLM_INSTANCE] == "llm-instance"
    assert KIND_WORDS[RunKind.COST_ESTIMATE] == "cost-estimate"
    assert KIND_WORDS[RunKind.LOOP] == "loop"
    assert set(KIND_WORDS) == set(RunKind)


@pytest.mark.parametrize(
    ("run_code", "job_code"),
    [
        ("RUN_TIMEOUT", "timeout"),
        ("CHAIN_STEP_FAILED", "chain_failed"),
        ("MODEL_NOT_AVAILABLE", "model_not_found"),
        ("AGENT_ERROR", "driver_error"),
        ("LLM_UNREACHABLE", "driver_error"),
        ("CONTEXT_WINDOW", "driver_error"),
        ("MAX_STEPS", "driver_error"),
        ("WORKER_LOST", "worker_lost"),
        ("EMPTY_ANSWER", "empty_answer"),
    ],
)
def test_error_codes_are_translated(run_code, job_code):
    assert job_error_code(run_code) == job_code
    failed = replace(RUN, state=RunState.FAILED, error_code=run_code, error="text", message="text")
    assert job_record(failed).error_code == job_code


def test_times_are_seconds():
    record = job_record(replace(RUN, started_at=1_250, finished_at=2_500))
    assert (record.created_at, record.started_at, record.finished_at) == (1.0, 1.25, 2.5)


def test_progress_is_shown_while_running_only():
    running = replace(RUN, state=RunState.RUNNING, phase="pull", percent=42.0)
    assert job_record(running).progress.percent == 42.0
    assert job_record(replace(running, phase=None)).progress.phase
    assert job_record(RUN).progress is None
    assert job_record(replace(running, state=RunState.SUCCEEDED)).progress is None


def test_a_result_is_shown_only_after_the_end():
    result = {"answer": "yes"}
    assert job_record(replace(RUN, state=RunState.CANCELLING), result=result).result is None
    assert job_record(replace(RUN, state=RunState.CANCELLED), result=result).result == result


def test_a_successful_job_has_no_error():
    record = job_record(replace(RUN, state=RunState.SUCCEEDED, message="job completed"))
    assert (record.error, record.error_code) == (None, None)


@pytest.mark.parametrize("text", ["", "a" * 65, "a/b", "a.b", "a b", "a\n", "ä"])
def test_what_cannot_be_an_id_is_not_found(text):
    with pytest.raises(RunNotFound):
        checked_job_id(text)


@pytest.mark.parametrize("text", ["holmes:", "k8sgpt", "sre:k8sgpt2", "x:sre:k8sgpt", "HOLMES", ""])
def test_other_agents_are_unknown(text):
    with pytest.raises(UnknownAgent) as raised:
        resolve_agent(text)
    assert raised.value.available == ("holmes",)


@pytest.mark.parametrize("word", ["openai", "openai-compatible", "vllm", "k8s-inference"])
def test_model_servers_that_speak_like_openai_are_one_type(word):
    assert resolve_backend_type(word) == "openai"


def test_other_model_servers_are_unknown():
    with pytest.raises(UnknownBackendType):
        resolve_backend_type("tgi")


def event_of(payload, duration_ms=0.0):
    draft = EventDraft("run_progress", payload, duration_ms=duration_ms)
    event, _ = append_event(RUN.head, draft, now_ms=1_760_000_000_123, redactor=LazyRedactor())
    return event


def test_an_event_with_a_span_shows_under_its_name():
    span = {"name": "agent.ask", "status": "error", "error_type": "timeout", "labels": {"model": "m"}}
    shown = job_event(event_of({"summary": "no answer", "span": span}, duration_ms=812.4))
    assert (shown.seq, shown.name, shown.status, shown.error_type) == (1, "agent.ask", "error", "timeout")
    assert (shown.duration_ms, shown.labels, shown.message) == (812.4, {"model": "m"}, "no answer")
    assert (shown.recorded_at, shown.timestamp) == (1_760_000_000.123, "2025-10-09T08:53:20.123Z")


@pytest.mark.parametrize("payload", [{}, {"span": None}, {"span": "x"}, {"span": {"status": "ok"}}])
def test_an_event_without_a_span_has_no_place_here(payload):
    assert job_event(event_of({"summary": "s"} | payload)) is None

"""The supervisor in front of programs that play the child; the library is not needed."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rune_agent import supervisor as supervising
from rune_agent.settings import AgentSettings
from rune_agent.supervisor import Inbox, StopAsked, Supervisor
from rune_common.domain.driver_protocol import DriverFailure, DriverResult, DriverSuccess

ASKED = {"question": "?", "model": "some/model", "backend_type": "litellm", "context_window": 20_000}
RESULT = "{'metadata': {'warnings': ['no_tools_used']}, 'telemetry': {'latency': []}, 'answer': 'x'}"

Run = Callable[..., tuple[DriverResult, list[tuple[str, dict[str, Any]]]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Ask a child given as Python source; `when` maps an event to what then lands in the inbox."""

    def run(
        source: str,
        *,
        when: dict[str, StopAsked] | None = None,
        alive: Callable[[], bool] = lambda: True,
        **more: Any,
    ) -> tuple[DriverResult, list[tuple[str, dict[str, Any]]]]:
        child = tmp_path / "child"
        child.write_text(
            f"#!{sys.executable}\nimport json, os, signal, subprocess, sys, time\n"
            # Unbuffered: a signal's handler may speak while the line before is still being written.
            "def say(**line): os.write(1, json.dumps(line).encode() + b'\\n')\n" + source
        )
        child.chmod(0o755)
        inbox: Inbox = queue.SimpleQueue()
        events: list[tuple[str, dict[str, Any]]] = []

        def emit(name: str, data: dict[str, Any]) -> None:
            events.append((name, data))
            if when and name in when:
                inbox.put(when[name])

        settings = AgentSettings(python=str(child), temporary=str(tmp_path))
        return Supervisor(settings, inbox, emit, alive).ask({**ASKED, **more}), events

    return run


def failed(result: DriverResult) -> DriverFailure:
    assert isinstance(result, DriverFailure)
    return result


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_order_reaches_the_child_and_its_answer_comes_back(run: Run) -> None:
    result, events = run(
        "order = json.loads(sys.stdin.readline())\n"
        "say(event='agent_ready', data={'spare': False})\n"
        f"say(status='ok', result={{**{RESULT}, 'model': order['model'], 'window': order['context_window']}})",
        zebra=1,
    )
    assert isinstance(result, DriverSuccess)
    assert (result.result["model"], result.result["window"]) == ("some/model", 20_000)
    assert result.result["metadata"] == {
        "warnings": ["no_cluster_access", "no_tools_used"],
        "ignored_params": ["zebra"],
    }
    assert [name for name, _ in events] == ["agent_starting", "preflight", "warning", "agent_ready"]


def test_nothing_is_left_of_the_childs_folder(run: Run, tmp_path: Path) -> None:
    result, _ = run(
        f"sys.stdin.readline(); say(status='ok', result={{**{RESULT}, 'home': os.environ['HOME']}})"
    )
    assert isinstance(result, DriverSuccess)
    assert result.result["home"].startswith(str(tmp_path))
    assert not Path(result.result["home"]).exists()


def test_a_child_without_final_line_has_crashed_and_its_last_words_are_redacted(run: Run) -> None:
    result, _ = run("sys.stderr.write('password=hunter2hunter2 boom'); sys.exit(3)")
    found = failed(result)
    assert (found.error_code, found.retryable) == ("agent_crashed", True)
    assert "boom" in found.details["stderr"]
    assert "hunter2" not in found.details["stderr"]


def test_other_output_of_the_child_is_skipped(run: Run) -> None:
    result, events = run(
        f"print('hello'); print('[1]'); sys.stdin.readline(); say(status='ok', result={RESULT})"
    )
    assert isinstance(result, DriverSuccess)
    assert "hello" not in str(events)


def test_a_failure_after_a_model_call_is_not_repeated(run: Run) -> None:
    line = "status='error', error='busy', error_code='rate_limited', retryable=True"
    assert failed(run(f"sys.stdin.readline(); say({line}, details={{'llm_calls': 0}})")[0]).retryable is True
    assert failed(run(f"sys.stdin.readline(); say({line}, details={{'llm_calls': 1}})")[0]).retryable is False


def test_a_child_that_ignores_the_stop_is_killed_with_its_group(run: Run) -> None:
    result, events = run(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen(['sleep', '60'], preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))\n"
        "say(event='agent_ready', data={'pids': [os.getpid(), inner.pid]})\n"
        "time.sleep(60)",
        when={"agent_ready": StopAsked("cancelled", "the run was cancelled")},
    )
    assert failed(result).error_code == "cancelled"
    pids = next(data["pids"] for name, data in events if name == "agent_ready")
    assert all(gone(pid) for pid in pids)


def test_the_childs_own_last_words_count_when_it_is_stopped(run: Run) -> None:
    result, _ = run(
        "def bye(*_):\n"
        "    say(status='error', error='x', error_code='cancelled', details={'tool_calls': [1], 'llm_calls': 2})\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\n"
        "say(event='agent_ready', data={})\n"
        "time.sleep(60)",
        when={"agent_ready": StopAsked("deadline_exceeded", "the time for this run is over")},
    )
    found = failed(result)
    assert (found.error_code, found.details["tool_calls"]) == ("deadline_exceeded", [1])


def test_an_answer_that_is_just_ready_survives_a_stop(run: Run) -> None:
    result, _ = run(
        f"signal.signal(signal.SIGTERM, lambda *_: (say(status='ok', result={RESULT}), os._exit(0)))\n"
        "say(event='agent_ready', data={})\n"
        "time.sleep(60)",
        when={"agent_ready": StopAsked("cancelled", "the run was cancelled")},
    )
    assert isinstance(result, DriverSuccess)


def test_a_silent_child_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "SILENCE_SECONDS", 0.2)
    result, _ = run("say(event='agent_ready', data={}); time.sleep(60)")
    assert failed(result).error_code == "agent_crashed"


def test_without_its_caller_the_supervisor_stops(run: Run) -> None:
    assert failed(run("time.sleep(60)", alive=lambda: False)[0]).error_code == "cancelled"


def test_a_secret_of_the_supervisor_is_not_in_the_childs_environment(run: Run) -> None:
    os.environ["RUNE_TEST_PLANTED"] = "secret"
    try:
        result, _ = run(
            f"sys.stdin.readline(); say(status='ok', result={{**{RESULT}, 'names': sorted(os.environ)}})"
        )
    finally:
        del os.environ["RUNE_TEST_PLANTED"]
    assert isinstance(result, DriverSuccess)
    assert "RUNE_TEST_PLANTED" not in result.result["names"]
    assert not [name for name in result.result["names"] if name.startswith("AWS_")]

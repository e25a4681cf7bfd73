"""The stdio transport in front of small programs that play drivers, good ones and bad ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rune_common.adapters.driver_stdio import StdioDriver
from rune_common.domain.driver_protocol import DriverCall, DriverFailure, DriverResult, DriverSuccess

Start = Callable[..., DriverCall]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a driver given as Python source; `request` is its parsed input line."""

    def start(source: str, *, deadline: float = 20.0, params: dict[str, object] | None = None) -> DriverCall:
        program = tmp_path / "driver.py"
        program.write_text(
            "import json, os, sys, time, signal\n"
            "request = json.loads(sys.stdin.readline())\n"
            "def say(**line): print(json.dumps({'id': request['id'], **line}), flush=True)\n" + source
        )
        driver = StdioDriver([sys.executable, str(program)], {"PATH": os.defpath, "ONLY": "this"})
        return driver.start("ask", params or {"question": "?"}, request_id="r-1", deadline=deadline)

    return start


def failed(result: DriverResult) -> DriverFailure:
    assert isinstance(result, DriverFailure)
    return result


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def test_events_come_before_the_answer(start: Start) -> None:
    call = start(
        "say(event='agent_ready', seq=1, t_ms=5, data={'a': 1})\n"
        "say(event='heartbeat', seq=2, t_ms=6, data={})\n"
        "say(status='ok', result={'answer': 'all well'})"
    )
    assert [(event.event, event.seq) for event in call.events()] == [("agent_ready", 1), ("heartbeat", 2)]
    assert call.result() == DriverSuccess({"answer": "all well"})


def test_an_event_arrives_while_the_driver_still_works(start: Start, tmp_path: Path) -> None:
    call = start(
        f"say(event='heartbeat', seq=1, t_ms=1, data={{}})\n"
        f"while not os.path.exists({str(tmp_path / 'seen')!r}): time.sleep(0.02)\n"
        "say(status='ok', result={})"
    )
    events = call.events()
    assert next(events).event == "heartbeat"
    (tmp_path / "seen").touch()
    assert list(events) == []
    assert call.result() == DriverSuccess({})


def test_the_request_is_one_line_and_then_input_ends(start: Start) -> None:
    call = start("say(status='ok', result={'request': request, 'rest': sys.stdin.read()})")
    result = call.result()
    assert isinstance(result, DriverSuccess)
    assert result.result["rest"] == ""
    assert result.result["request"] == {
        "action": "ask",
        "params": {"question": "?"},
        "id": "r-1",
        "stream": True,
    }


def test_a_driver_gets_the_given_environment_and_nothing_else(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNE_TEST_SECRET", "must not be seen")
    result = start("say(status='ok', result={'names': sorted(os.environ)})").result()
    assert isinstance(result, DriverSuccess)
    assert set(result.result["names"]) - {"LC_CTYPE"} == {"ONLY", "PATH"}


def test_a_pretty_printed_document_is_an_answer(start: Start) -> None:
    source = (
        "print(json.dumps({'status': 'ok', 'result': {'list': [{}, {'a': 1}], 'answer': 'x'}}, indent=2))"
    )
    assert start(source).result() == DriverSuccess({"list": [{}, {"a": 1}], "answer": "x"})


def test_other_output_is_skipped_and_counted(start: Start) -> None:
    result = failed(
        start(
            "print('hello'); print('[1]'); say(status='error', error='no', error_code='max_steps')"
        ).result()
    )
    assert (result.error_code, result.error) == ("max_steps", "no")
    assert result.details["skipped_lines"] == 2


def test_an_answer_to_another_request_is_a_protocol_error(start: Start) -> None:
    assert failed(start("print(json.dumps({'status':'ok','result':{},'id':'x'}))").result()).error_code == (
        "protocol_error"
    )


def test_no_output(start: Start) -> None:
    result = failed(start("pass").result())
    assert (result.error_code, result.error) == ("agent_crashed", "driver returned no output")


def test_invalid_json(start: Start) -> None:
    result = failed(start('print(\'{"status": "ok"\')').result())
    assert (result.error_code, result.error) == ("protocol_error", "driver returned invalid JSON")


def test_a_crash_keeps_the_end_of_stderr(start: Start) -> None:
    result = failed(start("sys.stderr.write('x' * 5000 + 'the end'); sys.exit(3)").result())
    assert (result.error_code, result.error) == ("agent_crashed", "driver failed")
    assert result.details["exit"] == 3
    assert result.details["stderr"] == "x" * 1993 + "the end"


def test_a_driver_that_is_not_there(tmp_path: Path) -> None:
    call = StdioDriver([str(tmp_path / "missing")], {}).start("info", {}, request_id="r", deadline=5)
    assert list(call.events()) == []
    assert failed(call.result()).error_code == "agent_not_installed"


def test_a_driver_past_its_deadline_is_stopped(start: Start) -> None:
    call = start(
        "say(event='heartbeat', seq=1, t_ms=1, data={'pid': os.getpid()}); time.sleep(60)", deadline=1
    )
    events = list(call.events())
    result = failed(call.result())
    assert (result.error_code, result.error) == ("deadline_exceeded", "driver timed out")
    assert gone(events[0].data["pid"])


def test_a_cancelled_driver_may_still_say_goodbye(start: Start) -> None:
    call = start(
        "def bye(*_):\n"
        "    say(status='error', error='stopped', error_code='cancelled', details={'n': 1})\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, bye)\n"
        "say(event='heartbeat', seq=1, t_ms=1, data={})\n"
        "time.sleep(60)"
    )
    next(call.events())
    call.cancel("by the user")
    result = failed(call.result())
    assert (result.error_code, result.error, result.details["n"]) == ("cancelled", "stopped", 1)


def test_a_driver_that_ignores_the_stop_signal_is_killed_with_its_children(start: Start) -> None:
    call = start(
        "import subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen(['sleep', '60'])\n"
        "say(event='heartbeat', seq=1, t_ms=1, data={'pids': [os.getpid(), inner.pid]})\n"
        "time.sleep(60)"
    )
    pids = next(call.events()).data["pids"]
    call.cancel("by the user")
    assert failed(call.result()).error_code == "cancelled"
    wait_for(lambda: all(gone(pid) for pid in pids))


def test_nothing_of_a_driver_survives_its_answer(start: Start) -> None:
    call = start(
        "import subprocess\n"
        "inner = subprocess.Popen(['sleep', '60'])\n"
        "say(status='ok', result={'pid': inner.pid})\n"
        "time.sleep(60)"
    )
    result = call.result()
    assert isinstance(result, DriverSuccess)
    wait_for(lambda: gone(result.result["pid"]))


def test_a_line_of_megabytes_is_read_whole(start: Start) -> None:
    result = start("say(status='ok', result={'answer': 'a' * 8_000_000})").result()
    assert isinstance(result, DriverSuccess)
    assert len(result.result["answer"]) == 8_000_000


def test_a_line_beyond_the_limit_is_a_protocol_error(start: Start) -> None:
    result = failed(start("print('a' * (17 * 1024 * 1024))").result())
    assert result.error_code == "protocol_error"


def test_a_large_request_to_a_driver_that_never_reads_does_not_block(tmp_path: Path) -> None:
    program = tmp_path / "driver.py"
    program.write_text('print(\'{"status": "ok", "result": {}}\', flush=True)')
    call = StdioDriver([sys.executable, str(program)], {}).start(
        "ask", {"text": "x" * 5_000_000}, request_id="r", deadline=20
    )
    assert call.result() == DriverSuccess({})


def test_a_driver_killed_from_outside_is_a_crash(start: Start) -> None:
    call = start("say(event='heartbeat', seq=1, t_ms=1, data={'pid': os.getpid()}); time.sleep(60)")
    os.kill(next(call.events()).data["pid"], signal.SIGKILL)
    assert failed(call.result()).error_code == "agent_crashed"

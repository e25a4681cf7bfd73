"""
The patches against the real library: `python -m unittest` in the agent's own environment.

One process for all, since each import of the library costs seconds.
"""

from __future__ import annotations

import importlib
import socket
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from unittest import TestCase

import httpx

from rune_agent import patches

CHAT = b'{"message": {"role": "assistant", "content": "hello"}, "done": true, "eval_count": 2}'


class Server(BaseHTTPRequestHandler):
    """Answers each POST with the next of `statuses`, then with 200."""

    statuses: list[int] = []
    headers_sent: dict[str, str] = {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chat = self.path == "/api/chat"
        status = type(self).statuses.pop(0) if chat and type(self).statuses else 200
        body = CHAT if status == 200 else b'{"error": "no"}'
        self.send_response(status)
        for name, value in type(self).headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(*statuses: int, **headers: str) -> Iterator[str]:
    handler = type("Handler", (Server,), {"statuses": list(statuses), "headers_sent": headers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@contextmanager
def raises(kind: type[Exception], words: str = "") -> Iterator[None]:
    """The block raises `kind`, and its text holds `words`."""
    try:
        yield
    except kind as exc:
        assert words in str(exc)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


@contextmanager
def restored(module: str, *names: str) -> Iterator[Any]:
    found = importlib.import_module(module)
    before = {name: getattr(found, name) for name in names}
    try:
        yield found
    finally:
        for name, value in before.items():
            setattr(found, name, value)


class FewTokens:
    """A stand-in for the library's LLM: a token is a character."""

    def count_tokens(self, messages: list[dict[str, Any]]) -> Any:
        return SimpleNamespace(total_tokens=sum(len(message["content"]) for message in messages))

    def get_max_token_count_for_single_tool(self) -> int:
        return 2_000


def tool_result(**fields: Any) -> Any:
    models = importlib.import_module("holmes.core.models")
    tools = importlib.import_module("holmes.core.tools")
    result = tools.StructuredToolResult(status="success", **fields)
    return models.ToolCallResult(tool_call_id="c-1", tool_name="bash", description="", result=result)


def rules(
    log: patches.CallLog, seen: list[Any], *, seconds: float = 60, stop: threading.Event | None = None
) -> Any:
    return patches.RetryRules(
        log=log,
        stop=stop or threading.Event(),
        deadline=time.monotonic() + seconds,
        on_call=lambda begins: seen.append(("call", begins)),
        on_answer=lambda response: seen.append("answer"),
        on_retry=lambda status, attempt, delay: seen.append((status, attempt, delay)),
    )


class PatchTest(TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        patches.quiet()

    def test_version_guard_accepts_the_pinned_library_only(self) -> None:
        patches.verify()
        with restored("rune_agent.patches", "LIBRARY_VERSION") as module:
            module.LIBRARY_VERSION = "0.46.0"
            with raises(RuntimeError, "0.46.0"):
                patches.verify()

    def test_version_guard_misses_a_name_that_is_gone(self) -> None:
        with restored("rune_agent.patches", "PATCHED_NAMES") as module:
            module.PATCHED_NAMES = (("holmes.core.llm", "no_such_name"),)
            with raises(RuntimeError, "holmes.core.llm.no_such_name"):
                patches.verify()

    def test_p1_limits_are_set_after_import(self) -> None:
        with restored("holmes.core.llm", "OVERRIDE_MAX_OUTPUT_TOKEN", "LLM_REQUEST_TIMEOUT") as llm:
            patches.set_limits(2_345, 67.0)
            model = llm.DefaultLLM("openai/x", api_key="k", api_base="http://h/v1", args={})
            assert model.get_maximum_output_token() == 2_345
            assert llm.LLM_REQUEST_TIMEOUT == 67.0

    def test_p2_a_large_result_is_cut_and_recorded(self) -> None:
        with restored("holmes.core.tool_calling_llm", "spill_oversized_tool_result") as loop:
            kept = patches.Truncations()
            patches.cut_oversized_results(kept)
            large, small = tool_result(data="x" * 50_000), tool_result(data="x" * 50)
            before = loop.spill_oversized_tool_result(
                tool_call_result=large, llm=FewTokens(), tool_results_dir=None
            )
            loop.spill_oversized_tool_result(tool_call_result=small, llm=FewTokens())
        assert large.result.data.endswith("\n[TRUNCATED]")
        assert len(large.to_llm_message()["content"]) <= 2_000
        assert large.result.status == "success"
        assert small.result.data == "x" * 50
        (record,) = kept.records
        self.assertEqual(record["end_index"], len(large.result.data) - len("\n[TRUNCATED]"))
        assert (record["start_index"], record["original_token_count"]) == (0, before)
        assert kept.of("c-1")

    def test_p2_a_large_error_is_cut_too(self) -> None:
        with restored("holmes.core.tool_calling_llm", "spill_oversized_tool_result") as loop:
            patches.cut_oversized_results(patches.Truncations())
            failed = tool_result(error="e" * 9_000)
            failed.result.status = importlib.import_module(
                "holmes.core.tools"
            ).StructuredToolResultStatus.ERROR
            loop.spill_oversized_tool_result(tool_call_result=failed, llm=FewTokens())
        assert failed.result.error.endswith("\n[TRUNCATED]")

    def test_p3_a_token_signed_in_one_process_is_accepted_with_the_same_key(self) -> None:
        with restored("holmes.utils.approval_tokens", "SIGNING_KEY") as tokens:
            call = {"tool_call_id": "c-1", "tool_name": "bash", "args_json": "{}"}
            patches.set_signing_key("a" * 40)
            token = tokens.mint_token(**call)
            patches.set_signing_key("b" * 40)
            with raises(tokens.ApprovalTokenError):
                tokens.verify_token(token, **call)
            patches.set_signing_key("a" * 40)
            tokens.verify_token(token, **call)

    def test_p4_status_and_retry_after_are_recorded(self) -> None:
        with restored("httpx", "Client") as library, server(429, **{"Retry-After": "7"}) as url:
            log, send = patches.CallLog(), library.Client.send
            patches.record_calls(log)
            try:
                with httpx.Client() as client:
                    client.post(f"{url}/api/chat")
                    client.post(f"{url}/api/show")
                    with raises(httpx.ConnectError):
                        client.post("http://127.0.0.1:1/api/chat")
            finally:
                library.Client.send = send
        answered, refused = log.exchanges
        assert (answered.host, answered.status, answered.retry_after) == ("127.0.0.1", 429, 7.0)
        assert (refused.status, refused.error) == (None, "ConnectError")

    def completion(self, url: str, given: Any) -> Any:
        model = patches.retrying_llm(
            given, model="ollama_chat/m", api_base=url, api_key=None, args={"num_ctx": 12_288}
        )
        return model.completion(messages=[{"role": "user", "content": "hi"}], stream=False)

    @contextmanager
    def recorded(self, url: str) -> Iterator[patches.CallLog]:
        log = patches.CallLog()
        send = httpx.Client.send
        environment = importlib.import_module("os").environ
        environment["OLLAMA_API_BASE"] = url
        patches.record_calls(log)
        try:
            yield log
        finally:
            httpx.Client.send = send  # type: ignore[method-assign]

    def test_p5_a_busy_server_is_asked_again(self) -> None:
        seen: list[Any] = []
        with restored("rune_agent.patches", "RETRY_DELAYS") as module, server(429, 503) as url:
            module.RETRY_DELAYS = (0.01, 0.02, 0.03)
            with self.recorded(url) as log:
                answer = self.completion(url, rules(log, seen))
        assert answer.choices[0].message.content == "hello"
        assert seen, [("call", True), (429, 1, 10), (503, 2, 20) == "answer"]

    def test_p5_three_retries_are_the_most(self) -> None:
        seen: list[Any] = []
        with restored("rune_agent.patches", "RETRY_DELAYS") as module, server(*[502] * 9) as url:
            module.RETRY_DELAYS = (0.01, 0.02, 0.03)
            with self.recorded(url) as log, raises(Exception):
                self.completion(url, rules(log, seen))
        assert [entry[1] for entry in seen[1:]], [1, 2 == 3]

    def test_p5_other_errors_and_the_deadline_end_at_once(self) -> None:
        for statuses, seconds in (((500,), 60.0), ((429,), 0.5)):
            seen: list[Any] = []
            with server(*statuses) as url, self.recorded(url) as log, raises(Exception):
                self.completion(url, rules(log, seen, seconds=seconds))
            assert seen == [("call", True)]

    def test_p5_waits_as_long_as_the_server_asks_within_bounds(self) -> None:
        asked = patches.Exchange("h", 429, retry_after=5.0)
        assert patches._delay(asked, 0) == 5.0
        assert patches._delay(patches.Exchange("h", 429, retry_after=900.0), 0) == 30.0
        assert patches._delay(patches.Exchange("h", 429, retry_after=0.0), 2) == 4.0
        assert patches._delay(asked, 3) is None

    def test_a_pinned_name_resolves_to_its_checked_addresses(self) -> None:
        with restored("socket", "getaddrinfo"):
            patches.pin_names({"model.test": ["127.0.0.1"]})
            found = socket.getaddrinfo("Model.test.", 80, type=socket.SOCK_STREAM)
        assert [entry[4] for entry in found] == [("127.0.0.1", 80)]


if __name__ == "__main__":
    unittest.main()

"""`ollama-list-models` without a server, against a simulated Ollama (jobs-api.md 15; acceptance 31)."""

from __future__ import annotations

import io
import json
import socket
import time

import pytest

from rune.cli.entry import run
from rune.cli.surroundings import Surroundings
from rune.sandbox.ollama import OllamaSim


@pytest.fixture
def rune(tmp_path):
    def call(*arguments):
        out, err = io.StringIO(), io.StringIO()
        around = Surroundings(
            environ={},
            working_directory=tmp_path,
            home=tmp_path,
            stdout=out,
            stderr=err,
            sleep=time.sleep,
            monotonic=time.monotonic,
        )
        return run(arguments, around), out.getvalue(), err.getvalue()

    return call


def test_the_models_of_a_server_are_listed(rune):
    with OllamaSim(models=["llama3.1:8b", "qwen2.5:7b"]) as sim:
        code, out, _ = rune("ollama-list-models", "--backend-url", sim.url, "--json")
        assert (code, json.loads(out)["result"]) == (
            0,
            {
                "backend_url": sim.url,
                "backend_type": "ollama",
                "models": ["llama3.1:8b", "qwen2.5:7b"],
                "running_models": [],
            },
        )
        code, out, _ = rune("llm-list-models", "--backend-url", sim.url, "--backend-type", "openai")
    assert code == 0
    assert "llama3.1:8b" in out
    assert "qwen2.5:7b" in out


def test_a_server_that_does_not_answer_is_told_in_the_words_of_the_api(rune):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    code, out, err = rune("ollama-list-models", "--backend-url", f"http://127.0.0.1:{port}", "--json")
    assert (code, json.loads(out)["code"]) == (1, "backend_unavailable")
    assert "Failed to query available models" in err

"""
A driver that does what the question says, for trying out everything around the agent.

`stand_in.py RECORD`: each call appends one JSON line `{"run_id", "pid", "began", "ended"}` to RECORD when it
is asked (`ended` null) and another when it answers; times are seconds of the machine's monotonic clock.

The question is a list of words: `sleep:<seconds>`, `tool` (a tool call without a result), `called` (one with
a result), `ready`, `stubborn` (SIGTERM is ignored), `child` (a process of its own that sleeps), `garbage`,
`crash`, `fail:<error_code>`, `empty`, `file:<name>` (hands over a file of that name, which says so, and a link
of that name with `.link`), `picture` (hands over a PNG), `cluster` (answers with the cluster it was given),
`allow:<name>` (a call that waits for approval; when it is allowed, its name goes to RECORD.done, and otherwise the
reason why not is a part of the answer). Other words are the answer.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def main() -> int:
    request = json.loads(sys.stdin.readline())
    params, request_id = request["params"], request["id"]
    began = time.monotonic()
    note(params["run_id"], began, None)
    said, files, number = [], [], 0
    waiting: list[dict[str, Any]] = []
    resumed = params.get("resume_state")

    def event(name: str, **data: Any) -> None:
        nonlocal number
        number += 1
        say({"event": name, "seq": number, "t_ms": int((time.monotonic() - began) * 1000), "data": data})

    question = params["question"]
    if resumed:
        question = resumed["messages"][0]["left"]
        for call, decision in zip(resumed["pending_approvals"], params["tool_decisions"], strict=True):
            result_of, text = settle(call, decision)
            event("tool_calling_result", **result_of)
            said.append(text)
    words = question.split()
    for place, word in enumerate(words):
        name, _, value = word.partition(":")
        match name:
            case "sleep":
                time.sleep(float(value))
            case "ready":
                event("agent_ready", startup_ms=1)
            case "tool":
                event(
                    "start_tool_calling",
                    tool_name="bash",
                    id=f"c{number}",
                    params={"command": "kubectl get pods"},
                )
            case "called":
                event(
                    "start_tool_calling", tool_name="bash", id="done", params={"command": "kubectl get nodes"}
                )
                event(
                    "tool_calling_result",
                    tool_call_id="done",
                    result={"status": "success", "data": "node-1 Ready"},
                )
            case "stubborn":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            case "child":
                subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)", *sys.argv[1:]])
            case "garbage":
                print("Welcome to the driver!\n{ not json", flush=True)
                return 0
            case "crash":
                print("Traceback: the driver fell over", file=sys.stderr)
                return 3
            case "fail":
                say({"status": "error", "error_code": value, "error": "as it was told", "id": request_id})
                return 0
            case "empty":
                said = [" "]
                break
            case "allow":
                call = pending_call(value)
                event("start_tool_calling", tool_name="bash", id=value, params=call["params"])
                if params["tool_approval"] == "pause":
                    waiting.append(call)
                    if not any(each.startswith("allow:") for each in words[place + 1 : place + 2]):
                        return pause(params, request_id, began, waiting, " ".join(words[place + 1 :]))
                else:
                    event("tool_calling_result", **refused(value, "needs approval"))
                    said.append(f"refused:{value}")
            case "cluster":
                said.append(cluster(params))
            case "file":
                files += hand_over(value, params["output_dir"])
            case "picture":
                files.append({"name": "shot.png", "kind": "screenshot", "content_base64": PNG})
            case _:
                said.append(word)
    note(params["run_id"], began, time.monotonic())
    answer = result(" ".join(said) or "done") | ({"artifacts": files} if files else {})
    say({"status": "ok", "result": answer, "id": request_id})
    return 0


def pending_call(name: str) -> dict[str, Any]:
    return {
        "tool_call_id": name,
        "tool_name": "bash",
        "description": f"do {name}",
        "params": {"command": f"kubectl delete pod {name}"},
    }


def settle(call: Mapping[str, Any], decision: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Does what is allowed, and notes that it was done."""
    name = call["tool_call_id"]
    if decision["tool_call_id"] != name or decision["approved"] is not True:
        reason = str(decision.get("feedback"))
        return refused(name, reason), f"{name}:{reason.replace(' ', '-')}"
    with open(f"{sys.argv[1]}.done", "a", encoding="utf-8") as file:
        file.write(f"{name}\n")
    return {"tool_call_id": name, "result": {"status": "success", "data": "done"}}, f"{name}:done"


def refused(name: str, reason: str) -> dict[str, Any]:
    result = {"status": "error", "error": f"Tool call rejected: {reason}"}
    return {"tool_call_id": name, "denied": True, "result": result}


def pause(
    params: Mapping[str, Any], request_id: str, began: float, waiting: list[dict[str, Any]], left: str
) -> int:
    """Ends with what has to be decided; `left` is what the question says after it."""
    note(params["run_id"], began, time.monotonic())
    state = {"messages": [{"left": left}], "pending_approvals": waiting, "carry": {"usage": {}}}
    answer = result("") | {
        "outcome": "approval_required",
        "pending_approvals": waiting,
        "resume_state": state,
    }
    say({"status": "ok", "result": answer, "id": request_id})
    return 0


def hand_over(name: str, folder: str) -> list[dict[str, Any]]:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"this is {name}\n")
    os.symlink("/etc/hostname", f"{path}.link")
    return [
        {"name": each, "kind": "log", "path": os.path.join(folder, each)} for each in (name, f"{name}.link")
    ]


def result(answer: str) -> dict[str, Any]:
    return {
        "outcome": "completed",
        "answer": answer,
        "result_type": "text",
        "metadata": {"agent_version": "stand-in", "warnings": []},
        "token_usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "llm_calls": 1},
    }


def cluster(params: Mapping[str, Any]) -> str:
    path = params.get("kubeconfig_path")
    if path is None:
        return f"no-cluster:{params.get('require_cluster')}"
    with open(path, encoding="utf-8") as file:
        found = re.search(r"https?://[^\s\"']+", file.read())
    return f"cluster:{found[0]}" if found else "cluster:nowhere"


def note(run_id: str, began: float, ended: float | None) -> None:
    line = json.dumps({"run_id": run_id, "pid": os.getpid(), "began": began, "ended": ended}) + "\n"
    descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def say(document: Mapping[str, Any]) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

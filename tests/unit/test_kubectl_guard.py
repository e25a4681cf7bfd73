"""The kubectl guard: which command lines pass, and what happens to a kubectl that misbehaves."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

GUARD = Path(__file__).parents[2] / "containers/agent/rune_agent/kubectl_guard.py"


def load_guard() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kubectl_guard", GUARD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guard = load_guard()

REFUSED = [
    "",
    "delete pod web",
    "apply -f x.yaml",
    "edit deploy web",
    "exec web -- cat /etc/passwd",
    "config view",
    "proxy",
    "port-forward web 80",
    "cp web:/etc/passwd x",
    "debug node/n1",
    "plugin list",
    "unknown",
    "auth reconcile",
    "auth",
    "rollout undo deploy/web",
    "rollout restart deploy/web",
    "-n default get pods",
    "-p get delete pod web",
    "--server=http://x get pods",
    "get pods --server=http://x",
    "get pods --server http://x",
    "get pods -s http://x",
    "get pods -Ashttp://x",
    "get pods --kubeconfig=/tmp/x",
    "get pods --token=abc",
    "get pods --as=admin",
    "get pods --as-group=system:masters",
    "get pods --user=x",
    "get pods --cluster=x",
    "get pods --context=x",
    "get pods --certificate-authority=/etc/passwd",
    "get pods --client-key=/etc/passwd",
    "get pods --insecure-skip-tls-verify",
    "get pods --tls-server-name=x",
    "get pods --proxy-url=http://x",
    "get -f http://x",
    "get -Af http://x",
    "get --filename=http://x",
    "get -k /tmp",
    "get --kustomize /tmp",
    "get pods -w",
    "get pods -Aw",
    "get pods --watch",
    "get pods --watch-only",
    "logs web -f",
    "logs web --follow",
    "get pods -n --server=http://x",
    "get pods -n",
    "get pods -o jsonpath-file=/etc/passwd",
    "get pods -o=go-template-file=/etc/passwd",
    "get pods -ocustom-columns-file=/etc/passwd",
    "get pods --output templatefile=/etc/passwd",
    "get pods --template=/etc/passwd",
    "get pods --cache-dir=/tmp",
    "get pods --profile-output=/tmp/x",
    "get pods -v=9",
    "get --raw /api/v1/secrets",
    "get --raw /api/v1/namespaces/shop/secrets",
    "get --raw /api/v1/secret%73",
    "get --raw /api/v1/namespaces/shop/services/web/proxy/",
    "get --raw /api/v1/nodes/n1/proxy/logs",
    "get --raw /api/v1/../v1/secrets",
    "get --raw /api/v1//secrets",
    "get --raw=/api/v1/pods?watch=true",
    "get --raw=/api/v1/pods?limit=1&w%61tch=true",
    "get --raw /metrics",
    "get --raw http://x/api",
    "get secrets",
    "get secret",
    "get Secrets -A",
    "get secret/db -o yaml",
    "get pods,secrets",
    "get pods/web secret/db",
    "get secrets.v1.",
    "describe secret db",
]

PASSED = [
    # What the library's Kubernetes and log tools issue.
    "version --client",
    "api-resources --no-headers",
    "api-resources --namespaced=false -o name",
    "get --raw /apis",
    "get --raw /api/v1/pods?limit=500&labelSelector=app%3Dweb&fieldSelector=status.phase%21%3DRunning",
    "get --raw /apis/apps/v1/namespaces/shop/deployments?limit=500&continue=ey%3D%3D",
    "get --raw /apis/metrics.k8s.io/v1beta1/pods?limit=500",
    "get pods -A -o custom-columns=NAME:.metadata.name,STATUS:.status.phase",
    "get pods -n shop -l app=web --field-selector status.phase=Running -o custom-columns=A:.metadata.name",
    "logs web -n shop --all-containers=true --timestamps=true --prefix=true --previous",
    # What a model asks for.
    "get pods -A -o wide",
    "get pods -Aowide",
    "get pods -nshop -o=json",
    "get pod web -n secrets -o jsonpath={.status.phase}",
    "get pods --sort-by=.metadata.creationTimestamp --show-labels -L app",
    "describe pod web -n shop",
    "logs web -c app --tail -1 --since=1h",
    "events --for pod/web -n shop --types=Warning",
    "top pods --containers",
    "explain pods.spec",
    "auth can-i list pods -A",
    "auth can-i --list",
    "rollout history deploy/web",
    "get --raw /readyz",
]


@pytest.mark.parametrize("line", REFUSED)
def test_a_dangerous_line_is_refused(line: str) -> None:
    with pytest.raises(guard.Refused):
        guard.check(line.split(), "read")


@pytest.mark.parametrize("line", PASSED)
def test_a_harmless_line_passes_with_a_request_timeout(line: str) -> None:
    words = line.split()
    assert guard.check(words, "read") == [words[0], "--request-timeout=30s", *words[1:]]


def test_a_request_timeout_of_the_caller_is_kept() -> None:
    words = ["get", "pods", "--request-timeout=5s"]
    assert guard.check(words, "read") == words


@pytest.mark.parametrize("line", ["delete pod web -n shop", "scale deploy/web --replicas=2", "cordon n1"])
def test_an_approved_child_may_change_things(line: str) -> None:
    assert guard.check(line.split(), "approved")[0] == line.split()[0]


@pytest.mark.parametrize(
    "line",
    [
        "config view",
        "proxy",
        "port-forward web 80",
        "attach web",
        "cp a b",
        "debug node/n1",
        "plugin list",
        "evil-plugin",
        "apply -f http://x",
        "get secrets",
        "delete pod web --token=x",
        "get pods --as=admin",
    ],
)
def test_approval_lifts_no_refusal_of_flags_secrets_and_tunnels(line: str) -> None:
    with pytest.raises(guard.Refused):
        guard.check(line.split(), "approved")


@pytest.fixture
def run_guard(tmp_path: Path):
    """Run the guard in front of a shell script that plays kubectl; returns the finished process."""

    def run(script: str, *words: str, **limits: float) -> subprocess.CompletedProcess[str]:
        real = tmp_path / "kubectl"
        real.write_text(f"#!/bin/sh\n{script}\n")
        real.chmod(real.stat().st_mode | stat.S_IXUSR)
        program = (
            f"import sys; sys.path.insert(0, {str(GUARD.parent)!r}); import kubectl_guard as g;"
            f"sys.exit(g.run({str(real)!r}, sys.argv[1:], **{limits!r}))"
        )
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, *words], capture_output=True, text=True, input="typed"
        )

    return run


def test_output_and_exit_code_pass_through(run_guard) -> None:
    ended = run_guard('echo "out $1"; echo err >&2; exit 3', "get")
    assert (ended.stdout, ended.stderr, ended.returncode) == ("out get\n", "err\n", 3)


def test_kubectl_gets_nothing_on_stdin(run_guard) -> None:
    assert run_guard("cat").stdout == ""


def test_a_hanging_kubectl_is_killed(run_guard, tmp_path: Path) -> None:
    ended = run_guard(f"echo $$ > {tmp_path}/pid; exec sleep 60", time_limit=0.5)
    assert ended.returncode == 124
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_too_much_output_stops_kubectl(run_guard) -> None:
    ended = run_guard("exec yes", output_limit=1_000_000)
    assert ended.returncode == 125
    assert len(ended.stdout) <= 1_000_000


def test_the_guards_clock_never_ticks_after_its_end(run_guard, tmp_path: Path) -> None:
    # The guard's end falls on a tick of its clock, and on many moments around it.
    for milliseconds in range(230, 262, 2):
        ended = run_guard(f"sleep 0.{milliseconds}; echo out")
        assert (ended.stdout, ended.returncode) == ("out\n", 0)


def test_kubectl_dies_with_its_guard(tmp_path: Path) -> None:
    real = tmp_path / "kubectl"
    real.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 60\n"
    )
    real.chmod(0o755)
    program = (
        f"import sys; sys.path.insert(0, {str(GUARD.parent)!r});"
        f"import kubectl_guard as g; g.run({str(real)!r}, [])"
    )
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", program])
    wait_for(lambda: (tmp_path / "pid").exists())
    process.kill()
    process.wait()
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not running(pid))


def test_a_refusal_is_exit_126_and_says_why() -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(GUARD), "get", "secrets"], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (126, "rune: refused: secrets may not be read\n")


def running(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)

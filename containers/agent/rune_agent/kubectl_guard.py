#!/usr/bin/env -S python3 -IS
"""
Stands in for kubectl on the agent's PATH and lets only harmless command lines through (holmes-driver.md 1.6).

Prefix lists cannot see flags: `kubectl get --server=http://x` begins like any `kubectl get`. So every flag
is on an allow-list here; kubectl gets /dev/null as stdin, 45 seconds and 32 MiB of output. One file,
standard library only, run with `-I -S`: it starts in about 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import re
import selectors
import signal
import sys
import time

TYPE_CHECKING = False  # importing typing would cost a third of the start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REAL_KUBECTL = "/opt/rune/libexec/kubectl"
MODE: str | None = None
TIME_LIMIT_SECONDS = 45.0
OUTPUT_LIMIT_BYTES = 32 * 1024 * 1024

REFUSED, TOO_SLOW, TOO_MUCH = 126, 124, 125

READ_VERBS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_words("get describe logs events top api-resources version explain"), ()),
    "auth": ("can-i",),
    "rollout": ("history",),
}
# Named one by one, because an unknown verb would start a program `kubectl-<verb>`.
# Absent on purpose: config, proxy, port-forward, attach, cp, debug, plugin.
APPROVED_VERBS = _words(
    "alpha annotate api-resources api-versions apply auth autoscale certificate cluster-info completion "
    "cordon create delete describe diff drain edit events exec explain expose get kustomize label logs "
    "options patch replace rollout run scale set taint top uncordon version wait"
)

# A flag counts as taking a value only if kubectl's every verb agrees; otherwise kubectl could see a
# flag where this parser sees a value.
VALUE_FLAGS = _words(
    "--namespace --output --selector --field-selector --sort-by --label-columns --chunk-size --limit "
    "--request-timeout --tail --since --since-time --container --max-log-requests --for --types --api-group "
    "--verbs --subresource --raw"
)
BOOLEAN_FLAGS = _words(
    "--all-namespaces --show-labels --no-headers --ignore-not-found --all-containers --previous --timestamps "
    "--prefix --containers --client --namespaced --show-events --list"
)
APPROVED_VALUE_FLAGS = _words("--to-revision --replicas --grace-period --timeout")
APPROVED_BOOLEAN_FLAGS = _words("--wait --dry-run")
SHORT_FLAGS = {"n": "--namespace", "A": "--all-namespaces", "o": "--output", "l": "--selector"}
SHORT_FLAGS |= {"L": "--label-columns", "c": "--container", "p": "--previous"}

OUTPUT_WORDS = _words("json yaml name wide")
OUTPUT_PREFIXES = ("jsonpath=", "jsonpath-as-json=", "go-template=", "custom-columns=")
RAW_WORDS = _words("/version /healthz /livez /readyz /api /apis")
RAW_QUERY_KEYS = _words("limit continue labelSelector fieldSelector")
RAW_LIST = re.compile(
    r"(?:/api/v1|/apis/[a-z0-9][a-z0-9.-]*/v[a-z0-9]+)/(?:namespaces/[a-z0-9][a-z0-9-]*/)?([a-z][a-z0-9.-]*)"
)
NEGATIVE_NUMBER = re.compile(r"-\d+")


class Refused(Exception):
    """The command line is not let through; the text says why, without repeating values."""


class _Stop(Exception):
    """The time limit passed, or the agent is gone."""


def check(arguments: list[str], mode: str) -> list[str]:
    """Return the command line to run, `--request-timeout` added. Raises Refused."""
    if not arguments:
        raise Refused("no verb")
    verb = arguments[0]
    _check_verb(arguments, mode)
    positional, flags = _parse(arguments[1:], mode)
    for flag, value in flags:
        if flag == "--output":
            _check_output(value)
        elif flag == "--raw":
            _check_raw(value)
    for argument in positional:
        _check_resource(argument)
    if any(flag == "--request-timeout" for flag, _ in flags):
        return list(arguments)
    return [verb, "--request-timeout=30s", *arguments[1:]]


def _check_verb(arguments: list[str], mode: str) -> None:
    # The verb comes first: kubectl skips what it takes for the value of an unknown flag before the verb.
    verb = arguments[0]
    if mode == "approved":
        if verb not in APPROVED_VERBS:
            raise Refused("this verb is not allowed")
        return
    if verb not in READ_VERBS:
        raise Refused("only verbs that read are allowed")
    following = READ_VERBS[verb]
    if following and (len(arguments) < 2 or arguments[1] not in following):
        raise Refused(f"of {verb}, only {', '.join(following)} is allowed")


def _parse(arguments: list[str], mode: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Split into positional arguments and (flag, value) pairs, as kubectl would."""
    valued = VALUE_FLAGS | (APPROVED_VALUE_FLAGS if mode == "approved" else frozenset())
    boolean = BOOLEAN_FLAGS | (APPROVED_BOOLEAN_FLAGS if mode == "approved" else frozenset())
    positional: list[str] = []
    flags: list[tuple[str, str]] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            positional.extend(rest)
        elif argument.startswith("--"):
            name, equals, value = argument.partition("=")
            if name in valued:
                flags.append((name, value if equals else _value(rest)))
            elif name in boolean:
                flags.append((name, value))
            else:
                raise Refused("a flag that is not allowed")
        elif argument.startswith("-") and argument != "-":
            flags.extend(_short(argument[1:], rest))
        else:
            positional.append(argument)
    return positional, flags


def _short(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    while letters:
        name = SHORT_FLAGS.get(letters[0])
        if name is None:
            raise Refused("a flag that is not allowed")
        letters = letters[1:]
        if name not in BOOLEAN_FLAGS or letters.startswith("="):
            yield name, letters.removeprefix("=") if letters else _value(rest)
            return
        yield name, ""


def _value(rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise Refused("a flag without its value")
    if value.startswith("-") and not NEGATIVE_NUMBER.fullmatch(value):
        raise Refused("a flag where a value was expected")
    return value


def _check_output(value: str) -> None:
    if value not in OUTPUT_WORDS and not value.startswith(OUTPUT_PREFIXES):
        raise Refused("this output form is not allowed")


def _check_raw(value: str) -> None:
    path, _, query = value.partition("?")
    if path in RAW_WORDS and not query:
        return
    match = RAW_LIST.fullmatch(path)
    if match is None:
        raise Refused("only lists and health may be read raw")
    _check_resource(match.group(1))
    if query and any(pair.partition("=")[0] not in RAW_QUERY_KEYS for pair in query.split("&")):
        raise Refused("this raw query is not allowed")


def _check_resource(argument: str) -> None:
    # `pods,secrets`, `secret/name` and `secrets.v1.` all name the kind.
    for part in argument.lower().split(","):
        if part.partition("/")[0].partition(".")[0] in ("secret", "secrets"):
            raise Refused("secrets may not be read")


def run(
    real: str,
    arguments: list[str],
    time_limit: float = TIME_LIMIT_SECONDS,
    output_limit: int = OUTPUT_LIMIT_BYTES,
) -> int:
    """Run the real kubectl and copy its output through; returns the exit code."""
    out, err = os.pipe(), os.pipe()
    # Loaded before the fork: the new process may only make plain calls.
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(real, arguments, out[1], err[1], prctl, parent)
    os.close(out[1])
    os.close(err[1])
    try:
        _watch_clock(time.monotonic() + time_limit)
        if not _copy({out[0]: 1, err[0]: 2}, output_limit):
            return _killed(pid, TOO_MUCH)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except _Stop:
        return _killed(pid, TOO_SLOW)
    except BrokenPipeError:
        return _killed(pid, 128 + signal.SIGPIPE)
    finally:
        # While Python ends it no longer handles signals, and a late tick would kill it.
        signal.setitimer(signal.ITIMER_REAL, 0)
    return code if code >= 0 else 128 - code


def _become(
    real: str, arguments: list[str], out: int, err: int, prctl: Callable[..., int] | None, parent: int
) -> NoReturn:
    try:
        if prctl is not None:
            prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: kubectl never outlives its guard
            if os.getppid() != parent:
                os._exit(TOO_SLOW)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.execv(real, [real, *arguments])
    finally:
        os._exit(127)


def _watch_clock(deadline: float) -> None:
    """Raise _Stop in the main thread after the deadline, or when the session's leader, the agent, is gone."""
    leader = os.getsid(0)
    watched = leader if _alive(leader) else None

    def tick(_number: int, _frame: object) -> None:
        if time.monotonic() >= deadline or (watched is not None and not _alive(watched)):
            raise _Stop

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.25, 0.25)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _copy(pipes: dict[int, int], limit: int) -> bool:
    """Copy each pipe to its descriptor until both end; False when there was too much."""
    total = 0
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(source := key.fd, 65_536)
                if not chunk:
                    selector.unregister(source)
                    continue
                total += len(chunk)
                if total > limit:
                    return False
                while chunk:
                    chunk = chunk[os.write(pipes[source], chunk) :]
    return True


def _killed(pid: int, code: int) -> int:
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return code


def main() -> int:
    try:
        mode = MODE or os.environ.get("RUNE_KUBECTL_MODE", "read")  # noqa: TID251 - this is an entry point
        arguments = check(sys.argv[1:], mode)
    except Refused as refusal:
        sys.stderr.write(f"rune: refused: {refusal}\n")
        return REFUSED
    return run(REAL_KUBECTL, arguments)


if __name__ == "__main__":
    sys.exit(main())

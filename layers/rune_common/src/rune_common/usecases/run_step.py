"""One attempt of one step of a chain: claim it, ask its agent, settle it, tell the chain (jobs-api.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rune_common.domain.agent_events import AgentLog
from rune_common.domain.agent_results import warning_codes
from rune_common.domain.chain_results import chain_answers, chain_result, with_answer
from rune_common.domain.chain_rules import ChainStep, chain_spec
from rune_common.domain.chain_templates import cut, render
from rune_common.domain.chains import ChainState, return_step, settle
from rune_common.domain.driver_protocol import RUN_TIMED_OUT, DriverFailure
from rune_common.domain.errors import AttemptSuperseded, RunNotFound
from rune_common.domain.events import Redacting, total_usage
from rune_common.domain.executions import AgentTask
from rune_common.domain.kubeconfig_secrets import kubeconfig_secrets
from rune_common.domain.legs import alive, leg_of, with_leg, without_leg
from rune_common.domain.ports import RunRequest
from rune_common.domain.runs import Leg, Run
from rune_common.usecases.advance_chain import end_text, may_repeat, shown
from rune_common.usecases.attempt_artifacts import keep_driver_artifacts
from rune_common.usecases.attempt_leg import AttemptLeg, LegEnd, output_folder
from rune_common.usecases.change_chain import ChainProposal, change_chain
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.run_attempt import MAX_ERROR_CHARACTERS, AttemptPorts

PAUSE_SECONDS = 10
"""Before a step is started for the second time; twice as long before the third."""


def run_step(task: AgentTask, *, ports: AttemptPorts) -> None:
    """Ask a step's agent once. A repeated or superseded attempt ends quietly.

    How it ended is stored before the chain is told, so the state machine never knows more than the log.
    """
    try:
        run = _claim(task, ports)
        request = ports.runs.request(task.tenant, task.run_id)
        if request is None:
            raise RunNotFound(task.run_id)
        redactor = ports.redactor_for(kubeconfig_secrets(request.secrets.get("kubeconfig", "")))
        step = chain_spec(request.document["chain"]).step(task.step_id)
        asked = _asked(step, request, ports.runs.result(task.tenant, task.run_id))
        leg = AttemptLeg(
            task,
            AgentLog(task.attempt_id, step.model or run.model, ports.prices),
            runs=ports.runs,
            blobs=ports.blobs,
            callbacks=ports.callbacks,
            clock=ports.clock,
            redactor=redactor,
            poll_seconds=ports.poll_seconds,
        )
        with ports.workspaces.open() as folder:
            end = leg.run(ports.driver, run, asked, folder, driver_timeout=ports.driver_timeout)
            if end.stopped_by == "superseded":
                return
            keep_driver_artifacts(task, end.ended, output_folder(folder), ports, redactor)
        token, pause = _store(task, ports, end, redactor)
    except (AttemptSuperseded, RunNotFound):
        return
    if token:
        ports.callbacks.succeed(token, {"done": False, "pause_seconds": pause})


def _claim(task: AgentTask, ports: AttemptPorts) -> Run:
    """Raises AttemptSuperseded when the attempt is not the chain's, or was taken before."""

    def decide(run: Run) -> Proposal:
        leg = _leg(run, task)
        if leg.claimed:
            raise AttemptSuperseded(run.run_id)
        now = ports.clock()
        return Proposal(
            with_leg(replace(run, heartbeat_at=now), replace(leg, claimed=True, heartbeat_at=now))
        )

    return change_run(
        task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=ports.redactor_for(())
    )


def _asked(step: ChainStep, request: RunRequest, result: Mapping[str, Any] | None) -> RunRequest:
    """The run's request with the step's own question, model and agent."""
    answers = chain_answers(result)
    values = {name: cut(answers[name]) for name in step.dependencies if name in answers}
    own = {
        "question": render(step.question_template, {**request.document["chain"]["context"], **values}),
        "agent": step.agent,
        **({"model": step.model} if step.model else {}),
    }
    return RunRequest({**request.document, **own}, request.secrets)


def _store(task: AgentTask, ports: AttemptPorts, end: LegEnd, redactor: Redacting) -> tuple[str, int]:
    """Settle the step. Returns the chain's token and how long it is to wait before it goes on."""
    pause = 0

    def decide(run: Run, chain: ChainState) -> ChainProposal:
        nonlocal pause
        leg, now = _leg(run, task), ports.clock()
        begun = leg.model_call_begun or end.model_call_begun
        known = alive(run, task.attempt_id, now_ms=now, model_call_begun=begun)
        rest = without_leg(known, task.attempt_id)
        pause = 0
        if not isinstance(end.ended, DriverFailure):
            said, _ = redactor.value(dict(end.ended.result))
            warned = tuple(dict.fromkeys((*rest.warnings, *warning_codes(said))))
            after = settle(chain, task.step_id, None, now_ms=now)
            counted = replace(
                rest,
                warnings=warned,
                has_result=True,
                usage=total_usage(run.usage, (draft.usage for draft in end.drafts)),
            )
            before = with_answer(ports.runs.result(task.tenant, task.run_id), task.step_id, said)
            result = chain_result(counted, after, before, now_ms=now)
            return ChainProposal(shown(counted, after, now), after, end.drafts, result)
        attempt = replace(leg, model_call_begun=begun)
        if end.ended.retryable and may_repeat(run, chain, attempt, now_ms=now):
            pause = PAUSE_SECONDS * 2 ** (chain.step(task.step_id).attempts - 1)
            return ChainProposal(rest, return_step(chain, task.step_id, now_ms=now), end.drafts)
        text = _failure_text(end.ended, end, run, leg, now, redactor)
        after = settle(chain, task.step_id, text, now_ms=now)
        return ChainProposal(shown(rest, after, now), after, end.drafts)

    _, chain = change_chain(
        task.tenant, task.run_id, decide, runs=ports.runs, clock=ports.clock, redactor=redactor
    )
    return chain.token, pause


def _failure_text(
    failure: DriverFailure, end: LegEnd, run: Run, leg: Leg, now_ms: int, redactor: Redacting
) -> str:
    """One sentence: why the chain stopped the step, else what went wrong in it; redacted and short."""
    stopped = leg.stopping or end_text(run, now_ms)
    if stopped:
        return stopped
    if failure.error_code == "deadline_exceeded" and end.on_run_deadline:
        return RUN_TIMED_OUT
    text, _ = redactor.value(failure.error)
    return f"Agent error: {text}"[:MAX_ERROR_CHARACTERS]


def _leg(run: Run, task: AgentTask) -> Leg:
    """Raises AttemptSuperseded."""
    leg = None if run.terminal else leg_of(run, task.attempt_id)
    if leg is None:
        raise AttemptSuperseded(run.run_id)
    return leg

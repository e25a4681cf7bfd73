"""Interaction on the wire (jobs-api.md 9.3)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import Depends, Response
from pydantic import BaseModel, Field, ValidationError

from rune_common.domain.errors import InvalidRequest
from rune_common.domain.interaction import Decision, PendingApproval, decision_of
from rune_common.http.body import RawBody, json_object
from rune_common.http.schemas.tolerance import showable
from rune_common.http.validation import field_problems

IGNORED_FIELDS = "Rune-Ignored-Fields"


class InteractionView(BaseModel):
    """What a run waits for; without any member when it waits for nothing. `expires_at` in epoch seconds."""

    prompt: str | None = None
    approval_id: str | None = None
    kind: Literal["approval"] | None = None
    options: list[Literal["approve", "deny"]] | None = None
    expires_at: float | None = None

    @classmethod
    def of(cls, pending: PendingApproval | None) -> Self:
        if pending is None:
            return cls()
        return cls(
            prompt=pending.prompt,
            approval_id=pending.approval_id,
            kind="approval",
            options=["approve", "deny"],
            expires_at=pending.expires_at / 1000,
        )


class AnswerInteraction(BaseModel):
    """`response`: approve, approved, yes, y, or deny, denied, no, n, in any case."""

    response: str = Field(min_length=1, max_length=10_000)
    approval_id: str | None = Field(default=None, max_length=64)

    def decision(self) -> Decision:
        """Raises InvalidRequest for any other word."""
        return decision_of(self.response)


class InteractionAccepted(BaseModel):
    status: Literal["accepted"] = "accepted"


def answer_given(raw: RawBody, response: Response) -> tuple[Decision, str | None]:
    """The decision and the approval that it is about, if one is named. Raises InvalidRequest and its kinds."""
    members = json_object(raw).members
    known = {name: members[name] for name in AnswerInteraction.model_fields if name in members}
    try:
        body = AnswerInteraction.model_validate(known, strict=True)
    except ValidationError as exc:
        raise InvalidRequest(*field_problems(exc.errors(include_input=False))) from None
    if ignored := showable(name for name in members if name not in known):
        response.headers[IGNORED_FIELDS] = ",".join(ignored)
    return body.decision(), body.approval_id


AnswerGiven = Annotated[tuple[Decision, str | None], Depends(answer_given)]

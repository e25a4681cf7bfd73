"""
What ends a command without success, and its exit code (jobs-api.md 15).

* CliFailure           1  a handled error
  - UsageProblem       2  the command line or an environment variable does not fit
  - JobFailed          1  the job ended as failed or cancelled, or without an answer
  - Declined           0  nothing was rented, as the user wished; never shown as a failure
  - Interrupted      130  Ctrl-C; 143 after SIGTERM
* Terminated              SIGTERM arrived; raised by the process's signal handler
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIGINT_EXIT = 130
SIGTERM_EXIT = 143


class CliFailure(Exception):
    """A message for people, a stable `code` for scripts, and optionally a hint at what to do next.

    `job_id`, `status` and `result` are what is known about the job that the command was about.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str = "error",
        hint: str = "",
        job_id: str = "",
        status: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.job_id = job_id
        self.status = status
        self.result = result


class UsageProblem(CliFailure):
    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="usage", hint=hint)


class JobFailed(CliFailure):
    pass


class Declined(CliFailure):
    """A person said no to what would have been rented; that is no failure."""

    exit_code = 0

    def __init__(self) -> None:
        super().__init__("nothing was rented", code="declined")


class Interrupted(CliFailure):
    def __init__(self, exit_code: int, *, job_id: str = "", status: str = "") -> None:
        super().__init__("interrupted", code="interrupted", job_id=job_id, status=status)
        self.exit_code = exit_code


class Terminated(BaseException):
    """SIGTERM. Like KeyboardInterrupt no `Exception`, so that nothing swallows it."""

"""A redactor that is built at its first use: its rules take longer to compile than most requests take."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rune_common.domain.redaction import Redactor


class LazyRedactor:
    """What `Redactor()` is, for processes of which most never redact anything."""

    @cached_property
    def _redactor(self) -> Redactor:
        from rune_common.domain.redaction import Redactor

        return Redactor()

    def value(self, value: Any) -> tuple[Any, list[Any]]:
        redacted, found = self._redactor.value(value)
        return redacted, list(found)

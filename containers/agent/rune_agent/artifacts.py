"""Files of an investigation, written by the supervisor into the caller's folder (holmes-driver.md 2.5)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rune_common.domain.redaction import Redactor

LARGE_OUTPUT_BYTES = 32 * 1024
MAX_TOOL_FILES = 100


@dataclass(slots=True)
class ArtifactFolder:
    """`folder` None: nothing is written. No name comes from the model; content is redacted."""

    folder: Path | None
    redactor: Redactor = field(default_factory=Redactor)
    written: list[dict[str, Any]] = field(default_factory=list)
    _tool_files: int = 0

    def tool_output(self, data: dict[str, Any]) -> None:
        """Keep the output of a tool result event when it is large."""
        text = (data.get("result") or {}).get("data")
        if not isinstance(text, str) or len(text.encode("utf-8", "replace")) <= LARGE_OUTPUT_BYTES:
            return
        if self._tool_files < MAX_TOOL_FILES:
            self._tool_files += 1
            tool = re.sub(r"[^a-z0-9_-]", "", str(data.get("tool_name")).lower())[:40]
            self._write(f"tool-{self._tool_files:03d}-{tool}.txt", "other", "text/plain", text)

    def conversation(self, messages: list[dict[str, Any]]) -> None:
        kept = [{k: v for k, v in message.items() if k != "token_count"} for message in messages]
        for message in kept:
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                message["tool_calls"] = [{k: v for k, v in c.items() if k != "approval_token"} for c in calls]
        redacted = self.redactor.value(kept)[0]
        self._write(
            "conversation.json", "other", "application/json", json.dumps(redacted, ensure_ascii=False)
        )

    def log(self, text: str) -> None:
        if text:
            self._write("driver.log", "log", "text/plain", text)

    def _write(self, name: str, kind: str, media_type: str, text: str) -> None:
        if self.folder is None:
            return
        body = self.redactor.text(text)[0].encode("utf-8", errors="replace")
        path = self.folder / name
        # A link laid here by somebody else is not followed.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                file.write(body)
        except OSError as exc:
            # The answer is worth more than its attachments.
            sys.stderr.write(f"artifact {name} not written: {exc.strerror}\n")
            return
        self.written.append(
            {
                "name": name,
                "kind": kind,
                "media_type": media_type,
                "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "path": str(path),
            }
        )

"""Texts from elsewhere made fit for a terminal, and the small formats that several displays share."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TextIO
from urllib.parse import urlsplit, urlunsplit

# Every control character but newline and tab: an answer must not be able to steer the terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    return CONTROL.sub("", text.replace("\r\n", "\n"))


def write_bytes(stream: TextIO, data: bytes) -> None:
    """What somebody else's program printed: as it is into a file or pipe, without control characters on a terminal."""
    raw = getattr(stream, "buffer", None)
    if raw is None or stream.isatty():
        stream.write(plain(data.decode(errors="replace")))
        stream.flush()
        return
    stream.flush()
    raw.write(data)
    raw.flush()


def one_line(text: str, limit: int = 160) -> str:
    """`text` without line breaks, cut with an ellipsis at `limit` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def seconds(value: float) -> str:
    """`4.2 s`, `1 min 04 s`."""
    return f"{value:.1f} s" if value < 60 else f"{int(value) // 60} min {int(value) % 60:02d} s"


def milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def dollars(value: float) -> str:
    """At most six decimals, at least two: `$0.0123`, `$1.50`."""
    whole, _, decimals = f"{value:.6f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def moment(epoch: float | None) -> str:
    return "" if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def without_credentials(url: str) -> str:
    """The address without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url

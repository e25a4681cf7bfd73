"""How output becomes chunks, redacted and within the limits (runs-api.md 3.4, 5.4)."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.events import EventDraft
from rune_common.domain.output_chunks import MAX_CHUNK_BYTES, MAX_ESCAPED_BYTES, Chunk, Chunker, escaped_size
from rune_common.domain.redaction import Redactor
from rune_common.usecases.command_output import LOG_ENDS, CommandOutput

PIECES = st.lists(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    | st.sampled_from(
        [b"\x01" * 9000, b"a" * 20_000, "é🦀".encode() * 4000, b"\xf0\x9f", b"\xa6\x80", b"\xff"]
    ),
    max_size=12,
)


def plain(chunk: Chunk) -> bytes:
    return chunk.data.encode() if chunk.encoding == "utf8" else base64.b64decode(chunk.data)


@given(PIECES, st.lists(st.booleans(), min_size=12, max_size=12))
def test_the_joined_chunks_are_the_bytes_whenever_they_are_flushed(
    pieces: list[bytes], flushes: list[bool]
) -> None:
    chunker, found = Chunker(), []
    for piece, flush in zip(pieces, flushes, strict=False):
        found += chunker.feed(piece)
        found += chunker.flush() if flush else []
        assert chunker.held < MAX_CHUNK_BYTES
        assert not flush or chunker.held < 4
    found += chunker.close()
    assert b"".join(map(plain, found)) == b"".join(pieces)
    for chunk in found:
        assert 0 < chunk.size_bytes == len(plain(chunk)) <= MAX_CHUNK_BYTES
        assert chunk.encoding == "base64" or escaped_size(chunk.data) <= MAX_ESCAPED_BYTES


@given(st.text(min_size=1, max_size=3_000), st.data())
def test_text_stays_text_however_it_is_cut(text: str, data: st.DataObject) -> None:
    raw = text.encode("utf-8", "replace")
    chunker, found, rest = Chunker(), [], raw
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += [*chunker.feed(rest[:size]), *chunker.flush()]
        rest = rest[size:]
    found += chunker.close()
    assert "".join(chunk.data for chunk in found if chunk.encoding == "utf8") == raw.decode()


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def joined(drafts: list[EventDraft], stream: str) -> bytes:
    found = b""
    for draft in drafts:
        payload = draft.payload
        if payload["stream"] == stream:
            assert payload["offset"] == len(found)
            found += plain(Chunk(payload["encoding"], payload["data"], payload["bytes"]))
    return found


def test_output_is_due_200_ms_after_it_came(tmp_path: Path) -> None:
    seconds = Seconds()
    output = CommandOutput("main", Redactor(), tmp_path, clock=seconds)
    assert not output.due
    output.feed("stdout", b"a line\n")
    seconds.now = 0.19
    assert not output.due
    seconds.now = 0.21
    assert output.due
    assert joined(output.take(), "stdout") == b"a line\n"
    assert not output.due
    output.discard()


def test_both_streams_share_one_count_and_have_offsets_of_their_own(tmp_path: Path) -> None:
    output = CommandOutput("main", Redactor(), tmp_path, first_seq=5, clock=Seconds())
    drafts: list[EventDraft] = []
    for stream, data in (("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")):
        output.feed(stream, data)
        drafts += output.take()
    drafts += output.close()
    assert [draft.payload["terminal_seq"] for draft in drafts] == [5, 6, 7]
    assert joined(drafts, "stdout") == b"one\nthree\n"
    assert output.digests()["stdout_sha256"] == hashlib.sha256(b"one\nthree\n").hexdigest()
    assert output.digests()["stderr_bytes"] == 4
    output.discard()


def test_past_its_limit_output_goes_to_the_file_only_and_a_chunk_says_so(tmp_path: Path) -> None:
    output = CommandOutput(
        "main", Redactor(), tmp_path, clock=Seconds(), max_logged=20_000, max_stream=50_000
    )
    drafts: list[EventDraft] = []
    for _ in range(10):
        output.feed("stdout", b"x" * 9_999 + b"\n")
        drafts += output.take()
    drafts += output.close()
    assert len(joined(drafts, "stdout")) <= 20_000
    assert joined(drafts, "system") == LOG_ENDS
    assert drafts[-1].payload["stream"] == "system"
    whole = (b"x" * 9_999 + b"\n") * 5
    (stream, file), _ = output.files()
    assert file.read() == whole
    assert (stream.size_bytes, stream.sha256) == (50_000, hashlib.sha256(whole).hexdigest())
    output.discard()


def test_a_secret_in_two_pieces_is_removed_and_counted_once(tmp_path: Path) -> None:
    token = b"ghp_" + b"a1B2" * 9
    for cut in range(len(token)):
        output = CommandOutput("main", Redactor(), tmp_path, clock=Seconds())
        output.feed("stdout", b"see " + token[:cut])
        drafts = output.take()
        output.feed("stdout", token[cut:] + b" there\n")
        drafts += output.take() + output.close()
        assert joined(drafts, "stdout") == b"see [REDACTED:github_token] there\n"
        assert [(each.rule, each.count) for draft in drafts for each in draft.redactions] == [
            ("github_token", 1)
        ]
        output.discard()


def test_chunks_are_not_looked_at_again_by_themselves(tmp_path: Path) -> None:
    """A piece may look like a secret where the whole does not: redacting it again would break the digest."""
    output = CommandOutput("main", Redactor(), tmp_path, clock=Seconds())
    output.feed("stdout", b"x" * MAX_CHUNK_BYTES + b"AKIA" + b"Z" * 16 + b"\n")
    drafts = output.close()
    assert all(draft.redacted for draft in drafts)
    assert joined(drafts, "stdout").endswith(b"AKIA" + b"Z" * 16 + b"\n")
    output.discard()

"""Ways to tamper with a bundle, each with the mismatch types that it must be found by."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.evidence_runs import OTHER_SIGNER, SIGNER, Recorded, full_run

from rune_common.domain.canonical import canonical_json
from rune_common.domain.evidence.dsse import sign_envelope
from rune_common.domain.evidence.spool import member
from rune_common.domain.evidence.zip_format import Entry, directory, local_header
from rune_common.domain.evidence.zip_reader import read_zip
from rune_common.domain.evidence.zip_writer import write_zip

Files = dict[str, bytes]
PROJECTIONS = (
    "approvals.json", "findings.jsonl", "findings.sarif", "findings_summary.json", "gates.json",
    "integrity.json", "redaction.json", "request.json", "run.json", "usage.json",
    "terminal/main.stdout.log",
)  # fmt: skip
TIMELINE, MANIFEST, ENVELOPE, CHECKPOINT = (
    "timeline.ndjson",
    "manifest.json",
    "manifest.dsse.json",
    "checkpoint.txt",
)


def unpack(bundle: bytes) -> Files:
    contents = read_zip(io.BytesIO(bundle))
    return {name: b"".join(contents.chunks(name)) for name in contents.entries}


def pack(files: Files) -> bytes:
    out = io.BytesIO()
    write_zip([member(name, content) for name, content in files.items()], out)
    return out.getvalue()


@dataclass(frozen=True)
class Mutation:
    """`expected`: every one of these types must be reported; `among`: or at least one of these."""

    name: str
    bundle: bytes
    expected: frozenset[str] = frozenset()
    among: frozenset[str] = frozenset()


def flip(content: bytes, dice: random.Random, start: int = 0, stop: int | None = None) -> bytes:
    at = dice.randrange(start, len(content) if stop is None else stop)
    changed = bytearray(content)
    changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed)


class Mutations:
    """Mutations of one run's bundle; `dice` decides everything."""

    def __init__(self, run: Recorded, dice: random.Random) -> None:
        self.dice = dice
        self.bundle = run.build()[0]
        self.files = unpack(self.bundle)
        self.artifact = next(name for name in self.files if name.endswith("/report.md"))
        self.foreign = unpack(full_run(run_id="run-2", seed=dice.randrange(1 << 30)).build()[0])

    def any(self) -> Mutation:
        kind: Callable[[], Mutation] = self.dice.choice(
            [
                *[self.flip_anywhere] * 4,
                *[self.flip_in_file] * 4,
                self.flip_line,
                self.drop_file,
                self.add_file,
                self.swap_files,
                self.drop_line,
                self.swap_lines,
                self.double_line,
                self.cut_tail,
                self.foreign_timeline,
                self.edit_projection,
                self.reproject,
                self.change_artifact,
                self.resign_all,
                self.resign_manifest,
                self.resign_note,
                self.foreign_manifest,
                self.reorder,
            ]  # fmt: skip
        )
        return kind()

    def flip_anywhere(self) -> Mutation:
        """A bit of the zip, be it of a file or of what holds the files together."""
        return Mutation("flip_anywhere", flip(self.bundle, self.dice))

    def flip_in_file(self) -> Mutation:
        name = self.dice.choice(sorted(self.files))
        found = self.changed({name: flip(self.files[name], self.dice)})
        if name == MANIFEST:
            return Mutation("flip manifest", found, frozenset({"file_sha_mismatch"}))
        if name == ENVELOPE:
            among = frozenset({"format_invalid", "manifest_signature_invalid", "key_unknown"})
            return Mutation("flip envelope", found, among=among)
        return Mutation(f"flip {name}", found, frozenset({"file_sha_mismatch"}))

    def flip_line(self) -> Mutation:
        content = self.files[TIMELINE]
        changed = flip(content, self.dice)
        among = frozenset(
            {"chain_break", "format_invalid", "run_id_mismatch", "sequence_gap", "genesis_mismatch"}
        )
        return Mutation(
            "flip line", self.changed({TIMELINE: changed}), frozenset({"file_sha_mismatch"}), among
        )

    def drop_file(self) -> Mutation:
        name = self.dice.choice(sorted(self.files))
        kind = {"file_missing"} | ({"artifact_missing"} if name == self.artifact else set())
        left = {each: content for each, content in self.files.items() if each != name}
        return Mutation(f"drop {name}", pack(left), frozenset(kind))

    def add_file(self) -> Mutation:
        name = self.dice.choice(["extra.txt", "artifacts/a_0/x", "terminal/other.stdout.log"])
        return Mutation("add", self.changed({name: b"new\n"}), frozenset({"file_unexpected"}))

    def swap_files(self) -> Mutation:
        first, second = self.dice.sample(sorted(self.files.keys() - {MANIFEST, ENVELOPE}), 2)
        swapped = {first: self.files[second], second: self.files[first]}
        return Mutation("swap files", self.changed(swapped), frozenset({"file_sha_mismatch"}))

    def drop_line(self) -> Mutation:
        lines = self.lines()
        del lines[self.dice.randrange(len(lines) - 1)]
        return self.timeline("drop line", lines, "sequence_gap", "count_mismatch", "root_mismatch")

    def swap_lines(self) -> Mutation:
        lines = self.lines()
        at = self.dice.randrange(len(lines) - 1)
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        return self.timeline("swap lines", lines, "sequence_gap", "root_mismatch")

    def double_line(self) -> Mutation:
        lines = self.lines()
        at = self.dice.randrange(len(lines))
        lines.insert(at, lines[at])
        return self.timeline("double line", lines, "sequence_gap", "count_mismatch")

    def cut_tail(self) -> Mutation:
        lines = self.lines()
        kept = lines[: self.dice.randrange(1, len(lines))]
        return self.timeline(
            "cut tail", kept, "terminal_missing", "count_mismatch", "root_mismatch", "head_mismatch"
        )

    def foreign_timeline(self) -> Mutation:
        changed = self.changed({TIMELINE: self.foreign[TIMELINE]})
        return Mutation(
            "foreign", changed, frozenset({"genesis_mismatch", "run_id_mismatch", "root_mismatch"})
        )

    def edit_projection(self) -> Mutation:
        name = self.dice.choice(PROJECTIONS)
        expected = frozenset({"file_sha_mismatch", "projection_mismatch"})
        return Mutation(f"edit {name}", self.changed({name: self.files[name] + b" "}), expected)

    def reproject(self) -> Mutation:
        """A projection that is changed by whoever holds the key: the manifest agrees, the timeline does not."""
        name = self.dice.choice(sorted({*PROJECTIONS} - {"integrity.json"}))
        return Mutation(f"reproject {name}", self.resigned({name: flip(self.files[name], self.dice)}),
                        frozenset({"projection_mismatch"}))  # fmt: skip

    def change_artifact(self) -> Mutation:
        content = flip(self.files[self.artifact], self.dice)
        return Mutation(
            "artifact", self.resigned({self.artifact: content}), frozenset({"artifact_sha_mismatch"})
        )

    def resign_all(self) -> Mutation:
        run = full_run(seed=self.dice.randrange(1 << 30))
        return Mutation("resign all", run.build(OTHER_SIGNER)[0], frozenset({"key_unknown"}))

    def resign_manifest(self) -> Mutation:
        """Another key's signature under this key's id."""
        made = sign_envelope(self.files[MANIFEST], OTHER_SIGNER)
        document = json.loads(made.body)
        document["signatures"][0]["keyid"] = SIGNER.key.key_id
        changed = self.changed({ENVELOPE: canonical_json(document) + b"\n"})
        return Mutation("resign manifest", changed, frozenset({"manifest_signature_invalid"}))

    def resign_note(self) -> Mutation:
        body, _, _ = self.files[CHECKPOINT].decode().partition("\n\n")
        signature = OTHER_SIGNER.sign(f"{body}\n".encode())
        line = base64.b64encode(SIGNER.key.note_hash + signature).decode()
        note = f"{body}\n\n— {SIGNER.key.name} {line}\n".encode()
        return Mutation(
            "resign note", self.resigned({CHECKPOINT: note}), frozenset({"checkpoint_signature_invalid"})
        )

    def foreign_manifest(self) -> Mutation:
        """Both manifest files of another run, rightly signed."""
        taken = {name: self.foreign[name] for name in (MANIFEST, ENVELOPE)}
        return Mutation("foreign manifest", self.changed(taken), frozenset({"file_sha_mismatch"}))

    def reorder(self) -> Mutation:
        """The same files in another order."""
        contents = read_zip(io.BytesIO(self.bundle))
        entries = list(contents.entries.values())
        at = self.dice.randrange(len(entries) - 1)
        entries[at], entries[at + 1] = entries[at + 1], entries[at]
        return Mutation(
            "reorder",
            _in_order([(e.name, self.files[e.name]) for e in entries]),
            frozenset({"format_invalid"}),
        )

    def changed(self, changes: Files) -> bytes:
        return pack(self.files | changes)

    def resigned(self, changes: Files) -> bytes:
        """With a manifest that names the changed files, signed by the right key."""
        files = self.files | changes
        statement = json.loads(files[MANIFEST])
        for subject in statement["subject"]:
            subject["digest"]["sha256"] = member("", files[subject["name"]]).digest.sha256
        manifest = canonical_json(statement) + b"\n"
        return pack(files | {MANIFEST: manifest, ENVELOPE: sign_envelope(manifest, SIGNER).body})

    def lines(self) -> list[bytes]:
        return self.files[TIMELINE].splitlines(keepends=True)

    def timeline(self, name: str, lines: list[bytes], *expected: str) -> Mutation:
        return Mutation(name, self.changed({TIMELINE: b"".join(lines)}), frozenset(expected))


def _in_order(files: list[tuple[str, bytes]]) -> bytes:
    out, entries, offset = b"", [], 0
    for name, content in files:
        entry = Entry(name, len(content), member(name, content).digest.crc32, offset)
        out += local_header(entry) + content
        entries.append(entry)
        offset = entry.end
    return out + directory(entries)

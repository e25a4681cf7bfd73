"""`instances.jsonl`: what this machine's command line has rented, and what that has cost (jobs-api.md 15).

Lines are only added, one JSON object each: `create` before an instance is asked for, `created` with its
contract, `kept` with the end of its lease, `ended` once it was seen gone; `reserved` and `settled` are the
money of a day. A process that was killed leaves lines that say what may still cost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from rune_common.domain.errors import SpendLimitExceeded
from rune_common.domain.labels import parse_label


@dataclass(frozen=True, slots=True)
class Booked:
    """One instance. Times in epoch ms, `dph` in $/h; `contract_id` "" while nobody knows whether it exists.

    `session` names the process that rented it; `kept_until` is the end of its lease.
    """

    label: str
    offer_id: int
    dph: float
    asked_at: int
    session: str
    contract_id: str = ""
    kept_until: int | None = None

    @property
    def job_id(self) -> str:
        label = parse_label(self.label)
        return label.job_id if label else ""

    def kept(self, now_ms: int) -> bool:
        return self.kept_until is not None and now_ms < self.kept_until


@dataclass(slots=True)
class _Pages:
    """The file as it is now. `held` is money set aside, by day and reservation; `spent` is all of a day's."""

    open: dict[str, Booked]
    held: dict[tuple[str, str], int]
    spent: dict[str, int]


class InstanceBook:
    """One file for all processes of a user; also their spend ledger (jobs-api.md 7.3), for every tenant one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, booked: Booked) -> None:
        """Raises OSError: an instance that cannot be written down is not to be rented."""
        facts = {"offer_id": booked.offer_id, "dph": booked.dph, "session": booked.session}
        self._add("create", label=booked.label, at=booked.asked_at, **facts)

    def created(self, label: str, contract_id: str) -> None:
        self._add("created", label=label, contract_id=contract_id)

    def kept(self, label: str, until_ms: int) -> None:
        self._add("kept", label=label, until=until_ms)

    def ended(self, label: str) -> None:
        self._add("ended", label=label)

    def open(self) -> list[Booked]:
        """What may still cost something, oldest first."""
        with self._locked() as file:
            return list(_read(file).open.values())

    def reserve(self, tenant: str, job_id: str, amount_micro_usd: int, day: str, limit: int) -> None:
        """Raises SpendLimitExceeded; then nothing has changed."""
        with self._locked() as file:
            pages = _read(file)
            held = pages.held.get((day, job_id), 0)
            if pages.spent.get(day, 0) + amount_micro_usd - held > limit:
                raise SpendLimitExceeded
            _write(file, "reserved", job_id=job_id, day=day, micro_usd=amount_micro_usd)

    def settle(self, tenant: str, job_id: str, actual_micro_usd: int, day: str) -> None:
        with self._locked() as file:
            if (day, job_id) in _read(file).held:
                _write(file, "settled", job_id=job_id, day=day, micro_usd=actual_micro_usd)

    def spent(self, tenant: str, day: str) -> int:
        with self._locked() as file:
            return _read(file).spent.get(day, 0)

    def settle_run(self, run_id: str, actual_micro_usd: int) -> None:
        """Settle what a run has set aside and nobody settled: all that it cost is known now."""
        with self._locked() as file:
            left = actual_micro_usd
            for day, name in _read(file).held:
                if name.partition("/")[0] == run_id:
                    _write(file, "settled", job_id=name, day=day, micro_usd=left)
                    left = 0

    def _add(self, event: str, **facts: Any) -> None:
        with self._locked() as file:
            _write(file, event, **facts)

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        """The file for this process alone, readable from its start."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _write(file: IO[str], event: str, **facts: Any) -> None:
    """On the disk before anything else happens. After a half-written line a new one is begun."""
    file.seek(0)
    text = file.read()
    torn = bool(text) and not text.endswith("\n")
    file.write(("\n" if torn else "") + json.dumps({"event": event, **facts}) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _read(file: IO[str]) -> _Pages:
    file.seek(0)
    pages = _Pages({}, {}, {})
    for line in file:
        try:
            _apply(pages, json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue  # a process that was killed while it wrote
    return pages


def _apply(pages: _Pages, line: dict[str, Any]) -> None:
    match line["event"]:
        case "create":
            pages.open[line["label"]] = Booked(
                line["label"],
                int(line["offer_id"]),
                float(line["dph"]),
                int(line["at"]),
                str(line["session"]),
            )
        case "created":
            known = pages.open[line["label"]]
            pages.open[known.label] = replace(known, contract_id=str(line["contract_id"]))
        case "kept":
            known = pages.open[line["label"]]
            pages.open[known.label] = replace(known, kept_until=int(line["until"]))
        case "ended":
            pages.open.pop(line["label"], None)
        case "reserved":
            place = (line["day"], line["job_id"])
            before = pages.held.get(place, 0)
            pages.held[place] = int(line["micro_usd"])
            pages.spent[line["day"]] = pages.spent.get(line["day"], 0) + pages.held[place] - before
        case "settled":
            held = pages.held.pop((line["day"], line["job_id"]))
            pages.spent[line["day"]] += int(line["micro_usd"]) - held

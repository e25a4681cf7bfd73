"""KPI over HTTP (runs-api.md 8; acceptance 27)."""

from __future__ import annotations

import pytest
from tests.unit.kpi_samples import DAY, ended

from rune_common.adapters.memory_daily_rows import MemoryDailyRows
from rune_common.domain.daily_rows import day_of
from rune_common.domain.kpi_rows import SERIES, pack
from rune_common.wiring import Services

PATH = "/api/v1/runtime/kpi"
NOW = "2026-03-01T00:00:00.000Z"


class SevenOpen:
    def open_runs(self, tenant: str) -> int:
        return 7 if tenant == "default" else 0


@pytest.fixture
def rows():
    return MemoryDailyRows()


@pytest.fixture
def asking(build_services, open_client, rows):
    """Opens a client on services with these rows."""

    def opened(**settings):
        services: Services = build_services({"daily_rows": rows, "open_runs": SevenOpen()}, **settings)
        return open_client(services)

    return opened


def keep(rows, at_ms, tenant="default", **fields):
    row = ended(0, **({"ended_at": at_ms} | fields))
    rows.add(tenant, SERIES, day_of(at_ms), row.run_id, pack(row))


async def test_the_windows_end_at_this_minute_by_default(asking, clock, rows):
    keep(rows, clock.now - 2 * 60_000, model="a")
    keep(rows, clock.now - 8 * DAY)
    keep(rows, clock.now - 40 * DAY)
    keep(rows, clock.now - 2 * 60_000, tenant="teamb")
    async with asking() as client:
        found = (await client.get(PATH)).json()
    assert found["as_of"] == "2025-10-09T08:53:00.000Z"
    assert found["windows"]["compare"] == {
        "from": "2025-10-02T08:53:00.000Z",
        "to": "2025-10-09T08:53:00.000Z",
        "days": 7,
    }
    assert found["windows"]["baseline"]["days"] == 28
    first = found["metrics"][0]
    assert (first["key"], first["compare"], first["baseline"]) == ("runs_total", 1, 1)
    assert found["open_runs"] == 7
    assert found["breakdowns"]["by_model"]["a"]["runs_total"] == 1
    assert set(found) == {"as_of", "windows", "metrics", "open_runs", "breakdowns", "definitions_version"}


async def test_empty_parameters_are_the_defaults(asking):
    async with asking() as client:
        plain = (await client.get(PATH)).json()
        empty = await client.get(f"{PATH}?compare_window_days=&baseline_window_days=&as_of=")
        slashed = await client.get(f"{PATH}/")
    assert (empty.status_code, empty.json()) == (200, plain)
    assert (slashed.status_code, slashed.json()) == (200, plain)


async def test_a_fixed_moment_gives_the_same_answer_later(asking, clock, rows):
    moment = clock.now - DAY
    keep(rows, moment - 1)
    keep(rows, moment)
    query = {"as_of": "2025-10-08T08:53:20Z", "compare_window_days": "1", "baseline_window_days": "365"}
    async with asking() as client:
        before = (await client.get(PATH, params=query)).json()
        clock.advance(3600)
        assert (await client.get(PATH, params=query)).json() == before
        offset = query | {"as_of": "2025-10-08T10:53:20+02:00"}
        assert (await client.get(PATH, params=offset)).json() == before
    assert before["metrics"][0]["compare"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("compare_window_days=0", "compare_window_days"),
        ("compare_window_days=366", "compare_window_days"),
        ("baseline_window_days=366", "baseline_window_days"),
        ("baseline_window_days=seven", "baseline_window_days"),
        ("baseline_window_days=7.5", "baseline_window_days"),
        ("compare_window_days=%2B7", "compare_window_days"),
        ("compare_window_days=99999999999999999999", "compare_window_days"),
        ("as_of=yesterday", "as_of"),
        ("as_of=0001-01-01", "as_of"),
        ("as_of=9999-12-31T23:59:59%2B14:00", "as_of"),
        ("as_of=2025-10-09T08:53:21Z", "as_of"),
    ],
)
async def test_what_does_not_fit_is_named(asking, query, field):
    async with asking() as client:
        answer = await client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert [each["path"] for each in answer.json()["error"]["details"]["fields"]] == [field]


async def test_submitted_values_are_never_repeated(asking):
    async with asking() as client:
        answer = await client.get(f"{PATH}?compare_window_days=seven&as_of=yesterday")
    assert len(answer.json()["error"]["details"]["fields"]) == 2
    assert "seven" not in answer.text
    assert "yesterday" not in answer.text


async def test_without_the_scope_there_is_no_kpi(asking, build_services, open_client):
    services = build_services(api_token_policies="default:runs:read")
    async with open_client(services) as client:
        assert (await client.get(PATH)).status_code == 403

"""What the tests of the Runtime Runs API over HTTP share."""

from __future__ import annotations

PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")
EXTERNAL = {
    "mode": "edit_gated",
    "runtime_profile": "cli_local",
    "repo": "demo",
    "ref": "main",
    "orchestrator_model": "Jules",
    "subagent_model": "deterministic",
    "budget": {"max_cost_usd": 2.5, "max_runtime_minutes": 10},
    "max_iterations": 1,
}


def draft(key, type_="run_progress", **members):
    return {"producer_key": key, "type": type_, "payload": {"summary": f"about {key}"}, **members}


async def log(client, run_id, **query):
    """Every stored line, read in pages."""
    lines, after = [], None
    while True:
        params = {**query, **({"after_event_id": after} if after else {})}
        page = (await client.get(f"/api/v1/runs/{run_id}/events/list", params=params)).json()
        lines += page["events"]
        after = page["next_after_event_id"]
        if not page["has_more"]:
            return lines

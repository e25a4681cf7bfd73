"""From a query string to a catalog query (runs-api.md 10). An empty parameter is one that was not given."""

from __future__ import annotations

import math
from typing import Annotated, cast, get_args

from fastapi import Depends, Header, Query

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.models_offered import Role
from rune_common.usecases.list_model_catalog import CatalogQuery

MOST_CAPABILITIES = 20
_ROLES = get_args(Role)
_FLAGS = {"": False, "true": True, "1": True, "false": False, "0": False}


async def catalog_query(
    role: Annotated[str, Query(description=f"{', '.join(_ROLES)}; any")] = "",
    capability: Annotated[str, Query(description="comma list; all of them are needed")] = "",
    include_unavailable: Annotated[str, Query(description="true or false; false")] = "",
    budget_usd: Annotated[str, Query(description="what 10 000 input and 1 000 output tokens may cost")] = "",
) -> CatalogQuery:
    """Raises InvalidRequest naming every parameter that does not fit."""
    capabilities = tuple(sorted({each.strip() for each in capability.split(",") if each.strip()}))
    flag, budget = _FLAGS.get(include_unavailable.lower()), _dollars(budget_usd)
    found = [
        (role in ("", *_ROLES), FieldProblem("role", "unknown", f"must be one of {', '.join(_ROLES)}")),
        (
            len(capabilities) <= MOST_CAPABILITIES,
            FieldProblem("capability", "too_long", f"must have at most {MOST_CAPABILITIES} items"),
        ),
        (flag is not None, FieldProblem("include_unavailable", "type", "must be true or false")),
        (
            not budget_usd or budget is not None,
            FieldProblem("budget_usd", "type", "must be a number from 0 up"),
        ),
    ]
    if problems := [problem for fits, problem in found if not fits]:
        raise InvalidRequest(*problems)
    return CatalogQuery(cast(Role, role or "any"), capabilities, bool(flag), budget)


async def known_tags(if_none_match: Annotated[str, Header()] = "") -> frozenset[str]:
    """The entity tags that the caller has, compared weakly (RFC 9110 13.1.2)."""
    return frozenset(tag.strip().removeprefix("W/") for tag in if_none_match.split(","))


AskedCatalog = Annotated[CatalogQuery, Depends(catalog_query)]
KnownTags = Annotated[frozenset[str], Depends(known_tags)]


def _dollars(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None

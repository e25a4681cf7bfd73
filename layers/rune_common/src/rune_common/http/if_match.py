"""`If-Match`: change only what the caller has last read (jobs-api.md 12, RFC 9110 13.1.1)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header

from rune_common.usecases.change_settings import EntityTags


async def entity_tags(if_match: Annotated[str | None, Header()] = None) -> EntityTags:
    """The tags of the header; None without it, and for `*`, which any version matches.

    A weak tag matches nothing: this comparison is strong.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    return tuple(tag.strip() for tag in if_match.split(","))


IfMatch = Annotated[EntityTags, Depends(entity_tags)]

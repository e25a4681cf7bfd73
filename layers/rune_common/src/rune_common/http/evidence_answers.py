"""Evidence over HTTP: the query, entity tags, and files that are sent as they are read (runs-api.md 7.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import urlencode

from fastapi import Depends, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.domain.access import Principal
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.evidence.bundle_view import PARTS, SHOWN
from rune_common.http.schemas.evidence import ConsistencyProofView, EvidenceLinkView, InclusionProofView
from rune_common.usecases.export_evidence import (
    INLINE_BYTES,
    MEDIA_TYPES,
    Evidence,
    EvidenceQuery,
    Format,
    export_evidence,
)
from rune_common.usecases.prove_evidence import prove_consistency, prove_inclusion
from rune_common.wiring import Services

_SEQUENCE = re.compile(r"[0-9]{1,12}", re.ASCII)
_ETAG = re.compile(r'(?:W/)?("[^"]*")')
_TRUTHS = {"": False, "true": True, "1": True, "false": False, "0": False}
_DELIVERIES = ("auto", "inline", "link")


async def evidence_query(
    format: Annotated[str, Query(description="json, zip or dsse")] = "",
    at_sequence: Annotated[str, Query(description="only the events up to this one")] = "",
    include: Annotated[str, Query(description=f"of {', '.join(PARTS)}; json only")] = "",
    require_sealed: Annotated[str, Query(description="refuse evidence that is not final")] = "",
    delivery: Annotated[str, Query(description="auto, inline or link")] = "auto",
    accept: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> EvidenceQuery:
    """Raises InvalidRequest naming every parameter that does not fit."""
    zipped = not format and "application/zip" in accept
    chosen = format or ("zip" if zipped else "json")
    parts = tuple(part.strip() for part in include.split(",") if part.strip())
    fits = {
        "format": chosen in get_args(Format),
        "at_sequence": not at_sequence or _SEQUENCE.fullmatch(at_sequence) is not None,
        "include": set(parts) <= set(PARTS) and (not parts or chosen == "json"),
        "require_sealed": require_sealed in _TRUTHS,
        "delivery": delivery in _DELIVERIES,
    }
    _refuse(name for name, fit in fits.items() if not fit)
    tags = _ETAG.findall(if_none_match)
    return EvidenceQuery(
        format=cast(Format, chosen),
        at_sequence=int(at_sequence) if at_sequence else None,
        include=parts or SHOWN,
        require_sealed=_TRUTHS[require_sealed],
        delivery=cast(Literal["auto", "inline", "link"], delivery),
        known=("*",) if if_none_match.strip() == "*" else tuple(tags),
    )


AskedEvidence = Annotated[EvidenceQuery, Depends(evidence_query)]


def answer_evidence(
    run_id: str, caller: Principal, query: EvidenceQuery, request: Request, services: Services
) -> Response:
    """The evidence in the form that was asked for. Raises what `export_evidence` raises."""
    scratch = ScratchFiles()
    try:
        limit = INLINE_BYTES if services.settings.on_aws else None
        evidence = export_evidence(
            run_id, caller, query, ports=services.evidence_ports(scratch), inline_limit=limit
        )
    except BaseException:
        scratch.close()
        raise
    headers = {"ETag": evidence.etag, "Cache-Control": "private, no-cache"}
    if evidence.unchanged:
        scratch.close()
        return Response(status_code=304, headers=headers)
    if evidence.link is not None:
        scratch.close()
        url = evidence.link or _here(request, evidence, query)
        body = EvidenceLinkView.of(evidence, url).model_dump_json().encode()
        headers |= {"Rune-Evidence-Delivery": "link", "Repr-Digest": _digest(evidence.sha256)}
        return Response(body, media_type="application/json", headers=headers)
    headers |= {
        "Repr-Digest": _digest(evidence.sha256),
        "Content-Disposition": f'attachment; filename="{evidence.filename}"',
        "Content-Length": str(evidence.size),
    }
    return StreamingResponse(
        _sent(evidence, scratch), media_type=MEDIA_TYPES[evidence.format], headers=headers
    )


def answer_proof(
    run_id: str, caller: Principal, given: Mapping[str, str], services: Services
) -> InclusionProofView | ConsistencyProofView:
    """Of inclusion with `sequence`, of consistency with `from_size` and `to_size`. Raises InvalidRequest."""
    _refuse(name for name, text in given.items() if text and not _SEQUENCE.fullmatch(text))
    numbers: dict[str, int] = {name: int(text) for name, text in given.items() if text}
    with ScratchFiles() as scratch:
        ports = services.evidence_ports(scratch)
        if "sequence" in numbers and not {"from_size", "to_size"} & numbers.keys():
            at_sequence = numbers.get("at_sequence")
            return InclusionProofView.of(
                prove_inclusion(run_id, caller, numbers["sequence"], at_sequence=at_sequence, ports=ports)
            )
        if numbers.keys() == {"from_size", "to_size"}:
            return ConsistencyProofView.of(
                prove_consistency(run_id, caller, numbers["from_size"], numbers["to_size"], ports=ports)
            )
    raise InvalidRequest(FieldProblem("sequence", "missing", "or from_size and to_size are required"))


def _refuse(names: Iterator[str]) -> None:
    problems = [FieldProblem(name, "invalid", "has a value that does not fit") for name in names]
    if problems:
        raise InvalidRequest(*problems)


def _sent(evidence: Evidence, scratch: ScratchFiles) -> Iterator[bytes]:
    with scratch:
        yield from evidence.chunks


def _here(request: Request, evidence: Evidence, query: EvidenceQuery) -> str:
    """The same evidence at this server, for a store of blobs without addresses of its own."""
    wanted: dict[str, Any] = {
        "format": evidence.format,
        "at_sequence": evidence.checked.at_sequence,
        "delivery": "inline",
    }
    if evidence.format == "json":
        wanted["include"] = ",".join(query.include)
    place = f"{request.base_url}api/v1/runs/{evidence.checked.run_id}/evidence"
    return f"{place}?{urlencode(wanted)}"


def _digest(sha256: str) -> str:
    """RFC 9530's form."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"

"""DSSE v1 envelopes (runs-api.md 7.4; github.com/secure-systems-lab/dsse)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from rune_common.domain.canonical import canonical_json
from rune_common.domain.evidence.keys import Signer

PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One payload, one signature over its pre-authentication encoding."""

    payload: bytes
    keyid: str
    signature: bytes

    @property
    def body(self) -> bytes:
        """The file: RFC 8785 and a line feed."""
        signature = {"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}
        payload = base64.b64encode(self.payload).decode()
        document = {"payload": payload, "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
        return canonical_json(document) + b"\n"


def pre_authentication_encoding(payload: bytes) -> bytes:
    """`DSSEv1 <type's length> <type> <payload's length> <payload>`: what is signed."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def sign_envelope(payload: bytes, signer: Signer) -> Envelope:
    return Envelope(payload, signer.key.key_id, signer.sign(pre_authentication_encoding(payload)))


def parse_envelope(body: bytes) -> Envelope:
    """Raises ValueError for everything that `Envelope.body` does not write."""
    try:
        document = json.loads(body)
        (signature,) = document["signatures"]
        payload, encoded, keyid = document["payload"], signature["sig"], signature["keyid"]
        found = Envelope(
            base64.b64decode(payload, validate=True), str(keyid), base64.b64decode(encoded, validate=True)
        )
    except (KeyError, TypeError, RecursionError, binascii.Error) as exc:
        raise ValueError("not a DSSE envelope with one signature") from exc
    if found.body != body:
        raise ValueError("the envelope is not in its canonical form")
    return found

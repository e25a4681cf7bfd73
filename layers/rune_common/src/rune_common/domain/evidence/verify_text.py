"""`VERIFY.md`: how a bundle is checked without trusting whoever handed it over (runs-api.md 7.2)."""

from __future__ import annotations

VERIFY_MD = """\
# Checking this evidence

This folder or zip is the record of one run. Its signatures cover every file but `manifest.json` and
`manifest.dsse.json`, which carry them.

With Rune installed, offline:

    rune evidence verify BUNDLE.zip --verifier-key '<the key that the service published to you>'

It exits with 0 when everything matches, 1 when something does not, 2 when the bundle cannot be read, and 3 when
everything matches but no trusted key was given. Take the key from `GET /api/v1/runtime/evidence-keys` of the service
itself, never from this bundle.

With other tools:

1. `unzip -t BUNDLE.zip` finds damaged entries; `sha256sum -c timeline.sha256` checks the log.
2. `manifest.json` is an in-toto Statement that names every other file with its SHA-256. `manifest.dsse.json` is a DSSE
   v1 envelope over exactly these bytes (type `application/vnd.in-toto+json`), signed with Ed25519.
3. `checkpoint.txt` is a C2SP signed note: origin, number of events, Merkle root (base64).
4. `timeline.ndjson` holds one event per line, in RFC 8785 form, in order. For each event:
   - `entry` is the line's RFC 8785 form without the members `prev_hash` and `hash`;
   - `leaf = SHA-256(0x00 || entry)`, the leaf hash of RFC 6962;
   - `hash = SHA-256(0x02 || prev_hash || leaf)`;
   - the first `prev_hash` is SHA-256("rune/runs/v1" || 0x00 || tenant || 0x00 || run id), every other one is the
     `hash` of the line before.
   The Merkle root is that of RFC 6962 over all leaves.
5. An artifact's SHA-256 is in its `artifact_added` event. Every other file follows from the timeline alone.
"""

"""The local stack's blobs and keys: private files that survive and cannot be led astray."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rune_common.adapters.files import KEY_BYTES, FileBlobStore, KeyFileSealer, read_or_make_key
from rune_common.domain.errors import BlobNotFound, Unavailable

CONTEXT = "default/r1"


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobStore:
    return FileBlobStore(tmp_path / "blobs")


def test_a_blob_is_read_as_it_was_written_and_is_private(blobs: FileBlobStore, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    blobs.put("default/r1/artifacts/a_1", content)
    assert FileBlobStore(tmp_path / "blobs").get("default/r1/artifacts/a_1") == content
    path = tmp_path / "blobs/default/r1/artifacts/a_1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_blob_is_replaced_whole_and_nothing_else_stays(blobs: FileBlobStore, tmp_path: Path) -> None:
    blobs.put("t/a", b"long content")
    blobs.put("t/a", b"short")
    assert blobs.get("t/a") == b"short"
    assert [path.name for path in (tmp_path / "blobs/t").iterdir()] == ["a"]


def test_a_reader_never_sees_half_a_blob(blobs: FileBlobStore) -> None:
    contents = [bytes([n]) * 200_000 for n in range(4)]
    blobs.put("t/a", contents[0])
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(blobs.put, "t/a", content) for content in contents * 5]
        seen = {blobs.get("t/a") for _ in range(50)}
        for write in writes:
            write.result()
    assert seen <= set(contents)


def test_a_missing_blob_is_told_and_deleting_it_is_no_error(blobs: FileBlobStore) -> None:
    with pytest.raises(BlobNotFound):
        blobs.get("t/none")
    blobs.put("t/a", b"x")
    blobs.delete("t/a")
    blobs.delete("t/a")
    with pytest.raises(BlobNotFound):
        blobs.get("t/a")


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../outside", "t/../../outside", "t//a", "t/./a", "t/a\0b", "t/"]
)
def test_a_key_cannot_lead_out_of_the_folder(blobs: FileBlobStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "outside").write_text("not yours")
    for call in (blobs.get, blobs.delete, lambda name: blobs.put(name, b"x")):
        with pytest.raises(BlobNotFound):
            call(key)
    assert (tmp_path / "outside").read_text() == "not yours"


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable):
        FileBlobStore(tmp_path / "file").put("t/a", b"x")


def test_what_was_sealed_is_opened_by_the_same_key_and_context(tmp_path: Path) -> None:
    path = tmp_path / "keys/requests.key"
    sealed = KeyFileSealer(path).seal(b"kubeconfig", CONTEXT)
    assert b"kubeconfig" not in sealed
    assert KeyFileSealer(path).open(sealed, CONTEXT) == b"kubeconfig"
    assert KeyFileSealer(path).seal(b"kubeconfig", CONTEXT) != sealed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_context_another_key_or_a_changed_byte_opens_nothing(tmp_path: Path) -> None:
    sealer = KeyFileSealer(tmp_path / "a.key")
    sealed = sealer.seal(b"kubeconfig", CONTEXT)
    with pytest.raises(ValueError, match="does not belong here"):
        sealer.open(sealed, "other/r1")
    with pytest.raises(ValueError, match="does not belong here"):
        KeyFileSealer(tmp_path / "b.key").open(sealed, CONTEXT)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="does not belong here"):
            sealer.open(bytes(changed), CONTEXT)


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_value_that_was_cut_off_opens_nothing(tmp_path: Path, length: int) -> None:
    sealer = KeyFileSealer(tmp_path / "a.key")
    with pytest.raises(ValueError, match="does not belong here|Nonce"):
        sealer.open(sealer.seal(b"kubeconfig", CONTEXT)[:length], CONTEXT)


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}" / "key"
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(lambda _, path=path: read_or_make_key(path), range(8)))
        assert len(keys) == 1
        assert len(keys.pop()) == KEY_BYTES
        assert [each.name for each in path.parent.iterdir()] == ["key"]

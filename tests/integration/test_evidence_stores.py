"""Where evidence is kept and what signs it: every store of blobs, the key file and the secret."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto import mock_aws

from rune_common.adapters.aws_storage import S3BlobStore
from rune_common.adapters.evidence_keys import secret_seed
from rune_common.adapters.files import FileBlobStore
from rune_common.adapters.memory import MemoryBlobStore
from rune_common.domain.errors import BlobNotFound, Unavailable
from rune_common.domain.ports import BlobStore
from rune_common.settings import Settings
from rune_common.wiring import wire

REGION = "us-east-1"
LARGE = bytes(range(256)) * 12_000


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def s3(_: Path) -> BlobStore:
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket="blobs")
    return S3BlobStore("blobs", lambda: client)


@pytest.fixture(
    params=[lambda folder: MemoryBlobStore(), lambda folder: FileBlobStore(folder / "blobs"), s3],
    ids=["memory", "files", "s3"],
)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    make: Callable[[Path], BlobStore] = request.param
    return make(tmp_path)


def test_what_is_there_already_stays(blobs: BlobStore) -> None:
    assert blobs.put_new("t/a", b"first")
    assert not blobs.put_new("t/a", b"second")
    assert blobs.get("t/a") == b"first"


def test_of_several_writers_one_is_first(tmp_path: Path) -> None:
    blobs = FileBlobStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: blobs.put_new("t/a", b"%d" % n), range(16)))
    assert won.count(True) == 1
    assert blobs.get("t/a") == b"%d" % won.index(True)
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["a"]


def test_a_file_is_stored_from_its_beginning_and_read_in_parts(blobs: BlobStore) -> None:
    file = io.BytesIO(LARGE)
    file.seek(100)
    blobs.put_file("t/large", file)
    parts = list(blobs.chunks("t/large"))
    assert b"".join(parts) == LARGE
    assert not file.closed
    file.seek(0)
    blobs.put_file("t/large", file)
    assert b"".join(blobs.chunks("t/large")) == LARGE


def test_a_missing_blob_is_told_before_its_first_part(blobs: BlobStore) -> None:
    with pytest.raises(BlobNotFound):
        blobs.chunks("t/none")


def test_only_s3_has_addresses_of_its_own(tmp_path: Path) -> None:
    for store in (MemoryBlobStore(), FileBlobStore(tmp_path)):
        assert store.link("t/a", seconds=900, filename="b.zip") is None
    url = s3(tmp_path).link("t/a", seconds=900, filename="b.zip")
    asked = httpx.URL(url or "").params
    assert asked["response-content-disposition"] == 'attachment; filename="b.zip"'
    assert "t/a" in (url or "")


def test_the_key_file_is_private_and_its_key_survives(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), dynamodb_endpoint="http://127.0.0.1:1")
    first = wire(settings).evidence_keys
    key = first.signer().key
    path = tmp_path / "keys" / "evidence.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert wire(settings).evidence_keys.signer().key == key
    path.unlink()
    rotated = wire(replace(settings, evidence_key_name="rune.next")).evidence_keys
    published = rotated.published()
    assert [each.key.name for each in published] == ["rune.local", "rune.next"]
    assert published[0].key == key
    assert published[0].retired_at is not None
    assert published[1].retired_at is None


def test_the_secret_makes_the_key_and_is_read_once(tmp_path: Path) -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    arn = client.create_secret(Name="evidence", SecretString="a long and random text")["ARN"]
    asked: list[dict[str, Any]] = []

    class Noting:
        def get_secret_value(self, **arguments: Any) -> Any:
            asked.append(arguments)
            return client.get_secret_value(**arguments)

    seed = secret_seed(arn, Noting)
    assert len(seed()) == 32
    assert seed() == seed()
    assert asked == [{"SecretId": arn}]
    with pytest.raises(Unavailable):
        secret_seed("no-such-secret", lambda: client)()

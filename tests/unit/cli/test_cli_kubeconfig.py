from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
import yaml

from rune.cli.configuration import Setting
from rune.cli.failures import CliFailure
from rune.cli.kubeconfig import flatten, kubeconfig_document


def kubeconfig(**user):
    return {
        "current-context": "lab",
        "contexts": [
            {"name": "other", "context": {"cluster": "c2", "user": "u2"}},
            {
                "name": "lab",
                "context": {"cluster": "c1", "user": "u1", "namespace": "shop", "extensions": []},
            },
        ],
        "clusters": [
            {"name": "c2", "cluster": {"server": "https://two.test"}},
            {"name": "c1", "cluster": {"server": "https://one.test", "certificate-authority": "ca.crt"}},
        ],
        "users": [{"name": "u2", "user": {"token": "other-secret"}}, {"name": "u1", "user": user}],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "token").write_text("fresh\n")
    return tmp_path


def flat(folder, document):
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return yaml.safe_load(flatten(path, "config"))


def test_only_the_current_context_is_kept_and_files_are_inlined(folder):
    document = flat(
        folder, kubeconfig(**{"client-certificate": "client.crt", "client-key": str(folder / "client.key")})
    )
    assert document == {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "c1", "user": "u1", "namespace": "shop"}}],
        "clusters": [
            {
                "name": "c1",
                "cluster": {
                    "server": "https://one.test",
                    "certificate-authority-data": base64.b64encode(b"ca.crt").decode(),
                },
            }
        ],
        "users": [
            {
                "name": "u1",
                "user": {
                    "client-certificate-data": base64.b64encode(b"client.crt").decode(),
                    "client-key-data": base64.b64encode(b"client.key").decode(),
                },
            }
        ],
    }


def test_data_that_is_inline_already_wins_over_the_file(folder):
    document = flat(folder, kubeconfig(**{"client-key": "missing.key", "client-key-data": "aGVyZQ=="}))
    assert document["users"][0]["user"] == {"client-key-data": "aGVyZQ=="}


def test_a_token_file_is_read_and_wins_over_a_token(folder):
    document = flat(folder, kubeconfig(tokenFile="token", token="stale"))
    assert document["users"][0]["user"] == {"token": "fresh"}


@pytest.mark.parametrize("kind", ["exec", "auth-provider"])
def test_a_user_that_runs_a_command_is_refused_with_a_way_out(folder, kind):
    with pytest.raises(CliFailure, match=kind) as caught:
        flat(folder, kubeconfig(**{kind: {"command": "aws"}}))
    assert caught.value.exit_code == 1
    assert "kubectl create token" in caught.value.hint


def test_a_command_in_a_context_that_is_not_current_does_not_matter(folder):
    document = kubeconfig(token="t")
    document["users"][0]["user"] = {"exec": {"command": "aws"}}
    assert flat(folder, document)["users"][0]["user"] == {"token": "t"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"current-context": ""}, "has no current context"),
        ({"current-context": "gone"}, "has no context for its current context"),
        ({"clusters": []}, "has no cluster"),
        ({"users": None}, "has no user"),
        ({"clusters": [{"name": "c1", "cluster": {"proxy-url": "http://p"}}]}, "proxy-url"),
        (
            {"clusters": [{"name": "c1", "cluster": {"certificate-authority": "gone.crt"}}]},
            "certificate-authority",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_work_says_why(folder, change, problem):
    with pytest.raises(CliFailure, match=problem):
        flat(folder, kubeconfig(token="t") | change)


@pytest.mark.parametrize("text", ["[1]", "a: b: c", "text"])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path, text):
    (tmp_path / "config").write_text(text)
    with pytest.raises(CliFailure, match="kubeconfig config is not"):
        flatten(tmp_path / "config", "config")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "config"
    path.touch()
    os.truncate(path, 1 << 30)
    with pytest.raises(CliFailure, match="too large"):
        flatten(path, "config")


def test_a_folder_is_not_a_kubeconfig(tmp_path):
    with pytest.raises(CliFailure, match="is not a file"):
        flatten(tmp_path, "here")


DEFAULT = Setting("~/.kube/config", "built-in")


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / ".kube").mkdir()
    (folder / ".kube/config").write_text(yaml.safe_dump(kubeconfig(token="t")).replace("ca.crt", "../ca.crt"))
    return folder


def test_locally_the_default_file_is_used_when_it_is_there(home, tmp_path_factory):
    text = kubeconfig_document(DEFAULT, http=False, home=home)
    assert text is not None
    assert yaml.safe_load(text)["current-context"] == "lab"
    empty = tmp_path_factory.mktemp("empty")
    assert kubeconfig_document(DEFAULT, http=False, home=empty) is None


@pytest.mark.parametrize("source", ["option", "RUNE_KUBECONFIG", "rune.yaml"])
def test_locally_any_other_missing_file_is_an_error(tmp_path, source):
    with pytest.raises(CliFailure, match="~/missing does not exist"):
        kubeconfig_document(Setting("~/missing", source), http=False, home=tmp_path)


@pytest.mark.parametrize(
    ("source", "sent"), [("option", True), ("RUNE_KUBECONFIG", True), ("rune.yaml", False)]
)
def test_over_http_a_kubeconfig_is_sent_only_when_it_was_given_for_this_call(home, source, sent):
    text = kubeconfig_document(Setting("~/.kube/config", source), http=True, home=home)
    assert (text is not None) is sent
    assert kubeconfig_document(DEFAULT, http=True, home=home) is None


def test_a_reference_is_for_the_server(tmp_path):
    setting = Setting("ref:lab", "option")
    assert kubeconfig_document(setting, http=True, home=tmp_path) == "ref:lab"
    with pytest.raises(CliFailure, match="needs a server"):
        kubeconfig_document(setting, http=False, home=tmp_path)


def test_an_empty_value_means_no_cluster(home):
    assert kubeconfig_document(Setting("", "option"), http=False, home=home) is None

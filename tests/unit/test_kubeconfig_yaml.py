"""Kubeconfigs: limits of the parser, and which files are read (jobs-api.md 5.2, acceptance 25)."""

from __future__ import annotations

import os

import pytest

from rune_common.adapters.kubeconfig_yaml import YamlKubeconfigs
from rune_common.domain.kubeconfig_rules import MAX_KUBECONFIG_BYTES, KubeconfigInvalid


@pytest.fixture
def home(tmp_path):
    """A home with an allowed folder ~/.kube and something outside it."""
    (tmp_path / ".kube" / "sub").mkdir(parents=True)
    (tmp_path / ".kube" / "config").write_text("inside")
    (tmp_path / ".kube-other").mkdir()
    (tmp_path / ".kube-other" / "config").write_text("outside")
    return tmp_path


@pytest.fixture
def folders(home):
    return YamlKubeconfigs(["~/.kube"], home=str(home))


def test_a_file_inside_is_read_by_any_of_its_names(folders, home):
    for name in (
        "~/.kube/config",
        f"{home}/.kube/config",
        f"{home}/.kube/sub/../config",
        f"{home}//.kube/./config",
    ):
        assert folders.read(name) == "inside"


def test_a_link_inside_that_stays_inside_is_followed(folders, home):
    (home / ".kube" / "link").symlink_to(home / ".kube" / "config")
    assert folders.read("~/.kube/link") == "inside"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "/no/such/file",
        "~/.kube",
        "~/.kube/missing",
        "~/.kube/sub",
        "~/.kube/../.kube-other/config",
        "~/.kube-other/config",
        "~root/.kube/config",
        ".kube/config",
        "config",
        "~",
        "",
        "~/.kube/config\0",
    ],
)
def test_everything_else_is_not_read(folders, name):
    assert folders.read(name) is None


def test_a_link_that_leads_out_is_not_read(folders, home):
    (home / ".kube" / "out").symlink_to(home / ".kube-other" / "config")
    (home / ".kube" / "folder").symlink_to(home / ".kube-other")
    assert folders.read("~/.kube/out") is None
    assert folders.read("~/.kube/folder/config") is None


def test_a_link_outside_is_not_even_looked_at(home, monkeypatch):
    """The text decides first: a link outside that leads inside stays outside."""
    (home / "door").symlink_to(home / ".kube" / "config")
    assert YamlKubeconfigs(["~/.kube"], home=str(home)).read("~/door") is None


def test_what_is_no_regular_readable_text_is_not_read(folders, home):
    os.mkfifo(home / ".kube" / "fifo")
    (home / ".kube" / "large").write_bytes(b"x" * (MAX_KUBECONFIG_BYTES + 1))
    (home / ".kube" / "binary").write_bytes(b"\xff\xfe")
    for name in ("fifo", "large", "binary"):
        assert folders.read(f"~/.kube/{name}") is None


def test_without_folders_nothing_is_read(home):
    assert YamlKubeconfigs([], home=str(home)).read(f"{home}/.kube/config") is None


def test_yaml_and_json_are_parsed_and_numbers_and_dates_stay_text():
    parse = YamlKubeconfigs().parse
    assert parse("a: 012\nb: 2024-01-01\nc: true\nd: null\ne: 1.5") == {
        "a": "012",
        "b": "2024-01-01",
        "c": True,
        "d": None,
        "e": "1.5",
    }
    assert parse('{"a": {"b": [1]}}') == {"a": {"b": ["1"]}}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "a: [",
        "- a\n- b",
        "plain text\n",
        "",
        "a: 1\n---\nb: 2",
        "a: !!python/object/apply:os.system [id]\n",
        "a: &x [1]\nb: *x\n",
        "a: &a {x: 1}\nb: {<<: [*a, *a]}\n",
        "\n" + "[" * 100,
        "a: " + "[" * 100 + "]" * 100,
        "\n".join(f"k{n}: {n}" for n in range(30_000)),
        "a: \x01\n",
    ],
)
def test_what_is_no_plain_document_is_invalid(text):
    with pytest.raises(KubeconfigInvalid):
        YamlKubeconfigs().parse(text)

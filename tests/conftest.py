"""What every suite may need from the machine."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from rune.local.kubectl import find_kubectl

# How long an example takes says something about the machine, not about the code.
settings.register_profile("rune", deadline=None)
settings.load_profile("rune")


@pytest.fixture(scope="session")
def kubectl() -> str:
    """A plain kubectl: RUNE_KUBECTL, else the one that the product finds on PATH."""
    found = find_kubectl(os.environ.get("RUNE_KUBECTL", ""), os.environ.get("PATH", ""))
    if found is None:
        pytest.skip("no kubectl: put one on PATH or name it in RUNE_KUBECTL")
    return found

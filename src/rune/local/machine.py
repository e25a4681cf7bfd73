"""The settings of a stack on this machine: what is installed here, and that only this machine can reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rune.local.functions import ROOT
from rune.local.kubectl import find_kubectl
from rune_common.domain.errors import Misconfigured
from rune_common.settings import Settings

KUBECONFIG_DIR = "~/.kube"


def machine_settings(environ: Mapping[str, str], *, loopback: bool = True) -> Settings:
    """Read the environment; `loopback` gives the defaults of jobs-api.md 5.1. Raises Misconfigured."""
    settings = Settings.from_env(environ)
    if settings.holmes_driver_mode != "stdio":
        raise Misconfigured("RUNE_HOLMES_DRIVER_MODE: only stdio drivers run on this machine")
    if loopback:
        settings = settings.on_loopback(environ, kubeconfig_dir=KUBECONFIG_DIR)
    return replace(
        settings,
        model_credentials=settings.model_credentials or _model_credentials(settings.model_list_file, environ),
        kubectl=find_kubectl(settings.kubectl, settings.path) or "",
        agent_python=_absolute(settings.agent_python),
    )


def _model_credentials(model_list: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables of the model list that are set here, where agents are children of this machine's worker.

    A list that cannot be read names none; whoever needs it says so.
    """
    if not model_list:
        return ()
    from rune_common.adapters.model_list_file import credentials_of

    try:
        needed = credentials_of(Path(model_list).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(sorted(name for name in needed if environ.get(name)))


def _absolute(program: str) -> str:
    """A relative path counts from the checkout, so that Rune may be started anywhere."""
    return str(ROOT / program) if "/" in program and not Path(program).is_absolute() else program

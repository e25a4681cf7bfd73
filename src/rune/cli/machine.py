"""What `rune info` tells about this machine."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rune.cli.configuration import Configuration
from rune.cli.failures import CliFailure
from rune.cli.printing import without_credentials
from rune.cli.product_errors import product_errors
from rune.cli.surroundings import Surroundings


def rune_version() -> str:
    """The installed distribution's version; `unknown` in a tree that was never installed."""
    try:
        return version("rune")
    except PackageNotFoundError:
        return "unknown"


def facts(
    around: Surroundings, configuration: Configuration, *, token_set: bool
) -> dict[str, str | bool | None]:
    """Name to value; None for what was looked for and not found. Nothing here is secret."""
    from rune.local.kubectl import find_kubectl
    from rune_common.settings import Settings

    problem = ""
    try:
        with product_errors():
            settings = Settings.from_env(around.environ)
    except CliFailure as failure:
        settings, problem = Settings(), failure.message
    agent_python = settings.agent_python
    path = around.environ.get("PATH", "")
    found: dict[str, str | bool | None] = {
        "rune": rune_version(),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "backend": configuration.text("backend"),
        "api_base_url": without_credentials(configuration.text("api_base_url")),
        "api_tenant": configuration.text("api_tenant"),
        "api_token_set": token_set,
        "config_files": ", ".join(map(str, configuration.files.read)) or "none",
        "data_dir": str(_below(around.working_directory, settings.data_dir)),
        "agent_environment": shutil.which(str(_below(around.working_directory, agent_python)), path=path),
        "kubectl": find_kubectl(settings.kubectl, path),
    }
    return found | ({"environment_problem": problem} if problem else {})


def _below(folder: Path, name: str) -> Path:
    return (folder / Path(name).expanduser()).absolute() if name else folder

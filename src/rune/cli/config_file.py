"""The configuration files: where they are, how they merge, what they must not hold (jobs-api.md 16)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rune.cli.config_keys import KEYS, SECRET_KEYS, Scalar
from rune.cli.failures import CliFailure

PROJECT_NAMES = ("rune.yaml", "rune.yml")
HOME_NAMES = (".rune/config.yaml", ".rune/config.yml")
SECTIONS = frozenset({"version", "defaults", "profiles"})


@dataclass(frozen=True, slots=True)
class FromFile:
    """A value and where it stands, e.g. `rune.yaml (profile lab)`."""

    value: Scalar
    source: str


@dataclass(frozen=True, slots=True)
class FileValues:
    """What the files say for one profile. `read` are the files, lowest precedence first."""

    values: Mapping[str, FromFile]
    read: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    label: str
    defaults: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...]


def read_files(working_directory: Path, home: Path, profile: str = "") -> FileValues:
    """Merge the home file, then the project file over it; then the profile over the defaults.

    Raises CliFailure for a file that cannot be read, a secret, a value of the wrong type or an unknown
    profile. Unknown keys are warnings.
    """
    paths = [p for p in (_first(home, HOME_NAMES), _first(working_directory, PROJECT_NAMES)) if p is not None]
    files = [_load(path, _label(path, home, working_directory)) for path in paths]
    known = sorted({name for file in files for name in file.profiles})
    if profile and profile not in known:
        names = ", ".join(known) or "none"
        raise CliFailure(f"unknown profile '{profile}'. Known profiles: {names}", code="unknown_profile")
    merged: dict[str, FromFile] = {}
    for file in files:
        merged |= _typed(file.defaults, file.label)
    for file in files:
        merged |= _typed(file.profiles.get(profile, {}), f"{file.label} (profile {profile})")
    return FileValues(merged, tuple(paths), tuple(warning for file in files for warning in file.warnings))


def existing_project_file(working_directory: Path) -> Path | None:
    return _first(working_directory, PROJECT_NAMES)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _label(path: Path, home: Path, working_directory: Path) -> str:
    return path.name if path.parent == working_directory else f"~/{path.relative_to(home)}"


def _load(path: Path, label: str) -> _File:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise _bad(label, "cannot be read") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        raise _bad(label, f"is not YAML (line {mark.line + 1})" if mark else "is not YAML") from exc
    content = _mapping({} if document is None else document, label, "the file")
    if str(content.get("version", "1")) != "1":
        raise _bad(label, 'version must be "1"')
    defaults = _mapping(content.get("defaults") or {}, label, "defaults")
    profiles = {
        str(name): _mapping(values or {}, label, f"profile {name}")
        for name, values in _mapping(content.get("profiles") or {}, label, "profiles").items()
    }
    for section in (content, defaults, *profiles.values()):
        _refuse_secrets(section, label)
    unknown = [str(key) for key in content if key not in SECTIONS]
    unknown += [str(key) for section in (defaults, *profiles.values()) for key in section if key not in KEYS]
    return _File(
        label, defaults, profiles, tuple(f"{label}: unknown key '{key}' is ignored" for key in unknown)
    )


def _typed(section: Mapping[str, Any], source: str) -> dict[str, FromFile]:
    values: dict[str, FromFile] = {}
    for name, value in section.items():
        if name not in KEYS or value is None:
            continue
        try:
            values[name] = FromFile(KEYS[name].accept(value), source)
        except ValueError as exc:
            raise _bad(source, f"{name} {exc}") from None
    return values


def _mapping(value: object, label: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _bad(label, f"{what} must be a mapping")
    return value


def _refuse_secrets(section: Mapping[str, Any], label: str) -> None:
    for key, variable in SECRET_KEYS.items():
        if key in section:
            hint = f"remove it and set {variable} in the environment"
            raise CliFailure(
                f"{label}: {key} is a secret and must not be in the file", code="config", hint=hint
            )


def _bad(label: str, problem: str) -> CliFailure:
    return CliFailure(f"{label}: {problem}", code="config")

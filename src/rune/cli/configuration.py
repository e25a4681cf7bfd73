"""The merged configuration: option, then environment, then files, then built-in (jobs-api.md 16)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rune.cli.config_file import FileValues
from rune.cli.config_keys import FALSE_WORDS, KEYS, TRUE_WORDS, Scalar
from rune.cli.failures import UsageProblem

OPTION = "option"
BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it comes from: `option`, a variable's name, a file's name or `built-in`."""

    value: Scalar | None
    source: str

    @property
    def text(self) -> str:
        return "" if self.value is None else str(self.value)

    @property
    def on_the_spot(self) -> bool:
        """Given for this call, by option or variable, and not by a file that lies around."""
        return self.source == OPTION or self.source.startswith("RUNE_")


@dataclass(frozen=True, slots=True)
class Configuration:
    options: Mapping[str, Scalar | None]
    environ: Mapping[str, str]
    files: FileValues

    def get(self, name: str, option: Scalar | None = None) -> Setting:
        """The setting `name`; `option` is what the command itself was given.

        Raises UsageProblem for an option or variable with a bad value.
        """
        key = KEYS[name]
        given = option if option is not None else self.options.get(name)
        if given is not None:
            try:
                return Setting(key.accept(given), OPTION)
            except ValueError as exc:
                raise UsageProblem(f"Invalid value for '{key.option}': {exc}") from None
        text = self.environ.get(key.variable, "")
        # An empty kubeconfig is a choice (no cluster); any other empty variable counts as not set.
        if text or (name == "kubeconfig" and key.variable in self.environ):
            try:
                return Setting(key.parse(text), key.variable)
            except ValueError as exc:
                raise UsageProblem(f"Invalid value for {key.variable}: {exc}") from None
        if name in self.files.values:
            found = self.files.values[name]
            return Setting(found.value, found.source)
        return Setting(key.default, BUILT_IN)

    def flag(self, name: str, option: bool | None = None) -> bool:
        return bool(self.get(name, option).value)

    def text(self, name: str, option: str | None = None) -> str:
        return self.get(name, option).text


def environment_flag(environ: Mapping[str, str], variable: str, option: bool | None) -> bool:
    """A flag that no file can set, such as RUNE_YES. Raises UsageProblem for a bad word."""
    if option is not None:
        return option
    word = environ.get(variable, "").strip().lower()
    if word and word not in TRUE_WORDS | FALSE_WORDS:
        raise UsageProblem(f"Invalid value for {variable}: must be true or false")
    return word in TRUE_WORDS

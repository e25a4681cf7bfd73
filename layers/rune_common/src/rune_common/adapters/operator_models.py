"""The shipped catalog of models, the operator's model list and who may use what (runs-api.md 10).

Catalog: `rune_common/data/model_catalog.json`, `{"catalog_version", "models": [{"model_id", "canonical_id",
"provider", "display_name", "roles", "context_window", "max_output_tokens", "capabilities", "pricing":
{"input_per_mtok", "output_per_mtok", "cache_read_per_mtok"} or null, "prior", "deprecated", "replaced_by"}]}`.
`prior` is the quality before any run, 0 to 1; null is unknown.

Entitlements (`RUNE_MODEL_ENTITLEMENTS_FILE`): `{"tiers": {"default": {"allow": ["*"], "deny": ["gpt-*"]}},
"tenants": {"teamb": "basic"}}`, patterns of model ids. A tenant that is not named has the tier `default`; a tier
that is not named allows everything.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from rune_common.adapters.model_list_file import parse_model_list
from rune_common.domain.errors import Misconfigured
from rune_common.domain.models_offered import (
    DEFAULT_TIER,
    CatalogFile,
    Entitlement,
    KnownModel,
    ListedModel,
    ModelPricing,
)

CATALOG_FILE = Path(__file__).parents[1] / "data" / "model_catalog.json"

logger = logging.getLogger("rune.models")


def _read_file(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


class ModelFiles:
    """Each file is read at the first need of it, by `fetch`; a change counts after a restart.

    `credentials` are the names of the variables that the agents' workers have for the model list's templates.
    """

    def __init__(
        self,
        *,
        model_list: str = "",
        credentials: Sequence[str] = (),
        entitlements: str = "",
        fetch: Callable[[str], str] = _read_file,
    ) -> None:
        self._model_list = model_list
        self._credentials = frozenset(credentials)
        self._entitlements = entitlements
        self._fetch = fetch

    def catalog(self) -> CatalogFile:
        return self._catalog

    def listed(self) -> Sequence[ListedModel]:
        """The entries whose templates the workers can fill in; of the others, only a log line tells."""
        return self._listed

    def entitlement(self, tenant: str) -> Entitlement:
        tiers, tenants = self._tiers
        tier = tenants.get(tenant, DEFAULT_TIER)
        return tiers.get(tier, Entitlement(tier))

    @cached_property
    def _catalog(self) -> CatalogFile:
        found = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))
        return CatalogFile(found["catalog_version"], tuple(_known(each) for each in found["models"]))

    @cached_property
    def _listed(self) -> Sequence[ListedModel]:
        if not self._model_list:
            return ()
        try:
            visible, hidden = parse_model_list(self._fetch(self._model_list), self._credentials)
        except (OSError, ValueError) as exc:
            raise Misconfigured("RUNE_MODEL_LIST_FILE is not a readable model list") from exc
        if hidden:
            logger.warning("models of the list without their credentials: %s", ", ".join(hidden))
        return visible

    @cached_property
    def _tiers(self) -> tuple[Mapping[str, Entitlement], Mapping[str, str]]:
        if not self._entitlements:
            return {}, {}
        try:
            found = json.loads(self._fetch(self._entitlements))
            tiers = {name: _entitlement(name, rules) for name, rules in found.get("tiers", {}).items()}
            tenants = {tenant: str(tier) for tenant, tier in found.get("tenants", {}).items()}
        except (OSError, ValueError, TypeError, AttributeError) as exc:
            raise Misconfigured("RUNE_MODEL_ENTITLEMENTS_FILE is not readable") from exc
        return tiers, tenants


def _known(row: Mapping[str, Any]) -> KnownModel:
    lists = {name: tuple(row[name]) for name in ("roles", "capabilities")}
    pricing = None if row["pricing"] is None else ModelPricing(**row["pricing"])
    return KnownModel(**{**row, **lists, "pricing": pricing})


def _entitlement(tier: str, rules: Mapping[str, Any]) -> Entitlement:
    return Entitlement(tier, _patterns(rules.get("allow", ["*"])), _patterns(rules.get("deny", [])))


def _patterns(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("patterns are a list of texts")
    return tuple(found)

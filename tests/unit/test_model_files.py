"""The shipped catalog, the operator's model list and the entitlements (runs-api.md 10, holmes-driver.md 3.4)."""

from __future__ import annotations

import json
import logging

import pytest

from rune.local.machine import machine_settings
from rune_common.adapters.memory import MemoryBlobStore
from rune_common.adapters.model_list_file import credentials_of, parse_model_list
from rune_common.adapters.operator_files import OperatorFiles
from rune_common.adapters.operator_models import ModelFiles
from rune_common.domain.errors import Misconfigured
from rune_common.domain.model_catalog import CATALOG
from rune_common.domain.models_offered import ROLES, Entitlement, ModelPricing, Reason
from rune_common.domain.price_tables import TOKEN_PRICES

LIST = """
modelList:
  gpt:
    model: openai/gpt-4o
    api_key: "{{ env.OPENAI_API_KEY }}"
    context_window: 64000
    input_cost_per_token: 2.5e-06
    output_cost_per_token: 0.00001
    vision: true
  ours:
    model: azure/ours
    tenants: [teamb]
    custom_args: {headers: [{x-key: "Bearer {{env.GATEWAY_KEY}}"}]}
  open:
    model: openai/local
    api_base: http://127.0.0.1:8000/v1
"""


def test_every_model_of_the_shipped_catalog_is_whole_and_has_its_own_id():
    models = ModelFiles().catalog().models
    ids = [each.model_id for each in models]
    assert ids == sorted(set(ids))
    for each in models:
        assert each.canonical_id.partition("/")[0]
        assert each.display_name
        assert each.roles
        assert set(each.roles) <= set(ROLES)
        assert each.prior is None or 0 <= each.prior <= 1
        assert each.deprecated == (each.replaced_by is not None)
        assert each.replaced_by is None or each.replaced_by in ids


def test_the_shipped_catalog_agrees_with_the_products_other_lists():
    models = {each.model_id: each for each in ModelFiles().catalog().models}
    assert {each.name for each in CATALOG} <= set(models)
    for name, rate in TOKEN_PRICES.items():
        if name in models:
            assert models[name].pricing is not None
            assert (models[name].pricing.input_per_mtok, models[name].pricing.output_per_mtok) == (
                float(rate.input),
                float(rate.output),
            )


def test_an_entry_without_its_credential_is_hidden_and_only_its_name_is_logged(tmp_path, caplog):
    path = tmp_path / "models.yaml"
    path.write_text(LIST)
    with caplog.at_level(logging.WARNING):
        found = ModelFiles(model_list=str(path), credentials=["OPENAI_API_KEY"]).listed()
    assert [each.name for each in found] == ["gpt", "open"]
    assert found[0].pricing == ModelPricing(2.5, 10)
    assert (found[0].context_window, found[0].vision) == (64_000, True)
    assert "ours" in caplog.text
    assert "GATEWAY_KEY" not in caplog.text


def test_a_list_may_stand_at_the_top_of_its_file_and_name_tenants():
    visible, hidden = parse_model_list("a: {model: x/y, tenants: [t1]}", ())
    assert hidden == ()
    assert (visible[0].visible_to("t1"), visible[0].visible_to("t2")) == (True, False)


@pytest.mark.parametrize("text", ["[1]", "a: {}", "a: 1", "modelList: [1]", "{", "a: {model: 7}"])
def test_what_is_no_model_list_is_refused(tmp_path, text):
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(Misconfigured, match="RUNE_MODEL_LIST_FILE"):
        ModelFiles(model_list=str(path)).listed()


def test_an_empty_list_and_none_at_all_have_no_entries(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("")
    assert ModelFiles(model_list=str(path)).listed() == ()
    assert ModelFiles().listed() == ()


def test_a_local_server_knows_which_credentials_its_workers_have(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text(LIST)
    assert credentials_of(LIST) == {"OPENAI_API_KEY", "GATEWAY_KEY"}
    environ = {"RUNE_MODEL_LIST_FILE": str(path), "GATEWAY_KEY": "a secret", "OPENAI_API_KEY": ""}
    assert machine_settings(environ).model_credentials == ("GATEWAY_KEY",)
    told = machine_settings(environ | {"RUNE_MODEL_CREDENTIALS": "OTHER"})
    assert told.model_credentials == ("OTHER",)
    assert machine_settings({"RUNE_MODEL_LIST_FILE": "/no/such/file"}).model_credentials == ()


def test_a_tenant_has_the_tier_that_the_operator_gave_it(tmp_path):
    path = tmp_path / "tiers.json"
    rules = {"default": {"deny": ["gpt-*"]}, "basic": {"allow": ["llama*"]}}
    path.write_text(json.dumps({"tiers": rules, "tenants": {"teamb": "basic", "teamc": "unlisted"}}))
    files = ModelFiles(entitlements=str(path))
    assert files.entitlement("teama") == Entitlement("default", ("*",), ("gpt-*",))
    assert files.entitlement("teama").refusal("gpt-4o") is Reason.POLICY_DENIED
    assert files.entitlement("teamb").refusal("gpt-4o") is Reason.TIER_NOT_ENTITLED
    assert files.entitlement("teamb").refusal("llama3.1:8b") is None
    assert files.entitlement("teamc") == Entitlement("unlisted")
    assert ModelFiles().entitlement("teama") == Entitlement("default")


@pytest.mark.parametrize("text", ["[]", "{", '{"tiers": {"a": 1}}', '{"tiers": {"a": {"allow": "gpt"}}}'])
def test_entitlements_that_cannot_be_read_are_refused(tmp_path, text):
    path = tmp_path / "tiers.json"
    path.write_text(text)
    with pytest.raises(Misconfigured, match="RUNE_MODEL_ENTITLEMENTS_FILE"):
        ModelFiles(entitlements=str(path)).entitlement("default")


def test_a_file_may_lie_in_the_stacks_bucket_and_in_no_other():
    blobs = MemoryBlobStore()
    blobs.put("operator/models.yaml", LIST.encode())
    files = OperatorFiles("bucket", blobs)
    assert files.text("s3://bucket/operator/models.yaml") == LIST
    for address in ("s3://bucket/none", "s3://other/operator/models.yaml"):
        with pytest.raises(FileNotFoundError):
            files.text(address)

"""Everything that Rune reads from its environment: the reference page is made from these fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

from rune_common.setting_fields import as_text, parsed, setting

LOOPBACK_ALLOWLIST = ("localhost", "127.0.0.0/8", "[::1]")


@dataclass(frozen=True, slots=True)
class Settings:
    """Lists are comma separated. Booleans: 1, true, yes, on / 0, false, no, off."""

    env: str = setting("RUNE_ENV", "local", "`local`, or the deployment stage's name", "jobs-api.md 16")
    product_version: str = setting(
        "RUNE_VERSION", "0.1.0", "version recorded in `run_queued`", "runs-api.md 7.4"
    )
    runs_table: str = setting("RUNE_RUNS_TABLE", "rune-runs", "table of runs and events", "runs-api.md 13")
    identity_table: str = setting(
        "RUNE_IDENTITY_TABLE", "rune-identity", "table of tokens and lockouts", "design.md 5"
    )
    dynamodb_endpoint: str = setting(
        "AWS_ENDPOINT_URL_DYNAMODB", "", "DynamoDB API to use instead of the region's", "design.md 8"
    )
    region: str = setting("AWS_REGION", "us-east-1", "AWS region", "design.md 2")
    blobs_bucket: str = setting(
        "RUNE_BLOBS_BUCKET", "", "S3 bucket; empty: files under the data folder", "runs-api.md 13"
    )
    data_dir: str = setting("RUNE_DATA_DIR", ".rune", "the local stack's state", "design.md 8")
    work_dir: str = setting(
        "RUNE_WORK_DIR",
        "",
        "folder of running agents' private files; empty: the temporary one",
        "holmes-driver.md 1.3",
    )
    deployment_id: str = setting(
        "RUNE_DEPLOYMENT_ID",
        "",
        "unique name of this deployment; a local one makes its own",
        "jobs-api.md 6.3",
    )
    kms_key_id: str = setting(
        "RUNE_KMS_KEY_ID", "", "key that seals requests; empty: a key file", "design.md 8"
    )
    run_agent_machine_arn: str = setting(
        "RUNE_RUN_AGENT_MACHINE_ARN", "", "state machine of agent runs", "design.md 7"
    )
    run_benchmark_machine_arn: str = setting(
        "RUNE_RUN_BENCHMARK_MACHINE_ARN",
        "",
        "state machine of benchmarks, instances and estimates",
        "design.md 7",
    )
    run_chain_machine_arn: str = setting(
        "RUNE_RUN_CHAIN_MACHINE_ARN", "", "state machine of chains", "design.md 7"
    )
    agent_launcher: str = setting(
        "RUNE_AGENT_LAUNCHER",
        "local",
        "where agents run: `local` (a process) or `aws`",
        "holmes-driver.md 1.1",
    )
    agent_image: str = setting(
        "RUNE_AGENT_IMAGE", "", "image of the agents, with its digest, for the provenance", "jobs-api.md 10"
    )
    agent_function: str = setting(
        "RUNE_AGENT_FUNCTION", "", "container Lambda of short agent runs", "holmes-driver.md 1.1"
    )
    agent_cluster: str = setting(
        "RUNE_AGENT_CLUSTER", "", "ECS cluster of long agent runs", "holmes-driver.md 1.1"
    )
    agent_task_definition: str = setting(
        "RUNE_AGENT_TASK", "", "ECS task definition of agents", "holmes-driver.md 1.1"
    )
    agent_subnets: tuple[str, ...] = setting(
        "RUNE_AGENT_SUBNETS", (), "subnets of agent tasks", "holmes-driver.md 1.8"
    )
    agent_security_groups: tuple[str, ...] = setting(
        "RUNE_AGENT_SECURITY_GROUPS", (), "security groups of agent tasks", "holmes-driver.md 1.8"
    )
    api_tokens: str = setting(
        "RUNE_API_TOKENS", "", "seeded tokens, `tenant:secret,…`, secrets of at least 32 characters",
        "jobs-api.md 2", secret=True,
    )  # fmt: skip
    api_token_policies: str = setting(
        "RUNE_API_TOKEN_POLICIES",
        "",
        "scopes of seeded tokens, `tenant:scope+scope,…`; empty: all",
        "jobs-api.md 2",
    )
    auth_disabled: bool = setting(
        "RUNE_API_AUTH_DISABLED", False, "no tokens; only for a server on loopback", "jobs-api.md 2"
    )
    trusted_proxies: tuple[str, ...] = setting(
        "RUNE_TRUSTED_PROXIES", (), "peers whose X-Forwarded-For counts", "jobs-api.md 2"
    )
    allowed_origins: tuple[str, ...] = setting("RUNE_ALLOWED_ORIGINS", (), "CORS origins", "jobs-api.md 1.1")
    rate_burst: int = setting("RUNE_API_RATE_BURST", 20, "bucket size without a token", "jobs-api.md 2")
    rate_per_second: float = setting(
        "RUNE_API_RATE_PER_SECOND", 10.0, "refill without a token", "jobs-api.md 2"
    )
    auth_rate_burst: int = setting(
        "RUNE_API_AUTH_RATE_BURST", 200, "bucket size with a token", "jobs-api.md 2"
    )
    auth_rate_per_second: float = setting(
        "RUNE_API_AUTH_RATE_PER_SECOND", 100.0, "refill with a token", "jobs-api.md 2"
    )
    tenant_max_active_runs: int = setting(
        "RUNE_TENANT_MAX_ACTIVE_RUNS", 100, "unfinished runs of a tenant", "jobs-api.md 2"
    )
    tenant_max_running_runs: int = setting(
        "RUNE_TENANT_MAX_RUNNING_RUNS", 10, "runs of a tenant that run at once", "jobs-api.md 2"
    )
    streams_per_token: int = setting(
        "RUNE_STREAMS_PER_TOKEN", 50, "streams that one token may have open", "runs-api.md 15"
    )
    retention_days: int = setting("RUNE_RETENTION_DAYS", 90, "how long ended runs are kept", "jobs-api.md 16")
    backend_url: str = setting(
        "RUNE_BACKEND_URL", "", "model server when a request names none", "jobs-api.md 4.3"
    )
    default_model: str = setting(
        "RUNE_DEFAULT_MODEL", "llama3.1:8b", "model when a request names none", "jobs-api.md 4.3"
    )
    vastai_template: str = setting(
        "RUNE_VASTAI_TEMPLATE", "c166c11f035d3a97871a23bd32ca6aba", "Vast.ai template when a request names none",
        "jobs-api.md 4.3",
    )  # fmt: skip
    vastai_max_dph: float = setting(
        "RUNE_VASTAI_MAX_DPH", 3.0, "highest price in $/h when a request names none", "jobs-api.md 4.3"
    )
    spend_limit_per_job_usd: float = setting(
        "RUNE_SPEND_LIMIT_PER_JOB_USD",
        5.0,
        "what one job may cost; tenants can only lower it",
        "jobs-api.md 7.3",
    )
    spend_limit_per_day_usd: float = setting(
        "RUNE_SPEND_LIMIT_PER_DAY_USD", 25.0, "what a tenant's jobs may cost in a day", "jobs-api.md 7.3"
    )
    disabled_kinds: tuple[str, ...] = setting(
        "RUNE_DISABLED_KINDS", (), "job kinds that are refused", "jobs-api.md 4.3"
    )
    gpu_providers: tuple[str, ...] = setting(
        "RUNE_GPU_PROVIDERS", (), "`vastai` where its key is held by the workers only", "jobs-api.md 6.1"
    )
    vast_api_key: str = setting(
        "VAST_API_KEY", "", "key of the Vast.ai account", "jobs-api.md 6.1", secret=True
    )
    vastai_base_url: str = setting(
        "RUNE_VASTAI_BASE_URL", "https://console.vast.ai", "the provider's API", "jobs-api.md 6.1"
    )
    vastai_timeout: float = setting(
        "RUNE_VASTAI_TIMEOUT", 30.0, "seconds that one call of the provider may take", "jobs-api.md 6.1"
    )
    vastai_min_interval: float = setting(
        "RUNE_VASTAI_MIN_INTERVAL", 1.0, "seconds between two calls of one endpoint", "jobs-api.md 6.1"
    )
    vastai_poll_seconds: int = setting(
        "RUNE_VASTAI_POLL_SECONDS", 10, "seconds between two looks at an instance", "jobs-api.md 6.4"
    )
    vastai_boot_timeout: int = setting(
        "RUNE_VASTAI_BOOT_TIMEOUT", 900, "seconds until an instance must run", "jobs-api.md 6.4"
    )
    vastai_ready_timeout: int = setting(
        "RUNE_VASTAI_READY_TIMEOUT", 300, "seconds until its model server must answer", "jobs-api.md 6.4"
    )
    vastai_search_type: str = setting(
        "RUNE_VASTAI_SEARCH_TYPE", "on-demand", "how a search names its kind: `on-demand` or `ondemand`",
        "jobs-api.md 6.1",
    )  # fmt: skip
    vastai_env_format: str = setting(
        "RUNE_VASTAI_ENV_FORMAT", "object", "form of an instance's environment: `object` or `string`",
        "jobs-api.md 6.1",
    )  # fmt: skip
    vastai_list_api: str = setting(
        "RUNE_VASTAI_LIST_API", "v1", "version of the list of instances: `v1` or `v0`", "jobs-api.md 6.1"
    )
    vastai_ram_unit: str = setting(
        "RUNE_VASTAI_RAM_UNIT", "mb", "unit of GPU memory in a search: `mb` or `gb`", "jobs-api.md 6.1"
    )
    vastai_image: str = setting(
        "RUNE_VASTAI_IMAGE", "ollama/ollama", "image of an instance without a template", "jobs-api.md 6.3"
    )
    vastai_recheck_seconds: int = setting(
        "RUNE_VASTAI_RECHECK_SECONDS",
        30,
        "wait before an unanswered create is looked for again",
        "jobs-api.md 6.3",
    )
    github_app_scanner: str = setting(
        "RUNE_GITHUB_APP_SCANNER",
        "secrets",
        "scanner of pull requests when a tenant sets none",
        "runs-api.md 12",
    )
    backend_allowlist: tuple[str, ...] = setting(
        "RUNE_BACKEND_ALLOWLIST", (), "hosts and CIDRs that model servers may have", "jobs-api.md 5.1"
    )
    backend_allow_public: bool = setting(
        "RUNE_BACKEND_ALLOW_PUBLIC", True, "false: only listed model servers", "jobs-api.md 5.1"
    )
    cluster_allowlist: tuple[str, ...] = setting(
        "RUNE_CLUSTER_ALLOWLIST", (), "hosts and CIDRs that clusters may have", "jobs-api.md 5.2"
    )
    kubeconfig_dirs: tuple[str, ...] = setting(
        "RUNE_KUBECONFIG_DIRS", (), "folders whose kubeconfig files requests may name", "jobs-api.md 5.2"
    )
    ollama_num_ctx: int = setting(
        "RUNE_OLLAMA_NUM_CTX", 16_384, "context window asked of Ollama", "jobs-api.md 5.3"
    )
    driver_timeout: int = setting(
        "RUNE_DRIVER_INVOCATION_TIMEOUT", 900, "seconds that one agent call may take", "jobs-api.md 14"
    )
    holmes_driver_mode: str = setting(
        "RUNE_HOLMES_DRIVER_MODE", "stdio", "how the driver is reached", "holmes-driver.md 2.1"
    )
    holmes_driver_command: str = setting(
        "RUNE_HOLMES_DRIVER_CMD", "", "driver command, split as a shell does; empty: the built-in driver",
        "holmes-driver.md 2.1",
    )  # fmt: skip
    agent_python: str = setting(
        "RUNE_AGENT_PYTHON", ".venv-agent/bin/python", "the agent's interpreter", "holmes-driver.md 1.1"
    )
    kubectl: str = setting(
        "RUNE_KUBECTL", "", "kubectl for the agent; empty: the first on PATH", "holmes-driver.md 1.6"
    )
    allow_insecure_cluster_tls: bool = setting(
        "RUNE_ALLOW_INSECURE_CLUSTER_TLS", False, "allow insecure-skip-tls-verify", "holmes-driver.md 1.7"
    )
    agent_toolsets_file: str = setting(
        "RUNE_AGENT_TOOLSETS_FILE", "", "further toolsets, set by the operator", "holmes-driver.md 1.6"
    )
    price_book: str = setting(
        "RUNE_PRICE_BOOK",
        "",
        "JSON file: model to input and output price per million tokens",
        "holmes-driver.md 2.5",
    )
    price_table: str = setting(
        "RUNE_PRICE_TABLE",
        "",
        "JSON file: cloud to $/h by instance type, over the built-in prices",
        "jobs-api.md 7.1",
    )
    model_list_file: str = setting(
        "RUNE_MODEL_LIST_FILE", "", "YAML file: the models that agents may be given, with their credentials",
        "holmes-driver.md 3.4",
    )  # fmt: skip
    model_credentials: tuple[str, ...] = setting(
        "RUNE_MODEL_CREDENTIALS", (), "variables of the model list that the workers hold; locally those that are set",
        "holmes-driver.md 3.4",
    )  # fmt: skip
    model_entitlements_file: str = setting(
        "RUNE_MODEL_ENTITLEMENTS_FILE", "", "JSON file: tiers, the models they allow, and the tenants in them",
        "runs-api.md 10",
    )  # fmt: skip
    path: str = setting(
        "PATH", "/usr/local/bin:/usr/bin:/bin", "where the driver finds its tools", "jobs-api.md 14"
    )
    cursor_key: str = setting(
        "RUNE_CURSOR_KEY", "", "signs list cursors; locally a key file", "jobs-api.md 4.6", secret=True
    )
    evidence_key_name: str = setting(
        "RUNE_EVIDENCE_KEY_NAME", "rune.local", "name of the key that signs evidence", "runs-api.md 7.4"
    )
    evidence_key_secret: str = setting(
        "RUNE_EVIDENCE_KEY_SECRET",
        "",
        "secret that the signing key is made of; locally a key file",
        "runs-api.md 7.4",
    )
    allow_self_approval: bool = setting(
        "RUNE_ALLOW_SELF_APPROVAL",
        False,
        "whoever asked for a run may approve what it does",
        "runs-api.md 6.5",
    )
    approval_key_secret: str = setting(
        "RUNE_APPROVAL_KEY_SECRET",
        "",
        "secret under which agents sign calls that wait for approval; locally a key file",
        "runs-api.md 6.4",
    )
    log_level: str = setting("RUNE_LOG_LEVEL", "INFO", "level of the structured log", "design.md 9")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables that are set. Raises Misconfigured naming the variable, never its value."""
        hints = get_type_hints(cls)
        found = {
            each.name: parsed(each.metadata["variable"], environ[each.metadata["variable"]], hints[each.name])
            for each in dataclasses.fields(cls)
            if environ.get(each.metadata["variable"], "") != ""
        }
        return cls(**found)

    def on_loopback(self, environ: Mapping[str, str], *, kubeconfig_dir: str) -> Self:
        """The defaults of a server that only this machine can reach (jobs-api.md 5.1, 5.2).

        A variable that is set counts, also when it is empty.
        """
        defaults: dict[str, Any] = {
            "backend_allowlist": LOOPBACK_ALLOWLIST,
            "cluster_allowlist": LOOPBACK_ALLOWLIST,
            "kubeconfig_dirs": (kubeconfig_dir,),
        }
        variables = {each.name: each.metadata["variable"] for each in dataclasses.fields(self)}
        return dataclasses.replace(
            self, **{name: value for name, value in defaults.items() if variables[name] not in environ}
        )

    def environment(self) -> dict[str, str]:
        """The variables that make these settings again, without the secret ones."""
        return {
            each.metadata["variable"]: as_text(getattr(self, each.name))
            for each in dataclasses.fields(self)
            if not each.metadata["secret"]
        }

    def tenant_defaults(self) -> dict[str, Any]:
        """The operator's values of the keys that a tenant may set (jobs-api.md 12)."""
        found = {
            "template_hash": self.vastai_template,
            "max_dph": self.vastai_max_dph,
            "backend_url": self.backend_url,
            "model": self.default_model,
            "spend_limit_per_job_usd": self.spend_limit_per_job_usd,
            "spend_limit_per_day_usd": self.spend_limit_per_day_usd,
            "github_app_scanner": self.github_app_scanner,
        }
        return {name: value for name, value in found.items() if value != ""}

    @property
    def rents_gpus(self) -> bool:
        """Whether jobs may ask for a GPU: here, or where the workers are, the provider's key is known."""
        return bool(self.vast_api_key) or "vastai" in self.gpu_providers

    @property
    def on_aws(self) -> bool:
        return self.env != "local"

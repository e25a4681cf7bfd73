"""Everything that Rune reads from its environment: the reference page is made from these fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args, get_origin, get_type_hints

from rune_common.domain.errors import Misconfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
LOOPBACK_ALLOWLIST = ("localhost", "127.0.0.0/8", "[::1]")


def setting(variable: str, default: Any, meaning: str, section: str, *, secret: bool = False) -> Any:
    """A field read from `variable`; `section` names the contract's section."""
    metadata = {"variable": variable, "meaning": meaning, "section": section, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


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
    agent_launcher: str = setting(
        "RUNE_AGENT_LAUNCHER",
        "local",
        "where agents run: `local` (a process) or `aws`",
        "holmes-driver.md 1.1",
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
    retention_days: int = setting("RUNE_RETENTION_DAYS", 90, "how long ended runs are kept", "jobs-api.md 16")
    backend_url: str = setting(
        "RUNE_BACKEND_URL", "", "model server when a request names none", "jobs-api.md 4.3"
    )
    default_model: str = setting(
        "RUNE_DEFAULT_MODEL", "llama3.1:8b", "model when a request names none", "jobs-api.md 4.3"
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
    path: str = setting(
        "PATH", "/usr/local/bin:/usr/bin:/bin", "where the driver finds its tools", "jobs-api.md 14"
    )
    cursor_key: str = setting(
        "RUNE_CURSOR_KEY", "", "signs list cursors; locally a key file", "jobs-api.md 4.6", secret=True
    )
    log_level: str = setting("RUNE_LOG_LEVEL", "INFO", "level of the structured log", "design.md 9")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables that are set. Raises Misconfigured naming the variable, never its value."""
        hints = get_type_hints(cls)
        found = {
            each.name: _parse(each.metadata["variable"], environ[each.metadata["variable"]], hints[each.name])
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
            each.metadata["variable"]: _text(getattr(self, each.name))
            for each in dataclasses.fields(self)
            if not each.metadata["secret"]
        }

    @property
    def on_aws(self) -> bool:
        return self.env != "local"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse(variable: str, text: str, kind: Any) -> Any:
    if get_origin(kind) is tuple and get_args(kind)[0] is str:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in TRUE | FALSE:
            raise Misconfigured(f"{variable} must be true or false")
        return text.lower() in TRUE
    try:
        return kind(text)
    except ValueError:
        raise Misconfigured(f"{variable} must be a number") from None

"""Who may do what: tokens, rules and the self reviews."""

from __future__ import annotations

from dataclasses import dataclass

from rune.sandbox.kube.parts import Json
from rune.sandbox.kube.refusal import Refused
from rune.sandbox.kube.resources import Catalog
from rune.sandbox.kube.shapes import ClusterSpec, Rule, TokenSpec

READER = TokenSpec("reader", (Rule(("get", "list", "watch"), ("*",), excluded=("secrets",)),), "reader")
OPERATOR = TokenSpec(
    "operator",
    (
        *READER.rules,
        Rule(("delete",), ("pods",)),
        Rule(("patch", "update"), ("deployments", "deployments/scale", "nodes")),
    ),
    "operator",
)
"""The tokens of a cluster whose file names none; neither may read secrets."""

PUBLIC_PATHS = ("/version", "/healthz", "/livez", "/readyz")
DISCOVERY_PATHS = ("/api", "/api/*", "/apis", "/apis/*", *PUBLIC_PATHS, "/openapi", "/openapi/*")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request is about, in the words of RBAC."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def tokens_of(spec: ClusterSpec, *, writable: bool) -> tuple[TokenSpec, ...]:
    """The file's tokens, else reader and operator; the first is the one a kubeconfig gets by default."""
    return spec.tokens or ((OPERATOR, READER) if writable else (READER, OPERATOR))


def identify(tokens: tuple[TokenSpec, ...], bearer: str | None, *, anonymous: bool) -> TokenSpec | None:
    """The caller, or None for one that needs no token; 401 otherwise."""
    if bearer is None and anonymous:
        return None
    for token in tokens:
        if token.token == bearer:
            return token
    raise Refused(401, "Unauthorized")


def allows(caller: TokenSpec | None, asked: Attributes) -> bool:
    """Whether a rule of the caller covers what is asked; None may do anything."""
    return caller is None or any(_covers(rule, asked) for rule in caller.rules)


def _covers(rule: Rule, asked: Attributes) -> bool:
    wanted = {asked.full_resource, "*"}
    if asked.subresource:
        wanted |= {f"*/{asked.subresource}", f"{asked.resource}/*"}
    return (
        bool({asked.verb, "*"} & set(rule.verbs))
        and bool(wanted & set(rule.resources))
        and asked.resource not in rule.excluded
        and asked.full_resource not in rule.excluded
        and (not rule.namespaces or "*" in rule.namespaces or asked.namespace in rule.namespaces)
    )


def forbidden(caller: TokenSpec, asked: Attributes) -> Refused:
    """The 403 an API server gives when no rule allows the request."""
    full = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    subject = f'{full} "{asked.name}"' if asked.name else full
    where = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    return Refused(
        403,
        f'{subject} is forbidden: User "{caller.user}" cannot {asked.verb} resource "{asked.full_resource}" '
        f'in API group "{asked.group}"{where}',
        {"name": asked.name, "group": asked.group, "kind": asked.resource},
    )


def access_review(spec: Json, caller: TokenSpec | None) -> Json:
    """The answer to a SelfSubjectAccessReview whose spec this is."""
    if "nonResourceAttributes" in spec:
        allowed = spec["nonResourceAttributes"].get("verb") == "get"
    else:
        given = spec.get("resourceAttributes") or {}
        allowed = allows(
            caller,
            Attributes(
                given.get("verb", ""), given.get("group", ""), given.get("resource", ""),
                given.get("subresource", ""), given.get("namespace", ""), given.get("name", ""),
            ),
        )  # fmt: skip
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": {"allowed": allowed, "reason": "a rule of the token allows it" if allowed else ""},
    }


def rules_review(spec: Json, caller: TokenSpec | None, catalog: Catalog) -> Json:
    """The answer to a SelfSubjectRulesReview: every rule that holds in the namespace asked about."""
    rules = [Rule(("*",), ("*",))] if caller is None else list(caller.rules)
    namespace = spec.get("namespace") or "default"
    reviews = [
        {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
         "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}
    ]  # fmt: skip
    for rule in rules:
        if not rule.namespaces or "*" in rule.namespaces or namespace in rule.namespaces:
            reviews += _listed(rule, catalog)
    return {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {},
        "status": {
            "resourceRules": reviews,
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": list(DISCOVERY_PATHS)}],
            "incomplete": False,
        },
    }


def _listed(rule: Rule, catalog: Catalog) -> list[dict[str, list[str]]]:
    """A rule in RBAC's form, which knows no exceptions: `*` less something becomes a list of names."""
    verbs = list(rule.verbs)
    if "*" not in rule.resources:
        named = [name for name in rule.resources if name not in rule.excluded]
        groups = sorted(
            {r.group for r in catalog.plurals() if r.plural in {n.partition("/")[0] for n in named}}
        )
        return [{"verbs": verbs, "apiGroups": groups or [""], "resources": named}]
    if not rule.excluded:
        return [{"verbs": verbs, "apiGroups": ["*"], "resources": ["*"]}]
    by_group: dict[str, list[str]] = {}
    for each in catalog.plurals():
        if each.group == "authorization.k8s.io":
            continue
        names = [each.plural, *(f"{each.plural}/{sub[0]}" for sub in each.subresources)]
        kept = [name for name in names if not {name, each.plural} & set(rule.excluded)]
        by_group.setdefault(each.group, []).extend(kept)
    return [
        {"verbs": verbs, "apiGroups": [group], "resources": names}
        for group, names in by_group.items()
        if names
    ]

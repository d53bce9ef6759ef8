"""Remedies as commands, with the real names of one audit."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from xdsaudit.audit.causes import rejection, translation
from xdsaudit.audit.causes.catalogue import BY_SLUG
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.commands import EXAMPLES
from xdsaudit.model.verdict import Audit, Finding, Fix, RuleVerdict, Verdict
from xdsaudit.model.view import State, ViewName

_POD: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_KEY: Final = re.compile(r"[A-Za-z0-9][-\w./]*")
_SECRET: Final = re.compile(r"[a-z-]+://[^/\s]+/([^/\s]+)/([^/\s;,]+)")
_CLUSTER: Final = re.compile(r"outbound(?:_)?\|(\d+)\|[^|\s]*\|([^.\s|]+)\.([^.\s|]+)\.svc\.")
_LACKS: Final = frozenset({Verdict.LOST, Verdict.CHANGED})
_FEW: Final = 3
"""Up to so many pods are named, also where they are all."""
Values = dict[str, str]


def with_fixes(audit: Audit) -> Audit:
    """The audit with commands beside its remedies."""
    rules = [*audit.rules]
    told = [n for n, r in enumerate(rules) if r.slug is not None]
    whole = _duplicates([rules[n] for n in told], rules)
    base = _controller(audit.controller)

    def fixed(rule: RuleVerdict) -> RuleVerdict:
        cause = BY_SLUG.get(rule.slug or "")
        if cause is None or not cause.fix:
            return rule
        return rule._replace(fix=_filled(cause, {**base, **_of_rule(audit, rule, whole)}, rule.remedy))

    def mended(finding: Finding) -> Finding:
        cause = BY_SLUG.get(finding.slug)
        if cause is None or not cause.fix:
            return finding
        return replace(finding, fix=_filled(cause, {**base, **_of_finding(finding)}, finding.remedy))

    for n in told:
        rules[n] = fixed(rules[n])
    return replace(
        audit,
        rules=tuple(rules),
        not_selected=tuple([r if r.slug is None else fixed(r) for r in audit.not_selected]),
        findings=tuple(mended(f) for f in audit.findings),
    )


def examples(cause: Cause) -> tuple[Fix, ...]:
    """The commands of a cause with invented names, for the page of its code."""
    return _filled(cause, dict(EXAMPLES), cause.remedy)


def _filled(cause: Cause, values: Values, remedy: str | None) -> tuple[Fix, ...]:
    """The commands of which every place is known. A remedy that differs from the catalogue's forbids a restart of the gateway."""
    found = []
    for command in cause.fix:
        if command.restarts and not (remedy or "").startswith(cause.remedy):
            continue
        try:
            found.append(Fix(command.title.format_map(values), command.text.format_map(values)))
        except KeyError:
            continue
    return tuple(found)


def _controller(controller: Mapping[str, object]) -> Values:
    system = str(controller.get("system_namespace") or "higress-system")
    name = controller.get("ingress_class")
    values = {"system": system, "gateway_namespace": str(controller.get("gateway_namespace") or system)}
    taken = "higress" if name is None else str(name)
    return _quoted(values) | ({"class": taken} if _POD.fullmatch(taken) else {})


def _of_rule(audit: Audit, verdict: RuleVerdict, whole: frozenset[str]) -> Values:
    rule, origin = verdict.rule, audit.origin(verdict.rule)
    values = {"namespace": rule.namespace, "ingress": rule.ingress}
    values["duplicate" if rule.ref in whole else "partly"] = rule.ingress
    if verdict.by is not None:
        values |= {"by_namespace": verdict.by.namespace, "by_ingress": verdict.by.ingress}
    elif verdict.slug == rejection.ENVOY_REJECTED.slug and any(
        line.startswith(f"culprit: {rule.ref} ") for line in verdict.evidence
    ):
        values |= {"by_namespace": rule.namespace, "by_ingress": rule.ingress}
    if origin is not None:
        values["file"] = origin.file
    bad = [r.replica for r in verdict.replicas if r.view == ViewName.GATEWAY and r.verdict in _LACKS and r.replica]
    return _quoted(values) | _pods(bad, _gateways(audit)) | _named(verdict.evidence)


def _of_finding(finding: Finding) -> Values:
    values: Values = {}
    for concern in finding.concerns:
        if concern.namespace and concern.ingress and "ingress" not in values:
            values |= {"namespace": concern.namespace, "ingress": concern.ingress}
            if concern.resource:
                values["key"] = concern.resource
        kind, _, name = (concern.resource or "").partition("/")
        if kind == "wasmplugin" and "/" in name:
            values["plugin_namespace"], _, values["plugin"] = name.partition("/")
    if finding.by is not None:
        values |= {"by_namespace": finding.by.namespace, "by_ingress": finding.by.ingress}
    bad = [c.replica for c in finding.concerns if c.view == ViewName.GATEWAY and c.replica]
    return _quoted(values) | _pods(bad) | _named(finding.evidence)


def _quoted(values: Values) -> Values:
    """What can be a name in a cluster, quoted for a shell; what cannot is no name that a command could use."""
    shapes = {"key": _KEY, "file": re.compile(".+")}
    return {n: shlex.quote(v) for n, v in values.items() if shapes.get(n, _NAME).fullmatch(v)}


def _pods(names: Iterable[str], of: int = 0) -> Values:
    """Names of pods, or the label of all where it is many; an address or a file is none, and no kubectl command helps there."""
    pods = [n for n in dict.fromkeys(names) if _POD.fullmatch(n)]
    if not pods:
        return {}
    if len(pods) == of > _FEW:
        return {"gateway": pods[0], "every_gateway": "app=higress-gateway"}
    return {"gateway": pods[0], "gateways": " ".join(pods)}


def _gateways(audit: Audit) -> int:
    return sum(v.name is ViewName.GATEWAY and v.state in (State.READ, State.PARTIAL) for v in audit.views)


def _named(evidence: Iterable[str]) -> Values:
    """The Secret and the Service that evidence names, as Envoy knows them."""
    values: Values = {}
    for line in evidence:
        secret, cluster = _SECRET.search(line), _CLUSTER.search(line)
        if secret and "secret" not in values:
            values |= {"secret_namespace": secret[1], "secret": secret[2]}
        if cluster and "service" not in values:
            values |= {"port": cluster[1], "service": cluster[2], "service_namespace": cluster[3]}
    return _quoted(values)


def _duplicates(told: Iterable[RuleVerdict], rules: Iterable[RuleVerdict]) -> frozenset[str]:
    """Ingresses of which every rule is a duplicate of another Ingress's."""
    slug = translation.DUPLICATED_ROUTE.slug
    doubled = [r for r in told if r.slug == slug and r.by is not None and r.by.ref != r.rule.ref]
    refs = {r.rule.ref for r in doubled}
    total = Counter(r.rule.ref for r in rules if r.rule.ref in refs) if refs else Counter()
    found = Counter(r.rule.ref for r in doubled)
    return frozenset(ref for ref, number in found.items() if number == total[ref])

"""A batch before it is applied, against what is live: what would be refused, rejected, hidden, or would stop the controller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from xdsaudit.audit.causes import certificates, protection, rejection, shadowing, translation, upstream, written
from xdsaudit.audit.causes.suppress import Ignored
from xdsaudit.audit.check import migration
from xdsaudit.audit.check.case import Case, Remark, whole
from xdsaudit.audit.check.changes import changed_rules, changes, notes
from xdsaudit.audit.check.families import remarks
from xdsaudit.audit.compare.flaws import flaw_of
from xdsaudit.audit.compare.shadowing import hidden_rules, shadows
from xdsaudit.audit.plugins.batch import check_plugins
from xdsaudit.audit.questions.api_findings import findings_of, notes_of
from xdsaudit.audit.questions.suppress import left_out
from xdsaudit.audit.requests.dead import dead_rules
from xdsaudit.ingress.annotations import HIGRESS, NGINX
from xdsaudit.ingress.api_rules import Complaint
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute
from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.parts import Kept
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.route import Route, clusters_of_fields
from xdsaudit.model.verdict import Audit, Concern, Finding, Origin, Origins, Rule, Severity, origin_in
from xdsaudit.model.view import View, ViewName

K = TypeVar("K")
V = TypeVar("V")
_BATCH_ALONE = "what is live was not read: only the batch itself was checked"


@dataclass(frozen=True)
class Batch:
    """What is about to be applied.

    Attributes:
        objects: of the manifests.
        origins: where its Ingresses were written.
        order: position of each object, by kind, namespace and name.
        now: time of the check (RFC 3339): what is new is created then, and loses against what is older.
        complaints: what is wrong with the manifests as such.
    """

    objects: KubeObjects
    origins: Origins
    order: Mapping[tuple[str, str, str], int]
    now: str
    complaints: tuple[Complaint, ...] = ()


def check_batch(
    batch: Batch,
    live: KubeObjects | None,
    profile: Profile,
    *,
    extensions: frozenset[str] | None = None,
    from_nginx: bool = False,
) -> Audit:
    """What applying a batch would do, as findings with file and line; the audit holds no rules.

    Args:
        batch: what is about to be applied.
        live: what is applied already; None where it was not read, and then only the batch is judged.
        profile: of the controller.
        extensions: type URLs that the gateways' Envoy can decode, where they were read.
        from_nginx: whether the batch was written for ingress-nginx; then differences from it are told too.
    """
    return checked(batch, live, profile, extensions=extensions, from_nginx=from_nginx)[1]


def checked(
    batch: Batch,
    live: KubeObjects | None,
    profile: Profile,
    *,
    extensions: frozenset[str] | None = None,
    from_nginx: bool = False,
) -> tuple[Case, Audit]:
    """A check with the translations it rests on, for further questions about them; arguments as of ``check_batch``."""
    case = _case(batch, live, profile)
    compared = changes(case)
    left: list[str] = []
    found = [
        *findings_of(batch.complaints),
        *check_plugins(case.mine, case.objects, case.after, batch.origins, live=live is not None),
        *(finding_of(remark, batch.origins) for remark in _remarks(case, batch, extensions, left)),
    ]
    if from_nginx:
        own = written.ANNOTATION_WITHOUT_EFFECT.slug
        found = [f for f in found if f.slug != own or not (f.concerns[0].resource or "").startswith(NGINX)]
        found += [finding_of(remark, batch.origins) for remark in migration.migration(case)]
    if compared is not None:
        found += [finding_of(remark, batch.origins) for remark in changed_rules(compared, case)]
    ignored = Ignored(batch.objects.ingresses)
    hidden = [f for f in found if ignored.suppresses(ref_of(f), f)]
    found = [f for f in found if not ignored.suppresses(ref_of(f), f)]
    result = Audit(
        left_out=left_out("ignore", ((f.code, f.message) for f in hidden)),
        captured_at=batch.now,
        controller={"kind": "higress", "version": ".".join(map(str, profile.version))},
        views=(),
        counts={},
        rules=(),
        findings=tuple(sorted(dict.fromkeys(found), key=_weight if from_nginx else _place)),
        notes=(
            _counted(case),
            *notes_of(batch.complaints),
            *(migration.notes(case) if from_nginx else ()),
            *(f"assumed: {a}" for a in profile.assumed),
            *left,
            *(notes(compared) if compared is not None else (_BATCH_ALONE,)),
        ),
        origins=batch.origins,
    )
    return case, result


def _case(batch: Batch, live: KubeObjects | None, profile: Profile) -> Case:
    """Both translations; what the batch leaves as it is is translated once."""
    kept = Kept()
    before = translate(live or KubeObjects(), profile, kept)
    objects = merged(batch, live)
    after = translate(objects, profile, kept)
    return Case(batch.objects, objects, live, before, after, frozenset(i.ref for i in batch.objects.ingresses))


def _remarks(case: Case, batch: Batch, extensions: frozenset[str] | None, left: list[str]) -> Iterator[Remark]:
    """What is said of the batch's Ingresses, whoever wrote them and for whichever controller; ``left`` gets what was left open."""
    after, refs, live = case.after, set(case.refs), case.live
    yield from _crashes(after, refs)
    yield from _rejected(after, refs, extensions)
    yield from _shadowed(after, refs, left)
    yield from _unmatchable(after, refs)
    yield from _backends(after, refs, batch, live)
    yield from _certificates(after, batch, live)
    yield from _meaningless(after, refs)
    yield from remarks(case)


def _counted(case: Case) -> str:
    """How much was looked at."""
    rules = sum(plan.rule.ref in case.refs and plan.selected for plan in case.after.plans)
    ingresses = len(case.refs)
    return f"checked: {rules:,} rule{'s' * (rules != 1)} of {ingresses:,} Ingress{'es' * (ingresses != 1)}"


def merged(batch: Batch, live: KubeObjects | None) -> KubeObjects:
    """The objects as they will be: those of the batch over those that are live; new ones are created now."""
    old = live or KubeObjects()
    known = {(i.namespace, i.metadata.name): i for i in old.ingresses}
    ingresses = dict(known)
    for each in batch.objects.ingresses:
        key = (each.namespace, each.metadata.name)
        created = known[key].metadata.creationTimestamp if key in known else None
        ingresses[key] = _created(each, created or batch.now)
    mine = batch.objects
    return KubeObjects(
        ingresses=tuple(ingresses.values()),
        classes=old.classes | mine.classes,
        services=_both(old.services, mine.services) if live is not None else mine.services,
        ready=old.ready,
        configmaps=_both(old.configmaps, mine.configmaps),
        secret_keys={**old.secret_keys, **mine.secret_keys},
        secrets=(old.secrets | (mine.secrets or frozenset())) if old.secrets is not None else None,
        registries=mine.registries or old.registries,
        plugins=_plugins(old, mine),
    )


def _plugins(old: KubeObjects, mine: KubeObjects) -> tuple[WasmPlugin, ...] | None:
    if old.plugins is None and mine.plugins is None:
        return None
    return tuple({p.ref: p for p in (*(old.plugins or ()), *(mine.plugins or ()))}.values())


def _created(ingress: Ingress, when: str) -> Ingress:
    meta = msgspec.structs.replace(ingress.metadata, creationTimestamp=when, managedFields=None)
    return msgspec.structs.replace(ingress, metadata=meta)


def _both(old: Mapping[K, V] | None, new: Mapping[K, V] | None) -> Mapping[K, V] | None:
    return None if old is None and new is None else {**(old or {}), **(new or {})}


def _place(finding: Finding) -> tuple[str, int, str]:
    return (finding.at.file, finding.at.line, finding.code) if finding.at else ("", 0, finding.code)


def _weight(finding: Finding) -> tuple[bool, int, str, int, str]:
    """The worst first, what protects a route before all."""
    return (
        finding.slug != protection.PROTECTION_NOT_APPLIED.slug,
        list(Severity).index(finding.severity),
        *_place(finding),
    )


def _written_at(origins: Origins, rule: Rule, resource: str | None) -> Origin | None:
    """Where the annotation or the object was written that a finding is about."""
    if resource is None:
        return None
    keys = (f"@{prefix}{resource}" for prefix in ("", NGINX, HIGRESS))
    return next((at for k in keys if (at := origins.get((rule.ref, "", k)))), None) or origins.get((resource, "", ""))


def finding_of(remark: Remark, origins: Origins) -> Finding:
    """A remark of a family of rules as a finding, with file and line."""
    rule, resource = remark.rule, remark.resource
    concern = Concern(ViewName.INGRESS, None, resource, rule.namespace, rule.ingress)
    at = _written_at(origins, rule, resource) or origin_in(origins, rule)
    return remark.cause.finding(remark.message, concern, by=remark.by, severity=remark.severity, at=at)


def ref_of(finding: Finding) -> str:
    """The Ingress that a finding of the check is about, ``namespace/name``."""
    concern = finding.concerns[0]
    return f"{concern.namespace}/{concern.ingress}"


def _whole(namespace: str, ingress: str) -> Rule:
    """An Ingress as a whole, where a finding is of none of its paths."""
    return Rule(namespace, ingress, "", "", None)


def _crashes(after: Expectation, refs: set[str]) -> Iterator[Remark]:
    for namespace, ingress, what in after.crashes:
        if f"{namespace}/{ingress}" in refs:
            message = f"Ingress {namespace}/{ingress} carries {what}, which will stop the controller for everyone"
            yield Remark(translation.CONTROLLER_CRASH_KEY, _whole(namespace, ingress), message)


def _meaningless(after: Expectation, refs: set[str]) -> Iterator[Remark]:
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for namespace, ingress, key, said in after.meaningless:
        if f"{namespace}/{ingress}" in refs:
            grouped.setdefault((namespace, ingress, said), []).append(key)
    for (namespace, ingress, said), keys in grouped.items():
        what = f"annotation {keys[0]}" if len(keys) == 1 else f"annotations {', '.join(keys)}"
        message = f"{what} of {namespace}/{ingress} {'has' if len(keys) == 1 else 'have'} no effect: {said}"
        yield Remark(written.ANNOTATION_WITHOUT_EFFECT, _whole(namespace, ingress), message, resource=keys[0])


def _mine(after: Expectation, refs: set[str]) -> Iterator[tuple[Rule, ExpectedRoute]]:
    for routes in after.tables.values():
        for route in routes:
            for index in route.rules:
                if after.plans[index].rule.ref in refs:
                    yield after.plans[index].rule, route


def _rejected(after: Expectation, refs: set[str], extensions: frozenset[str] | None) -> Iterator[Remark]:
    envoy = View(ViewName.GATEWAY, None, extensions=extensions)
    for rule, route in _mine(after, refs):
        flaw = flaw_of(Route(route.key, route.name, route.fields, route.cluster), envoy)
        if flaw is not None and flaw.sure:
            text = f"{rule} will be rejected by Envoy, with every change that comes along: {flaw.reason}"
            yield Remark(rejection.ENVOY_REJECTED, rule, text)


def _shadowed(after: Expectation, refs: set[str], left: list[str]) -> Iterator[Remark]:
    """What is hidden where the batch has routes; of hosts where not all was looked into, that is noted."""
    for place, routes in after.tables.items():
        if not any(after.plans[i].rule.ref in refs for route in routes for i in route.rules):
            continue
        plain = [Route(e.key, e.name, e.fields, e.cluster) for e in routes]
        said: list[str] = []
        hidden = shadows(plain, said.append)
        left += [f"{place[1]} on port {place[0]}: {why}" for why in said]
        for index, (_, by) in hidden_rules(enumerate(routes), hidden).items():
            winner = routes[by]
            other = after.plans[winner.rules[0]].rule if winner.rules else None
            mine = after.plans[index].rule
            if other == mine or (mine.ref not in refs and (other is None or other.ref not in refs)):
                continue
            text = f"{mine} will never be reached on port {place[0]}: {other or winner.name} takes every request first"
            yield Remark(shadowing.SHADOWED, mine if mine.ref in refs else (other or mine), text, by=other)


def _unmatchable(after: Expectation, refs: set[str]) -> Iterator[Remark]:
    for index, why in dead_rules(after).items():
        rule = after.plans[index].rule
        if rule.ref in refs:
            yield Remark(shadowing.UNMATCHABLE_PATH, rule, f"{rule} can be reached by no request: {why.said}")


def _services(route: ExpectedRoute) -> Iterable[tuple[str, str, str]]:
    """Namespace, name and port of the Kubernetes Services a route goes to."""
    for cluster in filter(None, (route.cluster, *clusters_of_fields(route.fields))):
        parts = cluster.split("|")
        if len(parts) == 4 and ".svc." in parts[3]:
            name, namespace = parts[3].split(".")[:2]
            yield namespace, name, parts[1]


def _backends(after: Expectation, refs: set[str], batch: Batch, live: KubeObjects | None) -> Iterator[Remark]:
    services = _both(live.services if live else None, batch.objects.services)
    if live is None or live.services is None or services is None:
        return  # without the live Services nobody can say that one is missing
    for rule, route in _mine(after, refs):
        for namespace, name, port in _services(route):
            found = services.get((namespace, name))
            ports = [p.port for p in found.spec.ports or ()] if found is not None else []
            if found is None:
                text = f"{rule}: Service {namespace}/{name} does not exist: requests will get 503"
            elif found.spec.type == "ExternalName" and not ports:
                text = f"{rule}: ExternalName Service {namespace}/{name} has no ports, and pilot makes no cluster of it: write spec.ports"
            elif port.isdigit() and int(port) not in ports:
                text = f"{rule}: Service {namespace}/{name} has no port {port}, only {', '.join(map(str, ports)) or 'none'}"
            else:
                continue
            yield Remark(upstream.CLUSTER_ABSENT, rule, text)
    yield from _late_services(batch, live)


def _late_services(batch: Batch, live: KubeObjects) -> Iterator[Remark]:
    """Ports by name whose Service comes later in the batch than the Ingress: nothing starts their translation again."""
    for ingress in batch.objects.ingresses:
        at = batch.order.get(("Ingress", ingress.namespace, ingress.metadata.name), 0)
        for rule in ingress.spec.rules or ():
            for path in (rule.http.paths or ()) if rule.http else ():
                service = path.backend.service if path.backend else None
                if service is None or not service.port.name:
                    continue
                key = (ingress.namespace, service.name)
                if key not in (live.services or {}) and batch.order.get(("Service", *key), 0) > at:
                    mine = Rule(
                        ingress.namespace, ingress.metadata.name, rule.host or "*", path.path or "/", path.pathType
                    )
                    text = (
                        f"{mine} names port {service.port.name} of Service {'/'.join(key)}, which comes later in the batch: "
                        "applied in this order, the rule stays out until some Ingress changes"
                    )
                    yield Remark(translation.PORT_NAME_RESOLVE_ERROR, mine, text)


def _certificates(after: Expectation, batch: Batch, live: KubeObjects | None) -> Iterator[Remark]:
    known = (live.secrets if live else None, batch.objects.secrets or frozenset())
    hosts = {h for _, h in after.tables}
    for ingress in batch.objects.ingresses:
        listed = {h for t in ingress.spec.tls or () for h in t.hosts or ()}
        for tls in ingress.spec.tls or ():
            key = (ingress.namespace, tls.secretName)
            if known[0] is not None and tls.secretName and key not in known[0] and key not in known[1]:
                if tls.hosts and all(after.secrets.get(h, key) != key for h in tls.hosts):
                    continue  # another certificate of these hosts is used: higress-https falls back, or an older Ingress brings one
                rule = whole(ingress)
                others = sorted("/".join(s) for s in (known[0] | known[1]) if s[1] == tls.secretName)
                there = (
                    f" ({others[0]} does, and a certificate must stand in the namespace of its Ingress)"
                    if others
                    else ""
                )
                text = f"{ingress.ref}: Secret {'/'.join(key)} does not exist{there}: HTTPS will fail in the handshake"
                yield Remark(certificates.CERTIFICATE_WARMING, rule, text)
        for host in sorted({r.host for r in ingress.spec.rules or () if r.host}):
            if ingress.spec.tls and host in hosts and host not in listed and host not in after.secrets:
                rule = Rule(ingress.namespace, ingress.metadata.name, host, "", None)
                text = f"{ingress.ref}: {host} gets no TLS: spec.tls lists {', '.join(sorted(listed)) or 'no host'}"
                yield Remark(translation.TLS_IGNORED, rule, text)

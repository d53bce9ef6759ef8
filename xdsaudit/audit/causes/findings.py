"""Findings: what is wrong beside single rules. A healthy gateway gives none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from xdsaudit.audit.case import World
from xdsaudit.audit.causes.catalogue import BY_SLUG
from xdsaudit.audit.causes.evidence import frozen_since, short
from xdsaudit.audit.causes.exposure import SLUG, exposed_by_value
from xdsaudit.audit.causes.remedy import refusal_of, remedy_of
from xdsaudit.audit.compare.view import Judgement
from xdsaudit.audit.stage import Rejection, initializing, listener_error, silent
from xdsaudit.model.verdict import Concern, Finding, Rule, RuleVerdict, Severity, Verdict
from xdsaudit.model.view import View, ViewName


def findings(world: World, rejected: dict[str | None, Rejection], rules: Sequence[RuleVerdict]) -> Iterator[Finding]:
    """All findings, errors first within each kind."""
    yield from _crashes(world)
    yield from _certificates(world)
    yield from _meaningless(world)
    for each in exposed_by_value(world):
        yield _make(
            SLUG,
            f"{', '.join(each.keys)} of {each.namespace}/{each.ingress} does not apply: {each.why}",
            (Concern(ViewName.INGRESS, None, each.keys[0], each.namespace, each.ingress),),
        )
    for judged in world.read(ViewName.GATEWAY):
        differs = bool(judged.missing or judged.changed or judged.extra)
        if judged.view.connected is False:
            yield replace(
                _disconnected(judged.view, differs),
                remedy=remedy_of("gateway-disconnected", world.expectation.profile, refusal_of(judged.view, rejected)),
            )
        elif initializing(judged.view):
            yield _initializing(judged.view)
        else:
            yield from _silent(world, judged)
        yield from _warming(judged.view)
        yield from _listener_errors(judged.view)
    yield from _foreign(world)
    for rejection in rejected.values():
        yield _rejected(world, rejection)
    yield from _disagreement(world, rules)
    for view in world.unserved:
        yield _make(
            "node-served-nothing",
            f"{view.label} serves the node that was played nothing: neither listener, scope nor route",
            (Concern(view.name, view.replica),),
        )


def _make(
    slug: str,
    message: str,
    concerns: tuple[Concern, ...],
    *,
    by: Rule | None = None,
    evidence: tuple[str, ...] = (),
    severity: Severity | None = None,
) -> Finding:
    row = BY_SLUG[slug]
    return Finding(row.code, slug, severity or row.severity, message, concerns, by, evidence, row.remedy)


def _crashes(world: World) -> Iterator[Finding]:
    for namespace, ingress, what in world.expectation.crashes:
        yield _make(
            "controller-crash-key",
            f"Ingress {namespace}/{ingress} carries {what}, which makes the controller panic: "
            "nothing that changes after it reaches a gateway",
            (Concern(ViewName.INGRESS, None, None, namespace, ingress),),
        )


def _certificates(world: World) -> Iterator[Finding]:
    why = world.expectation.certificates
    if why is not None:
        namespace = world.expectation.profile.system_namespace
        yield _make(
            "certificates-invalid",
            f"ConfigMap {namespace}/higress-https is void, and no certificate of it applies: {why}",
            (Concern(ViewName.INGRESS, None, f"configmap/{namespace}/higress-https"),),
        )


def _meaningless(world: World) -> Iterator[Finding]:
    """Annotations without effect: said once a key, however many Ingresses carry it."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for namespace, ingress, key, said in world.expectation.meaningless:
        by_key.setdefault((key, said), []).append(f"{namespace}/{ingress}")
    for (key, said), refs in sorted(by_key.items()):
        who = refs[0] if len(refs) == 1 else f"{len(refs)} Ingresses, {refs[0]} among them"
        yield _make(
            "annotation-without-effect",
            f"annotation {short(key)} of {who} has no effect: {said}",
            tuple(Concern(ViewName.INGRESS, None, key, *ref.split("/", 1)) for ref in refs[:20]),
        )


def _disconnected(view: View, differs: bool) -> Finding:
    frozen = "and differs from what must be served" if differs else "and will miss every further change"
    return _make(
        "gateway-disconnected",
        f"{view.label} is connected to no control plane {frozen}",
        (Concern(view.name, view.replica),),
        evidence=(f"control_plane.connected_state is 0{frozen_since(view)}",),
        severity=Severity.ERROR if differs else Severity.WARNING,
    )


def _initializing(view: View) -> Finding:
    state = view.own.state
    return _make(
        "gateway-initializing",
        f"{view.label} is {state} and serves nothing yet: it waits for its first listeners and clusters",
        (Concern(view.name, view.replica),),
        evidence=(f"server_info.state is {state}",),
    )


def _silent(world: World, judged: Judgement) -> Iterator[Finding]:
    """Ports that rules are served on and no listener takes connections of: said once, whatever the number of rules."""
    view = judged.view
    profile = world.expectation.profile
    for port in (profile.http_port, profile.https_port):
        rules = [r for r, missing in judged.missing.items() if any(m.place[0] == port for m in missing)]
        if rules and silent(view, secure=port == profile.https_port) and not listener_error(view):
            yield _make(
                "nothing-listens",
                f"{view.label}: nothing listens on port {port}, which holds back {len(rules)} rule{'s' * (len(rules) != 1)}",
                (Concern(view.name, view.replica, str(port)),),
            )


def _warming(view: View) -> Iterator[Finding]:
    warming = [li for li in view.listeners or () if li.state == "warming"]
    if not warming:
        return
    waited = sorted(
        {s for li in view.listeners or () for c in li.chains for s in c.secrets} & (view.warming_secrets or frozenset())
    )
    names = ", ".join(li.name for li in warming)
    waiting = f"waiting for the certificates {', '.join(waited)}" if waited else "waiting for something not shown here"
    yield _make(
        "listener-warming",
        f"{view.label}: {names} serve nothing yet, {waiting}"
        if len(warming) > 1
        else f"{view.label}: {names} serves nothing yet, {waiting}",
        tuple(Concern(view.name, view.replica, li.name) for li in warming),
        evidence=tuple(f"dynamic_warming_secrets holds {s}" for s in waited),
    )


def _listener_errors(view: View) -> Iterator[Finding]:
    for listener in view.listeners or ():
        if listener.error:
            yield _make(
                "listener-rejected",
                f"{view.label} rejected an update of listener {listener.name or '(unnamed)'}: {short(listener.error)}",
                (Concern(view.name, view.replica, listener.name or None),),
                evidence=(f"error_state: {short(listener.error)}",),
            )


def _rejected(world: World, rejection: Rejection) -> Finding:
    plans = world.expectation.plans
    hosts = {plans[i].rule.host for i in rejection.held}
    guilty = [c for c in rejection.culprits if c.rule is not None]
    names = list(dict.fromkeys(plans[c.rule].rule.ref for c in guilty if c.rule is not None))
    count = (
        f"{len(rejection.held)} rule{'s' * (len(rejection.held) != 1)} on {len(hosts)} host{'s' * (len(hosts) != 1)}"
    )
    sure = all(c.flaw.sure for c in rejection.culprits)
    if names:
        who = (
            f"{', '.join(names)} {'makes' if len(names) == 1 else 'make'} it"
            if sure
            else f"probably {', '.join(names)}"
        )
        message = f"{rejection.gateway.label} rejects what pilot serves ({who}), which holds back {count}"
    else:
        message = (
            f"{rejection.gateway.label} rejects what pilot serves, which holds back {count}; the culprit is not known"
        )
        suspects = {plans[i].rule.ref for i in rejection.held}
        if len(suspects) == 1:
            message += f", and {next(iter(suspects))} is the first suspect: no other Ingress differs"
    concerns = [Concern(ViewName.GATEWAY, rejection.gateway.replica)]
    concerns += [
        Concern(ViewName.PILOT, None, c.route.name, plans[c.rule].rule.namespace, plans[c.rule].rule.ingress)
        for c in guilty
        if c.rule is not None
    ]
    return _make(
        "envoy-rejected",
        message,
        tuple(dict.fromkeys(concerns)),
        by=plans[guilty[0].rule].rule if guilty and guilty[0].rule is not None else None,
        evidence=tuple(dict.fromkeys(f"{c.route.name}: {c.flaw.reason}" for c in rejection.culprits)),
    )


def _foreign(world: World) -> Iterator[Finding]:
    """Routes of Gateway API, Istio or other objects: said once an object, and never extra."""
    seen: dict[str, int] = {}
    for name in (ViewName.PILOT, ViewName.GATEWAY):
        for judged in world.read(name):
            for origin, count in judged.foreign.items():
                seen[origin] = max(count, seen.get(origin, 0))
    for origin, count in sorted(seen.items()):
        yield _make(
            "other-origin",
            f"{count} route{'s' * (count != 1)} come from {origin}, which was not made of an Ingress, and are not judged",
            (Concern(resource=origin),),
        )


def _disagreement(world: World, rules: Sequence[RuleVerdict]) -> Iterator[Finding]:
    """Replicas of one view that hold a rule and others that do not: 'sporadic' becomes k of n."""
    split: dict[tuple[ViewName, tuple[str, ...], int], int] = {}
    lost, changed = Verdict.LOST, Verdict.CHANGED
    for verdict in [v for v in rules if v.verdict is lost or v.verdict is changed]:
        for name in {r.view for r in verdict.replicas}:
            # A replica that could not be read neither has the rule nor lacks it.
            mine = [r for r in verdict.replicas if r.view == name and r.verdict is not Verdict.UNKNOWN]
            bad = tuple(r.replica or "" for r in mine if r.verdict in (Verdict.LOST, Verdict.CHANGED))
            if bad and len(bad) < len(mine):
                split[name, bad, len(mine)] = split.get((name, bad, len(mine)), 0) + 1
    for (name, bad, total), count in sorted(split.items()):
        message = (
            f"{len(bad)} of {total} {name} replicas lack or change {count} rule{'s' * (count != 1)}: {', '.join(bad)}"
        )
        hanging = [str(g) for g, listed in world.attached.items() if set(listed) & set(bad)]
        yield _make(
            "pilots-disagree" if name in (ViewName.PILOT, ViewName.PILOT_FRESH) else "replicas-disagree",
            message,
            tuple(Concern(name, replica) for replica in bad),
            evidence=(f"on {', '.join(bad)} hang the gateways {', '.join(sorted(hanging))}",)
            if hanging and name == ViewName.PILOT
            else (),
        )

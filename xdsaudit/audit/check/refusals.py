"""What the controller would refuse, why, and who is to blame: the batch, one of its Ingresses alone, or what stood before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from xdsaudit.audit.causes import auditor, control_plane, intake, upstream
from xdsaudit.audit.causes.catalogue import refused
from xdsaudit.audit.check.case import Case, Remark
from xdsaudit.ingress.annotations import HIGRESS, NGINX, boolean, look
from xdsaudit.ingress.backends import parse_destinations
from xdsaudit.ingress.canary import is_canary
from xdsaudit.ingress.expectation import RulePlan
from xdsaudit.ingress.go import fields, parse_int
from xdsaudit.ingress.objects import Ingress
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.verdict import Rule, Severity

_CANARY: Mapping[str, str] = {
    p + k: k for p in (NGINX, HIGRESS) for k in ("canary-weight", "canary-by-header", "canary-by-cookie")
}

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def refusals(case: Case) -> Iterator[Remark]:
    """Rules of the batch that would be left alone or refused, with the reason behind the reason."""
    profile = case.after.profile
    by_ref = {i.ref: i for i in case.objects.ingresses}
    for plan in case.after.plans:
        rule = plan.rule
        if rule.ref not in case.refs:
            continue
        if not plan.selected:
            cause = intake.why(profile, rule.namespace)
            yield Remark(cause, rule, f"{rule} will be left alone: {cause.title.lower()}", Severity.WARNING)
        elif plan.refusal is not None:
            yield _refused(plan, case, by_ref)
        elif plan.unknown:
            yield Remark(auditor.NOT_MODELLED, rule, f"{rule} is not judged: {plan.unknown}")


def _refused(plan: RulePlan, case: Case, by_ref: Mapping[str, Ingress]) -> Remark:
    assert plan.refusal is not None
    rule, cause = plan.rule, refused(plan.refusal)
    mine = by_ref[rule.ref]
    if plan.refusal is Refusal.DUPLICATED_ROUTE and plan.by is not None and plan.by.ref == rule.ref:
        said = f"{rule} is said twice by its own Ingress: the first of the two counts, and this one is left out"
        return Remark(cause, rule, said, Severity.WARNING, by=plan.by)
    title = cause.title[0].lower() + cause.title[1:]
    who = f" (won by {plan.by})" if plan.by else ""
    return Remark(cause, rule, f"{rule} will be refused: {title}{who}{_cause(plan, mine, case, by_ref)}", by=plan.by)


def _cause(plan: RulePlan, mine: Ingress, case: Case, by_ref: Mapping[str, Ingress]) -> str:
    """The cause behind a refusal, where the refusal is only its symptom."""
    if plan.refusal is Refusal.DUPLICATED_ROUTE:
        for ref in (plan.rule.ref, plan.by.ref if plan.by else ""):
            meant = _meant_as_canary(by_ref[ref]) if ref in by_ref else None
            if meant:
                return f"; the cause is {ref}, {meant}"
    if plan.refusal is Refusal.ORPHAN_CANARY:
        return _orphan(plan.rule, mine, case, by_ref)
    if plan.refusal is Refusal.INVALID_BACKEND_SERVICE:
        return _no_backend(mine)
    return ""


def _meant_as_canary(ingress: Ingress) -> str | None:
    """What makes an Ingress look like a canary that it is not."""
    if is_canary(ingress.annotations):
        return None
    keys = [k for k in ingress.annotations if k in _CANARY]
    switch = next((k for k in (f"{NGINX}canary", f"{HIGRESS}canary") if k in ingress.annotations), None)
    if switch is not None and boolean(ingress.annotations[switch]) is None:
        return f"whose {switch} {ingress.annotations[switch]!r} is no boolean, so that it counts as an ordinary Ingress"
    if keys and switch is None:
        return f'which has {keys[0]} without canary: "true", and counts as an ordinary Ingress'
    return None


def _orphan(rule: Rule, mine: Ingress, case: Case, by_ref: Mapping[str, Ingress]) -> str:
    same = [p for p in case.after.plans if p.selected and p.rule.ref != rule.ref and p.rule.host == rule.host]
    same = [p for p in same if p.rule.path.rstrip("/") == rule.path.rstrip("/")]
    twin = next((p.rule.ref for p in same if p.refusal is Refusal.ORPHAN_CANARY), None)
    if twin is not None:
        return f"; {twin} is a canary of the same rule too: remove canary from the one that is the base"
    base = next((p.rule for p in same if p.refusal is None and not is_canary(by_ref[p.rule.ref].annotations)), None)
    if base is None:
        return ""
    if base.path_type != rule.path_type and {base.path_type, rule.path_type} & {"Exact"}:
        return f"; {base.ref} has the same path as {base.path_type}, and this one is {rule.path_type}"
    keys = ("use-regex", "full-path-regex")
    differ = [
        k
        for k in keys
        if bool(look(mine.annotations, k, boolean)) != bool(look(by_ref[base.ref].annotations, k, boolean))
    ]
    differ += sorted(
        {
            k.partition("/")[2]
            for k in {*mine.annotations} ^ {*by_ref[base.ref].annotations}
            if "match-" in k or "rewrite-target" in k
        }
    )
    if not differ:
        return ""
    return f"; {base.ref} has the same path, and the two differ in {', '.join(differ)}, which a canary must repeat"


def _no_backend(ingress: Ingress) -> str:
    """Why the destinations of an Ingress are none (destination.go)."""
    written = ingress.annotations.get(f"{HIGRESS}destination")
    if written is None:
        if f"{NGINX}destination" in ingress.annotations:
            return f"; destination is read as {HIGRESS}destination alone"
        return f"; a resource backend needs the annotation {HIGRESS}destination"
    if parse_destinations(ingress.annotations) is not None:
        return ""
    for line in written.split("\n"):
        words = fields(line)
        bad_weight = bool(words) and words[0].endswith("%") and parse_int(words[0].removesuffix("%"), 32) is None
        if bad_weight or (words and words[0].endswith("%") and len(words) == 1):
            return f"; the line {line.strip()!r} of {HIGRESS}destination is not [WEIGHT%] HOST[:PORT] [SUBSET], and drops all of them"
    return f"; {HIGRESS}destination is blank"


def hurt(case: Case) -> Iterator[Remark]:
    """Rules that are live, not in the batch, and would be refused because of it."""
    refused_before = Counter(p.rule for p in case.before.plans if p.refusal is not None)
    fine = {p.rule for p in case.before.plans if p.selected and p.refusal is None}
    count: Counter[Rule] = Counter()
    for plan in case.after.plans:
        if plan.rule.ref in case.refs or plan.refusal is None or plan.rule not in fine:
            continue
        count[plan.rule] += 1
        if count[plan.rule] <= refused_before[plan.rule]:
            continue  # its Ingress says it twice, and one of the two was left out before
        culprit = plan.by if plan.by is not None and plan.by.ref in case.refs else plan.rule
        said = f"the batch would put {plan.rule}, which is live, out of effect ({plan.refusal})"
        yield Remark(refused(plan.refusal), culprit, said, by=plan.by)


def short_hosts(case: Case) -> Iterator[Remark]:
    """Hosts of one label: pilot completes them by its own namespace, and no route is found (push_context.go, ResolveShortnameToFQDN)."""
    for ingress in case.ingresses:
        for host in dict.fromkeys(r.host for r in ingress.spec.rules or () if _LABEL.fullmatch(r.host)):
            rule = Rule(ingress.namespace, ingress.metadata.name, host, "", None)
            why = "pilot completes it by its own namespace while the gateway keeps it, and every request gets 404: use a host with a dot"
            yield Remark(control_plane.BLACKHOLE_TABLE, rule, f"{rule.ref}: the host {host} has no dot; {why}")


def near_services(case: Case) -> Iterator[Remark]:
    """Without what is live: backends that are not in the batch, where a Service of nearly that name is."""
    if case.live is not None and case.live.services is not None:
        return
    mine = case.mine.services or {}
    for ingress in case.ingresses:
        names = [name for namespace, name in mine if namespace == ingress.namespace]
        for rule in ingress.spec.rules or ():
            for path in (rule.http.paths if rule.http else None) or ():
                service = path.backend.service if path.backend else None
                if service is None or service.name in names:
                    continue
                near = get_close_matches(service.name, names, n=1, cutoff=0.6) or [
                    n for n in names if sorted(n) == sorted(service.name)
                ]
                if near:
                    at = Rule(
                        ingress.namespace, ingress.metadata.name, rule.host or "*", path.path or "/", path.pathType
                    )
                    said = f"{at}: Service {ingress.namespace}/{service.name} is not in the batch, and {near[0]} is: did you mean that one?"
                    yield Remark(upstream.CLUSTER_ABSENT, at, said, Severity.WARNING)

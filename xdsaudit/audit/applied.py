"""The stage before translation: rules of a manifest that the API lacks or holds differently get their verdict here.

Puts verdicts over those of the later stages; must not look at a route.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsaudit.audit.causes import manifest
from xdsaudit.audit.compare.manifest import Unapplied, unapplied
from xdsaudit.ingress.objects import Ingress, KubeObjects, decode_list
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import RuleVerdict, Stage, Verdict, origin_in
from xdsaudit.model.view import ViewName

_STAND = frozenset({Verdict.NOT_SELECTED, Verdict.REFUSED, Verdict.LOST})


def rules_with_manifest(
    snapshot: Snapshot, objects: KubeObjects, rules: Sequence[RuleVerdict], others: Sequence[RuleVerdict]
) -> tuple[list[RuleVerdict], list[RuleVerdict]]:
    """The verdicts of rules that are in effect and of those not selected, with what was wanted and is not in the API.

    A rule that the API lacks is added as ``lost`` at stage ``apply``; one that it holds differently is ``changed`` there, unless it is
    refused, lost or not selected as it stands, which then is told with the difference in its evidence.

    Raises:
        ReadError: the manifests' list of Ingresses cannot be decoded.
    """
    counted, left_out = list(rules), list(others)
    data = snapshot.manifest.get("ingresses")
    if data is None:
        return counted, left_out
    places = {(id(listed), n): v for listed in (counted, left_out) for n, v in enumerate(listed)}
    by_rule = {verdict.rule: key for key, verdict in reversed(places.items())}
    for each in unapplied(decode_list(data, Ingress), objects.ingresses):
        if each.held is None:
            counted.append(_lost(each, snapshot))
            continue
        listed_id, n = by_rule[each.held]
        listed = counted if listed_id == id(counted) else left_out
        listed[n] = _changed(listed[n], each, snapshot)
    return counted, left_out


def _lost(each: Unapplied, snapshot: Snapshot) -> RuleVerdict:
    ref = each.rule.ref
    cause = manifest.NOT_APPLIED
    there = f"the API holds {ref}, without this rule" if each.exists else f"the API holds no Ingress {ref}"
    return RuleVerdict(
        each.rule,
        Verdict.LOST,
        Stage.APPLY,
        ViewName.MANIFEST,
        ViewName.INGRESS,
        cause.code,
        cause.slug,
        evidence=(_asked(each, snapshot), there),
        remedy=cause.remedy,
    )


def _changed(verdict: RuleVerdict, each: Unapplied, snapshot: Snapshot) -> RuleVerdict:
    said = (_asked(each, snapshot), *(f"the API differs in {d.field}" for d in each.fields))
    if verdict.verdict in _STAND and not (
        verdict.verdict is Verdict.NOT_SELECTED and any(d.field == "ingressClassName" for d in each.fields)
    ):
        return verdict._replace(fields=(*verdict.fields, *each.fields), evidence=(*verdict.evidence, *said))
    return manifest.applied_differently(verdict, each.fields, said)


def _asked(each: Unapplied, snapshot: Snapshot) -> str:
    return manifest.asked_by(origin_in(snapshot.origins, each.rule))

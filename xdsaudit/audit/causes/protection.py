"""Rules that answer everybody although their Ingress asks for protection: present in every view, and not what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.commands import EDIT
from xdsaudit.audit.causes.suppress import Ignored
from xdsaudit.model.verdict import Concern, FieldDelta, Finding, LeftOut, Rule, RuleVerdict, Severity, Stage, Verdict
from xdsaudit.model.view import PIPELINE, ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.ingress.protection import Unprotected

PROTECTION_NOT_APPLIED = Cause(
    code="XA212",
    slug="protection-not-applied",
    severity=Severity.ERROR,
    title="The Ingress asks for protection that does not apply",
    meaning="Annotations ask for authentication, a client's certificate or known addresses, and this Higress ignores them: it does not know the key (auth-url, denylist-source-range), has dropped it (auth-type from 2.0.7 on), or cannot read its value. It then serves the route to everybody.",
    remedy="Protect the route by what the evidence names: the plugins basic-auth, key-auth, jwt-auth, ext-auth, ip-restriction or waf, a readable whitelist-source-range, or the right auth-tls-secret. Remove the annotation then. Where a plugin protects the route already, say so with the annotation xdsaudit.io/ignore: XA212.",
    shows="Requests without credentials get 200.",
    prevention="Run xdsaudit check on what comes from ingress-nginx before it is applied.",
    issues=("higress#1008", "ingress-nginx#4736"),
    fix=(EDIT,),
    proven=True,
    lasting=True,
)


def exposed_by_ref(world: World) -> Mapping[str, Sequence[Unprotected]]:
    """What is certain not to protect, by ``namespace/ingress``, without what the Ingress says is known."""
    exposed: dict[str, list[Unprotected]] = {}
    for each in _unknown(world):
        if each.sure and not each.by_value:
            exposed.setdefault(each.ref, []).append(each)
    return exposed


def findings(world: World) -> Iterator[Finding]:
    """Annotations that Higress reads and makes nothing of: the routes are what they come to, and yet let everybody in."""
    for each in _unknown(world):
        if each.by_value:
            yield PROTECTION_NOT_APPLIED.finding(
                f"{', '.join(each.keys)} of {each.ref} does not apply: {each.why}",
                Concern(ViewName.INGRESS, None, each.keys[0], each.namespace, each.ingress),
            )


def _unknown(world: World) -> Iterator[Unprotected]:
    if world.expectation.unprotected:
        ignored = Ignored(world.objects.ingresses)
        for each in world.expectation.unprotected:
            if not ignored.suppresses(each.ref, PROTECTION_NOT_APPLIED):
                yield each


def known_exposures(world: World) -> tuple[LeftOut, ...]:
    """What is not said since the Ingress's annotation says that it is known."""
    if not world.expectation.unprotected:
        return ()
    ignored = Ignored(world.objects.ingresses)
    what = tuple(
        f"{each.ref}: {', '.join(each.keys)} does not apply: {each.why}"
        for each in world.expectation.unprotected
        if (each.sure or each.by_value) and ignored.suppresses(each.ref, PROTECTION_NOT_APPLIED)
    )
    return (LeftOut("ignore", PROTECTION_NOT_APPLIED.code, what),) if what else ()


def exposure(world: World, listed: Sequence[Unprotected], rule: Rule) -> RuleVerdict | None:
    """The verdict of a rule that is served without the protection its Ingress asks for; None when all of it is of other hosts."""
    mine = [u for u in listed if u.host in (None, rule.host)]
    if not mine:
        return None
    first = next((j.view for name in PIPELINE for j in world.read(name)), None)
    view, replica = (first.name, first.replica) if first is not None else (ViewName.CORE, None)
    return RuleVerdict(
        rule,
        Verdict.CHANGED,
        Stage.TRANSLATION,
        ViewName.INGRESS,
        view,
        PROTECTION_NOT_APPLIED.code,
        PROTECTION_NOT_APPLIED.slug,
        fields=tuple(FieldDelta(key, view, replica, "applied", None) for u in mine for key in u.keys[:1]),
        evidence=tuple(f"{', '.join(u.keys)} {'do' if len(u.keys) > 1 else 'does'} not apply: {u.why}" for u in mine),
        remedy=PROTECTION_NOT_APPLIED.remedy,
    )

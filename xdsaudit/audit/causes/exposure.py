"""Rules that answer everybody although their Ingress asks for protection: present in every view, and not what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xdsaudit.audit.case import PIPELINE, World
from xdsaudit.audit.causes.catalogue import BY_SLUG
from xdsaudit.audit.causes.suppress import ignored_by_ref
from xdsaudit.ingress.protection import Unprotected
from xdsaudit.model.verdict import FieldDelta, LeftOut, Rule, RuleVerdict, Stage, Verdict
from xdsaudit.model.view import ViewName

SLUG = "protection-not-applied"


def exposed_by_ref(world: World) -> Mapping[str, Sequence[Unprotected]]:
    """What is certain not to protect, by ``namespace/ingress``, without what the Ingress says is known."""
    found: dict[str, list[Unprotected]] = {}
    if not world.expectation.unprotected:
        return found
    known = ignored_by_ref(world.objects.ingresses)
    for each in world.expectation.unprotected:
        ref = f"{each.namespace}/{each.ingress}"
        if each.sure and not each.by_value and SLUG not in known.get(ref, ()):
            found.setdefault(ref, []).append(each)
    return found


def exposed_by_value(world: World) -> Iterator[Unprotected]:
    """Annotations that Higress reads and makes nothing of: the routes are what they come to, and yet let everybody in."""
    known = ignored_by_ref(world.objects.ingresses) if world.expectation.unprotected else {}
    for each in world.expectation.unprotected:
        if each.by_value and SLUG not in known.get(f"{each.namespace}/{each.ingress}", ()):
            yield each


def known_exposures(world: World) -> tuple[LeftOut, ...]:
    """What is not said since the Ingress's annotation says that it is known."""
    known = ignored_by_ref(world.objects.ingresses) if world.expectation.unprotected else {}
    what = tuple(
        f"{each.namespace}/{each.ingress}: {', '.join(each.keys)} does not apply: {each.why}"
        for each in world.expectation.unprotected
        if (each.sure or each.by_value) and SLUG in known.get(f"{each.namespace}/{each.ingress}", ())
    )
    return (LeftOut("ignore", BY_SLUG[SLUG].code, what),) if what else ()


def exposure(world: World, listed: Sequence[Unprotected], rule: Rule) -> RuleVerdict | None:
    """The verdict of a rule that is served without the protection its Ingress asks for; None when all of it is of other hosts."""
    mine = [u for u in listed if u.host in (None, rule.host)]
    if not mine:
        return None
    first = next((j.view for name in PIPELINE for j in world.read(name)), None)
    view, replica = (first.name, first.replica) if first is not None else (ViewName.CORE, None)
    row = BY_SLUG[SLUG]
    return RuleVerdict(
        rule,
        Verdict.CHANGED,
        Stage.TRANSLATION,
        ViewName.INGRESS,
        view,
        row.code,
        SLUG,
        fields=tuple(FieldDelta(key, view, replica, "applied", None) for u in mine for key in u.keys[:1]),
        evidence=tuple(f"{', '.join(u.keys)} {'do' if len(u.keys) > 1 else 'does'} not apply: {u.why}" for u in mine),
        remedy=row.remedy,
    )

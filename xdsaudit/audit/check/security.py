"""Protection that silently does not apply: first of all, since nobody notices an open door."""

from __future__ import annotations

from collections.abc import Iterator

from xdsaudit.audit.causes import protection
from xdsaudit.audit.check.case import Case, Remark, whole
from xdsaudit.ingress.annotations import HIGRESS, look, text
from xdsaudit.ingress.effects import methods
from xdsaudit.model.verdict import Rule, Severity

SLUG = protection.PROTECTION_NOT_APPLIED


def security(case: Case) -> Iterator[Remark]:
    """Authentication, client certificates, addresses and methods that an Ingress asks for in vain."""
    for each in case.after.unprotected:
        if each.ref not in case.refs:
            continue
        rule = Rule(each.namespace, each.ingress, each.host or "", "", None)
        severity = Severity.ERROR if each.sure else Severity.WARNING
        many = len(each.keys) > 1
        doubt = ("do not apply" if many else "does not apply") if each.sure else "may not apply"
        yield Remark(SLUG, rule, f"{each.ref}: {', '.join(each.keys)} {doubt}: {each.why}", severity, each.keys[0])
    for ingress in case.ingresses:
        written = look(ingress.annotations, "match-method", text)
        if written is None or methods(written):
            continue
        rule = whole(ingress)
        why = f"{written!r} holds no method that Higress knows, and it takes every method; write methods with single blanks between"
        yield Remark(SLUG, rule, f"{rule.ref}: match-method does not apply: {why}", resource=f"{HIGRESS}match-method")

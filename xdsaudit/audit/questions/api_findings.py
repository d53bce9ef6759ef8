"""What is wrong with manifests as such, as findings: what the API would refuse, and what could not be read at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from xdsaudit.audit.causes.catalogue import BY_SLUG
from xdsaudit.ingress.api_rules import Complaint, Grade
from xdsaudit.model.verdict import Concern, Finding
from xdsaudit.model.view import ViewName

_SLUGS: Final[Mapping[Grade, str]] = {
    Grade.UNREADABLE: "manifest-unreadable",
    Grade.REFUSED: "refused-by-api",
    Grade.UNKNOWN_FIELD: "unknown-field",
    Grade.REPEATED: "object-repeated",
}


def findings_of(complaints: Iterable[Complaint]) -> Iterator[Finding]:
    """A finding for each complaint but those of documents that are none of ours."""
    for each in complaints:
        if each.grade not in _SLUGS:
            continue
        row = BY_SLUG[_SLUGS[each.grade]]
        namespace, _, name = each.ref.partition("/")
        concern = Concern(ViewName.MANIFEST, None, None, namespace or None, name or None)
        yield Finding(row.code, row.slug, row.severity, each.text, (concern,), None, (), row.remedy, each.origin)


def notes_of(complaints: Iterable[Complaint]) -> tuple[str, ...]:
    """What was left out, and why."""
    return tuple(f"left out: {each}" for each in complaints if each.grade is Grade.SKIPPED)

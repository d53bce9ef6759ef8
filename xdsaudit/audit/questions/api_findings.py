"""What is wrong with manifests as such, as findings: what the API would refuse, and what could not be read at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from xdsaudit.audit.causes import manifest
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.ingress.api_rules import Complaint, Grade
from xdsaudit.model.verdict import Concern, Finding
from xdsaudit.model.view import ViewName

_CAUSES: Final[Mapping[Grade, Cause]] = {
    Grade.UNREADABLE: manifest.MANIFEST_UNREADABLE,
    Grade.REFUSED: manifest.REFUSED_BY_API,
    Grade.UNKNOWN_FIELD: manifest.UNKNOWN_FIELD,
    Grade.REPEATED: manifest.OBJECT_REPEATED,
}


def findings_of(complaints: Iterable[Complaint]) -> Iterator[Finding]:
    """A finding for each complaint but those of documents that are none of ours."""
    for each in complaints:
        if each.grade not in _CAUSES:
            continue
        namespace, _, name = each.ref.partition("/")
        concern = Concern(ViewName.MANIFEST, None, None, namespace or None, name or None)
        yield _CAUSES[each.grade].finding(each.text, concern, at=each.origin)


def notes_of(complaints: Iterable[Complaint]) -> tuple[str, ...]:
    """What was left out, and why."""
    return tuple(f"left out: {each}" for each in complaints if each.grade is Grade.SKIPPED)

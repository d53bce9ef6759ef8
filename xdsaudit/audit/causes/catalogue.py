"""The catalogue of causes, gathered from the families, and looking one up. Loads nothing but the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from xdsaudit.audit.causes import (
    auditor,
    cache,
    certificates,
    control_plane,
    delivery,
    intake,
    manifest,
    plugins,
    protection,
    rejection,
    replicas,
    shadowing,
    translation,
    upstream,
    written,
)
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.model.refusal import Refusal

FAMILIES: Final = (
    intake,
    manifest,
    translation,
    protection,
    written,
    cache,
    control_plane,
    rejection,
    delivery,
    certificates,
    upstream,
    shadowing,
    replicas,
    auditor,
    plugins,
)
"""Every cause is a constant of one of these modules."""

CATALOGUE: Final[tuple[Cause, ...]] = tuple(
    sorted({c for family in FAMILIES for c in vars(family).values() if isinstance(c, Cause)}, key=lambda c: c.code)
)
BY_CODE: Final = {c.code: c for c in CATALOGUE}
BY_SLUG: Final = {c.slug: c for c in CATALOGUE}
_REFUSED: Final = {refusal: BY_SLUG[refusal.value] for refusal in Refusal}


def find(word: str) -> Cause | None:
    """The cause of that code or slug, in any case."""
    return BY_CODE.get(word.upper()) or BY_SLUG.get(word.lower())


def refused(refusal: Refusal) -> Cause:
    """The cause of what the translation refuses."""
    return _REFUSED[refusal]


def slugs(of: Callable[[Cause], bool]) -> frozenset[str]:
    """Slugs of the causes of which something holds, for verdicts and findings that carry no more than it."""
    return frozenset(c.slug for c in CATALOGUE if of(c))

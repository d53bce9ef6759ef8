"""What an Ingress says is known: codes that its annotation ``xdsaudit.io/ignore`` lists are not said of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from xdsaudit.audit.causes.catalogue import find
from xdsaudit.ingress.objects import Ingress

KEY: Final = "xdsaudit.io/ignore"


def ignored(ingress: Ingress) -> frozenset[str]:
    """Slugs that the annotation of an Ingress lists, by code (``XA204``) or by name, separated by commas or blanks."""
    words = re.split(r"[\s,]+", ingress.annotations.get(KEY, ""))
    return frozenset(row.slug for word in words if word and (row := find(word)) is not None)


def ignored_by_ref(ingresses: Iterable[Ingress]) -> Mapping[str, frozenset[str]]:
    """Ignored slugs by ``namespace/ingress``, of the Ingresses that list any."""
    return {f"{i.namespace}/{i.metadata.name}": ignored(i) for i in ingresses if KEY in i.annotations}

"""What an Ingress says is known: causes that its annotation ``xdsaudit.io/ignore`` lists are not said of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xdsaudit.audit.causes.cause import Cause
    from xdsaudit.ingress.objects import Ingress
    from xdsaudit.model.verdict import Finding

KEY: Final = "xdsaudit.io/ignore"


class Ignored:
    """The causes that Ingresses list, by ``namespace/ingress``: by code (``XA204``) or by slug, separated by commas or blanks."""

    def __init__(self, ingresses: Iterable[Ingress]) -> None:
        """Read their annotations."""
        self._words: Mapping[str, frozenset[str]] = {
            i.ref: frozenset(re.split(r"[\s,]+", i.annotations[KEY].lower())) for i in ingresses if KEY in i.annotations
        }

    def suppresses(self, ref: str, said: Cause | Finding) -> bool:
        """Whether an Ingress lists a cause, or that of a finding."""
        return not self._words.get(ref, frozenset()).isdisjoint((said.code.lower(), said.slug))

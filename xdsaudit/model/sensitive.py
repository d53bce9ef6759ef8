"""Which names carry credentials; their values are never shown.

Shared by redaction, which writes pseudonyms, and by reports, which show that two values differ but not what they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from xdsaudit.model.plain import Plain

_NAMES: Final = re.compile(
    r"authorization|cookie|token|secret|api[-_]?key|passw|access[-_]?key|credential|signature|session|bearer|jwt|^x-auth",
    re.IGNORECASE,
)
_OWN_WORDS: Final = re.compile(r"always|[^=;]*=always|\^\(\.\*\?;\\s\*\)\?\([^()]*=always\)\(;\.\*\)\?\$")
"""What Higress itself writes for canaries: not a credential."""
HIDDEN: Final = "(hidden)"


def sensitive(name: str) -> bool:
    """Whether a header, query parameter or field of this name may carry a credential."""
    return bool(_NAMES.search(name))


def shown(name: str, value: str) -> str:
    """The value of a header or query parameter in a form that may be shown."""
    return HIDDEN if value and sensitive(name) and not _OWN_WORDS.fullmatch(value) else value


class Masks:
    """Numbers for the credentials in one comparison, so that different ones can be told apart: ``(hidden 1)``, ``(hidden 2)``."""

    def __init__(self) -> None:
        """Nothing is numbered yet."""
        self._numbers: dict[str, int] = {}

    def mask(self, value: str) -> str:
        """What to show instead of a value; the same for equal values."""
        number = self._numbers.setdefault(value, len(self._numbers) + 1)
        return f"(hidden {number})"

    def masked(self, value: Plain) -> Plain:
        """Plain data of a route with the values of sensitive headers and query parameters masked."""
        if isinstance(value, list):
            return [self.masked(v) for v in value]
        if not isinstance(value, Mapping):
            return value
        name = value.get("key", value.get("name"))
        if isinstance(name, str) and sensitive(name):
            return {k: v if k in ("key", "name") else self._all(v) for k, v in value.items()}
        return {k: self.masked(v) for k, v in value.items()}

    def _all(self, value: Plain) -> Plain:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, list):
            return [self._all(v) for v in value]
        return {k: self._all(v) for k, v in value.items()} if isinstance(value, Mapping) else value

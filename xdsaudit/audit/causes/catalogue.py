"""The catalogue of codes, and looking one up."""

from __future__ import annotations

from typing import Final

from xdsaudit.audit.causes.code import Code
from xdsaudit.audit.causes.codes_check import CODES as _CHECK
from xdsaudit.audit.causes.codes_control import CODES as _CONTROL
from xdsaudit.audit.causes.codes_gateway import CODES as _GATEWAY
from xdsaudit.audit.causes.codes_plugins import CODES as _PLUGINS

CATALOGUE: Final[tuple[Code, ...]] = tuple(sorted((*_CONTROL, *_CHECK, *_GATEWAY, *_PLUGINS), key=lambda row: row.code))
BY_CODE: Final = {c.code: c for c in CATALOGUE}
BY_SLUG: Final = {c.slug: c for c in CATALOGUE}


def find(word: str) -> Code | None:
    """The code of that number or slug, in any case."""
    return BY_CODE.get(word.upper()) or BY_SLUG.get(word.lower())

"""What decoding JSON may raise, in one place; must not know what the JSON means."""

from __future__ import annotations

from typing import Final

import msgspec

BROKEN: Final[tuple[type[Exception], ...]] = (msgspec.DecodeError, UnicodeError, RecursionError)
"""Not JSON, JSON of another shape, text that is not UTF-8, or nested too deeply."""

"""Who wrote a report."""

from __future__ import annotations

from typing import Final

from xdsaudit import __version__

TOOL: Final = {"name": "xdsaudit", "version": __version__}

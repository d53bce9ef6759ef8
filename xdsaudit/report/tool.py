"""The tool that wrote a report, and where its project is published."""

from __future__ import annotations

from typing import Final

from xdsaudit import __version__

TOOL: Final = {"name": "xdsaudit", "version": __version__}


def project_url(*names: str) -> str | None:
    """The first of these URLs (``Issues``, ``Documentation``) in the installed package's metadata, or None."""
    from importlib import metadata

    try:
        urls = metadata.metadata("xdsaudit").get_all("Project-URL") or ()
    except metadata.PackageNotFoundError:
        return None
    by_label = dict(str(url).split(", ", 1) for url in urls if ", " in str(url))
    return next((by_label[name] for name in names if name in by_label), None)

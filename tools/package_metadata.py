"""A hook of the build: the README and the URLs of the package, from the one place that names the repository.

A package index shows the README away from its repository, where relative links lead nowhere. With a repository in
``[tool.hatch.metadata.hooks.custom]`` they become absolute, at the tag of this version; without one only their text is left.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)")


def absolute(text: str, repository: str, version: str) -> str:
    """The README with links that work anywhere.

    Args:
        text: Markdown with links relative to the top of the repository.
        repository: its URL, or nothing where it is not known.
        version: the release, whose tag is ``v`` and this.
    """

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if repository:
            return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/v{version}/{target})"
        return "" if picture else words

    return _LINK.sub(link, text)


def urls(repository: str) -> dict[str, str]:
    """The project's URLs; the incident that it was made for has a place of its own."""
    found = {"Incident": "https://github.com/alibaba/higress/issues/1547"}
    if repository:
        found |= {
            "Repository": repository,
            "Documentation": f"{repository}/blob/main/docs/index.md",
            "Changelog": f"{repository}/blob/main/CHANGELOG.md",
            "Issues": f"{repository}/issues",
        }
    return found


class PackageMetadata(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by the build with the project's table."""
        repository = str(self.config.get("repository", "")).rstrip("/")
        root = Path(self.root)
        source = (root / "xdsaudit" / "version.py").read_text(encoding="utf-8")
        found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
        assert found is not None, "xdsaudit/version.py has no __version__"
        readme = (root / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(readme, repository, found[1]),
        }
        metadata["urls"] = urls(repository)

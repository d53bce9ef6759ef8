"""Sphinx configuration. Codes, annotations, options and the API are pages made from the code and the tests they describe.

The build fails on a code, an annotation, an option or a public name that has no page: a code without a world or an annotation without
an example is a KeyError here, and `_undocumented` looks for the rest.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "tools")]

import annotation_pages  # noqa: E402
import code_pages  # noqa: E402
import option_pages  # noqa: E402

import xdsaudit  # noqa: E402
import xdsaudit.testing  # noqa: E402
from xdsaudit.audit.causes.catalogue import CATALOGUE  # noqa: E402
from xdsaudit.ingress.annotation_table import TABLE  # noqa: E402

project = "xdsaudit"
author = "the xdsaudit authors"
copyright = author
release = xdsaudit.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"xdsaudit {release}"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
nitpicky = False

_HERE = Path(__file__).parent / "reference"


def _write(name: str, text: str) -> None:
    place = _HERE / name
    place.parent.mkdir(exist_ok=True)
    if not place.exists() or place.read_text(encoding="utf-8") != text:
        place.write_text(text, encoding="utf-8")


def _pages(folder: str, pages: dict[str, str]) -> None:
    """Write a folder of pages, and remove those of what is no more."""
    for name, text in pages.items():
        _write(f"{folder}/{name}.md", text)
    for place in (_HERE / folder).glob("*.md"):
        if place.stem not in pages:
            place.unlink()


def _undocumented() -> list[str]:
    """Public names that the page of the library does not document, by the objects they are."""
    page = (_HERE / "api.md").read_text(encoding="utf-8")
    shown = {path.rsplit(".", 1)[-1] for path in re.findall(r"auto(?:function|class|exception):: (\S+)", page)}
    names = {name for name in xdsaudit.__all__ if inspect.isclass(o := getattr(xdsaudit, name)) or callable(o)}
    return sorted((names | set(xdsaudit.testing.__all__)) - shown)


_pages("codes", {row.code: code_pages.page(row) for row in CATALOGUE})
_write("codes.md", code_pages.overview())
_pages("annotations", {row.key: annotation_pages.page(row) for row in TABLE})
_write("annotations.md", annotation_pages.overview())
_write("options.md", option_pages.page())
if _undocumented():
    raise LookupError(f"docs/reference/api.md documents no {', '.join(_undocumented())}")

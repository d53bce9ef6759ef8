"""Sphinx configuration; the pages of codes and annotations are generated from the code they describe."""

from __future__ import annotations

from pathlib import Path

import xdsaudit
from xdsaudit.audit.causes.catalogue import CATALOGUE
from xdsaudit.audit.causes.code import Code
from xdsaudit.audit.causes.commands import COMMANDS
from xdsaudit.audit.causes.fix import examples
from xdsaudit.ingress.annotation_table import KINDS, TABLE

project = "xdsaudit"
author = "the xdsaudit authors"
release = xdsaudit.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
nitpicky = False

_HERE = Path(__file__).parent / "reference"


def _write(name: str, text: str) -> None:
    place = _HERE / name
    if not place.exists() or place.read_text(encoding="utf-8") != text:
        place.write_text(text, encoding="utf-8")


def _codes() -> str:
    parts = ["# Codes\n", "Every code an audit can give, each with a page. `xdsaudit explain CODE` prints the same.\n"]
    parts += ["| code | slug | what it is |", "| --- | --- | --- |"]
    parts += [f"| [{row.code}](codes/{row.code}.md) | {row.slug} | {row.title} |" for row in CATALOGUE]
    parts += ["", "```{toctree}", ":hidden:", "", *(f"codes/{row.code}" for row in CATALOGUE), "```", ""]
    return "\n".join(parts)


def _code(row: Code) -> str:
    parts = [
        f"# {row.code} {row.slug}",
        f"**{row.title}** ({row.severity.value}).",
        f"## What it is and why it happens\n\n{row.meaning}",
        f"## How it shows\n\n{row.shows}",
        f"## What heals it\n\n{row.remedy}",
        *_commands(row),
        f"## How to prevent it\n\n{row.prevention}",
    ]
    if row.issues:
        parts.append(f"## Issues\n\n{', '.join(row.issues)}")
    return "\n\n".join(parts) + "\n"


def _commands(row: Code) -> list[str]:
    """The commands with invented names; an audit prints them with the real ones."""
    if row.slug not in COMMANDS:
        return []
    blocks = [f"{fix.title}:\n\n```sh\n{fix.command}\n```" for fix in examples(row.slug)]
    return ["### Commands\n\nAn audit prints them with the real names. xdsaudit runs none of them.", *blocks]


def _annotations() -> str:
    lines = [
        "# Annotations\n",
        "Every annotation key Higress reads, whether what it shapes is computed, and what Higress makes of odd values. "
        "`higress.io/` always works; `nginx.ingress.kubernetes.io/` where the table says so, and then it is looked up "
        "first. A controller older than *since*, or not older than *until*, does as if the key were not there.\n",
        "| key | nginx prefix | shapes | since | until | modelled | an odd value |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in TABLE:
        judged = {"cluster": "on the cluster", "hash policy and cluster": "on route and cluster"}.get(row.shapes, "yes")
        if row.effect == "rpc":
            judged = "no: a field of its routes is uncertain"
        if not row.effect:
            judged = "no: it changes no route, and what it shapes is not judged"
        since = ".".join(map(str, row.since)) if row.since > (2, 0, 0) else ""
        until = ".".join(map(str, row.until)) if row.until else ""
        odd = f"{KINDS[row.kind]}; {row.odd}" if row.odd else KINDS[row.kind]
        nginx = "yes" if row.nginx else "no"
        lines.append(
            f"| `{row.key}` | {nginx} | {row.shapes} | {since} | {until} | {judged} | {odd} |".replace("*", r"\*")
        )
    lines += [
        "",
        "Match keys are `higress.io/KIND-match-header-NAME`, `-match-pseudo-header-NAME` and `-match-query-NAME`, KIND one "
        "of `exact`, `prefix`, `regex`. Higress reads them in random order: a key whose kind does not stand right behind "
        "the prefix ends the reading, so that beside others the routes cannot be foretold (`unknown`); alone it asks for "
        "nothing. One name under two kinds, and several values of Host in one `request-header-control-update`, are unknown likewise.",
    ]
    return "\n".join(lines) + "\n"


(_HERE / "codes").mkdir(exist_ok=True)
_write("codes.md", _codes())
for _row in CATALOGUE:
    _write(f"codes/{_row.code}.md", _code(_row))
_write("annotations.md", _annotations())

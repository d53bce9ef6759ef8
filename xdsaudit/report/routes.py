"""Routes of a view, and two views side by side, as text and as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from xdsaudit.audit.questions.routes import VIEWS, Line, Listing, Shown, ViewPair
from xdsaudit.audit.sayings import listed
from xdsaudit.ingress.retries import DEFAULT_RETRY
from xdsaudit.model.verdict import RuleVerdict
from xdsaudit.report.terminal import Page, many, paragraph

_WORDS: Final = {"expected": "expected of the Ingresses", "fresh": "pilot, private cache line"}
_STYLE: Final = {" ": "", "-": "red", "+": "green", "~": "yellow"}
_LONG: Final = 160


def side_by_side(rule: RuleVerdict) -> str:
    """The two views that show where a rule was lost or changed, as ``--compare`` takes them: ``fresh,pilot``."""
    names = {view.value: word for word, view in VIEWS.items() if view is not None}
    return f"{names.get(rule.last_seen or '', 'expected')},{names.get(rule.first_missing or '', 'gateway')}"


def routes_text(listings: Sequence[Listing], *, host: str | None = None, width: int = 80, color: bool = False) -> str:
    """Listings for people: a route's match, where it goes, whose it is, what it does beyond what every route does.

    Args:
        listings: the listings.
        host: that was asked for; a wildcard that stands in for it says so.
        width: columns to fit.
        color: whether to write colours.
    """
    page = Page(width, color=color)
    for number, each in enumerate(listings):
        if number:
            page.print()
        title = f"{_title(each.view, each.replicas)}  {each.host}:{each.port}  {many(len(each.routes), 'route')}"
        paragraph(page, title, "bold", hang=2)
        if host is not None and each.host.lower() != host.lower():
            paragraph(page, f"{host} has no routes of its own here, and those of {each.host} stand in for it", "yellow")
        digits = len(str(each.routes[-1].number)) if each.routes else 1
        for route in each.routes:
            _route(page, route, f"{route.number:>{digits}}  ", "")
    return page.text()


def view_pairs_text(pairs: Sequence[ViewPair], *, width: int = 80, color: bool = False) -> str:
    """Pairs of views for people: ``-`` in the first view alone, ``+`` in the second alone, ``~`` in both and different."""
    page = Page(width, color=color)
    for number, each in enumerate(pairs):
        if number:
            page.print()
        one, two = _title(each.first, each.replicas[0]), _title(each.second, each.replicas[1])
        paragraph(page, f"{each.host}:{each.port}  {_counted(each)}", "bold", hang=2)
        paragraph(page, f"- {one}", "red", hang=2)
        paragraph(page, f"+ {two}", "green", hang=2)
        for line in each.lines:
            _line(page, line)
    return page.text()


def _title(view: str, replicas: Sequence[str]) -> str:
    word = _WORDS.get(view, view)
    if len(replicas) < 2:
        return f"{word} {replicas[0]}" if replicas else word
    return f"{word} ({len(replicas)} replicas: {listed(replicas)})"


def _counted(pair: ViewPair) -> str:
    if pair.equal:
        return f"{many(len(pair.lines), 'route')}, all equal"
    words = {"-": "only in the first", "+": "only in the second", "~": "different", " ": "equal"}
    counts = {sign: sum(line.sign == sign for line in pair.lines) for sign in words}
    return ", ".join(f"{counts[sign]:,} {word}" for sign, word in words.items() if counts[sign])


def _line(page: Page, line: Line) -> None:
    moved = " (in another place)" if line.moved else ""
    mark = f"{line.sign} {line.route.number:>3}  "
    if line.sign == " ":
        paragraph(page, f"{mark}{line.route.match}", "dim", hang=8)
        return
    _route(page, line.route, mark, _STYLE[line.sign], moved, short=line.sign == "~")
    for delta in line.deltas:
        paragraph(
            page, f"{delta.field}: {_value(delta.expected)} -> {_value(delta.actual)}", "yellow", indent=9, hang=2
        )


def _route(page: Page, route: Shown, mark: str, style: str, moved: str = "", *, short: bool = False) -> None:
    paragraph(page, f"{mark}{route.match}{moved}", style or "bold", hang=len(mark))
    owner = f", of {route.rule.ref}" if route.rule else ", of no Ingress"
    paragraph(page, f"to {route.to}{owner}", style, indent=len(mark), hang=2)
    for name, value in sorted(_beyond_defaults(route.fields).items() if not short else ()):
        paragraph(page, f"{name}: {_value(value)}", "dim", indent=len(mark), hang=2)
    if route.plugins:
        paragraph(page, f"plugins on its way: {', '.join(route.plugins)}", "dim", indent=len(mark), hang=2)


def _beyond_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a route does that not every route of Higress does; yaml and json show the rest too."""
    plain_route = {"retry_policy": DEFAULT_RETRY, "timeout": "0s", "max_grpc_timeout": fields.get("timeout")}
    return {name: value for name, value in fields.items() if name not in plain_route or plain_route[name] != value}


def _value(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def listing_objects(listings: Sequence[Listing]) -> list[dict[str, Any]]:
    """Listings as plain data."""
    return [
        {
            "view": each.view,
            "replicas": list(each.replicas),
            "port": each.port,
            "host": each.host,
            "routes": [_object(r) for r in each.routes],
        }
        for each in listings
    ]


def view_pair_objects(pairs: Sequence[ViewPair]) -> list[dict[str, Any]]:
    """Pairs of views as plain data; ``sign`` as in the text."""
    return [
        {
            "first": {"view": each.first, "replicas": list(each.replicas[0])},
            "second": {"view": each.second, "replicas": list(each.replicas[1])},
            "port": each.port,
            "host": each.host,
            "equal": each.equal,
            "routes": [
                {
                    "sign": line.sign,
                    **_object(line.route),
                    "moved": line.moved,
                    "differs": [{"field": d.field, "first": d.expected, "second": d.actual} for d in line.deltas],
                }
                for line in each.lines
            ],
        }
        for each in pairs
    ]


def _object(route: Shown) -> dict[str, Any]:
    return {
        "number": route.number,
        "match": route.match,
        "to": route.to,
        "fields": plain(route.fields),
        "rule": route.rule._asdict() if route.rule else None,
        "name": route.name,
        "plugins": list(route.plugins),
    }


def plain(value: Any) -> Any:
    """Data of plain dicts and lists, as YAML writers want them."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value

"""Routes of a view, and two views side by side, as text and as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from xdsaudit.audit.questions.routes import VIEWS, Line, Listing, Shown, ViewPair
from xdsaudit.audit.sayings import listed
from xdsaudit.ingress.retries import DEFAULT_RETRY
from xdsaudit.model.plain import Plain
from xdsaudit.model.verdict import RuleVerdict
from xdsaudit.report.terminal import Page, many, paragraph

_WORDS: Final = {"expected": "expected from the Ingresses", "fresh": "pilot, private cache line"}
_STYLE: Final = {" ": "", "-": "red", "+": "green", "~": "yellow"}
_LONG: Final = 160


def side_by_side(rule: RuleVerdict) -> str:
    """The two views that show where a rule was lost or changed, as ``--compare`` takes them: ``fresh,pilot``."""
    names = {view.value: word for word, view in VIEWS.items() if view is not None}
    return f"{names.get(rule.last_seen or '', 'expected')},{names.get(rule.first_missing or '', 'gateway')}"


def routes_text(listings: Sequence[Listing], *, host: str | None = None, width: int = 80, color: bool = False) -> str:
    """Listings for people: each route's match, where it goes, whose it is, and what it does beyond the defaults.

    Args:
        listings: the listings.
        host: the host asked for; a wildcard that stands in for it is pointed out.
        width: columns to fit.
        color: whether to write colours.
    """
    page = Page(width, color=color)
    for number, listing in enumerate(listings):
        if number:
            page.print()
        title = _title(listing.view, listing.replicas)
        count = many(len(listing.routes), "route")
        paragraph(page, f"{title}  {listing.host}:{listing.port}  {count}", "bold", hang=2)
        if host is not None and listing.host.lower() != host.lower():
            paragraph(page, f"{host} has no routes of its own here; those of {listing.host} apply", "yellow")
        digits = len(str(listing.routes[-1].number)) if listing.routes else 1
        for route in listing.routes:
            _route(page, route, f"{route.number:>{digits}}  ", "")
    return page.text()


def view_pairs_text(pairs: Sequence[ViewPair], *, width: int = 80, color: bool = False) -> str:
    """Pairs of views for people: ``-`` in the first view alone, ``+`` in the second alone, ``~`` in both and different."""
    page = Page(width, color=color)
    for number, pair in enumerate(pairs):
        if number:
            page.print()
        one, two = _title(pair.first, pair.replicas[0]), _title(pair.second, pair.replicas[1])
        paragraph(page, f"{pair.host}:{pair.port}  {_counted(pair)}", "bold", hang=2)
        paragraph(page, f"- {one}", "red", hang=2)
        paragraph(page, f"+ {two}", "green", hang=2)
        for line in pair.lines:
            _line(page, line)
    return page.text()


def _title(view: str, replicas: Sequence[str]) -> str:
    word = _WORDS.get(view, view)
    if len(replicas) < 2:
        return f"{word} {replicas[0]}" if replicas else word
    return f"{word} ({len(replicas)} replicas: {listed(replicas)})"


def _counted(pair: ViewPair) -> str:
    if pair.equal:
        return f"{many(len(pair.lines), 'route')}, all the same"
    words = {"-": "only in the first", "+": "only in the second", "~": "different", " ": "the same"}
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
        paragraph(page, f"plugins applied: {', '.join(route.plugins)}", "dim", indent=len(mark), hang=2)


def _beyond_defaults(fields: Mapping[str, Plain]) -> dict[str, Plain]:
    """What a route does beyond Higress's defaults; yaml and json show everything."""
    plain_route = {"retry_policy": DEFAULT_RETRY, "timeout": "0s", "max_grpc_timeout": fields.get("timeout")}
    return {name: value for name, value in fields.items() if name not in plain_route or plain_route[name] != value}


def _value(value: Plain) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def listing_objects(listings: Sequence[Listing]) -> list[dict[str, Plain]]:
    """Listings as plain data."""
    return [
        {
            "view": listing.view,
            "replicas": list(listing.replicas),
            "port": listing.port,
            "host": listing.host,
            "routes": [_object(r) for r in listing.routes],
        }
        for listing in listings
    ]


def view_pair_objects(pairs: Sequence[ViewPair]) -> list[dict[str, Plain]]:
    """Pairs of views as plain data; ``sign`` as in the text."""
    return [
        {
            "first": {"view": pair.first, "replicas": list(pair.replicas[0])},
            "second": {"view": pair.second, "replicas": list(pair.replicas[1])},
            "port": pair.port,
            "host": pair.host,
            "equal": pair.equal,
            "routes": [
                {
                    "sign": line.sign,
                    **_object(line.route),
                    "moved": line.moved,
                    "differs": [{"field": d.field, "first": d.expected, "second": d.actual} for d in line.deltas],
                }
                for line in pair.lines
            ],
        }
        for pair in pairs
    ]


def _object(route: Shown) -> dict[str, Plain]:
    return {
        "number": route.number,
        "match": route.match,
        "to": route.to,
        "fields": plain(route.fields),
        "rule": route.rule._asdict() if route.rule else None,
        "name": route.name,
        "plugins": list(route.plugins),
    }


def plain(value: Plain) -> Plain:
    """The same data as plain dicts and lists, as YAML writers need."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value

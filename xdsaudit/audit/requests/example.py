"""An example request for a route: to show who takes it instead, in words that a reader can paste into curl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xdsaudit.audit.compare.shadowing import compiled, literal_prefix
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import matches
from xdsaudit.model.route import HeaderMatch, MatchKey, Place

_TAILS = ("", "x", "1", "/", "/x", "/1", "x/", "xyz", "/x/y", "123", "abc-123", ".html", "/index.html")


def witness(key: MatchKey, place: Place, *, secure: bool) -> Request | None:
    """A request to this place that the key matches, or None where none is found (a regex too clever for simple texts)."""
    port, host = place
    example = "host.example" if host == "*" else host.replace("*", "x", 1)
    request = Request(secure, port, example, "/")
    for condition in key.headers:
        value = _value(condition)
        if value is None:
            continue
        if condition.name == ":method":
            request = replace(request, method=value)
        elif not condition.name.startswith(":"):
            request = replace(request, headers={**request.headers, condition.name: value})
    for condition in key.query:
        value = _value(condition)
        if value is not None:
            request = replace(request, query={**request.query, condition.name: value})
    for path in _paths(key):
        found = replace(request, path=path)
        if matches(key, found):
            return found
    return None


def _paths(key: MatchKey) -> Iterator[str]:
    if key.kind != "safe_regex":
        yield key.value
        if key.kind == "prefix":
            yield f"{key.value}x"
        return
    stem = literal_prefix(key.value)
    for tail in _TAILS:
        yield stem + tail
        yield "/" + stem.lstrip("/") + tail


def _value(condition: HeaderMatch) -> str | None:
    """A value that fulfils a condition; None where leaving the header out is best."""
    if condition.op == "present":
        return "x" if (condition.value != "no") is not condition.inverted else None
    if condition.inverted:
        return "none-of-these"
    if condition.op == "regex":
        stem = literal_prefix(condition.value)
        machine = compiled(condition.value)
        return next((stem + t for t in _TAILS if machine is not None and machine.fullmatch(stem + t)), stem)
    return condition.value

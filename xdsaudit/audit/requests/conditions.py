"""What routes ask of headers, method and query, in every combination that a request can fulfil, with one way to fulfil each.

A header may come several times, and one value that fits is enough: sets of values count. Of what fulfils the same, one is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from xdsaudit.audit.requests.automaton import ANY, TooHardError
from xdsaudit.audit.requests.cells import cells, exact
from xdsaudit.audit.requests.paths import SURVIVING
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import matches
from xdsaudit.model.route import HeaderMatch, MatchKey

Put = Callable[[Request], Request]
Doubt = Callable[[str], None]
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND")
_SETS: Final = 64
_QUERY: Final = SURVIVING - {"&", "+", "%"}
_UNKNOWN: Final = ("host", "x-request-id", "x-forwarded-for")


def axes(keys: Iterable[MatchKey], base: Request, doubt: Doubt) -> list[list[Put]]:
    """For each header, the method and each parameter that the keys ask for, what to put into a request.

    Args:
        keys: of routes.
        base: a request without any of it.
        doubt: is told what could not be taken apart.
    """
    headers: dict[str, list[HeaderMatch]] = {}
    query: dict[str, list[HeaderMatch]] = {}
    for key in keys:
        if key.other:
            doubt(f"a condition of {key} is of a kind that is not judged")
        for condition in key.headers:
            headers.setdefault(condition.name.lower(), []).append(condition)
        for condition in key.query:
            query.setdefault(condition.name, []).append(condition)
    axes = [_header(name, tuple(dict.fromkeys(listed)), base, doubt) for name, listed in headers.items()]
    for name, listed in query.items():
        values = _values(tuple(dict.fromkeys(listed)), _QUERY, doubt)
        axes.append([_parameter(name, value) for value in (None, *values)])
    return axes


def _header(name: str, listed: Sequence[HeaderMatch], base: Request, doubt: Doubt) -> list[Put]:
    if name == ":method":
        return _distinct((_method(m) for m in METHODS), listed, base)
    if name.startswith(":") or name in _UNKNOWN:
        doubt(f"conditions on {name} are not taken apart")
        return [lambda r: r]
    texts = _values(listed, ANY, doubt)
    return _distinct((_with(name, values) for values in _sets(name, texts, listed, base, doubt)), listed, base)


def _sets(
    name: str, texts: Sequence[str], listed: Sequence[HeaderMatch], base: Request, doubt: Doubt
) -> Iterator[tuple[str, ...]]:
    """No value, each value, and what several together fulfil."""
    seen: set[frozenset[int]] = set()
    queue: list[tuple[str, ...]] = [(), *((t,) for t in texts)]
    for values in queue:
        fulfilled = _fulfilled(listed, _with(name, values)(base))
        if fulfilled in seen and values:
            continue
        seen.add(fulfilled)
        yield values
        if len(seen) > _SETS:
            doubt(f"{name} can come in too many combinations")
            return
        queue += [(*values, t) for t in texts if values and t > values[-1]]


def _distinct(puts: Iterable[Put], listed: Sequence[HeaderMatch], base: Request) -> list[Put]:
    kept: dict[frozenset[int], Put] = {}
    for put in puts:
        kept.setdefault(_fulfilled(listed, put(base)), put)
    return list(kept.values())


def _fulfilled(listed: Sequence[HeaderMatch], request: Request) -> frozenset[int]:
    """Numbers of the conditions that a request fulfils."""
    return frozenset(n for n, c in enumerate(listed) if matches(MatchKey("prefix", "/", False, (c,)), request))


def _method(method: str) -> Put:
    return lambda r: replace(r, method=method)


def _with(name: str, values: tuple[str, ...]) -> Put:
    return lambda r: replace(r, headers={**r.headers, name: values}) if values else r


def _parameter(name: str, value: str | None) -> Put:
    return lambda r: r if value is None else replace(r, query={**r.query, name: value})


def _values(listed: Sequence[HeaderMatch], alphabet: frozenset[str], doubt: Doubt) -> list[str]:
    """A value for each combination of the conditions on one header or parameter."""
    asked = [c for c in listed if c.op != "present"]
    values = ["x"] if len(asked) < len(listed) else []
    try:
        machines = [exact(c.op.removesuffix("_i"), c.value, c.op.endswith("_i"), alphabet) for c in asked]
        values += [text for _, text in cells(machines, lambda t: bool(t) and t == t.strip())]
    except TooHardError:
        doubt(f"values of {listed[0].name} could not be told apart")
        values += [c.value for c in asked if c.op == "exact"] + ["x"]
    return list(dict.fromkeys(values))

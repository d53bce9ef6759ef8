"""Example requests: ones that a route takes, or that several do, in words that a reader can paste into curl.

Each is asked of the matchers themselves before it leaves here, so an example is always one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, product
from typing import Final

from xdsaudit.audit.requests.automaton import ANY, Automaton, TooHardError, automaton, common
from xdsaudit.audit.requests.paths import SURVIVING, normalised, refusal
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import matches
from xdsaudit.model.route import HeaderMatch, MatchKey, Place

_TRIED: Final = 3
_OPS: Final[Mapping[str, str]] = {
    "path": "exact",
    "prefix": "prefix",
    "path_separated_prefix": "segments",
    "safe_regex": "regex",
}
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PURGE", "PROPFIND", "SEARCH")
"""Methods that people send and that Envoy's HTTP/1.1 parser knows; it answers 400 to one that it does not know."""


def witness(key: MatchKey, place: Place, *, secure: bool, hosts: Callable[[str], bool] | None = None) -> Request | None:
    """A request to this place that the key matches, or None where none is found.

    Args:
        key: of the route.
        place: where it stands.
        secure: whether the place is behind TLS.
        hosts: whether a host has routes of its own, so that an example for ``*.shop.test`` is not one of them.
    """
    return next(requests((key,), place, secure=secure, hosts=hosts), None)


def requests(
    keys: Sequence[MatchKey], place: Place, *, secure: bool, hosts: Callable[[str], bool] | None = None
) -> Iterator[Request]:
    """Requests to this place that all the keys match; a few, the simplest first."""
    port, host = place
    base = Request(secure, port, host_of(host, hosts), "/")
    names = dict.fromkeys(c.name for key in keys for c in key.headers)
    parameters = dict.fromkeys(c.name for key in keys for c in key.query)
    headers = [(n, list(_values([c for key in keys for c in key.headers if c.name == n]))) for n in names]
    query = [
        (n, [v for v in _values([c for key in keys for c in key.query if c.name == n]) if v is None or _can_be_sent(v)])
        for n in parameters
    ]
    if not all(values for _, values in (*headers, *query)):
        return
    for path in _paths(keys):
        for chosen in islice(product(*(values for _, values in (*headers, *query))), _TRIED * _TRIED):
            request = _filled(base, path, list(names), list(parameters), chosen)
            if all(matches(key, request) for key in keys):
                yield request


def _can_be_sent(value: str) -> bool:
    """Whether a parameter can have this value as routes see it: undecoded, so without blanks, ``#`` and what ends it."""
    return not refusal(f"/?x={value}") and value.isascii() and "&" not in value


def _filled(
    base: Request, path: str, names: Sequence[str], parameters: Sequence[str], chosen: Sequence[str | None]
) -> Request:
    method = base.method
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in zip(names, chosen, strict=False):
        if name == ":method":
            method = value or method
        elif value is not None and not name.startswith(":"):
            headers[name.lower()] = (value,)
    query = {n: v for n, v in zip(parameters, chosen[len(names) :], strict=True) if v is not None}
    return replace(base, path=path, method=method, headers=headers, query=query)


def host_of(host: str, taken: Callable[[str], bool] | None) -> str:
    """A host for a place: one of a wildcard's that has no routes of its own."""
    if host == "*":
        candidates: Iterator[str] = chain(("host.example",), (f"host{n}.example" for n in range(2, 1000)))
    elif host.startswith("*"):
        candidates = chain((f"x{host[1:]}",), (f"x{n}{host[1:]}" for n in range(2, 1000)))
    else:
        return host
    return next((c for c in candidates if taken is None or not taken(c)), host.replace("*", "x", 1))


def _paths(keys: Sequence[MatchKey]) -> Iterator[str]:
    """Paths as routes see them that all keys may match."""
    plain = next((k for k in keys if k.kind == "path" and not k.ignore_case), None)
    if plain is not None:
        if reachable(plain.value):
            yield plain.value
        return
    machines = [automaton("prefix", "/", False)]
    for key in keys:
        if key.kind == "prefix" and key.value == "/":
            continue
        built = _built(_OPS.get(key.kind, ""), key.value, key.ignore_case)
        if built is not None:
            machines.append(built)
    yield from islice((p for p in common(machines) if reachable(p)), _TRIED)


def reachable(path: str) -> bool:
    """Whether some request has this path once it is normalised."""
    return not refusal(path) and normalised(path) == path


def _built(op: str, value: str, fold: bool, alphabet: frozenset[str] = SURVIVING) -> Automaton | None:
    try:
        return automaton(op, value, fold, alphabet)
    except TooHardError:
        return None


def _values(conditions: Sequence[HeaderMatch]) -> Iterator[str | None]:
    """Values of one header or parameter that fulfil all its conditions; None is to leave it out."""
    key = MatchKey("prefix", "/", False, tuple(conditions))
    if conditions[0].name.startswith(":") and conditions[0].name != ":method":
        yield None  # what the request itself says; the matchers are asked in the end
        return
    proposed: Iterator[str | None] = chain(
        (c.value for c in conditions if c.op == "exact" and not c.inverted),
        (None, *METHODS) if conditions[0].name == ":method" else (None,),
        _words(conditions),
        ("x", "none-of-these", "1"),
    )
    said: set[str | None] = set()
    for value in proposed:
        name = conditions[0].name
        trial = Request(False, 80, "host", "/", headers={} if value is None else {name.lower(): (value,)})
        if name == ":method":
            trial = replace(trial, method=value or "GET")
        if name == ":method" and value is not None and value not in METHODS:
            continue
        if value not in said and matches(key, trial):
            said.add(value)
            yield value
            if len(said) >= _TRIED:
                return


def _words(conditions: Sequence[HeaderMatch]) -> Iterator[str]:
    """Texts that all conditions which ask for one accept."""
    machines = []
    for condition in conditions:
        if condition.op == "present" or condition.inverted:
            continue
        built = _built(condition.op.removesuffix("_i"), condition.value, condition.op.endswith("_i"), alphabet=ANY)
        if built is not None:
            machines.append(built)
    if machines:
        yield from islice((w for w in common(machines) if w == w.strip()), 4 * _TRIED)

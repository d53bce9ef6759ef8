"""Which route answers a request: Envoy's lookup of scope, virtual host and route, over any view or over the expectation.

Scoped (Higress's proxy): the host exactly, then its first labels masked one after the other (``*.b.c``, ``*.c``, ``*``); a scope
without a matching route passes the request on to the next wider one in proxies that know retry_other_scope_when_not_found. Not
scoped: the most specific domain alone (higress@v2.0.1 pilot's gateway.go BuildScopedRoutes; Envoy's route matching).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Protocol

from xdsaudit.audit.requests.patterns import compiled, literal_prefix
from xdsaudit.audit.requests.request import Request
from xdsaudit.model.route import HeaderMatch, MatchKey, Place
from xdsaudit.model.view import FilterChain, Table, View

_beginning: Final = lru_cache(maxsize=16384)(literal_prefix)


class Matching(Protocol):
    """What the lookup needs of a route: an expected one has it, and so has one that was read."""

    @property
    def key(self) -> MatchKey:
        """What it matches."""


@dataclass(frozen=True)
class Answer:
    """What becomes of a request.

    Attributes:
        place: the place whose route answers; without an answer the first that was looked at, None when there was none.
        index: of the route in that place's list, None when no route answers.
        why: why none answers, or a doubt about the answer; empty when there is nothing to say.
        certain: False where a condition could not be judged.
    """

    place: Place | None
    index: int | None
    why: str = ""
    certain: bool = True


def look_up(tables: Mapping[Place, Sequence[Matching]], request: Request, *, scoped: bool) -> Answer:
    """The route that answers."""
    if request.refused:
        return Answer(None, None, f"Envoy refuses it before it looks at any route: {request.refused}")
    first: Place | None = None
    doubt = ""
    for place in candidates(request, scoped=scoped):
        routes = tables.get(place)
        if routes is None:
            continue
        for index, route in enumerate(routes):
            verdict = matches(route.key, request)
            if verdict is None:
                doubt = doubt or f"whether {route.key} takes it cannot be judged here: {_unjudged(route.key, request)}"
            elif verdict:
                why = doubt
                if first is not None and not why:
                    why = (
                        f"after {first[1]} had no route for it: only proxies that look on in the wider scope answer so"
                    )
                return Answer(place, index, why, not doubt)
        first = first or place
        if not scoped:
            break
    if first is None:
        return Answer(None, None, f"no virtual host for {request.host} on port {request.port}: 404 NR")
    said = f"no route of {first[1]} on port {first[0]} matches: 404 NR"
    return Answer(first, None, f"no other {said[3:]}; {doubt}" if doubt else said, not doubt)


def _unjudged(key: MatchKey, request: Request) -> str:
    """The conditions of a route that could not be judged."""
    open_ = [str(c) for c in key.headers if condition_holds(c, request.values(c.name)) is None]
    open_ += [f"?{c}" for c in key.query if condition_holds(c, parameter(request, c.name)) is None]
    if path_holds(key, request.path) is None:
        open_.append(f"{key.kind} {key.value}")
    return ", ".join([*open_, key.other] if key.other else open_)


def candidates(request: Request, *, scoped: bool = False) -> Iterator[Place]:
    """Places that may answer a request, the most specific first; scopes are looked up by the host in the case it was sent in."""
    rest = request.sent_host if scoped else request.host
    yield request.port, rest
    while "." in rest:
        rest = rest.partition(".")[2]
        yield request.port, f"*.{rest}"
    yield request.port, "*"


def answer(view: View, request: Request) -> Answer:
    """The route of a view that answers a request, or why none does."""
    if request.refused:
        return look_up({}, request, scoped=False)
    tables = view.tables
    coming = chain_of(view, request)
    if coming is not None and coming.raw_paths:
        request = replace(request, path=(request.target or request.path).partition("?")[0])
    if view.listeners is not None and not request.secure and not any(not c.tls for c in view.chains):
        return Answer(None, None, f"nothing listens on port {request.port}: the connection is refused")
    if request.secure and view.listeners is not None:
        named = request.server_name or request.host
        chain = _chain(view, named)
        if not any(c.tls for c in view.chains):
            return Answer(None, None, f"nothing listens on port {request.port}: the connection is refused")
        if chain is None:
            return Answer(None, None, f"no TLS filter chain for {named}: the handshake fails")
        if not chain.scoped and chain.route_config is not None and view.scopes is None:
            tables = {p: t for p, t in tables.items() if t.resource == chain.route_config}
            if not any(p in tables for p in candidates(request)) and named != request.host:
                return Answer(
                    None,
                    None,
                    f"the TLS connection was made for {named}, whose filter chain has no virtual host for {request.host}: 404 NR",
                )
    ports = {place[0] for place in view.tables}
    if request.port not in ports and view.tables:
        return Answer(
            None, None, f"nothing is served on port {request.port}, only on {', '.join(map(str, sorted(ports)))}"
        )
    scoped = view.scopes is not None
    found = look_up({p: t.routes for p, t in tables.items()}, request, scoped=scoped)
    return _misdirected(tables, request, scoped, found) or found


def _misdirected(tables: Mapping[Place, Table], request: Request, scoped: bool, found: Answer) -> Answer | None:
    """421 where a table that is looked at has TLS server names and the connection was made for another."""
    named = request.server_name or request.host
    for place in candidates(request, scoped=scoped) if request.secure and not request.refused else ():
        table = tables.get(place)
        if table is not None and not table.lets_in(named):
            allowed = ", ".join(table.server_names)
            why = f"421: the TLS connection was made for {named}, and {place[1]} takes only those for {allowed} (mutual TLS)"
            return Answer(place, None, why)
        if table is not None and (place == found.place or not scoped):
            break
    return None


def chain_of(view: View, request: Request) -> FilterChain | None:
    """The filter chain that a request comes in by, None where there is none or listeners were not read."""
    if request.secure:
        return _chain(view, request.server_name or request.host)
    return next((c for c in view.chains if not c.tls), None)


def _chain(view: View, name: str) -> FilterChain | None:
    """The TLS filter chain for a server name: the most specific one (Envoy's FilterChainMatch.server_names)."""
    chains = [c for c in view.chains if c.tls]
    parents = name.split(".")
    for wanted in (name, *(f"*.{'.'.join(parents[i:])}" for i in range(1, len(parents)))):
        for chain in chains:
            if wanted in chain.server_names:
                return chain
    return next((c for c in chains if not c.server_names or "*" in c.server_names), None)


_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "exact": lambda text, wanted: text == wanted,
    "prefix": lambda text, wanted: text.startswith(wanted),
    "suffix": lambda text, wanted: text.endswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}


def matches(key: MatchKey, request: Request) -> bool | None:
    """Whether a route takes a request; None where a condition is of a kind that is not judged here."""
    held = path_holds(key, request.path)
    if held is False:
        return False
    unsure = held is None or bool(key.other)
    for condition in key.headers:
        hidden = request.partial and _hidden(condition.name, request)
        held = None if hidden else condition_holds(condition, request.values(condition.name))
        if held is False:
            return False
        unsure = unsure or held is None
    for condition in key.query:
        held = condition_holds(condition, parameter(request, condition.name))
        if held is False:
            return False
        unsure = unsure or held is None
    return None if unsure else True


def _hidden(name: str, request: Request) -> bool:
    """Whether nobody knows if the request had a header: a log tells few."""
    return not name.startswith(":") and name.lower() not in {"host", "x-forwarded-proto", *request.headers}


def parameter(request: Request, name: str) -> tuple[str, ...]:
    """The values of a query parameter as matchers see them: the first, or none."""
    return (request.query[name],) if name in request.query else ()


def path_holds(key: MatchKey, path: str) -> bool | None:
    """Whether a route takes a path; None where its matcher is not judged here."""
    kind, value = key.kind, key.value
    if kind == "safe_regex":
        if not path.startswith(_beginning(value)):
            return False
        machine = compiled(value)
        return None if machine is None else machine.fullmatch(path) is not None
    if key.ignore_case:
        value, path = value.lower(), path.lower()
    if kind == "path":
        return path == value
    if kind == "prefix":
        return path.startswith(value)
    if kind == "path_separated_prefix":
        return path == value or path.startswith(f"{value}/")
    return None


def condition_holds(condition: HeaderMatch, values: tuple[str, ...] | None) -> bool | None:
    """Whether a condition holds for the values of a header: one that fits is enough; inverted, none may."""
    if condition.op == "exact" and values:
        return (condition.value in values) is not condition.inverted
    if condition.op == "present":
        if values is None:
            values = ("set by Envoy",)
        return (bool(values) is not (condition.value == "no")) is not condition.inverted
    if values is None:
        return None
    if not values:
        # An absent header matches no value, inverted or not; one told to be taken as empty is of the kind "other".
        return False if _test(condition) is not None else None
    test = _test(condition)
    return None if test is None else any(map(test, values)) is not condition.inverted


def _test(condition: HeaderMatch) -> Callable[[str], bool] | None:
    if condition.op == "regex":
        machine = compiled(condition.value)
        return None if machine is None else lambda text: machine.fullmatch(text) is not None
    fold = condition.op.endswith("_i")
    test = _TEXT.get(condition.op.removesuffix("_i"))
    if test is None:
        return None
    if fold:
        return lambda text: test(text.lower(), condition.value.lower())
    return lambda text: test(text, condition.value)

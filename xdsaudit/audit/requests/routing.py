"""Which route answers a request: Envoy's lookup of scope, virtual host and route, over any view or over the expectation.

Scoped (Higress's proxy): the host exactly, then its first labels masked one after the other (``*.b.c``, ``*.c``, ``*``); a scope
without a matching route passes the request on to the next wider one in proxies that know retry_other_scope_when_not_found. Not
scoped: the most specific domain alone (higress@v2.0.1 pilot's gateway.go BuildScopedRoutes; Envoy's route matching).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from xdsaudit.audit.compare.shadowing import compiled
from xdsaudit.audit.requests.request import Request
from xdsaudit.model.route import HeaderMatch, MatchKey, Place
from xdsaudit.model.view import View


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
    first: Place | None = None
    for place in candidates(request):
        routes = tables.get(place)
        if routes is None:
            continue
        certain = True
        for index, route in enumerate(routes):
            verdict = matches(route.key, request)
            if verdict is None:
                certain = False
            elif verdict:
                why = ""
                if first is not None:
                    why = (
                        f"after {first[1]} had no route for it: only proxies that look on in the wider scope answer so"
                    )
                return Answer(place, index, why, certain)
        first = first or place
        if not scoped:
            break
    if first is None:
        return Answer(None, None, f"no virtual host for {request.host} on port {request.port}: 404 NR")
    return Answer(first, None, f"no route of {first[1]} on port {first[0]} matches: 404 NR")


def candidates(request: Request) -> Iterator[Place]:
    """Places that may answer a request, the most specific first."""
    yield request.port, request.host
    rest = request.host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield request.port, f"*.{rest}"
    yield request.port, "*"


def answer(view: View, request: Request) -> Answer:
    """The route of a view that answers a request, or why none does."""
    if request.secure and view.listeners is not None:
        chains = [c for c in view.chains if c.tls]
        named = {name for c in chains for name in c.server_names}
        if not any(not c.server_names for c in chains) and not any(h in named for _, h in candidates(request)):
            return Answer(None, None, f"no TLS filter chain for {request.host}: the handshake fails")
    ports = {place[0] for place in view.tables}
    if request.port not in ports and view.tables:
        return Answer(
            None, None, f"nothing is served on port {request.port}, only on {', '.join(map(str, sorted(ports)))}"
        )
    return look_up({p: t.routes for p, t in view.tables.items()}, request, scoped=view.scopes is not None)


_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "exact": lambda text, wanted: text == wanted,
    "prefix": lambda text, wanted: text.startswith(wanted),
    "suffix": lambda text, wanted: text.endswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}


def matches(key: MatchKey, request: Request) -> bool | None:
    """Whether a route takes a request; None where a condition is of a kind that is not judged here."""
    verdicts = [_path(key, request.path)]
    verdicts += [_condition(c, _header(request, c.name)) for c in key.headers]
    verdicts += [_condition(c, request.query.get(c.name)) for c in key.query]
    if False in verdicts:
        return False
    return None if None in verdicts or key.other else True


def _header(request: Request, name: str) -> str | None:
    pseudo = {
        ":method": request.method,
        ":authority": request.host,
        ":path": request.path,
        ":scheme": "https" if request.secure else "http",
        "host": request.host,
    }
    return pseudo.get(name.lower()) or request.headers.get(name.lower())


def _path(key: MatchKey, path: str) -> bool | None:
    if key.kind == "safe_regex":
        machine = compiled(key.value)
        return None if machine is None else machine.fullmatch(path) is not None
    value = key.value
    if key.ignore_case:
        value, path = value.lower(), path.lower()
    if key.kind == "path":
        return path == value
    if key.kind == "prefix":
        return path.startswith(value)
    if key.kind == "path_separated_prefix":
        return path == value or path.startswith(f"{value}/")
    return None


def _condition(condition: HeaderMatch, text: str | None) -> bool | None:
    if condition.op == "present":
        found: bool | None = (text is None) if condition.value == "no" else (text is not None)
    elif text is None:
        return False  # Envoy: an absent header matches no value, inverted or not, unless told to treat it as empty
    elif condition.op == "regex":
        machine = compiled(condition.value)
        found = None if machine is None else machine.fullmatch(text) is not None
    else:
        test = _TEXT.get(condition.op)
        found = None if test is None else test(text, condition.value)
    return found if found is None else found is not condition.inverted

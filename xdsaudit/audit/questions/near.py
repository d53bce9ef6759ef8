"""Rules that a request nearly fulfils, each with the conditions that it fails: what is told instead of "no rule".

Looks at the expected routes alone; must not say anything of what is served.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from xdsaudit.audit.requests.dead import dead_key
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import candidates, condition_holds, parameter, path_holds
from xdsaudit.ingress.expectation import Expectation, RuleIndex
from xdsaudit.model.route import HeaderMatch, MatchKey, Place
from xdsaudit.model.sensitive import shown


@dataclass(frozen=True)
class Near:
    """A rule by its number, the place it stands at, and why the request is not its."""

    index: RuleIndex
    place: Place
    why: str


def near(expectation: Expectation, request: Request) -> tuple[Near, ...]:
    """Rules of the request's hosts that would take it but for a condition or two, the most specific host first; each once."""
    profile = expectation.profile
    nearest: dict[RuleIndex, tuple[int, Near]] = {}
    other = replace(request, port=profile.http_port if request.secure else profile.https_port)
    for asked, elsewhere in ((request, False), (other, True)):
        for place in candidates(asked, scoped=profile.scoped_rds):
            for route in expectation.tables.get(place, ()):
                reasons = [*_port(request, elsewhere), *_fails(route.key, request)]
                if route.generated or not reasons or "" in reasons:
                    continue
                for index in route.rules:
                    if index not in nearest or len(reasons) < nearest[index][0]:
                        nearest[index] = (len(reasons), Near(index, place, " and ".join(reasons)))
    return tuple(each for _, each in sorted(nearest.values(), key=lambda pair: pair[0]))


def _port(request: Request, elsewhere: bool) -> Iterator[str]:
    if elsewhere and request.secure:
        yield "its host has no TLS (no entry of spec.tls names it), so that it is served over http alone"
    elif elsewhere:
        yield "it is served over https alone"


def _fails(key: MatchKey, request: Request) -> Iterator[str]:
    """Conditions that certainly fail, in words; "" for a path that is another one altogether."""
    if key.other:
        yield ""
    if path_holds(key, request.path) is False:
        yield _path(key, request)
    for condition in key.headers:
        if condition_holds(condition, request.values(condition.name)) is False:
            yield _header(condition, request)
    for condition in key.query:
        values = parameter(request, condition.name)
        if condition_holds(condition, values) is False:
            has = f"has {shown(condition.name, values[0])!r}" if values else "does not have"
            yield f"it needs the query parameter {_wanted(condition)}, which the request {has}"


def _header(condition: HeaderMatch, request: Request) -> str:
    if condition.name == ":method":
        return f"it takes the method {condition.value.replace('|', ' or ')}, and not {request.method}"
    values = request.values(condition.name) or ()
    has = f"has as {shown(condition.name, values[0])!r}" if values else "does not have"
    if condition.inverted:
        return f"it takes requests without the header {_wanted(condition)} alone"
    return f"it needs the header {_wanted(condition)}, which the request {has}"


def _wanted(condition: HeaderMatch) -> str:
    value = shown(condition.name, condition.value)
    if condition.op == "present":
        return condition.name
    sign = {"exact": "=", "prefix": " beginning with ", "suffix": " ending with ", "contains": " containing "}
    return f"{condition.name}{sign.get(condition.op, ' matching ')}{value}"


def _path(key: MatchKey, request: Request) -> str:
    """Why a path that looks alike is another one, "" where it does not look alike."""
    value, path = key.value, request.path
    never = dead_key(key)
    if never is not None and path_holds(key, request.target.partition("?")[0] if "?" not in value else request.target):
        return f"no request can have its path {value}: {never.said}"
    if key.kind == "safe_regex":
        return ""
    stem = value.rstrip("/")
    if key.kind == "path" and path.rstrip("/") == stem:
        return f"it takes the path {value} exactly, {'with' if value.endswith('/') else 'without'} a slash at the end"
    folded = _any_case(key)
    if not key.ignore_case and path_holds(folded, path):
        return f"its path {value} is written in other letters: case counts (higress.io/ignore-path-case)"
    if "*" in value and path.startswith(value.partition("*")[0]):
        return f"the * in its path {value} is a plain sign and stands for nothing else"
    if key.kind == "prefix" and stem and path.startswith(stem) and path != stem:
        return f"its path {stem} is taken by whole segments, and {path} is another one"
    return ""


def _any_case(key: MatchKey) -> MatchKey:
    """The key without regard to letters' case."""
    return key._replace(ignore_case=True)

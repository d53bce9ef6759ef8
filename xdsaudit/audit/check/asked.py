"""What a real Envoy says of the routes that a batch becomes: which of them to ask about, who is to blame, and in what words.

Envoy refuses a whole configuration for one bad route, so that culprits are found by halves. How Envoy is asked is passed in:
nothing here starts a program.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from xdsaudit.audit.causes.rejection import ENVOY_REJECTED
from xdsaudit.audit.check.case import Case, Remark
from xdsaudit.envoy.plain import plain_route
from xdsaudit.ingress.annotations import HIGRESS, NGINX
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import Ingress
from xdsaudit.ingress.translate import translate
from xdsaudit.model.plain import Plain
from xdsaudit.model.verdict import Rule, Severity

Routes = Sequence[Mapping[str, Plain]]
Refuses = Callable[[Routes], str]
"""Asks Envoy about routes in its own JSON: its words when it refuses them, "" when it takes them."""

_LACKS: Final = re.compile(
    r"could not find @type '(?:type\.googleapis\.com/)?([^']+)'|no such field: '([^']+)'|registered implementation for (?:name|type): '([^']+)'"
)
_TRACED: Final = 20
"""Ingresses whose annotations are tried one by one."""


class Question(NamedTuple):
    """One route to ask about, however many rules have it.

    Attributes:
        route: as Envoy's JSON has it.
        rules: of the batch that it serves.
    """

    route: Mapping[str, Plain]
    rules: tuple[Rule, ...]


class Answer(NamedTuple):
    """What came of asking.

    Attributes:
        refused: each route that Envoy refuses, with its words.
        lacking: what this Envoy was not built with, and how many routes were left out for it.
        asked: how many routes it was asked about.
    """

    refused: tuple[tuple[Question, str], ...]
    lacking: Mapping[str, int]
    asked: int


def questions(after: Expectation, refs: Collection[str]) -> tuple[Question, ...]:
    """The routes of some Ingresses (``namespace/name`` each), those that say the same once."""
    grouped: dict[str, tuple[Mapping[str, Plain], dict[Rule, None]]] = {}
    for routes in after.tables.values():
        for route in routes:
            mine = [rule for index in route.rules if (rule := after.plans[index].rule).ref in refs]
            if mine:
                plain = plain_route(route)
                text = json.dumps({**plain, "name": ""}, sort_keys=True)
                grouped.setdefault(text, (plain, {}))[1].update(dict.fromkeys(mine))
    return tuple(Question(plain, tuple(rules)) for plain, rules in grouped.values())


def ask(asked: Sequence[Question], refuses: Refuses) -> Answer:
    """Envoy's answer about each route.

    Routes that use what this Envoy was not built with are left out: they say nothing about the gateway's. Those of one kind
    are told by one of them, so that a thousand cost as much as one.

    Raises:
        ReadError: as ``refuses`` raises it.
    """
    plain: list[Question] = []
    lacking: Counter[str] = Counter()
    kinds: dict[frozenset[str], list[Question]] = {}
    for question in asked:
        kinds.setdefault(frozenset(_features(question.route)), []).append(question)
    for same in kinds.values():
        what = _lacks(refuses([same[0].route]))
        if what:
            lacking[what] += len(same)
        else:
            plain += same
    return Answer(tuple(_culprits(plain, refuses)), dict(lacking), len(plain))


def _lacks(words: str) -> str:
    """The type or field that this Envoy does not know, "" where it refuses for another reason or not at all."""
    match = _LACKS.search(words)
    return next(filter(None, match.groups())) if match else ""


def _features(value: Plain, path: str = "") -> Iterator[str]:
    """Names of fields and types of extensions in a route."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield str(part) if key == "@type" else f"{path}.{key}"
            yield from _features(part, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from _features(part, path)


def _culprits(some: Sequence[Question], refuses: Refuses) -> Iterator[tuple[Question, str]]:
    words = refuses([q.route for q in some]) if some else ""
    if not words:
        return
    if len(some) == 1:
        yield some[0], words
        return
    half = len(some) // 2
    yield from _culprits(some[:half], refuses)
    yield from _culprits(some[half:], refuses)


def remarks_of(answer: Answer, case: Case, name: str, refuses: Refuses) -> Iterator[Remark]:
    """One remark for each rule that Envoy would refuse, with the annotation that makes it so where leaving it out heals it.

    Args:
        answer: what came of asking.
        case: the batch among what there will be.
        name: of the Envoy that was asked, with its version.
        refuses: asks it again.
    """
    by_ref = {i.ref: i for i in case.objects.ingresses}
    annotations: dict[str, str | None] = {}
    first: dict[Rule, str] = {}  # a path of type Prefix is two routes
    for question, words in answer.refused:
        for rule in question.rules:
            first.setdefault(rule, words)
    for rule, words in first.items():
        if rule.ref not in annotations and len(annotations) < _TRACED:
            annotations[rule.ref] = _annotation(by_ref[rule.ref], case, refuses)
        key = annotations.get(rule.ref)
        why = f" (annotation {key}: without it Envoy takes the Ingress)" if key else ""
        text = f"{rule} will be rejected by Envoy, with every change that comes along: {name} says {words}{why}"
        yield Remark(ENVOY_REJECTED, rule, text, Severity.ERROR, resource=key)


def _annotation(ingress: Ingress, case: Case, refuses: Refuses) -> str | None:
    """The annotation of an Ingress without which Envoy takes all its routes; None where no single one is to blame."""
    for key in ingress.annotations:
        if not key.startswith((NGINX, HIGRESS)):
            continue
        rest = {k: v for k, v in ingress.annotations.items() if k != key}
        metadata = msgspec.structs.replace(ingress.metadata, annotations=rest)
        healed = msgspec.structs.replace(ingress, metadata=metadata)
        alone = translate(replace(case.objects, ingresses=(healed,)), case.after.profile)
        routes = [q.route for q in questions(alone, {ingress.ref})]
        if routes and not refuses(routes):
            return key
    return None

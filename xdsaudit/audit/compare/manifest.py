"""What was asked for against what the API holds: rules of manifests that were never applied, or that the API holds differently.

Compares Ingress objects alone; what the API adds by itself (status, managed fields, defaults) is no difference. Knows no route.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from xdsaudit.ingress.annotations import acts
from xdsaudit.ingress.objects import Backend, Ingress
from xdsaudit.model.sensitive import Masks, sensitive
from xdsaudit.model.verdict import FieldDelta, Rule
from xdsaudit.model.view import ViewName

_CLASS = "kubernetes.io/ingress.class"


class Unapplied(NamedTuple):
    """A wanted rule that the API lacks, or holds differently.

    Attributes:
        rule: as it was wanted.
        held: the rule of the API in its place, None when there is none.
        exists: whether the API holds an Ingress of that name at all.
        fields: what differs; empty for a rule that is missing.
    """

    rule: Rule
    held: Rule | None
    exists: bool
    fields: tuple[FieldDelta, ...] = ()


class _Written(NamedTuple):
    rule: Rule
    backend: Backend | None


def unapplied(wanted: Iterable[Ingress], held: Iterable[Ingress]) -> Iterator[Unapplied]:
    """Every wanted rule that is not in the API as it was wanted, in the order of the manifests."""
    there = {(i.namespace, i.metadata.name): i for i in held}
    for mine in wanted:
        theirs = there.get((mine.namespace, mine.metadata.name))
        if theirs is None:
            yield from (Unapplied(w.rule, None, False) for w in _rules(mine))
            continue
        shared = tuple(_ingress_deltas(mine, theirs))
        left: dict[tuple[str, str], list[_Written]] = {}
        for each in _rules(theirs):
            left.setdefault((each.rule.host, each.rule.path), []).append(each)
        for each in _rules(mine):
            rivals = left.get((each.rule.host, each.rule.path), [])
            if not rivals:
                yield Unapplied(each.rule, None, True)
                continue
            # An Ingress may write one host and path twice: the one that is most alike is its own.
            rivals.sort(key=lambda r: len(tuple(_rule_deltas(each, r))), reverse=True)
            other = rivals.pop()
            fields = (*_rule_deltas(each, other), *shared)
            if fields:
                yield Unapplied(each.rule, other.rule, True, fields)


def _rules(ingress: Ingress) -> Iterator[_Written]:
    ref = (ingress.namespace, ingress.metadata.name)
    for rule in ingress.spec.rules or ():
        host = rule.host or "*"
        paths = (rule.http.paths if rule.http else None) or []
        for path in paths:
            yield _Written(Rule(*ref, host, path.path or "/", path.pathType or None), path.backend)
        if not paths and ingress.spec.defaultBackend is None:
            yield _Written(Rule(*ref, host, "/", None), None)
    if ingress.spec.defaultBackend is not None:
        yield _Written(Rule(*ref, "*", "/", "DefaultBackend"), ingress.spec.defaultBackend)
    elif not ingress.spec.rules:
        yield _Written(Rule(*ref, "*", "/", None), None)


def _delta(field: str, expected: str | list[str] | None, actual: str | list[str] | None) -> FieldDelta:
    return FieldDelta(field, ViewName.INGRESS, None, expected, actual)


def _rule_deltas(mine: _Written, theirs: _Written) -> Iterator[FieldDelta]:
    if mine.rule.path_type is not None and mine.rule.path_type != theirs.rule.path_type:
        yield _delta("pathType", mine.rule.path_type, theirs.rule.path_type)
    expected, actual = _backend(mine.backend), _backend(theirs.backend)
    if expected != actual:
        yield _delta("backend", expected, actual)


def _backend(backend: Backend | None) -> str | None:
    if backend is None:
        return None
    if backend.service is not None:
        return f"Service {backend.service.name}:{backend.service.port.number or backend.service.port.name}"
    if backend.resource is not None:
        return f"{backend.resource.kind} {backend.resource.name}"
    return None


def _ingress_deltas(mine: Ingress, theirs: Ingress) -> Iterator[FieldDelta]:
    """What of the Ingress as a whole differs, and so for each of its rules."""
    wanted, held = _class(mine), _class(theirs)
    if wanted is not None and wanted != held:  # the API sets the default class where none is asked for
        yield _delta("ingressClassName", wanted, held)
    expected, actual = _tls(mine), _tls(theirs)
    if expected != actual:
        yield _delta("tls", expected, actual)
    yield from _annotation_deltas(mine.annotations, theirs.annotations)


def _class(ingress: Ingress) -> str | None:
    return ingress.annotations.get(_CLASS, ingress.spec.ingressClassName)


def _tls(ingress: Ingress) -> list[str]:
    return sorted(f"{','.join(sorted(t.hosts or ()))}={t.secretName}" for t in ingress.spec.tls or ())


def _annotation_deltas(mine: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[FieldDelta]:
    for key in sorted({*mine, *theirs}):
        expected, actual = mine.get(key), theirs.get(key)
        if acts(key) and expected != actual:
            if "header" in key and any(v and sensitive(f"{key} {v}") for v in (expected, actual)):
                masks = Masks()
                expected, actual = (v and masks.mask(v) for v in (expected, actual))
            yield _delta(f"annotations.{key}", expected, actual)

"""Narrowing an audit to what somebody asked about.

The judgement itself always looks at everything, since rules of one namespace win over rules of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from xdsaudit.errors import InputError, ReadError, did_you_mean
from xdsaudit.ingress.objects import Ingress, decode_list
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.route import ingress_of
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import Audit, LeftOut

Labels = Mapping[str, str]
_PLUGIN = "wasmplugin/"
_TERM = re.compile(
    r"^\s*(?:(?P<no>!)?(?P<has>[\w./-]+)|(?P<key>[\w./-]+)\s*(?P<op>==?|!=)\s*(?P<value>[\w.-]*)"
    r"|(?P<skey>[\w./-]+)\s+(?P<sop>in|notin)\s*\((?P<set>[^()]*)\))\s*$"
)


@dataclass(frozen=True)
class Scope:
    """Namespaces, Ingresses (``namespace/name``) and a label selector; empty means everything.

    Among the Ingresses may be WasmPlugins, each ``wasmplugin/namespace/name``.
    """

    namespaces: frozenset[str] = frozenset()
    ingresses: frozenset[str] = frozenset()
    selector: str = ""


def selector_of(text: str) -> Callable[[Labels], bool]:
    """A test for labels from kubectl's syntax: ``a=b``, ``a!=b``, ``a``, ``!a``, ``a in (b,c)``, joined by commas.

    Raises:
        InputError: it is not that.
    """
    tests: list[Callable[[Labels], bool]] = []
    for term in re.split(r",(?![^(]*\))", text):
        term_match = _TERM.match(term)
        if not term_match:
            raise InputError(
                f"-l {text!r}: {term!r} is no label condition; write key=value, key!=value, key, !key or key in (a,b)"
            )
        tests.append(_test(term_match))
    return lambda labels: all(t(labels) for t in tests)


def _test(match: re.Match[str]) -> Callable[[Labels], bool]:
    if match["has"]:
        wanted = not match["no"]
        return lambda labels: (match["has"] in labels) is wanted
    if match["key"]:
        equal = match["op"] != "!="
        return lambda labels: (labels.get(match["key"]) == match["value"]) is equal
    values = {v.strip() for v in match["set"].split(",")}
    inside = match["sop"] == "in"
    return lambda labels: (labels.get(match["skey"]) in values) is inside


def narrow(audit: Audit, snapshot: Snapshot, scope: Scope) -> Audit:
    """The audit of the rules in scope; extras and findings stay when they concern it or nobody's Ingress.

    Raises:
        InputError: nothing is in scope, or an Ingress that was named does not exist.
    """
    if not (scope.namespaces or scope.ingresses or scope.selector):
        return audit
    every = (*audit.rules, *audit.not_selected)
    refs = {r.rule.ref for r in every}
    named = {i.removeprefix(_PLUGIN) for i in scope.ingresses if i.startswith(_PLUGIN)}
    if named:
        asked = frozenset(i for i in scope.ingresses if not i.startswith(_PLUGIN))
        plugins = tuple(p for p in audit.plugins if p.ref in named)
        others = replace(scope, ingresses=asked)
        if not (asked or scope.namespaces or scope.selector):
            return replace(audit, rules=(), not_selected=(), extra=(), plugins=plugins, left_out=())
        rest = narrow(audit, snapshot, others)
        return replace(rest, plugins=tuple(dict.fromkeys((*rest.plugins, *plugins))))
    unknown = sorted(scope.ingresses - refs)
    if unknown:
        raise InputError(
            f"Ingress {', '.join(unknown)}: not among the {len(refs)} Ingresses that were read; write NAMESPACE/NAME{did_you_mean(unknown[0], refs)}"
        )
    kept = refs & scope.ingresses if scope.ingresses else refs
    if scope.namespaces:
        kept = {ref for ref in kept if ref.partition("/")[0] in scope.namespaces}
    if scope.selector:
        fits = selector_of(scope.selector)
        labels = _labels(snapshot)
        kept = {ref for ref in kept if fits(labels.get(ref, {}))}
    if not kept:
        spaces = {ref.partition("/")[0] for ref in refs}
        strange = sorted(scope.namespaces - spaces)
        hint = did_you_mean(strange[0], spaces) if strange else ""
        raise InputError(
            f"nothing is selected: none of {len(refs)} Ingresses is in scope; check -n, -l and the names{hint}"
        )
    system = str(audit.controller.get("system_namespace") or "higress-system")
    names = {ref.partition("/")[0] for ref in kept}

    def ours(route: str) -> bool:
        ingress = ingress_of(route, system)
        return ingress is None or (ingress[0] in names and not scope.ingresses) or "/".join(ingress) in kept

    return replace(
        audit,
        rules=tuple(r for r in audit.rules if r.rule.ref in kept),
        not_selected=tuple(r for r in audit.not_selected if r.rule.ref in kept),
        extra=tuple(e for e in audit.extra if ours(e.route)),
        plugins=tuple(p for p in audit.plugins if p.namespace in scope.namespaces or _acts_on(p, kept, system)),
        left_out=_known_of(audit.left_out, kept),
    )


def _known_of(left_out: Iterable[LeftOut], refs: Collection[str]) -> tuple[LeftOut, ...]:
    """What is left out by the annotations of these Ingresses alone; each line of it begins with its Ingress."""
    own = (x._replace(what=tuple(w for w in x.what if w.partition(":")[0] in refs)) for x in left_out)
    return tuple(x for x in own if x.what)


def _acts_on(plugin: PluginVerdict, refs: Collection[str], system: str) -> bool:
    """Whether a match rule of a plugin names one of these Ingresses."""
    names = {ref.removeprefix(f"{system}/") for ref in refs}
    return any(name in names for r in plugin.rules for name in r.ingress)


def _labels(snapshot: Snapshot) -> dict[str, Labels]:
    try:
        items = decode_list(snapshot.kube.get("ingresses", b'{"items":[]}'), Ingress)
    except ReadError:
        return {}
    return {i.ref: i.metadata.labels or {} for i in items}

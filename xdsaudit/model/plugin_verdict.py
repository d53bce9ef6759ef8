"""Verdicts of plugins and their match rules, with the same words as for rules."""

from __future__ import annotations

from typing import NamedTuple

from xdsaudit.model.verdict import FieldDelta, ReplicaVerdict, Stage, Verdict
from xdsaudit.model.view import ViewName


class MatchVerdict(NamedTuple):
    """The verdict of one match rule of a WasmPlugin.

    Attributes:
        number: its place in ``matchRules``, from 0.
        ingress: its conditions as written, and so are ``service`` and ``domain``.
        by: number of the match rule that takes its requests.
    """

    number: int
    ingress: tuple[str, ...]
    service: tuple[str, ...]
    domain: tuple[str, ...]
    verdict: Verdict
    stage: Stage | None = None
    code: str | None = None
    slug: str | None = None
    by: int | None = None
    fields: tuple[FieldDelta, ...] = ()
    evidence: tuple[str, ...] = ()
    remedy: str | None = None

    @property
    def said(self) -> str:
        """What it is for: ``matchRules[0] (ingress shop/cart)``."""
        return match_said(self.number, self.ingress, self.service, self.domain)


class PluginVerdict(NamedTuple):
    """The verdict of one WasmPlugin; ``by`` is the plugin that holds it back, ``namespace/name``."""

    namespace: str
    name: str
    verdict: Verdict
    stage: Stage | None = None
    last_seen: ViewName | None = None
    first_missing: ViewName | None = None
    code: str | None = None
    slug: str | None = None
    by: str | None = None
    fields: tuple[FieldDelta, ...] = ()
    replicas: tuple[ReplicaVerdict, ...] = ()
    evidence: tuple[str, ...] = ()
    remedy: str | None = None
    rules: tuple[MatchVerdict, ...] = ()

    @property
    def ref(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def verdicts(self) -> frozenset[Verdict]:
        """Its own verdict and those of its match rules."""
        return frozenset({self.verdict, *(r.verdict for r in self.rules)})

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same verdict as an earlier one: names, verdicts and codes, but not evidence."""
        own = (self.namespace, self.name, self.verdict.value, self.code)
        return (*own, *((r.number, r.verdict.value, r.code) for r in self.rules))

    def __str__(self) -> str:
        lines = [f"WasmPlugin {self.ref}: {plugin_said(self)}"]
        lines += [f"  - {line}" for line in self.evidence]
        lines += [
            f"  {r.said}: {plugin_said(r)}" for r in self.rules if (r.verdict, r.slug) != (self.verdict, self.slug)
        ]
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


def match_said(number: int, ingress: tuple[str, ...], service: tuple[str, ...], domain: tuple[str, ...]) -> str:
    """A match rule for people: ``matchRules[0] (ingress shop/cart)``."""
    kinds = (("ingress", ingress), ("service", service), ("domain", domain))
    parts = [f"{kind} {', '.join(names[:3])}{', …' if len(names) > 3 else ''}" for kind, names in kinds if names]
    return f"matchRules[{number}] ({'; '.join(parts) or 'no condition'})"


def plugin_said(verdict: PluginVerdict | MatchVerdict) -> str:
    """A verdict in words: ``lost at stage delivery (XA503 plugin-config-rejected)``."""
    stage = f" at stage {verdict.stage.value}" if verdict.stage else ""
    code = f" ({verdict.code} {verdict.slug})" if verdict.code else ""
    return f"{verdict.verdict.value.replace('_', ' ')}{stage}{code}"

"""Leaving out what somebody knows already: by code, or by an earlier audit. What is left out is counted and listed.

Identities hold no pod names: a debt is the same debt after a roll-out of the gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from xdsaudit.errors import InputError
from xdsaudit.model.plain import Plain, as_mapping, as_mappings
from xdsaudit.model.plugin_verdict import PluginVerdict, plugin_said
from xdsaudit.model.verdict import Audit, Extra, Finding, LeftOut, RuleVerdict, Verdict

_RULE: Final = ("namespace", "ingress", "host", "path", "path_type", "verdict", "stage", "code")
_EXTRA: Final = ("view", "port", "host", "match", "route")
_CONCERN: Final = ("view", "resource", "namespace", "ingress")
Identity = tuple[object, ...]


def by_code(audit: Audit, *, only: Iterable[str] = (), skip: Iterable[str] = ()) -> Audit:
    """The audit without the codes skipped, or with none but those named; rules in sync stay."""
    wanted, dropped = frozenset(only), frozenset(skip)
    if dropped:
        audit = _without(audit, "skip", lambda code: code in dropped)
    if wanted:
        audit = _without(audit, "only", lambda code: code is not None and code not in wanted)
    return audit


def _without(audit: Audit, option: str, known: Callable[[str | None], bool]) -> Audit:
    def kept(plugin: PluginVerdict) -> PluginVerdict | None:
        if known(plugin.code):
            return None
        return plugin._replace(rules=tuple(r for r in plugin.rules if not known(r.code)))

    return _split(audit, option, lambda r: known(r.code), lambda f: known(f.code), lambda _: False, kept)


def since(audit: Audit, baseline: Mapping[str, Plain]) -> Audit:
    """The audit without what an earlier one (its JSON object) said already, so that old debts do not fail a roll-out.

    A rule is known by its namespace, Ingress, host, path, path type, verdict, stage and code, a finding by its code and
    what it concerns; neither by the replica. Of findings that are alike, only as many are known as were said then: a second
    gateway without a control plane is news.

    Raises:
        InputError: the baseline is not a JSON report.
    """
    if baseline.get("schema") != "xdsaudit.audit/1":
        raise InputError("the baseline is no xdsaudit audit: write one with xdsaudit diff -o json")
    try:
        rules = {tuple(r[k] for k in _RULE) for r in as_mappings(baseline["rules"])}
        extras = {tuple(e[k] for k in _EXTRA) for e in as_mappings(baseline["extra"])}
        findings = as_mappings(baseline["findings"])
        told = Counter(_said(f["code"], as_mappings(f["concerns"]), as_mapping(f["by"])) for f in findings)
        plugins = {_of_plugin(p) for p in as_mappings(baseline.get("plugins"))}
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"the baseline is not complete ({error}): write one with xdsaudit diff -o json") from error

    def old_rule(verdict: RuleVerdict) -> bool:
        stage = verdict.stage.value if verdict.stage else None
        return (*verdict.rule, verdict.verdict.value, stage, verdict.code) in rules

    def old_finding(finding: Finding) -> bool:
        identity = _said(
            finding.code, [c._asdict() for c in finding.concerns], finding.by._asdict() if finding.by else None
        )
        told[identity] -= 1
        return told[identity] >= 0

    def old_extra(extra: Extra) -> bool:
        return tuple(getattr(extra, k) for k in _EXTRA) in extras

    def kept(plugin: PluginVerdict) -> PluginVerdict | None:
        return None if plugin.verdicts - {Verdict.IN_SYNC} and plugin.identity in plugins else plugin

    return _split(audit, "baseline", old_rule, old_finding, old_extra, kept)


def _of_plugin(plugin: Mapping[str, Plain]) -> Identity:
    """``PluginVerdict.identity`` of a plugin in an earlier report."""
    own = tuple(plugin.get(k) for k in ("namespace", "name", "verdict", "code"))
    return (*own, *((r["number"], r["verdict"], r["code"]) for r in as_mappings(plugin["rules"])))


def _said(code: object, concerns: Iterable[Mapping[str, object]], by: Mapping[str, object] | None) -> Identity:
    about = frozenset(tuple(c.get(k) for k in _CONCERN) for c in concerns)
    return code, about, tuple(by.values()) if by else None


def _split(
    audit: Audit,
    option: str,
    rule: Callable[[RuleVerdict], bool],
    finding: Callable[[Finding], bool],
    extra: Callable[[Extra], bool],
    plugin: Callable[[PluginVerdict], PluginVerdict | None],
) -> Audit:
    """The audit without what is known, which is listed by code."""
    rules = [(r, r.verdict is not Verdict.IN_SYNC and rule(r)) for r in audit.rules]
    findings = [(f, finding(f)) for f in audit.findings]
    extras = [(e, extra(e)) for e in audit.extra]
    plugins = [(p, plugin(p)) for p in audit.plugins]
    texts = _texts((r for r, old in rules if old), (f for f, old in findings if old), (e for e, old in extras if old))
    return replace(
        audit,
        rules=tuple(r for r, old in rules if not old),
        findings=tuple(f for f, old in findings if not old),
        extra=tuple(e for e, old in extras if not old),
        plugins=tuple(kept for _, kept in plugins if kept is not None),
        left_out=(*audit.left_out, *left_out(option, (*texts, *_plugin_texts(plugins)))),
    )


def left_out(option: str, texts: Iterable[tuple[str | None, str]]) -> tuple[LeftOut, ...]:
    """What an option hid, by code, of codes and texts."""
    listed: dict[str | None, list[str]] = {}
    for code, text in texts:
        listed.setdefault(code, []).append(text)
    return tuple(LeftOut(option, code, tuple(what)) for code, what in sorted(listed.items(), key=lambda c: c[0] or ""))


def _texts(
    rules: Iterable[RuleVerdict], findings: Iterable[Finding], extras: Iterable[Extra]
) -> Iterator[tuple[str | None, str]]:
    for rule in rules:
        yield rule.code, f"{rule.rule}: {rule.said}"
    for finding in findings:
        yield finding.code, finding.message
    for extra in extras:
        place = f"{extra.view} {extra.replica or ''}".strip()
        yield None, f"{place} serves {extra.match} of {extra.host}:{extra.port}, which no Ingress explains"


def _plugin_texts(plugins: Iterable[tuple[PluginVerdict, PluginVerdict | None]]) -> Iterator[tuple[str | None, str]]:
    """What is hidden of plugins: one as a whole, or some of its match rules."""
    for before, after in plugins:
        if after is None:
            yield before.code, f"WasmPlugin {before.ref}: {plugin_said(before)}"
            continue
        for rule in before.rules:
            if rule not in after.rules:
                yield rule.code, f"WasmPlugin {before.ref} {rule.said}: {plugin_said(rule)}"

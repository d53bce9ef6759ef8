"""Causes: rules and findings that have one in common, told once. Every format for people shows this value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from xdsaudit.audit.causes.catalogue import slugs
from xdsaudit.audit.sayings import Labels, Likewise, folded, generic
from xdsaudit.model.verdict import Audit, Finding, Fix, Rule, RuleVerdict, Stage, Verdict
from xdsaudit.model.view import ViewName

ORDER: Final = (
    Verdict.LOST,
    Verdict.CHANGED,
    Verdict.PENDING,
    Verdict.UNKNOWN,
    Verdict.NO_UPSTREAM,
    Verdict.SHADOWED,
    Verdict.REFUSED,
    Verdict.DORMANT,
)
"""Verdicts as people read them, what is worst first; those in sync are no cause."""
_WINNERS: Final = frozenset({Verdict.REFUSED, Verdict.SHADOWED})
"""Verdicts whose ``by`` is who won over the rule, and no cause that several rules share."""
_DIVERGENCE: Final = slugs(lambda cause: cause.divergence)


class Share(NamedTuple):
    """The replicas of a view that lack or change a group's rules, of those that were read."""

    view: ViewName
    replicas: tuple[str, ...]
    of: int


class Part(NamedTuple):
    """Rules of a group of which the same more is said."""

    rules: tuple[RuleVerdict, ...]
    lines: tuple[str, ...]


class Group(NamedTuple):
    """Rules with one verdict, stage, code, culprit and place.

    Attributes:
        by: the culprit; of refused and shadowed rules each has its own, and it stands in its part's lines.
        shares: who lacks or changes the rules, a view each.
        lines: evidence that all of them have in common, replicas that say the same in one line.
        parts: the rules, with what is said of some alone.
        findings: of the same cause and place, said with the group and not again.
    """

    verdict: Verdict
    stage: Stage | None
    code: str | None
    slug: str | None
    by: Rule | None
    shares: tuple[Share, ...]
    lines: tuple[str, ...]
    parts: tuple[Part, ...]
    remedy: str | None
    fix: tuple[Fix, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def rules(self) -> tuple[RuleVerdict, ...]:
        """All rules of the group."""
        return tuple(r for part in self.parts for r in part.rules)

    @property
    def hosts(self) -> int:
        """Number of their hosts."""
        return len({r.rule.host for r in self.rules})


class Told(NamedTuple):
    """A finding, and the replicas of which the same is to be said."""

    finding: Finding
    likewise: Likewise


class Causes(NamedTuple):
    """An audit by cause.

    Attributes:
        groups: rules that are not in sync, what is worst first.
        told: findings that no group carries.
    """

    groups: tuple[Group, ...]
    told: tuple[Told, ...]


def causes(audit: Audit) -> Causes:
    """Group an audit by cause. Pure, and nothing is left out: each rule that is not in sync stands in one group."""
    labels = Labels.of(audit.views)
    bare = [_group(labels, rules) for verdict in ORDER for rules in _alike(audit.of(verdict))]
    carried: set[int] = set()
    groups = []
    for group in bare:
        mine = [i for i, f in enumerate(audit.findings) if _carries(group, f)]
        carried |= set(mine)
        groups.append(_carrying(labels, group, [audit.findings[i] for i in mine]))
    rest = [f for i, f in enumerate(audit.findings) if i not in carried]
    return Causes(tuple(groups), tuple(_told(labels, rest)))


def _alike(rules: Iterable[RuleVerdict]) -> Iterator[list[RuleVerdict]]:
    """Rules of one verdict by cause, in the order of codes, large groups first."""
    culprits = {r.by for r in rules if r.by is not None}
    found: dict[object, list[RuleVerdict]] = {}
    for rule in rules:
        by = None if rule.verdict in _WINNERS else rule.by or (rule.rule if rule.rule in culprits else None)
        place = tuple((r.view, r.replica) for r in rule.replicas if r.verdict in (Verdict.LOST, Verdict.CHANGED))
        key = (rule.code or "", rule.stage.value if rule.stage else "", by, place, rule.remedy)
        found.setdefault(key, []).append(rule)
    yield from sorted(
        found.values(), key=lambda g: (g[0].code or "", g[0].stage.value if g[0].stage else "", -len(g), str(g[0].by))
    )


def _group(labels: Labels, rules: Sequence[RuleVerdict]) -> Group:
    first = rules[0]
    own: dict[tuple[str, ...], list[RuleVerdict]] = {}
    if len(rules) == 1:
        common: tuple[str, ...] = first.evidence
        own[_won(first)] = [first]
    else:
        plain = [tuple(generic(line, r.rule.host) for line in r.evidence) for r in rules]
        shared = set(plain[0]).intersection(*plain[1:])
        common = tuple(line for line in plain[0] if line in shared)
        for rule, lines in zip(rules, plain, strict=True):
            rest = tuple(raw for raw, line in zip(rule.evidence, lines, strict=True) if line not in shared)
            own.setdefault((*_won(rule), *rest), []).append(rule)
    by = next((r.by for r in rules if r.by is not None), None) if first.verdict not in _WINNERS else None
    return Group(
        first.verdict,
        first.stage,
        first.code,
        first.slug,
        by,
        tuple(_shares(labels, first)),
        folded(labels, common),
        tuple(Part(tuple(listed), folded(labels, lines)) for lines, listed in own.items()),
        first.remedy,
        tuple(dict.fromkeys(f for r in rules for f in r.fix)),
    )


def _won(rule: RuleVerdict) -> tuple[str, ...]:
    """Who won over a rule, where its evidence does not say so."""
    if rule.by is None or rule.verdict not in _WINNERS or any(str(rule.by) in line for line in rule.evidence):
        return ()
    return (f"by {rule.by}",)


def _shares(labels: Labels, rule: RuleVerdict) -> Iterator[Share]:
    bad: dict[ViewName, list[str]] = {}
    for each in rule.replicas:
        if each.replica and each.verdict in (Verdict.LOST, Verdict.CHANGED):
            bad.setdefault(each.view, []).append(each.replica)
    for view, names in bad.items():
        yield Share(view, tuple(names), max(labels.total(view), len(names)))


def _carries(group: Group, finding: Finding) -> bool:
    """Whether a finding is this group's: of its code at its replicas, or that just these replicas disagree."""
    about = {(c.view, c.replica) for c in finding.concerns if c.replica}
    bad = {(s.view, r) for s in group.shares for r in s.replicas}
    if finding.slug in _DIVERGENCE:
        return any(about == {(s.view, r) for r in s.replicas} for s in group.shares)
    return bool(about) and finding.code == group.code and about <= bad and finding.by in (None, group.by)


def _carrying(labels: Labels, group: Group, findings: Sequence[Finding]) -> Group:
    """A group with what its findings say, as far as it does not say so itself."""
    messages = folded(labels, (f.message for f in findings if f.slug not in _DIVERGENCE))
    lines = [*messages, *group.lines]
    for line in folded(labels, (line for f in findings for line in f.evidence)):
        reason = line.partition(": ")[2] or line
        if not any(line in each or reason in each for each in lines):
            lines.append(line)
    fixes = dict.fromkeys((*group.fix, *(x for f in findings for x in f.fix)))
    return group._replace(lines=tuple(lines), findings=tuple(findings), fix=tuple(fixes))


def _told(labels: Labels, findings: Iterable[Finding]) -> Iterator[Told]:
    """Findings, those that differ in nothing but the replica as one."""
    found: dict[object, list[tuple[Finding, str]]] = {}
    for number, finding in enumerate(findings):
        about = {(c.view or "", c.replica) for c in finding.concerns if c.replica}
        view, replica = next(iter(about), ("", None)) if len(about) == 1 else ("", None)
        label = f"{view} {replica}"
        key: object = number
        if replica is not None:
            texts = tuple(t.replace(label, view) for t in (finding.message, *finding.evidence))
            key = (finding.code, finding.severity, texts, finding.remedy, finding.by)
        found.setdefault(key, []).append((finding, replica or ""))
    for listed in found.values():
        first = listed[0][0]
        of = next((labels.total(c.view or "") for c in first.concerns if c.replica), 0)
        yield Told(first, Likewise(tuple(name for _, name in listed[1:]), of))

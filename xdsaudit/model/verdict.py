"""Verdicts, findings and the audit: what is said of each rule, with its proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from xdsaudit.model.plain import Plain
from xdsaudit.model.view import State, ViewInfo, ViewName

if TYPE_CHECKING:
    from xdsaudit.model.plugin_verdict import PluginVerdict


class Verdict(StrEnum):
    """One per rule, in order of precedence."""

    NOT_SELECTED = "not_selected"
    REFUSED = "refused"
    LOST = "lost"
    CHANGED = "changed"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SHADOWED = "shadowed"
    NO_UPSTREAM = "no_upstream"
    DORMANT = "dormant"
    IN_SYNC = "in_sync"


class Stage(StrEnum):
    """The edge between two views; ``pilot`` and ``control-plane`` are coarser where views are missing."""

    APPLY = "apply"
    TRANSLATION = "translation"
    GENERATION = "generation"
    CACHE = "cache"
    DELIVERY = "delivery"
    UPSTREAM = "upstream"
    PILOT = "pilot"
    CONTROL_PLANE = "control-plane"


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Rule(NamedTuple):
    """One host and path of one Ingress, as its author wrote them."""

    namespace: str
    ingress: str
    host: str
    path: str
    path_type: str | None

    @property
    def ref(self) -> str:
        """``namespace/ingress``."""
        return f"{self.namespace}/{self.ingress}"

    def __str__(self) -> str:
        return f"{self.ref} {self.host}{self.path}"


class FieldDelta(NamedTuple):
    """A field that differs: what was expected and what one view holds."""

    field: str
    view: ViewName
    replica: str | None
    expected: Plain
    actual: Plain


class ReplicaVerdict(NamedTuple):
    """What one replica of one view says of a rule."""

    view: ViewName
    replica: str | None
    verdict: Verdict
    stage: Stage | None


class Concern(NamedTuple):
    """Who a finding is about."""

    view: ViewName | None = None
    replica: str | None = None
    resource: str | None = None
    namespace: str | None = None
    ingress: str | None = None


class Fix(NamedTuple):
    """A command that heals or looks closer, ready to be copied; nothing here ever runs it."""

    title: str
    command: str


class LeftOut(NamedTuple):
    """What an option hid (``left_out`` in JSON).

    Attributes:
        by: the option without its dashes: ``only``, ``skip``, ``baseline`` or ``ignore`` (an annotation).
        code: of the catalogue, None for a route that no Ingress explains.
        what: a line each: the rule with its verdict, or the finding's message.
    """

    by: str
    code: str | None
    what: tuple[str, ...]

    @property
    def option(self) -> str:
        """What hid it, as people wrote it: ``--skip``, or the annotation."""
        return "xdsaudit.io/ignore" if self.by == "ignore" else f"--{self.by}"


class RuleVerdict(NamedTuple):
    """The verdict of one rule. A tuple, since there are many."""

    rule: Rule
    verdict: Verdict
    stage: Stage | None = None
    last_seen: ViewName | None = None
    first_missing: ViewName | None = None
    code: str | None = None
    slug: str | None = None
    by: Rule | None = None
    fields: tuple[FieldDelta, ...] = ()
    replicas: tuple[ReplicaVerdict, ...] = ()
    evidence: tuple[str, ...] = ()
    remedy: str | None = None
    fix: tuple[Fix, ...] = ()

    @property
    def said(self) -> str:
        """The verdict in words: ``lost at stage cache (XA401 stale-route-cache)``."""
        stage = f" at stage {self.stage.value}" if self.stage else ""
        code = f" ({self.code} {self.slug})" if self.code else ""
        return f"{self.verdict.value.replace('_', ' ')}{stage}{code}"

    def __str__(self) -> str:
        lines = [f"{self.rule}: {self.said}"]
        if self.last_seen:
            lines.append(f"  last seen in {self.last_seen}, first missing in {self.first_missing}")
        lines += [f"  - {line}" for line in self.evidence]
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        lines += [f"    {fix.command}" for fix in self.fix]
        return "\n".join(lines)


class Origin(NamedTuple):
    """Where an object or a path was written: a file, its line and column counted from 1; column 0 means the line as a whole."""

    file: str
    line: int
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")


Origins = Mapping[tuple[str, str, str], Origin]
"""Origins by (``namespace/ingress``, host, path); host and path are empty for the Ingress as a whole, ``@KEY`` is an annotation."""


def origin_in(origins: Origins, rule: Rule) -> Origin | None:
    """Where a rule was written, or else its Ingress; None when that came from no file."""
    return origins.get((rule.ref, rule.host, rule.path)) or origins.get((rule.ref, "", ""))


class Extra(NamedTuple):
    """A route that no Ingress explains (``extra`` in JSON)."""

    view: ViewName
    replica: str | None
    port: int
    host: str
    match: str
    route: str


@dataclass(frozen=True)
class Finding:
    """Something wrong that is not one rule's own: a rejection, a disconnection, a crash key."""

    code: str
    slug: str
    severity: Severity
    message: str
    concerns: tuple[Concern, ...] = ()
    by: Rule | None = None
    evidence: tuple[str, ...] = ()
    remedy: str | None = None
    at: Origin | None = None
    fix: tuple[Fix, ...] = ()


IN_EFFECT: Final = frozenset({Verdict.IN_SYNC, Verdict.DORMANT})
"""Verdicts of a rule of which nothing is wrong and nothing is waited for."""
FAILING: Final = frozenset({Verdict.LOST, Verdict.CHANGED, Verdict.REFUSED, Verdict.SHADOWED, Verdict.NO_UPSTREAM})
"""Verdicts that end with exit code 1 (docs/reference/cli.md)."""


@dataclass(frozen=True)
class Audit:
    """The answer to one snapshot: a verdict per rule, routes that no Ingress explains, findings beside them.

    ``rules`` holds no ``not_selected`` rule; those stand in ``not_selected``. ``conclusive`` is False when a view
    that was asked for could not be read, or a rule stayed unknown or pending. ``plugins`` is empty also where nobody looked
    for WasmPlugins. ``left_out`` tells what options hid; the verdicts themselves look at everything.
    ``told`` is what replicas say of themselves: ``version``, and ``newest_table``, the time of the newest route table.
    ``latency`` is what a wait measured: by stage the number of rules that were seen to arrive and their seconds, and what they count from.
    """

    captured_at: str | None
    controller: Mapping[str, Plain]
    views: tuple[ViewInfo, ...]
    counts: Mapping[tuple[ViewName, str | None], Mapping[str, int]]
    rules: tuple[RuleVerdict, ...]
    not_selected: tuple[RuleVerdict, ...] = ()
    extra: tuple[Extra, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    enough: bool = True
    origins: Origins = field(default_factory=dict)
    plugins: tuple[PluginVerdict, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    told: Mapping[tuple[ViewName, str | None], Mapping[str, str]] = field(default_factory=dict)
    latency: Mapping[str, Plain] | None = None

    def origin(self, rule: Rule) -> Origin | None:
        """Where a rule was written, when its Ingress came from a file."""
        return origin_in(self.origins, rule)

    def of(self, *verdicts: Verdict | str) -> tuple[RuleVerdict, ...]:
        """Rules with one of these verdicts, in order."""
        wanted = {Verdict(v) for v in verdicts}
        return tuple(r for r in self.rules if r.verdict in wanted)

    @property
    def lost(self) -> tuple[RuleVerdict, ...]:
        """The lost rules."""
        return self.of(Verdict.LOST)

    def to_rows(self) -> list[dict[str, str | None]]:
        """A flat row per rule, for pandas: ``pandas.DataFrame(audit.to_rows())``."""
        return [
            {
                **r.rule._asdict(),
                "verdict": r.verdict.value,
                "stage": r.stage.value if r.stage else None,
                "code": r.code,
                "slug": r.slug,
                "last_seen": r.last_seen and r.last_seen.value,
                "first_missing": r.first_missing and r.first_missing.value,
                "by": str(r.by) if r.by else None,
                "evidence": "; ".join(r.evidence),
                "remedy": r.remedy,
            }
            for r in (*self.rules, *self.not_selected)
        ]

    def assert_in_effect(self, *what: str) -> None:
        """Raise unless every rule and plugin is in effect: of these objects, or of the manifests under these paths; without any, of all.

        Args:
            *what: ``namespace/ingress``, ``wasmplugin/namespace/name``, or a file or folder that they were read from (``batch/``).

        Raises:
            AssertionError: the message names each rule and plugin with its verdict, stage, evidence and remedy.
        """
        every = (*self.rules, *self.not_selected)
        chosen: list[RuleVerdict] = list(self.rules) if not what else []
        plugins = [p for p in self.plugins if p.verdict is not Verdict.NOT_SELECTED] if not what else []
        for name in what:
            named = [r for r in every if r.rule.ref == name or self._under(r.rule.ref, name)]
            ours = [p for p in self.plugins if f"wasmplugin/{p.ref}" in (name, *self._refs_under(name))]
            if not named and not ours:
                raise AssertionError(
                    f"{name}: no rule is of this Ingress or path, of {len(every)} rules that were audited"
                )
            chosen += named
            plugins += ours
        bad = [r for r in dict.fromkeys(chosen) if r.verdict not in IN_EFFECT]
        wrong = [p for p in dict.fromkeys(plugins) if p.verdicts - IN_EFFECT]
        if bad or wrong:
            said = f"{len(bad)} of {len(set(chosen))} rules are not in effect"
            said += f", and {len(wrong)} of {len(set(plugins))} plugins" if plugins else ""
            raise AssertionError(said + "\n" + "\n".join(map(str, (*bad, *wrong))))

    def _refs_under(self, place: str) -> frozenset[str]:
        return frozenset(ref for ref, host, _ in self.origins if not host and self._under(ref, place))

    def _under(self, ref: str, place: str) -> bool:
        origin = self.origins.get((ref, "", ""))
        if origin is None:
            return False
        file, folder = origin.file.replace("\\", "/"), place.replace("\\", "/").rstrip("/")
        return file == folder or file.startswith(f"{folder}/")

    @property
    def by_verdict(self) -> dict[str, int]:
        """Number of rules by verdict, every verdict of a counted rule present."""
        counted = Counter(r.verdict for r in self.rules)
        return {v.value: counted[v] for v in Verdict if v is not Verdict.NOT_SELECTED}

    @property
    def gaps(self) -> tuple[ViewInfo, ...]:
        """Views that were asked for and could not be read whole."""
        return tuple(v for v in self.views if v.state in (State.UNREAD, State.PARTIAL))

    @property
    def conclusive(self) -> bool:
        """True when every view that was asked for was read and every rule has a final verdict."""
        return self.enough and not self.gaps and not self._met & {Verdict.UNKNOWN, Verdict.PENDING}

    @property
    def _met(self) -> frozenset[Verdict]:
        """The verdicts that occur, of rules and plugins."""
        return frozenset(r.verdict for r in self.rules).union(*(p.verdicts for p in self.plugins))

    def exit_code(self, fail_on: frozenset[str] | None = None) -> int:
        """The exit code (docs/reference/cli.md): 1 for findings, 3 when inconclusive, else 0.

        Args:
            fail_on: verdicts, severities and ``extra`` that replace the list of what ends with 1.
        """
        wanted = fail_on if fail_on is not None else frozenset({*FAILING, "extra", Severity.ERROR})
        met = {v.value for v in self._met} | {f.severity.value for f in self.findings}
        if self.extra:
            met.add("extra")
        if met & {str(w) for w in wanted}:
            return 1
        return 0 if self.conclusive else 3

"""Wait until a batch's rules are in effect in every gateway, or say what holds them up and whether they will recover on their own.

A rule is in effect when every gateway's tables hold its routes. A missing one is *pending* until something proves that it will not
arrive (a stale cache, a rejection, a disconnection, seen by two full reads), or until it is older than the grace period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypedDict, Unpack

from xdsaudit.audit.case import World
from xdsaudit.audit.causes import control_plane
from xdsaudit.audit.causes.catalogue import slugs
from xdsaudit.audit.memory import Memory
from xdsaudit.audit.questions.in_core import Cores
from xdsaudit.audit.signs import single_label
from xdsaudit.audit.verdicts import audit, judged
from xdsaudit.errors import did_you_mean
from xdsaudit.live.arrivals import Arrivals, summary
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import FAILING, IN_EFFECT, Audit, RuleVerdict, Stage, Verdict
from xdsaudit.model.view import State, ViewName

_NEVER: Final = frozenset({Verdict.REFUSED, Verdict.NOT_SELECTED})
_PROVEN: Final = slugs(lambda cause: cause.proven)
_LASTING: Final = slugs(lambda cause: cause.lasting)
_PLUGIN: Final = "wasmplugin/"
_PARTS: Final = "only what concerns the batch's hosts was read from the gateways"
_SETTLE_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 4.0
_CONNECT_SECONDS: Final = 2.0
"""How long even a certain result waits for views that are still connecting, so that the report has no avoidable gap."""


class BatchReader(Protocol):
    """Reads live sources for a wait (``xdsaudit.collect.rounds.LiveReader``)."""

    def quick(self, hosts: Iterable[str]) -> Snapshot:
        """Cheaply read the tables of these hosts."""

    def full(self, *, probe: bool) -> Snapshot:
        """Read every view completely; with ``probe`` also a new private cache line of pilot."""


@dataclass(frozen=True)
class Outcome:
    """How a wait ended.

    Attributes:
        code: 0 in effect, 1 lost or refused (it will not recover on its own), 3 a source could not be read, 4 timed out.
        audit: the last audit, limited to the batch's rules.
        seconds: how long it took.
        rounds: the number of rounds.
        missing: Ingresses and WasmPlugins of the batch that are not in the API.
        why: a sentence for people.
        latency: by stage (``core``, ``pilot``, ``gateway``) the seconds from the API to it, one number for each rule seen to arrive
            there, as precisely as rounds allow; a stage that was not read, or that every rule had already reached, is left out.
        clocks: how many of those rules count from their ``object``'s own time, and how many from when they were first ``seen``.
    """

    code: int
    audit: Audit
    seconds: float
    rounds: int
    missing: tuple[str, ...]
    why: str
    latency: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    clocks: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every rule is in effect."""
        return self.code == 0

    @property
    def holding(self) -> tuple[RuleVerdict, ...]:
        """The rules that are not in effect."""
        return tuple(r for r in (*self.audit.rules, *self.audit.not_selected) if r.verdict not in IN_EFFECT)


@dataclass(frozen=True)
class Terms:
    """How long and how often a wait reads.

    Attributes:
        interval: seconds between rounds.
        rounds: consecutive rounds in which everything must be in effect.
        deadline: seconds until the wait gives up with code 4.
        grace: seconds for which a rule that is missing without proof is pending.
        patience: seconds a source may be unreadable before the wait ends with code 3.
    """

    interval: float = 0.25
    rounds: int = 1
    deadline: float = 120.0
    grace: float = 15.0
    patience: float = 10.0


class SomeTerms(TypedDict, total=False):
    """The ``Terms`` that differ from their defaults."""

    interval: float
    rounds: int
    deadline: float
    grace: float
    patience: float


class WaitSettings(SomeTerms, total=False):
    """Keywords of ``wait`` besides the clock."""

    tell: Callable[[Audit], None]


def wait_in_rounds(
    reader: BatchReader,
    refs: Iterable[str],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    tell: Callable[[Audit], None] = lambda _: None,
    **terms: Unpack[SomeTerms],
) -> Outcome:
    """Block until every rule of these Ingresses is in effect, or it is certain that one will not be.

    Args:
        reader: reads the live sources.
        refs: Ingresses, each ``namespace/name``, and WasmPlugins, each ``wasmplugin/namespace/name``; none means all Ingresses
            in the API.
        clock: monotonic seconds.
        sleep: waits this many seconds; may return early when something changed.
        tell: called with each round's audit of the batch.
        **terms: see ``Terms``.
    """
    return _Wait(reader, frozenset(refs), clock, Terms(**terms), tell).run(sleep)


class _Wait:
    """The state of one wait."""

    def __init__(
        self,
        reader: BatchReader,
        refs: frozenset[str],
        clock: Callable[[], float],
        terms: Terms,
        tell: Callable[[Audit], None],
    ) -> None:
        self.reader, self.clock, self.terms, self.tell = reader, clock, terms, tell
        self.everything = not refs
        self.refs = frozenset(r for r in refs if not r.startswith(_PLUGIN))
        self.plugins = frozenset(r.removeprefix(_PLUGIN) for r in refs if r.startswith(_PLUGIN))
        self.quick_memory, self.full_memory = Memory(), Memory()
        self.began = clock()
        self.looked = self.stable = 0
        self.since_behind: float | None = None
        self.pause = _SETTLE_SECONDS
        self.since_blind: float | None = None
        self.hosts: frozenset[str] = frozenset()
        self.suspects: frozenset[object] = frozenset()
        self.whole: Audit | None = None
        self.in_api: set[str] = set()
        self.arrivals = Arrivals()
        self.cores: Cores = {}
        self.world: World

    def run(self, sleep: Callable[[float], object]) -> Outcome:
        while True:
            outcome = self.round()
            if outcome is not None:
                return outcome
            sleep(self.terms.interval)

    def round(self) -> Outcome | None:
        self.looked += 1
        began = self.clock()
        result, missing = self.look()
        now = self.clock()
        self.arrivals.see(self.world, result, now, self.cores)
        self.tell(result)
        if self.done(result, missing):
            self.stable += 1
            return self.end(0, result, missing, "every rule is in effect") if self.stable >= self.terms.rounds else None
        self.stable = 0
        never: list[object] = [p for p in result.plugins if p.verdicts & _NEVER and p.stage is not Stage.APPLY]
        never += [r for r in (*result.rules, *result.not_selected) if _never(r) and not _differs_in_api(r)]
        if never and (not result.gaps or now - self.began >= _CONNECT_SECONDS):
            return self.end(1, result, missing, _for_good(never))
        blind = self.blind(result, began)
        if blind is not None:
            return self.end(3, result, missing, blind)
        outcome = self.suspect(result, missing, now)
        if outcome is None and now - self.began >= self.terms.deadline:
            return self.end(4, self.whole or result, missing, f"not in effect after {self.terms.deadline:g} s")
        return outcome

    def look(self) -> tuple[Audit, tuple[str, ...]]:
        """One cheap round: an audit of the batch's rules, and the objects that are not in the API."""
        result = self.quick(self.hosts)
        hosts = self.hosts_of(result)
        if not hosts <= self.hosts:
            self.hosts = hosts
            if not result.gaps:  # a silent source would be waited for twice in one round
                result = self.quick(hosts)
        self.in_api = refs = {r.rule.ref for r in (*result.rules, *result.not_selected)}
        missing = {f"WasmPlugin {p}" for p in self.plugins - {p.ref for p in result.plugins}}
        result = replace(self.narrowed(result), notes=(*result.notes, _PARTS))
        return result, tuple(sorted((self.refs - refs) | missing))

    def quick(self, hosts: frozenset[str]) -> Audit:
        """A cheap read, judged without core, which only serves to time rules."""
        snapshot = self.reader.quick(hosts)
        self.cores = snapshot.core
        self.world, result = judged(replace(snapshot, core={}), memory=self.quick_memory)
        return result

    def hosts_of(self, result: Audit) -> frozenset[str]:
        hosts = {r.rule.host for r in result.rules if self.everything or r.rule.ref in self.refs}
        return frozenset(hosts)

    def narrowed(self, result: Audit) -> Audit:
        if self.everything:
            return replace(result, not_selected=(), plugins=())
        return replace(
            result,
            rules=tuple(r for r in result.rules if r.rule.ref in self.refs),
            not_selected=tuple(r for r in result.not_selected if r.rule.ref in self.refs),
            extra=(),
            plugins=tuple(p for p in result.plugins if p.ref in self.plugins),
        )

    def done(self, result: Audit, missing: tuple[str, ...]) -> bool:
        rules = (*result.rules, *result.not_selected)
        fine = all(r.verdict in IN_EFFECT for r in rules) and all(p.verdicts <= IN_EFFECT for p in result.plugins)
        return bool(rules or result.plugins) and not missing and not result.gaps and fine

    def blind(self, result: Audit, began: float) -> str | None:
        """Why the wait cannot go on, once a source has been unreadable for longer than ``patience``."""
        unread = [i for i in result.views if i.state in (State.UNREAD, State.PARTIAL)]
        if not unread:
            self.since_blind = None
            return None
        if self.since_blind is None:
            self.since_blind = began
        if self.clock() - self.since_blind < self.terms.patience:
            return None
        first = unread[0]
        return f"{first.label} could not be read for {self.terms.patience:g} s: {first.why}"

    def suspect(self, result: Audit, missing: tuple[str, ...], now: float) -> Outcome | None:
        """Read everything once rules have been behind for a while; two such reads that agree on a proof end the wait."""
        behind: list[object] = [r for r in result.rules if r.verdict not in IN_EFFECT and r.stage is not Stage.APPLY]
        behind += [p for p in result.plugins if p.verdicts - IN_EFFECT and p.stage is not Stage.APPLY]
        if not behind:
            self.since_behind, self.suspects, self.pause = None, frozenset(), _SETTLE_SECONDS
            return None
        if self.since_behind is None:
            self.since_behind = now
        if now - self.since_behind < self.pause or result.gaps:
            return None
        self.whole = whole = self.aged(
            self.narrowed(audit(self.reader.full(probe=bool(self.suspects)), memory=self.full_memory))
        )
        lost: frozenset[object] = frozenset(
            (r.rule, r.slug) for r in whole.rules if r.verdict in FAILING and r.stage is not Stage.APPLY
        )
        lost |= {p.identity for p in whole.plugins if p.verdicts & FAILING and p.stage is not Stage.APPLY}
        if lost and lost == self.suspects:
            return self.end(1, whole, missing, "will not recover on its own: see stage and remedy")
        self.pause = _SETTLE_SECONDS if lost else min(self.pause * 2, _LONGEST_SECONDS)
        self.suspects = lost
        self.since_behind = now  # the next full read comes after another pause
        return None

    def aged(self, whole: Audit) -> Audit:
        """Within the grace period, what is not proven is pending."""
        if self.clock() - self.began >= self.terms.grace:
            return whole

        def judged(rule: RuleVerdict) -> RuleVerdict:
            if rule.verdict not in FAILING or rule.slug in _PROVEN or rule.verdict is Verdict.REFUSED:
                return rule
            return rule._replace(verdict=Verdict.PENDING)

        return replace(whole, rules=tuple(map(judged, whole.rules)), plugins=tuple(map(_young, whole.plugins)))

    def end(self, code: int, result: Audit, missing: tuple[str, ...], why: str) -> Outcome:
        if missing and code != 0:
            why = f"{why}; not found in the API: {', '.join(missing[:5])}{did_you_mean(missing[0], self.in_api)}"
        if code == 4:
            result = replace(
                result,
                rules=tuple(
                    r._replace(verdict=Verdict.PENDING)
                    if r.verdict in (Verdict.LOST, Verdict.CHANGED) and r.stage is not Stage.APPLY
                    else r
                    for r in result.rules
                ),
                plugins=tuple(map(_young, result.plugins)),
            )
            unapplied = [r for r in result.rules if r.stage is Stage.APPLY]
            if unapplied:
                more = f" and {len(unapplied) - 1} more" if len(unapplied) > 1 else ""
                why = f"{why}; the API does not have {unapplied[0].rule}{more} as the manifest asks"
        seconds, clocks = self.arrivals.seconds(), self.arrivals.clocks()
        result = replace(result, latency=summary(seconds, clocks))
        return Outcome(code, result, self.clock() - self.began, self.looked, missing, why, seconds, clocks)


def _for_good(never: Sequence[object]) -> str:
    """Why waiting longer is pointless, with the first rule or plugin that will never be in effect."""
    first = never[0]
    more = f" and {len(never) - 1} more" if len(never) > 1 else ""
    if isinstance(first, RuleVerdict):
        proof = f": {first.evidence[0]}" if first.evidence else ""
        return f"{first.rule}{more} will never be in effect as written: {first.said}{proof}"
    return f"{str(first).splitlines()[0]}{more}: the controller refuses it permanently"


def _young(plugin: PluginVerdict) -> PluginVerdict:
    """A plugin that may still arrive: one lost or changed without proof is pending, and so are its match rules."""
    if plugin.slug in _PROVEN or plugin.stage is Stage.APPLY or not plugin.verdicts & {Verdict.LOST, Verdict.CHANGED}:
        return plugin
    unproven = (Verdict.LOST, Verdict.CHANGED)
    rules = tuple(r._replace(verdict=Verdict.PENDING) if r.verdict in unproven else r for r in plugin.rules)
    return plugin._replace(verdict=Verdict.PENDING, rules=rules)


def _never(rule: RuleVerdict) -> bool:
    """Whether waiting longer is pointless: the controller itself leaves out the rule, or the protection its Ingress asks for."""
    if rule.verdict in _NEVER or rule.slug in _LASTING:
        return True
    # Pilot always expands a single label (higress@v2.0.1, istio's ResolveHostname of the default namespace).
    return (
        rule.slug == control_plane.BLACKHOLE_TABLE.slug
        and rule.verdict is Verdict.LOST
        and single_label(rule.rule.host)
    )


def _differs_in_api(rule: RuleVerdict) -> bool:
    """Whether the API's object differs from the manifest: it may still be applied, and then be accepted."""
    return any(delta.view == ViewName.INGRESS for delta in rule.fields)

"""One verdict per WasmPlugin and per match rule: the stage that lost it, named no finer than what was read allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.audit.causes import auditor, delivery, plugins, rejection
from xdsaudit.audit.causes.catalogue import BY_SLUG, refused
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.plugins.rejection import PluginRejection
from xdsaudit.audit.plugins.sight import Sight, look, order_of
from xdsaudit.audit.plugins.traps import Trap
from xdsaudit.audit.signs import frozen_since, listener_error
from xdsaudit.ingress.plugins import MatchRulePlan, PluginPlan, run_order
from xdsaudit.model.plugin_verdict import MatchVerdict, PluginVerdict
from xdsaudit.model.sensitive import Masks
from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import FieldDelta, ReplicaVerdict, Stage, Verdict
from xdsaudit.model.view import PIPELINE, State, View, ViewName

_UNHARMED: Final = {plugins.PLUGIN_ELSEWHERE: Verdict.NOT_SELECTED, plugins.PLUGIN_DISABLED: Verdict.DORMANT}
"""Plugins that are not served as it is meant; any other that is dropped is refused."""


class Where(NamedTuple):
    """The first view that lacks a plugin or holds it differently, and the views that prove it."""

    last_seen: ViewName
    first_missing: ViewName
    stage: Stage | None
    proof: tuple[Sight, ...]


class PluginJudge:
    """Judges one plugin after the other against the same world."""

    def __init__(
        self,
        world: World,
        plans: tuple[PluginPlan, ...],
        refused: Mapping[str | None, PluginRejection],
        traps: Mapping[tuple[str, int], Trap],
    ) -> None:
        """Work out once what all plugins share."""
        self._world, self._refused, self._traps = world, refused, traps
        self._masks = Masks()
        order = run_order(plans)
        self._views = [j.view for name in PIPELINE for j in world.read(name)]
        self._disorder: dict[tuple[ViewName, str | None], dict[str, str]] = {
            (v.name, v.replica): order_of(v, order) for v in self._views if v.name is not ViewName.CORE
        }
        self._blind = self._why_blind()

    def __call__(self, plan: PluginPlan) -> PluginVerdict:
        """The verdict of a plugin, with those of its match rules."""
        if plan.refusal is not None:
            return self._dropped(plan, refused(plan.refusal))
        if plan.unknown is not None:
            return self._said(plan, Verdict.UNKNOWN, auditor.NOT_MODELLED, (plan.unknown,))
        try:
            sights = [s for v in self._views if (s := self._look(v, plan)) is not None]
        except RecursionError:
            said = "its configuration is nested too deeply to be compared"
            return self._said(plan, Verdict.UNKNOWN, auditor.NOT_MODELLED, (said,))
        for verdict, bad in ((Verdict.LOST, _missing), (Verdict.CHANGED, _changed)):
            where = self._locate(sights, bad)
            if where is not None:
                return self._held_back(plan, verdict, where, sights)
        return self._rest(plan, sights)

    # -- what a view says ---------------------------------------------------------------------------------------------
    def _look(self, view: View, plan: PluginPlan) -> Sight | None:
        found = look(view, plan, self._masks)
        if found is None or (found.missing and self._world.partial(view)):
            return None
        said = self._disorder.get((view.name, view.replica), {}).get(plan.filter_name)
        if said is None or found.missing:
            return found
        delta = FieldDelta("order", view.name, view.replica, None, said)
        return found._replace(fields=(*found.fields, delta))

    def _why_blind(self) -> str | None:
        world = self._world
        if not world.read(ViewName.PILOT) and not world.read(ViewName.GATEWAY):
            return "neither pilot nor a gateway was read"
        for name in (ViewName.GATEWAY, ViewName.PILOT):
            unread = [i for i in world.infos if i.name is name and i.state is State.UNREAD]
            if unread and not world.read(name):
                return f"{unread[0].label} could not be read: {unread[0].why}"
        return None

    # -- where it is held back ----------------------------------------------------------------------------------------
    def _locate(self, sights: list[Sight], bad: Callable[[Sight], bool]) -> Where | None:
        last = ViewName.INGRESS
        for name in PIPELINE:
            told = [s for s in sights if s.view.name is name]
            proof = tuple(s for s in told if bad(s))
            if proof:
                return Where(last, name, self._stage(name, sights, proof), proof)
            if told:
                last = name
        return None

    def _stage(self, name: ViewName, sights: list[Sight], proof: tuple[Sight, ...]) -> Stage | None:
        told = {s.view.name for s in sights}
        core = ViewName.CORE in told
        if name is ViewName.CORE:
            return Stage.TRANSLATION
        if name is ViewName.PILOT_FRESH:
            return Stage.GENERATION if core else Stage.CONTROL_PLANE
        if name is ViewName.PILOT:
            fresh = {s.view.replica for s in sights if s.view.name is ViewName.PILOT_FRESH}
            if any(s.view.replica in fresh for s in proof):
                return Stage.CACHE
            return Stage.PILOT if core else Stage.CONTROL_PLANE
        return Stage.DELIVERY if ViewName.PILOT in told else None

    def _held_back(self, plan: PluginPlan, verdict: Verdict, where: Where, sights: list[Sight]) -> PluginVerdict:
        cause, refusal = self._cause(plan, where)
        if not cause.proven and self._young(plan):
            verdict = Verdict.PENDING
        by = None
        if refusal is not None and refusal.culprit not in (None, plan.filter_name):
            by = _ref(str(refusal.culprit))
        fields = {repr(d): d for s in sights for d in s.deltas} if verdict is Verdict.CHANGED else {}
        evidence = (*(_line(s) for s in sights), *self._proof(plan, where, refusal))
        made = self._said(plan, verdict, cause, evidence, where=where, sights=sights)
        return made._replace(by=by, fields=tuple(fields.values()), rules=self._rules(plan, made, sights))

    def _cause(self, plan: PluginPlan, where: Where) -> tuple[Cause, PluginRejection | None]:
        if where.first_missing is ViewName.CORE:
            return plugins.PLUGIN_NOT_TRANSLATED, None
        if where.first_missing is not ViewName.GATEWAY:
            return plugins.PLUGIN_NOT_GENERATED, None
        for sight in where.proof:
            refusal = self._refused.get(sight.view.replica)
            if refusal is not None and plan.filter_name in refusal.held:
                return plugins.PLUGIN_CONFIG_REJECTED, refusal
        for sight in where.proof:
            if sight.view.connected is False:
                return delivery.GATEWAY_DISCONNECTED, None
            if listener_error(sight.view):
                return rejection.LISTENER_REJECTED, None
        return plugins.PLUGIN_NOT_DELIVERED, None

    def _proof(self, plan: PluginPlan, where: Where, refusal: PluginRejection | None) -> Iterator[str]:
        for sight in where.proof:
            if sight.view.connected is False:
                yield f"{sight.view.label}: control_plane.connected_state is 0{frozen_since(sight.view)}"
        if refusal is not None:
            yield from suspicion(refusal, plan.filter_name)

    def _young(self, plan: PluginPlan) -> bool:
        grace = self._world.snapshot.grace
        captured, changed = self._world.snapshot.moment, moment_of(plan.changed_at)
        return (
            grace > 0 and captured is not None and changed is not None and (captured - changed).total_seconds() < grace
        )

    # -- what nothing holds back --------------------------------------------------------------------------------------
    def _dropped(self, plan: PluginPlan, cause: Cause) -> PluginVerdict:
        verdict = _UNHARMED.get(cause, Verdict.REFUSED)
        said = [cause.title]
        if verdict is Verdict.REFUSED:
            bad = next(r for r in plan.rules if not (r.disabled or r.ingress or r.service or r.domain))
            said = [f"matchRules[{bad.number}] has neither ingress, nor service, nor domain"]
            said += [
                f"{v.label} still has what was served of it before"
                for v in self._views
                if v.plugins is not None and plan.filter_name in v.plugins
            ]
        made = self._said(plan, verdict, cause, tuple(said))
        stage = Stage.TRANSLATION if verdict is Verdict.REFUSED else None
        return made._replace(stage=stage, rules=self._rules(plan, made._replace(stage=stage), []))

    def _rest(self, plan: PluginPlan, sights: list[Sight]) -> PluginVerdict:
        if self._blind:
            return self._said(plan, Verdict.UNKNOWN, auditor.UNREADABLE, (self._blind,))
        serving = ViewName.GATEWAY if self._world.read(ViewName.GATEWAY) else ViewName.PILOT
        if not any(s.view.name is serving for s in sights):
            views = [j.view for j in self._world.read(serving)]
            if all(v.listeners is not None and not list(v.chains) for v in views):
                said = "no listener takes requests yet, so that no filter runs"
                return self._plain(plan, Verdict.DORMANT, (said,), sights)
            said = f"{views[0].label} does not tell of plugins: its extension configurations were not captured"
            return self._said(plan, Verdict.UNKNOWN, auditor.UNREADABLE, (said,))
        return self._plain(plan, Verdict.IN_SYNC, (), sights)

    def _plain(
        self, plan: PluginPlan, verdict: Verdict, evidence: tuple[str, ...], sights: list[Sight]
    ) -> PluginVerdict:
        made = PluginVerdict(
            plan.namespace, plan.name, verdict, replicas=self._replicas(sights, None), evidence=evidence
        )
        return made._replace(rules=self._rules(plan, made, sights))

    def _said(
        self,
        plan: PluginPlan,
        verdict: Verdict,
        cause: Cause,
        evidence: tuple[str, ...],
        *,
        where: Where | None = None,
        sights: list[Sight] | None = None,
    ) -> PluginVerdict:
        made = PluginVerdict(
            plan.namespace,
            plan.name,
            verdict,
            where.stage if where else None,
            where.last_seen if where else None,
            where.first_missing if where else None,
            cause.code,
            cause.slug,
            evidence=evidence,
            remedy=cause.remedy,
            replicas=self._replicas(sights or [], where),
        )
        return made._replace(rules=self._rules(plan, made, []))

    def _replicas(self, sights: list[Sight], where: Where | None) -> tuple[ReplicaVerdict, ...]:
        found = []
        for sight in sights:
            verdict = Verdict.LOST if sight.missing else Verdict.CHANGED if sight.changed else Verdict.IN_SYNC
            stage = where.stage if where is not None and verdict is not Verdict.IN_SYNC else None
            found.append(ReplicaVerdict(sight.view.name, sight.view.replica, verdict, stage))
        return tuple(found)

    # -- match rules --------------------------------------------------------------------------------------------------
    def _rules(self, plan: PluginPlan, of: PluginVerdict, sights: list[Sight]) -> tuple[MatchVerdict, ...]:
        return tuple(self._rule(plan, r, of, sights) for r in plan.rules)

    def _rule(self, plan: PluginPlan, rule: MatchRulePlan, of: PluginVerdict, sights: list[Sight]) -> MatchVerdict:
        made = MatchVerdict(rule.number, rule.ingress, rule.service, rule.domain, of.verdict)

        def said(verdict: Verdict, cause: Cause, *evidence: str, stage: Stage | None = None) -> MatchVerdict:
            return made._replace(
                verdict=verdict,
                stage=stage,
                code=cause.code,
                slug=cause.slug,
                evidence=evidence,
                remedy=cause.remedy,
            )

        if rule.disabled and of.verdict is not Verdict.NOT_SELECTED:
            return said(Verdict.DORMANT, plugins.PLUGIN_DISABLED)
        if rule.refusal is not None and of.verdict is not Verdict.NOT_SELECTED:
            return said(Verdict.REFUSED, refused(rule.refusal), stage=Stage.TRANSLATION)
        if of.verdict is Verdict.CHANGED or (of.verdict is Verdict.PENDING and any(s.changed for s in sights)):
            mine = [s for s in sights if rule.number in s.rules]
            if mine:
                gone = all(not s.rules[rule.number] for s in mine)
                verdict = of.verdict if of.verdict is Verdict.PENDING else Verdict.LOST if gone else Verdict.CHANGED
                deltas = tuple(d for s in mine for d in s.rules[rule.number])
                lines = [
                    f"{s.view.label} {'has no such match rule' if not s.rules[rule.number] else 'differs'}"
                    for s in mine
                ]
                return said(verdict, BY_SLUG[str(of.slug)], *lines, stage=of.stage)._replace(fields=deltas)
        elif of.verdict not in (Verdict.IN_SYNC, Verdict.DORMANT):
            return made._replace(stage=of.stage, code=of.code, slug=of.slug)
        trap = self._traps.get((plan.ref, rule.number))
        if trap is not None and trap.verdict is not None:
            return said(trap.verdict, trap.cause, trap.said)._replace(by=trap.by)
        return made._replace(verdict=Verdict.DORMANT if of.verdict is Verdict.DORMANT else Verdict.IN_SYNC)


def _missing(sight: Sight) -> bool:
    return bool(sight.missing)


def _changed(sight: Sight) -> bool:
    return sight.changed


def _line(sight: Sight) -> str:
    if sight.missing:
        return f"{sight.view.label} {sight.missing}"
    if not sight.changed:
        return f"{sight.view.label} has it"
    names = list(dict.fromkeys(d.field for d in sight.deltas))
    lost = [f"matchRules[{n}]" for n, deltas in sorted(sight.rules.items()) if not deltas]
    order = next((d.actual for d in sight.fields if d.field == "order"), None)
    if order is not None and len(names) == 1 and not lost:
        return str(order)
    parts = ([f"differs in {', '.join(names[:5])}"] if names else []) + (
        [f"lacks {', '.join(lost[:5])}"] if lost else []
    )
    return f"{sight.view.label} {' and '.join(parts)}"


def suspicion(refusal: PluginRejection, name: str = "") -> Iterator[str]:
    """What a refusal shows, in sentences; of one plugin, or of the first that it holds back."""
    counts = refusal.gateway.own.extensions_rejected
    first = name or refusal.held[0]
    yield f"{refusal.gateway.label}: update_rejected of {first} is {counts.get(first)} beside this difference"
    if refusal.culprit is not None:
        yield f"culprit: {_ref(refusal.culprit)}, since {refusal.why}"
    else:
        yield f"suspects, since {refusal.why}: {', '.join(map(_ref, refusal.suspects[:5]))}"


def _ref(filter_name: str) -> str:
    return filter_name.replace(".", "/", 1)

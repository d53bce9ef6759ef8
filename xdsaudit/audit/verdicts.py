"""``audit(snapshot) -> Audit``: one verdict per rule, routes nobody explains, findings beside them."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import chain

from xdsaudit.audit.applied import rules_with_manifest
from xdsaudit.audit.case import World, build, counts, told
from xdsaudit.audit.causes import auditor, control_plane, delivery, intake, rejection, shadowing
from xdsaudit.audit.causes.catalogue import refused
from xdsaudit.audit.causes.cause import Cause, Fault
from xdsaudit.audit.causes.evidence import journey
from xdsaudit.audit.causes.findings import findings
from xdsaudit.audit.causes.fix import with_fixes
from xdsaudit.audit.causes.protection import exposed_by_ref, exposure, known_exposures
from xdsaudit.audit.causes.upstream import judge_upstream
from xdsaudit.audit.memory import Memory, Verdicts
from xdsaudit.audit.plugins.report import judge_plugins
from xdsaudit.audit.ports import Ports
from xdsaudit.audit.requests.dead import dead_rules
from xdsaudit.audit.requests.example import witness
from xdsaudit.audit.stage import Lacks, Rejection, Where, locate, rejections
from xdsaudit.audit.unchanged import Held, turns
from xdsaudit.ingress.expectation import RuleIndex, RulePlan
from xdsaudit.model.snapshot import Snapshot, moment_of
from xdsaudit.model.verdict import Audit, Extra, FieldDelta, ReplicaVerdict, Rule, RuleVerdict, Stage, Verdict
from xdsaudit.model.view import PIPELINE, State, ViewName


def audit(snapshot: Snapshot, *, memory: Memory | None = None) -> Audit:
    """Compare all views of a snapshot and name the stage of every loss.

    Pure: equal snapshots give equal audits. A view that does not decode becomes a gap and makes verdicts coarser or
    ``unknown``; it never makes a rule ``lost``.

    Args:
        snapshot: the views.
        memory: shared by successive audits of one gateway, so that a round costs what changed; it changes no verdict.
    """
    return judged(snapshot, memory=memory)[1]


def judged(
    snapshot: Snapshot, *, memory: Memory | None = None, asked: Collection[str] | None = None
) -> tuple[World, Audit]:
    """An audit with the decoded views it rests on, for further questions about them.

    Args:
        snapshot: the views.
        memory: shared by successive audits; not together with ``asked``.
        asked: the hosts that are asked about, None for all: the rest is left out (``questions.of_hosts``).
    """
    kept = memory or Memory(lasting=False)
    held = kept.held.now(snapshot) if kept.held is not None else None
    if held is None:
        with _no_collections():
            held = _audit(build(snapshot, kept, asked), kept)
    if kept.lasting:
        kept.held = held
    return held.world, held.audit


@contextmanager
def _no_collections() -> Iterator[None]:
    """Pause the garbage collector: an audit makes a million values that all live to its end, and makes no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _audit(world: World, memory: Memory) -> Held:
    snapshot = world.snapshot
    rejected = world.rejected = rejections(world)
    pilots = world.read(ViewName.PILOT)
    upstream = judge_upstream(
        world.expectation,
        tuple(j.view for j in world.serving),
        pilots[0].view if pilots else None,
        world.objects.ready,
        snapshot.moment,
        lambda number, parts: memory.made.of(("upstream", number), parts, dict),
    )
    plugins = judge_plugins(world)
    judge_rule = _Judge(world, rejected, {**upstream, **plugins.broken}, memory)
    rules, others = _verdicts(judge_rule, memory)
    read = {i.name for i in world.infos if i.state in (State.READ, State.PARTIAL)}
    if ViewName.INGRESS in read:  # what could not be read is not missing
        rules, others = rules_with_manifest(snapshot, world.objects, rules, others)
    # Without the Ingresses, or with some of the hosts alone, nobody can say that a route has no Ingress.
    whole = ViewName.INGRESS in read and snapshot.hosts is None
    served = {e for name in PIPELINE[1:] for j in world.read(name) for e in j.extra if not _repeated(world, e)}
    result = Audit(
        captured_at=snapshot.captured_at,
        controller={**snapshot.controller, "tested": world.expectation.profile.tested},
        views=tuple(world.infos),
        counts=counts(world),
        rules=tuple(rules),
        not_selected=tuple(others),
        extra=tuple(sorted(served)) if whole else (),
        findings=(*findings(world, rejected, rules), *plugins.findings),
        notes=(*world.notes, *_left_open(world), *plugins.notes),
        enough=ViewName.INGRESS in read and bool(read & {ViewName.PILOT, ViewName.GATEWAY}),
        origins=snapshot.origins,
        plugins=plugins.verdicts,
        left_out=known_exposures(world),
        told=told(world),
    )
    changed = chain((p.changed_at for p in world.expectation.plans), (p.changed_at for p in plugins.plans))
    return Held(world, with_fixes(result), turns(world, changed))


def _verdicts(judge_rule: _Judge, memory: Memory) -> tuple[list[RuleVerdict], list[RuleVerdict]]:
    """Verdicts of rules that are this gateway's, and of others; those of an Ingress of which nothing new is known as before."""
    plans, frame = judge_rule.world.expectation.plans, judge_rule.frame()
    before = memory.verdicts[1] if memory.verdicts[0] == frame else {}
    now: dict[int, Verdicts] = {}
    every = []
    for group in plans.groups:
        settled = judge_rule.unsettled.isdisjoint(group)
        said = before.get(id(group)) if settled else None
        if said is None:
            mine, others = (
                tuple([judge_rule(index, plan) for index, plan in group.items() if plan.selected is selected])
                for selected in (True, False)
            )
            said = Verdicts(group, mine, others)
        if settled:
            now[id(group)] = said  # it holds its group, since an id is a name only while its object lives
        every.append(said)
    if memory.lasting:
        memory.verdicts = frame, now
    return [*chain.from_iterable([s.rules for s in every])], [*chain.from_iterable([s.others for s in every])]


def _left_open(world: World) -> Iterator[str]:
    """Of which hosts there may be more to say than is said."""
    for judgement in chain.from_iterable(world.judgements.values()):
        for (port, host), why in judgement.open.items():
            yield f"{judgement.view.label}: {host} on port {port}: {why}"


def _repeated(world: World, extra: Extra) -> bool:
    """The private line repeats what pilot serves: its extras are said once."""
    return extra.view == ViewName.PILOT_FRESH and bool(world.read(ViewName.PILOT))


class _Judge:
    """Judges one rule after the other against the same world."""

    def __init__(
        self, world: World, rejected: dict[str | None, Rejection], upstream: dict[RuleIndex, Fault], memory: Memory
    ) -> None:
        self.world = world
        self.rejected = rejected
        self.upstream = upstream
        self.judged = [j for name in PIPELINE for j in world.read(name)]
        self.serving = world.serving
        self.unread = tuple(
            ReplicaVerdict(i.name, i.replica, Verdict.UNKNOWN, None)
            for i in world.infos
            if i.state is State.UNREAD and i.name is not ViewName.INGRESS
        )
        fine = (ReplicaVerdict(j.view.name, j.view.replica, Verdict.IN_SYNC, None) for j in self.judged)
        self.fine = (*fine, *self.unread)
        _, *self.in_sync = RuleVerdict(Rule("", "", "", "", None), Verdict.IN_SYNC, replicas=self.fine)
        self.ports = Ports(world.expectation)
        self.partial = [j for j in self.judged if world.partial(j.view)]
        self.blind = self._blind()
        self.warming = self._warming()
        self.exposed = exposed_by_ref(world)
        chains = [c for j in self.serving for c in j.view.chains]
        self.dead = {} if any(c.raw_paths for c in chains) else dead_rules(world.expectation, memory.alive)
        self.troubled = set(upstream)
        for j in self.judged:
            self.troubled |= {*j.missing, *j.changed, *j.shadowed, *j.dormant}
        self.unsettled = self.troubled | self.dead.keys()
        if self.exposed:
            self.unsettled |= {i for i, plan in world.expectation.plans.numbered() if plan.rule.ref in self.exposed}

    def frame(self) -> tuple[object, ...]:
        """All that the verdict of a settled rule depends on, beside its plan: a number has one plan for good."""
        if self.blind or self.warming:
            return (object(),)
        return self.fine, self.world.expectation.profile, self.world.snapshot.hosts

    def _blind(self) -> str | None:
        """Why no rule can be called in sync, or None."""
        if not self.world.read(ViewName.PILOT) and not self.world.read(ViewName.GATEWAY):
            return "neither pilot nor a gateway was read"
        for name in (ViewName.GATEWAY, ViewName.PILOT):
            unread = [i for i in self.world.infos if i.name is name and i.state is State.UNREAD]
            if unread and not self.world.read(name):
                return f"{unread[0].label} could not be read: {unread[0].why}"
        return None  # one replica of several that could not be read is a gap, and hides nothing that the others show

    def _warming(self) -> set[bool]:
        """Whether the plain (False) and the TLS (True) listeners of some gateway are all warming."""
        found = set()
        for j in self.world.read(ViewName.GATEWAY):
            for secure in (False, True):
                states = {
                    li.state
                    for li in j.view.listeners or ()
                    if li.state != "draining" and any(c.tls == secure for c in li.chains)
                }
                if states == {"warming"}:
                    found.add(secure)
        return found

    def __call__(self, index: RuleIndex, plan: RulePlan) -> RuleVerdict:
        rule = plan.rule
        if not plan.selected:
            return self._not_selected(plan)
        if plan.refusal:
            return self._refused(plan)
        if index in self.troubled:
            missing = self._where(
                index, plan, lambda j, i: not j.holds(i) and not self.world.partial(j.view), Verdict.LOST
            )
            if missing is not None:
                return missing
            changed = self._where(index, plan, lambda j, i: i in j.changed, Verdict.CHANGED)
            if changed is not None:
                return changed
        if self.exposed and rule.ref in self.exposed:
            exposed = exposure(self.world, self.exposed[rule.ref], rule)
            if exposed is not None:
                return exposed
        return self._rest(index, plan)

    def _said(
        self,
        rule: Rule,
        verdict: Verdict,
        cause: Cause,
        evidence: tuple[str, ...],
        *,
        stage: Stage | None = None,
        by: Rule | None = None,
    ) -> RuleVerdict:
        return RuleVerdict(
            rule,
            verdict,
            stage=stage,
            code=cause.code,
            slug=cause.slug,
            by=by,
            replicas=self.fine,
            evidence=evidence,
            remedy=cause.remedy,
        )

    def _not_selected(self, plan: RulePlan) -> RuleVerdict:
        profile = self.world.expectation.profile
        cause = intake.why(profile, plan.rule.namespace)
        said = (
            f"the controller watches the namespace {profile.watch_namespace} alone"
            if cause is intake.NAMESPACE_NOT_WATCHED
            else f"the controller takes the class {profile.ingress_class!r}, and the Ingress asks for another or none"
        )
        return RuleVerdict(
            plan.rule, Verdict.NOT_SELECTED, code=cause.code, slug=cause.slug, evidence=(said,), remedy=cause.remedy
        )

    def _refused(self, plan: RulePlan) -> RuleVerdict:
        assert plan.refusal is not None
        cause = refused(plan.refusal)
        said = [cause.title + (f": {plan.by}" if plan.by else "")]
        return RuleVerdict(
            plan.rule,
            Verdict.REFUSED,
            Stage.TRANSLATION,
            code=cause.code,
            slug=cause.slug,
            by=plan.by,
            evidence=tuple(said),
            remedy=cause.remedy,
        )

    def _rest(self, index: RuleIndex, plan: RulePlan) -> RuleVerdict:
        """A rule that no view lacks or changes."""
        rule = plan.rule
        ports = self.ports.of(index, rule)
        if self.warming and ports & self.warming:
            return self._said(
                rule, Verdict.PENDING, delivery.LISTENER_WARMING, ("its listener is warming and serves nothing yet",)
            )
        if plan.unknown or not ports:
            said = plan.unknown or "no route is expected of it, and none is judged"
            return self._said(rule, Verdict.UNKNOWN, auditor.NOT_MODELLED, (said,))
        unsure = [j for j in self.partial if not j.holds(index)] if self.partial else ()
        if unsure:
            return self._said(
                rule, Verdict.UNKNOWN, auditor.UNREADABLE, (f"{unsure[0].view.label} was not read to the end",)
            )
        if self.blind:
            return self._said(rule, Verdict.UNKNOWN, auditor.UNREADABLE, (self.blind,))
        if index in self.dead:
            return self._said(rule, Verdict.SHADOWED, shadowing.UNMATCHABLE_PATH, (self.dead[index].said,))
        if index not in self.troubled:
            return tuple.__new__(RuleVerdict, (rule, *self.in_sync))  # not by its defaults: as many as there are rules
        for j in self.serving:
            shadow = j.shadowed.get(index)
            if shadow is not None:
                by = self.world.expectation.plans[shadow.winner].rule if shadow.winner is not None else None
                secure = shadow.place[0] == self.world.expectation.profile.https_port
                example = witness(
                    shadow.hidden, shadow.place, secure=secure, hosts=self.world.hosts(shadow.place[0], j.view)
                )
                text = f"{j.view.label}: on port {shadow.place[0]}, host {shadow.place[1]}, {shadow.route} takes every request first"
                proof = (text, f"for example: {example}") if example is not None else (text,)
                return self._said(rule, Verdict.SHADOWED, shadowing.SHADOWED, proof, by=by)
        if index in self.upstream:
            found = self.upstream[index]
            return self._said(rule, Verdict.NO_UPSTREAM, found.cause, (found.evidence,), stage=Stage.UPSTREAM)
        if any(index in j.dormant for j in self.judged):
            return RuleVerdict(
                rule,
                Verdict.DORMANT,
                replicas=self.fine,
                evidence=("on-demand RDS: nobody has asked for this host yet",),
            )
        return tuple.__new__(RuleVerdict, (rule, *self.in_sync))

    def _where(self, index: RuleIndex, plan: RulePlan, lacks: Lacks, verdict: Verdict) -> RuleVerdict | None:
        where = locate(self.world, self.rejected, index, lacks)
        if where is None:
            return None
        cause, by = self._cause(index, plan, where, verdict)
        gateways = (j.view for j in where.proof if j.view.name is ViewName.GATEWAY)
        held_by = (rejection.refused_by(view, self.rejected) for view in gateways)
        if not cause.proven and self._young(plan):
            verdict = Verdict.PENDING
        # A rule's routes differ alike: each difference is said once.
        fields: dict[str, FieldDelta] = {repr(d): d for j in self.judged for d in j.changed.get(index, ())}
        return RuleVerdict(
            plan.rule,
            verdict,
            where.stage,
            where.last_seen,
            where.first_missing,
            cause.code,
            cause.slug,
            by,
            tuple(fields.values()) if verdict is Verdict.CHANGED else (),
            self._replicas(index, where),
            tuple(journey(self.world, self.rejected, index, cause)),
            cause.remedy_for(self.world.expectation.profile.version, next(filter(None, held_by), None)),
        )

    def _cause(self, index: RuleIndex, plan: RulePlan, where: Where, verdict: Verdict) -> tuple[Cause, Rule | None]:
        first = where.proof
        if where.first_missing is ViewName.GATEWAY and where.stage is Stage.DELIVERY:
            port = self.world.expectation.profile.https_port
            causes = [(delivery.why(self.rejected, j, index, port), j) for j in first]
            # A disconnected gateway has a finding of its own; the others' cause is what is still to be told.
            cause, judged = next((c for c in causes if c[0] is not delivery.GATEWAY_DISCONNECTED), causes[0])
            refusal = self.rejected.get(judged.view.replica)
            if cause is rejection.ENVOY_REJECTED and refusal is not None:
                guilty = [c.index for c in refusal.culprits]
                if guilty and index not in guilty and guilty[0] is not None:
                    return cause, self.world.expectation.plans[guilty[0]].rule
            return cause, None
        if where.stage is None:
            return delivery.DIFFERS_IN_GATEWAY, None
        if verdict is Verdict.CHANGED and where.stage is not Stage.CACHE:
            return control_plane.CHANGED_IN_CONTROL_PLANE, None
        missing = [m for j in first for m in j.missing.get(index, ())]
        return control_plane.why(where.stage, missing, plan.rule.host), None

    def _replicas(self, index: RuleIndex, where: Where) -> tuple[ReplicaVerdict, ...]:
        found = []
        for j in self.judged:
            verdict, stage = Verdict.IN_SYNC, None
            if not j.holds(index):
                verdict = Verdict.UNKNOWN if self.world.partial(j.view) else Verdict.LOST
            elif index in j.changed:
                verdict = Verdict.CHANGED
            if verdict is not Verdict.IN_SYNC:
                stage = where.stage
            found.append(ReplicaVerdict(j.view.name, j.view.replica, verdict, stage))
        return (*found, *self.unread)

    def _young(self, plan: RulePlan) -> bool:
        """Whether the rule is younger than the grace period; no time known counts as old."""
        grace = self.world.snapshot.grace
        captured, changed = self.world.snapshot.moment, moment_of(plan.changed_at)
        return (
            grace > 0 and captured is not None and changed is not None and (captured - changed).total_seconds() < grace
        )

"""Answers to questions about one request or one Ingress, from the same views and verdicts as an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.audit.causes.evidence import journey
from xdsaudit.audit.causes.shadowing import PARTLY_SHADOWED
from xdsaudit.audit.check.asides import asides
from xdsaudit.audit.compare.view import foreign
from xdsaudit.audit.plugins.acting import PluginAction, plugins_for
from xdsaudit.audit.questions.forwarding import effects
from xdsaudit.audit.questions.near import near
from xdsaudit.audit.requests.example import requests
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import answer, candidates, look_up, matches
from xdsaudit.errors import nearest
from xdsaudit.ingress.expectation import ExpectedRoute, RuleIndex, RulePlan
from xdsaudit.ingress.plugins import plan_plugins
from xdsaudit.model.plain import as_mapping
from xdsaudit.model.route import Place, Route, ingress_of, weights_of
from xdsaudit.model.verdict import Audit, Rule, RuleVerdict, Verdict
from xdsaudit.model.view import View, ViewName

_SHOWN = 5


class ReplicaAnswer(NamedTuple):
    """What one replica does with a request.

    Attributes:
        view: its view, or ``expected`` for what the Ingresses ask for.
        replica: its name.
        rule: whose route answers, None where none does, or where its owner is unknown.
        route: name and match of the route that answers, None when none does.
        goes_to: the cluster, or what else becomes of the request.
        why: why none answers, or a doubt.
        does: what the route makes of the request, a line each.
        origin: the object the route was generated from, where that is not an Ingress (``VirtualService default/a``), else "".
    """

    view: ViewName | Literal["expected"]
    replica: str | None
    rule: Rule | None
    route: str | None
    goes_to: str
    why: str
    does: tuple[str, ...] = ()
    origin: str = ""


class Candidate(NamedTuple):
    """A rule that would take the request, its verdict, and why it does not."""

    verdict: RuleVerdict
    why: str


@dataclass(frozen=True)
class Explanation:
    """What becomes of one request.

    Attributes:
        request: the request.
        expected: the rule that must answer it, None when no Ingress asks for it.
        answers: by replica, gateways first.
        candidates: rules that match it too, or would if they were not refused.
        serving: the answers that clients get: the gateways', or the pilots' where no gateway was read.
        plugins: what the plugins on its way do with it, replica by replica of those that serve, in their order.
        meant: hosts, or paths of this host, that are nearly what was asked for, where no rule is for the request.
    """

    request: Request
    expected: Rule | None
    answers: tuple[ReplicaAnswer, ...]
    candidates: tuple[Candidate, ...]
    serving: tuple[ReplicaAnswer, ...]
    plugins: tuple[PluginAction, ...] = ()
    meant: tuple[str, ...] = ()

    def exit_code(self) -> int:
        """0 when a route answers in every replica that was read, 1 when not, 3 when none was read."""
        if not self.serving:
            return 3
        return 0 if all(a.route is not None for a in self.serving) else 1


def explain_request(world: World, audit: Audit, request: Request) -> Explanation:
    """Which route answers a request in each replica, whose it is, and why others do not."""
    verdicts = _verdicts(world, audit)
    answers = tuple(
        _replica(world, j.view, request)
        for name in (ViewName.GATEWAY, ViewName.PILOT, ViewName.PILOT_FRESH)
        for j in world.read(name)
    )
    serving = {(j.view.name, j.view.replica) for j in world.serving}
    expectation = world.expectation
    expected_answer = look_up(expectation.tables, request, scoped=expectation.profile.scoped_rds)
    expected: Rule | None = None
    if expected_answer.place is not None and expected_answer.index is not None:
        wanted = expectation.tables[expected_answer.place][expected_answer.index]
        expected = expectation.plans[wanted.rules[0]].rule if wanted.rules else None
        if not answers:  # Ingresses are all that was read: what they ask for is what can be told
            answers = (_asked(wanted, expected, request, expected_answer.why),)
    listed = tuple(_candidates(world, request, expected_answer.place if expected else None, expected, verdicts))
    return Explanation(
        request,
        expected,
        answers,
        listed,
        tuple(a for a in answers if (a.view, a.replica) in serving),
        tuple(_plugins(world, request)),
        () if listed else _meant(world, request),
    )


def _meant(world: World, request: Request) -> tuple[str, ...]:
    """What is nearly the host of a request; where a rule has its host, what is nearly its path."""
    rules = [plan.rule for plan in world.expectation.plans]
    paths = {r.path for r in rules if r.host == request.host}
    if paths:
        return tuple(f"{request.host}{path}" for path in nearest(request.path, paths))
    return nearest(request.host, {r.host for r in rules if r.host != "*"})


def _plugins(world: World, request: Request) -> Iterator[PluginAction]:
    listed = plan_plugins(world.objects.plugins or (), world.expectation.profile)
    plans = {p.filter_name: p for p in listed}
    for judged in world.serving:
        reply = answer(judged.view, request)
        if reply.place is not None and reply.index is not None:
            route = judged.view.tables[reply.place].routes[reply.index]
            yield from plugins_for(judged.view, request, route, plans)


def _verdicts(world: World, audit: Audit) -> dict[RuleIndex, RuleVerdict]:
    """Verdicts by the rule's number: an Ingress may write the same host and path twice, so that a rule is no key."""
    counted, others = iter(audit.rules), iter(audit.not_selected)
    return {index: next(counted if plan.selected else others) for index, plan in world.expectation.plans.numbered()}


def _replica(world: World, view: View, request: Request) -> ReplicaAnswer:
    reply = answer(view, request)
    name = view.name
    if reply.index is None or reply.place is None:
        return ReplicaAnswer(name, view.replica, None, None, "", reply.why)
    route = view.tables[reply.place].routes[reply.index]
    stranger = foreign(route)
    owner = _owner(world, reply.place, route) if not stranger else None
    return ReplicaAnswer(
        name,
        view.replica,
        owner,
        f"{route.name} {route.key}",
        _goes_to(route),
        reply.why,
        effects(route, request, view),
        f"VirtualService {stranger}" if stranger else "",
    )


def _asked(wanted: ExpectedRoute, rule: Rule | None, request: Request, why: str) -> ReplicaAnswer:
    route = Route(wanted.key, wanted.name, wanted.fields, wanted.cluster)
    does = effects(route, request, View(ViewName.INGRESS, None))
    return ReplicaAnswer("expected", None, rule, f"{route.name} {route.key}", _goes_to(route), why, does)


def _owner(world: World, place: Place, route: Route) -> Rule | None:
    """The rule whose route this is; an Ingress that is gone gives a rule of its name alone."""
    expectation = world.expectation
    for each in expectation.tables.get(place, ()):
        if (each.key, each.name) == (route.key, route.name) and each.rules:
            return expectation.plans[each.rules[0]].rule
    ingress = ingress_of(route.name, expectation.profile.system_namespace)
    return Rule(*ingress, place[1], route.key.value, None) if ingress else None


def _goes_to(route: Route) -> str:
    if route.cluster is not None:
        return f"cluster {route.cluster}"
    if route.get("redirect"):
        return "a redirect"
    answer = as_mapping(route.get("direct_response"))
    if answer:
        return f"a direct response {answer.get('status', '')}".rstrip()
    weighted = weights_of(route.fields)
    if weighted:
        shares = (f"{c.get('name')} ({c.get('weight', 0)})" for c in weighted)
        return f"one of the clusters {', '.join(shares)}"
    return "what its filters decide"


def _candidates(
    world: World,
    request: Request,
    answering: Place | None,
    expected: Rule | None,
    verdicts: Mapping[RuleIndex, RuleVerdict],
) -> Iterator[Candidate]:
    expectation = world.expectation
    served = bool(world.serving)
    seen: set[RuleIndex] = set()
    places = list(candidates(request, scoped=expectation.profile.scoped_rds))
    for place in places:
        for route in expectation.tables.get(place, ()):
            if matches(route.key, request) is False:
                continue
            for index in route.rules:
                if index in seen:
                    continue
                seen.add(index)
                verdict = verdicts[index] if served else verdicts[index]._replace(evidence=(), remedy=None, fix=())
                if verdict.rule == expected:
                    why = (
                        "must answer"
                        if verdict.verdict is Verdict.IN_SYNC or not served
                        else f"must answer, and is {verdict.said}"
                    )
                else:
                    why = f"matches too; {expected} comes first" if expected else "matches too"
                yield Candidate(verdict, why)
    hosts = {host for _, host in places}
    for index, plan in expectation.plans.numbered():
        if index in seen or plan.rule.host not in hosts or not _covers(plan, request.path):
            continue
        verdict = verdicts[index]
        if verdict.verdict in (Verdict.REFUSED, Verdict.NOT_SELECTED) or (
            verdict.verdict is Verdict.UNKNOWN and plan.unknown
        ):
            seen.add(index)
            yield Candidate(verdict, f"would match, and is {verdict.said}")
    order = [host for _, host in places]
    better = order if answering is None else order[: order.index(answering[1])]
    for each in near(expectation, request):
        if each.index not in seen and verdicts[each.index].rule.host in better:
            seen.add(each.index)
            yield Candidate(verdicts[each.index], f"would match, but {each.why}")


def _covers(plan: RulePlan, path: str) -> bool:
    """Whether a rule that became no route was meant for a path, by its path as written."""
    rule = plan.rule
    if rule.path_type == "Exact":
        return path == rule.path
    stem = rule.path.rstrip("/")
    return path == stem or path.startswith(f"{stem}/")


class Journey(NamedTuple):
    """A rule's way through all views: its verdict, a line a view, the requests that others take from it, and what its annotations do not do."""

    verdict: RuleVerdict
    lines: tuple[str, ...]
    taken: tuple[str, ...]
    asides: tuple[str, ...] = ()


def journeys(world: World, audit: Audit, ref: str) -> tuple[Journey, ...]:
    """The journey of each rule of an Ingress (``namespace/name``); empty when there is no such Ingress."""
    verdicts = _verdicts(world, audit)
    journeys: list[Journey] = []
    for index, plan in world.expectation.plans.numbered():
        if plan.rule.ref != ref:
            continue
        verdict = verdicts[index]
        lines = verdict.evidence
        if verdict.verdict not in (Verdict.REFUSED, Verdict.NOT_SELECTED, Verdict.LOST, Verdict.CHANGED):
            seen = tuple(journey(world, {}, index, None)) if not plan.unknown else ()
            lines = (*lines, *(line for line in seen if line not in lines))
        said = asides(world, ref) if not journeys else ()  # of the Ingress as a whole: once
        journeys.append(Journey(verdict, lines, tuple(_taken(world, index)), said))
    return tuple(journeys)


def _taken(world: World, index: RuleIndex) -> Iterator[str]:
    """Requests of a rule that earlier routes take, each with an example, as the first serving view has it."""
    serving = world.serving
    if not serving:
        return
    view, expectation = serving[0].view, world.expectation
    said: set[str] = set()
    for place, expected in expectation.tables.items():
        mine = [e for e in expected if index in e.rules and not e.generated]
        table = view.tables.get(place)
        if not mine or table is None:
            continue
        names = {(e.key, e.name) for e in mine}
        routes: Sequence[Route] = table.routes
        own = [i for i, r in enumerate(routes) if (r.key, r.name) in names]
        secure = place[0] == expectation.profile.https_port
        for at in own:
            for earlier in routes[:at]:
                if (earlier.key, earlier.name) in names or len(said) >= _SHOWN:
                    continue
                hosts = world.hosts(place[0], view)
                both = (earlier.key, routes[at].key)
                example = next(requests(both, place, secure=secure, hosts=hosts), None)
                if example is None:
                    continue
                first = look_up({place: routes}, example, scoped=False)
                if first.index is None or routes[first.index] != earlier:
                    continue
                owner = _owner(world, place, earlier)
                text = f"{example} goes to {owner or earlier.name}"
                if text not in said:
                    said.add(text)
                    yield f"{PARTLY_SHADOWED.code} {PARTLY_SHADOWED.slug}: {text}"

"""Two looks at a world that changes: only what both say counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests import worlds
from tests.steps import growth
from xdsaudit import audit
from xdsaudit.audit.questions.confirm import alarming, confirmed
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import Rule, RuleVerdict, Verdict
from xdsaudit.testing import ingress

A, B, C = (ingress(n, "a.test", f"/{n}") for n in "abc")


def look(wanted: list[dict[str, Any]], served: list[dict[str, Any]]) -> Snapshot:
    """The API holds some Ingresses, and pilot and gateway are where they were with others."""
    return replace(worlds.world(served), kube=worlds.kube(wanted))


def verdicts(found: Any) -> dict[str, Verdict]:
    return {r.rule.ingress: r.verdict for r in found.rules}


def test_a_quiet_world_needs_no_second_look() -> None:
    assert not alarming(audit(look([A, B], [A, B])))


def test_what_both_looks_say_stands_as_the_second_has_it() -> None:
    first, second = audit(look([A, B], [A])), audit(look([A, B], [A]))
    assert alarming(first)
    assert confirmed(first, second) is second
    assert verdicts(second)["b"] is Verdict.LOST


def test_what_has_healed_is_in_sync() -> None:
    found = confirmed(audit(look([A, B], [A])), audit(look([A, B], [A, B])))
    assert verdicts(found) == {"a": Verdict.IN_SYNC, "b": Verdict.IN_SYNC}
    assert found.exit_code() == 0


def test_what_is_new_in_the_second_look_moves() -> None:
    found = confirmed(audit(look([A, B], [A])), audit(look([A, B, C], [A, B])))
    assert verdicts(found) == {"a": Verdict.IN_SYNC, "b": Verdict.IN_SYNC, "c": Verdict.PENDING}
    (moving,) = found.of(Verdict.PENDING)
    assert "the first of two looks found it not there" in moving.evidence[0]
    assert not found.conclusive


def test_a_rule_that_was_there_and_is_lost_in_the_second_look_alone_moves() -> None:
    found = confirmed(audit(look([A, B], [A, B])), audit(look([A, B], [A])))
    assert verdicts(found)["b"] is Verdict.PENDING


def test_a_route_is_extra_when_both_looks_say_so() -> None:
    stays = confirmed(audit(look([A], [A, B])), audit(look([A], [A, B])))
    goes = confirmed(audit(look([A, B, C], [A, B, C])), audit(look([A], [A, B])))
    assert {e.route for e in stays.extra} == {"default/b"}
    assert goes.extra == ()


def test_another_loss_does_not_confirm_this_one() -> None:
    found = confirmed(audit(look([A, B, C], [A, B])), audit(look([A, B, C], [A, C])))
    assert verdicts(found) == {"a": Verdict.IN_SYNC, "b": Verdict.PENDING, "c": Verdict.IN_SYNC}


def test_many_moving_rules_take_time_in_proportion() -> None:
    def make(size: int) -> Callable[[], object]:
        rules = [Rule("default", f"i{n}", "a.test", f"/{n}", None) for n in range(size)]
        one, two = (
            replace(audit(look([A], [A])), rules=tuple(RuleVerdict(rule, verdict) for rule in rules))
            for verdict in (Verdict.IN_SYNC, Verdict.LOST)
        )
        return lambda: confirmed(one, two)

    assert growth(make, 50) < 5

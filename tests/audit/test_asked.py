"""Asking an Envoy about a batch's routes: who is to blame, how often it is asked, and what is left out. Envoy itself is played."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xdsaudit.audit.check.asked import Routes, ask, questions
from xdsaudit.audit.questions.envoy_check import with_envoy
from xdsaudit.audit.questions.precheck import Batch, checked
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.verdict import Audit, Origin
from xdsaudit.testing import ingress, ingress_list, service

NOW = "2026-01-01T00:00:00Z"


class Played:
    """An Envoy that refuses routes with some text in them, and counts how often it is asked."""

    def __init__(self, *bad: str, lacking: str = "") -> None:
        self.bad, self.lacking, self.runs = bad, lacking, 0

    def __call__(self, routes: Routes) -> str:
        self.runs += 1
        text = json.dumps(list(routes))
        if self.lacking and self.lacking in text:
            return f"INVALID_ARGUMENT: could not find @type 'type.googleapis.com/{self.lacking}'"
        return next((f"'no {b}'" for b in self.bad if b in text), "")


def batch_of(*items: dict[str, Any]) -> Batch:
    services = ingress_list([service("web"), service("backup")], "Service")
    objects, _ = read_objects({"ingresses": ingress_list(items), "services": services})
    at = {(f"{i['metadata']['namespace']}/{i['metadata']['name']}", "", ""): Origin("b.yaml", 3) for i in items}
    return Batch(objects, at, {}, NOW)


def asked(batch: Batch, envoy: Played) -> Audit:
    case, before = checked(batch, None, Profile())
    return with_envoy(before, case, "Envoy 9", envoy)


def timed(name: str, host: str, seconds: str, **more: str) -> dict[str, Any]:
    notes = {"higress.io/timeout": seconds, **{f"higress.io/{k.replace('_', '-')}": v for k, v in more.items()}}
    return ingress(name, host, annotations=notes)


def test_the_rule_that_envoy_refuses_is_named_with_its_words_and_its_annotation() -> None:
    result = asked(batch_of(timed("bad", "a.test", "77"), timed("good", "b.test", "5")), Played('"77s"'))
    (finding,) = result.findings
    assert (finding.code, finding.at) == ("XA501", Origin("b.yaml", 3))
    assert "Envoy 9 says 'no \"77s\"'" in finding.message
    assert "annotation higress.io/timeout: without it Envoy takes the Ingress" in finding.message
    assert "it refuses 1 of them" in " ".join(result.notes)


def test_a_batch_that_envoy_takes_has_no_finding_and_says_that_it_was_asked() -> None:
    result = asked(batch_of(timed("good", "b.test", "5")), Played("77s"))
    assert result.findings == ()
    assert "Envoy 9 was asked about 1 different route: it refuses none" in result.notes


def test_no_annotation_is_named_where_no_single_one_is_to_blame() -> None:
    (finding,) = asked(batch_of(ingress("bad", "a.test", "/evil")), Played("/evil")).findings
    assert "annotation" not in finding.message


def test_envoys_words_stand_instead_of_ours_for_the_same_rule() -> None:
    result = asked(batch_of(timed("bad", "a.test", "-3")), Played("-3s"))
    assert ["Envoy 9 says" in f.message for f in result.findings if f.slug == "envoy-rejected"] == [True]


def test_what_we_call_refused_and_envoy_takes_stays_and_is_noted() -> None:
    result = asked(batch_of(timed("bad", "a.test", "-3")), Played())
    assert [f.code for f in result.findings if f.slug == "envoy-rejected"] == ["XA501"]
    assert any("takes what XA501 says of" in note and "another version" in note for note in result.notes)


def test_routes_of_an_extension_that_this_envoy_lacks_are_left_out_and_counted() -> None:
    fork = "envoy.extensions.custom_cluster_plugins.cluster_fallback.v3.ClusterFallbackConfig"
    items = [ingress(f"f{n}", f"f{n}.test", annotations={"higress.io/default-backend": "backup"}) for n in range(5)]
    envoy = Played("77s", lacking=fork)
    result = asked(batch_of(*items, timed("bad", "a.test", "77")), envoy)
    assert [f.message.partition(" ")[0] for f in result.findings if f.slug == "envoy-rejected"] == ["default/bad"]
    assert any(f"was not built with {fork}" in note for note in result.notes)


def test_an_ignored_code_is_left_out_and_listed() -> None:
    item = timed("bad", "a.test", "77")
    item["metadata"]["annotations"]["xdsaudit.io/ignore"] = "XA501"
    result = asked(batch_of(item), Played('"77s"'))
    assert not [f for f in result.findings if f.slug == "envoy-rejected"]
    assert [each.code for each in result.left_out] == ["XA501"]


@pytest.mark.parametrize("count", [64, 512])
def test_culprits_are_found_in_logarithmic_time(count: int) -> None:
    batch = batch_of(*(timed(f"i{n}", f"h{n}.test", str(1000 + n)) for n in range(count)))
    after = translate(batch.objects, Profile())
    routes = questions(after, {f"default/i{n}" for n in range(count)})
    envoy = Played('"1007s"')
    answer = ask(routes, envoy)
    assert [q.rules[0].ingress for q, _ in answer.refused] == ["i7"]
    assert envoy.runs <= 2 * count.bit_length() + 2


def test_equal_routes_are_asked_about_once() -> None:
    batch = batch_of(*(ingress(f"i{n}", f"h{n}.test", "/same") for n in range(40)))
    after = translate(batch.objects, Profile())
    asked_about = questions(after, {f"default/i{n}" for n in range(40)})
    assert [len(q.rules) for q in asked_about] == [40, 40], "the path itself and what is below it"

"""What was asked for against what the API holds: nothing that was never applied is in effect."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from tests.collect.test_cluster import cluster
from xdsaudit import Audit, RuleVerdict, Stage, Verdict, audit
from xdsaudit.audit.compare.manifest import unapplied
from xdsaudit.cli.main import run
from xdsaudit.ingress.objects import Ingress, decode_list
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress, ingress_list

pytestmark = pytest.mark.slow

Json = dict[str, Any]
ITEMS = [ingress("a", "foo.test", "/a", "/b"), ingress("b", "bar.test", "/c", tls="cert"), ingress("c", None, "/d")]


def judged(wanted: list[Json], held: list[Json] = ITEMS, **more: Any) -> Audit:
    return audit(replace(worlds.world(held), manifest={"ingresses": ingress_list(wanted)}, **more))


def at_apply(result: Audit) -> list[RuleVerdict]:
    return [r for r in (*result.rules, *result.not_selected) if r.stage is Stage.APPLY]


def changed(edit: Any) -> list[Json]:
    items = copy.deepcopy(ITEMS)
    edit(items[0])
    return items


def test_a_path_and_an_ingress_that_the_api_lacks_are_lost_there() -> None:
    extra = ingress("a", "foo.test", "/a", "/b", "/new")
    found = at_apply(judged([extra, ingress("z", "foo.test", "/z")]))
    assert [(r.rule.ref, r.rule.path, r.verdict, r.slug) for r in found] == [
        ("default/a", "/new", Verdict.LOST, "not-applied"),
        ("default/z", "/z", Verdict.LOST, "not-applied"),
    ]
    assert "without this rule" in found[0].evidence[1]
    assert "holds no Ingress default/z" in found[1].evidence[1]


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda i: i["metadata"].update(annotations={"higress.io/timeout": "5"}), "annotations.higress.io/timeout"),
        (lambda i: i["spec"].update(ingressClassName="other"), "ingressClassName"),
        (lambda i: i["spec"].update(tls=[{"hosts": ["foo.test"], "secretName": "x"}]), "tls"),
        (lambda i: i["spec"]["rules"][0]["http"]["paths"][0].update(pathType="Exact"), "pathType"),
        (
            lambda i: i["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"].update(number=81),
            "backend",
        ),
    ],
)
def test_what_the_api_holds_differently_is_changed_there(edit: Any, field: str) -> None:
    found = at_apply(judged(changed(edit)))
    assert found
    assert {(r.verdict, r.slug) for r in found} == {(Verdict.CHANGED, "applied-differently")}
    assert {d.field for r in found for d in r.fields} == {field}
    assert {r.rule.ref for r in found} == {"default/a"}


def test_an_annotation_that_the_manifest_dropped_is_a_difference_too() -> None:
    held = changed(lambda i: i["metadata"].update(annotations={"higress.io/timeout": "5"}))
    assert {d.expected for r in at_apply(judged(ITEMS, held)) for d in r.fields} == {None}


@pytest.mark.parametrize(
    "added",
    [
        {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},
        {"metadata": {"uid": "1", "resourceVersion": "7", "managedFields": [{"time": "2026-01-01T00:00:00Z"}]}},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}},
        {"metadata": {"labels": {"team": "x"}, "finalizers": ["x"]}},
    ],
)
def test_what_the_api_adds_by_itself_is_no_difference(added: Json) -> None:
    held = copy.deepcopy(ITEMS)
    for item in held:
        item["metadata"].update(added.get("metadata", {}))
        item.update({k: v for k, v in added.items() if k != "metadata"})
    assert at_apply(judged(ITEMS, held)) == []


def test_the_default_class_that_the_api_sets_is_no_difference() -> None:
    assert at_apply(judged([ingress("a", "foo.test", "/a", "/b", ingress_class=None)])) == []


def test_a_rule_of_another_class_in_the_api_is_changed_when_the_manifest_asks_for_ours() -> None:
    held = changed(lambda i: i["spec"].update(ingressClassName="other"))
    result = judged(ITEMS, held)
    assert {r.verdict for r in result.not_selected} == {Verdict.CHANGED}
    assert result.exit_code() == 1 or result.not_selected


def test_an_api_that_could_not_be_read_lacks_nothing() -> None:
    snapshot = replace(
        worlds.world(ITEMS),
        kube={},
        manifest={"ingresses": ingress_list(ITEMS)},
        views=(ViewInfo(ViewName.INGRESS, None, State.UNREAD, "forbidden"),),
    )
    assert at_apply(audit(snapshot)) == []


@given(st.lists(st.sampled_from(["/a", "/b", "/c", "/a/", "/"]), max_size=6), st.data())
def test_exactly_the_rules_that_were_cut_are_missing(paths: list[str], data: st.DataObject) -> None:
    """Duplicates included: of two equal rules of one Ingress, one that is gone is one that is missing."""
    kept = [p for p in paths if data.draw(st.booleans())]
    mine, theirs = (
        decode_list(ingress_list([ingress("a", "foo.test", *p)] if p else []), Ingress) for p in (paths, kept)
    )
    missing = [u.rule.path for u in unapplied(mine, theirs) if u.held is None]
    assert sorted([*missing, *kept]) == sorted(paths)
    assert list(unapplied(mine, mine)) == []


# --- on a cluster -----------------------------------------------------------------------------------------------------
def test_a_batch_that_was_not_applied_is_never_in_effect(capsys, tmp_path: Path, recording, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    items = json.loads(recording("batch-loss").kube["ingresses"])["items"]
    item = next(i for i in items if i["metadata"]["name"] == "app-10060")
    paths = item["spec"]["rules"][0]["http"]["paths"]
    paths.append({**paths[0], "path": "/brand-new"})
    batch = Path("batch.json")
    batch.write_text(json.dumps(item, indent=1))
    with cluster(recording("batch-loss"), tmp_path) as (_, config, _, _):
        assert run(["wait", "--kubeconfig", config, "-f", str(batch), "--deadline", "2"]) == 4
        out, err = capsys.readouterr()
        assert "XA110 not-applied" in out
        line = 1 + next(n for n, text in enumerate(batch.read_text().splitlines()) if "/brand-new" in text)
        assert any(f"batch.json:{n} asks for it" in out for n in range(line - 20, line + 1))
        assert "the API does not have live/app-10060 wss.live.test/brand-new" in err
        assert "every rule is in effect" not in err
        assert run(["diff", "--kubeconfig", config, "-f", str(batch), "-o", "json"]) == 1
        rules = {r["path"]: r for r in json.loads(capsys.readouterr().out)["rules"]}
        assert (rules["/brand-new"]["verdict"], rules["/brand-new"]["stage"]) == ("lost", "apply")
        assert (rules["/brand-new"]["last_seen"], rules["/brand-new"]["first_missing"]) == ("manifest", "ingress")
        assert rules["/10060"]["verdict"] == "in_sync"


def test_a_batch_that_is_applied_while_it_waits_comes_into_effect(tmp_path: Path) -> None:
    from xdsaudit import connect

    batch = tmp_path / "batch.json"
    looks: list[object] = []
    batch.write_text(json.dumps(ITEMS[0]))
    with cluster(worlds.world(ITEMS[:1]), tmp_path) as (kube, config, _, _):
        kube.delete("ingresses", "default", "a")
        with connect(kubeconfig=config) as higress:

            def after_the_first_look(found: object) -> None:
                looks.append(found)
                if len(looks) == 1:
                    kube.apply("ingresses", ITEMS[0])

            outcome = higress.wait(str(batch), deadline=15, tell=after_the_first_look)
    assert outcome.code == 0, outcome.why
    assert outcome.rounds > 1

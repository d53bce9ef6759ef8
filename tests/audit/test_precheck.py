"""A batch before it is applied: each fault it may hold, beside a batch without it."""

from __future__ import annotations

from typing import Any

import pytest

from xdsaudit.audit.questions.precheck import Batch, check
from xdsaudit.ingress.objects import KubeObjects, read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.verdict import Origin
from xdsaudit.testing import ingress, ingress_list, service

NGINX = "nginx.ingress.kubernetes.io/"
LIVE = [ingress("live", "foo.test", "/live"), ingress("root", "foo.test", "/")]


def objects(
    items: list[dict[str, Any]], *services: dict[str, Any], secrets: tuple[str, ...] | None = ()
) -> KubeObjects:
    lists = {"ingresses": ingress_list(items)}
    if services:
        lists["services"] = ingress_list(services, "Service")
    if secrets is not None:
        lists["secrets"] = ingress_list(
            [{"kind": "Secret", "metadata": {"name": s, "namespace": "default"}} for s in secrets], "Secret"
        )
    return read_objects(lists)[0]


def said(*batch: dict[str, Any], live: KubeObjects | None = None, **more: Any) -> dict[str, str]:
    """Slug to message of what a batch would do to a live world."""
    known = objects(LIVE, service("web"), secrets=("cert",)) if live is None else live
    mine = objects(list(batch), *more.get("services", ()), secrets=None)
    result = check(Batch(mine, {}, more.get("order", {}), "2026-11-24T00:00:00Z"), known, Profile())
    return {f.slug: f.message for f in result.findings}


def test_a_good_batch_has_nothing_to_say() -> None:
    assert said(ingress("new", "foo.test", "/new"), ingress("tls", "bar.test", "/", tls="cert")) == {}


def annotated(path: str = "/new", **notes: str) -> dict[str, Any]:
    return ingress("new", "foo.test", path, annotations={k.replace("__", "/"): v for k, v in notes.items()})


@pytest.mark.parametrize(
    ("item", "slug", "words"),
    [
        (ingress("dup", "foo.test", "/live"), "duplicated-route", "won by default/live"),
        (ingress("new", "foo.test", "/new", service="gone"), "cluster-absent", "default/gone does not exist"),
        (ingress("new", "foo.test", "/new", port=8080), "cluster-absent", "no port 8080, only 80"),
        (ingress("new", "foo.test", "/new", port="nope"), "port-name-resolve-error", "refused"),
        (ingress("new", "bar.test", "/new", tls="gone"), "certificate-warming", "default/gone does not exist"),
        (ingress("new", "foo.test", "/new", ingress_class="nginx"), "class-not-ours", "left alone"),
        (annotated(**{"higress.io/x-match-query-a": "1", "match-header-x": "1"}), "controller-crash-key", "stop"),
        (annotated("/x(", **{NGINX + "use-regex": "true"}), "envoy-rejected", "RE2"),
        (
            annotated(**{NGINX + "permanent-redirect": "http://x/", NGINX + "permanent-redirect-code": "304"}),
            "envoy-rejected",
            "no action",
        ),
        (annotated(**{NGINX + "proxy-body-size": "1m"}), "annotation-without-effect", "no effect"),
        (annotated(**{NGINX + "canary": "true"}), "orphan-canary", "refused"),
    ],
)
def test_faults(item: dict[str, Any], slug: str, words: str) -> None:
    found = said(item)
    assert slug in found
    assert words in found[slug]


def test_two_of_a_batch_exclude_each_other_by_name() -> None:
    found = said(ingress("b", "bar.test", "/x"), ingress("a", "bar.test", "/x"))
    assert found["duplicated-route"].startswith("default/b bar.test/x will be refused")


def test_an_update_that_takes_a_live_rule_away() -> None:
    older = ingress("old", "foo.test", "/old", created="2020-01-01T00:00:00Z")
    live = objects([*LIVE, older], service("web"))
    found = said(ingress("old", "foo.test", "/live"), live=live)
    assert "default/live foo.test/live, which is live, out of effect" in found["duplicated-route"]


def test_a_service_that_comes_later_with_a_named_port() -> None:
    item = ingress("new", "foo.test", "/new", service="late", port="http")
    order = {("Ingress", "default", "new"): 1, ("Service", "default", "late"): 2}
    assert "comes later" in said(item, services=(service("late"),), order=order)["port-name-resolve-error"]
    turned = {("Ingress", "default", "new"): 2, ("Service", "default", "late"): 1}
    assert said(item, services=(service("late"),), order=turned) == {}


def test_without_what_is_live_nothing_is_missing() -> None:
    mine = objects([ingress("new", "foo.test", "/new", service="gone", tls="gone")], secrets=None)
    result = check(Batch(mine, {}, {}, "2026-11-24T00:00:00Z"), None, Profile())
    assert result.findings == ()
    assert any("only the batch itself" in note for note in result.notes)
    assert result.exit_code() == 0


def test_findings_stand_at_their_lines_in_order() -> None:
    items = [ingress("b", "foo.test", "/live"), ingress("a", "foo.test", "/")]
    origins = {
        ("default/b", "foo.test", "/live"): Origin("batch.yaml", 30),
        ("default/a", "foo.test", "/"): Origin("batch.yaml", 9),
    }
    known = objects(LIVE, service("web"))
    result = check(Batch(objects(items), origins, {}, "2026-11-24T00:00:00Z"), known, Profile())
    assert [str(f.at) for f in result.findings] == ["batch.yaml:9", "batch.yaml:30"]
    assert result.exit_code() == 1


def test_what_is_live_already_is_no_fault_of_the_batch(recording) -> None:
    live = read_objects(recording("healthy-scoped").kube)[0]
    result = check(Batch(live, {}, {}, "2026-11-24T00:00:00Z"), live, Profile())
    refused = {f.slug for f in result.findings if f.severity.value == "error"}
    assert "shadowed" not in refused
    assert "duplicated-route" in refused  # those that are refused today would still be

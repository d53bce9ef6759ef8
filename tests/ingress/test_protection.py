"""Protection that an Ingress asks for: what does not apply is told, what applies is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests import worlds
from xdsaudit import audit
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.verdict import Stage, Verdict
from xdsaudit.testing import ingress, ingress_list

N, H = "nginx.ingress.kubernetes.io/", "higress.io/"
BASIC = {N + "auth-type": "basic", N + "auth-secret": "users"}


def told(*items: dict[str, Any], version: tuple[int, int, int] = (2, 1, 9), secrets: tuple[str, ...] = ()) -> list[str]:
    listed = [{"kind": "Secret", "metadata": {"name": s, "namespace": "default"}} for s in secrets]
    objects, _ = read_objects(
        {
            "ingresses": ingress_list(items),
            "secrets": ingress_list(listed, "Secret"),
            "configmaps": ingress_list([], "ConfigMap"),
        }
    )
    return [u.keys[0].partition("/")[2] for u in translate(objects, Profile(version=version)).unprotected if u.sure]


def annotated(notes: dict[str, str], **more: Any) -> dict[str, Any]:
    return ingress("a", "a.test", "/", annotations=notes, **more)


@pytest.mark.parametrize(
    ("notes", "key"),
    [
        ({N + "auth-url": "http://auth/check", N + "auth-signin": "http://auth/in"}, "auth-url"),
        ({N + "auth-signin": "http://auth/in"}, "auth-signin"),
        ({H + "auth-jwt-issuer": "x", H + "auth-jwt-secret": "y"}, "auth-jwt-issuer"),
        (BASIC, "auth-type"),
        ({N + "denylist-source-range": "10.0.0.0/8"}, "denylist-source-range"),
        ({N + "allowlist-source-range": "10.0.0.0/8"}, "allowlist-source-range"),
        ({N + "whitelist-source-range": "office, 10.0.0.0/08"}, "whitelist-source-range"),
        ({N + "enable-modsecurity": "true"}, "enable-modsecurity"),
        ({N + "configuration-snippet": "deny all;"}, "configuration-snippet"),
        ({N + "auth-tls-secret": "ca"}, "auth-tls-secret"),
    ],
)
def test_what_does_not_apply_is_told(notes: dict[str, str], key: str) -> None:
    assert told(annotated(notes, tls="cert")) == [key]


@pytest.mark.parametrize(
    "notes",
    [
        {N + "auth-url": " "},
        {N + "whitelist-source-range": "10.0.0.0/8, nonsense"},
        {N + "whitelist-source-range": "*"},
        {N + "enable-modsecurity": "false"},
        {N + "configuration-snippet": "more_set_headers 'x: denied';"},
        {H + "auth-consumer-levels": "1"},
        {N + "auth-tls-secret": "ca", N + "auth-tls-verify-client": "optional"},
        {N + "auth-tls-secret": "default/cert"},
        {N + "auth-tls-secret": "cert-cacert"},
        {"example.com/auth-url": "http://auth/check"},
    ],
)
def test_what_applies_or_asks_for_nothing_is_not(notes: dict[str, str]) -> None:
    assert told(annotated(notes, tls="cert")) == []


def test_basic_authentication_applies_until_it_was_dropped_and_needs_its_secret() -> None:
    assert told(annotated(BASIC), version=(2, 0, 6), secrets=("users",)) == []
    assert told(annotated(BASIC), version=(2, 0, 6)) == ["auth-type"]
    assert told(annotated({**BASIC, N + "auth-type": "digest"}), version=(2, 0, 6), secrets=("users",)) == ["auth-type"]
    assert told(annotated(BASIC), version=(2, 0, 7), secrets=("users",)) == ["auth-type"]


def test_a_certificate_is_asked_for_by_the_oldest_ingress_of_the_host_that_shapes_its_listener() -> None:
    mine = ingress(
        "b", "a.test", "/b", annotations={N + "auth-tls-secret": "cert"}, tls="cert", created="2025-02-01T00:00:00Z"
    )
    other = ingress("a", "a.test", "/a", annotations={N + "ssl-cipher": "ALL"}, created="2025-01-01T00:00:00Z")
    assert told(mine) == []
    assert told(mine, other) == ["auth-tls-secret"]
    assert told(ingress("a", "a.test", "/", annotations={N + "auth-tls-secret": "cert"})) == ["auth-tls-secret"]


@pytest.mark.parametrize(
    ("plugin", "told_still"),
    [
        ({"name": "ext-auth", "spec": {"matchRules": [{"ingress": ["default/a"], "config": {}}]}}, False),
        ({"name": "jwt-auth", "spec": {"defaultConfig": {"x": 1}}}, False),
        ({"name": "oidc", "spec": {"matchRules": [{"domain": ["*.test"], "config": {}}]}}, False),
        ({"name": "ext-auth", "spec": {"matchRules": [{"ingress": ["default/b"], "config": {}}]}}, True),
        ({"name": "ext-auth", "spec": {"matchRules": [{"ingress": ["default/a"], "configDisable": True}]}}, True),
        ({"name": "ext-auth", "spec": {"defaultConfig": {}, "defaultConfigDisable": True}}, True),
        ({"name": "transformer", "spec": {"defaultConfig": {}}}, True),
    ],
)
def test_a_plugin_that_acts_on_the_routes_may_protect_them(plugin: dict[str, Any], told_still: bool) -> None:
    item = annotated({N + "auth-url": "http://auth/check"})
    made = {
        "kind": "WasmPlugin",
        "metadata": {"name": plugin["name"], "namespace": "higress-system"},
        "spec": plugin["spec"],
    }
    lists = {"ingresses": ingress_list([item]), "wasmplugins": ingress_list([made], "WasmPlugin")}
    (found,) = translate(read_objects(lists)[0], Profile(version=(2, 1, 9))).unprotected
    assert found.sure is told_still
    assert ("may protect them" in found.why) is not told_still


def test_a_route_that_is_open_is_not_in_sync_unless_its_ingress_says_that_this_is_known() -> None:
    notes = {N + "auth-url": "http://auth/check"}
    (rule,) = audit(worlds.world([annotated(notes)])).rules
    assert (rule.verdict, rule.stage, rule.slug) == (Verdict.CHANGED, Stage.TRANSLATION, "protection-not-applied")
    assert [f.field for f in rule.fields] == [N + "auth-url"]
    for said in ("XA212", "xa204, protection-not-applied"):
        (rule,) = audit(worlds.world([annotated({**notes, "xdsaudit.io/ignore": said})])).rules
        assert rule.verdict is Verdict.IN_SYNC
    (rule,) = audit(worlds.world([annotated({**notes, "xdsaudit.io/ignore": "XA204"})])).rules
    assert rule.verdict is Verdict.CHANGED


def test_without_a_version_nothing_is_claimed_of_what_a_version_dropped() -> None:
    result = audit(worlds.world([annotated(BASIC)], controller={}))
    assert result.by_verdict["changed"] == 0

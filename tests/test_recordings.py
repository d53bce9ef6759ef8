"""Golden worlds: real answers of a real Higress, and what an audit must say of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xdsaudit import Audit, audit
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import profile_of
from xdsaudit.ingress.translate import translate
from xdsaudit.model.verdict import Severity, Stage, Verdict
from xdsaudit.model.view import ViewName
from xdsaudit.xds.reader import read_pilot

REFUSED = {
    ("payments/dup-second", "/same"): ("duplicated-route", "shop/dup-first"),
    ("payments/dup-second", "/same/"): ("duplicated-route", "shop/dup-first"),
    ("shop/named-port-unknown", "/x"): ("port-name-resolve-error", None),
    ("shop/named-port-unknown", "/y"): ("port-name-resolve-error", None),
    ("shop/no-destination", "/lost"): ("invalid-backend-service", None),
}
NO_UPSTREAM = {
    ("shop/missing-service", "/"): "cluster-absent",
    ("payments/dup-second", "/other"): "cluster-absent",
    ("shop/secure", "/"): "certificate-warming",
    ("shop/secure", "/admin"): "certificate-warming",
    ("shop/tls-missing-secret", "/"): "certificate-warming",
    ("payments/ledger", "/ledger"): "certificate-warming",
    ("payments/ledger", "/invoice"): "certificate-warming",
}
SHORT_HOST = ("shop/short-host", "/")


def said(result: Audit, *verdicts: Verdict) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """(Ingress, path) to (stage, slug) of the rules with these verdicts."""
    return {(r.rule.ref, r.rule.path): (r.stage, r.slug) for r in result.of(*verdicts)}


def the_shop(result: Audit, *, pilot: Stage = Stage.PILOT) -> None:
    """What every recording of the 52 Ingresses has in common."""
    refused = {(r.rule.ref, r.rule.path): (r.slug, r.by.ref if r.by else None) for r in result.of(Verdict.REFUSED)}
    assert refused == REFUSED
    assert said(result, Verdict.LOST)[SHORT_HOST] == (pilot, "blackhole-table")
    assert {r.rule.ref for r in result.not_selected} == {"shop/other-class", "shop/no-class"}


@pytest.mark.parametrize("name", ["healthy-scoped", "healthy-flat"])
@pytest.mark.parametrize("core", [True, False])
def test_healthy(recording, name: str, core: bool) -> None:
    result = audit(recording(name) if core else recording(name).without(core=True))
    the_shop(result, pilot=Stage.PILOT if core else Stage.CONTROL_PLANE)
    assert len(result.rules) == 65
    assert said(result, Verdict.LOST).keys() == {SHORT_HOST}
    assert {k: slug for k, (_, slug) in said(result, Verdict.NO_UPSTREAM).items()} == NO_UPSTREAM
    assert result.by_verdict["in_sync"] == 52
    assert result.by_verdict["changed"] == 0
    assert result.extra == ()
    assert result.findings == ()
    assert result.exit_code() == 1


def test_gateway_warming(recording) -> None:
    result = audit(recording("gateway-warming"))
    the_shop(result)
    assert result.by_verdict["pending"] == 59
    assert result.by_verdict["in_sync"] == 0
    (finding,) = result.findings
    assert finding.slug == "listener-warming"
    for secret in ("shop/shop-tls", "shop/absent-tls", "payments/pay-tls"):
        assert f"kubernetes-ingress://Kubernetes/{secret}" in finding.message


@pytest.mark.parametrize("name", ["batch-loss", "batch-loss-full.tar.xz"])
@pytest.mark.parametrize(
    ("core", "fresh", "stage", "slug"),
    [
        (True, True, Stage.CACHE, "stale-route-cache"),
        (False, True, Stage.CACHE, "stale-route-cache"),
        (True, False, Stage.PILOT, "lost-in-pilot"),
        (False, False, Stage.CONTROL_PLANE, "lost-in-control-plane"),
    ],
)
def test_batch_loss(recording, name: str, core: bool, fresh: bool, stage: Stage, slug: str) -> None:
    result = audit(recording(name).without(core=not core, fresh=not fresh))
    (lost,) = result.lost
    assert lost.rule.ref == "live/app-10061"
    assert (lost.stage, lost.slug) == (stage, slug)
    assert (lost.last_seen, lost.first_missing) == ("pilot_fresh" if fresh else "core" if core else "ingress", "pilot")
    assert result.by_verdict["in_sync"] == len(result.rules) - 1
    assert result.extra == ()
    assert result.findings == ()


def test_nack_one_host(recording) -> None:
    result = audit(recording("nack-one-host"))
    the_shop(result)
    lost = said(result, Verdict.LOST)
    assert lost.keys() == {SHORT_HOST, ("shop/gone", "/gone"), ("shop/after-gone", "/after")}
    assert lost["shop/gone", "/gone"] == lost["shop/after-gone", "/after"] == (Stage.DELIVERY, "envoy-rejected")
    by = {r.rule.ref: r.by for r in result.lost}
    assert by["shop/after-gone"] is not None
    assert by["shop/after-gone"].ref == "shop/gone"
    assert by["shop/gone"] is None
    (finding,) = result.findings
    assert finding.slug == "envoy-rejected"
    assert finding.by is not None
    assert finding.by.ref == "shop/gone"
    assert "2 rules on 2 hosts" in finding.message
    assert result.by_verdict["in_sync"] == 52


def test_nack_unknown_extension(recording) -> None:
    snapshot = recording("nack-unknown-extension")
    result = audit(snapshot)
    the_shop(result)
    lost = said(result, Verdict.LOST)
    assert lost.keys() == {SHORT_HOST, ("shop/reviews-canary-header", "/"), ("shop/fallback-route", "/")}
    (finding,) = result.findings
    assert finding.slug == "envoy-rejected"
    extension = "envoy.extensions.custom_cluster_plugins.cluster_fallback.v3.ClusterFallbackConfig"
    assert any(extension in line and "lacks the extension" in line for line in finding.evidence)
    assert "probably" not in " ".join(finding.evidence)
    assert {c.ingress for c in finding.concerns if c.ingress} == {"reviews-canary-header", "fallback-route"}
    # Without server_info the culprit is a guess, and is worded so.
    blind = {
        pod: {n: d for n, d in pages.items() if n != "server_info.json"} for pod, pages in snapshot.gateway.items()
    }
    guess = audit(replace(snapshot, gateway=blind))
    (finding,) = guess.findings
    assert "probably" in finding.message
    assert said(guess, Verdict.LOST) == lost


def test_gateway_stale(recording) -> None:
    result = audit(recording("gateway-stale"))
    the_shop(result)
    lost = said(result, Verdict.LOST)
    assert lost.keys() == {SHORT_HOST, ("shop/late-1", "/"), ("shop/late-2", "/late")}
    assert lost["shop/late-1", "/"] == lost["shop/late-2", "/late"] == (Stage.DELIVERY, "gateway-disconnected")
    changed = {r.rule.ref: r for r in result.of(Verdict.CHANGED)}
    assert changed.keys() == {"shop/cart", "shop/rewrite-regex"}
    assert (changed["shop/cart"].stage, changed["shop/cart"].slug) == (Stage.DELIVERY, "gateway-disconnected")
    (delta,) = [d for d in changed["shop/cart"].fields if d.field == "cluster"]
    assert (delta.view, delta.expected, delta.actual) == (
        "gateway",
        "outbound|80||api.shop.svc.cluster.local",
        "outbound|80||cart.shop.svc.cluster.local",
    )
    assert changed["shop/rewrite-regex"].stage is Stage.PILOT
    assert {d.field for d in changed["shop/rewrite-regex"].fields} == {"hash_policy"}
    (extra,) = result.extra
    assert (extra.view, extra.host, extra.route) == ("gateway", "hash.shop.test", "shop/hashed")
    assert [(f.slug, f.severity) for f in result.findings] == [("gateway-disconnected", Severity.ERROR)]


def test_controller_crashed(recording) -> None:
    result = audit(recording("controller-crashed"))
    the_shop(result, pilot=Stage.CONTROL_PLANE)
    lost = said(result, Verdict.LOST)
    assert lost.keys() == {SHORT_HOST, ("shop/poison", "/"), ("shop/after-crash", "/")}
    assert lost["shop/after-crash", "/"][0] is Stage.CONTROL_PLANE
    (finding,) = result.findings
    assert finding.slug == "controller-crash-key"
    assert "shop/poison" in finding.message
    assert not result.conclusive


@pytest.mark.parametrize("name", ["random-scoped", "random-merge", "random-2.1"])
def test_random(recording, name: str) -> None:
    result = audit(recording(name))
    counted = result.by_verdict
    assert counted["lost"] == counted["changed"] == counted["unknown"] == 0
    assert result.extra == ()
    # The generator writes source ranges that nobody can read: such routes are as translated, and open to everybody.
    assert {f.slug for f in result.findings} <= {"protection-not-applied"}
    assert all("whitelist-source-range" in f.message and "'nonsense'" in f.message for f in result.findings)
    assert counted["in_sync"] > 200
    assert all(r.slug for r in result.of(Verdict.REFUSED))
    assert all(r.by for r in result.of(Verdict.REFUSED) if r.slug == "duplicated-route")


def test_merge_shadows_what_the_wildcard_has_too(recording) -> None:
    result = audit(recording("random-merge"))
    hosts = {r.rule.host for r in result.of(Verdict.SHADOWED) if r.rule.path == "/"}
    assert {"h0.rnd.test", "x.deep.rnd.test"} <= hosts


def plugin_verdicts(result: Audit) -> dict[str, tuple[str, str | None, str | None]]:
    """WasmPlugin to verdict, stage and slug."""
    return {p.ref: (p.verdict.value, p.stage and p.stage.value, p.slug) for p in result.plugins}


def match_verdicts(result: Audit, ref: str) -> list[tuple[str, str | None]]:
    """Verdict and slug of each match rule of a WasmPlugin."""
    (plugin,) = [p for p in result.plugins if p.ref == ref]
    return [(r.verdict.value, r.slug) for r in plugin.rules]


def test_plugins_loaded(recording) -> None:
    result = audit(recording("plugins-loaded.tar.xz"))
    assert plugin_verdicts(result) == {
        "higress-system/loaded": ("in_sync", None, None),
        "shop/elsewhere": ("not_selected", None, "plugin-elsewhere"),
    }
    assert match_verdicts(result, "higress-system/loaded") == [("in_sync", None), ("in_sync", None)]
    assert said(result, Verdict.NO_UPSTREAM) == {
        ("higress-system/sys", "/"): (Stage.UPSTREAM, "cluster-absent"),
        ("shop/cart", "/"): (Stage.UPSTREAM, "no-endpoints"),
    }
    assert [(f.slug, f.severity) for f in result.findings] == [("plugin-elsewhere", Severity.WARNING)]


def test_plugins_rejected(recording) -> None:
    result = audit(recording("plugins-rejected.tar.xz"))
    lost = ("lost", "delivery", "plugin-config-rejected")
    assert plugin_verdicts(result) == {
        "higress-system/both": lost,
        "higress-system/dangling": lost,
        "higress-system/disabled": ("dormant", None, "plugin-disabled"),
        "higress-system/key-auth": lost,
        "higress-system/loaded": ("in_sync", None, None),
        "higress-system/no-condition": ("refused", "translation", "plugin-rule-without-condition"),
        "shop/elsewhere": ("not_selected", None, "plugin-elsewhere"),
    }
    assert match_verdicts(result, "higress-system/both") == [("refused", "plugin-rules-ignored")]
    assert match_verdicts(result, "higress-system/key-auth")[2] == ("dormant", "plugin-disabled")
    bare = (Stage.UPSTREAM, "plugin-without-configuration")
    assert said(result, Verdict.NO_UPSTREAM) == {("higress-system/sys", "/"): bare, ("shop/cart", "/"): bare}
    assert [(f.slug, f.severity) for f in result.findings] == [
        ("plugin-config-rejected", Severity.ERROR),
        ("plugin-rule-wrong-namespace", Severity.WARNING),
        ("plugin-rule-dangling", Severity.WARNING),
        ("plugin-condition-unread", Severity.WARNING),
        ("plugin-elsewhere", Severity.WARNING),
    ]
    rejected = result.findings[0]
    assert "2 rules get 500" in rejected.message
    for name in ("both", "dangling", "key-auth"):
        assert f"higress-system/{name}" in rejected.message
    assert "shop/cart" in result.findings[1].message
    assert "not-a-real-key" not in str(result)


def test_a_capture_without_the_list_of_wasm_plugins_judges_none(recording) -> None:
    snapshot = recording("plugins-loaded.tar.xz")
    without = {plural: data for plural, data in snapshot.kube.items() if plural != "wasmplugins"}
    result = audit(replace(snapshot, kube=without))
    assert result.plugins == ()
    assert result.findings == ()
    assert any("plugins were not judged" in note for note in result.notes)


def test_scale(recording) -> None:
    result = audit(recording("scale-10k.tar.xz"))
    assert result.by_verdict["in_sync"] == len(result.rules) == 10_000
    assert result.extra == ()
    assert result.findings == ()
    assert result.exit_code() == 0


@pytest.mark.parametrize("name", ["healthy-scoped", "healthy-flat", "random-scoped", "random-2.1", "scale-10k.tar.xz"])
def test_every_served_route_is_claimed_by_exactly_one_expected_route(recording, name: str) -> None:
    """Route by route, in order, field by field: what the control plane serves is what was expected of it."""
    snapshot = recording(name)
    objects, _ = read_objects(snapshot.kube)
    expected = translate(objects, profile_of(snapshot.controller)).tables
    served = read_pilot(next(iter(snapshot.pilot.values())).served, name=ViewName.PILOT, replica=None).tables
    routes = 0
    for place, table in served.items():
        wanted = expected.get(place, ())
        assert [(r.key, r.name, dict(r.fields), r.cluster) for r in table.routes] == [
            (e.key, e.name, dict(e.fields), e.cluster) for e in wanted
        ], place
        routes += len(table.routes)
    assert routes > 90
    assert {p for p in expected if p not in served} <= {(80, "intranet")}

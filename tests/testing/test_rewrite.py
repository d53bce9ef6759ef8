"""Recorded tables made fit for a stock Envoy."""

from __future__ import annotations

from typing import Any

import pytest

from xdsaudit.testing.rewrite import LoopbackRewrite, resources_of
from xdsaudit.xds.pool import resource_class

PLUGIN = b"cluster_fallback"


@pytest.mark.parametrize("name", ["random-2.1", "random-scoped"])
def test_routes_of_the_fallback_plugin_go_to_the_cluster_that_it_asks_first(recording: Any, name: str) -> None:
    tables = resources_of(next(iter(recording(name).pilot.values())).served)["RDS"]
    led = {table: data for table, data in tables.items() if PLUGIN in data}
    assert led
    rewrite = LoopbackRewrite(9, without_fallbacks=True)
    for data in led.values():
        before, after = (resource_class("RDS").FromString(d) for d in (data, rewrite("RDS", data)))
        assert PLUGIN not in after.SerializeToString()
        for old, new in zip(before.virtual_hosts, after.virtual_hosts, strict=True):
            for was, now in zip(old.routes, new.routes, strict=True):
                assert (was.name, was.match) == (now.name, now.match)
                if was.route.WhichOneof("cluster_specifier") == "inline_cluster_specifier_plugin":
                    assert now.route.cluster.startswith("outbound|")


def test_without_being_asked_it_leaves_what_a_stock_envoy_refuses(recording: Any) -> None:
    tables = resources_of(next(iter(recording("random-2.1").pilot.values())).served)["RDS"]
    rewrite = LoopbackRewrite(9)
    assert all(PLUGIN in rewrite("RDS", data) for data in tables.values() if PLUGIN in data)

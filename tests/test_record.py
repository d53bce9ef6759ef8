"""The recorder: what it calls a recording, and that no endpoint of one can be dialled."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from xdsaudit import audit
from xdsaudit.xds.pool import TYPES, message, resource_class

TOOL = Path(__file__).parent.parent / "tools" / "record.py"


@pytest.fixture(scope="module")
def record():
    spec = importlib.util.spec_from_file_location("record", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def eds(address: str) -> bytes:
    assignment = resource_class("EDS")(cluster_name="c")
    assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address.address = address
    response = message("envoy.service.discovery.v3.DiscoveryResponse")(type_url=TYPES["EDS"])
    response.resources.add(type_url=TYPES["EDS"], value=assignment.SerializeToString())
    return response.SerializeToString()


def test_a_recording_of_ours_lacks_nothing(record, recording):
    assert record.lacks(recording("batch-loss")) == []


def test_what_is_missing_is_named(record, recording):
    whole = recording("batch-loss")
    assert any("cache line" in text for text in record.lacks(whole.without(fresh=True)))
    assert any("story" in text for text in record.lacks(replace(whole, story=None)))
    assert any("config_dump.json" in text for text in record.lacks(replace(whole, gateway={})))


def test_endpoints_move_to_loopback_and_nothing_else_does(record, recording):
    whole = recording("batch-loss")
    pod, capture = next(iter(whole.pilot.items()))
    live = replace(whole, pilot={pod: replace(capture, served=(*capture.served, eds("10.1.2.3"), eds("192.168.0.1")))})
    moved = record.to_loopback(live).pilot[pod].served
    assert moved[-2:] == (eds("127.1.2.3"), eds("192.168.0.1"))
    assert moved[:-2] == capture.served
    assert audit(record.to_loopback(whole)).rules == audit(whole).rules

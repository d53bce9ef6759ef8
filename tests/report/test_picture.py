"""The picture of the pipeline: counts in the boxes, red from the break on, replicas by name, strangers' names as text."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from tests import worlds
from tests.audit.test_groups import NAMES, fleet, without
from xdsaudit import audit, render
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.picture import pictures, pipeline
from xdsaudit.testing import ingress


def tones(result: object) -> dict[str, str]:
    return {box.title: box.tone for box in pipeline(result)[0]}  # type: ignore[arg-type]


def test_it_is_red_from_the_break_on(recording) -> None:
    result = audit(recording("batch-loss"))
    assert tones(result) == {
        "ingress": "good", "core": "good", "pilot, private": "good", "pilot, served": "bad", "gateway": "bad", "backend": "bad",
    }  # fmt: skip
    assert [arrow.held for arrow in pipeline(result)[1]] == [(), (), (("cache", 1),), (), ()]


def test_a_healthy_one_is_not_red() -> None:
    result = audit(worlds.world([ingress("a", "foo.test", "/a")]))
    assert set(tones(result).values()) == {"good", "off"}
    assert [box.text for box in pipeline(result)[0]] == [
        "1 rule", "not asked", "not asked", "1 of 1 rule", "1 of 1 rule", "1 of 1 reachable",
    ]  # fmt: skip


def test_refused_rules_are_in_no_view_after_the_api(recording) -> None:
    texts = {box.title: box.text for box in pipeline(audit(recording("nack-one-host")))[0]}
    assert texts["ingress"] == "67 rules"
    assert texts["core"] == "62 of 67 rules"
    assert texts["gateway"] == "59 of 67 rules"
    assert texts["backend"] == "52 of 67 reachable"


def test_replicas_that_lack_rules_come_first() -> None:
    gateway = next(b for b in pipeline(audit(fleet(gw7=without(1, 2), gw9=without(1))))[0] if b.title == "gateway")
    assert [(r.name, r.lacks) for r in gateway.replicas[:3]] == [(NAMES[7], 2), (NAMES[9], 1), (NAMES[0], 0)]
    assert gateway.more == 15


def test_what_was_not_read_is_neither_red_nor_green() -> None:
    snapshot = worlds.world([ingress("a", "foo.test", "/a")])
    gone = (ViewInfo(ViewName.GATEWAY, "gateway-0", State.UNREAD, "timed out"),)
    assert tones(audit(replace(snapshot, gateway={}, views=gone)))["gateway"] == "warn"


@pytest.mark.parametrize("name", ["batch-loss", "nack-one-host", "gateway-stale", "random-2.1"])
def test_it_is_svg_and_says_in_words_what_it_shows(recording, name: str) -> None:
    for picture in pictures(audit(recording(name))):
        root = Xml.fromstring(picture)
        assert "gateway: " in root.attrib["aria-label"]
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for rect in root.iter("rect"):
            assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width
            assert float(rect.attrib["y"]) + float(rect.attrib["height"]) <= height


def test_names_of_strangers_are_text() -> None:
    evil = '"><script>alert(1)</script>'
    snapshot = worlds.world([ingress("a", "foo.test", "/a")], gateway={})
    pages = next(iter(snapshot.gateway.values()))
    for picture in pictures(audit(replace(snapshot, gateway={evil: pages, "b": pages}))):
        assert not list(Xml.fromstring(picture).iter("script"))


def test_ten_thousand_lost_rules_stay_small(recording) -> None:
    snapshot = recording("scale-10k.tar.xz")
    pages = {**next(iter(snapshot.gateway.values()))}
    empty = worlds.config_dump({})
    result = audit(replace(snapshot, gateway={"gateway-0": {**pages, "config_dump.json": empty}}, views=()))
    assert len(result.lost) == 10_000
    page = render(result, "html")
    assert len(page) < 2_000_000
    assert page.count("class=rule") == 10_000
    assert page.count("Restart the gateway pod") < 10

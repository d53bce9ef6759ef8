"""``watch`` of WasmPlugins: each change told once, and none that does not last."""

from __future__ import annotations

from typing import Any

from tests import plugin_worlds
from tests.plugin_worlds import rule, wasm
from xdsaudit import Snapshot
from xdsaudit.cli.watch import _plugin_jsonl, _plugin_line
from xdsaudit.live import Watcher
from xdsaudit.model.view import State, ViewInfo, ViewName

AUTH = wasm("auth", matchRules=[rule({"n": 2}, ingress="default/a")])


class Reader:
    """A reader of one world after the other."""

    def __init__(self, **cut: Any) -> None:
        self.current = plugin_worlds.world([AUTH], **cut)

    def round(self) -> Snapshot:
        return self.current

    def full(self, *, probe: bool) -> Snapshot:
        return self.current


def changes(watcher: Watcher) -> list[tuple[str | None, str | None]]:
    watcher.round()
    return [(t.before, t.after.verdict if t.after else None) for t in watcher.plugins]


def test_a_loss_is_told_once_when_it_lasts_and_its_end_too() -> None:
    reader = Reader()
    watcher = Watcher(reader, lambda: 0.0)
    assert changes(watcher) == []
    reader.current = plugin_worlds.world([AUTH], gateway={}, rejected=["higress-system.auth"])
    assert changes(watcher) == []
    assert changes(watcher) == [("in_sync", "lost")]
    assert "lost at stage delivery (XA503 plugin-config-rejected)" in _plugin_line(watcher.plugins[0])
    assert '"slug":"plugin-config-rejected"' in _plugin_jsonl(watcher.plugins[0]).replace(": ", ":")
    assert changes(watcher) == []
    reader.current = plugin_worlds.world([AUTH])
    assert [changes(watcher), changes(watcher)] == [[], [("lost", "in_sync")]]


def test_what_lasts_one_round_is_not_told_and_what_was_bad_from_the_start_is() -> None:
    reader = Reader(gateway={})
    watcher = Watcher(reader, lambda: 0.0)
    assert [changes(watcher), changes(watcher)] == [[], [(None, "lost")]]
    good = Reader()
    other = Watcher(good, lambda: 0.0)
    changes(other)
    for world in (plugin_worlds.world([AUTH], gateway={}), plugin_worlds.world([AUTH])):
        good.current = world
        assert changes(other) == []


def test_a_deleted_plugin_is_gone_and_one_in_a_gap_is_not() -> None:
    reader = Reader()
    watcher = Watcher(reader, lambda: 0.0)
    changes(watcher)
    unread = ViewInfo(ViewName.INGRESS, None, State.UNREAD, "no answer")
    reader.current = plugin_worlds.world([], views=(unread,))
    assert changes(watcher) == []
    reader.current = plugin_worlds.world([])
    assert changes(watcher) == [("in_sync", None)]
    assert "in sync -> gone" in _plugin_line(watcher.plugins[0])

"""What nobody expected in one view is a gap of that view; the others are judged."""

from __future__ import annotations

import pytest

from tests import worlds
from xdsaudit import audit
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewName
from xdsaudit.testing import ingress

ITEMS = [ingress("a", "foo.test", "/a")]


@pytest.mark.parametrize(
    ("place", "view"),
    [
        ("xdsaudit.audit.case.read_config_dump", ViewName.GATEWAY),
        ("xdsaudit.xds.reader.read_pilot", ViewName.PILOT),
        ("xdsaudit.audit.case.judge", None),
    ],
)
def test_any_exception_of_one_view(monkeypatch: pytest.MonkeyPatch, place: str, view: ViewName | None) -> None:
    def broken(*_: object, **__: object) -> None:
        int("CANARY")

    monkeypatch.setattr(place, broken)
    result = audit(worlds.world(ITEMS))
    unread = {i.name: i.why or "" for i in result.views if i.state is State.UNREAD}
    assert set(unread) == ({view} if view else set(unread))
    assert unread
    assert all("ValueError at " in why and "CANARY" not in why for why in unread.values())
    assert result.exit_code() == 3
    read = {i.name for i in result.views if i.state is State.READ}
    assert view is None or {ViewName.PILOT, ViewName.GATEWAY} - {view} <= read


def test_a_page_of_evidence_is_not_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("xdsaudit.audit.case.with_admin_pages", broken)
    result = audit(worlds.world(ITEMS))
    (gateway,) = (i for i in result.views if i.name is ViewName.GATEWAY)
    assert (gateway.state, "RuntimeError" in (gateway.why or "")) == (State.PARTIAL, True)
    assert result.of(Verdict.IN_SYNC)

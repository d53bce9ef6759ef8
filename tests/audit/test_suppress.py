"""What is left out is counted and listed, and known by identities that hold no pod names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_attribution import ITEMS, WITHOUT_B
from xdsaudit import Audit, Snapshot, audit, render
from xdsaudit.audit.questions.narrow import Scope, narrow
from xdsaudit.audit.questions.suppress import by_code, since
from xdsaudit.cli.main import run
from xdsaudit.report.json import to_object
from xdsaudit.testing import ingress

Pages = dict[str, bytes]


def gateway(*, lacking: bool = False, connected: int = 1) -> Pages:
    tables = WITHOUT_B if lacking else worlds.expectation(ITEMS).tables
    return {"config_dump.json": worlds.config_dump(tables), "stats.json": worlds.stats(connected=connected)}


def of(**gateways: Pages) -> Snapshot:
    return replace(worlds.world(ITEMS), gateway={name.replace("_", "-"): pages for name, pages in gateways.items()})


def baseline(result: Audit) -> dict[str, Any]:
    """As an earlier version wrote it: without the keys that came later."""
    found: dict[str, Any] = json.loads(json.dumps(to_object(result), default=str))
    return {k: found[k] for k in ("schema", "snapshot", "conclusive", "summary", "rules", "extra", "findings", "notes")}


LOST = audit(of(gw_a=gateway(lacking=True)))


def test_what_is_skipped_is_counted_and_listed() -> None:
    (code,) = {r.code for r in LOST.lost}
    result = by_code(LOST, skip=[str(code)])
    assert result.exit_code() == 0
    (left,) = result.left_out
    assert (left.by, left.code, left.what) == ("skip", code, (f"default/b foo.test/b: {LOST.lost[0].said}",))
    text = render(result, "table")
    assert f"left out by --skip: 1 ({code})" in text
    assert "LEFT OUT: 1" in text
    assert text.rstrip().splitlines()[-1].endswith("1 left out by --skip")


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "junit", "sarif", "github", "html", "prom"])
def test_every_format_tells_what_was_left_out(form: str) -> None:
    (code,) = {r.code for r in LOST.lost}
    assert str(code) in render(by_code(LOST, skip=[str(code)]), form)
    assert "left_out" not in render(LOST, "table")


def test_only_lists_what_it_hides_too() -> None:
    result = by_code(LOST, only=["XA204"])
    assert [(x.by, len(x.what)) for x in result.left_out] == [("only", 1)]
    assert len(result.rules) == len(LOST.rules) - 1


def test_nothing_hidden_nothing_listed() -> None:
    assert by_code(LOST, skip=["XA204"]).left_out == ()
    assert by_code(LOST).left_out == ()


def test_a_debt_is_the_same_after_the_gateway_was_rolled_out() -> None:
    after = audit(of(gw_b=gateway(lacking=True), gw_c=gateway(lacking=True)))
    result = since(after, baseline(LOST))
    assert result.exit_code() == 0
    assert [x.by for x in result.left_out] == ["baseline"]


def test_a_finding_with_other_pod_names_is_known_and_a_second_one_is_news() -> None:
    before = baseline(audit(of(gw_a=gateway(connected=0), gw_b=gateway())))
    renamed = since(audit(of(gw_c=gateway(connected=0), gw_d=gateway())), before)
    assert renamed.findings == ()
    assert sum(len(x.what) for x in renamed.left_out) == 1
    two = since(audit(of(gw_c=gateway(connected=0), gw_d=gateway(connected=0))), before)
    assert [f.slug for f in two.findings] == ["gateway-disconnected"]


def test_another_stage_code_or_verdict_is_news() -> None:
    known = baseline(LOST)
    for key, value in (("stage", "cache"), ("code", "XA401"), ("verdict", "pending"), ("path_type", "Exact")):
        other = {**known, "rules": [{**r, key: value} if r["verdict"] == "lost" else r for r in known["rules"]]}
        assert len(since(LOST, other).lost) == 1
    assert since(LOST, known).lost == ()


def test_a_route_of_nobody_is_known_in_any_replica() -> None:
    extra = audit(replace(worlds.world(ITEMS[:2]), gateway={"gw-a": gateway()}))
    assert extra.extra
    after = audit(replace(worlds.world(ITEMS[:2]), gateway={"gw-x": gateway()}))
    result = since(after, baseline(extra))
    assert result.extra == ()
    assert [x.code for x in result.left_out] == [None]


def test_what_an_annotation_hides_is_listed_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def checked(annotations: dict[str, str]) -> str:
        place = tmp_path / "i.json"
        place.write_text(json.dumps(ingress("a", "foo.test", "/a", annotations=annotations)))
        run(["check", "-f", str(place), "--offline"])
        return " ".join(capsys.readouterr().out.split())

    wrong = {"higress.io/timeout": "soon"}
    assert "XA221" in checked(wrong)
    out = checked({**wrong, "xdsaudit.io/ignore": "XA221"})
    assert "left out by xdsaudit.io/ignore: 1 (XA221)" in out
    assert "0 findings" not in out
    assert "left out" not in checked({"xdsaudit.io/ignore": "XA221"})


def test_what_an_annotation_hides_in_diff_is_listed_by_every_format() -> None:
    asks = {"nginx.ingress.kubernetes.io/auth-url": "http://auth.test/check"}
    said = {**asks, "xdsaudit.io/ignore": "XA212"}
    snapshot = worlds.world([ingress("a", "foo.test", "/a", annotations=said), *ITEMS[1:]])
    result = audit(snapshot)
    assert result.exit_code() == 0
    (left,) = result.left_out
    assert (left.by, left.code, len(left.what)) == ("ignore", "XA212", 1)
    assert left.what[0].startswith("default/a: nginx.ingress.kubernetes.io/auth-url does not apply")
    assert "left out by xdsaudit.io/ignore: 1 (XA212)" in render(result, "table")
    assert to_object(result)["left_out"][0]["count"] == 1
    assert narrow(result, snapshot, Scope(ingresses=frozenset({"default/a"}))).left_out == (left,)
    assert narrow(result, snapshot, Scope(ingresses=frozenset({"default/b"}))).left_out == ()
    told = audit(worlds.world([ingress("a", "foo.test", "/a", annotations=asks), *ITEMS[1:]]))
    assert told.left_out == ()
    assert [r.slug for r in told.of("changed")] == ["protection-not-applied"]

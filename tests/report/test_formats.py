"""Each format by what reads it: SARIF and JUnit by their schemas, GitHub's commands, JSON lines, and hostile names in all of them."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import Audit, audit, render
from xdsaudit.model.verdict import Origin
from xdsaudit.report import FORMATS
from xdsaudit.report.lines import uri_of
from xdsaudit.testing import ingress

SCHEMAS = Path(__file__).parents[1] / "schemas"
SARIF = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
JUNIT = xmlschema.XMLSchema(SCHEMAS / "junit.xsd")
NAMES = [
    "batch-loss",
    "healthy-scoped",
    "gateway-stale",
    "nack-one-host",
    "controller-crashed",
    "gateway-warming",
    "random-merge",
    "plugins-loaded.tar.xz",
    "plugins-rejected.tar.xz",
]


def located(snapshot: Any) -> Any:
    result = audit(snapshot)
    first = result.rules[0].rule
    bad = next((r.rule for r in result.rules if r.slug), first)
    return replace(result, origins={(bad.ref, bad.host, bad.path): Origin("k8s/shop ü.yaml", 12)})


@pytest.mark.parametrize("name", NAMES)
def test_sarif_follows_its_schema(recording, name: str) -> None:
    found = json.loads(render(located(recording(name)), "sarif"))
    jsonschema.validate(found, SARIF)
    (run,) = found["runs"]
    assert {r["ruleId"] for r in run["results"]} == {r["id"] for r in run["tool"]["driver"]["rules"]}
    places = [loc["physicalLocation"] for r in run["results"] for loc in r["locations"] if "physicalLocation" in loc]
    assert {p["artifactLocation"]["uri"] for p in places} <= {"k8s/shop%20%C3%BC.yaml"}
    assert all(p["region"]["startLine"] == 12 for p in places)


def test_sarif_of_the_incident(recording) -> None:
    found = json.loads(render(located(recording("batch-loss")), "sarif"))
    (result,) = found["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("XA401", "error")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 12}
    assert "stage cache" in result["message"]["text"]


def marks(result: Audit, form: str = "sarif") -> list[str]:
    found = json.loads(render(result, form))
    if form == "gitlab":
        return [row["fingerprint"] for row in found]
    return [r["partialFingerprints"]["xdsaudit/v2"] for r in found["runs"][0]["results"]]


@pytest.mark.parametrize("form", ["sarif", "gitlab"])
def test_fingerprints_differ_and_last(recording, form: str) -> None:
    result = audit(recording("random-merge"))
    twin = result.findings[0]
    told = replace(result, findings=(*result.findings, twin, replace(twin, message=f"{twin.message} of another key")))
    before = marks(told, form)
    assert len(set(before)) == len(before)
    assert marks(result, form) == [m for m in before if m in set(marks(result, form))]
    pod = next(v.replica for v in result.views if v.replica)
    counted = replace(twin, message=f"7 of 20 replicas, {pod} among them, for 90 s")
    later = replace(twin, message="8 of 21 replicas, gateway-new-pod among them, for 5,400 s")
    views = (*result.views, next(v for v in result.views if v.replica)._replace(replica="gateway-new-pod"))
    alone = replace(result, rules=(), plugins=(), extra=(), views=views)
    assert marks(replace(alone, findings=(counted,)), form) == marks(replace(alone, findings=(later,)), form)


@pytest.mark.parametrize(
    ("published", "uri"),
    [
        (None, None),
        ("https://x.test/docs/", "https://x.test/docs/reference/codes/XA401.html"),
        ("https://x.test/blob/main/docs/index.md", "https://x.test/blob/main/docs/index.md"),
    ],
)
def test_a_code_has_a_help_uri_only_where_the_documentation_has_one(
    recording, monkeypatch: pytest.MonkeyPatch, published: str | None, uri: str | None
) -> None:
    monkeypatch.setattr("xdsaudit.report.lines.project_url", lambda *_: published)
    found = json.loads(render(audit(recording("batch-loss")), "sarif"))
    jsonschema.validate(found, SARIF)
    (rule,) = found["runs"][0]["tool"]["driver"]["rules"]
    assert rule.get("helpUri") == uri


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a/b.yaml", "a/b.yaml"),
        ("a\\b c.yaml", "a/b%20c.yaml"),
        ("/abs/x.yaml", "file:///abs/x.yaml"),
        ("C:\\k8s\\x.yaml", "file:///C:/k8s/x.yaml"),
    ],
)
def test_uris_on_every_system(file: str, uri: str) -> None:
    assert uri_of(file) == uri


@pytest.mark.parametrize("name", NAMES)
def test_junit_by_its_schema_and_a_strict_reader(recording, name: str) -> None:
    result = audit(recording(name))
    text = render(result, "junit")
    JUNIT.validate(text)
    suites = junitparser.JUnitXml.fromstring(text.encode())
    (suite,) = suites
    failing = [r for r in result.rules if r.verdict.value in ("lost", "changed", "refused", "shadowed", "no_upstream")]
    errors = [f for f in result.findings if f.severity.value == "error"]
    plugins = (
        5 if name.startswith("plugins-rejected") else 0
    )  # three lost, one refused, and one match rule of a lost one
    assert suites.failures == len(failing) + len(result.extra) + len(errors) + plugins
    assert suites.tests == len(list(suite))
    assert suites.tests >= len(result.rules)


def test_github_annotations(recording) -> None:
    text = render(located(recording("batch-loss")), "github")
    *_, line = text.splitlines()
    assert line.startswith(
        "::error file=k8s/shop ü.yaml,line=12,title=XA401 live/app-10061 wss.live.test/10061::lost at stage cache"
    )
    assert "%0A" in line
    warm = render(audit(recording("gateway-warming")), "github")
    first, *rest = warm.splitlines()
    assert first == "::notice title=not looked at::not asked: pilot's private cache line"
    assert {re.match(r"::(\w+) ", row)[1] for row in rest} == {"error", "warning"}  # type: ignore[index]


def test_jsonl_has_the_keys_of_json(recording) -> None:
    result = audit(recording("gateway-stale"))
    rows = [json.loads(line) for line in render(result, "jsonl").splitlines()]
    whole = json.loads(render(result, "json"))
    assert [{k: v for k, v in r.items() if k != "kind"} for r in rows if r["kind"] == "rule"] == whole["rules"]
    assert sum(r["kind"] == "extra" for r in rows) == len(whole["extra"])
    assert sum(r["kind"] == "finding" for r in rows) == len(whole["findings"])


HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m\x07]]>&\"'%0A::error::\u2028"


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_names_are_harmless_in_every_format(form: str) -> None:
    item = ingress("a", "foo.test", "/a" + HOSTILE, annotations={"higress.io/rpc-destination-name": HOSTILE})
    other = ingress(HOSTILE, HOSTILE, "/b")
    text = render(audit(worlds.world([item, other], gateway={})), form)
    if form == "gitlab":
        json.loads(text)
    if form in ("json", "jsonl", "sarif"):
        for row in text.rstrip("\n").split("\n") if form == "jsonl" else [text]:
            json.loads(row)
        assert "\x1b" not in text
        return
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"]
    if form == "html":
        assert "<script>alert" not in text
    if form == "junit":
        JUNIT.validate(text)
    if form == "github":
        assert all(line.startswith("::") and line.count("::error ") <= 1 for line in text.splitlines())


def test_gitlab_has_what_code_quality_asks_for(recording) -> None:
    rows = json.loads(render(audit(recording("gateway-stale")), "gitlab"))
    assert len({r["fingerprint"] for r in rows}) == len(rows) > 5
    for row in rows:
        assert {"description", "check_name", "fingerprint", "severity", "location"} <= row.keys()
        assert row["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert row["location"]["path"]
        assert row["location"]["lines"]["begin"] >= 1


def test_markdown_is_a_table_of_what_is_wrong_the_worst_first_and_escapes_its_signs(recording) -> None:
    text = render(audit(recording("gateway-stale")), "markdown")
    assert text.startswith("### xdsaudit: ")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert all(row.count(" | ") == 3 for row in rows)
    assert [row.split(" ")[1] for row in rows] == sorted(
        (row.split(" ")[1] for row in rows), key=["error", "warning", "info"].index
    )
    item = ingress("a", "foo.test", "/a|b*c`<i>", annotations={"higress.io/rpc-destination-name": "x"})
    hostile = render(audit(worlds.world([item], gateway={})), "markdown")
    assert "/a&#124;b&#42;c&#96;&lt;i&gt;" in hostile
    assert "nothing is wrong" in render(audit(worlds.world([ingress("a", "foo.test", "/a")])), "markdown")


def test_a_name_that_is_not_a_format() -> None:
    with pytest.raises(ValueError, match="is not a format; the formats are table"):
        render(audit(worlds.world([])), "pdf")


@given(st.recursive(st.text(max_size=6), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_json_is_the_same_value_without_characters_that_no_one_sees(value: object) -> None:
    from xdsaudit.report.json import as_json, as_line

    found = {"k": value, "x": "a\u202eb\u2028c\u0085"}
    for text in (as_json(found), as_line(found)):
        assert json.loads(text) == found
        assert not set("\u202e\u2028\u0085\u200b\ufeff") & set(text)
    assert len(as_line(found).splitlines()) == 1

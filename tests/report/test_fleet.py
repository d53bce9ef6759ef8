"""Ten snapshots as ten clusters: one table, one page, one metric set, one exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from xdsaudit import InputError, audit, render
from xdsaudit.cli.main import run
from xdsaudit.report.fleet import fleet_causes, read_reports

NAMES = [
    "batch-loss",
    "gateway-stale",
    "gateway-warming",
    "controller-crashed",
    "healthy-flat",
    "healthy-scoped",
    "nack-one-host",
    "nack-unknown-extension",
    "random-2.1",
    "random-scoped",
]


@pytest.fixture(scope="module")
def folder(recording, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("fleet")
    for name in NAMES:
        (place / f"{name}.json").write_text(render(audit(recording(name)), "json"))
    return place


def fine(recording) -> str:
    """A report in which nothing is wrong."""
    found = json.loads(render(audit(recording("batch-loss")), "json"))
    found["rules"] = [r for r in found["rules"] if r["verdict"] == "in_sync"]
    found["summary"] = {"rules": len(found["rules"]), "by_verdict": {"in_sync": len(found["rules"])}}
    return json.dumps(found)


def test_every_cluster_has_its_row_and_every_cause_its_clusters(folder: Path, recording, capsys) -> None:
    assert run(["merge", *(str(folder / f"{n}.json") for n in NAMES)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("10 clusters, ")
    for name in NAMES:
        row = next(line.split() for line in out.splitlines() if line.startswith(name))
        wanted = audit(recording(name))
        assert row[1:5] == [
            str(n) for n in (len(wanted.rules), *(len(wanted.of(v)) for v in ("in_sync", "lost", "changed")))
        ]
    assert "XA401 stale-route-cache at cache: 1 in 1 cluster\n  batch-loss (1)\n" in out
    assert max(map(len, out.splitlines())) <= 120


def test_metrics_of_all_clusters_are_told_apart_by_a_label(folder: Path, recording, capsys) -> None:
    assert run(["merge", "-o", "prom", *(str(folder / f"{n}.json") for n in NAMES)]) == 1
    families = {f.name: f for f in text_string_to_metric_families(capsys.readouterr().out)}
    lost = {s.labels["cluster"]: s.value for s in families["xdsaudit_rules"].samples if s.labels["verdict"] == "lost"}
    assert lost == {name: len(audit(recording(name)).lost) for name in NAMES}
    assert {s.labels["cluster"] for s in families["xdsaudit_conclusive"].samples} == set(NAMES)


def test_the_page_and_the_json_hold_every_cluster(folder: Path, capsys) -> None:
    files = [str(folder / f"{n}.json") for n in NAMES]
    run(["merge", "-o", "html", "<b>=" + files[0], *files[1:]])
    page = capsys.readouterr().out
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert all(name in page for name in NAMES[1:])
    run(["merge", "-o", "json", *files])
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "xdsaudit.fleet/1"
    assert [c["name"] for c in found["clusters"]] == NAMES
    assert {"code": "XA401", "slug": "stale-route-cache", "stage": "cache", "clusters": {"batch-loss": 1}} in found[
        "causes"
    ]


def test_a_log_of_jobs_holds_one_report_a_line(folder: Path, recording, tmp_path: Path, capsys) -> None:
    reports = [json.loads((folder / f"{n}.json").read_text()) for n in NAMES[:2]]
    lines = [
        "starting",
        *(json.dumps({**r, "cluster": n}) for n, r in zip(("east", "west"), reports, strict=True)),
        '{"other": 1}',
    ]
    log = tmp_path / "jobs.log"
    log.write_text("\n".join(lines))
    assert run(["merge", str(log)]) == 1
    out = capsys.readouterr().out
    assert "\neast" in out
    assert "\nwest" in out
    assert len(read_reports(log.read_bytes(), "jobs.log", "jobs")) == 2
    pretty = b"".join((folder / f"{n}.json").read_bytes() for n in NAMES)
    assert [m.name for m in read_reports(pretty, "jobs.log", "jobs")] == [f"jobs-{n}" for n in range(1, 11)]


def test_exit_codes(folder: Path, recording, tmp_path: Path, capsys) -> None:
    good = tmp_path / "good.json"
    good.write_text(fine(recording))
    assert run(["merge", str(good)]) == 0
    assert run(["merge", str(good), str(tmp_path / "absent.json")]) == 2
    assert run(["merge", "--keep-going", str(good), str(tmp_path / "absent.json")]) == 3
    assert "No such file" in capsys.readouterr().out
    inconclusive = tmp_path / "part.json"
    inconclusive.write_text(json.dumps({**json.loads(fine(recording)), "conclusive": False}))
    assert run(["merge", str(good), str(inconclusive)]) == 3
    assert run(["merge", str(good), str(good)]) == 2
    assert "two reports of the cluster good" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "contains no report"),
        (b"[]", "contains no report"),
        (b"nothing here\n", "contains no report"),
        (b'{"schema": "other/1"}', "contains no report"),
        (b'{"schema": "\xff"}', "not a report"),
        (b"{" * 100_000, "contains no report"),
        (b'x\n{"schema": "xdsaudit.audit/1"}\n{"a": 1}', r"f\.json:2: not a report"),
    ],
)
def test_what_is_not_a_report_is_named(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_reports(data, "f.json", "f")


def test_causes_are_ordered_by_how_many_clusters_have_them(folder: Path) -> None:
    fleet = [m for n in NAMES for m in read_reports((folder / f"{n}.json").read_bytes(), n, n)]
    sizes = [len(c.clusters) for c in fleet_causes(fleet)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes

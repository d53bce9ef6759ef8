"""What an installation can do, without the checkout it was built from: run against a wheel by tools/release.py, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import xdsaudit

HERE = Path(__file__).parent
SNAPSHOT = next(p for p in (HERE / "batch-loss", HERE.parent / "recordings" / "batch-loss") if p.is_dir())


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "xdsaudit", *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=120, encoding="utf-8")


def test_it_is_the_version_that_was_built() -> None:
    wanted = os.environ.get("XDSAUDIT_VERSION", xdsaudit.__version__)
    assert xdsaudit.__version__ == wanted
    assert command("--version").stdout.startswith(f"xdsaudit {wanted} ")


def test_its_scripts_and_fixtures_are_registered() -> None:
    found = {e.name for e in metadata.entry_points(group="console_scripts") if e.value.startswith("xdsaudit.")}
    assert found >= {"xdsaudit", "kubectl-xdsaudit"}
    assert "xdsaudit" in {e.name for e in metadata.entry_points(group="pytest11")}


def test_it_names_the_lost_rule_in_every_format(xds_audit) -> None:
    audit = xds_audit(str(SNAPSHOT))
    assert [rule.slug for rule in audit.lost] == ["stale-route-cache"]
    for form in ("table", "wide", "json", "jsonl", "junit", "sarif", "github", "html", "prom"):
        assert xdsaudit.render(audit, form)


def test_the_command_ends_as_it_promises(tmp_path: Path) -> None:
    done = command("diff", "--snapshot", str(SNAPSHOT), "-o", "json", "--report", f"html={tmp_path / 'page.html'}")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["summary"]["by_verdict"]["lost"] == 1
    assert "app-10061" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert command("diff", "--snapshot", str(tmp_path / "nowhere")).returncode == 2
    assert "XA401" in command("explain", "XA401").stdout


def test_a_snapshot_is_saved_without_its_sources(tmp_path: Path) -> None:
    snapshot = xdsaudit.load(str(SNAPSHOT))
    xdsaudit.save(snapshot, str(tmp_path / "copy.tar.gz"))
    assert xdsaudit.audit(xdsaudit.load(str(tmp_path / "copy.tar.gz"))).rules == xdsaudit.audit(snapshot).rules


def test_a_control_plane_replays_it(xds_control_plane) -> None:
    snapshot = xdsaudit.load(str(SNAPSHOT))
    plane = xds_control_plane(snapshot)
    result = xdsaudit.audit(
        xdsaudit.read(xdsaudit.Sources(kube=snapshot.kube, ads=(plane.endpoint,), probe_cache=True))
    )
    assert [rule.rule.ingress for rule in result.lost] == ["app-10061"]


@pytest.mark.parametrize("name", ["hypothesis", "envoy"])
def test_what_an_extra_brings_is_not_needed(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; import xdsaudit.testing, xdsaudit.cli.main; print('fine')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr

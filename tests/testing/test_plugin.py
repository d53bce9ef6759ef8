"""The pytest plugin, as a suite of somebody else uses it: in a process of its own, with and without xdist."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow
RECORDINGS = Path(__file__).parents[1] / "recordings"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


def run(suite: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    suite.makepyfile(code)
    return suite.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=120)


def test_an_audit_of_a_snapshot_and_what_a_failure_shows(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        f"""
        def test_lost(xds_audit):
            audit = xds_audit({str(RECORDINGS / "batch-loss")!r})
            assert audit.lost == ()

        def test_in_effect(xds_audit):
            audit = xds_audit({str(RECORDINGS / "batch-loss")!r})
            audit.assert_in_effect("live/app-10060")
            audit.assert_in_effect("live/app-10061")

        def test_rows(xds_audit):
            rows = xds_audit({str(RECORDINGS / "batch-loss")!r}).to_rows()
            assert [r["slug"] for r in rows if r["verdict"] == "lost"] == ["stale-route-cache"]
        """,
        "--junitxml=out.xml",
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*1 rule, expected none*",
            "*live/app-10061 wss.live.test/10061: lost at stage cache (XA401 stale-route-cache)*",
            "*last seen in pilot_fresh, first missing in pilot*",
            "*remedy: Touch any Ingress of the host*",
            "*xdsaudit: 3 audits, 3 with findings, 0 waits*",
        ]
    )
    result.stdout.fnmatch_lines(["*1 of 1 rules are not in effect*"])
    assert 'name="xds_lost" value="1"' in (suite.path / "out.xml").read_text()


LIVE = f"""
        import pytest
        from xdsaudit import load
        from xdsaudit.testing import FakeAdmin

        @pytest.fixture
        def incident():
            return load({str(RECORDINGS / "batch-loss")!r})

        @pytest.fixture
        def admin(incident):
            with FakeAdmin(next(iter(incident.gateway.values()))) as found:
                yield found
"""


def test_live_fixtures(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        LIVE
        + """
        def test_audit(xds_audit, xds_control_plane, incident, admin):
            plane = xds_control_plane(incident)
            audit = xds_audit(kube=incident.kube, ads=(plane.endpoint,), gateways=(admin.url,), probe_cache=True)
            assert [(r.rule.ingress, r.slug) for r in audit.lost] == [("app-10061", "stale-route-cache")]

        def test_wait_passes(xds_wait, xds_control_plane, incident, admin):
            plane = xds_control_plane(incident)
            assert xds_wait("live/app-10060", kube=incident.kube, ads=(plane.endpoint,), gateways=(admin.url,)).ok

        def test_wait_fails(xds_wait, xds_control_plane, incident, admin):
            plane = xds_control_plane(incident)
            xds_wait("live/app-10061", kube=incident.kube, ads=(plane.endpoint,), gateways=(admin.url,))
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*will not recover on its own*", "*stage cache - XA401 stale-route-cache*"])


def test_the_marker(suite: pytest.Pytester) -> None:
    code = """
        import pytest

        @pytest.mark.xds_clean
        def test_it():
            pass
        """
    dirty = run(suite, code, f"--xds-snapshot={RECORDINGS / 'nack-one-host'}")
    dirty.assert_outcomes(passed=1, errors=1)
    dirty.stdout.fnmatch_lines(["*left problems in the gateway*", "*XA501 envoy-rejected*shop/gone*"])
    run(suite, code, f"--xds-snapshot={RECORDINGS / 'batch-loss'}").assert_outcomes(passed=1)


@pytest.mark.parametrize("choice", ["fail", "skip"])
def test_no_cluster(suite: pytest.Pytester, choice: str) -> None:
    suite.makeini(f"[pytest]\nxds_no_cluster = {choice}\nfilterwarnings = error\n")
    result = run(suite, "def test_it(xds_audit):\n    xds_audit()\n", "-rs")
    result.assert_outcomes(**{"failed" if choice == "fail" else "skipped": 1})
    result.stdout.fnmatch_lines(["*no cluster to read*"])


def test_workers_share_one_capture(suite: pytest.Pytester, tmp_path: Path) -> None:
    import json

    from xdsaudit.collect.snapshot import load
    from xdsaudit.testing import ControlPlane, FakeAdmin, FakeKube, higress_pods

    snapshot = load(RECORDINGS / "batch-loss")
    objects = {k: json.loads(v)["items"] for k, v in snapshot.kube.items()}
    pages = next(iter(snapshot.gateway.values()))
    with (
        FakeKube({**objects, **higress_pods("gw-0")}) as kube,
        ControlPlane.of(snapshot) as plane,
        FakeAdmin(pages) as admin,
    ):
        config = tmp_path / "config"
        config.write_text(kube.kubeconfig())
        port = int(plane.endpoint.rpartition(":")[2])
        kube.forwards = {("higress-controller-0", p): port for p in (15010, 15051)} | {("gw-0", 15000): admin.port}
        result = run(
            suite,
            """
            import pytest

            @pytest.mark.parametrize("n", range(6))
            def test_it(xds_snapshot, xds_audit, n):
                assert [r.rule.ingress for r in xds_audit(xds_snapshot()).lost] == ["app-10061"]
            """,
            f"--xds-kubeconfig={config}",
            "-n2",
        )
        result.assert_outcomes(passed=6)
        assert sum("config_dump" in path for path in admin.asked) == 1


def test_without_the_plugin_a_suite_is_untouched(suite: pytest.Pytester) -> None:
    run(suite, "def test_it():\n    pass\n", "-p", "no:xdsaudit").assert_outcomes(passed=1)
    broken = run(suite, "def test_it(xds_audit):\n    pass\n", "-p", "no:xdsaudit")
    broken.assert_outcomes(errors=1)


def test_unknown_sources_are_told(suite: pytest.Pytester) -> None:
    result = run(suite, "def test_it(xds_audit):\n    xds_audit(gateway='http://x')\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'gateway' is not one of*gateways*"])

"""The likeliest mistakes of somebody in a hurry: each ends with a cause and the next command or option."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import worlds
from tests.collect.test_cluster import cluster
from xdsaudit.cli.main import run
from xdsaudit.testing import FakeAdmin, ingress

BATCH = str(Path(__file__).parent.parent / "recordings" / "batch-loss")
INGRESSES = f"{BATCH}/kube/ingresses.json"
QUOTED = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, namespace: shop}
spec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: "80"}}}}]}}]}
"""


def told(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return " ".join(f"{captured.out} {captured.err}".split())


@pytest.mark.parametrize(
    ("arguments", "code", "cause", "next_step"),
    [
        (["dif"], 2, "No such command 'dif'", "Did you mean diff?"),
        (["diff", "--contxt", "prod"], 2, "No such option", "--context"),
        (["diff"], 2, "no cluster to read", "give --kubeconfig, or --snapshot PATH"),
        (["diff", "-f", "/nope.yaml"], 2, "no such file", "check the path"),
        (["diff", "live/app-1006", "--snapshot", BATCH], 2, "not among the 22 Ingresses", "did you mean live/app-10061"),
        (["diff", "-n", "liv", "--snapshot", BATCH], 2, "nothing is selected", "did you mean live?"),
        (["diff", "-f", INGRESSES, "--ads", "http://127.0.0.1:1"], 2, "write HOST:PORT", "127.0.0.1:15010"),
        (["diff", "-f", INGRESSES, "--gateway", "127.0.0.1:1"], 3, "Connection refused", "forward port 15000 of the pod"),
        (["diff", "--snapshot", "README.md"], 2, "not a readable .tar.gz", "or give a directory"),
        (["diff", "--fail-on", "los", "--snapshot", BATCH], 2, "not a verdict or severity", "did you mean lost?"),
        (["explain", "XA4O1"], 2, "is not a code", "did you mean XA410 or XA401?"),
        (["explain", "http://wss.live.tes/10060", "--snapshot", BATCH], 1, "no virtual host", "Did you mean wss.live.test?"),
        (["explain", "http://wss.live.test/1006", "--snapshot", BATCH], 1, "no route", "Did you mean wss.live.test/1006"),
        (["wait", "a/b", "--deadline", "2x"], 2, "is not a duration", "2m"),
        (["watch", "--snapshot", BATCH], 2, "a snapshot does not change", "use xdsaudit diff --snapshot"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_cause_and_the_next_step(
    arguments: list[str], code: int, cause: str, next_step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    text = told(capsys)
    assert cause in text
    assert next_step in text


def test_a_context_and_a_namespace_that_do_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with cluster(worlds.world([ingress("a", "foo.test", "/a")]), tmp_path) as (_, config, _, _):
        assert run(["diff", "--kubeconfig", config, "--context", "prod"]) == 2
        assert "kubectl config get-contexts" in told(capsys)
        assert run(["diff", "--kubeconfig", config, "--system-namespace", "foo"]) == 3
        assert "--system-namespace" in told(capsys)
        assert run(["wait", "--kubeconfig", config, "default/aa", "--deadline", "1"]) == 4
        assert "not found in the API: default/aa; did you mean default/a?" in told(capsys)


def test_a_port_as_text_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "batch.yaml"
    place.write_text(QUOTED)
    assert run(["check", "-f", str(place)]) == 1
    assert ":5:" in (text := told(capsys))
    assert "leave the quotes out" in text


def test_an_admin_port_that_is_the_control_planes(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({}) as admin:
        assert run(["diff", "-f", INGRESSES, "--ads", f"127.0.0.1:{admin.port}", "--timeout", "3"]) == 3
    assert "check the address" in told(capsys)


def test_a_family_of_codes_is_chosen_by_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    for word, lost in (("XA4", 1), ("xa40", 1), ("XA5", 0)):
        assert run(["diff", "--snapshot", BATCH, "--only", word]) == lost
    assert run(["diff", "--snapshot", BATCH, "--only", "XA"]) == 2
    assert "is not a code" in told(capsys)

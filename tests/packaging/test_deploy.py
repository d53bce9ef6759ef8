"""What runs in a cluster: manifests and the chart ask for what exists, hold no right to write, and give a pod as little as it needs."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

import xdsaudit
from xdsaudit import audit
from xdsaudit.cli.group import cli
from xdsaudit.collect.kinds import LISTED
from xdsaudit.report.prom import Histogram, to_prom

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "chart"
RENDERED = Path(__file__).parent / "rendered"
Object = dict[str, Any]


def objects(path: Path) -> list[Object]:
    return [found for found in yaml.safe_load_all(path.read_text(encoding="utf-8")) if found]


FILES = [*sorted((ROOT / "docs" / "deploy").glob("*.yaml")), *sorted(RENDERED.glob("*.yaml"))]
DEPLOY = [(path.name, found) for path in FILES for found in objects(path)]
EVERYTHING = objects(RENDERED / "everything.yaml")


def pods(value: object) -> Iterator[Object]:
    """Every pod's spec below this."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for below in value.values():
            yield from pods(below)


PODS = [(f"{name}-{found['kind']}", spec) for name, found in DEPLOY for spec in pods(found)]


def kind(name: str, listed: list[Object] = EVERYTHING) -> Object:
    (found,) = [o for o in listed if o["kind"] == name]
    return found


# --- pods -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spec", [s for _, s in PODS], ids=[n for n, _ in PODS])
def test_a_pod_runs_a_command_that_exists(spec: Object) -> None:
    for container in spec["containers"]:
        command, *arguments = container["args"]
        found = cli.get_command(None, command)  # type: ignore[arg-type]
        assert found is not None
        assert found.make_context(command, list(arguments)).params


@pytest.mark.parametrize("spec", [s for _, s in PODS], ids=[n for n, _ in PODS])
def test_a_pod_has_no_privilege_and_nothing_writable_but_what_it_must(spec: Object) -> None:
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] >= 10000
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {v["name"]: v for v in spec["volumes"]}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
        assert "emptyDir" in volumes[mounts["/tmp"]["name"]], "the client of Kubernetes writes certificates there"
        written = {
            "/tmp",
            *(v for k, v in zip(container["args"], container["args"][1:], strict=False) if k == "--record"),
        }
        assert all(m.get("readOnly") for path, m in mounts.items() if path not in written)
        assert {m["name"] for m in mounts.values()} == set(volumes), (
            "every mount has its volume, every volume its mount"
        )
        assert written <= set(mounts), "what it writes is a volume, since its root is read-only"
        assert re.search(rf":{re.escape(xdsaudit.__version__)}(@sha256:[0-9a-f]{{64}})?$", container["image"])


def test_pods_are_found() -> None:
    assert len(PODS) >= 8
    assert {f["kind"] for _, f in DEPLOY} >= {
        "Deployment",
        "CronJob",
        "Job",
        "PodMonitor",
        "PrometheusRule",
        "ConfigMap",
    }


# --- rights -----------------------------------------------------------------------------------------------------------
def granted(listed: list[Object]) -> set[tuple[str, str, str]]:
    rules = [rule for found in listed for rule in found.get("rules", ())]
    return {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}


MANIFESTS = [o for p in ("rbac.yaml", "rbac-secrets.yaml") for o in objects(ROOT / "docs" / "deploy" / p)]


def test_the_roles_hold_every_call_and_write_nothing() -> None:
    rights = granted(MANIFESTS)
    for each in LISTED:
        assert {(each.group, each.plural, "list"), (each.group, each.plural, "watch")} <= rights
    assert {v for _, r, v in rights if r != "pods/portforward"} <= {"get", "list", "watch"}


def test_secrets_are_a_right_of_their_own() -> None:
    plain = granted(objects(ROOT / "docs" / "deploy" / "rbac.yaml"))
    assert not [right for right in plain if right[1] == "secrets"]
    assert granted(MANIFESTS) - plain == {("", "secrets", "list"), ("", "secrets", "watch")}
    said = (ROOT / "docs" / "deploy" / "rbac-secrets.yaml").read_text(encoding="utf-8")
    assert "VALUES of every Secret" in said, "who applies it is told what it allows"


def test_the_chart_grants_what_the_manifests_grant() -> None:
    without = objects(RENDERED / "without-secrets.yaml")
    assert granted(EVERYTHING) == granted(objects(RENDERED / "default.yaml")) == granted(MANIFESTS)
    assert granted(without) == granted(objects(ROOT / "docs" / "deploy" / "rbac.yaml"))
    names = {
        tuple(r["resourceNames"]) for o in [*MANIFESTS, *EVERYTHING] for r in o.get("rules", ()) if "resourceNames" in r
    }
    assert len(names) == 1


def test_roles_of_the_chart_are_bound_to_its_account() -> None:
    account = kind("ServiceAccount")["metadata"]
    bindings = [o for o in EVERYTHING if o["kind"].endswith("RoleBinding")]
    assert len(bindings) == 3
    roles = {(o["kind"], o["metadata"]["name"]) for o in EVERYTHING if o["kind"].endswith("Role")}
    assert {(b["roleRef"]["kind"], b["roleRef"]["name"]) for b in bindings} == roles
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert kind("Role")["metadata"]["namespace"] == "gateways", "where Higress is, not where xdsaudit is"


# --- the chart --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_chart", ROOT / "tools" / "render_chart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_was_rendered_is_of_this_chart(tool: ModuleType) -> None:
    """The files that the tests read were made by the real helm from the chart as it is now."""
    assert {p.stem for p in RENDERED.glob("*.yaml")} == set(tool.VALUES)
    for path in RENDERED.glob("*.yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first == f"# chart {tool.digest()}", "the chart was changed: run tools/render_chart.py, which needs helm"


@pytest.mark.skipif(shutil.which("helm") is None, reason="no helm here: what it rendered earlier is tested")
def test_helm_renders_the_same_now(tool: ModuleType) -> None:
    for name in tool.VALUES:
        assert tool.rendered(name) == (RENDERED / f"{name}.yaml").read_text(encoding="utf-8")


def test_the_version_of_the_chart_is_the_package_s() -> None:
    found = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert found["version"] == found["appVersion"] == xdsaudit.__version__


VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_the_values_fit_their_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"imgae": {}},
        {"image": {"tag": "latest"}},
        {"image": {"digest": "sha256:abc"}},
        {"rbac": {"secrets": "yes"}},
        {"watch": {"interval": 0.5}},
        {"watch": {"port": 80}},
        {"fleet": {"clusters": 0}},
        {"alerts": {"for": "2 minutes"}},
    ],
    ids=str,
)
def test_values_that_are_wrong_are_refused(wrong: Object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_every_value_is_used_and_every_use_is_a_value() -> None:
    texts = [p.read_text(encoding="utf-8") for p in CHART.rglob("*") if p.parent.name in ("templates", "files")]
    used = {tuple(name.split(".")) for text in texts for name in re.findall(r"\.Values\.([A-Za-z.]+)", text)}

    def leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        if not isinstance(value, dict) or not value or place in used:
            yield place
            return
        for name, below in value.items():
            yield from leaves(below, (*place, name))

    assert set(leaves(VALUES)) == used


def test_the_fleet_is_an_indexed_job_of_as_many_pods_as_clusters() -> None:
    job = kind("Job")["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 10, 5)
    (container,) = job["template"]["spec"]["containers"]
    assert "/clusters/$(JOB_COMPLETION_INDEX)" in container["args"]
    assert container["args"][-2:] == ["--output", "json"], "what xdsaudit merge reads"
    assert job["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("job", [f for _, f in DEPLOY if f["kind"] == "Job"], ids=lambda f: f["metadata"]["name"])
def test_a_cluster_with_something_wrong_does_not_stop_the_others(job: Object) -> None:
    """With a backoffLimit of 0 the first pod that fails ends the whole Job, and the other clusters' reports are lost."""
    spec = job["spec"]
    assert "backoffLimit" not in spec
    assert spec["backoffLimitPerIndex"] == 0
    assert spec["maxFailedIndexes"] == spec["completions"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_monitor_finds_the_watch_alone() -> None:
    wanted = kind("PodMonitor")["spec"]["selector"]["matchLabels"].items()
    templates = {o["kind"]: o["spec"].get("jobTemplate", o)["spec"]["template"] for o in EVERYTHING if any(pods(o))}
    found = {name for name, t in templates.items() if wanted <= t["metadata"]["labels"].items()}
    assert found == {"Deployment"}
    (container,) = templates["Deployment"]["spec"]["containers"]
    assert container["ports"][0]["name"] == kind("PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"]
    assert wanted >= kind("Deployment")["spec"]["selector"]["matchLabels"].items()


# --- alerts and dashboard ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def exported(recording: Any) -> tuple[set[str], dict[str, set[str]]]:
    """Names of metrics that a watch exports, and label values by label."""
    latency = {stage: Histogram({1.0: 1}, 1, 0.5) for stage in ("pilot", "gateway")}
    text = to_prom(audit(recording("batch-loss")), transitions={"lost": 1}, latency=latency, rounds=1)
    labels: dict[str, set[str]] = {}
    for name, value in re.findall(r'(\w+)="([^"]*)"', text):
        labels.setdefault(name, set()).add(value)
    return set(re.findall(r"^(xdsaudit_\w+)[ {]", text, re.MULTILINE)), labels


def expressions() -> dict[str, str]:
    rules = kind("PrometheusRule")["spec"]["groups"][0]["rules"]
    board = json.loads(kind("ConfigMap")["data"]["xdsaudit.json"])
    found = {rule["alert"]: rule["expr"] for rule in rules}
    return found | {f"{p['title']} {t['refId']}": t["expr"] for p in board["panels"] for t in p["targets"]}


@pytest.mark.parametrize("name", expressions())
def test_alerts_and_panels_ask_for_metrics_that_are_exported(name: str, exported: Any) -> None:
    metrics, labels = exported
    expression = expressions()[name]
    asked = set(re.findall(r"xdsaudit_\w+", expression))
    assert asked
    assert asked <= metrics
    for label, values in re.findall(r'(\w+)[!=]~?"([^"]*)"', expression):
        # A verdict that this recording has not is still one of the metric's; unmatchable is younger than some.
        assert set(values.split("|")) <= labels[label] | {"unmatchable"}


def test_an_alert_says_what_it_means_and_what_to_do() -> None:
    for rule in kind("PrometheusRule")["spec"]["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 40


def test_without_secrets_no_alert_rings_for_ever() -> None:
    """An audit that may not list Secrets would never be conclusive: each is told that it is meant."""
    for rendered, told in (("without-secrets.yaml", True), ("everything.yaml", False)):
        found = objects(RENDERED / rendered)
        for pod in (kind("Deployment", found)["spec"], kind("CronJob", found)["spec"]["jobTemplate"]["spec"]):
            (container,) = pod["template"]["spec"]["containers"]
            assert ("--no-secrets" in container["args"]) is told


def test_a_watch_that_hangs_is_restarted() -> None:
    for found in (objects(RENDERED / "default.yaml"), objects(ROOT / "docs" / "deploy" / "watch.yaml")):
        (container,) = kind("Deployment", found)["spec"]["template"]["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}


def test_panels_of_the_board_do_not_overlap() -> None:
    board = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
    cells = [
        (x, y)
        for p in board["panels"]
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])

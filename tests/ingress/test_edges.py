"""Edges: annotation values, canaries, destinations and registries where details of Higress's Go code decide.

Each case is a snapshot whose tables Higress's own code made (see ``cases/README.md``), so a right translation finds
nothing wrong in it, and foretells the panic of those named ``crash-*`` and of no other.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final

import pytest

import xdsaudit
from xdsaudit.model.verdict import Verdict

ARCHIVE: Final = Path(__file__).parent / "cases" / "edges.tar.xz"
NOTES: Final = "higress@v2.0.1 pkg/ingress/kube/annotations/"
CORE: Final = "higress@v2.0.1 pkg/ingress/config/ingress_config.go "
INGRESS: Final = "higress@v2.0.1 pkg/ingress/kube/ingressv1/controller.go "
UTIL: Final = "higress@v2.0.1 pkg/ingress/kube/util/util.go "
PILOT: Final = "higress-group/istio@d380470e53 pilot/pkg/networking/core/v1alpha3/route/route.go "

KINDS: Final[dict[str, tuple[int, str]]] = {
    "weight-canary-header-control": (2, NOTES + "canary.go ApplyByWeight"),
    "weight-canary-host-rewrite-per-cluster": (2, PILOT + "translateRoute"),
    "whitelist-prefix-zero": (2, "higress-group/istio@d380470e53 pilot/pkg/networking/util/util.go AddrStrToCidrRange"),
    "whitelist-cidr-forms": (3, NOTES + "ip_access_control.go Parse"),
    "retry-status-codes-order": (2, NOTES + "retry.go convertStatusCodes"),
    "retry-separators": (2, NOTES + "retry.go Parse"),
    "retry-odd-codes": (2, NOTES + "retry.go convertStatusCodes"),
    "cors-empty-list-items": (3, NOTES + "util.go splitStringWithSpaceTrim"),
    "cors-star-not-first": (2, NOTES + "util.go splitStringWithSpaceTrim"),
    "cors-wildcard-host-only": (4, NOTES + "cors.go ApplyRoute"),
    "redirect-percent-decoded": (2, NOTES + "redirect.go ApplyRoute"),
    "redirect-url-go-refuses": (3, NOTES + "redirect.go isValidURL"),
    "redirect-userinfo-opaque": (2, NOTES + "redirect.go ApplyRoute"),
    "custom-http-errors-no-valid-code": (2, NOTES + "default_backend.go Parse"),
    "custom-http-errors-odd-numbers": (2, NOTES + "default_backend.go Parse"),
    "header-canary-fallback-copy": (2, CORE + "applyInternalActiveRedirect"),
    "canary-cookie-after-header-value": (2, NOTES + "canary.go Parse"),
    "destination-lines-without-weight": (2, NOTES + "destination.go Parse"),
    "destination-all-zero": (2, CORE + "normalizeWeightedCluster"),
    "destination-odd-port": (2, NOTES + "destination.go Parse"),
    "bridge-default-backend-weights": (2, CORE + "convertVirtualService"),
    "bridge-without-api-group-policy": (2, INGRESS + "ConvertTrafficPolicy"),
    "header-control-quotes": (3, NOTES + "header_control.go convertAddOrUpdate"),
    "header-control-host-and-pseudo": (3, PILOT + "TranslateHeadersOperations"),
    "match-method-other-spaces": (2, NOTES + "match.go matchByMethod"),
    "rate-limit-numbers": (3, NOTES + "local_rate_limit.go Parse"),
    "mirror-service-port": (3, UTIL + "ParseServiceInfo"),
    "mirror-fqdn-odd": (3, "higress@v2.1.9 pkg/ingress/kube/annotations/mirror.go Parse"),
    "retry-tries-beyond-int32": (2, NOTES + "retry.go ApplyRoute"),
    "default-backend-leading-slash": (2, UTIL + "SplitNamespacedName"),
    "path-ending-in-two-slashes": (2, INGRESS + "ConvertHTTPRoute"),
    "app-root-of-a-rule-without-paths": (2, INGRESS + "ConvertHTTPRoute"),
    "hash-by-empty-name": (2, NOTES + "loadbalance.go Parse"),
    "hash-of-portless-destination": (2, CORE + "convertDestinationRule"),
    "header-canary-fallback-subset": (2, NOTES + "canary.go ApplyByHeader"),
    "weights-normalised-once-per-route-at-the-end": (2, CORE + "convertVirtualService"),
    "registry-that-makes-no-service": (2, "higress@v2.0.1 registry/direct/watcher.go"),
    "registry-dns-long-tld": (2, "higress@v2.0.1 registry/direct/watcher.go"),
    "higress-https-invalid-config": (3, "higress@v2.0.1 pkg/cert/config.go ParseConfigFromConfigmap"),
    "crash-mirror-service-without-ports": (2, NOTES + "mirror.go Parse"),
    "crash-default-backend-bridge-portless-destination": (
        2,
        "higress@v2.0.1 pkg/ingress/kube/common/model.go NewAndAdd",
    ),
    "crash-default-backend-bridge-without-api-group": (2, INGRESS + "createDefaultRoute"),
    "crash-dotless-destination-2.1.7-and-older": (
        2,
        "higress@v2.0.1 pkg/ingress/kube/common/tool.go ConvertBackendService",
    ),
    "no-crash-marker-key-without-paths": (2, INGRESS + "createRuleKey"),
    "no-crash-blank-destination-with-service": (2, NOTES + "destination.go Parse"),
    "no-crash-default-backend-of-canary-or-root-taken": (2, INGRESS + "ApplyDefaultBackend"),
    "cluster-tls-of-https-registry": (2, "higress@v2.1.9 registry/direct/watcher.go generateDestinationRule"),
    "cluster-tls-of-proxy-ssl-secret": (2, NOTES + "upstreamtls.go ApplyTrafficPolicy"),
    "cluster-lb-of-blank-values": (2, NOTES + "loadbalance.go Parse"),
    "control-in-sync": (2, CORE + "convertVirtualService"),
    "discovered-service-portless": (2, PILOT + "GetDestinationCluster"),
    "discovered-service-hash": (2, PILOT + "GetDestinationCluster"),
    "discovered-service-control": (1, PILOT + "GetDestinationCluster"),
}
"""Every kind: how many cases it has, and where the rule stands."""


def kind_of(name: str) -> str:
    head, _, number = name.rpartition("-")
    return head if number.isdigit() else name


def _names() -> list[str]:
    with tarfile.open(ARCHIVE) as archive:
        return sorted({m.name.partition("/")[0] for m in archive.getmembers()})


NAMES: Final = _names()


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("edges")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(place, filter="data")
    return place


NO_CLUSTER: Final = {"discovered-service-portless-2": (Verdict.NO_UPSTREAM,)}
"""Pilot has no cluster for a subset that no DestinationRule names: requests get 503, and the audit may say so."""


def wrong(name: str, result: xdsaudit.Audit) -> list[str]:
    """What an audit of a case says that is not so, or fails to say."""
    panics = [f for f in result.findings if f.slug == "controller-crash-key"]
    if name.startswith("crash-"):
        return [] if panics else ["the panic is not foretold"]
    void = {f.slug for f in result.findings} == {"certificates-invalid"}
    if name.startswith("higress-https-invalid-config"):
        return [] if void and not result.lost else ["the void ConfigMap is not told, and that alone"]
    said = [
        f"{r.rule} {r.verdict.value} {r.slug} {[f.field for f in r.fields]}"
        for r in result.rules
        if r.verdict not in (Verdict.IN_SYNC, Verdict.REFUSED, *NO_CLUSTER.get(name, ()))
    ]
    # A list of addresses that nobody can read is translated as Higress does it; that the route is open is told all the same.
    others = [f for f in result.findings if f.slug != "protection-not-applied"]
    return [*said, *map(str, result.extra), *(f"{f.slug}: {f.message}" for f in others)]


@pytest.mark.parametrize("name", NAMES)
def test_translation_agrees_with_higress(cases: Path, name: str) -> None:
    found = wrong(name, xdsaudit.audit(xdsaudit.load(cases / name)))
    assert not found, KINDS[kind_of(name)][1]


def test_every_case_has_its_kind_and_citation() -> None:
    counted = {kind: sum(kind_of(n) == kind for n in NAMES) for kind in KINDS}
    assert counted == {kind: count for kind, (count, _) in KINDS.items()}
    assert sum(counted.values()) == len(NAMES) == 116

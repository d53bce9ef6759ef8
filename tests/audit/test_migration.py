"""``check --from nginx``: what acts the same, what differs and what is lost, also where no annotation shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.audit.test_report_rows import REPORTS
from xdsaudit.audit.questions.precheck import Batch, check_batch
from xdsaudit.collect.manifests import read_manifests
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.verdict import Audit
from xdsaudit.testing import ingress, ingress_list

N = "nginx.ingress.kubernetes.io/"
PROFILE = Profile(version=(2, 1, 9), ingress_class="higress")


def moved(*items: dict[str, Any]) -> Audit:
    lists = {"ingresses": ingress_list(items), "configmaps": ingress_list([], "ConfigMap")}
    return check_batch(Batch(read_objects(lists)[0], {}, {}, "2026-11-24T00:00:00Z"), None, PROFILE, from_nginx=True)


def said(*items: dict[str, Any]) -> list[str]:
    return [f.message for f in moved(*items).findings]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (ingress("a", "a.test", "/api", annotations={N + "rewrite-target": "/new"}), "Higress sends /api/x to /new/x"),
        (ingress("a", "a.test", "/api", annotations={N + "use-regex": "true"}), "without regard to case"),
        (
            ingress("a", "a.test", "/", annotations={N + "permanent-redirect": "https://b.test/x?y=1"}),
            "leaves out the query",
        ),
        (
            ingress("a", "a.test", "/", tls="cert"),
            "redirects a.test to https by default, Higress answers on both ports",
        ),
        (ingress("a", "a.test", ("/foo", "ImplementationSpecific")), "such as /foox, Higress whole segments alone"),
        (ingress("a", "a.test", "/", annotations={N + "proxy-read-timeout": "60"}), "in Higress: higress.io/timeout"),
        (ingress("a", "a.test", "/", annotations={N + "timeout": "60"}), "as higress.io/timeout alone"),
        (
            ingress(
                "a",
                "a.test",
                "/",
                annotations={N + "canary": "true", N + "canary-by-header": "x", N + "canary-by-header-value": "v1.2"},
            ),
            "as a regular expression",
        ),
        (ingress("a", "a.test", "/", annotations={N + "proxy-buffering": "on"}), "seldom need a substitute"),
    ],
)
def test_differences(item: dict[str, Any], words: str) -> None:
    assert any(words in s for s in said(item)), said(item)


@pytest.mark.parametrize(
    "item",
    [
        ingress("a", "a.test", "/api"),
        ingress("a", "a.test", "/", tls="cert", annotations={N + "ssl-redirect": "true"}),
        ingress("a", "a.test", "/", tls="cert", annotations={N + "ssl-redirect": "false"}),
        ingress("a", "a.test", ("/", "ImplementationSpecific")),
        ingress("a", "a.test", "/api", annotations={N + "backend-protocol": "HTTPS"}),
        ingress("a", "a.test", "/", annotations={N + "permanent-redirect": "https://b.test/x"}),
    ],
)
def test_what_acts_the_same_is_not_told(item: dict[str, Any]) -> None:
    assert said(item) == []


def test_paths_are_regular_expressions_for_the_whole_host_in_nginx() -> None:
    one = ingress("re", "a.test", "/x", annotations={N + "use-regex": "true"})
    two = ingress("plain", "a.test", ("/img/(.*)", "ImplementationSpecific"))
    assert any("since default/re asks for them on a.test" in s for s in said(one, two))
    assert not any("since" in s for s in said(two))


def test_what_protects_comes_first_and_everything_is_counted() -> None:
    given = read_manifests([str(REPORTS / "11-nginx-timeouts.yaml")])
    mine, _ = read_objects(given.lists)
    result = check_batch(
        Batch(mine, given.origins, given.order, "2026-11-24T00:00:00Z"), None, PROFILE, from_nginx=True
    )
    slugs = [f.slug for f in result.findings]
    assert slugs[:3] == ["protection-not-applied"] * 3
    assert "protection-not-applied" not in slugs[3:]
    assert "annotation-without-effect" not in slugs, "said with its weight instead"
    assert any(
        n.startswith("of the annotations of ingress-nginx 1 act the same, 2 differ, 17 are lost, 4 of them")
        for n in result.notes
    )

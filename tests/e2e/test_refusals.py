"""What Envoy refuses, asked of the real one: routes made of odd annotation values, through our translation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests import worlds
from xdsaudit.audit.compare.flaws import flaw_of
from xdsaudit.envoy.plain import bootstrap, plain_route
from xdsaudit.ingress.annotation_table import TABLE
from xdsaudit.model.route import Route
from xdsaudit.model.view import View, ViewName
from xdsaudit.testing import ingress
from xdsaudit.testing.envoy import envoy_path

pytestmark = [pytest.mark.envoy, pytest.mark.slow]

PREFIXES = {
    f"{place}-match-{what}-x": ("", "a", "(", "[a-z]+", "a b", "%", "*")
    for place, what in product(("exact", "prefix", "regex"), ("header", "query"))
}
VALUES: dict[str, Sequence[str]] = {
    **PREFIXES,
    "timeout": ("0", "5", "-1", "-3", "2147483647", "1.5", "999999999"),
    "proxy-next-upstream-timeout": ("0", "5", "-1", "2147483647"),
    "proxy-next-upstream-tries": ("0", "3", "-1", "2147483647"),
    "proxy-next-upstream": ("error,timeout,http_502", "off", "non_idempotent"),
    "route-limit-rps": ("0", "1", "-1", "5"),
    "route-limit-rpm": ("0", "1", "-1"),
    "route-limit-burst-multiplier": ("0", "5"),
    "rewrite-target": ("/x", "/$1", "", "x", "/a\nb", "/%", "/x?y=1"),
    "rewrite-path": ("/x", "", "/%", "x"),
    "upstream-vhost": ("a.test", "", "a b", "a\nb", "%"),
    "app-root": ("/home", "", "home", "/a b"),
    "permanent-redirect": ("https://a.test/x", "a.test", "https://a.test/%", "/x", ""),
    "permanent-redirect-code": ("301", "308", "300", "304", "999"),
    "temporal-redirect": ("https://a.test/x", "/x"),
    "force-ssl-redirect": ("true",),
    "ssl-redirect": ("true",),
    "match-method": ("GET", "GET POST", "NOPE", ""),
    "use-regex": ("true",),
    "ignore-path-case": ("true",),
    "full-path-regex": ("true",),
    "enable-cors": ("true",),
    "cors-allow-origin": ("*", "https://a.test", "https://*.a.test", "(", "a b"),
    "cors-max-age": ("0", "-1", "5"),
    "whitelist-source-range": ("10.0.0.0/8", "1.2.3.4", "x", "::1"),
    "mirror-target-service": ("default/web", "default/web:80", "web", "x/y:z"),
    "mirror-percentage": ("0", "50", "100", "101", "-1"),
    "default-backend": ("web",),
    "custom-http-errors": ("404,503", "x"),
    **{
        f"{side}-header-control-{what}": ("x-a 1", "x-a 100%", "x-a %BAD%", "x-a %DOWNSTREAM_LOCAL_ADDRESS%", "Host a", ":path /", "x-a", "x a b", "x-a %%")
        for side, what in product(("request", "response"), ("add", "update"))
    },
    **{f"{side}-header-control-remove": ("x-a", "Host", ":path", "x-a,x-b", "a b", "") for side in ("request", "response")},
}  # fmt: skip
TOGETHER: dict[str, dict[str, str]] = {
    "rewrite-target": {"use-regex": "true"},
    "rewrite-path": {},
    "cors-allow-origin": {"enable-cors": "true"},
    "cors-max-age": {"enable-cors": "true"},
    "mirror-percentage": {"mirror-target-service": "default/web"},
    "route-limit-burst-multiplier": {"route-limit-rps": "5"},
    "permanent-redirect-code": {"permanent-redirect": "https://a.test/x"},
    "proxy-next-upstream-timeout": {"proxy-next-upstream-tries": "3"},
    "full-path-regex": {"use-regex": "true"},
}
PATHS: Sequence[Any] = (
    ("/a", "Prefix"),
    ("/b", "Exact"),
    ("/c/[a-z]+", "ImplementationSpecific"),
    ("/(", "ImplementationSpecific"),
)


def made() -> Iterator[tuple[str, Route, dict[str, Any]]]:
    """Key and value, the route that our translation makes, and the same for Envoy; each route once."""
    known = {row.key for row in TABLE}
    assert {k for k in VALUES if not k.endswith("-x")} <= known, "keys that the table knows"
    seen: set[str] = set()
    for key, values in VALUES.items():
        for value in values:
            notes = {f"higress.io/{k}": v for k, v in {**TOGETHER.get(key, {}), key: value}.items()}
            for routes in worlds.expectation([ingress("a", "a.test", *PATHS, annotations=notes)]).tables.values():
                for found in routes:
                    plain = plain_route(found)
                    text = json.dumps({**plain, "name": ""}, sort_keys=True)
                    if text not in seen:
                        seen.add(text)
                        yield f"{key}: {value!r}", Route(found.key, found.name, found.fields, found.cluster), plain


def refused(routes: Sequence[dict[str, Any]], place: Path) -> str:
    """Why the real Envoy refuses these routes, "" when it takes them."""
    place.write_text(json.dumps(bootstrap(routes)))
    command = [str(envoy_path()), "--mode", "validate", "-c", str(place), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-400:] or "refused"


def culprits(named: Sequence[tuple[str, dict[str, Any]]], place: Path) -> list[tuple[str, str]]:
    """Those of some routes that Envoy refuses, found by halves."""
    why = refused([plain for _, plain in named], place)
    if not why:
        return []
    if len(named) == 1:
        return [(named[0][0], why)]
    half = len(named) // 2
    return culprits(named[:half], place) + culprits(named[half:], place)


def test_envoy_takes_what_we_do_not_call_flawed_and_refuses_what_we_do(tmp_path: Path) -> None:
    envoy = View(ViewName.GATEWAY, None)
    judged = [(name, flaw_of(route, envoy), plain) for name, route, plain in made()]
    assert len(judged) > 150
    fine = [(name, plain) for name, flaw, plain in judged if flaw is None]
    assert culprits(fine, tmp_path / "fine.json") == []
    flawed = [(name, flaw.reason, plain) for name, flaw, plain in judged if flaw is not None and flaw.sure]
    assert len(flawed) > 15
    one_a_reason = {reason.partition("'")[0]: (name, plain) for name, reason, plain in flawed}
    taken = [name for name, plain in one_a_reason.values() if not refused([plain], tmp_path / "flawed.json")]
    assert taken == []

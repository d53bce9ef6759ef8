"""Annotations that do what they say, and what they say breaks requests: paths, hosts, headers and redirects that come out wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from xdsaudit.audit.causes import written
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.check.case import Case, Remark, whole
from xdsaudit.ingress.annotations import HIGRESS, NGINX, boolean, header_pairs, look, relevant, text
from xdsaudit.ingress.effects import Effects, rewrite_target, url_of
from xdsaudit.ingress.objects import Ingress, Path
from xdsaudit.ingress.paths import effective
from xdsaudit.model.verdict import Rule, Severity

Annotations = Mapping[str, str]
BREAKS, NOWHERE, LITERAL = written.BREAKS_REQUESTS, written.REDIRECTS_TO_NOTHING, written.PATTERN_TAKEN_LITERALLY
_GROUP: Final = re.compile(r"\$\d")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VARIABLE: Final = re.compile(r"\$[a-z_]{3,}")
_PATTERN: Final = re.compile(r"\*|\(.*\)|\[.*\]|\\|\.\+|[$|]$")


def results(case: Case) -> Iterator[Remark]:
    """What the batch's annotations make of requests, where that is certainly not meant."""
    secure = {host for port, host in case.after.tables if port == case.after.profile.https_port}
    unsure = {host for _, host in case.after.open}
    for ingress in case.ingresses:
        annotations = relevant(ingress.annotations, case.after.profile.version)
        effects = Effects(annotations)
        if annotations:
            for key, why, severity in _of_annotations(annotations):
                rule = whole(ingress)
                yield Remark(
                    BREAKS, rule, f"{rule.ref}: {_as_written(ingress, key)} {why}", severity, _as_written(ingress, key)
                )
        for host, path in _paths(ingress):
            rule = Rule(ingress.namespace, ingress.metadata.name, host, path.path or "/", path.pathType)
            for cause, why in _of_path(annotations, effects, path):
                yield Remark(cause, rule, f"{rule}: {why}")
        yield from _redirects(ingress, annotations, secure | unsure, case)


def _as_written(ingress: Ingress, key: str) -> str:
    return next((p + key for p in (NGINX, HIGRESS) if p + key in ingress.annotations), key)


def _paths(ingress: Ingress) -> Iterator[tuple[str, Path]]:
    for rule in ingress.spec.rules or ():
        for path in (rule.http.paths if rule.http else None) or ():
            yield rule.host or "*", path


def _of_annotations(notes: Annotations) -> Iterator[tuple[str, str, Severity | None]]:
    for key in ("request-header-control-add", "request-header-control-update"):
        yield from _header_names(key, look(notes, key, text))
    for key in ("response-header-control-add", "response-header-control-update"):
        yield from _header_names(key, look(notes, key, text))
    vhost = look(notes, "upstream-vhost", text)
    if vhost is not None and ("/" in vhost or " " in vhost):
        yield "upstream-vhost", f"is {vhost!r}, which is sent as the Host header as it is: write the host alone", None
    path = look(notes, "rewrite-path", text)
    if path is not None:
        if _GROUP.search(path):
            said = f"is {path!r}: it is taken literally, and the backend is asked for that very text; groups work in rewrite-target alone"
            yield "rewrite-path", said, None
        if not path.startswith("/"):
            yield "rewrite-path", f"is {path!r}, and the backend is asked for a path without a / in front", None
    target = rewrite_target(notes)
    if path is None and target is not None and not target.startswith(("/", "\\")):
        yield (
            "rewrite-target",
            f"is {look(notes, 'rewrite-target', text)!r}, and the backend is asked for a path without a / in front",
            None,
        )
    for key in ("permanent-redirect", "temporal-redirect"):
        value = look(notes, key, text)
        variable = _VARIABLE.search(value or "")
        if value is not None and variable and url_of(value) is not None:
            said = f"holds {variable[0]}, which is a variable of nginx; Higress sends clients to that very text"
            yield key, f"{said}. Without a path in it the path of the request is lost all the same", None


def _header_names(key: str, lines: str | None) -> Iterator[tuple[str, str, Severity | None]]:
    for name in header_pairs(lines):
        if name.startswith(":") or _TOKEN.fullmatch(name):
            continue
        said = f"adds a header of the name {name!r}, which no header may have"
        if key.startswith("request"):
            hint = " (a line is NAME VALUE, without a colon)" if name.endswith(":") else ""
            yield key, f"{said}{hint}: Envoy answers 503 to every request of the route", Severity.ERROR
        else:
            yield key, f"{said}: Envoy may answer 503, and clients may refuse the answer", None


def _of_path(notes: Annotations, effects: Effects, path: Path) -> Iterator[tuple[Cause, str]]:
    kind, _, pattern = effective(effects, path)
    target = rewrite_target(notes) if look(notes, "rewrite-path", text) is None else None
    if kind not in ("prefixRegex", "fullPathRegex"):
        sign = _PATTERN.search(pattern)
        if sign:
            yield (
                LITERAL,
                f"{sign[0]} in the path is no pattern here but that very text: ask for use-regex, or write the path without it",
            )
        if target is not None and kind == "prefix" and pattern != "/" and target.endswith("/"):
            stem = pattern.rstrip("/")
            yield (
                BREAKS,
                f"rewrite-target {target!r} puts itself for {stem} and leaves the rest, so that {stem}/x is asked for as "
                f"{target}/x; higress.io/rewrite-path: {target} does what is meant",
            )
        return
    groups = _groups(pattern)
    asked = max((int(n) for n in re.findall(r"\\(\d)", target or "")), default=0)
    if target is not None and groups is not None and asked > groups:
        has = f"has only {groups} group{'s' * (groups != 1)}" if groups else "has no group"
        yield (
            BREAKS,
            f"rewrite-target asks for ${asked}, and the path {has}: Envoy then rewrites nothing, and the path is sent as it came",
        )


def _groups(regex: str) -> int | None:
    """How many groups a path has; None where Python's own reading of it fails, which knows a little less than RE2."""
    try:
        return re.compile(regex).groups
    except (re.error, OverflowError, RecursionError):
        return None


def _redirects(ingress: Ingress, notes: Annotations, secure: set[str], case: Case) -> Iterator[Remark]:
    """Redirects to https of hosts that have none (redirect.go: 308 whatever TLS there is)."""
    switch: Callable[[str], bool | None] = boolean
    key = next((k for k in ("ssl-redirect", "force-ssl-redirect") if look(notes, k, switch)), None)
    if key is None:
        return
    written = next((p + key for p in (NGINX, HIGRESS) if boolean(ingress.annotations.get(p + key, ""))), key)
    others = (url_of(v) for k in ("temporal-redirect", "permanent-redirect") if (v := look(notes, k, text)))
    if any(url is not None for url in others):
        return
    for host in dict.fromkeys(rule.host or "*" for rule in ingress.spec.rules or () if rule.http):
        covering = {place[1] for place in case.after.covering((case.after.profile.https_port, host))}
        if host in secure or covering & secure:
            continue
        rule = Rule(ingress.namespace, ingress.metadata.name, host, "", None)
        why = f"sends every client to https, and {host} has no TLS: unlike ingress-nginx, Higress redirects without a certificate too"
        yield Remark(NOWHERE, rule, f"{rule.ref}: {written} {why}", resource=written)

"""From ingress-nginx to Higress: what acts the same, what differs, and what is lost, by annotation and where no annotation shows it.

Sources: ingress-nginx controller-v1.12 internal/ingress/annotations, rootfs/etc/nginx/template and docs/user-guide;
higress@v2.2.1 pkg/ingress/kube/annotations. What is told for other reasons (values, protection, redirects to nothing) is not repeated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from xdsaudit.audit.causes import written
from xdsaudit.audit.check.case import Case, Remark, whole
from xdsaudit.ingress.annotation_table import BY_KEY
from xdsaudit.ingress.annotations import HIGRESS, NGINX, boolean, look, protects, text
from xdsaudit.ingress.canary import is_canary
from xdsaudit.ingress.foreign_keys import BY_NGINX_KEY, DETAIL
from xdsaudit.ingress.objects import Ingress
from xdsaudit.ingress.values import void
from xdsaudit.model.verdict import Rule, Severity

LOST, DIFFERS = written.NGINX_ANNOTATION_LOST, written.NGINX_DIFFERS
_REGEX: Final = re.compile(r"[\\^$*+?()|\[\]{}]")


class Tally(NamedTuple):
    """How many annotations of ingress-nginx act the same, differ or are lost, and how many of the lost ones protect a route."""

    same: int
    differ: int
    lost: int
    protecting: int


def migration(case: Case) -> Iterator[Remark]:
    """Differences of each Ingress of the batch, protection left to ``security``."""
    regex_hosts = _regex_hosts(case)
    for ingress in case.ingresses:
        yield from _lost(ingress)
        yield from _differing(ingress)
        yield from _unwritten(ingress, case, regex_hosts)


def tally(case: Case) -> Tally:
    """A count of all annotations under ingress-nginx's prefix."""
    counted: Counter[str] = Counter()
    for ingress in case.ingresses:
        odd = {k for v in void(ingress.annotations, case.after.profile) for k in v.key.split(", ")}
        odd |= {r.resource for r in _differing(ingress) if r.resource}
        open_ = {
            k
            for u in case.after.unprotected
            if (u.namespace, u.ingress) == (ingress.namespace, ingress.metadata.name)
            for k in u.keys
        }
        for key in ingress.annotations:
            if not key.startswith(NGINX):
                continue
            name = key.removeprefix(NGINX)
            row = BY_KEY.get(name)
            if key in open_ or row is None or not row.nginx or not row.read_by(case.after.profile.version):
                counted["lost"] += 1
                counted["protecting"] += key in open_ or protects(name)
            else:
                counted["differ" if key in odd else "same"] += 1
    return Tally(counted["same"], counted["differ"], counted["lost"], counted["protecting"])


def _lost(ingress: Ingress) -> Iterator[Remark]:
    rule = whole(ingress)
    details = []
    for key in ingress.annotations:
        name = key.removeprefix(NGINX)
        own = BY_KEY.get(name)
        if not key.startswith(NGINX) or protects(name) or (own is not None and own.nginx):
            continue
        row = BY_NGINX_KEY.get(name)
        if own is not None:
            yield Remark(
                LOST, rule, f"{rule.ref}: {key} is lost: Higress reads it as {HIGRESS}{name} alone", resource=key
            )
        elif row is None or row.weight == DETAIL:
            details.append(key)
        else:
            instead = f"in Higress: {row.instead}" if row.instead else "Higress has nothing of the kind"
            yield Remark(LOST, rule, f"{rule.ref}: {key} is lost; {instead}", resource=key)
    if details:
        are, they = ("are", "they tune") if len(details) > 1 else ("is", "it tunes")
        said = f"{', '.join(details)} {are} lost; {they} nginx and seldom need a substitute"
        yield Remark(LOST, rule, f"{rule.ref}: {said}", Severity.INFO, details[0])


def _differing(ingress: Ingress) -> Iterator[Remark]:
    """Annotations that both read, with another effect."""
    rule, notes = whole(ingress), ingress.annotations
    target = look(notes, "rewrite-target", text)
    paths = [p for r in ingress.spec.rules or () if r.http for p in r.http.paths or ()]
    regex = bool(look(notes, "use-regex", boolean))
    if target is not None and not regex and "$" not in target and not target.endswith("/"):
        stem = next(
            (p.path for p in paths if p.path and p.path != "/" and p.pathType != "Exact" and not _REGEX.search(p.path)),
            None,
        )
        if stem is not None:
            tail = stem.rstrip("/")
            said = f"ingress-nginx sends every request below {tail} to {target}, Higress sends {tail}/x to {target}/x"
            yield Remark(DIFFERS, rule, f"{rule.ref}: rewrite-target: {said}", resource=f"{NGINX}rewrite-target")
    if regex:
        said = "ingress-nginx matches regular expressions without regard to case, Higress with it: begin the path with (?i) where that counts"
        yield Remark(DIFFERS, rule, f"{rule.ref}: use-regex: {said}", Severity.INFO, f"{NGINX}use-regex")
    for key in ("permanent-redirect", "temporal-redirect"):
        value = look(notes, key, text)
        if value is not None and "?" in value:
            yield Remark(
                DIFFERS, rule, f"{rule.ref}: {key}: Higress leaves out the query of {value!r}", resource=f"{NGINX}{key}"
            )
    header = look(notes, "canary-by-header", text)
    if header is not None and is_canary(notes) and look(notes, "canary-weight", text) is not None:
        said = f"where {header} is neither always nor never, ingress-nginx goes on to canary-weight, and Higress to the base"
        yield Remark(DIFFERS, rule, f"{rule.ref}: canary-by-header: {said}", resource=f"{NGINX}canary-by-header")
    value = look(notes, "canary-by-header-value", text)
    if value is not None and is_canary(notes) and _REGEX.search(value.replace(".", "*")):
        said = f"ingress-nginx compares {value!r} as text, Higress as a regular expression, and takes always for it too"
        yield Remark(
            DIFFERS, rule, f"{rule.ref}: canary-by-header-value: {said}", resource=f"{NGINX}canary-by-header-value"
        )
    if look(notes, "whitelist-source-range", text) is not None:
        said = "ingress-nginx looks at the address its real-ip settings find, Higress at the peer or what it trusts of x-forwarded-for"
        yield Remark(
            DIFFERS,
            rule,
            f"{rule.ref}: whitelist-source-range: {said}",
            Severity.INFO,
            f"{NGINX}whitelist-source-range",
        )


def _unwritten(ingress: Ingress, case: Case, regex_hosts: dict[str, str]) -> Iterator[Remark]:
    """Differences that no annotation shows: default redirects, paths that are regular expressions by a neighbour, text prefixes."""
    rule, notes = whole(ingress), ingress.annotations
    switched = any(look(notes, k, boolean) is not None for k in ("ssl-redirect", "force-ssl-redirect"))
    secure = sorted({r.host for r in ingress.spec.rules or () if r.host and r.host in case.after.secrets})
    if secure and not switched and not is_canary(notes):
        said = f"ingress-nginx redirects {', '.join(secure[:3])} to https by default, Higress answers on both ports"
        yield Remark(DIFFERS, rule, f'{rule.ref}: {said}: set {HIGRESS}ssl-redirect: "true"')
    for each in ingress.spec.rules or ():
        host = each.host or "*"
        for path in (each.http.paths if each.http else None) or ():
            at = Rule(ingress.namespace, ingress.metadata.name, host, path.path or "/", path.pathType)
            other = regex_hosts.get(host)
            plain = not (look(notes, "use-regex", boolean) or look(notes, "rewrite-target", text))
            if other is not None and plain and _REGEX.search(path.path or ""):
                said = f"ingress-nginx reads the path as a regular expression, since {other} asks for them on {host}; Higress reads it as text"
                yield Remark(DIFFERS, at, f"{at}: {said}: set {HIGRESS}use-regex here too")
            elif (
                path.pathType == "ImplementationSpecific" and plain and other is None and (path.path or "/").rstrip("/")
            ):
                stem = (path.path or "").rstrip("/")
                said = f"ingress-nginx takes every path that begins with {stem}, such as {stem}x, Higress whole segments alone"
                yield Remark(DIFFERS, at, f"{at}: {said}", Severity.INFO)


def _regex_hosts(case: Case) -> dict[str, str]:
    """Hosts on which ingress-nginx reads all paths as regular expressions, and the Ingress that makes it."""
    hosts: dict[str, str] = {}
    for ingress in case.ingresses:
        if look(ingress.annotations, "use-regex", boolean) or look(ingress.annotations, "rewrite-target", text):
            for rule in ingress.spec.rules or ():
                hosts.setdefault(rule.host or "*", ingress.ref)
    return hosts


def notes(case: Case) -> Iterator[str]:
    """What holds for the whole move."""
    same, differ, lost, protecting = tally(case)
    of_them = f", {protecting} of them meant to protect a route" if protecting else ""
    yield f"of the annotations of ingress-nginx {same} act the same, {differ} differ, {lost} are lost{of_them}"
    yield "ingress-nginx ends a request after 60 s without an answer and refuses bodies above 1m by default; Higress does neither"
    yield "the ConfigMap of ingress-nginx was not read: what it sets for all Ingresses is to be set in higress-config or by plugins"

"""``xdsaudit explain``: which route answers a request, whose it is, and why no other does; or what a code means."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

import click

from xdsaudit.cli import offers
from xdsaudit.cli.alone import alone, snapshot_of_manifests
from xdsaudit.cli.options import GroupedCommand, profile_options, source_options, sources_of, xds_options
from xdsaudit.cli.output import clear_progress, emit, gaps, progress, say
from xdsaudit.cli.parameters import Options
from xdsaudit.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.causes.cause import Cause
    from xdsaudit.audit.questions.explain import Explanation
    from xdsaudit.model.plugin_verdict import PluginVerdict
    from xdsaudit.model.snapshot import Snapshot
    from xdsaudit.model.verdict import Audit

_REF = re.compile(r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*$")
_CODE = re.compile(r"^(XA\w+|[a-z]+(-[a-z0-9]+)*)$", re.IGNORECASE)


@click.command(cls=GroupedCommand, short_help="Which route answers a request, whose it is, and why no other does.")
@click.argument(
    "subject",
    required=False,
    shell_complete=offers.code_or_file,
    metavar="[URL | NS/INGRESS | NS/PLUGIN | LOG | CODE]",
)
@click.option("-X", "--method", default="GET", show_default=True, metavar="METHOD", help="Method of the request.")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header of the request (repeatable)."
)
@click.option(
    "--groups",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="For an access log: explain at most N groups of requests.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Format of the result.")
@source_options
@xds_options
@profile_options
def explain(
    subject: str | None, method: str, headers: tuple[str, ...], groups: int, output: str, **options: Unpack[Options]
) -> int:
    """Explain a request, an Ingress, an access log or a code.

    \b
    xdsaudit explain https://shop.test/cart --snapshot incident.tar.gz
    xdsaudit explain shop/cart --snapshot incident.tar.gz
    kubectl logs deploy/higress-gateway | xdsaudit explain - --snapshot incident.tar.gz
    xdsaudit explain XA401

    URL: the route that answers it in each replica, whose Ingress that is, every other rule it might have been meant for, with
    where that was lost or which condition fails, and the plugins it passes; with -f alone, what the manifests would do with
    it. NAMESPACE/INGRESS: its rules followed through all views; NAMESPACE/PLUGIN: the same for a WasmPlugin and its match
    rules. LOG: a gateway's access log as a file, - for standard input, or a single line: its lines are counted, and requests
    that no route answered are explained. CODE, such as XA401 or stale-route-cache: what it means. Without an argument, all
    codes are listed. Exits with 1 when no route answers.
    """  # noqa: D301 - click reads \b as "do not wrap"
    if subject is None or (_CODE.match(subject) and not Path(subject).exists()):
        return _code(subject, output)
    from xdsaudit.audit.requests.access_log import is_log_line

    if subject == "-" or is_log_line(subject) or ("://" not in subject and Path(subject).is_file()):
        return _log(subject, groups, output, options)
    if _REF.match(subject) and not headers:
        return _ingress(subject, output, options)
    return _url(subject, method, headers, output, options)


def _code(word: str | None, output: str) -> int:
    from xdsaudit.audit.causes.catalogue import CATALOGUE, find

    code = find(word) if word is not None else None
    if word is not None and code is None:
        names = [name for row in CATALOGUE for name in (row.code, row.slug)]
        hint = did_you_mean(str(word), names)
        raise InputError(
            f"{word}: is not a code, URL, NAMESPACE/INGRESS or file; xdsaudit explain lists the codes{hint}"
        )
    if output == "json":
        from xdsaudit.report.json import as_json

        emit(as_json(code.plain() if code is not None else [r.plain() for r in CATALOGUE]))
    elif code is None:
        emit(_listed(CATALOGUE))
    else:
        from xdsaudit.report.code import code_text

        emit(code_text(code))
    return 0


def _listed(rows: Iterable[Cause]) -> str:
    return "".join(f"{row.code}  {row.slug:<27}  {row.title}\n" for row in rows)


def _judged(
    options: Options,
    concerned: Callable[[World, Audit], Audit] | None = None,
    part: Callable[[Snapshot], tuple[World, Audit] | None] | None = None,
) -> tuple[World, Audit]:
    """What was read and its audit; read again through pilot's private cache line if that would narrow down a stage.

    Args:
        options: of the command.
        concerned: the part of the audit in question; without it nothing is read again.
        part: judges only what is asked about, if that is enough.
    """
    from xdsaudit.audit.questions.coarse import cache_would_tell
    from xdsaudit.audit.verdicts import judged
    from xdsaudit.collect.connect import looked_again, snapshot_of

    sources = sources_of(options)
    snapshot, _ = snapshot_of(sources, progress())
    enough = part(snapshot) if part is not None else None
    if enough is not None:
        clear_progress()
        return enough
    world, audit = judged(snapshot)
    if concerned is not None and options["probe_cache"] is None and cache_would_tell(concerned(world, audit)):
        again = looked_again(sources, probe=True, progress=progress())
        if again is not None:
            world, audit = judged(again)
    clear_progress()
    return world, audit


def _ports(world: World) -> dict[str, int]:
    profile = world.expectation.profile
    return {"http_port": profile.http_port, "https_port": profile.https_port}


def _url(url: str, method: str, headers: tuple[str, ...], output: str, options: Options) -> int:
    from xdsaudit.audit.questions.explain import explain_request
    from xdsaudit.audit.questions.of_hosts import judged_for
    from xdsaudit.audit.requests.request import parse_request
    from xdsaudit.audit.verdicts import judged
    from xdsaudit.report.explanation import explanation_object, explanation_text
    from xdsaudit.report.json import as_json

    asked_for = parse_request(url, method=method, headers=headers)  # a bad URL is reported before anything is read
    by_itself = alone(options)

    def asked_about(world: World, audit: Audit) -> Explanation:
        return explain_request(world, audit, parse_request(url, method=method, headers=headers, **_ports(world)))

    def concerned(world: World, audit: Audit) -> Audit:
        return replace(audit, rules=tuple(c.verdict for c in asked_about(world, audit).candidates))

    def part(snapshot: Snapshot) -> tuple[World, Audit] | None:
        return judged_for(snapshot, asked_for, asked_about)

    world, audit = judged(snapshot_of_manifests(options)) if by_itself else _judged(options, concerned, part)
    view = asked_about(world, audit)
    emit(
        lambda width, color: explanation_text(view, width=width, color=color),
        as_json(explanation_object(view)) if output == "json" else None,
    )
    asked = urlsplit(url if "://" in url else f"//{url}").port
    if asked is not None and asked != view.request.port:
        flag = "https" if view.request.secure else "http"
        say(
            f"xdsaudit: port {asked} of the URL is taken to be the gateway's port {view.request.port} (--{flag}-port changes that)"
        )
    if by_itself:
        return 0 if view.expected is not None else 1
    gaps(audit)
    return view.exit_code() or (3 if audit.gaps else 0)


def _ingress(ref: str, output: str, options: Options) -> int:
    from xdsaudit.audit.questions.explain import journeys
    from xdsaudit.audit.questions.narrow import Scope, narrow
    from xdsaudit.report.explanation import journeys_object, journeys_text
    from xdsaudit.report.json import as_json

    scope = Scope(ingresses=frozenset({ref}))

    def concerned(_: World, audit: Audit) -> Audit:
        return replace(audit, rules=tuple(r for r in audit.rules if r.rule.ref == ref))

    world, audit = _judged(options, concerned)
    plugin = next((p for p in audit.plugins if p.ref == ref), None)
    if plugin is not None and all(plan.rule.ref != ref for plan in world.expectation.plans):
        return _plugin(plugin, audit, output)
    narrowed = narrow(audit, world.snapshot, scope)
    ways = journeys(world, audit, ref)
    emit(
        lambda width, color: journeys_text(ref, ways, width=width, color=color),
        as_json(journeys_object(ways)) if output == "json" else None,
    )
    gaps(audit)
    return narrowed.exit_code()


def _plugin(plugin: PluginVerdict, audit: Audit, output: str) -> int:
    from xdsaudit.report.json import as_json
    from xdsaudit.report.plugins import plugin_object, plugin_text

    emit(
        lambda width, color: plugin_text(plugin, width=width, color=color),
        as_json({"plugin": plugin_object(plugin)}) if output == "json" else None,
    )
    gaps(audit)
    return replace(audit, rules=(), extra=(), findings=(), plugins=(plugin,)).exit_code()


def _log(subject: str, groups: int, output: str, options: Options) -> int:
    from xdsaudit.audit.questions.explain import explain_request
    from xdsaudit.audit.requests.access_log import is_log_line, read_log
    from xdsaudit.report.explanation import CONTRADICTION, explanation_object, log_text
    from xdsaudit.report.json import as_json

    if subject == "-":
        if "-" in options["manifests"]:
            raise InputError("standard input can be the log or the manifests, not both; save one of them to a file")
        lines = sys.stdin.buffer.read().decode("utf-8", "replace").splitlines()
    elif is_log_line(subject):
        lines = [subject]
    else:
        try:
            lines = Path(subject).read_bytes().decode("utf-8", "replace").splitlines()
        except OSError as error:
            raise InputError(f"log {subject}: {error.strerror or error}; check the path") from error
    world, audit = _judged(options)
    summary = read_log(lines, **_ports(world))
    if summary.lines and summary.skipped == summary.lines:
        raise InputError(
            f"none of the {summary.lines} lines is from an access log; Higress's format and Istio's text format can be read (kubectl logs of a "
            "gateway pod)"
        )
    explanations = [explain_request(world, audit, m.request) for m in summary.misses[:groups]]
    emit(
        lambda width, color: log_text(summary, explanations, width=width, color=color),
        as_json(
            {
                "lines": summary.lines,
                "skipped": summary.skipped,
                "endings": [e._asdict() for e in summary.endings],
                "groups": [
                    {
                        "count": m.count,
                        "first": m.first,
                        "last": m.last,
                        "contradiction": CONTRADICTION if e.serving and e.exit_code() == 0 else None,
                        **explanation_object(e),
                    }
                    for m, e in zip(summary.misses, explanations, strict=False)
                ],
            }
        )
        if output == "json"
        else None,
    )
    gaps(audit)
    return max((e.exit_code() for e in explanations if e.exit_code() == 1), default=3 if audit.gaps else 0)

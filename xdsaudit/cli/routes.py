"""``xdsaudit routes``: the routes of a host or Ingress in one view, two views side by side, or what a manifest will become."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

import click

from xdsaudit.cli.alone import alone, snapshot_of_manifests
from xdsaudit.cli.options import GroupedCommand, profile_options, source_options, sources_of, xds_options
from xdsaudit.cli.output import clear_progress, emit, gaps, progress
from xdsaudit.cli.parameters import Options
from xdsaudit.errors import InputError, did_you_mean
from xdsaudit.model.plain import Plain

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.questions.routes import RouteQuery
    from xdsaudit.model.snapshot import Snapshot

_REF = re.compile(r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*$")
_VIEWS = ("expected", "core", "fresh", "pilot", "gateway")


@click.command(cls=GroupedCommand, short_help="The routes of a host or Ingress in one view, or two views side by side.")
@click.argument("subject", required=False, metavar="[HOST | NS/INGRESS]")
@click.option(
    "--view",
    type=click.Choice(_VIEWS),
    help="The view to show: what the Ingresses ask for, core, pilot through a private cache line, pilot as gateways see it, "
    "or the gateways (default: gateway; with -f alone: expected).",
)
@click.option(
    "--compare", metavar="VIEW,VIEW", help="Show two views side by side, with differences marked: pilot,gateway."
)
@click.option(
    "-o", "--output", type=click.Choice(["table", "yaml", "json"]), default="table", help="Format of the result."
)
@source_options
@xds_options
@profile_options
def routes(subject: str | None, view: str | None, compare: str | None, output: str, **options: Unpack[Options]) -> int:
    """Show the routes of a host in the order they are tried: what each matches, where it goes, whose it is.

    \b
    xdsaudit routes shop.test
    xdsaudit routes shop/cart --compare pilot,gateway
    xdsaudit routes -f cart.yaml
    xdsaudit routes shop.test --view pilot -o yaml --snapshot incident.tar.gz

    With -f and no other source, show what the manifests will become, without a cluster. Exits with 1 when there is no route to
    show, or when two views differ.
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit.questions.routes import compared, listings
    from xdsaudit.audit.verdicts import judged
    from xdsaudit.report.routes import listing_objects, routes_text, view_pair_objects, view_pairs_text

    pair = _pair(compare)
    by_itself = alone(options) and pair is None and view in (None, "expected")
    chosen = view or ("expected" if by_itself else "gateway")
    wanted = _wanted(subject)
    options["probe_cache"] = bool(options["probe_cache"]) or "fresh" in (pair or (chosen,))
    snapshot = snapshot_of_manifests(options) if by_itself else _snapshot(options)
    world, audit = judged(snapshot)
    if subject is None and not by_itself and len(world.expectation.plans) > _MANY:
        raise InputError(f"{len(world.expectation.plans):,} rules were read: name a HOST or NS/INGRESS to show")
    _known(world, wanted)
    if pair is not None:
        first, second = pair
        sides = compared(world, wanted, first, second)
        data: list[dict[str, Plain]] = view_pair_objects(sides)
        _show(lambda width, color: view_pairs_text(sides, width=width, color=color), data, output)
        any_route, same = bool(sides), all(s.equal for s in sides)
    else:
        shown = listings(world, wanted, chosen)
        data = listing_objects(shown)
        _show(lambda width, color: routes_text(shown, host=wanted.host, width=width, color=color), data, output)
        any_route, same = bool(shown), True
    if not by_itself:
        gaps(audit)
    unread = [v for v in (pair or (chosen,)) if not _was_read(world, v)]
    hosts = {host for _, host in world.expectation.tables}
    _say_nothing(
        subject,
        pair or (chosen,),
        unread,
        any_route=any_route,
        hint=did_you_mean(subject or "", hosts) if wanted.host else "",
    )
    if unread and not any_route:
        return 3
    return 0 if any_route and same else 1


_MANY = 200
"""The most rules to show when no host is named; nobody reads more on a screen."""


def _pair(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    parts = tuple(p.strip() for p in text.split(","))
    if len(parts) != 2 or any(p not in _VIEWS for p in parts) or parts[0] == parts[1]:
        raise InputError(
            f"--compare {text}: write two of {', '.join(_VIEWS)} separated by a comma, such as pilot,gateway"
        )
    return parts[0], parts[1]


def _wanted(subject: str | None) -> RouteQuery:
    from xdsaudit.audit.questions.routes import RouteQuery

    if subject is None:
        return RouteQuery()
    if "://" in subject:
        raise InputError(
            f"{subject}: routes takes a HOST or NS/INGRESS; xdsaudit explain {subject} says what answers a URL"
        )
    return RouteQuery(ref=subject) if _REF.match(subject) else RouteQuery(host=subject.partition(":")[0])


def _known(world: World, wanted: RouteQuery) -> None:
    """Raise InputError for an Ingress that does not exist, suggesting the closest that does."""
    refs = {plan.rule.ref for plan in world.expectation.plans}
    if wanted.ref is not None and wanted.ref not in refs:
        raise InputError(
            f"Ingress {wanted.ref}: not among the {len(refs)} Ingresses that were read{did_you_mean(wanted.ref, refs)}"
        )


def _snapshot(options: Options) -> Snapshot:
    from xdsaudit.collect.connect import snapshot_of

    snapshot, _ = snapshot_of(sources_of(options), progress())
    clear_progress()
    return snapshot


def _show(text: Callable[[int, bool], str], data: list[dict[str, Plain]], output: str) -> None:
    if data or output != "table":
        emit(text, _data(data, output))


def _data(data: list[dict[str, Plain]], output: str) -> str | None:
    if output == "table":
        return None
    if output == "json":
        from xdsaudit.report.json import as_json

        return as_json(data)
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    return text


def _was_read(world: World, view: str) -> bool:
    from xdsaudit.audit.questions.routes import VIEWS

    name = VIEWS[view]
    return name is None or bool(world.read(name))


def _say_nothing(subject: str | None, views: tuple[str, ...], unread: list[str], *, any_route: bool, hint: str) -> None:
    from xdsaudit.cli.output import say

    for view in unread:
        say(f"xdsaudit: the view {view} was not read: name its source, or another --view")
    if not any_route and len(unread) < len(views):
        say(
            f"xdsaudit: no route of {subject or 'anything'} in {' or '.join(v for v in views if v not in unread)}{hint}"
        )

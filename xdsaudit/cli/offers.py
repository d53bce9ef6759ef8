"""What a shell may offer for an option's value. Nothing here reads a cluster, and failures are silent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from xdsaudit.model.plain import as_mappings, as_text, part

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def offered(names: Callable[[click.Context], Iterable[tuple[str, str]]], *, comma_list: bool = False) -> Offer:
    """Offer names, each with a short description.

    Args:
        names: the names.
        comma_list: whether the value is a comma-separated list, whose last item is being typed.
    """

    def offer(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",") if comma_list else ("", "", incomplete)
        offers = ((name, word) for name, word in names(context) if name.lower().startswith(last.lower()))
        return [CompletionItem(f"{before}{comma}{name}", help=word) for name, word in offers]

    return offer


def _codes(_: click.Context) -> Iterator[tuple[str, str]]:
    from xdsaudit.audit.causes.catalogue import CATALOGUE

    yield from ((row.code, row.title) for row in CATALOGUE)
    yield from ((row.slug, row.title) for row in CATALOGUE)


def _words(_: click.Context) -> Iterator[tuple[str, str]]:
    from xdsaudit.model.verdict import Severity, Verdict

    yield from ((str(v), "verdict") for v in Verdict)
    yield from ((str(s), "severity of a finding") for s in Severity)
    yield "extra", "a route that no Ingress explains"


def _reports(_: click.Context) -> Iterator[tuple[str, str]]:
    from xdsaudit.report import FORMATS

    yield from ((f"{name}=", "FORMAT=FILE") for name in FORMATS)


def _contexts(context: click.Context) -> Iterator[tuple[str, str]]:
    """Contexts of the kubeconfig that would be read; none if it cannot be."""
    import yaml

    place = context.params.get("kubeconfig") or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    try:
        kubeconfig = yaml.safe_load(Path(place or "~/.kube/config").expanduser().read_bytes())
        for entry in as_mappings(part(kubeconfig, "contexts")):
            yield as_text(entry["name"]), as_text(part(entry, "context", "cluster"))
    except (OSError, yaml.YAMLError, KeyError, ValueError):
        return


codes: Offer = offered(_codes, comma_list=True)
words: Offer = offered(_words, comma_list=True)
reports: Offer = offered(_reports)
contexts: Offer = offered(_contexts)


def code_or_file(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes and slugs; file names if none matches."""
    return offered(_codes)(context, parameter, incomplete) or [CompletionItem(incomplete, type="file")]

"""The page of each code: what it is, the Ingress that makes it, the verdict as printed, and how far it is proven.

Nothing here is written by hand twice. The words are the catalogue's; Ingress and verdict come from the world in ``tests/audit/test_codes.py`` that
must get the code, audited while the page is made; what a code is proven by is looked up in the recordings and in the tests with a real Envoy.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from xdsaudit import Audit, Snapshot, audit, load, render  # noqa: E402
from xdsaudit.audit.causes.catalogue import CATALOGUE  # noqa: E402
from xdsaudit.audit.causes.cause import Cause  # noqa: E402
from xdsaudit.audit.causes.fix import examples  # noqa: E402
from xdsaudit.model.plugin_verdict import PluginVerdict  # noqa: E402
from xdsaudit.model.verdict import Finding, Rule, RuleVerdict  # noqa: E402

Json = dict[str, Any]
WIDTH: Final = 100
_TRACKERS: Final = {
    "higress": "https://github.com/alibaba/higress/issues",
    "istio": "https://github.com/istio/istio/issues",
    "envoy": "https://github.com/envoyproxy/envoy/issues",
    "contour": "https://github.com/projectcontour/contour/issues",
    "ingress-nginx": "https://github.com/kubernetes/ingress-nginx/issues",
}
_REAL_ENVOY: Final = ("XA401", "XA410", "XA501", "XA604", "XA802")
"""Codes that a test of ``tests/e2e`` provokes in a real Envoy; a test checks that they are named there."""
_API: Final = {"Ingress": "networking.k8s.io/v1", "WasmPlugin": "extensions.higress.io/v1alpha1"}
_SPEC: Final = ("ingressClassName", "tls", "rules", "host", "http", "path", "pathType", "backend", "service")
_ORDER: Final = {key: n for n, key in enumerate(_SPEC)}
_BEGINS: Final = re.compile(r"[A-Z][A-Z ]+: |not selected$")
_PLACES: Final = {
    "1": "intake, before translation",
    "2": "translation, from Ingress to higress-core",
    "4": "the control plane, pilot",
    "5": "delivery, pilot to Envoy",
    "6": "delivery, inside Envoy",
    "7": "upstream, and which route answers",
    "8": "replicas that disagree",
    "9": "the auditor itself",
}


@dataclass
class World:
    """What a world of the tests made: its objects, or a manifest as it was typed, and the audits of it."""

    items: list[Json] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    text: str = ""


@contextmanager
def _listening(found: World) -> Iterator[None]:
    """Note what the tests' helpers are given and what they make."""
    from tests import worlds
    from tests.audit import test_codes

    kube, codes, judged, loads = worlds.kube, test_codes.codes, test_codes.judged, test_codes.load

    def noted_kube(items: Any) -> Any:
        listed = list(items)
        found.items = [i for i in listed if i.get("kind", "Ingress") == "Ingress"]
        return kube(listed)

    def noted_codes(result: Audit) -> Any:
        found.audits.append(result)
        return codes(result)

    def noted_judged(*given: Any, **named: Any) -> Any:
        world, result = judged(*given, **named)
        found.audits.append(result)
        return world, result

    def noted_load(*given: Any, **named: Any) -> Snapshot:
        snapshot = loads(*given, **named)
        found.snapshots.append(snapshot)
        return snapshot

    with (
        patch.object(worlds, "kube", noted_kube),
        patch.object(test_codes, "codes", noted_codes),
        patch.object(test_codes, "judged", noted_judged),
        patch.object(test_codes, "load", noted_load),
    ):
        yield


def _made(world: Callable[[], Any]) -> World:
    found = World()
    with _listening(found):
        world()
    if not found.items and found.snapshots:
        found.items = json.loads(found.snapshots[-1].kube.get("ingresses", b'{"items": []}'))["items"]
    for value in _closed_over(world):
        if isinstance(value, str) and "kind: Ingress" in value:
            found.text = value.strip()
        elif isinstance(value, list | tuple) and all(isinstance(v, dict) and "metadata" in v for v in value):
            known = [item for item in found.items if item not in value]
            found.items = [*value, *known]
        elif hasattr(value, "ingresses"):
            found.items = [_plain(msgspec.to_builtins(each)) for each in value.ingresses]
    return found


def _closed_over(world: Callable[[], Any]) -> list[Any]:
    """What a world was made of, where its function keeps it."""
    return [cell.cell_contents for cell in getattr(world, "__closure__", None) or ()]


def _plain(value: Any) -> Any:
    """An object without what nobody wrote."""
    if isinstance(value, dict):
        kept = {key: _plain(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, "", {}, [], 0)}
    return [_plain(each) for each in value] if isinstance(value, list) else value


Own = RuleVerdict | Finding | PluginVerdict


def _own(result: Audit, row: Cause) -> Own | None:
    """The rule, finding or plugin that carries the code, whichever there is."""
    carriers: tuple[Own, ...] = (*result.rules, *result.not_selected, *result.findings)
    found = next((each for each in carriers if each.slug == row.slug), None)
    plugins = (p for p in result.plugins if row.slug in {p.slug, *(rule.slug for rule in p.rules)})
    return found or next(plugins, None)


def printed(result: Audit, row: Cause) -> str:
    """The audit as the terminal shows it, with nothing but what carries the code."""
    own = _own(result, row)

    def alone(listed: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(each for each in listed if each is own)

    kept = {name: alone(getattr(result, name)) for name in ("rules", "not_selected", "findings", "plugins")}
    text = render(replace(result, **kept, extra=(), notes=()), "wide", width=WIDTH)
    # The head says what was read and the last paragraph counts: both are of a world that is made up.
    lines = text.strip().splitlines()
    first = next(n for n, line in enumerate(lines) if _BEGINS.match(line))
    last = max(n for n, line in enumerate(lines) if not line)
    shown = "\n".join(lines[first : last if last > first else None]).rstrip()
    return re.sub(r"\S*/tmp\w+\.yaml", "k8s/shop.yaml", shown)


def _names(own: Own) -> set[str]:
    """The Ingresses that are concerned."""
    refs = {by.ref for by in (getattr(own, "by", None),) if isinstance(by, Rule)}
    if isinstance(own, RuleVerdict):
        refs.add(own.rule.ref)
    if isinstance(own, PluginVerdict):
        refs.add(own.ref)
    if isinstance(own, Finding):
        refs |= {f"{c.namespace}/{c.ingress}" for c in own.concerns if c.ingress}
    return refs


def _in_order(value: Any) -> Any:
    """Keys in the order in which people write them."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value, key=lambda k: (_ORDER.get(k, 50), k))}
    return [_in_order(each) for each in value] if isinstance(value, list) else value


def manifest(item: Json) -> str:
    """An Ingress or a WasmPlugin as somebody would write it."""
    kind = item.get("kind") or "Ingress"
    meta = item.get("metadata", {})
    kept = {key: meta[key] for key in ("name", "namespace", "annotations") if meta.get(key)}
    whole = {
        "apiVersion": _API[kind],
        "kind": kind,
        "metadata": kept,
        "spec": _in_order(item.get("spec", {})),
    }
    return yaml.safe_dump(whole, sort_keys=False, width=120).rstrip()


def _chosen(items: list[Json], refs: set[str]) -> list[Json]:
    found = [
        i
        for i in items
        if i.get("kind", "Ingress") in _API
        and f"{i['metadata'].get('namespace', 'default')}/{i['metadata']['name']}" in refs
    ]
    return found[:2]


@cache
def proven() -> dict[str, list[str]]:
    """By slug: the recordings of a real Higress whose audit says it, with the version of each."""
    found: dict[str, list[str]] = {}
    folder = ROOT / "tests" / "recordings"
    for place in sorted(p for p in folder.iterdir() if (p / "snapshot.json").exists()):
        result = audit(load(place))
        slugs = {r.slug for r in (*result.rules, *result.not_selected)} | {f.slug for f in result.findings}
        for slug in slugs - {None}:
            found.setdefault(str(slug), []).append(f"{place.name} ({result.controller.get('version') or 'no version'})")
    return found


def how_far(row: Cause) -> str:
    """In a sentence or two, how far the code is proven."""
    said = []
    if row.code in _REAL_ENVOY:
        said.append("a real Envoy, fed by a control plane that replays a recording")
    seen = proven().get(row.slug, [])
    if seen:
        more = f" and {len(seen) - 3} more" if len(seen) > 3 else ""
        said.append(f"recordings of a real Higress: {', '.join(seen[:3])}{more}")
    if not said:
        return (
            "By simulation only: a scenario based on the protocol and Higress's code gets it, and a near miss does not."
        )
    return f"By {'; '.join(said)}. A scenario in the tests must get it, and a near miss must not."


def how_far_in_a_word(row: Cause) -> str:
    """The same for a table."""
    words = ["real Envoy"] * (row.code in _REAL_ENVOY) + ["recording"] * (row.slug in proven())
    return ", ".join(words) or "simulation"


def prose(text: str) -> str:
    """Plain text as Markdown that shows it as it is: <host>, [^/]+ and stars are no markup."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def issue(text: str) -> str:
    """A link to a public issue."""
    project, _, number = text.partition("#")
    return f"[{text}]({_TRACKERS[project]}/{number})" if project in _TRACKERS else text


def commands(row: Cause) -> list[str]:
    """The commands with invented names; an audit prints them with the real ones."""
    if not row.fix:
        return []
    blocks = [f"{fix.title}:\n\n```sh\n{fix.command}\n```" for fix in examples(row)]
    return ["### Commands\n\nAn audit prints them with the real names. xdsaudit never runs them.", *blocks]


def page(row: Cause) -> str:
    """The page of one code.

    Raises:
        KeyError: no world of the tests gets the code.
        ValueError: the world does not say it.
    """
    from tests.audit.test_codes import WORLDS

    produced, near_miss = WORLDS[row.slug]
    world, miss = _made(produced), _made(near_miss)
    result = next((a for a in world.audits if _own(a, row) is not None), None)
    parts = [
        f"# {row.code} {row.slug}",
        f"**{prose(row.title)}.** Severity {row.severity.value}; at {_PLACES[row.code[2]]}.",
        f"## What it is and why it happens\n\n{prose(row.meaning)}",
        f"## How you notice it\n\n{prose(row.shows)}",
    ]
    if result is not None:
        own = _own(result, row)
        assert own is not None
        refs = _names(own)
        items = _chosen(world.items, refs)
        intake = row.code[2] in "12"
        shown = world.text or "\n---\n".join(map(manifest, items))
        if shown:
            what = "A WasmPlugin" if "kind: WasmPlugin" in shown else "An Ingress"
            heading = f"{what} that gets it" if intake else f"{what} it was seen on"
            parts.append(f"## {heading}\n\n```yaml\n{shown}\n```")
            fine = miss.text or "\n---\n".join(manifest(i) for i in _chosen(miss.items, refs) if i not in items)
            if intake and fine:
                parts.append(f"This one does not get it:\n\n```yaml\n{fine}\n```")
        parts.append(f"## As printed\n\n```text\n{printed(result, row)}\n```")
    elif row.slug == "partly-shadowed":
        parts.append("## As printed\n\nBy `xdsaudit explain NS/INGRESS`, for a rule that loses requests to others.")
    elif row.slug == "unreadable":
        parts.append("## As printed\n\nAs a line on stderr and at the top of the report, with what to do about it.")
    else:
        raise ValueError(f"{row.code}: its world in tests/audit/test_codes.py makes no audit that says it")
    parts += [
        f"## How to fix it\n\n{prose(row.remedy)}",
        *commands(row),
        f"## How to prevent it\n\n{prose(row.prevention)}",
        f"## How far it is proven\n\n{how_far(row)}",
        f"## More\n\n`xdsaudit explain {row.code}` prints this without a network; `--only {row.code}` and `--skip {row.code}` select it. "
        "[How to read an audit](../../verdicts.md).",
    ]
    if row.issues:
        parts.append(f"Reported in {', '.join(map(issue, row.issues))}.")
    return "\n\n".join(parts) + "\n"


def overview() -> str:
    """The table of all codes."""
    parts = [
        "# Codes\n",
        "Every code an audit can report, each with a page. `xdsaudit explain CODE` prints the same.\n",
    ]
    for digit, place in _PLACES.items():
        rows = [row for row in CATALOGUE if row.code[2] == digit]
        if rows:
            parts += [
                f"\n## XA{digit}xx: {place}\n",
                "| code | slug | what it is | proven by |",
                "| --- | --- | --- | --- |",
            ]
            parts += [
                f"| [{row.code}](codes/{row.code}.md) | {row.slug} | {prose(row.title)} | {how_far_in_a_word(row)} |"
                for row in rows
            ]
    parts += ["", "```{toctree}", ":hidden:", "", *(f"codes/{row.code}" for row in CATALOGUE), "```", ""]
    return "\n".join(parts)

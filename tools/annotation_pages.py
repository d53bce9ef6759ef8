"""The page of each annotation: its value, an example, what it makes of the routes, odd values and versions.

The words are the table's. The effect is not told but shown: the example of ``tests/ingress/test_annotation_pairs.py`` is translated with and without the
annotation, and what differs is printed.
"""

from __future__ import annotations

import difflib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from code_pages import manifest, prose  # noqa: E402

from xdsaudit.audit.questions.precheck import Batch, check_batch  # noqa: E402
from xdsaudit.ingress.annotation_table import NUMBER, SWITCH, TABLE, TEXT, VALUE_KINDS, Row  # noqa: E402
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute  # noqa: E402
from xdsaudit.ingress.foreign_keys import BY_NGINX_KEY, DETAIL, PROTECTS, SHAPES  # noqa: E402
from xdsaudit.ingress.objects import read_objects  # noqa: E402
from xdsaudit.ingress.profile import Profile  # noqa: E402
from xdsaudit.ingress.translate import translate  # noqa: E402
from xdsaudit.testing import ingress, ingress_list, service  # noqa: E402

_SYNTAX: Final = {
    SWITCH: '`"true"` or `"false"`, in quotes: annotations are text',
    NUMBER: 'a whole number in quotes, such as `"5"`, without a unit',
    TEXT: "text",
}
_JUDGED: Final = {"cluster": "on the cluster", "hash policy and cluster": "on route and cluster"}
_SHOWN: Final = 40


def judged(row: Row) -> str:
    """Whether what it shapes is computed and compared."""
    if row.effect == "rpc":
        return "no: a field of its routes is uncertain"
    if not row.effect:
        return "no: it changes no route, and its effect is not judged"
    return _JUDGED.get(row.shapes, "yes")


def since(row: Row) -> str:
    """The first version that reads it, where that is not the oldest."""
    return ".".join(map(str, row.since)) if row.since > (2, 0, 0) else ""


def until(row: Row) -> str:
    """The first version that reads it no more."""
    return ".".join(map(str, row.until)) if row.until else ""


def odd(row: Row) -> str:
    """What becomes of odd values."""
    return prose(f"{VALUE_KINDS[row.kind]}; {row.odd}" if row.odd else VALUE_KINDS[row.kind])


def pair(row: Row) -> tuple[dict[str, str], dict[str, str]]:
    """The annotations of the example, and the same without this one.

    Raises:
        KeyError: the table has a row of which the tests know no example.
    """
    from tests.ingress.test_annotation_pairs import EXAMPLES, HIGRESS

    value, companions = EXAMPLES[row.key]
    without = {HIGRESS + key: raw for key, raw in companions.items()}
    return {**without, HIGRESS + row.key: value}, without


def example(row: Row, notes: dict[str, str]) -> dict[str, Any]:
    """The Ingress of the example."""
    canary = "higress.io/canary" in notes
    item: dict[str, Any] = ingress("shop", "shop.test", "/cart", service="new" if canary else "web", annotations=notes)
    if row.key == "destination":
        resource = {"apiGroup": "networking.higress.io", "kind": "McpBridge", "name": "default"}
        item["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {"resource": resource}
    return item


def _lists(items: list[dict[str, Any]]) -> dict[str, bytes]:
    services = [service("web"), service("new")]
    return {"ingresses": ingress_list(items), "services": ingress_list(services, "Service")}


def expected(row: Row, notes: dict[str, str]) -> Expectation:
    """What the newest Higress that reads it makes of the example; a canary's stands beside the Ingress whose requests it takes."""
    stable = ingress("stable", "shop.test", "/cart", service="web", created="2025-01-01T00:00:00Z")
    beside = [stable] if row.key.startswith("canary") else []
    objects, _ = read_objects(_lists([*beside, example(row, notes)]))
    newest = (2, 1, 9) if row.until is None else (*row.until[:2], row.until[2] - 1)
    return translate(objects, Profile(version=newest))


def _route(route: ExpectedRoute) -> dict[str, Any]:
    match: dict[str, Any] = {route.key.kind: route.key.value}
    if route.key.ignore_case:
        match["ignore case"] = True
    match |= {f"header {h.name}": f"{h.op} {h.value}" for h in route.key.headers}
    match |= {f"query {q.name}": f"{q.op} {q.value}" for q in route.key.query}
    fields = dict(route.fields)
    if fields.get("retry_policy") == _default_retries():
        fields["retry_policy"] = "(Higress's default)"
    return {"match": match, **({"cluster": route.cluster} if route.cluster else {}), **fields}


@cache
def _default_retries() -> Any:
    objects, _ = read_objects(_lists([ingress("shop", "shop.test", "/cart", service="web")]))
    ((first, *_), *_) = translate(objects, Profile()).tables.values()
    return first.fields["retry_policy"]


def _routes(found: Expectation, port: int) -> list[str]:
    routes = [r for (at, _), listed in sorted(found.tables.items()) for r in listed if at == port]
    return [json.dumps(_route(r), indent=2, default=list) for r in routes]


def effect(row: Row) -> str:
    """What differs in the first route of port 80 that differs, as a diff; or in what else is expected."""
    with_it, without = (expected(row, notes) for notes in pair(row))
    before, after = _routes(without, 80), _routes(with_it, 80)
    if len(before) == len(after):
        differing = [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        before, after = ([listed[n] for n in differing[:1]] for listed in (before, after))
    old, new = ("\n".join(listed).splitlines() for listed in (before, after))
    changed = list(difflib.unified_diff(old, new, n=4, lineterm=""))[3:]
    if changed:
        more = [f"... and {len(changed) - _SHOWN} lines more"] if len(changed) > _SHOWN else []
        body = "\n".join([*changed[:_SHOWN], *more])
        return f"In a route of port 80, as in Envoy:\n\n```diff\n{body}\n```"
    if with_it.policies != without.policies:
        return "It does not change the routes, but the cluster's policy (a DestinationRule), which is compared."
    slugs = [{p.refusal for p in found.plans if p.refusal} for found in (without, with_it)]
    if slugs[0] != slugs[1]:
        said = [f"refused (`{', '.join(sorted(each))}`)" if each else "accepted" for each in slugs]
        return (
            f"Without it, this Ingress beside an older one with the same path is {said[0]}; with it, it is {said[1]}."
        )
    if row.effect:
        return "It does not change this example's routes: its effect shows with other annotations or kinds of backend."
    return f"It changes no route. Its effect ({row.shapes}) is not judged."


def coming_from_nginx(row: Row) -> list[str]:
    """What somebody who comes from ingress-nginx has to know: the prefix, and what differs in this example, as check tells it."""
    key = f"nginx.ingress.kubernetes.io/{row.key}"
    said = [
        f"`{key}` works too. If both are present, nginx's prefix is looked up first."
        if row.nginx
        else f"`{key}` is **not** read: it has no effect, and XA220 says so."
    ]
    with_it, _ = pair(row)
    notes = {name.replace("higress.io/", "nginx.ingress.kubernetes.io/"): value for name, value in with_it.items()}
    objects, _ = read_objects(_lists([example(row, notes)]))
    found = check_batch(
        Batch(objects, {}, {}, "2026-01-01T00:00:00Z"), None, Profile(version=(2, 1, 9)), from_nginx=True
    )
    differing = [f for f in found.findings if f.slug == "nginx-differs" and any(c.resource == key for c in f.concerns)]
    for each in differing:
        told = each.message.split(": ", 2)[-1]
        said.append(f"What differs: {prose(told)}.")
    said.append("`xdsaudit check -f k8s/ --from nginx` reports what differs in your own Ingresses.")
    return said


def lost_from_nginx() -> list[str]:
    """Annotations of ingress-nginx that Higress ignores, the tuning of nginx itself left out."""
    rows = [row for row in BY_NGINX_KEY.values() if row.weight != DETAIL]
    lines = [
        "## Annotations of ingress-nginx that Higress does not read",
        "",
        "They have no effect, and XA220 names them; `xdsaudit check` reports one that is meant to protect a route as an error. "
        "Annotations that tune nginx itself are left out here.",
        "",
        "| `nginx.ingress.kubernetes.io/` | lost with it | instead |",
        "| --- | --- | --- |",
    ]
    lost = {PROTECTS: "protection", SHAPES: "a change of the request or response"}
    lines += [f"| `{r.key}` | {lost[r.weight]} | {prose(r.instead) or 'no equivalent'} |" for r in sorted(rows)]
    return [*lines, ""]


def page(row: Row) -> str:
    """The page of one annotation."""
    with_it, _ = pair(row)
    nginx = " ".join(coming_from_nginx(row))
    first, last = since(row), until(row)
    versions = f"Read since Higress {first}; older controllers ignore it." if first else "Read by 2.0.0 and later."
    if last:
        versions = f"Read by controllers older than Higress {last}; newer ones ignore it."
    return (
        "\n\n".join(
            [
                f"# {row.key}",
                f"`higress.io/{row.key}` shapes: {row.shapes}. {versions}",
                f"## Value\n\n{_SYNTAX[row.kind][0].upper()}{_SYNTAX[row.kind][1:]}. Unusual values: {odd(row)}.",
                f"## Example\n\n```yaml\n{manifest(example(row, with_it))}\n```",
                f"## Effect\n\n{effect(row)}",
                f"## Coming from nginx\n\n{nginx}",
                f"## Judged\n\n{judged(row)[0].upper()}{judged(row)[1:]}. [All annotations](../annotations.md).",
            ]
        )
        + "\n"
    )


def overview() -> str:
    """The table of all annotations."""
    lines = [
        "# Annotations\n",
        "Every annotation key Higress reads, whether its effect is computed, and what Higress does with unusual values; each has a page with an "
        "example and its effect. `higress.io/` always works; `nginx.ingress.kubernetes.io/` only where the table says so, and then it is looked up "
        "first. Controllers older than *since*, or not older than *until*, ignore the key.\n",
        "| key | nginx prefix | shapes | since | until | modelled | unusual values |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in TABLE:
        nginx = "yes" if row.nginx else "no"
        cells = (
            f"[`{row.key}`](annotations/{row.key}.md)",
            nginx,
            row.shapes,
            since(row),
            until(row),
            judged(row),
            odd(row),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Match keys are `higress.io/KIND-match-header-NAME`, `-match-pseudo-header-NAME` and `-match-query-NAME`, KIND one "
        "of `exact`, `prefix`, `regex`. Higress reads them in random order: a key whose kind does not directly follow "
        "the prefix ends the reading, so that with other keys the routes cannot be predicted (`unknown`); alone it has "
        "no effect. One name under two kinds, and several values of Host in one `request-header-control-update`, are also unknown.",
        "",
        *lost_from_nginx(),
        *("```{toctree}", ":hidden:", "", *(f"annotations/{row.key}" for row in TABLE), "```"),
    ]
    return "\n".join(lines) + "\n"

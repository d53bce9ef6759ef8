"""What one view holds of one plugin, held against what must be served, field by field.

Values of configurations may be credentials: a difference names the key and numbers the two values, and shows neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from xdsaudit.ingress.plugins import PluginPlan
from xdsaudit.model.plain import Plain, as_mapping, as_text
from xdsaudit.model.plugin import CONDITIONS, WASM, Plugin, Settings, image_of, same_code
from xdsaudit.model.sensitive import Masks
from xdsaudit.model.verdict import FieldDelta
from xdsaudit.model.view import View, ViewName

_MOST: Final = 5
"""Differences of one configuration that are named; what is left is counted by nobody."""
_ABSENT: Final = object()


class Sight(NamedTuple):
    """What a view says of a plugin that must be served.

    Attributes:
        view: the view.
        missing: what it lacks, for people; "" when it has the plugin.
        fields: what differs beside the match rules.
        rules: match rules that differ, by their number; without differences a rule is missing.
    """

    view: View
    missing: str = ""
    fields: tuple[FieldDelta, ...] = ()
    rules: Mapping[int, tuple[FieldDelta, ...]] = {}

    @property
    def changed(self) -> bool:
        """Whether it has the plugin, and not as it must be."""
        return not self.missing and bool(self.fields or self.rules)

    @property
    def deltas(self) -> tuple[FieldDelta, ...]:
        """All differences."""
        return (*self.fields, *(d for n in sorted(self.rules) for d in self.rules[n]))


def look(view: View, plan: PluginPlan, masks: Masks) -> Sight | None:
    """What a view says of a plugin; None where it shows none of it."""
    expected = plan.expected
    assert expected is not None
    if view.name is ViewName.CORE:
        if view.plugins is None:
            return None
        if expected.name not in view.plugins:
            return Sight(view, f"has no WasmPlugin {plan.ref}")
        return _compared(view, plan, expected, view.plugins[expected.name], masks)
    chains = list(view.chains)
    if not chains:
        return None
    slots = [s for c in chains for s in c.slots if s.name == expected.name]
    if not slots:
        return Sight(view, f"has no filter {expected.name} in any listener")
    if view.plugins is None:
        return None
    if expected.name not in view.plugins:
        pass_by = ": requests pass without it" if slots[0].open else ""
        return Sight(view, f"has the filter {expected.name} and no configuration for it{pass_by}")
    return _compared(view, plan, expected, view.plugins[expected.name], masks)


def _compared(view: View, plan: PluginPlan, expected: Plugin, held: Plugin, masks: Masks) -> Sight | None:
    def delta(name: str, wanted: Plain, actual: Plain) -> FieldDelta:
        return FieldDelta(name, view.name, view.replica, wanted, actual)

    if held.kind != WASM:
        return Sight(view, "", (delta("type", WASM.rpartition(".")[2], held.kind.rpartition(".")[2]),))
    if held.settings is None:
        return None
    fields, rules = _parts(expected, held, plan, masks)
    return Sight(
        view,
        "",
        tuple(delta(*each) for each in fields),
        {n: tuple(delta(*each) for each in differences) for n, differences in rules.items()},
    )


Difference = tuple[str, Plain, Plain]
"""Where, what must be and what is."""


def differences(wanted: Plugin, held: Plugin, plan: PluginPlan, masks: Masks) -> list[Difference]:
    """All that differs between two plugins, values of configurations masked; a match rule that is not there by its name alone."""
    fields, rules = _parts(wanted, held, plan, masks)
    for number, differences in sorted(rules.items()):
        fields += differences or [(f"matchRules[{number}]", number, None)]
    return fields


def _parts(
    expected: Plugin, held: Plugin, plan: PluginPlan, masks: Masks
) -> tuple[list[Difference], dict[int, list[Difference]]]:
    """What differs beside the match rules, and what of those by their number: nothing where a rule is not there."""
    fields = list(_fields(expected.fields, held.fields, masks))
    if held.settings == expected.settings:
        return fields, {}
    assert expected.settings is not None
    assert held.settings is not None
    wanted, actual = expected.settings, held.settings
    fields += [(f"config{path}", a, b) for path, a, b in _differences(wanted.default, actual.default, masks)]
    places = {r.place: r for r in plan.rules if r.place is not None}
    rules = {
        places[n].number: [(f"matchRules[{places[n].number}]{path}", a, b) for path, a, b in differs]
        for n, differs in _rules(wanted, actual, masks)
        if n in places
    }
    if len(actual.rules) > len(wanted.rules):
        fields.append(("matchRules", len(wanted.rules), len(actual.rules)))
    elif not fields and not rules:  # rules written by hand into pluginConfig
        fields.append(("config._rules_", len(wanted.rules), len(actual.rules)))
    return fields, rules


def _fields(wanted: Mapping[str, Plain], held: Mapping[str, Plain], masks: Masks) -> Iterator[Difference]:
    url, sha256 = as_text(wanted["url"]), as_text(wanted["sha256"])
    if "file" in held:
        file = as_text(held["file"])
        if not (file == url[7:] if url.startswith("file://") else same_code(url, sha256, file)):
            yield "code", url, file
    elif "url" in held:
        for name, value in (("url", image_of(as_text(held["url"]))), ("sha256", _checksum(as_text(held["sha256"])))):
            if value != wanted[name]:
                yield name, wanted[name], value
    for name in ("root_id", "fail_open", "pull_policy", "phase", "priority", "host_env"):
        if name in held and held[name] != wanted[name]:
            yield name, wanted[name], held[name]
    asked = as_mapping(wanted["env"])
    env = as_mapping(held.get("env", asked))
    for name in sorted({*env, *asked}):
        if env.get(name) != asked.get(name):
            yield f"env.{name}", _masked(masks, asked.get(name)), _masked(masks, env.get(name))


def _checksum(value: str) -> str:
    """Pilot writes ``nil`` for none in some versions (istio pkg/wasm/convert.go)."""
    return "" if value == "nil" else value


def _masked(masks: Masks, value: Plain) -> str | None:
    return None if value is None else masks.mask(as_text(value))


def _rules(wanted: Settings, actual: Settings, masks: Masks) -> Iterator[tuple[int, list[Difference]]]:
    """Places of match rules that are not there as they must be, with what differs; nothing differs where one is missing."""
    held = {text: n for n, text in reversed(list(enumerate(actual.rules)))}
    alike: dict[str, str] | None = None
    moved = _moved(wanted, actual, held)
    for n, text in enumerate(wanted.rules):
        if n < len(actual.rules) and actual.rules[n] == text:
            continue
        if text in held:
            if n in moved:
                yield n, [(".order", n, held[text])]
            continue
        if alike is None:
            alike = {_conditions(t): t for t in reversed(actual.rules)}
        other = alike.get(_conditions(text))
        yield n, [] if other is None else _differences(text, other, masks)


def _moved(wanted: Settings, actual: Settings, held: Mapping[str, int]) -> set[int]:
    """Places of the rules that both have, where they do not stand in the same order."""
    ours = set(wanted.rules)
    theirs = [t for t in actual.rules if t in ours]
    mine = [(n, t) for n, t in enumerate(wanted.rules) if t in held]
    return {n for (n, text), other in zip(mine, theirs, strict=False) if text != other}


def _conditions(text: str) -> str:
    rule = json.loads(text)
    return json.dumps({k: rule.get(k) for k in CONDITIONS}, sort_keys=True) if isinstance(rule, dict) else text


def _differences(wanted: str, actual: str, masks: Masks) -> list[Difference]:
    """Paths at which two configurations differ, each with its two values masked; None for a value that is not there."""
    if wanted == actual:
        return []
    listed: list[Difference] = []
    for path, a, b in _walk(json.loads(wanted), json.loads(actual), ""):
        listed.append((path, _hidden(masks, a), _hidden(masks, b)))
        if len(listed) == _MOST:
            break
    return listed


def _hidden(masks: Masks, value: object) -> str | None:
    return None if value is _ABSENT else masks.mask(json.dumps(value, sort_keys=True))


def _walk(wanted: object, actual: object, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for key in sorted({*wanted, *actual}):
            yield from _walk(wanted.get(key, _ABSENT), actual.get(key, _ABSENT), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(actual, list):
        for n in range(max(len(wanted), len(actual))):
            a, b = (x[n] if n < len(x) else _ABSENT for x in (wanted, actual))
            yield from _walk(a, b, f"{path}[{n}]")
    elif type(wanted) is not type(actual) or wanted != actual:
        yield path, wanted, actual


def order_of(view: View, order: tuple[str, ...]) -> dict[str, str]:
    """Plugins that run in another order than they must, each with a sentence; of one chain of listeners that shows it."""
    rank = {name: n for n, name in enumerate(order)}
    for slots in dict.fromkeys(c.slots for c in view.chains):
        held = list(dict.fromkeys(s.name for s in slots if s.name in rank))
        wanted = sorted(held, key=rank.__getitem__)
        if held != wanted:
            return {
                name: f"{view.label} runs {' before '.join(held[:6])}; it must be {' before '.join(wanted[:6])}"
                for name, other in zip(held, wanted, strict=True)
                if name != other
            }
    return {}

"""What changed in a round, as a recorder writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xdsaudit.audit.questions.story import Event
from xdsaudit.live.plugin_watch import PluginTransition
from xdsaudit.live.watch import Transition
from xdsaudit.model.plugin_verdict import plugin_said


def events(rules: Iterable[Transition], plugins: Iterable[PluginTransition] = ()) -> Iterator[Event]:
    """Transitions of rules and plugins as events."""
    for change in rules:
        verdict = change.after
        before = change.before.value if change.before else None
        if verdict is None:
            yield Event(change.at, str(change.rule), before, None, "gone")
        else:
            now = verdict.verdict.value
            yield Event(change.at, str(change.rule), before, now, verdict.said, verdict.evidence, verdict.remedy)
    for plugin in plugins:
        after = plugin.after
        yield Event(
            plugin.at,
            f"WasmPlugin {plugin.plugin}",
            plugin.before.value if plugin.before else None,
            after.verdict.value if after else None,
            plugin_said(after) if after else "gone",
            after.evidence if after else (),
            after.remedy if after else None,
        )

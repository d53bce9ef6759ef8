"""Changes of plugins since the last round, each reported once: a verdict counts when two consecutive rounds agree on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.verdict import IN_EFFECT, Audit, Verdict

_QUIET: Final = IN_EFFECT | {Verdict.NOT_SELECTED}


class PluginTransition(NamedTuple):
    """A changed verdict of a plugin or one of its match rules; ``before`` is None if it is new, ``after`` is None if it is gone."""

    at: str
    plugin: str
    before: Verdict | None
    after: PluginVerdict | None


@dataclass
class _State:
    """What is kept about one plugin between rounds."""

    reported: tuple[object, ...] | None = None
    verdict: Verdict | None = None
    candidate: tuple[object, ...] | None = None


class PluginWatch:
    """The plugins of one watch."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._states: dict[str, _State] = {}

    def round(self, result: Audit, *, first: bool) -> tuple[PluginTransition, ...]:
        """The confirmed changes.

        Args:
            result: the round's audit.
            first: whether this is the first round: what is fine then is not reported.
        """
        at = result.captured_at or ""
        changes = []
        for plugin in result.plugins:
            state = self._states.setdefault(plugin.ref, _State())
            if first and plugin.verdicts <= _QUIET:
                state.reported, state.verdict = plugin.identity, plugin.verdict
            if plugin.identity == state.reported:
                state.candidate = None
            elif plugin.identity != state.candidate:
                state.candidate = plugin.identity
            else:
                changes.append(PluginTransition(at, plugin.ref, state.verdict, plugin))
                state.reported, state.verdict, state.candidate = plugin.identity, plugin.verdict, None
        present = {p.ref for p in result.plugins}
        for ref in [r for r in self._states if r not in present] if not result.gaps else ():
            gone = self._states.pop(ref)
            if gone.reported is not None:
                changes.append(PluginTransition(at, ref, gone.verdict, None))
        return tuple(changes)

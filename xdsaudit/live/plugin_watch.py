"""What changed of plugins since the last round, told once: a verdict counts when two rounds in a row give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.verdict import IN_EFFECT, Audit, Verdict

_QUIET: Final = IN_EFFECT | {Verdict.NOT_SELECTED}


class PluginTransition(NamedTuple):
    """A plugin's verdict, or that of a match rule, that changed; ``before`` is None for one that is new, ``after`` for one that is gone."""

    at: str
    plugin: str
    before: Verdict | None
    after: PluginVerdict | None


@dataclass
class _Known:
    """What is held of one plugin between rounds."""

    told: tuple[object, ...] | None = None
    verdict: Verdict | None = None
    candidate: tuple[object, ...] | None = None


class PluginWatch:
    """The state of plugins in one watch."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[str, _Known] = {}

    def round(self, result: Audit, *, first: bool) -> tuple[PluginTransition, ...]:
        """What changed for good.

        Args:
            result: the round's audit.
            first: whether the watch begins with it: what is well then is not told.
        """
        at = result.captured_at or ""
        said = []
        for plugin in result.plugins:
            held = self._known.setdefault(plugin.ref, _Known())
            if first and plugin.verdicts <= _QUIET:
                held.told, held.verdict = plugin.identity, plugin.verdict
            if plugin.identity == held.told:
                held.candidate = None
            elif plugin.identity != held.candidate:
                held.candidate = plugin.identity
            else:
                said.append(PluginTransition(at, plugin.ref, held.verdict, plugin))
                held.told, held.verdict, held.candidate = plugin.identity, plugin.verdict, None
        present = {p.ref for p in result.plugins}
        for ref in [r for r in self._known if r not in present] if not result.gaps else ():
            gone = self._known.pop(ref)
            if gone.told is not None:
                said.append(PluginTransition(at, ref, gone.verdict, None))
        return tuple(said)

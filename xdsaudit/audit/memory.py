"""What one audit leaves for the next, and one replica for the others: decoded tables, the expectation, equal pairs.

Only speed and size depend on it: with and without it an audit says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsaudit.audit.compare.align import Comparer
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import KubeObjects
from xdsaudit.ingress.profile import Profile


class Aging(dict[bytes, Any]):
    """A mapping that forgets what was not asked for between two turns."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._old: dict[bytes, Any] = {}

    def turn(self) -> None:
        """Begin a new round: what is not asked for until the next one is forgotten."""
        self._old = dict(self)
        self.clear()

    def get(self, key: bytes, default: Any = None) -> Any:
        """The value, kept for another round."""
        found = super().get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self[key] = found
        return default if found is None else found


@dataclass
class Memory:
    """Give the same one to successive audits of one gateway; a fresh one is made for an audit without.

    Attributes:
        lasting: whether there is a next audit; a single one remembers tables only where replicas may share them.
        pilot: virtual hosts of pilots by the bytes of their RouteConfiguration.
        gateway: name and virtual hosts of gateways' route configurations by their bytes.
        comparer: pairs that were found equal.
        translated: the objects and options last translated, and what came out.
    """

    lasting: bool = True
    pilot: Aging = field(default_factory=Aging)
    gateway: Aging = field(default_factory=Aging)
    comparer: Comparer = field(default_factory=Comparer)
    translated: tuple[Mapping[str, bytes], Profile, KubeObjects, list[str], Expectation] | None = None

    def turn(self) -> None:
        """Begin an audit."""
        self.pilot.turn()
        self.gateway.turn()
        self.comparer.turn()

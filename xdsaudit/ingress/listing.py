"""A list of Ingresses read again: an item of the same bytes is the same object, so that whoever asks sees what changed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from xdsaudit.ingress.objects import Ingress, decode_list
from xdsaudit.model.kube_list import KubeList


class _List(Struct):
    items: list[Raw] | None = None
    kind: str = ""


_LIST = msgspec.json.Decoder(_List)
_ITEM = msgspec.json.Decoder(Ingress)


class ReadBefore:
    """Ingresses by the bytes they were read from; those of the last list are known."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[bytes, Ingress] = {}

    def read(self, data: bytes) -> tuple[Ingress, ...]:
        """The items of a list, as ``decode_list`` has them.

        Raises:
            ReadError: as ``decode_list`` says it.
        """
        try:
            kind, items = _taken_apart(data)
            before = list(map(self._known.get, items))
            listed = [_ITEM.decode(raw) if item is None else item for raw, item in zip(items, before, strict=True)]
            known = dict(zip(items, listed, strict=True))
            if len(known) < len(items):  # written twice, it is two objects
                listed = list(map(_ITEM.decode, items))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return tuple(decode_list(data, Ingress))  # which says where it is wrong
        new = (item for item, old in zip(listed, before, strict=True) if item is not old)
        if kind not in ("", "List", "IngressList") or any(item.kind not in ("", "Ingress") for item in new):
            return tuple(decode_list(data, Ingress))
        self._known = known
        return tuple(listed)


def _taken_apart(data: bytes) -> tuple[str, Sequence[bytes]]:
    """Kind and items of a list."""
    if isinstance(data, KubeList):
        return "", data.items
    read = _LIST.decode(data)
    return read.kind, [bytes(raw) for raw in read.items or ()]

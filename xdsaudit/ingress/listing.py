"""A list of Ingresses read again: an item of the same bytes is the same object, so that whoever asks sees what changed."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from xdsaudit.ingress.objects import Ingress, decode_list


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
        ingresses: dict[bytes, Ingress] = {}
        listed = []
        strange = False
        try:
            read = _LIST.decode(data)
            for raw in read.items or ():
                key = bytes(raw)
                item = self._known.get(key)
                if item is None or key in ingresses:  # written twice, it is two objects
                    item = _ITEM.decode(key)
                    strange = strange or item.kind not in ("", "Ingress")
                ingresses.setdefault(key, item)
                listed.append(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return tuple(decode_list(data, Ingress))  # which says where it is wrong
        if strange or read.kind not in ("", "List", "IngressList"):
            return tuple(decode_list(data, Ingress))
        self._known = ingresses
        return tuple(listed)

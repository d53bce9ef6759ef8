"""Small damages to bytes, JSON values, protobuf messages and lines of text, drawn from a seeded random generator."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 5, 1.5, 1e308, 2**31, 2**63, 2**64, -(2**63), "", "a", "0", "-1s", "1e9s", "\x00", "é", "产品",
    "\u202e", "\ud800", "a/b", "/", "..", "*", "*.a", "(", "[a-", "%zz", "http://[::1", "2024-13-45", "9" * 400, "a" * 5000,
    [], {}, [[]], [None], [5], {"": None}, {"a": 5}, {"@type": 5}, {"@type": "a/b"}, {"value": []},
)  # fmt: skip
KEYS = (
    "",
    "@type",
    "name",
    "value",
    "match",
    "route",
    "typed_config",
    "routes",
    "virtual_hosts",
    "spec",
    "metadata",
    "x",
)


def damaged_bytes(data: bytes, draw: random.Random) -> bytes:
    """Some bytes flipped, cut, doubled or replaced."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        at = draw.randrange(len(found) + 1)
        what = draw.randrange(6)
        if what == 0 and at < len(found):
            found[at] ^= 1 << draw.randrange(8)
        elif what == 1 and at < len(found):
            found[at] = draw.choice((0, 255, 0x0A, 0x22, 0x5B, 0x7B, 0x80, 0xC0))
        elif what == 2:
            del found[at : at + draw.choice((1, 2, 8, 64, 10_000))]
        elif what == 3:
            found[at:at] = found[at : at + draw.choice((1, 8, 64))]
        elif what == 4:
            found[at:at] = draw.choice((b"\x00", b"\xff\xfe", b"[", b"{", b'"', b"\r\n", b"\xed\xa0\x80", b"9" * 30))
        else:
            del found[at:]
    return bytes(found)


def damaged_json(data: bytes, draw: random.Random) -> bytes:
    """Values exchanged for odd ones, fields left out, doubled or renamed; now and then the text itself."""
    if draw.random() < 0.1:
        return damaged_bytes(data, draw)
    root = [json.loads(data)]
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        holder, key = _place(root, draw)
        what = draw.randrange(5)
        if what == 0 and holder is not root:
            del holder[key]
        elif what == 1 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif what == 2 and isinstance(holder, dict):
            holder[draw.choice(KEYS)] = holder.pop(key)
        else:
            holder[key] = json.loads(json.dumps(draw.choice(ODD)))
    return json.dumps(root[0]).encode("utf-8", "surrogatepass" if draw.random() < 0.5 else "replace")


def _place(root: list[Any], draw: random.Random) -> tuple[Any, Any]:
    """A holder and a key in it: down from the root, ending anywhere."""
    holder, key = root, 0
    while isinstance(holder[key], dict | list) and holder[key] and draw.random() < 0.9:
        holder = holder[key]  # type: ignore[assignment]
        key = draw.choice(list(holder)) if isinstance(holder, dict) else draw.randrange(len(holder))
    return holder, key


def damaged_message(data: bytes, draw: random.Random) -> bytes:
    """A protobuf message with one field somewhere inside changed; lengths around it are mended so that it is reached."""
    fields = list(_fields(data)) if data else []
    if not fields or draw.random() < 0.1:
        return damaged_bytes(data, draw)
    at = draw.randrange(len(fields))
    number, wire, value = fields[at]
    what = draw.randrange(8)
    if wire == 2 and what < 5 and value:
        fields[at] = (number, 2, damaged_message(value, draw))
    elif what == 5:
        del fields[at]
    elif what == 6:
        fields.insert(at, fields[at])
    else:
        odd = draw.choice((b"", b"\xff", b"\x08\xff", b"\x80" * 11, "产品".encode(), b"a" * 300))
        fields[at] = (draw.choice((number, number + 1, 1, 15)), 2, odd)
    return b"".join(_encoded(*field) for field in fields)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Field number, wire type and value; ends quietly where the bytes are no message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            start = at
            _, at = _varint(data, at)
        elif wire in (1, 5):
            start, at = at, at + (8 if wire == 1 else 4)
        elif wire == 2:
            length, start = _varint(data, at)
            at = start + length
        else:
            return
        if number == 0 or at > len(data):
            return
        yield number, wire, data[start:at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at
    return 0, len(data) + 1


def _encoded(number: int, wire: int, value: bytes) -> bytes:
    return _number(number << 3 | wire) + (_number(len(value)) if wire == 2 else b"") + value


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def damaged_text(data: bytes, draw: random.Random) -> bytes:
    """Lines left out, doubled or joined, words exchanged, bytes damaged."""
    if draw.random() < 0.3:
        return damaged_bytes(data, draw)
    lines = data.split(b"\n")
    for _ in range(draw.choice((1, 2, 4))):
        at = draw.randrange(len(lines))
        what = draw.randrange(4)
        if what == 0:
            lines.insert(at, lines[draw.randrange(len(lines))])
        elif what == 1 and len(lines) > 1:
            del lines[at]
        elif what == 2:
            words = lines[at].split(b" ")
            words[draw.randrange(len(words))] = str(draw.choice(ODD)).encode("utf-8", "replace")
            lines[at] = b" ".join(words)
        else:
            lines[at] = damaged_bytes(lines[at], draw)
    return b"\n".join(lines)

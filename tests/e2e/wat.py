"""Assembles the little of WebAssembly's text format that ``nothing.wat`` is written in (WebAssembly core specification, sections 5 and 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_TOKEN = re.compile(r';;[^\n]*|\s+|(\(|\)|"[^"]*"|[^\s()"]+)')
_TYPES = {"i32": b"\x7f"}
_MAGIC = b"\0asm\x01\0\0\0"


def assemble(text: str) -> bytes:
    """A module of memories and exported functions whose bodies are constants."""
    module = _read(iter([t for t in _TOKEN.findall(text) if t]))
    kinds, functions, exports, codes, memories = [], [], [], [], []
    for form in module[0][1:]:
        name = next(f[1].strip('"') for f in form if f[:1] == ["export"])
        if form[0] == "memory":
            exports.append(_name(name) + b"\x02" + _number(len(memories)))
            memories.append(b"\0" + _number(int(form[-1])))
            continue
        assert form[0] == "func", form[0]
        exports.append(_name(name) + b"\0" + _number(len(functions)))
        functions.append(_number(len(kinds)))
        kinds.append(b"\x60" + _types(form, "param") + _types(form, "result"))
        body = b"\0" + _body([f for f in form[1:] if isinstance(f, str)]) + b"\x0b"
        codes.append(_number(len(body)) + body)
    sections = {1: kinds, 3: functions, 5: memories, 7: exports, 10: codes}
    return _MAGIC + b"".join(_section(number, items) for number, items in sections.items())


def _read(tokens: Any) -> list[Any]:
    found: list[Any] = []
    for token in tokens:
        if token == ")":
            break
        found.append(_read(tokens) if token == "(" else token)
    return found


def _types(form: list[Any], kind: str) -> bytes:
    listed = [t for f in form if f[:1] == [kind] for t in f[1:]]
    return _number(len(listed)) + b"".join(_TYPES[t] for t in listed)


def _body(words: list[str]) -> bytes:
    code = b""
    for word, value in zip(words[::2], words[1::2], strict=True):
        assert word == "i32.const", word
        code += b"\x41" + _signed(int(value))
    return code


def _number(value: int) -> bytes:
    """Unsigned LEB128."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _signed(value: int) -> bytes:
    """Signed LEB128 of a value that is not negative."""
    found = bytearray()
    while value > 0x3F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _name(text: str) -> bytes:
    return _number(len(text)) + text.encode()


def _section(number: int, items: Iterable[bytes]) -> bytes:
    listed = list(items)
    body = _number(len(listed)) + b"".join(listed)
    return bytes([number]) + _number(len(body)) + body

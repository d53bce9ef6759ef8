"""YAML or JSON bytes to plain values that know their line and column.

Values are what Kubernetes's own parser makes of them (YAML 1.1 as go-yaml reads it: dates stay text, no base 60). Built from the
parser's events, so that aliases, depth and numbers are bounded before anything is built. Must not know what an object means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec
import yaml

from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.plain import Plain

Keys: TypeAlias = tuple[str | int, ...]
"""The path to a value: keys and indexes from the document down."""

_DEPTH: Final = 100
_BY_ALIASES: Final = 100_000
_TROUBLES: Final = 50
_DOCUMENT: Final = re.compile(rb"^---(?=\s|$)", re.MULTILINE)


class Mark(NamedTuple):
    """A place in a text; lines and columns count from 1."""

    line: int
    column: int


class Document(NamedTuple):
    """One document.

    Attributes:
        value: dicts with text keys, lists, text, numbers, booleans and None.
        mark: where the value at these keys is, or if that is unknown, its container.
        twice: keys that occur more than once; the last one counts.
    """

    value: Plain
    mark: Callable[[Keys], Mark]
    twice: tuple[Keys, ...] = ()


class Trouble(NamedTuple):
    """A part of a text that cannot be read."""

    mark: Mark
    text: str


class _UnreadableError(Exception):
    def __init__(self, event: yaml.Event, text: str) -> None:
        super().__init__(text)
        self.mark, self.text = _began(event), text


def parse(data: bytes) -> Iterator[Document | Trouble]:
    """Every document of a text; after an unreadable one, parsing continues at the next line that starts with ``---``."""
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            value = msgspec.json.decode(data)
        except BROKEN:
            pass  # YAML flow style, or an error that needs a line
        else:
            yield Document(value, _JsonMarks(data))
            return
    start, line = 0, 0
    for _ in range(_TROUBLES):
        trouble = yield from _documents(data[start:], line)
        if trouble is None:
            return
        yield trouble
        after = next(
            (m.start() for m in _DOCUMENT.finditer(data, start) if _passed(data, start, line, m, trouble)), None
        )
        if after is None:
            return
        start, line = after, line + data.count(b"\n", start, after)
    yield Trouble(Mark(line + 1, 1), f"has more than {_TROUBLES} unreadable documents; the rest was not read")


def _passed(data: bytes, start: int, line: int, match: re.Match[bytes], trouble: Trouble) -> bool:
    """Whether a document starts after the trouble."""
    return match.start() > start and line + data.count(b"\n", start, match.start()) + 1 >= trouble.mark.line


def _documents(data: bytes, lines: int) -> Generator[Document, None, Trouble | None]:
    """Documents up to the first unreadable one; returns what is wrong with it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(lines)
    try:
        for event in yaml.parse(data, Loader=loader):
            done = builder.take(event)
            if done is not None:
                yield done
    except _UnreadableError as error:
        return Trouble(Mark(error.mark.line + lines, error.mark.column), error.text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Mark(mark.line + 1 + lines, mark.column + 1) if mark is not None else Mark(lines + 1, 1)
        return Trouble(where, f"is not YAML ({error.problem or error.context})")
    except (yaml.YAMLError, UnicodeError) as error:
        position = getattr(error, "position", None)
        at = position if isinstance(position, int) else getattr(error, "start", 0)
        line = data.count(b"\n", 0, at) + 1
        reason = getattr(error, "reason", None) or str(error).splitlines()[0]
        return Trouble(Mark(line + lines, at - data.rfind(b"\n", 0, at)), f"is not YAML ({reason})")
    return None


class _Made(NamedTuple):
    """A finished value, how many values it contains (counting repeats by aliases), and how deep it is."""

    value: Plain
    size: int
    depth: int


class _Open:
    """A mapping or sequence being filled; ``key`` is the key whose value comes next, ``merging`` whether that key is ``<<``."""

    __slots__ = ("anchor", "count", "depth", "key", "keys", "merges", "merging", "value")

    def __init__(self, value: dict[str, Plain] | list[Plain], keys: Keys, anchor: str | None) -> None:
        self.value, self.keys, self.anchor = value, keys, anchor
        self.key: str | None = None
        self.merging = False
        self.count, self.depth = 1, 0
        self.merges: list[Mapping[str, Plain]] = []

    @property
    def next_keys(self) -> Keys:
        return (*self.keys, len(self.value) if isinstance(self.value, list) else self.key or "")


class _Builder:
    """Values from events, on a stack of our own: depth is a number, not the interpreter's limit."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._aliased = 0
        self._new()

    def _new(self) -> None:
        self._stack: list[_Open] = []
        self._marks: dict[Keys, Mark] = {}
        self._anchors: dict[str, _Made | None] = {}
        self._twice: list[Keys] = []
        self._root: Plain = None

    def take(self, event: yaml.Event) -> Document | None:
        """Process one event; returns a document if this event ends one."""
        if isinstance(event, yaml.ScalarEvent):
            made = _Made(_scalar(event), 1, 0)
            if event.anchor:
                self._anchors[event.anchor] = made
            self._add(made, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event), event)
        elif isinstance(event, yaml.DocumentEndEvent):
            marks, top = self._marks, self._marks.get((), Mark(self._lines + 1, 1))
            done = Document(self._root, lambda keys: _nearest(marks, keys, top), tuple(self._twice))
            self._new()
            return done
        return None

    def _mark(self, keys: Keys, event: yaml.Event) -> None:
        if keys not in self._marks:
            line, column = _began(event)
            self._marks[keys] = Mark(line + self._lines, column)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._stack) >= _DEPTH:
            raise _UnreadableError(event, f"is nested deeper than {_DEPTH} levels")
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _UnreadableError(event, "has a key that is not a text")
        keys = top.next_keys if top is not None else ()
        self._mark(keys, event)
        if event.anchor:
            self._anchors[event.anchor] = None  # still open: an alias to it would contain itself
        self._stack.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], keys, event.anchor))

    def _close(self, event: yaml.CollectionEndEvent) -> None:
        top = self._stack.pop()
        if isinstance(top.value, dict):
            for merged in top.merges:
                top.value.update({k: v for k, v in merged.items() if k not in top.value})
        made = _Made(top.value, top.count, top.depth + 1)
        if top.anchor:
            self._anchors[top.anchor] = made
        self._add(made, event)

    def _alias(self, event: yaml.AliasEvent) -> _Made:
        made = self._anchors.get(event.anchor or "")
        if made is None:
            why = "inside what it stands for" if event.anchor in self._anchors else "without an anchor"
            raise _UnreadableError(event, f"has the alias *{event.anchor} {why}")
        self._aliased += made.size
        if self._aliased > _BY_ALIASES:
            text = f"repeats more than {_BY_ALIASES:,} values through aliases such as *{event.anchor}"
            raise _UnreadableError(event, text)
        if len(self._stack) + made.depth > _DEPTH:
            raise _UnreadableError(event, f"is nested deeper than {_DEPTH} levels through *{event.anchor}")
        return made

    def _add(self, made: _Made, event: yaml.Event) -> None:
        if not self._stack:
            self._mark((), event)
            self._root = made.value
            return
        top = self._stack[-1]
        top.count += made.size
        top.depth = max(top.depth, made.depth)
        if isinstance(top.value, list):
            self._mark(top.next_keys, event)
            top.value.append(made.value)
        elif top.key is None:
            self._key(top, made.value, event)
        elif top.merging:
            self._merge(top, made.value, event)
        else:
            top.value[top.key] = made.value
            top.key = None

    def _key(self, top: _Open, key: Plain, event: yaml.Event) -> None:
        if isinstance(key, dict | list):
            raise _UnreadableError(event, "has a key that is not a text")
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            top.key, top.merging = event.value, True
            return
        top.key = key if isinstance(key, str) else msgspec.json.encode(key).decode()
        if top.key in top.value:
            self._twice.append(top.next_keys)
            self._marks.pop(top.next_keys, None)  # the later place counts, as the later value does
        self._mark(top.next_keys, event)

    def _merge(self, top: _Open, value: Plain, event: yaml.Event) -> None:
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise _UnreadableError(event, "merges something other than a mapping with <<")
            top.merges.append(mapping)
        top.key, top.merging = None, False


def _began(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark(1, 1)


def _nearest(marks: dict[Keys, Mark], keys: Keys, top: Mark) -> Mark:
    for length in range(len(keys), 0, -1):
        if keys[:length] in marks:
            return marks[keys[:length]]
    return top


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE: Final = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_INTEGER: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,64}|0[oO]?[0-7]{1,22}|[0-9]{1,20})")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TAG: Final = "tag:yaml.org,2002:"


def _scalar(event: yaml.ScalarEvent) -> Plain:
    """The value of a scalar, as go-yaml resolves it (github.com/go-yaml/yaml v2 resolve.go): quoted text and other tags are text."""
    text = event.value
    if not (event.implicit[0] or (event.tag or "").removeprefix(_TAG) in ("null", "bool", "int", "float")):
        return text
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    if _FLOAT.fullmatch(digits) and len(digits) < _LONGEST_NUMBER:
        number = float(digits)
        return text if math.isinf(number) else number
    return text


_LONGEST_NUMBER: Final = 400
_LARGEST: Final = 1 << 64


def _integer(digits: str) -> int | float | str:
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
    try:
        number = int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(digits, 0)
    except ValueError:  # 08 and 09 are not octal numbers
        return float(digits)
    return number if abs(number) < _LARGEST else float(number)


class _JsonMarks:
    """Places in JSON text, found on demand by scanning the text up to the value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts: dict[Keys, dict[str | int, tuple[int, int]]] = {}
        self._seen = (
            0,
            1,
            -1,
        )  # an offset, its line and the previous line end: the next lookup continues here

    def __call__(self, keys: Keys) -> Mark:
        start, end = 0, len(self._data)
        for length, key in enumerate(keys):
            parts = self._parts.get(keys[:length])
            if parts is None:
                parts = self._parts[keys[:length]] = _take_apart(self._data, start, end)
            if key not in parts:
                break
            start, end = parts[key]
        before, line, ended = self._seen if self._seen[0] <= start else (0, 1, -1)
        line += self._data.count(b"\n", before, start)
        ended = max(ended, self._data.rfind(b"\n", before, start))
        self._seen = (start, line, ended)
        return Mark(line, start - ended)


def _take_apart(data: bytes, start: int, end: int) -> dict[str | int, tuple[int, int]]:
    """Start and end of each value in an object or list."""
    text = data[start:end]
    first = text.lstrip()[:1]
    items: Iterable[tuple[str | int, msgspec.Raw]] = ()
    if first == b"{":
        items = msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()
    elif first == b"[":
        items = enumerate(msgspec.json.decode(text, type=list[msgspec.Raw]))
    parts: dict[str | int, tuple[int, int]] = {}
    at = start + 1
    for key, raw in items:
        if isinstance(key, str):
            named = data.find(msgspec.json.encode(key), at, end)
            at = named + len(key) + 2 if named >= 0 else at
        value = bytes(raw)
        at = max(data.find(value, at, end), at)
        parts[key] = (at, at + len(value))
        at += len(value)
    return parts

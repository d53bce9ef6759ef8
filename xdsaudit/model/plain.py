"""Plain data: what JSON and YAML can express, and access to its parts.

The value of a key may be anything. These functions give it the shape that its reader expects: absent is empty,
and any other shape is an error, never mistaken for an absent value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Plain: TypeAlias = "str | int | float | bool | Sequence[Plain] | Mapping[str, Plain] | None"
"""A value of a document. It is for reading: a list of texts is plain data too."""


def as_mapping(value: object) -> Mapping[str, Plain]:
    """An object, empty if absent.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, Mapping):
        return value
    if value is None:
        return {}
    raise ValueError(f"expected an object, not {_named(value)}")


def as_list(value: object) -> Sequence[Plain]:
    """A list, empty if absent.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, list | tuple):
        return value
    if value is None:
        return ()
    raise ValueError(f"expected a list, not {_named(value)}")


def as_mappings(value: object) -> list[Mapping[str, Plain]]:
    """A list of objects, empty if absent.

    Raises:
        ValueError: it is something else.
    """
    return [as_mapping(each) for each in as_list(value)]


def as_text(value: object) -> str:
    """A text, empty if absent.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise ValueError(f"expected text, not {_named(value)}")


def part(value: Plain, *keys: str) -> Plain:
    """The value under these keys, each inside the one before; None if one is absent.

    Raises:
        ValueError: one of them is looked up in something that is not an object.
    """
    for key in keys:
        value = as_mapping(value).get(key)
    return value


def _named(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list | tuple) else "an object"

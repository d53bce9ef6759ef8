"""Plain data: what JSON and YAML can say, and how its parts are reached.

What stands under a key may be anything. The functions here give it the shape that its reader counts on: absent is empty,
and anything else of another shape is an error, never taken for something that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Plain: TypeAlias = "str | int | float | bool | Sequence[Plain] | Mapping[str, Plain] | None"
"""A value of a document. It is for reading: a list of texts is plain data too."""


def as_mapping(value: object) -> Mapping[str, Plain]:
    """An object, empty where there is none.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, Mapping):
        return value
    if value is None:
        return {}
    raise ValueError(f"expected an object, not {_named(value)}")


def as_list(value: object) -> Sequence[Plain]:
    """A list, empty where there is none.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, list | tuple):
        return value
    if value is None:
        return ()
    raise ValueError(f"expected a list, not {_named(value)}")


def as_mappings(value: object) -> list[Mapping[str, Plain]]:
    """A list of objects, empty where there is none.

    Raises:
        ValueError: it is something else.
    """
    return [as_mapping(each) for each in as_list(value)]


def as_text(value: object) -> str:
    """A text, empty where there is none.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise ValueError(f"expected text, not {_named(value)}")


def part(value: Plain, *keys: str) -> Plain:
    """What stands under these keys, each inside the one before; None where one is absent.

    Raises:
        ValueError: one of them stands in something that is not an object.
    """
    for key in keys:
        value = as_mapping(value).get(key)
    return value


def _named(value: object) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list | tuple) else "an object"

"""Every exception this package raises on purpose, as one tree.

    XdsauditError
    ├── InputError       a file, archive, manifest or option that cannot be used   (exit 2)
    │   └── FormatError  a snapshot of another format or a newer version of it
    ├── ReadError        one source could not be read; the audit goes on without it
    └── NotCaptured      something was asked of a view that does not hold it

This module must import nothing of the package.
"""

from __future__ import annotations


class XdsauditError(Exception):
    """Base of all errors; its text names the subject, the fact, the place and the next step."""


class InputError(XdsauditError):
    """Input that cannot be used at all: the command ends with exit code 2."""


class FormatError(InputError):
    """A snapshot whose format this version does not read."""


class ReadError(XdsauditError):
    """One source could not be read or decoded. It makes a gap in a view, never a verdict."""


class NotCaptured(XdsauditError):  # noqa: N818 - reads as a state, like KeyError's neighbours in the field
    """The bytes asked for are not in the view they were asked of."""

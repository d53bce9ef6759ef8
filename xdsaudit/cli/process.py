"""What the process owes its surroundings: standard streams that are open, signals that end it in order, no foreign line on stderr.

Nothing here is done for the library: only the command line owns its process.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

from xdsaudit.errors import InputError, Interrupted

_ENDING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class OutputError(InputError):
    """The result cannot be written where standard output leads."""


class _Output(io.FileIO):
    """Standard output whose failures are told from those of other files."""

    def write(self, data: Any) -> int:
        """Write, or say that nothing more can be written."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            said = "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)
            raise OutputError(f"standard output: {said}; the result could not be written whole") from error


class _ClosedInput(io.RawIOBase):
    """Standard input of a process that was started without one."""

    def readable(self) -> bool:
        """As a stream that is read."""
        return True

    def readinto(self, _: Any) -> int:
        """Refuse."""
        raise InputError("standard input is closed: give a file instead of -, or open it")


def prepare() -> None:
    """Set up streams, signals and the log of this process."""
    _streams()
    _signals()
    gc.disable()  # one look makes a million values that all live to its end; what looks again calls lasting()
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
    threading.excepthook = _thread_failed


def lasting() -> None:
    """Collect cycles again: this process goes on for long. What is imported by now stays, and is not gone through each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _streams() -> None:
    """Open what is closed: the next file or socket would take its number, and what is meant for stderr would go there."""
    closed = []
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):  # 0 and 1 fail when they are used
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    if 0 in closed or sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_ClosedInput()))
    if 2 in closed or sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), errors="backslashreplace", write_through=True)
    told = getattr(sys.stdout, "encoding", None) or "utf-8"
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    raw = _Output(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), told, "replace", line_buffering=raw.isatty())


def give_up_output() -> None:
    """Lead standard output to nowhere, so that the interpreter's last flush does not fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _signals() -> None:
    """End on SIGTERM as on Ctrl-C, also as process 1, whose signals are ignored unless it handles them."""
    if threading.current_thread() is not threading.main_thread():
        return
    for each in _ENDING:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup
            signal.signal(each, _end)


def _end(number: int, _: FrameType | None) -> None:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)  # what ends in order is not disturbed; SIGKILL is left
    raise Interrupted(number)


def quiet_libraries() -> None:
    """Keep log lines of grpc and kubernetes off stderr, and write our own there; called before something is read."""
    import logging

    from xdsaudit.cli.output import say

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"xdsaudit: {record.getMessage()}")

    root, ours = logging.getLogger(), logging.getLogger("xdsaudit")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    if not ours.handlers:
        ours.addHandler(Said())
        ours.propagate = False


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """One line instead of a traceback."""
    from xdsaudit.cli.output import say
    from xdsaudit.errors import outline

    if os.environ.get("XDSAUDIT_DEBUG"):
        threading.__excepthook__(failed)
    elif failed.exc_value is not None:
        say(f"xdsaudit: a thread ended by a bug of ours: {outline(failed.exc_value)}; please report it")

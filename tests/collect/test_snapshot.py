"""Snapshots on disk: save and load are inverse; archives are read safely; bad ones say what is wrong."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xdsaudit.collect.files as files_on_disk
from xdsaudit import FormatError, InputError, Snapshot, audit, load, save
from xdsaudit.collect.snapshot import from_files, to_files
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.xds.pool import TYPES, message

NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,12}[a-z0-9]", fullmatch=True)
DATA = st.binary(max_size=40)


def answer(short: str) -> bytes:
    return message("envoy.service.discovery.v3.DiscoveryResponse")(
        type_url=TYPES[short], version_info="1"
    ).SerializeToString()


ANSWERS = st.lists(st.sampled_from([answer(s) for s in TYPES]), min_size=1, max_size=4).map(tuple)
SNAPSHOTS = st.builds(
    Snapshot,
    captured_at=st.none() | st.just("2026-11-24T00:00:00Z"),
    controller=st.dictionaries(NAMES, st.text(max_size=5) | st.booleans(), max_size=3),
    kube=st.dictionaries(NAMES.filter(lambda n: "." not in n), DATA, max_size=3),
    core=st.just({}) | st.dictionaries(NAMES, ANSWERS, max_size=2),
    pilot=st.dictionaries(
        NAMES,
        st.builds(
            PilotCapture,
            ANSWERS,
            st.none() | ANSWERS,
            st.dictionaries(st.sampled_from(("syncz.json", "metrics.txt")), DATA),
        ),
        max_size=2,
    ),
    gateway=st.dictionaries(
        NAMES, st.dictionaries(st.sampled_from(("config_dump.json", "stats.json")), DATA, min_size=1), max_size=2
    ),
    views=st.lists(
        st.builds(
            ViewInfo,
            st.sampled_from(ViewName),
            st.none() | NAMES,
            st.sampled_from(State),
            st.none() | st.text(max_size=9),
        ),
        max_size=3,
    ).map(tuple),
    story=st.none() | st.text(max_size=20),
    extra=st.dictionaries(st.just("later"), st.integers(), max_size=1),
)


@given(SNAPSHOTS)
def test_save_and_load_are_inverse(snapshot: Snapshot) -> None:
    assert from_files(to_files(snapshot), "memory") == snapshot


@pytest.mark.parametrize("ending", ["", ".tar.gz", ".tgz", ".tar.xz", ".zip"])
def test_every_form(tmp_path: Path, recording, ending: str) -> None:
    place = tmp_path / f"world{ending}"
    size = save(recording("batch-loss"), place, redacted=False)
    assert size > 1000
    assert load(place) == recording("batch-loss")
    with pytest.raises(InputError, match="already exists"):
        save(recording("batch-loss"), place)


def test_recordings_survive(recording) -> None:
    for name in ("healthy-scoped", "nack-one-host", "controller-crashed"):
        assert from_files(to_files(recording(name)), "memory") == recording(name)


def test_a_folder_around_the_files_is_looked_through(recordings: Path, recording) -> None:
    assert load(recordings / "batch-loss-full.tar.xz").kube.keys() == recording("batch-loss").kube.keys()


def archive(place: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(place, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return place


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (member("../evil"), "points outside"),
        (member("/etc/passwd"), "points outside"),
        (member("a/../../b"), "points outside"),
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "a link, a device or sparse"),
        (member("hard", tarfile.LNKTYPE, "x"), "a link, a device or sparse"),
        (member("fifo", tarfile.FIFOTYPE), "a link, a device or sparse"),
    ],
)
def test_archives_are_unpacked_safely(tmp_path: Path, info: tarfile.TarInfo, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(archive(tmp_path / "evil.tar.gz", info))
    assert list(tmp_path.iterdir()) == [tmp_path / "evil.tar.gz"]


def test_zip_slip(tmp_path: Path) -> None:
    place = tmp_path / "evil.zip"
    with zipfile.ZipFile(place, "w") as made:
        made.writestr("../../evil", b"x")
    with pytest.raises(InputError, match="points outside"):
        load(place)


def test_archive_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdsaudit.collect.files.MAX_BYTES", 10)
    info = member("big")
    info.size = 11
    with pytest.raises(InputError, match="GiB"):
        load(archive(tmp_path / "big.tar.gz", info))


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        ({}, InputError, "no snapshot.json"),
        ({"readme": b""}, InputError, "no snapshot.json"),
        ({"snapshot.json": b"{"}, InputError, "not JSON"),
        ({"snapshot.json": b"[]"}, FormatError, "names no format"),
        ({"snapshot.json": json.dumps({"format": "xdsaudit.snapshot/9"}).encode()}, FormatError, "upgrade xdsaudit"),
        ({"snapshot.json": json.dumps({"format": "other/1"}).encode()}, FormatError, "capture wrote"),
        (
            {"snapshot.json": json.dumps({"format": "xdsaudit.snapshot/1", "views": [{"name": "moon"}]}).encode()},
            InputError,
            "views",
        ),
    ],
)
def test_bad_snapshots(tmp_path: Path, files: dict[str, bytes], kind: type[Exception], said: str) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(kind, match=said):
        load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08broken", b"PK\x03\x04broken"])
def test_no_archive(tmp_path: Path, data: bytes) -> None:
    place = tmp_path / "a.tar.gz"
    place.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar\.gz"):
        load(place)


# --- whole or not at all ----------------------------------------------------------------------------------------------
def test_a_snapshot_that_does_not_hold_what_it_lists_is_refused(tmp_path: Path, recording) -> None:
    save(recording("batch-loss"), tmp_path / "whole")
    assert load(tmp_path / "whole").verified
    for damage, said in (
        (lambda f: f.unlink(), "is missing"),
        (lambda f: f.write_bytes(f.read_bytes()[:-1]), "differ from those"),
    ):
        place = tmp_path / said.replace(" ", "-")
        shutil.copytree(tmp_path / "whole", place)
        damage(next(f for f in sorted(place.rglob("*.pb"))))
        with pytest.raises(InputError, match=rf"is (incomplete|damaged): .*\.pb .*{said}"):
            load(place)


def test_what_is_not_listed_is_not_read(tmp_path: Path, recording) -> None:
    save(recording("batch-loss"), tmp_path / "whole")
    (tmp_path / "whole" / "kube" / "pods.json").write_bytes(b"{}")
    assert "pods" not in load(tmp_path / "whole").kube


def test_an_older_snapshot_is_read_and_said_to_be_unverified(recording) -> None:
    assert recording("batch-loss").verified is False
    assert any("not verified" in note for note in audit(recording("batch-loss")).notes)
    assert not any("not verified" in note for note in audit(replace(recording("batch-loss"), verified=True)).notes)


@pytest.mark.parametrize("ending", ["", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_save_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, recording, monkeypatch, ending: str, error: type[BaseException]
) -> None:
    place = tmp_path / f"incident{ending}"

    def interrupted(part: Path, *rest: object) -> None:
        _directory(part, {"snapshot.json": b"{}"})
        raise error

    _directory = files_on_disk._to_directory
    with monkeypatch.context() as broken:
        broken.setattr(files_on_disk, "_writer", lambda _: interrupted)
        with pytest.raises((error, InputError)):
            save(recording("batch-loss"), place)
    assert list(tmp_path.iterdir()) == []
    save(recording("batch-loss"), place)
    assert load(place).verified


def test_leftovers_of_a_process_that_was_killed_are_swept_away(tmp_path: Path, recording) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".incident.tar.gz.part-{gone.pid}"
    other = tmp_path / f".incident.tar.gz.part-{os.getppid()}"
    left.write_bytes(b"half")
    other.write_bytes(b"somebody is at it")
    save(recording("batch-loss"), tmp_path / "incident.tar.gz")
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, "incident.tar.gz"]


@pytest.mark.slow
def test_a_capture_that_is_killed_leaves_nothing_that_reads_as_a_snapshot(tmp_path: Path, recordings: Path) -> None:
    """At moments over the whole run, by signals that a handler sees and by one that none sees."""
    command = [sys.executable, "-m", "xdsaudit.cli.main", "capture", "--snapshot", str(recordings / "healthy-scoped")]
    began = time.monotonic()
    subprocess.run([*command, "-O", str(tmp_path / "timed")], check=False, capture_output=True)
    whole = time.monotonic() - began
    for number in range(int(os.environ.get("XDSAUDIT_KILLS", "8"))):
        place = tmp_path / f"{number}{('.tar.gz', '.zip', '')[number % 3]}"
        process = subprocess.Popen([*command, "-O", str(place)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * (0.3 + 0.7 * ((number * 0.618) % 1)))
        process.send_signal((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[number % 3])
        process.wait(timeout=20)
        if place.exists():
            assert load(place).verified


# --- hostile archives -------------------------------------------------------------------------------------------------
def _tar(*members: tarfile.TarInfo, **options: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", **options) as tar:  # type: ignore[call-overload]
        for each in members:
            tar.addfile(each, io.BytesIO(b"\0" * each.size) if each.isreg() else None)
    return out.getvalue()


def _claims(size: int) -> bytes:
    """A header that claims a size, and nothing behind it."""
    info = tarfile.TarInfo("kube/ingresses.json")
    info.size = size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)


def _extended(size: int, kind: bytes = tarfile.XHDTYPE) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    digits = b"9" * min(size, 60_000)
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + digits + b"\0" * (-len(digits) % 512) + b"\0" * 1024)


def _directories(count: int) -> bytes:
    folder = tarfile.TarInfo("d")
    folder.type = tarfile.DIRTYPE
    return gzip.compress(folder.tobuf(tarfile.USTAR_FORMAT) * count + b"\0" * 1024)


def _zip(edit: Callable[[bytearray], None] = lambda _: None, name: str = "snapshot.json", method: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr(name, b"{}" * 100)
    data = bytearray(out.getvalue())
    edit(data)
    return bytes(data)


def _poke(local: int, central: int, value: int) -> Callable[[bytearray], None]:
    def edit(data: bytearray) -> None:
        data[local] = value
        data[data.index(b"PK\x01\x02") + central] = value

    return edit


def _claimed(data: bytearray) -> None:
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (0xE0000000).to_bytes(4, "little")


SPARSE = Path(__file__).parent / "hostile" / "sparse.tar"
HOSTILE = {
    "sparse.tar": SPARSE.read_bytes,
    "huge.tar.gz": lambda: _claims(3 << 30),
    "cut.tar.gz": lambda: _claims(4096),
    "pax-3gib.tar.gz": lambda: _extended(3 << 30),
    "pax-digits.tar.gz": lambda: _extended(60_000),
    "long-name.tar.gz": lambda: _extended(60_000, tarfile.GNUTYPE_LONGNAME),
    "directories.tar.gz": lambda: _directories(200_000),
    "link.tar.gz": lambda: _tar(member("a", tarfile.SYMTYPE, "b")),
    "device.tar.gz": lambda: _tar(member("a", tarfile.CHRTYPE)),
    "absolute.tar.gz": lambda: _tar(member("/a")),
    "bomb.tar.gz": lambda: gzip.compress(b"\0" * (64 << 20)),
    "garbage.tar.xz": lambda: b"\xfd7zXZ\0" + b"\1" * 100,
    "half.tar.gz": lambda: _tar(member("a"))[:-20],
    "encrypted.zip": lambda: _zip(_poke(6, 8, 1)),
    "method.zip": lambda: _zip(_poke(8, 10, 97)),
    "version.zip": lambda: _zip(_poke(4, 6, 99)),
    "claims.zip": lambda: _zip(_claimed),
    "no-name.zip": lambda: _zip(name="/"),
    "parent.zip": lambda: _zip(name="../a"),
    "crc.zip": lambda: _zip(_poke(14, 16, 7)),
    "half.zip": lambda: _zip()[:-30],
    "empty.zip": lambda: b"PK\x05\x06" + b"\0" * 18,
    "text.tar.gz": lambda: b"# README",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_at_once(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.write_bytes(HOSTILE[name]())
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(InputError, match=rf"{re.escape(name)}|extended header"):
            load(place)
        assert time.process_time() - began < 5  # seconds of this process; each takes a fraction of one
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nothing")

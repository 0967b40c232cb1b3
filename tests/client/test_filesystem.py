"""Files in a real sandbox."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import (
    DaytonaConnectionError,
    DaytonaError,
    DaytonaFileNotFoundError,
    DaytonaNotFoundError,
    FileUpload,
)
from daytona_kernel.client.multipart import MultipartFiles
from tests.conftest import both_profiles

from .faulty_server import Exchange, FaultyServer, reply

if TYPE_CHECKING:
    from pathlib import Path


def test_bytes_make_the_round_trip(sandbox: Any) -> None:
    content = bytes(range(256)) * 1000
    for name in ("plain", "in/a folder/ü?&#.bin", 'quo"te'):
        sandbox.fs.upload_file(content, name)
        assert sandbox.fs.download_file(name) == content
    sandbox.fs.upload_file(b"", "empty")
    assert sandbox.fs.download_file("empty") == b""


def test_local_files_make_the_round_trip(sandbox: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3_000_000))
    sandbox.fs.upload_file(str(source), "there")
    assert sandbox.fs.download_file("there", str(target)) is None
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == source.stat().st_mode & 0o777
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_several_files_at_once(sandbox: Any) -> None:
    sandbox.fs.upload_files([FileUpload(b"1", "d/one"), FileUpload(b"22", "d/two")])
    entries = {entry.name: entry.size for entry in sandbox.fs.list_files("d")}
    assert entries == {"one": 1, "two": 2}


def test_upload_reports_progress(sandbox: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    reported: list[int] = []
    source.write_bytes(bytes(2_500_000))
    uploads = [FileUpload(str(source), "up/one"), FileUpload(b"", "up/two"), FileUpload(b"xyz", "up/3")]
    sandbox.fs.upload_files(uploads, on_progress=reported.append)
    assert reported[0] == 0
    assert reported == sorted(reported)
    assert reported[-1] == 2_500_003


def test_download_to_a_sink(sandbox: Any) -> None:
    class Pieces(list[bytes]):
        reset = list.clear
        write = list.append

    sandbox.fs.upload_file(bytes(2_500_000), "pieces")
    pieces = Pieces([b"old"])
    assert sandbox.fs.download_file("pieces", pieces) is None
    assert b"".join(pieces) == bytes(2_500_000)
    assert len(pieces) > 1


@both_profiles
def test_folders_moves_and_deletes(sandbox: Any) -> None:
    fs = sandbox.fs
    fs.create_folder("a/b", "0700")
    info = fs.get_file_info("a/b")
    assert info.is_dir
    assert info.permissions == "0700"
    fs.upload_file(b"x", "a/b/file")
    fs.move_files("a/b/file", "a/moved")
    assert [entry.name for entry in fs.list_files("a") if not entry.is_dir] == ["moved"]
    fs.delete_file("a/moved")
    with pytest.raises(DaytonaError):
        fs.delete_file("a")
    fs.delete_file("a", recursive=True)
    with pytest.raises(DaytonaNotFoundError):
        fs.get_file_info("a")


@both_profiles
def test_a_refusal_names_the_file(sandbox: Any, tmp_path: Path) -> None:
    for operation, *arguments in (
        (sandbox.fs.get_file_info, "/no"),
        (sandbox.fs.list_files, "/no"),
        (sandbox.fs.delete_file, "/no"),
        (sandbox.fs.move_files, "/no", "/tmp/x"),
        (sandbox.fs.download_file, "/no", str(tmp_path / "no")),
        (sandbox.fs.upload_file, b"x", "/proc/no/file"),
    ):
        with pytest.raises(DaytonaFileNotFoundError, match="/no"):
            operation(*arguments)


@both_profiles
def test_a_missing_file_leaves_nothing_behind(sandbox: Any, tmp_path: Path) -> None:
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.download_file("missing", str(tmp_path / "target"))
    with pytest.raises(FileNotFoundError):
        sandbox.fs.upload_file(str(tmp_path / "missing"), "x")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_is_repeated(
    faulty: FaultyServer, kind: str, tmp_path: Path, process: Any, no_pauses: list[float]
) -> None:
    from daytona_kernel.client.filesystem import AsyncFileSystem, FileSystem

    from .blocking import Blocking

    def half(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nwron")

    target = tmp_path / "target"
    api = process.toolbox_api
    fs: Any = FileSystem(api) if kind == "sync" else Blocking(AsyncFileSystem(api), process._portal)
    faulty.on("GET", "/files/download", half, reply(200, b"complete"))
    fs.download_file("x", str(target))
    assert target.read_bytes() == b"complete"
    faulty.on("GET", "/files/download", half)
    with pytest.raises(DaytonaConnectionError):
        fs.download_file("x", str(target))
    assert target.read_bytes() == b"complete"
    assert list(tmp_path.iterdir()) == [target]


def test_a_large_file_is_not_held_in_memory(sandbox: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(80_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sandbox.fs.upload_file(str(source), "large")
    sandbox.fs.download_file("large", str(target))
    assert target.stat().st_size == 80_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


def test_multipart_knows_its_length(tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"x" * 2_500_000)
    files = MultipartFiles([FileUpload(b"bytes", "a"), FileUpload(str(local), "ü"), FileUpload(b"", "e")])
    once, twice = b"".join(files.pieces()), b"".join(files.pieces())
    assert once == twice
    assert len(once) == files.length


def test_multipart_sends_the_size_that_it_announced(tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"x" * 1000)
    files = MultipartFiles([FileUpload(str(local), "a")])
    whole = b"".join(files.pieces())
    local.write_bytes(b"x" * 1000 + b"grown")
    assert b"".join(files.pieces()) == whole
    local.write_bytes(b"x" * 999)
    with pytest.raises(OSError, match="shrank during the upload"):
        b"".join(files.pieces())

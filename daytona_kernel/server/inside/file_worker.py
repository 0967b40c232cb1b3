"""The program that carries out a sandbox's file operations, in a fork of the sandbox's supervisor.

It runs inside, so a path means the same as for the sandbox's other children, a symbolic link cannot lead
out, and a slow disk does not block the server. It reads requests from the channel that is its stdin: four
bytes of length, then JSON. Its answers have the same form. To read or write a file, the server attaches a
socket to the request's length, and the content goes through that socket; so does the only answer to a write,
as JSON after the content. No descriptor leaves the sandbox. The program is one file, because the supervisor
gets it as text.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import fnmatch
import grp
import json
import os
import pwd
import shutil
import socket
import stat
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

LENGTH = struct.Struct("<I")
MAX_MATCHES = 10_000  # of a search
_MAX_TEXT_BYTES = 16 << 20  # larger files are not searched
_INLINE_BYTES = 64 << 10  # fits into the buffer of a new socket
_PIECE_BYTES = 128 << 10
_PROBE_BYTES = 8192  # a NUL byte among the first bytes means a binary file


def describe(path: str, name: str | None = None) -> dict[str, Any]:
    """Return what the API says of a file. `name` replaces the last part of its path."""
    about = os.stat(path)
    try:
        owner = pwd.getpwuid(about.st_uid).pw_name
    except KeyError:
        owner = str(about.st_uid)
    try:
        group = grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        group = str(about.st_gid)
    modified = time.gmtime(about.st_mtime)
    return {
        "name": name or os.path.basename(path) or "/",
        "path": path,
        "size": about.st_size,
        "mode": stat.filemode(about.st_mode),
        "permissions": f"{stat.S_IMODE(about.st_mode):04o}",
        "modTime": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", modified),
        "modifiedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", modified),
        "isDir": stat.S_ISDIR(about.st_mode),
        "owner": owner,
        "group": group,
    }


def info(path: str) -> dict[str, Any]:
    """Describe one file."""
    return describe(path)


def listing(path: str, depth: int) -> list[dict[str, Any]]:
    """Describe everything below `path` down to `depth`. The names are relative to `path`."""
    found = []
    levels = [(path, "", 1)]
    while levels:
        directory, prefix, level = levels.pop(0)
        for entry in sorted(os.listdir(directory)):
            below = os.path.join(directory, entry)
            try:
                about = describe(below, prefix + entry)
            except OSError:
                continue  # removed in the meantime, or a broken link
            found.append(about)
            if about["isDir"] and level < depth and not os.path.islink(below):
                levels.append((below, prefix + entry + "/", level + 1))
    return found


def folder(path: str, mode: int) -> None:
    """Create a directory and its parents."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)


def move(source: str, destination: str) -> None:
    """Move `source` to the new path `destination`, or into the directory `destination`."""
    os.lstat(source)
    if os.path.isdir(destination):
        destination = os.path.join(destination, os.path.basename(source.rstrip("/")))
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
    shutil.move(source, destination)


def delete(path: str, recursive: bool) -> None:
    """Delete a file; with `recursive`, also a directory."""
    if os.path.isdir(path) and not os.path.islink(path):
        if not recursive:
            raise IsADirectoryError(errno.EISDIR, "is a directory; set recursive to delete it", path)
        shutil.rmtree(path)
    else:
        os.unlink(path)


def permissions(path: str, mode: int | None, owner: str, group: str) -> None:
    """Change those of mode, owner and group that are not None or empty."""
    if mode is not None:
        os.chmod(path, mode)
    if owner or group:
        try:
            if owner:
                shutil.chown(path, user=owner)
            if group:
                shutil.chown(path, group=group)
        except LookupError as error:
            raise OSError(errno.EINVAL, str(error), path) from None


def files_below(path: str) -> Iterator[str]:
    """Yield the file `path`, or all files below the directory `path`."""
    if os.path.isfile(path):
        yield path
        return
    if not os.path.isdir(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    for directory, directories, names in os.walk(path):
        directories.sort()
        for name in sorted(names):
            yield os.path.join(directory, name)


def read_text(path: str) -> str | None:
    """Return the text of a regular file. Return None for other, binary and large files."""
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_TEXT_BYTES:
        return None
    with open(path, "rb") as file:
        data = file.read()
    return None if b"\0" in data[:_PROBE_BYTES] else data.decode("utf-8", "surrogateescape")


def find(path: str, pattern: str) -> list[dict[str, Any]]:
    """Return the lines that contain the text `pattern`, from all text files below `path`."""
    found: list[dict[str, Any]] = []
    for name in files_below(path):
        try:
            text = read_text(name)
        except OSError:
            continue
        for number, line in enumerate(text.splitlines() if text else (), 1):
            if pattern in line:
                found.append({"file": name, "line": number, "content": line})
                if len(found) == MAX_MATCHES:
                    return found
    return found


def search(path: str, pattern: str) -> dict[str, list[str]]:
    """Return the files and directories below `path` whose names match the glob `pattern`."""
    found: list[str] = []
    if not os.path.isdir(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    for directory, directories, names in os.walk(path):
        directories.sort()
        matching = fnmatch.filter(sorted(directories + names), pattern)
        found += [os.path.join(directory, name) for name in matching]
        if len(found) >= MAX_MATCHES:
            break
    return {"files": found[:MAX_MATCHES]}


def replace(files: list[str], pattern: str, value: str) -> list[dict[str, Any]]:
    """Replace the text `pattern` with `value` in each of `files`. Return the result for each."""
    results: list[dict[str, Any]] = []
    for path in files:
        try:
            replace_in_file(path, pattern, value)
            results.append({"file": path, "success": True})
        except OSError as error:
            results.append({"file": path, "success": False, "error": error.strerror})
    return results


def replace_in_file(path: str, pattern: str, value: str) -> None:
    """Replace the text `pattern` with `value` in one text file."""
    text = read_text(path)
    if text is None:
        raise OSError(errno.EINVAL, "not a text file", path)
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text.replace(pattern, value))


def open_file(path: str, write: bool, mode: int = 0o644) -> int:
    """Open a regular file. For writing, create its directory and empty it."""
    if write:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT
    else:
        flags = os.O_RDONLY
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, "not a regular file", path)
    if write:
        os.ftruncate(fd, 0)
    return fd


OPERATIONS: dict[str, Callable[..., Any]] = {
    "info": info,
    "listing": listing,
    "folder": folder,
    "move": move,
    "delete": delete,
    "permissions": permissions,
    "find": find,
    "search": search,
    "replace": replace,
}


def read_file(data: socket.socket, path: str) -> int:
    """Send the content of the regular file `path` to the socket `data`. Return its size before that."""
    fd = open_file(path, write=False)
    size = os.fstat(fd).st_size
    if size <= _INLINE_BYTES:
        send_content(data, fd, size)  # the socket's buffer takes it, so this does not wait
    else:
        _thread.start_new_thread(send_content, (data, fd, size))
    return size


def send_content(data: socket.socket, fd: int, size: int) -> None:
    """Send up to `size` bytes of a file, and close both descriptors."""
    with data, contextlib.suppress(OSError):
        try:
            position = 0
            while sent := os.sendfile(data.fileno(), fd, position, size - position):
                position += sent
        finally:
            os.close(fd)


def write_file(data: socket.socket, path: str) -> None:
    """Write what comes from the socket `data` to the file `path`, answer there, and close the socket."""
    with data, contextlib.suppress(OSError):
        try:
            fd = open_file(path, write=True)
            try:
                receive_content(data, fd)
            finally:
                os.close(fd)
            answer: dict[str, Any] = {"result": None}
        except (OSError, ValueError) as error:
            answer = failure(error, path)
        data.sendall(encode(answer))


def receive_content(data: socket.socket, fd: int) -> None:
    """Write everything that comes to a file."""
    buffer = memoryview(bytearray(_PIECE_BYTES))
    while count := data.recv_into(buffer, 0, socket.MSG_WAITALL):
        piece = buffer[:count]
        while piece:
            piece = piece[os.write(fd, piece) :]


def failure(error: Exception, path: str = "") -> dict[str, Any]:
    """Return the answer for an error."""
    if not isinstance(error, OSError):  # such as a path with a NUL byte
        return {"errno": errno.EINVAL, "reason": str(error), "path": ""}
    path = error.filename if isinstance(error.filename, str) else path
    return {"errno": error.errno or errno.EIO, "reason": error.strerror or str(error), "path": path}


def encode(answer: dict[str, Any]) -> bytes:
    """Return an answer as JSON."""
    return json.dumps(answer).encode("utf-8", "backslashreplace")


def receive(channel: socket.socket, size: int) -> bytes:
    """Return exactly `size` bytes. Raises `EOFError` if the server closes the channel."""
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(channel: socket.socket) -> None:
    """Answer requests until the server closes the channel."""
    os.umask(0o022)
    while True:
        length, fds, _, _ = socket.recv_fds(channel, LENGTH.size, 1, socket.MSG_CMSG_CLOEXEC)
        if not length:
            return
        length += receive(channel, LENGTH.size - len(length))
        name, arguments = json.loads(receive(channel, LENGTH.unpack(length)[0]))
        data = socket.socket(fileno=fds[0]) if fds else None
        if name == "write":
            _thread.start_new_thread(write_file, (data, *arguments.values()))
            continue
        try:
            if data is not None:
                answer: dict[str, Any] = {"result": read_file(data, **arguments)}
            else:
                answer = {"result": OPERATIONS[name](**arguments)}
        except (OSError, ValueError, OverflowError, RecursionError) as error:
            if data is not None:
                data.close()
            answer = failure(error)
        body = encode(answer)
        channel.sendall(LENGTH.pack(len(body)) + body)


if __name__ == "__main__":
    with contextlib.suppress(EOFError, OSError):
        serve(socket.socket(fileno=0))

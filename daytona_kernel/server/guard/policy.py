"""What a sandbox in a Landlock domain may connect to and change."""

from __future__ import annotations

import contextlib
import ipaddress
import os

from ..inside.supervisor import alive_below

_LISTENING = "0A"
NAME_SERVICE = 53


class Policy:
    """Which addresses the sandbox reaches.

    directories: its own, for files and unix sockets. kind, allowed: as of `Network`. refused: networks.
    name_servers: of the machine. Others answer for them.
    """

    def __init__(
        self,
        directories: list[str],
        kind: str,
        allowed: list[str] | None,
        refused: list[str],
        name_servers: list[str],
    ) -> None:
        self._directories = tuple(f"{each}/" for each in directories)
        self._kind = kind
        self._allowed = None if allowed is None else [ipaddress.ip_network(each) for each in allowed]
        self._refused = [ipaddress.ip_network(each) for each in refused]
        self.name_servers = [(each, NAME_SERVICE) for each in name_servers if kind == "own"]

    def owns(self, descriptor: int) -> bool:
        """Return whether the sandbox may change the file or directory."""
        return f"{os.readlink(f'/proc/self/fd/{descriptor}')}/".startswith(self._directories)

    def allows(self, host: str, port: int, first: int) -> bool:
        """Return whether a connection is allowed. `first` is the sandbox's first process."""
        if self._kind == "host":
            return True
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address.is_loopback or address.is_unspecified:
            return only_the_sandbox_listens(port, first)
        if self._kind != "own" or address.is_link_local or address.is_multicast:
            return False
        if any(address in network for network in self._refused):
            return False
        return self._allowed is None or any(address in network for network in self._allowed)


def only_the_sandbox_listens(port: int, first: int) -> bool:
    """Return whether all listeners on `port` of this machine are of the sandbox, and there is one."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{table}", encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue  # a machine without IPv6
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return bool(inodes) and inodes <= _open_files(first)


def _open_files(first: int) -> set[str]:
    found = set()
    for pid in alive_below([first]):
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return found


def is_below(task: int, first: int) -> bool:
    """Return whether `task` is the process `first` or a descendant of it. Raises `OSError`."""
    while task > 1:
        with open(f"/proc/{task}/status", "rb") as file:
            lines = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
        if int(lines[b"Tgid"]) == first:
            return True
        task = int(lines[b"PPid"])
    return False

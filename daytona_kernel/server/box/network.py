"""The network of isolated boxes: each has its own namespace, which slirp4netns connects to the internet.

From inside, this machine cannot be reached: not its loopback, not its abstract sockets, not its other
addresses, and not the addresses from which clouds hand out credentials. slirp4netns is a TCP/IP stack in a
process without privileges. The server reaches the ports of a box through sockets that the box's supervisor
makes inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...wire.conventions import NETWORK_VARIABLE
from .. import limits
from . import network_routes
from .python_environment import base_python
from .supervisor_client import supervisors

if TYPE_CHECKING:
    from io import FileIO

NETWORKS = ("auto", "preferred", "host", "none")

_STACK = "slirp4netns"
_DEVICE = "tap0"
_ADDRESS, _GATEWAY, _NAME_SERVER = "10.0.2.100/24", "10.0.2.2", "10.0.2.3"  # slirp4netns' own defaults
_TUN = "/dev/net/tun"
_LINK_LOCAL = "169.254.0.0/16"  # clouds hand out the machine's credentials here
_NS_GET_USERNS = 0xB701
_CHILD = re.compile(rb'"child-pid": (\d+)\D')
_CHILD_BYTES = 4096
_LOCAL_ADDRESS = re.compile(r"\|-- (\S+)\n\s*/32 host LOCAL")


@dataclass(frozen=True, slots=True)
class Network:
    """The hosts that an isolated box reaches.

    `kind` is `own`: the internet and not this machine; `none`: only itself; or `host`: everything that this
    machine reaches. `reason` says, as a clause, why this machine cannot give the box its own network.
    `allowed` are the only networks that a box of kind `own` reaches, such as `192.0.2.0/24`; `None` means
    all.
    """

    kind: str
    reason: str = ""
    allowed: tuple[str, ...] | None = None

    @property
    def options(self) -> list[str]:
        """The options of bubblewrap that concern the network."""
        return [] if self.kind == "host" else ["--unshare-net"]

    def narrowed(self, *, block_all: bool, allow_list: str | None) -> Network:
        """Return the network of a sandbox that was created with these wishes.

        Raises `ValueError` for a list that is not valid, or that this machine cannot enforce.
        """
        if not block_all and allow_list is None:
            return self
        if self.kind == "host":
            raise ValueError(
                "sandboxes share the network of this machine, so it cannot be restricted for one of them; "
                f"unset {NETWORK_VARIABLE}"
            )
        if block_all:
            return Network("none")
        return replace(self, allowed=_parse_networks(allow_list or ""))


def choose_network(wanted: str) -> Network:
    """Return the network of this server's boxes. Raises `ValueError` if `wanted` is not in `NETWORKS`."""
    if wanted not in NETWORKS:
        raise ValueError(f"use {', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}")
    if wanted in ("host", "none"):
        return Network(wanted)
    otherwise = "host" if wanted == "preferred" else "none"
    if shutil.which(_STACK) is None:
        return Network(otherwise, f"{_STACK} is not installed (sudo apt install {_STACK})")
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return Network(otherwise, f"{_TUN} is not open for this user (sudo chmod 666 {_TUN})")
    return Network("own")


def _parse_networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.IPv4Network(each.strip(), strict=False)) for each in text.split(","))
    except ValueError as error:
        raise ValueError(f"networkAllowList: {error}; use IPv4 networks such as 192.0.2.0/24") from None


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine, without its loopback."""
    try:
        found = _LOCAL_ADDRESS.findall(Path("/proc/net/fib_trie").read_text())
    except OSError:
        return []
    return [each for each in dict.fromkeys(found) if not each.startswith("127.")]


def own_networks() -> list[str]:
    """Return the addresses of this machine, without its loopback, and those of clouds' credentials."""
    found = [*own_addresses(), _LINK_LOCAL]
    with contextlib.suppress(OSError):
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
        found += [str(ipaddress.IPv6Address(int(line.split()[0], 16))) for line in lines]
    return found


def name_servers() -> list[str]:
    """Return the addresses of this machine's name servers."""
    lines = []
    with contextlib.suppress(OSError):
        lines = Path("/etc/resolv.conf").read_text(errors="replace").splitlines()
    return [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]


def resolver_configuration() -> str:
    """Return the `resolv.conf` of a box of kind `own`: the stack's name server, which asks this machine's."""
    lines = []
    with contextlib.suppress(OSError):
        lines = Path("/etc/resolv.conf").read_text(errors="replace").splitlines()
    kept = [line for line in lines if line.startswith(("search", "domain", "options"))]
    return "\n".join([f"nameserver {_NAME_SERVER}", *kept, ""])


class NetworkStack:
    """A running slirp4netns. It ends with `close`, and also when this process is killed."""

    def __init__(self, process: subprocess.Popen[bytes], hold: int) -> None:
        self._process = process
        self._hold = hold  # the stack ends when this descriptor is closed

    @classmethod
    async def start(cls, child: FileIO, network: Network, log: int) -> NetworkStack:
        """Connect the network namespace of the process about which bubblewrap writes to `child`.

        `log` is a descriptor for errors. Raises `RuntimeError` if that fails, or takes too long.
        """
        pid = await asyncio.to_thread(_read_child, child)
        with contextlib.ExitStack() as opened:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, namespace)
            owner = fcntl.ioctl(namespace, _NS_GET_USERNS)
            opened.callback(os.close, owner)
            ready, made = os.pipe()
            opened.callback(os.close, ready)
            opened.callback(os.close, made)
            held, hold = os.pipe()
            opened.callback(os.close, held)
            stack = cls(
                _start(_stack_command(owner, namespace, made, held), [owner, namespace, made, held], log),
                hold,
            )
            routes = _start(_routes_command(owner, namespace, ready, network), [owner, namespace, ready], log)
        try:
            status = await asyncio.to_thread(routes.wait, limits.NETWORK_START_TIMEOUT)
        except subprocess.TimeoutExpired:
            routes.kill()
            status = await asyncio.to_thread(routes.wait)
        except asyncio.CancelledError:
            await stack.close()
            raise
        finally:
            supervisors.discard(routes.pid)
        if status != 0:
            await stack.close()
            raise RuntimeError(
                "the sandbox's network could not be connected. Run the cell again; if that does not help, "
                f"set {NETWORK_VARIABLE} to none or host"
            )
        return stack

    async def close(self) -> None:
        """End the stack. Return when it has ended."""
        hold, self._hold = self._hold, -1
        if hold < 0:
            return
        os.close(hold)
        try:
            await asyncio.to_thread(self._process.wait, limits.NETWORK_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        finally:
            supervisors.discard(self._process.pid)


def _read_child(child: FileIO) -> int:
    """Return the process id that bubblewrap writes. Raises `RuntimeError` if it ends without that."""
    text = b""
    while (found := _CHILD.search(text)) is None:
        more = child.read(_CHILD_BYTES)
        if not more:
            raise RuntimeError("the sandbox's supervisor did not start")
        text += more
    return int(found[1])


def _stack_command(owner: int, namespace: int, made: int, held: int) -> list[str]:
    command = [shutil.which(_STACK) or _STACK, "--mtu=65520", "--disable-host-loopback"]
    command += ["--enable-seccomp", f"--exit-fd={held}", f"--ready-fd={made}"]
    if os.getuid() == 0:
        command.append("--enable-sandbox")  # it needs root's group in the namespace
    namespaces = [f"--userns-path=/proc/self/fd/{owner}", "--netns-type=path", f"/proc/self/fd/{namespace}"]
    return [*command, *namespaces, _DEVICE]


def _routes_command(owner: int, namespace: int, ready: int, network: Network) -> list[str]:
    return [
        *(base_python(), "-I", "-S", network_routes.__file__, str(owner), str(namespace), str(ready)),
        *(_DEVICE, _ADDRESS, _GATEWAY, ",".join([*own_addresses(), _LINK_LOCAL])),
        "-" if network.allowed is None else ",".join(network.allowed),
    ]


def _start(command: list[str], inherited: list[int], log: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, pass_fds=inherited, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={}, cwd="/"
    )
    supervisors.add(process.pid)
    return process

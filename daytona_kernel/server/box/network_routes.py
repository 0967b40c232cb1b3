"""A program that configures a box's network namespace, and then ends.

Usage: `python -I -S network_routes.py USER NETWORK READY DEVICE ADDRESS GATEWAY REFUSED ALLOWED`. USER and
NETWORK are descriptors of the namespaces. READY is a pipe that has a byte when the network device is there.
The device gets ADDRESS and the route through GATEWAY. REFUSED and ALLOWED are networks such as
`192.0.2.0/24`, separated by commas. Nothing reaches a refused network. With ALLOWED other than `-`, nothing
reaches any network but those.

It does not touch the loopback device, which bubblewrap configures at the same time. It imports only small
modules, because the start of a sandbox waits for it.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# `socket` takes longer to import than all the rest of this program.
from _socket import AF_INET, AF_NETLINK, SOCK_RAW, if_nametoindex, inet_aton, socket

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_NEWROUTE = 16, 20, 24
_REQUEST_ACK, _CREATE = 0x5, 0x400
_DESTINATION, _INTERFACE, _GATEWAY = 1, 4, 5  # attributes of a route
_PEER, _LOCAL = 1, 2  # of an address
_MTU = 4  # of a link
_MAIN_TABLE, _STATIC = 254, 4
_UNICAST, _PROHIBIT = 1, 8
_IS_UP = 1
_MTU_BYTES = 65520  # as of slirp4netns
_ERROR = 2


def enter(user: int, network: int) -> None:
    """Enter both namespaces. The process has every capability inside them, and no additional one outside."""
    libc = ctypes.CDLL(None, use_errno=True)
    for descriptor, kind in ((user, _CLONE_NEWUSER), (network, _CLONE_NEWNET)):
        if libc.setns(descriptor, kind) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute. Each of ours has four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value


def split(text: str) -> tuple[bytes, int]:
    """Return the address of `text`, and the length of its network; 32 for an address alone."""
    address, _, length = text.partition("/")
    return inet_aton(address), int(length or 32)


def request(kind: int, body: bytes, about: str) -> None:
    """Send a request to the kernel. Raises `OSError` if it refuses."""
    netlink = socket(AF_NETLINK, SOCK_RAW, 0)
    flags = _REQUEST_ACK | _CREATE
    netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    answer = netlink.recv(4096)
    netlink.close()
    error = -struct.unpack_from("=i", answer, 16)[0]
    if struct.unpack_from("=H", answer, 4)[0] == _ERROR and error:
        raise OSError(error, os.strerror(error), about)


def add_route(destination: str, kind: int, attributes: bytes = b"") -> None:
    """Add the route to `destination`, a network or an address. Raises `OSError`."""
    address, length = split(destination)
    head = struct.pack("=BBBBBBBBI", AF_INET, length, 0, 0, _MAIN_TABLE, _STATIC, 0, kind, 0)
    request(_RTM_NEWROUTE, head + attribute(_DESTINATION, address) + attributes, destination)


def start_device(index: int, address: str) -> None:
    """Give a network device its address, and set it up. Raises `OSError`."""
    local, length = split(address)
    head = struct.pack("=BBBBI", AF_INET, length, 0, 0, index)
    request(_RTM_NEWADDR, head + attribute(_LOCAL, local) + attribute(_PEER, local), address)
    head = struct.pack("=BBHiII", 0, 0, 0, index, _IS_UP, _IS_UP)
    request(_RTM_NEWLINK, head + attribute(_MTU, struct.pack("=I", _MTU_BYTES)), address)


def main() -> None:
    """Configure the namespace. The refused networks come first, so that they are never reached."""
    user, network, ready = map(int, sys.argv[1:4])
    device, address, gateway, refused, allowed = sys.argv[4:]
    enter(user, network)
    for destination in filter(None, refused.split(",")):
        add_route(destination, _PROHIBIT)
    if not os.read(ready, 1):
        sys.exit("the network device was not made")
    index = if_nametoindex(device)
    start_device(index, address)
    through = attribute(_GATEWAY, inet_aton(gateway)) + attribute(_INTERFACE, struct.pack("=I", index))
    for destination in filter(None, ("0.0.0.0/0" if allowed == "-" else allowed).split(",")):
        add_route(destination, _UNICAST, through)


if __name__ == "__main__":
    main()

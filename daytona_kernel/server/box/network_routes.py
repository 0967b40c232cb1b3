"""A program that sets the routes of a box's network namespace, and then ends.

Usage: `python -I -S network_routes.py USER NETWORK READY DEVICE GATEWAY REFUSED ALLOWED`. USER and NETWORK
are descriptors of the namespaces. READY is a pipe that has a byte when the network device is there. REFUSED
and ALLOWED are networks such as `192.0.2.0/24`, separated by commas. Nothing reaches a refused network.
Unless ALLOWED is `-`, nothing reaches any other network. It imports only small modules, because the start of
a sandbox waits for it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_REQUEST_ACK, _CREATE = 0x5, 0x400
_DESTINATION, _INTERFACE, _GATEWAY = 1, 4, 5
_MAIN_TABLE, _STATIC, _ANY_SCOPE = 254, 4, 255
_ANY, _UNICAST, _PROHIBIT = 0, 1, 8
_ERROR = 2


def enter(user: int, network: int) -> None:
    """Enter both namespaces. The process has every capability inside them, and no additional one outside."""
    libc = ctypes.CDLL(None, use_errno=True)
    for descriptor, kind in ((user, _CLONE_NEWUSER), (network, _CLONE_NEWNET)):
        if libc.setns(descriptor, kind) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute of a route. Each of ours has four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value


def change(kind: int, destination: str, route_type: int, attributes: bytes = b"") -> None:
    """Add or remove the route to `destination`, a network or an address. Raises `OSError`."""
    address, _, length = destination.partition("/")
    adding = kind == _RTM_NEWROUTE
    # A removal that names no scope, type and protocol finds a route with any.
    scope, protocol = (0, _STATIC) if adding else (_ANY_SCOPE, 0)
    fields = (int(length or 32), 0, 0, _MAIN_TABLE, protocol, scope, route_type, 0)
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, *fields)
    body = head + attribute(_DESTINATION, socket.inet_aton(address)) + attributes
    flags = _REQUEST_ACK | (_CREATE if adding else 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = netlink.recv(4096)
    error = -struct.unpack_from("=i", answer, 16)[0]
    if struct.unpack_from("=H", answer, 4)[0] == _ERROR and error:
        raise OSError(error, os.strerror(error), destination)


def main() -> None:
    """Set the routes."""
    user, network, ready = map(int, sys.argv[1:4])
    device, gateway, refused, allowed = sys.argv[4:]
    enter(user, network)
    for destination in filter(None, refused.split(",")):
        change(_RTM_NEWROUTE, destination, _PROHIBIT)
    if not os.read(ready, 1):
        sys.exit("the network device was not made")
    if allowed != "-":
        through = attribute(_GATEWAY, socket.inet_aton(gateway))
        through += attribute(_INTERFACE, struct.pack("=I", socket.if_nametoindex(device)))
        change(_RTM_DELROUTE, "0.0.0.0/0", _ANY)
        for destination in filter(None, allowed.split(",")):
            change(_RTM_NEWROUTE, destination, _UNICAST, through)


if __name__ == "__main__":
    main()

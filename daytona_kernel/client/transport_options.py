"""The options of a transport: proxies, certificate authorities, keepalive and timeouts.

HTTP and websockets use the proxies (HTTPS_PROXY, NO_PROXY, …) and the certificate authorities (SSL_CERT_FILE,
SSL_CERT_DIR, `verify`) of the environment. Loopback is never proxied.
"""

from __future__ import annotations

import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpx

from .. import known_secrets
from .._version import __version__
from ..known_secrets import passwords_in
from ..wait_limit import limited
from ..wire.addresses import is_loopback
from .transport_errors import CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USER_AGENT = f"daytona-kernel/{__version__}"
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)

# A command may be silent for an hour. The probes keep the connection alive in firewalls and NATs,
# and detect a server that is gone.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 45),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)

# Seconds between two pings of a websocket, and until the answer to one must have come.
_PING_SECONDS = limited(20.0)

# websockets logs handshakes with their headers, which contain the key.
_silent = logging.getLogger("daytona_kernel.websocket")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.setLevel(logging.CRITICAL)


class TransportOptions:
    """The options that httpx and websockets take for a URL.

    verify: as in httpx: True, False, or an ssl.SSLContext.
    """

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        self._verify = verify
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context. It is created on first use: reading the authorities takes 20 ms."""
        if self._context is None:
            self._context = httpx.create_ssl_context(verify=self._verify)
        return self._context

    def http(self, url: httpx.URL) -> dict[str, Any]:
        """Return the options of the httpx transport for the host of a URL.

        httpx reads proxies from the environment only for a client whose transport it creates itself,
        and such a transport sets no socket options.
        """
        # A client for http gets a context that trusts nobody.
        context = self.context if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return {
            "verify": context,
            "limits": _LIMITS,
            "proxy": proxy_for(url),
            "socket_options": _KEEPALIVE,
        }

    def websocket(
        self, url: httpx.URL, headers: Mapping[str, str], subprotocols: Sequence[str]
    ) -> dict[str, Any]:
        """Return the options of the websocket to a URL."""
        secure = url.scheme in ("wss", "https")
        return {
            "additional_headers": dict(headers),
            "subprotocols": list(subprotocols) or None,
            "user_agent_header": USER_AGENT,
            "ssl": self.context if secure else None,
            "proxy": None if is_loopback(url.host) else True,
            "compression": None,
            "max_size": None,
            "open_timeout": CONNECT_SECONDS,
            "ping_interval": _PING_SECONDS,
            "ping_timeout": _PING_SECONDS,
            "close_timeout": 1,
            "logger": _silent,
        }


def proxy_for(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL, as websockets finds it; None for none."""
    host = url.netloc.decode("ascii")
    if is_loopback(url.host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    known_secrets.add(*passwords_in(proxy or ""))
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy

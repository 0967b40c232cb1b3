"""Where the API key may go: to the API's own host, and to the toolboxes that the API names.

An API at https leads to no http. Daytona's own API may name hosts of Daytona. It may also name the hosts that
the person lists, because an organization may have a region with its own hosts. Another server is the
person's own choice, and may name any host.
"""

from __future__ import annotations

import httpx

from ..errors import DaytonaConnectionError
from ..settings.resolution import value
from ..settings.table import TABLE
from .transport import websocket_url

_DAYTONA = "daytona.io"


def require_tls(api_url: str, url: str) -> None:
    """Raise DaytonaConnectionError if the API is at https and `url`, which it has named, is not."""
    if _is_secure(api_url) and not _is_secure(url):
        raise DaytonaConnectionError(
            f"The API at {_host(api_url)} names an address without encryption for this sandbox, "
            f"at {_host(url)}. Nothing was sent there, because anyone on the way could read it.",
            permanent=True,
        )


def require_trusted(api_url: str, toolbox_url: str) -> None:
    """Raise DaytonaConnectionError if the API key may not be sent to `toolbox_url`."""
    require_tls(api_url, toolbox_url)
    host = _host(toolbox_url)
    listed = [each.lower() for each in value("toolbox_hosts") or ()]
    if _is_daytonas(_host(api_url)) and not _is_daytonas(host) and host not in listed:
        raise DaytonaConnectionError(
            f"Daytona says that the toolbox of this sandbox is at {host}, which is not a host of {_DAYTONA}. "
            f"The API key was not sent there. If it is your organization's own region, set "
            f"{TABLE['toolbox_hosts'].variable}={host}.",
            permanent=True,
        )


def _is_secure(url: str) -> bool:
    return websocket_url(url).startswith("wss://")


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return ""


def _is_daytonas(host: str) -> bool:
    return f".{host}".endswith(f".{_DAYTONA}")

"""The settings of the server that its sandboxes inherit: language, width, network, pip, uv, npm.

A setting may carry credentials: a proxy has a user, an index has a token in its path. So each value is
parsed, and a value with anything unknown in it is not passed on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PROXY_SCHEMES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}
# The words that the paths of indexes are made of, in the products that serve them. A token is none of these.
_INDEX_WORD = re.compile(
    r"api|artifactory|content|cpu|cu\d{2,3}|dev|file|group|groups|index|local|main|mirror|mirrors|nexus|npm|packages"
    r"|prod|proxy|public|pypi|python|release|releases|remote|repo|repositories|repository|root|simple|snapshots|stable"
    r"|v\d|web|wheels|whl|"
)
_LOCAL_INDEX = re.compile("INDEX(?:_URL)?$|REGISTRY$")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_HOST_PATTERN = re.compile(r"[A-Za-z0-9.*:/_\[\]-]+")
_PLAIN = re.compile(r"[\w.@/,:+-]*", re.ASCII)


def inherited_settings(own: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the environment `own` that children inherit.

    A list loses the entries that may carry credentials. A variable without entries is left out.
    """
    found = {}
    for name, value in own.items():
        rule = _RULES.get(name) or _RULES.get(name.upper() if name.endswith("_proxy") else "")
        if rule is None and re.fullmatch("LC_[A-Z]+", name):
            rule = _PLAIN_TEXT
        if rule is not None:
            separator, is_harmless = rule
            entries = value.split(separator) if separator is None or separator else [value]
            kept = [entry for entry in entries if is_harmless(entry.strip())]
            if kept:
                found[name] = (separator or " ").join(kept)
    return found


def without_local_indexes(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings without indexes in directories of this machine, which isolated sandboxes lack."""
    found = dict(settings)
    for name in filter(_LOCAL_INDEX.search, settings):
        kept = [entry for entry in settings[name].split() if not entry.startswith(("/", "file:"))]
        found[name] = " ".join(kept)
        if not kept:
            del found[name]
    return found


def is_public_index(url: str) -> bool:
    """Return whether a URL or path of an index carries no credentials.

    It may have a scheme, a host, a port and the usual words of such paths. A path of this machine may have
    any words.
    """
    parts = _split(url)
    if parts is None:
        return False
    scheme, host, path = parts
    if scheme in ("", "file"):
        return not host and url.removeprefix("file://").startswith("/")
    words = re.split(r"[/_.+-]", path.lower())
    return scheme in ("http", "https") and bool(host) and all(map(_INDEX_WORD.fullmatch, words))


def is_public_proxy(url: str) -> bool:
    """Return whether the address of a proxy carries no credentials. It may lack the scheme."""
    parts = _split(url if "://" in url else f"http://{url}")
    return parts is not None and parts[0] in _PROXY_SCHEMES and bool(parts[1]) and parts[2] in ("", "/")


def _split(url: str) -> tuple[str, str, str] | None:
    """Return scheme, host and path of a URL; None if it has anything else, or is not a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host, _, digits = parts.netloc.rpartition(":") if port is not None else (parts.netloc, "", "")
    if host and not _HOST.fullmatch(host):
        return None
    rebuilt = f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.scheme else parts.path
    if url.lower() != rebuilt.lower() or (digits and not digits.isdecimal()):
        return None  # it has a query or a fragment
    return parts.scheme, host, parts.path


def _is_host_list(value: str) -> bool:
    return _HOST_PATTERN.fullmatch(value) is not None


def _is_plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None


def _is_size(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", value) is not None


def _is_path(value: str) -> bool:
    return value.startswith("/")


# What separates the entries of a list (None for white space, "" for no list), and the check of an entry.
_Rule = tuple[str | None, "Callable[[str], bool]"]
_PLAIN_TEXT: _Rule = ("", _is_plain)
_PIP_SWITCHES = [
    *("TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES", "RESUME_RETRIES", "NO_INDEX", "DISABLE_PIP_VERSION_CHECK"),
    *("PREFER_BINARY", "ONLY_BINARY", "NO_BINARY", "PRE", "NO_CACHE_DIR", "PROGRESS_BAR", "NO_COLOR"),
    *("NO_COMPILE", "UPGRADE_STRATEGY", "REQUIRE_HASHES", "ROOT_USER_ACTION"),
]
_NPM_SWITCHES = [
    *("STRICT_SSL", "FUND", "AUDIT", "UPDATE_NOTIFIER", "SAVE_EXACT", "ENGINE_STRICT", "LEGACY_PEER_DEPS"),
    *("FETCH_RETRIES", "FETCH_TIMEOUT", "PREFER_OFFLINE"),
]
_CERTIFICATES = [
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("PIP_CERT", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE", "GIT_SSL_CAINFO"),
]
_INDEXES = [
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "NPM_CONFIG_REGISTRY"),
    *("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"),
]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(["LANG", "LANGUAGE", "TZ"], _PLAIN_TEXT),
    **dict.fromkeys(["COLUMNS", "LINES"], ("", _is_size)),
    **{f"PIP_{name}": _PLAIN_TEXT for name in _PIP_SWITCHES},
    **{f"NPM_CONFIG_{name}": _PLAIN_TEXT for name in _NPM_SWITCHES},
    **dict.fromkeys(_CERTIFICATES, ("", _is_path)),
    **dict.fromkeys(["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT"], (None, _is_path)),
    **dict.fromkeys(_INDEXES, (None, is_public_index)),
    **dict.fromkeys(
        [
            *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "PIP_PROXY"),
            *("NPM_CONFIG_PROXY", "NPM_CONFIG_HTTPS_PROXY"),
        ],
        ("", is_public_proxy),
    ),
    "PIP_TRUSTED_HOST": (None, _is_host_list),
    "NO_PROXY": (",", _is_host_list),
    "NPM_CONFIG_NOPROXY": (",", _is_host_list),
}

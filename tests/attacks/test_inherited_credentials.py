"""Settings of the notebook's machine that carry credentials. No sandbox gets them, in any form."""

from __future__ import annotations

import pytest

from daytona_kernel.server.box.inherited import inherited_settings
from tests.server.conftest import make_toolbox, start_embedded

SECRET = "SECRETTOKEN"

HOSTILE = {
    "HTTP_PROXY": [
        f"http://user:{SECRET}@proxy:3128",
        f"http://{SECRET}@proxy:3128",
        f"user:{SECRET}@proxy:3128",
        f"{SECRET}@proxy",
        f"http://u:SEC/{SECRET}@proxy:3128",
        f"u:SEC/{SECRET}@proxy:3128",
        f"http://u:a#{SECRET}@proxy:3128",
        f"http://u:a?{SECRET}@proxy:3128",
        f"http://proxy:3128/{SECRET}",
        f"http://proxy:3128/?token={SECRET}",
        f"http://proxy:3128#{SECRET}",
        f"//user:{SECRET}@proxy:3128",
        f"socks5h://u:{SECRET}@proxy:1080",
        f"http:\\\\user:{SECRET}@proxy",
        f"http://proxy:{SECRET}",
        f"{SECRET}://proxy",
    ],
    "PIP_INDEX_URL": [
        f"https://user:{SECRET}@index.test/simple",
        f"https://{SECRET}@index.test/simple",
        f"https://u:SEC/{SECRET}@index.test/simple",
        f"https://index.test/{SECRET}/simple",
        f"https://index.test/{SECRET.lower()}/simple",
        f"https://index.test/simple?token={SECRET}",
        f"https://index.test/simple;{SECRET}",
        f"https://index.test/simple#{SECRET}",
        f"https://index.test/pypi-{SECRET}/simple",
        f"user:{SECRET}@index.test/simple",
        f"git+https://{SECRET}@index.test/simple",
        f"file://{SECRET}@host/simple",
    ],
    "SSL_CERT_FILE": [f"https://u:{SECRET}@h/cert.pem"],
    "PIP_TRUSTED_HOST": [f"u:{SECRET}@index.test"],
    "NO_PROXY": [f"u:{SECRET}@index.test"],
    "LANG": [f"u:{SECRET}@x?y"],
    "PIP_TIMEOUT": [f"http://{SECRET}?"],
    "COLUMNS": [SECRET, "123456", "-80", "8 0"],
}
SAME_AS = {
    "HTTP_PROXY": [
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "FTP_PROXY",
        "PIP_PROXY",
    ],
    "PIP_INDEX_URL": ["PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"],
    "NO_PROXY": ["no_proxy"],
}
HARMLESS = {
    "HTTP_PROXY": ["http://proxy:3128", "proxy.corp.test:3128", "https://proxy/", "socks5h://[::1]:1080"],
    "PIP_INDEX_URL": [
        "https://pypi.org/simple",
        "https://pypi.org/simple/",
        "http://nexus.corp.test:8081/repository/pypi-group/simple",
        "https://host.test/artifactory/api/pypi/pypi-local/simple",
        "http://devpi.test/root/pypi/+simple/",
        "https://download.pytorch.org/whl/cu121",
        "/opt/wheels",
        "file:///opt/pypi/simple",
        "https://one.test/simple https://two.test/simple",
    ],
    "PIP_TRUSTED_HOST": ["index.test:8080 other.test"],
    "NO_PROXY": ["localhost,127.0.0.1,.corp.test,10.0.0.0/8,::1,*"],
    "LANG": ["ca_ES.UTF-8@valencia"],
    "LC_ALL": ["C.UTF-8"],
    "TZ": ["Europe/Berlin"],
    "COLUMNS": ["80"],
    "LINES": ["24"],
    "PIP_TIMEOUT": ["15"],
    "SSL_CERT_FILE": ["/etc/ssl/certs/ca certificates.pem"],
}


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [
        (name, value)
        for kind, values in table.items()
        for name in [kind, *SAME_AS.get(kind, [])]
        for value in values
    ]


@pytest.mark.parametrize(("name", "value"), cases(HOSTILE))
def test_a_setting_with_credentials_is_not_inherited(name: str, value: str) -> None:
    assert inherited_settings({name: value}) == {}


@pytest.mark.parametrize(("name", "value"), cases(HARMLESS))
def test_a_setting_without_credentials_is_inherited(name: str, value: str) -> None:
    assert inherited_settings({name: value}) == {name: value}


def test_a_list_loses_the_entries_with_credentials() -> None:
    own = {"PIP_EXTRA_INDEX_URL": f"https://one.test/simple https://u:{SECRET}@two.test/simple /opt/wheels"}
    assert inherited_settings(own) == {"PIP_EXTRA_INDEX_URL": "https://one.test/simple /opt/wheels"}
    assert inherited_settings({"NO_PROXY": f"a.test, u:{SECRET}@h ,b.test"}) == {"NO_PROXY": "a.test,b.test"}


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_nothing_in_a_sandbox_shows_them(isolation: str) -> None:
    own = {name: values[0] for name, values in HOSTILE.items() if name != "LANG"}
    own |= {"https_proxy": f"u:{SECRET}@proxy", "PIP_EXTRA_INDEX_URL": f"https://i.test/{SECRET}/simple"}
    server = start_embedded({**own, "DAYTONA_KERNEL_ISOLATION": isolation})
    server.lease = server.take_lease()
    try:
        with make_toolbox(server) as toolbox:
            shown = toolbox.execute("env; cat /proc/self/environ /proc/$PPID/environ; pip config list")
    finally:
        server.end()
    assert "DAYTONA_SANDBOX_ID" in shown["result"]
    assert SECRET not in shown["result"]

"""The settings and their sources."""

from __future__ import annotations

import pytest

from daytona_kernel import DaytonaAuthenticationError, DaytonaBadRequestError, DaytonaConfig
from daytona_kernel.config import DEFAULT_API_URL, resolve
from daytona_kernel.known_secrets import mask

KEY = "dtn_0123456789abcdef"


def test_nothing_set_means_the_embedded_server() -> None:
    settings = resolve(environ={})
    assert settings.embedded
    assert settings.api_key.source == "default"


def test_a_target_alone_means_the_embedded_server() -> None:
    assert resolve(environ={"DAYTONA_TARGET": "eu"}).embedded


def test_a_key_alone_means_daytona() -> None:
    settings = resolve(environ={"DAYTONA_API_KEY": KEY})
    assert (settings.api_url.value, settings.api_url.source) == (DEFAULT_API_URL, "default")
    assert (settings.api_key.value, settings.api_key.source) == (KEY, "DAYTONA_API_KEY")
    assert settings.authorization == {"Authorization": f"Bearer {KEY}"}


def test_arguments_take_precedence_over_the_environment() -> None:
    environ = {"DAYTONA_API_KEY": "other", "DAYTONA_API_URL": "http://one", "DAYTONA_TARGET": "us"}
    settings = resolve(DaytonaConfig(api_key=KEY, target="eu"), environ)
    assert (settings.api_key.value, settings.api_key.source) == (KEY, "argument")
    assert (settings.api_url.value, settings.api_url.source) == ("http://one", "DAYTONA_API_URL")
    assert (settings.target.value, settings.target.source) == ("eu", "argument")


@pytest.mark.parametrize("empty", ["", None])
def test_empty_is_not_set(empty: str | None) -> None:
    environ = {"DAYTONA_API_KEY": empty or ""}
    assert resolve(DaytonaConfig(api_key=empty), environ).embedded


def test_a_url_without_a_key_is_one_clear_sentence() -> None:
    with pytest.raises(DaytonaAuthenticationError) as caught:
        resolve(environ={"DAYTONA_API_URL": "http://daytona.test/api"})
    message = str(caught.value)
    assert message.startswith("DAYTONA_API_URL is http://daytona.test/api, but no API key is set")
    assert "DAYTONA_API_KEY" in message
    assert message.count(". ") == 0
    with pytest.raises(DaytonaAuthenticationError, match=r"^api_url is"):
        resolve(DaytonaConfig(api_url="http://x"), {})


def test_a_token_needs_its_organization_and_takes_precedence_over_a_key_in_the_environment() -> None:
    config = DaytonaConfig(jwt_token="token", organization_id="organization")
    settings = resolve(config, {"DAYTONA_API_KEY": KEY})
    assert settings.authorization == {
        "Authorization": "Bearer token",
        "X-Daytona-Organization-ID": "organization",
    }
    with pytest.raises(DaytonaAuthenticationError, match="DAYTONA_ORGANIZATION_ID"):
        resolve(environ={"DAYTONA_JWT_TOKEN": "token"})


def test_secrets_are_masked() -> None:
    config = DaytonaConfig(api_key=KEY, jwt_token=KEY, organization_id="o")
    settings = resolve(config, {})
    for text in (repr(config), repr(settings), settings.api_key.shown, str(settings)):
        assert KEY not in text
    assert settings.api_key.shown == "…cdef"
    assert mask("short") == "…"
    assert settings.target.shown == "not set"


@pytest.mark.parametrize(
    "url",
    ["app.daytona.io/api", "localhost:3000", "127.0.0.1:3000/api", "ftp://h/", "https://", "http:/h", "//h"],
)
def test_a_url_without_a_scheme_or_a_host_is_one_clear_sentence(url: str) -> None:
    with pytest.raises(DaytonaBadRequestError) as raised:
        resolve(environ={"DAYTONA_API_KEY": "dtn_0123456789", "DAYTONA_API_URL": url})
    assert str(raised.value) == (
        f"DAYTONA_API_URL is {url}, which is not a URL: it must start with https:// or http:// and a host, "
        "for example https://app.daytona.io/api. Nothing was sent."
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://api.daytona.com",
        "https://API.us-macos.daytona.com:443/x",
        "https://me:secret@api.daytona.com/",
    ],
)
def test_the_url_of_another_api_of_daytona_is_one_clear_sentence(url: str) -> None:
    with pytest.raises(DaytonaBadRequestError) as caught:
        resolve(environ={"DAYTONA_API_URL": url, "DAYTONA_API_KEY": KEY})
    message = str(caught.value)
    assert message.startswith("DAYTONA_API_URL is https://")
    assert message.endswith(
        f", Daytona's API v2, and daytona-kernel uses the API at {DEFAULT_API_URL}. "
        "Nothing was sent. Unset the URL to use that API."
    )
    assert "secret" not in message


@pytest.mark.parametrize(
    "url", ["https://api.daytona.company", "https://daytona.com", "http://x/api.daytona.com"]
)
def test_other_hosts_may_have_an_api(url: str) -> None:
    assert resolve(environ={"DAYTONA_API_URL": url, "DAYTONA_API_KEY": KEY}).api_url.value == url


def test_a_password_in_a_url_without_a_scheme_is_not_shown() -> None:
    with pytest.raises(DaytonaBadRequestError) as raised:
        resolve(environ={"DAYTONA_API_KEY": "k", "DAYTONA_API_URL": "someone:s3cret@h/api"})
    assert "s3cret" not in str(raised.value)

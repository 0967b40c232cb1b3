"""The settings of the account."""

from __future__ import annotations

from .declaration import PROCESS, VARIABLE, Declaration
from .kinds import CREDENTIAL, FLAG, TEXT, URL

ACCOUNT = (
    Declaration(
        "api_key",
        CREDENTIAL,
        "The API key of the account. It is never printed in full.",
        "Without a key and a URL, cells run on this machine, in the embedded server.",
        VARIABLE,
        "DAYTONA_API_KEY",
        private=True,
    ),
    Declaration(
        "api_url",
        URL,
        "The URL of the API, for example of your own server. It needs a key.",
        "`https://app.daytona.io/api` if a key is set",
        PROCESS,
        "DAYTONA_API_URL",
    ),
    Declaration(
        "jwt_token",
        CREDENTIAL,
        "A token instead of the API key. The key takes precedence.",
        "none",
        VARIABLE,
        "DAYTONA_JWT_TOKEN",
        private=True,
    ),
    Declaration(
        "organization_id",
        CREDENTIAL,
        "The organization of the token. A token needs it.",
        "none",
        PROCESS,
        "DAYTONA_ORGANIZATION_ID",
    ),
    Declaration(
        "dotenv_folders",
        TEXT,
        "Folders that you trust, as absolute paths with `:` between them. A kernel that starts there, or "
        "below, takes the API key from the folder's `.env.local` or `.env`, and never a URL.",
        "none",
        PROCESS,
        "DAYTONA_KERNEL_DOTENV_FOLDERS",
    ),
    Declaration(
        "cli_login",
        FLAG,
        "Whether the login of Daytona's command line is used if there is no other.",
        "yes",
        PROCESS,
        "DAYTONA_KERNEL_CLI_LOGIN",
    ),
)

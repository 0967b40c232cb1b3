"""The public methods of Daytona's SDK, and those that the embedded server does not serve."""

from __future__ import annotations

from pkgutil import resolve_name

# Methods of a sandbox without routes in the embedded server, and one of pydantic's.
NOT_SERVED = {
    "archive",
    "computer_use",
    "create_lsp_server",
    "create_signed_preview_url",
    "create_snapshot",
    "create_ssh_access",
    "download_url",
    "expire_signed_preview_url",
    "fork",
    "get_metrics",
    "git",
    "model_post_init",
    "recover",
    "resize",
    "revoke_ssh_access",
    "rotate_signing_key",
    "set_ttl",
    "update_env",
    "update_network_settings",
    "update_secrets",
    "upload_url",
    "validate_ssh_access",
    "wait_for_resize_complete",
}


def sdk_class(name: str) -> type:
    """Import a class of the SDK, named as `module:Class`. This takes seconds, so only tests call it."""
    kind: type = resolve_name(f"daytona.{name}")
    return kind


def public(kind: type) -> set[str]:
    """Return the names of the public methods and properties that a class defines."""
    members = vars(kind).items()
    return {
        name for name, value in members if name[0] != "_" and (callable(value) or isinstance(value, property))
    }

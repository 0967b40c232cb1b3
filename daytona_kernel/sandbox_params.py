"""The settings of a new sandbox, as the parameters of the client's `create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client.models.sandboxes import CreateSandboxParams, Resources, VolumeMount
from .formatting import format_sizes
from .settings.combinations import combine
from .settings.resolution import sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings.resolution import Found


# Minutes without activity until a sandbox pauses that is also paused at the end.
AUTO_PAUSE_MINUTES = 30


def make_params(found: Mapping[str, Found]) -> CreateSandboxParams:
    """Return the parameters for a sandbox with these settings."""
    values = {name: each.value for name, each in found.items()}
    stays = values.get("at_shutdown", "delete") != "delete"
    sizes = {name: values[name] for name in ("cpu", "memory", "disk", "gpu") if name in values}
    return CreateSandboxParams(
        name=values.get("name"),
        language=values.get("language"),
        snapshot=values.get("snapshot"),
        image=values.get("image"),
        target=values.get("target"),
        env_vars=values.get("env"),
        volumes=[_volume(each) for each in values.get("volumes", ())] or None,
        auto_stop_interval=values.get("auto_stop"),
        auto_pause_interval=_auto_pause(values),
        auto_delete_interval=values.get("auto_delete", -1 if stays else None),
        network_block_all=values.get("network_block_all"),
        network_allow_list=",".join(values.get("network_allow_list", ())) or None,
        domain_allow_list=",".join(values.get("domain_allow_list", ())) or None,
        resources=Resources(**sizes) if sizes else None,
    )


def describe(params: CreateSandboxParams) -> str:
    """Return a sandbox's size and origin in words: "8 cores, image python:3.13"; "" for the defaults."""
    size = params.resources or Resources()
    named = (("snapshot", params.snapshot), ("image", params.image), ("region", params.target))
    words = [f"{name} {value}" for name, value in named if value]
    return ", ".join(filter(None, [format_sizes(size.cpu, size.memory, size.disk, size.gpu), *words]))


def find_settings(options: Mapping[str, Any]) -> dict[str, Found]:
    """Return the settings for a new sandbox that have a value. Raises SettingError.

    options: see `settings.resolution.sandbox_settings`.
    """
    return combine(sandbox_settings(options))


def _auto_pause(values: Mapping[str, Any]) -> int | None:
    """Return the minutes until an idle sandbox pauses; None for never.

    One that is paused at the end also pauses when it is idle: a stop would lose the variables before.
    """
    if values.get("at_shutdown") == "pause" and not values.get("auto_stop"):
        return int(values.get("auto_pause", AUTO_PAUSE_MINUTES)) or None
    return values.get("auto_pause") or None


def _volume(text: str) -> VolumeMount:
    name, _, path = text.partition(":")
    return VolumeMount(name, path)

"""The safe outputs: an interpreter's messages without active content, for DAYTONA_KERNEL_OUTPUTS=safe.

Widgets are shown if their modules are those of ipywidgets itself. Other modules, such as anywidget's, bring
JavaScript of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...settings.resolution import value
from .safe_bundle import clean_bundle, clean_html, clean_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.messages import Message

_WIDGET_TARGET = "jupyter.widget"
_MODULES = ("@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output")
_HTML_MODELS = ("HTMLModel", "HTMLMathModel")


def is_wanted() -> bool:
    """Return whether the person wants safe outputs. A value that is misspelled counts as yes."""
    return bool(value("outputs", strict="safe") == "safe")


class SafeOutputs:
    """Cleans messages, and remembers which widgets front ends have. It belongs to the relay's loop.

    is_own: returns whether a comm belongs to the kernel itself.
    """

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self._is_own = is_own
        # The models that front ends have. The value: whether the model shows its value as HTML.
        self._models: dict[str, bool] = {}

    def admit(self, message: Message) -> Message | None:
        """Return a message without active content, or None if nothing of it remains."""
        match message.msg_type:
            case "display_data" | "update_display_data" | "execute_result":
                return message.with_content(self._clean_display(message.content))
            case "execute_reply" | "inspect_reply" | "debug_reply":
                return message.with_content(self.clean_reply(message.content))
            case "comm_open":
                return self._admit_open(message)
            case "comm_msg":
                return self._admit_state(message)
            case "comm_close":
                self._models.pop(str(message.content.get("comm_id")), None)
        return message

    def clean_reply(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return the content of a reply with its bundles cleaned: a tooltip, a variable, an expression."""
        clean = dict(content)
        if isinstance(content.get("data"), dict):
            clean = self._clean_display(content)
        if isinstance(body := content.get("body"), dict) and isinstance(body.get("data"), dict):
            clean["body"] = self._clean_display(body)
        if isinstance(values := content.get("user_expressions"), dict):
            clean["user_expressions"] = {key: self._clean_display(each) for key, each in values.items()}
        if isinstance(payloads := content.get("payload"), list):
            clean["payload"] = [self._clean_display(each) for each in payloads]
        return clean

    def _clean_display(self, content: object) -> dict[str, Any]:
        """Return an object that may have a bundle, with the bundle cleaned."""
        if not isinstance(content, dict):
            return {}
        if "data" not in content:
            return content
        metadata = clean_metadata(content.get("metadata"))
        return {**content, "data": clean_bundle(content["data"], self._is_shown), "metadata": metadata}

    def _is_shown(self, model_id: str) -> bool:
        return model_id in self._models or self._is_own(model_id)

    def _admit_open(self, message: Message) -> Message | None:
        content = message.content
        comm_id, data = content.get("comm_id"), content.get("data")
        if content.get("target_name") != _WIDGET_TARGET or not isinstance(comm_id, str):
            return None
        if not isinstance(data, dict):
            return None
        state = data.get("state")
        if not isinstance(state, dict) or not _is_known(state) or "_model_module" not in state:
            return None
        self._models[comm_id] = state.get("_model_name") in _HTML_MODELS
        clean = self._clean_state(state, html=self._models[comm_id])
        return message.with_content({**content, "data": {**data, "state": clean}})

    def _admit_state(self, message: Message) -> Message | None:
        """Clean a change of a widget's state, and the list of all widgets that a page asks for."""
        content = message.content
        data, comm_id = content.get("data"), str(content.get("comm_id"))
        if not isinstance(data, dict):
            return None
        if isinstance(states := data.get("states"), dict):
            kept = {key: each for key, each in states.items() if self._is_listed(key, each)}
            return message.with_content({**content, "data": {**data, "states": kept}})
        state = data.get("state")
        if state is None:
            return message
        if not isinstance(state, dict) or not _is_known(state):
            return None
        # A model that was opened for an earlier kernel may show HTML.
        clean = self._clean_state(state, html=self._models.get(comm_id, True))
        return message.with_content({**content, "data": {**data, "state": clean}})

    def _is_listed(self, model_id: str, listed: object) -> bool:
        """Return whether a widget may be in the list; its state in there is cleaned."""
        if not isinstance(listed, dict) or not isinstance(state := listed.get("state"), dict):
            return False
        if listed.get("model_module") not in _MODULES or not _is_known(state):
            return False
        self._models[model_id] = listed.get("model_name") in _HTML_MODELS
        listed["state"] = self._clean_state(state, html=self._models[model_id])
        return True

    def _clean_state(self, state: dict[str, Any], *, html: bool) -> dict[str, Any]:
        clean = dict(state)
        if html and isinstance(value := state.get("value"), str):
            clean["value"] = clean_html(value) or ""
        if isinstance(outputs := state.get("outputs"), list):
            clean["outputs"] = [self._clean_display(output) for output in outputs]
        if state.get("format") == "url":
            clean["format"] = "png"  # an image, a video or a sound that the page would load from somewhere
        return clean


def _is_known(state: dict[str, Any]) -> bool:
    """Return whether a state names no module but the known ones."""
    return all(
        module is None or module in _MODULES
        for name, module in state.items()
        if name in ("_model_module", "_view_module")
    ) and not any(name in state for name in ("_esm", "_css", "_anywidget_id"))

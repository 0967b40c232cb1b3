"""All messages from the kernel to front ends: secrets are masked, and the message session signs them.

JupyterLab drops messages when they come from two sessions at once. So the interpreter's messages and the
kernel's own messages carry the same session id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_client.session import DELIM, Session

from ...masking import mask_json
from ...wire.conventions import OWN_KEY
from ...wire.messages import Message, Part

if TYPE_CHECKING:
    from .iopub import IOPub

SendFrames = Callable[[list[Part]], None]


class Outbox:
    """The way out to front ends. Each method may be called from any thread.

    senders: for each of `shell`, `control` and `stdin`, a function that sends frames there. Each may be
        called from any thread too.
    """

    def __init__(self, session: Session, iopub: IOPub, senders: dict[str, SendFrames]) -> None:
        self._session = session
        self._iopub = iopub
        self._senders = senders
        self.running_cells = iopub.running_cells

    async def wait_for_subscribers(self, seconds: float) -> None:
        """Wait until front ends are subscribed to iopub; see IOPub. This runs on the relay's loop."""
        await self._iopub.wait_for_subscribers(seconds)

    def publish(self, parts: Sequence[Part], msg_type: str) -> None:
        """Sign a complete message of the interpreter, and send it on iopub.

        The state of widgets is not masked: a page sends it back, and would change the value in the sandbox.
        """
        self._publish(parts if msg_type.startswith("comm_") else _masked(parts), msg_type)

    def reply(self, channel: str, idents: list[bytes], parts: Sequence[Part]) -> None:
        """Sign a complete message and send it to the client with these identities."""
        self._senders[channel]([*idents, *self._signed(_masked(parts))])

    def say(
        self,
        parent: Message,
        msg_type: str,
        content: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Part] = (),
    ) -> None:
        """Publish one of the kernel's own messages, as an answer to the request `parent`."""
        self._publish(_masked(self._build(parent, msg_type, content, metadata, buffers)), msg_type)

    def answer(self, request: Message, idents: list[bytes], content: dict[str, Any]) -> None:
        """Send the kernel's own reply to a request, on the request's channel."""
        msg_type = request.msg_type.removesuffix("_request") + "_reply"
        self.reply(request.channel, idents, self._build(request, msg_type, content, None, ()))

    def ask(self, request: Message, idents: list[bytes], prompt: str, *, password: bool = False) -> str:
        """Send a question of the kernel for a running cell, and return its message id.

        password: whether the front end hides the answer.
        """
        content = {"prompt": prompt, "password": password}
        question = Message("stdin", self._build(request, "input_request", content, None, ()))
        self.reply("stdin", idents, question.parts)
        return question.msg_id

    def request(
        self, channel: str, msg_type: str, content: dict[str, Any], subshell_id: str | None = None
    ) -> Message:
        """Return a new own request for the interpreter, or for one of its subshells."""
        pack = self._session.pack
        header = {**self._session.msg_header(msg_type), "subshell_id": subshell_id, OWN_KEY: True}
        return Message(channel, [pack(header), b"{}", b"{}", pack(content)])

    def _build(
        self,
        parent: Message,
        msg_type: str,
        content: dict[str, Any],
        metadata: dict[str, Any] | None,
        buffers: Sequence[Part],
    ) -> list[Part]:
        pack = self._session.pack
        header = self._session.msg_header(msg_type)
        return [pack(header), parent.parts[0], pack(metadata or {}), pack(content), *buffers]

    def _publish(self, parts: Sequence[Part], msg_type: str) -> None:
        self._iopub.send_multipart([msg_type.encode(), *self._signed(parts)])

    def _signed(self, parts: Sequence[Part]) -> list[Part]:
        return [DELIM, self._session.sign(list(parts[:4])), *parts]


def _masked(parts: Sequence[Part]) -> list[Part]:
    header, parent, metadata, content, *buffers = parts
    return [header, parent, mask_json(metadata), mask_json(content), *buffers]

"""Every message that leaves the kernel for a front end, signed with the kernel's one message session.

JupyterLab drops what comes from two sessions at once, so the interpreter's messages bear this
session's id already, and what the kernel says for itself bears it too. Each method may be called
from any thread: a message is handed to the loop that its socket belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_client.session import DELIM, Session

from ...wire.messages import Message, Part

if TYPE_CHECKING:
    from .iopub import IOPub

SendFrames = Callable[[list[Part]], None]


class Outbox:
    """The way out.

    reply_sockets: for each of `shell`, `control` and `stdin`, what sends frames there.
    """

    def __init__(self, session: Session, iopub: IOPub, reply_sockets: dict[str, SendFrames]) -> None:
        self._session = session
        self._iopub = iopub
        self._reply_sockets = reply_sockets

    def publish(self, parts: Sequence[Part], msg_type: str) -> None:
        """Send a whole message, whoever made it, on iopub."""
        self._iopub.send_multipart([msg_type.encode(), *self._signed(parts)])

    def reply(self, channel: str, idents: list[bytes], parts: Sequence[Part]) -> None:
        """Send a whole message back to who asked."""
        self._reply_sockets[channel]([*idents, *self._signed(parts)])

    def say(
        self,
        parent: Message,
        msg_type: str,
        content: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Part] = (),
    ) -> None:
        """Publish a message of the kernel's own, as caused by the request `parent`."""
        self.publish(self._made(parent, msg_type, content, metadata, buffers), msg_type)

    def answer(self, request: Message, idents: list[bytes], content: dict[str, Any]) -> None:
        """Send the kernel's own reply to a request, on the channel that it came on."""
        msg_type = request.msg_type.removesuffix("_request") + "_reply"
        self.reply(request.channel, idents, self._made(request, msg_type, content, None, ()))

    def request(
        self, channel: str, msg_type: str, content: dict[str, Any], subshell_id: str | None = None
    ) -> Message:
        """Make a request of the kernel's own, for the interpreter, or for one of its subshells."""
        pack = self._session.pack
        header = {**self._session.msg_header(msg_type), "subshell_id": subshell_id}
        return Message(channel, [pack(header), b"{}", b"{}", pack(content)])

    def _made(
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

    def _signed(self, parts: Sequence[Part]) -> list[Part]:
        return [DELIM, self._session.sign(list(parts[:4])), *parts]

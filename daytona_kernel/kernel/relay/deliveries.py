"""The deliveries: the interpreter's messages on their way to the front ends that they are for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import InterpreterError
from .failures import Failures
from .streams import Streams
from .widget_states import WidgetStates

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.messages import Message
    from ..out.outbox import Outbox
    from .adopted_cells import AdoptedCells
    from .questions import Questions
    from .request_table import RequestTable
    from .requests import Request, StandIn

# The limit of remembered clients. A long-lived kernel would remember each reload of a page otherwise.
_MAX_CLIENTS = 100
# A malformed request has an `idle` and no reply. A large reply may take longer than its `idle`.
_UNANSWERED_SECONDS = 5.0


class Deliveries:
    """The way from the interpreter to front ends. It belongs to the relay's loop.

    requests: the relay's table of requests without a reply, by message id.
    on_start: called with the request of each cell that has started.
    """

    def __init__(
        self,
        outbox: Outbox,
        requests: RequestTable,
        stand_in: StandIn,
        questions: Questions,
        adopted_cells: AdoptedCells,
        on_start: Callable[[Message], None],
    ) -> None:
        self._outbox = outbox
        self._requests = requests
        self._stand_in = stand_in
        self._questions = questions
        self._adopted_cells = adopted_cells
        self._on_start = on_start
        self._streams = Streams(lambda message: outbox.publish(message.parts, message.msg_type))
        # The ZMQ identities of each client, by the message session of its cells, the latest last.
        self._clients: dict[str, list[bytes]] = {}
        self.failures = Failures(self._deliver)
        self.widget_states = WidgetStates()

    def remember_client(self, request: Request) -> None:
        """Remember where the questions of a cell go."""
        session = str(request.message.header.get("session"))
        self._clients.pop(session, None)
        self._clients[session] = request.idents
        if len(self._clients) > _MAX_CLIENTS:
            del self._clients[next(iter(self._clients))]

    def pass_on(self, message: Message) -> None:
        """Deliver a message now, or when the failure that it belongs to may be told."""
        request = self._requests.get(message.parent_id)
        if request is not None and request.pause is not None and request.pause.hold(message):
            return
        if request is not None and request.stop_on_error:
            self._look_for_failure(message, request)
        if not self.failures.hold(message, request):
            self._deliver(message)

    def _look_for_failure(self, message: Message, request: Request) -> None:
        """Begin a failure at an error in the reply, or at `idle` after one was shown, whichever is first."""
        if message.msg_type == "error":
            request.shows_error = True
        elif message.msg_type == "execute_reply":
            if message.content.get("status") == "error":
                self.failures.begin(request, in_interpreter=True)
            else:
                self.failures.dismiss(request)
        elif request.shows_error and _is_idle(message):
            self.failures.begin(request, in_interpreter=True)

    def _deliver(self, message: Message) -> None:
        if message.channel == "iopub":
            if message.msg_type == "stream":
                self._streams.publish(message)
            else:
                self._publish(message)
        elif message.channel == "stdin":
            self._ask(message)
        elif (request := self._requests.pop(message.parent_id, None)) is not None:
            self._outbox.reply(request.channel, request.idents, message.parts)
            self._adopted_cells.end(message.parent_id)
        else:
            self._adopted_cells.take_late_reply(message)

    def _ask(self, message: Message) -> None:
        if message.msg_type != "input_request" or self._adopted_cells.take_question(message):
            return
        # A thread may ask for input after its cell has ended, so the client is looked up, not the cell.
        idents = self._clients.get(message.parent_header.get("session", ""))
        if idents is not None:
            self._questions.pass_input_request(message, idents)

    def _publish(self, message: Message) -> None:
        # A reply comes on another channel, and may overtake the output before it.
        self._streams.end(message.parent_id)
        request = self._requests.get(message.parent_id)
        if message.msg_type == "execute_input":
            self._stand_in.observe(message, request)
            if request is not None:
                self._on_start(request.message)
        elif request is not None and not request.is_execution and _is_idle(message):
            asyncio.get_running_loop().call_later(_UNANSWERED_SECONDS, self._give_up, request)
        # The kernel publishes its own start and its own welcome.
        is_start = message.msg_type == "status" and not message.parent_id
        if not is_start and message.msg_type != "iopub_welcome":
            self._outbox.publish(self.widget_states.join(message).parts, message.msg_type)

    def _give_up(self, request: Request) -> None:
        """Answer a request that the interpreter has handled without a reply."""
        if self._requests.pop(request.message.msg_id, None) is not None:
            self._stand_in.fail(request, InterpreterError.__name__, "The interpreter did not reply.")


def _is_idle(message: Message) -> bool:
    return message.msg_type == "status" and message.content.get("execution_state") == "idle"

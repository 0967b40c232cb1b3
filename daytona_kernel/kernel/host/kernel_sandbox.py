"""The kernel's sandbox: created, found again, replaced, and left.

Without a handover, the kernel creates a sandbox and deletes it at shutdown. After a restart, the handover
names the sandbox, with all its files, and the kernel starts a new interpreter there. After a crash, the
handover also names the agent, and the old interpreter continues. A sandbox that stays is
kept for the notebook's next kernel in the same way; see kept_sandbox. If DAYTONA_SANDBOX_ID names a sandbox,
the kernel uses that sandbox and never deletes it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...client.states import Course
from ...errors import (
    DaytonaBadRequestError,
    DaytonaError,
    DaytonaNotFoundError,
    SettingError,
)
from ...interpreter import launcher
from ...interpreter.bookmark import Bookmark
from ...magics.kept_secrets import KeptSecrets
from ...sandbox_params import describe, make_params
from ..news import GoodNews
from .created_sandboxes import CreatedSandboxes, change_later
from .earlier_sandbox import EarlierSandbox
from .kept_sandbox import KeptSandbox, notebook_of
from .kernel_agent import KernelAgent
from .kernel_project import KernelProject
from .place import Place
from .progress import Progress
from .readiness import make_ready, put_to_rest, settle, unusable
from .sandbox_settings import SandboxSettings, explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from ...client.daytona import AsyncDaytona
    from ...client.sandbox import AsyncSandbox
    from ...interpreter.gateway import LaunchedAgent
    from ...magics.project.mirror import Mirror
    from ...settings.resolution import Found
    from .handover import HandoverFile

_RESUMED = GoodNews("The previous interpreter is in use again, with its variables.")
_LOST = "The previous interpreter has ended, and its variables are lost."
# The ends after which the interpreter lives on, for the next kernel of the notebook.
_LIVING_ENDS = ("keep", "pause")
_TO_KEEP = (
    "To keep sandboxes on this machine, run `daytona-kernel serve`, and start the kernel with the settings "
    "that it prints."
)


class KernelSandbox:
    """The sandbox of one kernel. It belongs to the API thread's loop.

    magics: the help of the kernel's magics by name, once the magics are imported.
    options: words for the interpreter's command line.
    """

    def __init__(
        self,
        handover_file: HandoverFile,
        magics: Future[Mapping[str, str]],
        options: Sequence[str] = (),
    ) -> None:
        self._handover_file = handover_file
        self.progress = Progress()
        self._news: list[str] = []
        self._kept = KeptSandbox(notebook_of())
        self._earlier = EarlierSandbox(handover_file.read(), self._kept, self.progress, self._news)
        self._handover = self._earlier.handover
        self.bookmark = Bookmark(handover_file.bookmark_path)
        self.place = Place()
        self.secrets = KeptSecrets()
        self.project = KernelProject()
        self._settings = SandboxSettings(self._handover)
        self._agent = KernelAgent(self._handover, magics, tuple(options), self.progress)
        self._sandbox: AsyncSandbox | None = None
        self._created = CreatedSandboxes()
        self._lock = asyncio.Lock()

    @property
    def daytona(self) -> AsyncDaytona:
        """The client. Raises DaytonaAuthenticationError if the settings are incomplete."""
        return self.place.daytona

    @property
    def owned(self) -> bool:
        """Whether this kernel deletes the sandbox when it ends."""
        return self._handover.owned

    @property
    def sandbox_id(self) -> str | None:
        """The id of the sandbox; None before there is one."""
        return self._handover.sandbox_id

    @property
    def settings(self) -> Mapping[str, Found]:
        """The settings of the sandbox where cells run, by name; empty before there is one."""
        return self._settings.found

    @property
    def at_shutdown(self) -> str:
        """What happens to an own sandbox when the kernel ends: "delete", "keep", "stop" or "pause"."""
        return self._settings.at_shutdown

    @property
    def keeps_interpreter(self) -> bool:
        """Whether the interpreter lives on when the kernel ends. Any thread may ask."""
        return self.owned and self.at_shutdown in _LIVING_ENDS and self._kept.is_held

    @property
    def message_session(self) -> str:
        """The Jupyter message session of the interpreter's messages."""
        return self._agent.message_session

    @property
    def has_resumed(self) -> bool:
        """Whether the latest `agent` has returned one that ran before, with its interpreter."""
        return self._agent.was_found

    def require_mirror(self) -> Mirror:
        """Return the project with its copy. Raises MagicUsageError if there is no copy."""
        return self.project.mirror()

    async def sandbox(self) -> AsyncSandbox:
        """Return the sandbox, started. The first use finds or creates it. Raises DaytonaError."""
        async with self._lock:
            await self._forget_ended_server()
            if self._sandbox is None:
                self._handover_file.sweep()
                found = await self._earlier.find(self.daytona)
                if found is None:
                    found = await self.create({})
                    self._created.use(found)
                    self._handover.owned = True
                    await self._settings.adopt(found.id)
                else:
                    await self._settings.find_again(is_own=self.owned)
                self._sandbox = found
                self._write_handover()
            return self._sandbox

    async def agent(self, *, may_resume: bool) -> LaunchedAgent:
        """Return an agent: the one that the handover names, or a new one. Raises DaytonaError.

        may_resume: whether the one in the handover may be used. Otherwise it is ended.
        """
        await self.revive()
        sandbox = await self.sandbox()
        try:
            settings = await self.project.settings_of(sandbox, self._settings.values)
            agent = await self._agent.start(sandbox, settings, may_resume=may_resume)
        except DaytonaError:
            await self._rouse_silent_server(sandbox)
            raise
        if self._agent.was_found:
            self._news.append(_RESUMED)
        elif self._agent.was_lost:
            self._news.append(_LOST)
        self._write_handover()
        self.project.send_ahead(sandbox)  # now that the folder where cells start is there
        return agent

    def take_news(self) -> list[str]:
        """Return the sentences of the next cell about how the sandbox was found, and forget them."""
        news = self._news.copy()
        self._news.clear()
        return news

    async def refresh_activity(self) -> None:
        """Tell Daytona that the sandbox is in use. A running cell does not count as activity there."""
        if self._sandbox is not None:
            try:
                await self._sandbox.refresh_activity()
            except DaytonaError:
                pass  # the next refresh may succeed; if the sandbox is gone, the next cell shows it

    async def create(self, options: Mapping[str, Any]) -> AsyncSandbox:
        """Create a sandbox; see CreatedSandboxes. Unless the kernel moves there, it is deleted at the end.

        options: the settings of the magic that wants it, by name. They take precedence over all others.

        Raises SettingError and other DaytonaErrors.
        """
        daytona = self.daytona
        settings = await self._settings.find(options)
        if self._sandbox is not None and "name" not in options:
            settings.pop("name", None)  # the present sandbox may have it
        self._require_lasting_server(settings)
        params = self.project.add_to(make_params(settings), daytona)
        params = replace(params, secrets=self.secrets.of_account or None)
        words = describe(params)
        self.progress.show(f"Creating a sandbox ({words}) …" if words else "Creating a sandbox …")
        try:
            with self.place.rousing_server():
                sandbox = await self._created.create(daytona, params)
        except DaytonaBadRequestError as error:
            raise explain(error, settings) from None
        self._settings.remember(sandbox.id, options, settings)
        return sandbox

    def _require_lasting_server(self, settings: Mapping[str, Found]) -> None:
        found = settings.get("at_shutdown")
        if found is not None and found.value != "delete" and self.place.server is not None:
            raise SettingError(
                f"The setting at_shutdown is {found.value} ({found.source}), but the sandbox would be in the "
                f"kernel's embedded server and end with it. No sandbox was created. {_TO_KEEP}"
            )

    async def move(self, sandbox: AsyncSandbox, *, owned: bool) -> str:
        """Use this sandbox from now on; return sentences about the old one and the person's secrets.

        owned: whether this kernel deletes the new sandbox when it ends. Only then does it get the secrets.
        """
        old = await self._move(sandbox, owned=owned)
        return " ".join(filter(None, (old, "" if owned else self.secrets.leave())))

    async def _move(self, sandbox: AsyncSandbox, *, owned: bool) -> str:
        async with self._lock:
            old, was_owned = self._sandbox, self._handover.owned
            stays = not was_owned or self.at_shutdown != "delete"
            await self._settings.adopt(sandbox.id)
            self._created.use(sandbox)
            self._sandbox, self._handover.owned = sandbox, owned
            agent_session = self._agent.forget()
            self._write_handover()
            if old is None:
                return ""
            if not stays:
                await self._created.delete(old)
                return f"Sandbox {old.name} was deleted, with its files."
            if agent_session is not None:
                await launcher.end(old.process, agent_session)
            return f"Sandbox {old.name} is unchanged; %sandbox attach {old.id} returns to it."

    async def stop(self) -> str:
        """Stop the sandbox; return a sentence about its contents."""
        async with self._lock:
            sandbox = self._known
            self._agent.forget()
            self._write_handover()
            await sandbox.stop()
            return f"Stopped sandbox {sandbox.name}. Its files are kept; the next cell starts it again."

    async def pause(self) -> str:
        """Pause the sandbox; return a sentence about its contents. Raises DaytonaError if it cannot."""
        async with self._lock:
            sandbox = self._known
            try:
                await sandbox.pause()
            except DaytonaError as error:
                raise DaytonaError(
                    f"Sandbox {sandbox.name} was not paused: {error.message.rstrip('.')}. Its interpreter "
                    "runs on. `%sandbox stop` stops it: its files are kept, and the variables are lost."
                ) from None
            return f"Paused sandbox {sandbox.name}, with its files and variables. The next cell resumes it."

    async def delete(self) -> str:
        """Delete the sandbox, which this kernel must own; return a sentence about what follows."""
        async with self._lock:
            sandbox = self._known
            await sandbox.delete()
            self._forget_sandbox()
            self._handover_file.write(self._handover)
            return f"Deleted sandbox {sandbox.name}, with its files. The next cell creates a new one."

    async def keep(self) -> AsyncSandbox:
        """Do not delete the sandbox when the kernel ends; return it. Raises DaytonaError."""
        sandbox = await self.sandbox()
        if self.place.server is not None:
            raise DaytonaError(
                f"This sandbox is in the kernel's embedded server and ends with it. {_TO_KEEP}"
            )
        await sandbox.set_auto_delete_interval(-1)
        if self.owned and self.at_shutdown == "delete":
            await self._settings.change(at_shutdown="keep")
        self._write_handover()
        return sandbox

    async def leave(self, *, restart: bool, interpreter_ended: bool) -> None:
        """Leave the sandbox to the next kernel (`restart`), or delete it if this kernel owns it.

        interpreter_ended: whether the agent may be ended now. Otherwise it ends by itself in a sandbox that
            stays.
        """
        self.project.close()
        server = self.place.server
        if server is not None and not restart:
            # All sandboxes of the server are this kernel's, and the server deletes them.
            await asyncio.to_thread(server.close, now=True)
        else:
            await self._created.delete_unused()
            stays = restart or not self._handover.owned or self.at_shutdown != "delete"
            if self._sandbox is not None and stays:
                if restart or not self.keeps_interpreter:
                    await self._end_agent(self._sandbox, interpreter_ended=interpreter_ended)
                if not restart and self._handover.owned:
                    self._keep()
                    await put_to_rest(self._sandbox, self.at_shutdown)
            elif self._sandbox is not None:
                self._kept.forget()
                await self._created.delete(self._sandbox)
            if not restart:
                self._created.delete_lost_later()  # one may appear after this
        if not restart:
            self._handover_file.remove()
            self.bookmark.remove()
        await self.place.close()

    def leave_later(self) -> None:
        """Let another process do what `leave` could not do in time. Any thread may call this."""
        if self.place.server is None:
            if self._sandbox is not None and self._handover.owned:
                if self.at_shutdown == "delete":
                    self._created.add_unused(self._sandbox)
                elif self.at_shutdown != "keep":
                    change_later(self.at_shutdown, [self._sandbox.id])
            self._created.delete_later()
        self._handover_file.remove()
        self.bookmark.remove()

    @property
    def _known(self) -> AsyncSandbox:
        if self._sandbox is None:
            raise DaytonaError("There is no sandbox yet; the next cell creates one.")
        return self._sandbox

    async def revive(self) -> None:
        """Start or resume the sandbox if it needs that, or forget it if it is gone. Raises DaytonaError."""
        async with self._lock:
            await self._forget_ended_server()
            if self._sandbox is None:
                return
            try:
                with self.place.rousing_server():
                    await self._sandbox.refresh_data()
                    course = await settle(self._sandbox, self.progress)
            except DaytonaNotFoundError as error:
                if not error.by_daytona or not self._handover.owned:
                    raise
                course = Course.FORGET
            if course not in (Course.FORGET, Course.GIVE_UP):
                await make_ready(self._sandbox, course, self.progress, self._news)
            elif self._handover.owned and (course is Course.FORGET or self.at_shutdown == "delete"):
                self._created.add_unused(self._sandbox)
                self._forget_sandbox()
            else:
                raise unusable(self._sandbox)

    async def _rouse_silent_server(self, sandbox: AsyncSandbox) -> None:
        """Rouse an embedded server that does not answer. Otherwise nothing would bound the next command."""
        if self.place.server is not None:
            with suppress(DaytonaError), self.place.rousing_server():
                await sandbox.refresh_data()

    async def _forget_ended_server(self) -> None:
        """Let go of an embedded server that has ended. Its sandboxes went with it."""
        if self.place.server_end() is not None:
            self._created.forget_all()
            self._forget_sandbox()
            self._handover.server = None
            await self.place.close()

    def _forget_sandbox(self) -> None:
        self._agent.forget()
        self._kept.forget()
        self._sandbox = self._handover.sandbox_id = None
        self._handover.owned = True

    async def _end_agent(self, sandbox: AsyncSandbox, *, interpreter_ended: bool) -> None:
        agent_session = self._agent.forget()
        self._handover_file.write(self._handover)
        if agent_session is not None and interpreter_ended:
            await launcher.end(sandbox.process, agent_session)

    def _write_handover(self) -> None:
        assert self._sandbox is not None
        if (server := self.place.server) is not None:
            self._handover.server = dict(zip(("api_url", "api_key"), server.ready(), strict=True))
        self._handover.sandbox_id = self._sandbox.id
        self._handover_file.write(self._handover)
        self._keep()

    def _keep(self) -> None:
        """Let the next kernel of the notebook find the sandbox, if it stays."""
        url = self.daytona.settings.api_url.value
        if self.owned and self.at_shutdown != "delete" and url is not None and self.place.server is None:
            options = {**self._handover.options, "at_shutdown": self.at_shutdown}
            self._kept.keep(replace(self._handover, options=options), url)
        else:
            self._kept.forget()

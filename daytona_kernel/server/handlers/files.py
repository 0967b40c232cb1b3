"""The routes of files. Paths in a request may be relative to the sandbox's working directory."""

from __future__ import annotations

from typing import Any

from .. import failures
from ..failures import ApiError
from .fields import field, parse_integer, string_list
from .request import ToolboxHandler

_ALL_MODES = 0o7777


class FileHandler(ToolboxHandler):
    """A route whose query names files."""

    is_admitted = False  # whether a refusal now is one of the file operation

    def prepare(self) -> None:
        super().prepare()
        self.is_admitted = True

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        failure = kwargs.get("exc_info", (None, None))[1]
        if isinstance(failure, ApiError) and self.is_admitted:
            failure.empty = not self.sandbox.profile.explains_refusals
        super().write_error(status_code, **kwargs)

    def path(self, name: str = "path", default: str | None = None) -> str:
        """Return a path of the query as an absolute path. Raises `ApiError` 400 if it is missing."""
        path = self.get_query_argument(name, default or "", strip=False)
        if not path:
            raise failures.bad_request(f"{name} is required")
        return self.sandbox.absolute(path)

    def mode(self, required: bool) -> int | None:
        """Return the query's octal mode, or `None`. Raises `ApiError` 400 if it is wrong or missing."""
        text = self.get_query_argument("mode", "")
        if not text and not required:
            return None
        mode = parse_integer(text, "mode", 8)
        if not 0 <= mode <= _ALL_MODES:
            raise failures.bad_request("invalid mode format")
        return mode


class FilesHandler(FileHandler):
    """Lists a directory, or deletes a file or a directory."""

    async def get(self) -> None:
        depth = parse_integer(self.get_query_argument("depth", "") or "1", "depth")
        if depth < 1:
            raise failures.bad_request("depth must be at least 1")
        path = self.path(default=self.sandbox.work_dir)
        self.answer(await self.sandbox.files.run("listing", path=path, depth=depth))

    async def delete(self) -> None:
        recursive = self.get_query_argument("recursive", "") == "true"
        await self.sandbox.files.run("delete", path=self.path(), recursive=recursive)
        self.set_status(204)
        self.finish()


class InfoHandler(FileHandler):
    """Describes a file."""

    async def get(self) -> None:
        self.answer(await self.sandbox.files.run("info", path=self.path()))


class FolderHandler(FileHandler):
    """Creates a directory."""

    async def post(self) -> None:
        await self.sandbox.files.run("folder", path=self.path(), mode=self.mode(required=True))
        self.set_status(201)
        self.finish()


class MoveHandler(FileHandler):
    """Moves a file or a directory."""

    async def post(self) -> None:
        source, destination = self.path("source"), self.path("destination")
        await self.sandbox.files.run("move", source=source, destination=destination)
        self.finish()


class PermissionsHandler(FileHandler):
    """Changes a file's mode, owner or group."""

    async def post(self) -> None:
        await self.sandbox.files.run(
            "permissions",
            path=self.path(),
            mode=self.mode(required=False),
            owner=self.get_query_argument("owner", ""),
            group=self.get_query_argument("group", ""),
        )
        self.finish()


class FindHandler(FileHandler):
    """Finds the lines that contain a text, in all files of a directory."""

    async def get(self) -> None:
        pattern = self.get_query_argument("pattern", strip=False)
        self.answer(await self.sandbox.files.run("find", path=self.path(), pattern=pattern))


class SearchHandler(FileHandler):
    """Finds files by name."""

    async def get(self) -> None:
        pattern = self.get_query_argument("pattern", strip=False)
        self.answer(await self.sandbox.files.run("search", path=self.path(), pattern=pattern))


class ReplaceHandler(FileHandler):
    """Replaces a text in files."""

    async def post(self) -> None:
        body = self.json_body()
        files = [self.sandbox.absolute(path) for path in string_list(body, "files")]
        self.answer(
            await self.sandbox.files.run(
                "replace",
                files=files,
                pattern=field(body, "pattern", str),
                value=field(body, "newValue", str, ""),
            )
        )


class WorkDirHandler(ToolboxHandler):
    """The path of the working directory."""

    def get(self) -> None:
        self.answer({"dir": self.sandbox.work_dir})


class HomeDirHandler(ToolboxHandler):
    """The path of the home directory."""

    def get(self) -> None:
        self.answer({"dir": self.sandbox.layout.home})

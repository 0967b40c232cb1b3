"""The kernel's magics in the interpreter: IPython magics whose work the kernel does.

This module registers them. `magic_caller` is imported at the first call, since the interpreter starts
faster without it.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .expansion import expand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .given_environment import GivenEnvironment
    from .magic_caller import MagicCaller


class KernelMagics:
    """The kernel's magics in one shell.

    socket_path: where the agent listens. environment: the interpreter's environment.
    """

    def __init__(self, shell: Any, socket_path: str, environment: GivenEnvironment) -> None:
        self._shell = shell
        self._socket_path = socket_path
        self._environment = environment

    def register(self, declarations: Mapping[str, str]) -> None:
        """Make each name a line and cell magic of the shell. declarations: their help by name."""
        from IPython.core.magic import needs_local_scope, no_var_expand

        from .magic_assignment import assignment_of

        if not declarations:
            return
        for name, help_text in declarations.items():
            function = needs_local_scope(no_var_expand(self._function(name, help_text)))
            self._shell.register_magic_function(function, "line_cell", name)
        self._shell.input_transformer_manager.token_transformers.append(assignment_of(list(declarations)))
        self._called = re.compile(rf".*(?:^|\s)(%%?)({'|'.join(declarations)})(?=\s)(.*)", re.DOTALL)
        self._register_completion()

    @cached_property
    def _caller(self) -> MagicCaller:
        from .magic_caller import MagicCaller

        return MagicCaller(self._shell, self._socket_path, self._environment)

    def _function(self, name: str, help_text: str) -> Any:
        def call(line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
            return self._caller.run(name, self._expand(line, local_ns or {}), cell, assigned=False)

        def assigned(line: str) -> Any:
            line = self._expand(line, sys._getframe(1).f_locals)  # noqa: SLF001  # the cell's frame
            return self._caller.run(name, line, None, assigned=True)

        function: Any = call
        function.__name__ = name
        function.__doc__ = help_text
        function.assigned = assigned
        return function

    def _expand(self, line: str, local_ns: Mapping[str, Any]) -> str:
        return expand(line, {**self._shell.user_ns, **local_ns})

    def _register_completion(self) -> None:
        """Complete in place of all other completers: Jedi is slow and does not know these magics."""
        from IPython.core import completer

        if not hasattr(completer, "context_matcher"):
            return  # IPython is older than 8.6

        @completer.context_matcher(identifier="daytona_kernel", priority=100)  # type: ignore[untyped-decorator]
        def match(context: Any) -> Any:
            token = str(context.token)
            words = [
                each for each in self._complete(context.text_until_cursor, token) if each.startswith(token)
            ]
            completions = [completer.SimpleCompletion(text=word, type="magic") for word in words]
            return {"completions": completions, "suppress": True, "ordered": True}

        self._shell.Completer.custom_matchers.append(match)

    def _complete(self, line: str, token: str) -> list[str]:
        """Return the words that may follow in a line with a magic. token: the word that is typed."""
        called = self._called.match(line)
        if called is None:
            return []
        marker, name, text = called.groups()
        return self._caller.complete(name, text, token, of_cell=marker == "%%")

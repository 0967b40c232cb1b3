"""The packages that a notebook declares in a script block: installed before a cell runs, once in a sandbox.

A block is in the cell that runs, or in the notebook's file, where it counts for every cell. A sandbox that
replaces another one gets the packages of all blocks again.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from ...errors import SettingError
from ...interpreter.packages import install, python_version
from ...settings import notebook, script_block
from .kernel_agent import PYTHON

if TYPE_CHECKING:
    from ...client.sandbox import AsyncSandbox
    from ...settings.script_block import ScriptBlock
    from .kernel_sandbox import KernelSandbox

_ADVICE = "The cell has not run. Change the block `# /// script`, or run the cell again to try again."


class ScriptPackages:
    """The blocks of one notebook. They belong to the API thread's loop."""

    def __init__(self, kernel_sandbox: KernelSandbox) -> None:
        self._kernel_sandbox = kernel_sandbox
        self._file = os.environ.get(notebook.FILE_VARIABLE, "")
        # The blocks of cells, and the sandbox that has all blocks; "" for none.
        self._blocks: dict[ScriptBlock, None] = {}
        self._prepared: str | None = ""

    def wants(self, code: str) -> bool:
        """Return whether `install` may have to do something before this cell. Any thread may call this."""
        if script_block.BEGIN in code:
            return True
        has_blocks = bool(self._blocks) or self._file.endswith(".ipynb")
        return has_blocks and self._prepared != self._kernel_sandbox.sandbox_id

    async def install(self, code: str) -> None:
        """Install what the blocks of the cell and of the notebook declare. Raises DaytonaError.

        After an error of the notebook's file, the next cell runs without its packages.
        """
        block = script_block.parse(code)
        sandbox = await self._kernel_sandbox.sandbox()
        if self._prepared != sandbox.id:
            self._prepared = sandbox.id
            for each in [await asyncio.to_thread(notebook.read_script_block, self._file), *self._blocks]:
                if each is not None and each != block:
                    await self._install(sandbox, each)
        if block is not None:
            await self._install(sandbox, block)
            self._blocks[block] = None

    async def _install(self, sandbox: AsyncSandbox, block: ScriptBlock) -> None:
        found = self._kernel_sandbox.settings.get("python")
        python = PYTHON if found is None else str(found.value)
        if block.packages:
            self._kernel_sandbox.progress.show(f"Installing {', '.join(block.packages)} …")
        if block.python is not None:
            version = await python_version(sandbox.process, python)
            if version is None or not script_block.fits(block.python, version):
                raise SettingError(
                    f"The notebook needs Python {block.python}, and the sandbox has {version or 'none'}. "
                    "Nothing was installed, and the cell has not run. %sandbox new with --python, --image or "
                    "--snapshot moves to another one; or change `requires-python`, and run the cell again."
                )
        if block.packages:
            await install(sandbox.process, block.packages, python, _ADVICE)

"""The kernel finds exactly the magics in a cell's text that IPython would run there."""

from __future__ import annotations

import pytest

from daytona_kernel.kernel.written_magics import WrittenMagic, find_written_magics

NAMES = {"upload", "local"}
ONE = WrittenMagic("upload", "a b", None)
AGAIN = WrittenMagic("upload", "a b", None, repeats=True)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("%upload a b", [ONE]),
        ("  %upload   a b  \n", [ONE]),
        ("x = 1\n%upload a b\ny = %upload a b", [ONE, ONE]),
        ("if x:\n    %upload a b\nelse:\n    %sh ls", [ONE]),
        ("with x:\n  try:\n    %upload a b\n  finally: pass", [ONE]),
        ("for x in y:\n    %upload a b", [AGAIN]),
        ("while x:\n    if y:\n        x = %upload a b", [AGAIN]),
        ("def f():\n    %upload a b\nf()", [AGAIN]),
        ("class A:\n    %upload a b", [ONE]),
        ("async def f():\n    %upload a b\nawait f()", [AGAIN]),
        ("await f()\n%upload a b", [ONE]),
        ("%upload a \\\n b", [WrittenMagic("upload", "a   b", None)]),
        (">>> %upload a b", [ONE]),
        ("In [3]: %upload a b", [ONE]),
        ("upload a b", [ONE]),
        ("%%local\n%upload a b\n", [WrittenMagic("local", "", "%upload a b\n")]),
        ("%%upload a b\nrest", [WrittenMagic("upload", "a b", "rest\n")]),
        ("%%time\n%upload a b", [ONE]),
        ("%%capture out --no-stderr\n%%local\nx", [WrittenMagic("local", "", "x\n")]),
        ("%%timeit -n1\n%upload a b", [AGAIN]),
        ("%time %upload a b", [ONE]),
        ("%timeit -n 1 -r1 %upload a b", [AGAIN]),
        ("get_ipython().run_line_magic('upload', 'a b')", [ONE]),
        ("[get_ipython().run_line_magic('upload', 'a b') for _ in x]", [AGAIN]),
        # No magic is written here.
        ("", []),
        ("upload", []),
        ("upload = a\nupload", []),
        ("# %upload a b", []),
        ("'''\n%upload a b\n'''", []),
        ("f('%upload a b')", []),
        ('%time f("%upload a b")', []),
        ("!%upload a b", []),
        ("%sh %upload a b", []),
        ("%%sh\n%upload a b", []),
        ("%%writefile x\n%upload a b", []),
        ("x\n%%local\ny", []),
        ("get_ipython().run_line_magic('upload', x)", []),
        ("get_ipython().run_line_magic('up' + 'load', 'a b')", []),
        ("other().run_line_magic('upload', 'a b')", []),
        ("%upload? a", []),
        ("(", []),
        ("(" * 100_000, []),
        ("\0%upload a b", []),
    ],
)
def test_a_magic_is_found_where_ipython_runs_it(code: str, found: list[WrittenMagic]) -> None:
    assert find_written_magics(code, NAMES) == found

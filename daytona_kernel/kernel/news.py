"""Sentences for the next cell, about what happened while none ran."""

from __future__ import annotations


class GoodNews(str):
    """A sentence that reports no loss. Front ends do not color it as an error."""

    __slots__ = ()

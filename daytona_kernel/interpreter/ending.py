"""The end of an interpreter, in a sentence for a person.

It is apart from `interpreter`, since a kernel's start needs it before it needs the protocol's messages.
"""

from __future__ import annotations

# The interpreter runs on Linux, wherever the kernel runs. Other systems have other numbers and names.
_LINUX_SIGNALS = (
    *("", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL"),
    *("SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT"),
    *("SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF"),
    *("SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"),
)


def describe_end(status: int, *, out_of_memory: bool = False) -> str:
    """Return a sentence about how the interpreter ended.

    status: its exit status, or the negated signal. out_of_memory: whether it is known that the memory of the
    sandbox was used up.
    """
    if status >= 0:
        return f"The interpreter ended with exit status {status}."
    name = _LINUX_SIGNALS[-status] if -status < len(_LINUX_SIGNALS) else f"signal {-status}"
    if out_of_memory:
        return f"The interpreter was ended by {name}, because the sandbox's memory was used up."
    hint = " It may have run out of memory." if name == "SIGKILL" else ""
    return f"The interpreter was ended by {name}.{hint}"

"""The settings of the person's own processes: of the kernel and of the embedded server."""

from __future__ import annotations

from .declaration import PROCESS, VARIABLE, Declaration
from .kinds import ADDRESSES, FLAG, PROJECT, RATES, SECONDS, TEXT, choice

# The settings that the embedded server reads from its environment.
SERVER = (
    Declaration(
        "isolation",
        choice("auto", "bubblewrap", "landlock", "none", "preferred"),
        "The isolation of the embedded server's sandboxes. `auto`: bubblewrap, or Landlock where bubblewrap "
        "does not work, or nothing runs. `bubblewrap` and `landlock`: that one, or nothing runs. `none`: "
        "none, and the first cell of each kernel says so. `preferred`: as `auto`, or else none; the demo and "
        "the tests use it, because they run this project's own code.",
        "`auto`",
        PROCESS,
        "DAYTONA_KERNEL_ISOLATION",
    ),
    Declaration(
        "network",
        choice("auto", "none", "host", "preferred"),
        "The network of isolated sandboxes. `auto` is their own network with the internet, without this "
        "machine and its loopback; it needs slirp4netns, and without that it is `none`. `host` is this "
        "machine's network with everything on its loopback. `preferred` is `auto`, or else `host`; the demo "
        "and the tests use it.",
        "`auto`",
        PROCESS,
        "DAYTONA_KERNEL_NETWORK",
    ),
    Declaration(
        "local_snapshots",
        TEXT,
        "Directories with a root file system, as `docker export` and `mmdebstrap` make them, from which "
        "isolated sandboxes can be created: `NAME=DIRECTORY`, with `:` between them. `%sandbox new "
        "--snapshot NAME` uses one.",
        "none: sandboxes have this machine's programs",
        PROCESS,
        "DAYTONA_KERNEL_LOCAL_SNAPSHOTS",
    ),
    Declaration(
        "profile",
        choice("own", "daytona"),
        "The behavior of the embedded server where clients can tell it from Daytona. `own`: it loses nothing "
        "and waits for nothing. `daytona`: the limits, losses and delays of Daytona's own servers, for tests "
        "of programs that use both. `daytona-kernel serve` has the option `--profile`.",
        "`own`",
        PROCESS,
        "DAYTONA_KERNEL_PROFILE",
    ),
)

MACHINE = (
    Declaration(
        "outputs",
        choice("all", "safe"),
        "`safe` keeps active content out of outputs: see [security.md](security.md). Needs "
        '`pip install "daytona-kernel[safe]"`.',
        "`all`",
        PROCESS,
        "DAYTONA_KERNEL_OUTPUTS",
    ),
    Declaration(
        "show_secrets",
        FLAG,
        "Shows the kernel's keys and tokens in outputs as they are, and does not mask them.",
        "no",
        PROCESS,
        "DAYTONA_KERNEL_SHOW_SECRETS",
    ),
    Declaration(
        "local",
        FLAG,
        "Allows `%%local`, which runs code on the notebook's own machine.",
        "no",
        PROCESS,
        "DAYTONA_KERNEL_LOCAL",
    ),
    Declaration(
        "folders",
        TEXT,
        "Folders of the notebook's machine, as absolute paths with `:` between them. Code in the sandbox may "
        "copy files from and to them with `%upload` and `%download` without a question, so name no folder "
        "from which programs are run.",
        "none: such code asks",
        PROCESS,
        "DAYTONA_KERNEL_FOLDERS",
    ),
    Declaration(
        "project",
        PROJECT,
        "The folder of your project. Its files are copied to the sandbox, cells start there, and what has "
        "changed goes to the sandbox before each cell. `.` is the notebook's folder. `mount`, `mount-ro`, "
        "`mount:FOLDER` and `mount-ro:FOLDER` mount it instead, into sandboxes on this machine: see "
        "[security.md](security.md#what-a-project-gives-away). `off` does neither. "
        "See [How do I work with an existing project?](howto.md#how-do-i-work-with-an-existing-project)",
        "`off`",
        PROCESS,
        "DAYTONA_KERNEL_PROJECT",
    ),
    *SERVER,
    Declaration(
        "sandbox_id",
        TEXT,
        "The id or name of an existing sandbox for the kernel. The kernel never deletes it.",
        "The kernel creates a sandbox.",
        PROCESS,
        "DAYTONA_SANDBOX_ID",
    ),
    Declaration(
        "rates",
        RATES,
        "The prices of a core, of a GiB of memory, of a GiB of disk, and of a GPU for an hour, in any "
        "currency: `cpu=0.05 memory=0.016 disk=0.0001`. `%sandbox info` then tells the price of the sandbox.",
        "none: no price is told",
        PROCESS,
        "DAYTONA_KERNEL_RATES",
    ),
    Declaration(
        "toolbox_hosts",
        ADDRESSES,
        "Hosts outside of daytona.io where Daytona may have toolboxes: those of your organization's own "
        "regions. They get the API key.",
        "none",
        PROCESS,
        "DAYTONA_KERNEL_TOOLBOX_HOSTS",
    ),
    Declaration(
        "wait_limit",
        SECONDS,
        "The longest time, in seconds, that the kernel waits for a server that does not answer or refuses. "
        "Programs that execute notebooks get their error sooner with it.",
        "each wait has its own bound: [reliability.md](reliability.md)",
        VARIABLE,
        "DAYTONA_KERNEL_WAIT_LIMIT",
    ),
    Declaration(
        "serve_key",
        TEXT,
        "The API key of `daytona-kernel serve`, if `--key` is not given.",
        "a new key",
        VARIABLE,
        "DAYTONA_KERNEL_SERVE_KEY",
        private=True,
    ),
)

"""Fixtures for every test, and the markers and the order of the tests.

`make quick` runs the tests without the markers `kernel`, `browser` and `slow`; `make test-root` runs those
with the marker `root`. The markers are set here, from what a test uses, so that nobody has to remember them.
A test that starts a kernel and is not marked fails.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings

from daytona_kernel import DaytonaConfig
from daytona_kernel.client.embedded_server import EmbeddedServer
from daytona_kernel.server.isolation import choose_isolation
from tests.lab_server import LabServer, RunningKernel, run_lab_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import BrowserContext

    from tests.browser import Lab

TESTS = Path(__file__).parent

# The tests run the project's own code, so they go on where a machine cannot isolate sandboxes, or cannot give
# them a network of their own. The report's header says so.
os.environ.setdefault("DAYTONA_KERNEL_ISOLATION", "preferred")
os.environ.setdefault("DAYTONA_KERNEL_NETWORK", "preferred")

# The settings and the logins of the person who runs the tests have no part in them.
_CONFIG = tempfile.TemporaryDirectory(prefix="daytona-kernel-config-")
os.environ["JUPYTER_CONFIG_DIR"] = os.environ["DAYTONA_CONFIG_DIR"] = _CONFIG.name

# Every test in these folders starts a kernel, or an interpreter in a sandbox.
_KERNEL_FOLDERS = {"differential", "faults", "frontends", "images", "interpreter", "kernel", "systems"}
# Only these files there have no such test.
FILES_WITHOUT_KERNEL = {
    "interpreter/test_bookmark.py",
    "interpreter/test_launcher.py",
    "kernel/test_failures.py",
    "kernel/test_handover.py",
    "kernel/test_magic_calls.py",
    "kernel/test_magic_cell.py",
    "kernel/test_slot.py",
}
# Elsewhere, a test starts one if it asks for one of these fixtures or calls one of these functions.
_KERNEL_FIXTURES = {"kernel", "lab_server", "own_kernel"}
_KERNEL_FUNCTIONS = {"KernelManager", "NotebookClient", "execute_notebook", "running_kernel"}
# These files wait for clocks, start several servers or many sandboxes, install packages, try a system's
# programs, or import Daytona's SDK for seconds.
SLOW_FILES = {
    "agent/test_environment.py",
    "agent/test_usage.py",
    "attacks/test_control_groups.py",
    "attacks/test_hostile_folder.py",
    "attacks/test_hostile_requests.py",
    "attacks/test_isolation_network.py",
    "attacks/test_landlock.py",
    "attacks/test_removal.py",
    "attacks/test_session_pipes.py",
    "attacks/test_strangers.py",
    "attacks/test_supervisor.py",
    "client/test_embedded.py",
    "client/test_operations_table.py",
    "client/test_page_examples.py",
    "magics/test_background.py",
    "magics/test_log.py",
    "magics/test_session_shell.py",
    "server/test_control.py",
    "server/test_file_channels.py",
    "server/test_isolation.py",
    "server/test_launchers.py",
    "server/test_lifetime.py",
    "server/test_pause.py",
    "server/test_profile.py",
    "server/test_programs.py",
    "server/test_python_environment.py",
    "server/test_sdk.py",
    "server/test_sdk_async.py",
    "server/test_sdk_end_to_end.py",
    "server/test_sdk_surface.py",
    "server/test_serve.py",
    "server/test_sessions.py",
    "server/test_settings_files.py",
    "server/test_shapes.py",
    "server/test_snapshots.py",
    "server/test_warm_box.py",
    "settings/test_login_command.py",
}
# These files test what root may do and other users may not: namespaces, processes and files of others.
ROOT_FILES = {
    "attacks/test_control_groups.py",
    "attacks/test_isolation.py",
    "attacks/test_isolation_network.py",
    "attacks/test_removal.py",
    "attacks/test_session_pipes.py",
    "attacks/test_supervisor.py",
    "faults/test_exhaustion.py",
    "server/test_isolation.py",
    "server/test_lifetime.py",
    "server/test_python_environment.py",
    "server/test_snapshots.py",
}

_LONGEST_NAME = 80

# On a busy machine the first example of a test takes seconds. `--hypothesis-profile` chooses another number
# of examples: `make quick` takes few, and `thorough` many for a search.
_EXAMPLES = {"quick": 15, "thorough": 5_000, "project": 100}
for _name, _number in _EXAMPLES.items():
    _unhurried = settings(max_examples=_number, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(_name, _unhurried)
settings.load_profile("project")

# A test with this mark runs twice: with embedded servers that behave as themselves, and as Daytona's do.
both_profiles = pytest.mark.parametrize("profile", ["own", "daytona"], indirect=True)
# Tests of what only one of them does.
on_own = pytest.mark.parametrize("profile", ["own"], indirect=True)
on_daytona = pytest.mark.parametrize("profile", ["daytona"], indirect=True)

_running: pytest.Item | None = None


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, the event loop of ipykernel and tornado."""
    return "asyncio"


@pytest.fixture(scope="session", params=[os.environ.get("DAYTONA_KERNEL_PROFILE") or "own"])
def profile(request: pytest.FixtureRequest) -> str:
    """The behavior of the embedded servers of a test: with the mark, each; without, the environment's."""
    return str(request.param)


@pytest.fixture(scope="session")
def profiled(profile: str) -> Iterator[DaytonaConfig]:
    """The settings for an embedded server with the profile of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYTONA_KERNEL_PROFILE", profile)
        server = EmbeddedServer.spawn()
    url, key = server.ready()
    yield DaytonaConfig(api_key=key, api_url=url)
    server.close(now=True)


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """Run a JupyterLab server for all tests of the run."""
    with run_lab_server(tmp_path_factory.mktemp("jupyterlab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserContext]:
    """Run a headless Chromium for all tests."""
    pytest.importorskip("playwright")
    from tests.browser import CHROMIUM, UNOPTIMIZED_SCRIPTS, run_chromium

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with run_chromium(1100, 900, options=[UNOPTIMIZED_SCRIPTS]) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def lab_page(lab_server: LabServer, browser: BrowserContext) -> Iterator[Lab]:
    """JupyterLab in one page for all tests."""
    from tests.browser import new_page

    with new_page(lab_server, browser) as page:
        yield page


@pytest.fixture(scope="module")
def shared_kernel(lab_server: LabServer) -> Iterator[RunningKernel]:
    """One kernel for several notebooks of a file, for tests that need no kernel of their own."""
    with lab_server.run_kernel("daytona") as kernel:
        yield kernel


@pytest.fixture(scope="module")
def shared_ipykernel(lab_server: LabServer) -> Iterator[RunningKernel]:
    """One ipykernel for several notebooks of a file."""
    with lab_server.run_kernel("python3") as kernel:
        yield kernel


@pytest.fixture
def lab(lab_page: Lab) -> Iterator[Lab]:
    """JupyterLab without an open document. The kernels that a test starts end with the test."""
    with lab_page.server.ended_kernels():
        yield lab_page
        lab_page.reset()


def pytest_unconfigure() -> None:
    """Remove the folder of settings: pytest-xdist may kill a worker before its interpreter has removed it."""
    _CONFIG.cleanup()


def pytest_report_header() -> str:
    """Say how the sandboxes of the tests are isolated on this machine."""
    choice = choose_isolation(os.environ["DAYTONA_KERNEL_ISOLATION"])
    return f"isolation of sandboxes: {choice.name}. {choice.note}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the files that `-m` would deselect: to import them takes longer than the quick tests."""
    chosen = config.option.markexpr
    name = collection_path.relative_to(TESTS).as_posix() if collection_path.is_relative_to(TESTS) else ""
    starts_kernels = name.endswith(".py") and _starts_kernels(name)
    if ("not kernel" in chosen and starts_kernels) or ("not slow" in chosen and name in SLOW_FILES):
        return True
    return None


def _starts_kernels(name: str) -> bool:
    """Return whether each test of a file starts a kernel or an interpreter."""
    return name.partition("/")[0] in _KERNEL_FOLDERS and name not in FILES_WITHOUT_KERNEL


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shorten the name of a test that has a long text: each process gets the names of all tests."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_NAME:
        return ascii(val[:_LONGEST_NAME])
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests and put their groups in line. Then pytest-xdist's own hook reads the groups."""
    for item in items:
        fixtures, functions = _used_by(item)
        name = _name_of(item)
        if _starts_kernels(name) or fixtures & _KERNEL_FIXTURES or functions & _KERNEL_FUNCTIONS:
            item.add_marker(pytest.mark.kernel)
        if "browser" in fixtures:
            item.add_marker(pytest.mark.browser)
        if name in SLOW_FILES:
            item.add_marker(pytest.mark.slow)
        if name in ROOT_FILES:
            item.add_marker(pytest.mark.root)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    sizes = Counter(map(_group_of, items))
    items.sort(key=lambda item: _place_in_line(item, sizes[_group_of(item)]))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave the tests out of garbage collections: they are most of a process's objects, and stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _used_by(item: pytest.Item) -> tuple[set[str], set[str]]:
    """Return the names of the fixtures that a test uses, and of the functions that it and its helpers use."""
    fixtures = set(getattr(item, "fixturenames", ()))
    function = getattr(item, "function", None)
    if not isinstance(function, FunctionType):
        return fixtures, set()
    names = set(function.__code__.co_names)
    helpers = [function.__globals__.get(name) for name in names]
    inner = [helper.__code__.co_names for helper in helpers if isinstance(helper, FunctionType)]
    return fixtures, names.union(*inner)


def _place_in_line(item: pytest.Item, size: int) -> tuple[int, int]:
    """Return a key that sorts groups of tests by length, and mixes the files of those of one length.

    The longest come first, so that no process has one left when the others are done. Files with tests that
    wait are neighbors, and so are files with tests that compute. Mixed, they keep the cores busy at any time.
    """
    if item.get_closest_marker("browser"):
        place = 0
    elif size > 1:
        place = 1
    else:
        place = 2 if item.get_closest_marker("kernel") or item.get_closest_marker("slow") else 3
    return place, crc32(_name_of(item).encode())


def _name_of(item: pytest.Item) -> str:
    """Return the file of a test, in the folder of the tests."""
    return item.path.relative_to(TESTS).as_posix()


def _group_of(item: pytest.Item) -> str:
    """Return the group that the marker of a test names."""
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0])


def _group(item: pytest.Item) -> str:
    """Return the name of the tests that pytest-xdist runs in one process, one after another.

    Tests that share a kernel or a server are such a group, so that it is started once. So are those with a
    browser, which share it and a JupyterLab.
    """
    if item.get_closest_marker("browser"):
        return "in a browser"
    definitions = [each for same in _definitions_of(item).values() for each in same]
    shared = any(each.scope in {"class", "module", "package"} for each in definitions)
    return _name_of(item).removesuffix(".py") if shared else item.nodeid


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the browser and JupyterLab after the last test that uses them.

    Playwright keeps an event loop running in the main thread, so no asynchronous test can run meanwhile.
    """
    yield
    if nextitem and item.get_closest_marker("browser") and not nextitem.get_closest_marker("browser"):
        for name in ("browser", "lab_server"):
            for definition in _definitions_of(item).get(name, ()):
                definition.finish(item._request)  # type: ignore[attr-defined]


def _definitions_of(item: pytest.Item) -> dict[str, Sequence[pytest.FixtureDef[Any]]]:
    """Return the fixtures of a test by their names. pytest has no public way to them."""
    definitions: dict[str, Sequence[pytest.FixtureDef[Any]]] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    return definitions


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember which test runs, for the audit hook."""
    global _running  # noqa: PLW0603  # pytest has one process and one test at a time
    _running = item
    try:
        return (yield)
    finally:
        _running = None


def _forbid_unmarked_kernels(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail a test that starts a kernel and is not marked: `make quick` would run it."""
    if event not in {"subprocess.Popen", "os.posix_spawn"} or _running is None:
        return
    if _running.get_closest_marker("kernel") or _running.get_closest_marker("browser"):
        return
    command = [str(each) for each in arguments[1]] if isinstance(arguments[1], list | tuple) else []
    if "ipykernel_launcher" in command or ("daytona_kernel" in command and "-f" in command):
        message = f"{_running.nodeid} starts a kernel; mark it with @pytest.mark.kernel: {command}"
        raise AssertionError(message)


sys.addaudithook(_forbid_unmarked_kernels)

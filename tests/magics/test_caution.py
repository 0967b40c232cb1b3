"""Names that a program may run by itself, and the plan without them."""

from __future__ import annotations

import pytest

from daytona_kernel.magics.copying.caution import hold_back, runs_by_itself
from daytona_kernel.magics.copying.plan import Entry, Plan, split_links


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("json.py", True),
        ("JSON.py", True),
        ("comm.py", True),
        ("traitlets.pyc", True),
        ("zmq.cpython-311-x86_64-linux-gnu.so", True),
        ("conftest.py", True),
        ("sitecustomize.py", True),
        ("__init__.py", True),
        ("__main__.py", True),
        ("__pycache__", True),
        ("jupyter_server_config.json", True),
        ("jupyter_notebook_config.py", True),
        ("ipython_kernel_config.py", True),
        ("evil.pth", True),
        ("analysis.py", False),
        ("json", False),
        ("json.csv", False),
        ("data.json", False),
        ("results.so.csv", False),
        ("notebook.ipynb", False),
        ("ü.py", False),
        ("\x00.py", False),
        (".py", False),
    ],
)
def test_names_that_run_by_themselves(name: str, runs: bool) -> None:
    assert runs_by_itself(name) is runs


def entries(*places: str) -> list[Entry]:
    """Return entries: `place/` is a folder, `place>link` a link, `place*` an executable file."""
    found = []
    for text in places:
        place, arrow, link = text.partition(">")
        is_folder = place.endswith("/")
        name = place.strip("/*")
        found.append(Entry(f"/{name}", name, is_folder, 1, place.endswith("*"), link if arrow else None))
    return found


def kept(plan: Plan) -> list[str]:
    return [entry.place for entry in plan.entries]


def test_a_new_folder_may_have_modules_and_an_old_one_may_not() -> None:
    plan = Plan("/t", "/t", entries("a/", "a/json.py", "a/x.csv", "json/", "json/__init__.py", "random/"))
    new, held = hold_back(plan, {"/t": "-"}, ())
    assert kept(new) == kept(plan)
    assert held.paths == []
    new, held = hold_back(plan, {"/t": "d", "/t/a": "d"}, ())
    assert kept(new) == ["a", "a/x.csv", "random"]
    assert held.paths == ["/a/json.py", "/json"]
    new, held = hold_back(plan, {"/t": "d", "/t/a": "d", "/t/a/json.py": "f"}, ("json",))
    assert kept(new) == kept(plan)


def test_hidden_names_and_modes_are_left_out_at_every_depth_unless_they_are_named() -> None:
    plan = Plan("/t", "/t", entries(".a*", "b/", "b/.c/", "b/.c/d", "b/e*", "b/.l>e", "b/m>.c/d", "b/n>e"))
    new, held = hold_back(plan, {}, (".a",))
    assert [(each.place, each.executable) for each in new.entries] == [
        (".a", True), ("b", False), ("b/e", False), ("b/n", False),
    ]  # fmt: skip
    assert held.paths == ["/b/.c", "/b/.l"]
    assert held.modes == 1


def test_only_links_to_entries_are_kept() -> None:
    given = entries(
        "", "f", "d/", "d/f", "a>f", "b>d/", "d/c>../f", "d/e>../d/f", "g>a", "h>g",
        "1>/f", "2>..", "3>../x", "4>d/../f", "5>b/f", "6>gone", "7>8", "8>7", "9>", "d/10>../..", "11>.",
        "12>./d/f",
    )  # fmt: skip
    found, elsewhere = split_links(given)
    assert [each.place for each in found if each.link is not None] == ["a", "b", "d/c", "d/e", "g", "h", "12"]
    assert elsewhere == ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/d/10", "/11"]


def test_a_long_chain_of_links_takes_no_long_time() -> None:
    chain = [Entry(f"/{n}", f"{n}", False, link=f"{n + 1}") for n in range(100_000)]
    assert split_links(chain)[0] == []
    assert len(split_links([*chain, Entry("/e", "100000", False)])[0]) == 100_001

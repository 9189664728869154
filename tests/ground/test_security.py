"""No pickle is loaded, no shell is started from the library, no name leaves its folder, nothing listens outside."""

from __future__ import annotations

import ast
import copy
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
import yaml

from rs3l.config import parse_campaign
from rs3l.errors import ConfigError
from rs3l.merge import workers
from support.places import REPOSITORY
from support.rules import jobs

Values = dict[str, Any]
SOURCES = sorted(
    path for folder in ("workflow", "tools", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")
)
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {
    "eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.hub.load",
}  # fmt: skip
REQUIRED = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}
"""Calls that are safe with one argument, which must be spelled out."""


def problems(source: str) -> Iterator[str]:
    """Yield what is not allowed in a Python source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from (f"import of {m}" for m in modules if m.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.Call):
            yield from call_problems(node)


def call_problems(call: ast.Call) -> Iterator[str]:
    """Yield what is not allowed about one call."""
    name = ast.unparse(call.func)
    given = {k.arg: k.value.value for k in call.keywords if k.arg and isinstance(k.value, ast.Constant)}
    if name in UNSAFE_CALLS:
        yield f"call of {name}"
    if name in REQUIRED and given.get(REQUIRED[name][0]) is not REQUIRED[name][1]:
        yield f"{name} without {REQUIRED[name][0]}={REQUIRED[name][1]}"
    if given.get("shell"):
        yield f"{name} with a shell"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_pickle_and_no_shell(path: Path) -> None:
    assert list(problems(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path)", "np.load(path, allow_pickle=True)", "subprocess.run(x, shell=True)", "os.system('ls')",
        "yaml.load(text)", "pd.read_pickle(path)", "def f():\n    eval(text)",
    ],
)  # fmt: skip
def test_the_scan_finds(source: str) -> None:
    assert len(list(problems(source))) == 1


def test_the_scan_allows_what_is_safe() -> None:
    safe = "torch.load(p, weights_only=True)\nnp.load(p, allow_pickle=False)\nsubprocess.run([p])\nmodel.eval()"
    assert list(problems(safe)) == []


def test_every_path_in_a_rule_is_quoted() -> None:
    """Rules are the only place with a shell: inputs, outputs, logs and blocks appear quoted (`:q`)."""
    fields = [field for rule in jobs().values() for field in re.findall(r"\{([^}]+)\}", rule.shellcmd)]
    assert len(fields) > 50
    plain = {field for field in fields if not field.endswith(":q")}
    numbers_and_names = {
        "threads",
        "wildcards.process",
        "wildcards.task",
        "params.figure",
        "params.energy",
        "params.shard_events",
        "wildcards.shard",
        "params.model",
        "params.seed",
        "params.bootstrap",
        "params.events",
        "params.parts",
        "params.check_every",
    }
    numbers_and_names |= {"params.launcher", "params.workers", "params.devices"}  # the last quotes what it takes
    assert {field for field in plain if not field.startswith("resources.")} <= numbers_and_names


def rename(values: Values, kind: str, name: str) -> Values:
    """Return the miniature configuration with one name replaced, and all references to it."""
    text = yaml.safe_dump(copy.deepcopy(values), sort_keys=False)
    if kind in ("campaign", "results"):
        return {**yaml.safe_load(text), kind: name}
    result: Values = yaml.safe_load(text)
    old = {"processes": "w_qq", "variants": "fsr_hi", "tasks": "w_vs_qcd"}[kind]
    result[kind] = {name if key == old else key: value for key, value in result[kind].items()}
    if kind == "processes":
        result["tasks"]["w_vs_qcd"]["signal"] = name
    return result


BAD_NAMES = [
    "..",
    ".",
    "../x",
    "a/b",
    "/etc",
    "a\\b",
    "",
    "a\n",
    "a b",
    "$(id)",
    "a;b",
    "~",
    "-x",
    "{shard}",
    "a\0",
    "é",
]


@pytest.mark.parametrize("kind", ["campaign", "processes", "variants", "tasks"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_cannot_leave_the_campaign(test_values: Values, kind: str, name: str) -> None:
    assert parse_campaign(rename(test_values, kind, "fine_1"))
    with pytest.raises(ConfigError, match=kind):
        parse_campaign(rename(test_values, kind, name))


@pytest.mark.parametrize("name", ["/scratch/user", "../elsewhere", "results/deep", "a.b-c_d"])
def test_the_folder_of_results_is_the_users_choice(test_values: Values, name: str) -> None:
    """Any folder that the user can write to; campaigns stay below it."""
    root = parse_campaign(rename(test_values, "results", name)).root
    assert Path(root).parent == Path(name)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "$(id)", "`id`", "a|b", "a{b}", "a\n", "a'b", "a&b", "-rf"])
def test_the_folder_of_results_is_no_command(test_values: Values, name: str) -> None:
    with pytest.raises(ConfigError, match="results"):
        parse_campaign(rename(test_values, "results", name))


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses on which a process listens."""
    connections = process.net_connections(kind="inet")
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


def look(top: int) -> dict[int, set[str]]:
    """Return, from inside a worker, what it and the processes above it listen on, up to the process ``top``."""
    chain = [psutil.Process()]
    while chain[-1].pid != top:
        chain.append(chain[-1].parents()[0])
    return {process.pid: listening(process) for process in chain}


def test_the_cluster_of_the_merge_listens_on_loopback_only() -> None:
    """Scheduler, dashboard, nanny and worker: every socket that they listen on, as the kernel lists them."""
    compute: Callable[..., Any] = workers.compute
    (seen,) = compute([dask.delayed(look)(os.getpid())], 1)
    processes = {pid: addresses for pid, addresses in seen.items() if addresses}
    assert len(processes) >= 2
    assert set().union(*seen.values()) <= {"127.0.0.1", "::1"}


def requirements() -> dict[str, str]:
    """Return the entries of the lock file: the text of each, by `name==version`."""
    text = re.sub(
        r"^\s*#.*\n", "", (REPOSITORY / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return {entry.split(" ", 1)[0]: entry for entry in entries if entry.strip()}


def test_every_locked_package_has_its_hashes() -> None:
    locked = requirements()
    assert len(locked) > 50
    for name, entry in locked.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[0-9][0-9A-Za-z.+!]*", name), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}(\s|$)", entry), name


def test_the_lock_file_is_installed_with_its_hashes() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in makefile.splitlines() if "pip" in line and " install " in line]
    assert installs
    fetched = [line for line in installs if "--no-deps --no-build-isolation --editable ." not in line]
    assert len(fetched) == len(installs) - 1, "this package itself, from here"
    assert all("--require-hashes" in line for line in fetched)

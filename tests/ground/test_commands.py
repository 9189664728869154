"""The commands that the pages show: their own parsers take every one of them as it is written."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import sys

import pytest
import torch.distributed.run

from support.documents import DOCUMENTS, name
from support.places import REPOSITORY

TORCHRUN = ["-m", "torch.distributed.run"]
END = re.compile(r"[|;>&].*")


class ParsedError(Exception):
    """What a parser made of a command, in place of the rest of the script."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments


def shown() -> list[tuple[str, str]]:
    """Return (document, command) of all commands of Python in the blocks of the pages."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"^```bash\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(name(document), line) for line in lines if re.match(r"([A-Z_]+=\S+ )*\S*python ", line)]
    return found


@pytest.fixture(autouse=True)
def stop_when_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every parser do its work and nothing come after."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(self: argparse.ArgumentParser, *arguments: object) -> None:
        raise ParsedError(original(self, *arguments))  # type: ignore[call-overload]

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)


def parsed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Return what script or torchrun make of their arguments."""
    with pytest.raises(ParsedError) as result:
        if words[:2] == TORCHRUN:
            torch.distributed.run.parse_args(words[2:])
        monkeypatch.setattr(sys, "argv", words)
        spec = importlib.util.spec_from_file_location("script", REPOSITORY / words[0])
        assert spec is not None and spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        script.main()
    return result.value.arguments


@pytest.mark.parametrize(("document", "command"), shown())
def test_a_command_is_taken_as_it_is_shown(document: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in shlex.split(command, comments=True) if not re.fullmatch(r"[A-Z_]+=.*", word)][1:]
    end = next((i for i, word in enumerate(words) if END.fullmatch(word)), len(words))
    words = words[:end]
    if words[:1] == ["-m"] and words[:2] != TORCHRUN:
        pytest.skip("of another package")
    arguments = parsed(words, monkeypatch)
    if words[:2] == TORCHRUN:
        arguments = parsed([arguments.training_script, *arguments.training_script_args], monkeypatch)
    assert vars(arguments), document


def test_the_pages_show_commands() -> None:
    commands = [command for _, command in shown()]
    assert len(commands) > 15
    assert any("torch.distributed.run" in command for command in commands)


def test_torchrun_leaves_the_options_of_the_rule_alone() -> None:
    """It takes an abbreviation of its own options for its own, also behind the script."""
    rule = (REPOSITORY / "workflow" / "rules" / "pretrain.smk").read_text(encoding="utf-8")
    options = sorted({*re.findall(r"(--[a-z-]+) ", rule.split("rule embed")[0]), "--gpus", "--device"})
    assert "--manifest" in options and "--block" in options
    own = [word for option in options for word in (option, "1")]
    with pytest.raises(ParsedError) as result:
        torch.distributed.run.parse_args(["--standalone", "--nproc-per-node=2", "pretrain.py", *own])
    assert result.value.arguments.training_script_args == own

"""The pages about the command line: every command in them exists, every message is in the code, Python runs."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Iterator, List, Set

import click
import pytest

from hfl_cli.cli import hfl

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "cli"
pytestmark = pytest.mark.skipif(not PAGES.is_dir(), reason="the pages are not beside an sdist")


def command_lines(page: str) -> Iterator[List[str]]:
    """The words of every `hfl …` in the blocks and the sentences of a page."""
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if "$(" not in line]
    for line in [*lines, *re.findall(r"`(hfl [a-z][^`]*)`", text)]:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.commenters = "#"
        words.wordchars += "$/:@{}%!"
        found = list(words)
        while "hfl" in found:
            found = found[found.index("hfl") :]
            end = next(
                (n for n, word in enumerate(found) if re.fullmatch(r"[|&;()<>]+|--", word)), None
            )
            yield found[:end]
            found = found[1:] if end is None else found[end:]


@pytest.mark.parametrize("page", ["guide.md", "scripting.md", "workflows.md", "messages.md"])
def test_every_command_of_a_page_exists_with_its_options(page: str):
    lines = list(command_lines(page))
    assert lines
    wrong = [line for line in lines if not is_known(line)]
    assert wrong == []


def is_known(words: List[str]) -> bool:
    command: click.Command = hfl
    context = click.Context(hfl)
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        if rest[0] in {"dataset-upload", "dataset-list"}:  # where hfl-datasets brings them
            return True
        found = command.get_command(context, rest.pop(0).rstrip(","))
        if found is None:
            return False
        command = found
    known: Set[str] = {
        name for item in command.params for name in (*item.opts, *item.secondary_opts)
    }
    known |= {"--debug", "--help", "-v", "-vv", "-q"}
    return all(word.partition("=")[0] in known for word in rest if re.match(r"--?[a-z]", word))


def texts() -> Iterator[str]:
    """Every text in the code; what is put into it is an ellipsis."""
    for path in sorted(ROOT.glob("packages/*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = node.values
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts
                )


def test_every_message_of_the_index_is_in_the_code():
    page = (PAGES / "messages.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE)
    assert len(messages) > 30
    known = list(texts())
    assert [message for message in messages if not any(map(pattern(message), known))] == []


def pattern(message: str):
    parts = [re.escape(part) for part in re.split("…", message)]
    return re.compile(".*?".join(parts), re.DOTALL).search


def test_the_python_of_the_pages_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOTIFY_URLS", raising=False)
    text = (PAGES / "workflows.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "workflows.md", "exec"), {"__name__": "__main__"})

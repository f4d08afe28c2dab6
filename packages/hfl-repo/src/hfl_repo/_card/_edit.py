"""Change single fields of a metadata block and leave every other byte as it is.

Nodes know where they stand in the text, so a change is a cut at two places. Whatever the text
looked like, the result is read again: it has to say what was wanted, and the same as before about
everything else, or nothing is changed.
"""

from __future__ import annotations

from typing import Any, Mapping

import yaml

from hfl_repo._card import _yaml
from hfl_repo._card._text import CardText, UnreadableCardError

__all__ = ["REMOVED", "edited"]

REMOVED = object()
_UNSAFE = "its metadata is written in a way that cannot be changed without touching the rest"


def edited(card: CardText, changes: Mapping[str, Any]) -> CardText:
    """Change fields of a card.

    Args:
        card: The card.
        changes: Field to its new value, or `REMOVED`.

    Returns:
        The new card; the same one when nothing changes.

    Raises:
        UnreadableCardError: The metadata is written in a way that cannot be changed safely.
    """
    before = card.data
    wanted = {**before, **changes}
    wanted = {key: value for key, value in wanted.items() if value is not REMOVED}
    if _yaml.is_same(before, wanted):
        return card
    try:
        block = _changed(card, before, changes)
    except UnreadableCardError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # an anchor whose value went, for one
        raise UnreadableCardError(_UNSAFE) from error
    result = card.with_block(block)
    _check(result, wanted)
    return result


def _changed(card: CardText, before: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    block = card.block
    for key, value in changes.items():
        if value is REMOVED:
            block = _without(block, key, card.newline)
        elif key not in before or not _yaml.is_same(before[key], value):
            block = _with(block, key, value, card.newline)
    return block


def _check(card: CardText, wanted: Mapping[str, Any]) -> None:
    try:
        found = CardText.parse(card.encode())
        is_right = found.block == card.block and _yaml.is_same(found.data, wanted)
    except UnreadableCardError:
        is_right = False
    if not is_right:
        raise UnreadableCardError(_UNSAFE)


def _with(block: str, key: str, value: Any, newline: str) -> str:
    found = _find(block, key)
    if found is None:
        root = _root(block)
        indent = " " * (root.start_mark.column if root is not None else 0)
        if block and not block.endswith("\n"):
            block += newline
        return block + _lines(key, value, indent, newline)
    name, node = found
    inside = _inside(block, name, node, value, newline)
    if inside is not None:
        return inside
    start, end = _extent(block, name, node)
    indent = " " * name.start_mark.column
    return block[:start] + _lines(key, value, indent, newline) + block[end:]


def _without(block: str, key: str, newline: str) -> str:
    while True:
        found = _find(block, key)
        if found is None:
            return block
        start, end = _extent(block, *found)
        block = block[:start] + block[end:]
        if block.strip() and not block.endswith("\n"):
            block += newline


def _inside(block: str, name: yaml.Node, node: yaml.Node, value: Any, newline: str) -> str | None:
    """Change only the value's own text, so that comments beside it stay; None where that won't do."""
    if isinstance(node, yaml.SequenceNode) and isinstance(value, list):
        return _list_inside(block, node, value, newline)
    if not isinstance(node, yaml.ScalarNode) or isinstance(value, (list, dict)):
        return None
    if node.style in ("|", ">") or node.start_mark.line != node.end_mark.line:
        return None
    written = _yaml.dump(value)
    if isinstance(value, str) and node.style in ("'", '"'):
        written = _quoted(value, node.style)
    if "\n" in written:
        return None
    start, end = node.start_mark.index, node.end_mark.index
    if start == end:  # `license:   # to be decided`
        start = end = block.index(":", name.end_mark.index) + 1
        written = f" {written}"
    return block[:start] + written + block[end:]


def _list_inside(block: str, node: yaml.SequenceNode, value: list[Any], newline: str) -> str | None:
    """Take items out and append others, where each has a line of its own or all are in brackets."""
    if any(
        not isinstance(item, yaml.ScalarNode) or item.style in ("|", ">") for item in node.value
    ):
        return None
    old = [_yaml.read(block[item.start_mark.index : item.end_mark.index]) for item in node.value]
    kept = [item for item in old if item in value]
    if not kept or value[: len(kept)] != kept or len(set(map(str, old))) != len(old):
        return None  # something else than taking out and appending
    added = [_yaml.dump(item) for item in value[len(kept) :]]
    if node.flow_style:
        if len(kept) == len(old) and added:
            at = node.value[-1].end_mark.index
            return block[:at] + "".join(f", {item}" for item in added) + block[at:]
        written = _yaml.dump(value, flow=True)
        return block[: node.start_mark.index] + written + block[node.end_mark.index :]
    dash = " " * node.start_mark.column + "-"
    gap = " " * max(node.value[0].start_mark.column - node.start_mark.column - 1, 1)
    last = _line_end(block, node.value[-1].end_mark.index)
    tail = "" if block[:last].endswith("\n") else newline
    block = (
        block[:last]
        + tail
        + "".join(f"{dash}{gap}{item}{newline}" for item in added)
        + block[last:]
    )
    for item, content in reversed(list(zip(node.value, old))):
        if content not in value:
            start = block.rindex("\n", 0, item.start_mark.index) + 1
            block = block[:start] + block[_line_end(block, item.end_mark.index) :]
    return block


def _quoted(text: str, style: str) -> str:
    written: str = yaml.dump(
        text, Dumper=yaml.SafeDumper, default_style=style, allow_unicode=True, width=float("inf")
    )
    return written.rstrip("\n")


def _lines(key: str, value: Any, indent: str, newline: str) -> str:
    lines = _yaml.dump({key: value}).splitlines()
    return "".join(f"{indent}{line}{newline}" if line else newline for line in lines)


def _root(block: str) -> yaml.MappingNode | None:
    root = _yaml.load_node(block)
    if root is None:
        return None
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise UnreadableCardError("its metadata is written in braces")
    return root


def _find(block: str, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    root = _root(block)
    pairs = root.value if root is not None else []
    # The last one counts where a field is there twice.
    return next(((name, node) for name, node in reversed(pairs) if name.value == key), None)


def _extent(block: str, name: yaml.Node, node: yaml.Node) -> tuple[int, int]:
    """Return where the lines of a field start and end, comments beside its value included."""
    start = block.rfind("\n", 0, name.start_mark.index) + 1
    return start, _line_end(block, max(_end(node), name.end_mark.index))


def _end(node: yaml.Node) -> int:
    """Return where a value ends; a list's or mapping's own mark lies behind the comments after it."""
    if isinstance(node, yaml.ScalarNode):
        if node.style in ("|", ">"):  # its mark is at the start of a line that is not its own
            return int(node.end_mark.index) - 1
        return int(node.end_mark.index)
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    if isinstance(node, yaml.MappingNode):
        return max(_end(last[1]), int(last[0].end_mark.index))
    return _end(last)


def _line_end(block: str, index: int) -> int:
    found = block.find("\n", index)
    return len(block) if found < 0 else found + 1

"""How bytes, texts and trees of values are damaged. All chance comes from the Random given."""

from __future__ import annotations

import copy
import json
import re
import struct
from random import Random
from typing import Any

NUMBERS = (
    "-1", "0", "1", "2", "-0.0", "0.5", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e400",
    "255", "256", "32768", "65536", "100000", "2147483647", "2147483648", "4294967295",
    "4294967296", "1000000000000", "9223372036854775807", "18446744073709551616",
    "9" * 40, "9" * 5000, "0x10", "1_000", "1,5", "--1", "", "NaN(7)", "1e", "٣", "½",
)  # fmt: skip
"""Numbers as text: extremes, and what is none."""

TEXTS = (
    "", " ", "\0", "\n", "\x1b[2J\x1b[31m", "\u202e", "x" * 5000, "../../../../etc/passwd",
    "/etc/passwd", "/dev/zero", "/dev/stdin", "C:\\Windows", "%s%s%n", "{0}", "${HOME}", "`id`",
    "$(touch code-was-run)", "<script>alert(1)</script>", "' OR 1=1 --", "été", "😀" * 50,
    "\udc80", "null", "true", "none", "a/b", "a\\b", ".", "..", "-",
)  # fmt: skip
"""Texts that programs stumble over."""

_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
             10**12, 2**62, 2**63, 2**64 - 1)  # fmt: skip


def damaged(data: bytes, random: Random, times: int = 3) -> bytes:
    """Bytes with one to ``times`` places damaged."""
    for _ in range(random.randint(1, times)):
        data = random.choice(_DAMAGES)(data, random)
    return data


def _place(data: bytes, random: Random) -> int:
    """A place in the data; headers lie at the start, so half of the places do."""
    end = max(len(data), 1)
    return random.randrange(min(end, 400) if random.random() < 0.5 else end)


def _flip(data: bytes, random: Random) -> bytes:
    changed, place = bytearray(data or b"\0"), _place(data, random)
    changed[place] ^= 1 << random.randrange(8)
    return bytes(changed)


def _randomise(data: bytes, random: Random) -> bytes:
    place, length = _place(data, random), random.choice((1, 2, 4, 8, 64))
    return data[:place] + random.randbytes(length) + data[place + length :]


def _integer(data: bytes, random: Random) -> bytes:
    size, place = random.choice((1, 2, 4, 8)), _place(data, random)
    value = random.choice(_INTEGERS) % (1 << 8 * size)
    written = value.to_bytes(size, random.choice(("little", "big")))
    return data[:place] + written + data[place + size :]


def _real(data: bytes, random: Random) -> bytes:
    value = random.choice((float("nan"), float("inf"), -1.0, 0.0, 1e30, -1e30, 1e-40))
    kind, place = random.choice(("<f", ">f", "<d")), _place(data, random)
    written = struct.pack(kind, value)
    return data[:place] + written + data[place + len(written) :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: _place(data, random)]


def _remove(data: bytes, random: Random) -> bytes:
    place = _place(data, random)
    return data[:place] + data[place + random.choice((1, 2, 7, 100)) :]


def _insert(data: bytes, random: Random) -> bytes:
    place = _place(data, random)
    added = random.choice((b"\0", b"\n", b"\xff" * 9, b"\0" * 200, random.randbytes(16)))
    return data[:place] + added + data[place:]


def _repeat(data: bytes, random: Random) -> bytes:
    place, length = _place(data, random), random.choice((1, 16, 200))
    return data[: place + length] + data[place:]


def _blank(data: bytes, random: Random) -> bytes:
    place, length = _place(data, random), random.choice((4, 50, 1000))
    return data[:place] + b"\0" * min(length, len(data) - place) + data[place + length :]


_DAMAGES = (_flip, _randomise, _integer, _real, _cut, _remove, _insert, _repeat, _blank)


def edited(text: str, random: Random, times: int = 2) -> str:
    """Text with one to ``times`` numbers, words or lines changed."""
    for _ in range(random.randint(1, times)):
        text = random.choice(_EDITS)(text, random)
    return text


def _other_number(text: str, random: Random) -> str:
    return _replaced(text, r"[-+]?\d[\d.eE+-]*", random.choice(NUMBERS), random)


def _other_word(text: str, random: Random) -> str:
    return _replaced(text, r"[A-Za-z][\w.-]*", random.choice((*TEXTS, *NUMBERS)), random)


def _replaced(text: str, pattern: str, by: str, random: Random) -> str:
    found = list(re.finditer(pattern, text))
    if not found:
        return text + by
    one = random.choice(found)
    return text[: one.start()] + by + text[one.end() :]


def _other_lines(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    place, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(other, lines[place])
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 3:
        lines[place] = lines[place] * random.choice((2, 500))
    else:
        lines[place] = lines[place].rstrip("\n") + random.choice(TEXTS) + "\n"
    return "".join(lines)


def _other_characters(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    kind = random.randrange(3)
    if kind == 0:
        return text[:place]
    if kind == 1:
        return text[:place] + text[place + random.choice((1, 5)) :]
    return text[:place] + random.choice("\0\t\r:={}[]()\"'\\#&*!|>%@\ufeff") + text[place:]


_EDITS = (_other_number, _other_number, _other_word, _other_lines, _other_characters)


def odd_value(random: Random) -> Any:
    """A value that is seldom what a file should hold."""
    kind = random.randrange(8)
    if kind == 0:
        return random.choice((None, True, False))
    if kind == 1:
        return random.choice((0, -1, 1, 2, 3, 65536, 10**6, 2**31, 10**12, 2**63, 2**64, 10**30))
    if kind == 2:
        return random.choice((0.0, -0.5, 0.3, 1e-320, 1e308, float("nan"), float("inf")))
    if kind in (3, 4):
        return random.choice(TEXTS)
    if kind == 5:
        return random.choice(
            ([], {}, [[]], [None], {"": None}, {"name": "x"}, [0] * 3, ["a"] * 999)
        )
    if kind == 6:
        return random.choice(NUMBERS)
    return nested(random.choice((3, 50, 300)), random.random() < 0.5)


def nested(depth: int, mapping: bool = False) -> Any:
    """A list in a list in a list, or a mapping in a mapping."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if mapping else [value]
    return value


def twisted(tree: Any, random: Random, times: int = 2) -> Any:
    """A tree of lists and mappings with one to ``times`` of its values changed."""
    tree = copy.deepcopy(tree)
    for _ in range(random.randint(1, times)):
        nodes = [node for node in _nodes(tree) if node]
        if not nodes:
            return odd_value(random)
        _twist(random.choice(nodes), random)
    return odd_value(random) if random.random() < 0.01 else tree


def _twist(node: Any, random: Random) -> None:
    key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
    kind = random.randrange(10)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[str(random.choice(TEXTS))] = odd_value(random)
    elif kind == 1:
        node.append(odd_value(random))
    elif kind == 2:
        node[key] = [node[key]]
    elif kind == 3:
        node[key] = str(node[key])
    elif kind == 4 and isinstance(node[key], int | float):
        node[key] = node[key] * random.choice((-1, 0, 2, 1000, 10**9))
    else:
        node[key] = odd_value(random)


def _nodes(tree: Any) -> list[Any]:
    if not isinstance(tree, dict | list):
        return []
    inner = tree.values() if isinstance(tree, dict) else tree
    return [tree, *(node for value in inner for node in _nodes(value))]


def odd_json(tree: Any, random: Random) -> bytes:
    """JSON of a tree, twisted as a tree, as a text or as bytes."""
    kind = random.randrange(10)
    if kind < 6:
        tree = twisted(tree, random)
    text = json.dumps(tree, indent=1)
    if kind in (6, 7):
        text = edited(text, random)
    elif kind == 8:
        text = _of_json_alone(text, random)
    data = text.encode("utf-8", "surrogatepass")
    return damaged(data, random) if kind == 9 else data


def _of_json_alone(text: str, random: Random) -> str:
    """What only JSON can hold: deep nesting, a key twice, long numbers, another encoding."""
    kind = random.randrange(5)
    if kind == 0:
        return random.choice(("[", '{"a":', "[[{")) * random.choice((100, 2000, 200_000))
    if kind == 1:
        depth = random.choice((100, 2000, 100_000))
        return _replaced(text, r"\d+", "[" * depth + "]" * depth, random)
    if kind == 2:
        found = random.choice(re.findall(r'"\w+":', text) or ['"a":'])
        return text.replace("{", "{" + found + json.dumps(odd_value(random)) + ",", 1)
    if kind == 3:
        return _replaced(text, r"\d+", "9" * random.choice((400, 5000, 100_000)), random)
    return random.choice(("\ufeff", "//\n", "")) + text + random.choice(("", "x", text))

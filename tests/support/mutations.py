"""Small damage to a valid file: to its bytes, and to what a JSON text holds."""

import json
import random as random_lib
from typing import Any

# What a field may hold instead of a number or a word.
TOKENS = (
    *("", " ", "0", "-1", "256", "1.5", "1e9", "nan", "inf", "9" * 30, "9" * 5000, "0" * 5000, "\0", "\n", "\r", '"'),
    *(",", "'", "\x1b[31m", "\u2028", "é", "\ud800", "../../x", "/etc/passwd", "A" * 70_000, "true", "null", "{}"),
)
_WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0")
_EDGE = 80  # bytes at either end, where most formats keep their headers
_DEEP = 300  # lists in each other
_VALUES = (None, True, -1, 0, 1.5, 10**400, 1 << 70, float("nan"), float("inf"), [], {}, [[]], {"": {}}, *TOKENS)


def token(random: random_lib.Random) -> bytes:
    """Returns what a field may hold instead of a number or a word."""
    return random.choice(TOKENS).encode(errors="surrogatepass")


def damaged(content: bytes, random: random_lib.Random) -> bytes:
    """Returns bytes after one to four changes: bits, words and parts that are flipped, put in, repeated or cut off."""
    for _ in range(random.randint(1, 4)):
        start = _place(len(content), random)
        end = min(len(content), start + random.choice((1, 2, 4, 30, 1000)))
        before, part, after = content[:start], content[start:end], content[end:]
        change = random.choice(("flip", "word", "cut", "put in", "token", "leave out", "repeat", "zeros"))
        if change == "flip" and part:
            content = before + bytes([part[0] ^ (1 << random.randint(0, 7))]) + part[1:] + after
        elif change == "word":
            content = before + random.choice(_WORDS) + content[start + 4 :]
        elif change == "cut":
            content = before
        elif change == "put in":
            content = before + random.randbytes(random.randint(1, 8)) + part + after
        elif change == "token":
            content = before + token(random) + part + after
        elif change == "leave out":
            content = before + after
        elif change == "repeat":
            content = before + part * random.randint(2, 50) + after
        else:
            content = before + bytes(len(part)) + after
    return content


def damaged_json(value: Any, random: random_lib.Random) -> bytes:
    """Returns a value as JSON after up to three changes to its parts, and sometimes to its text."""
    value, deep = json.loads(json.dumps(value)), 0
    for _ in range(random.randint(0, 3)):
        holder, key = _part(value, random)
        change = random.choice(("value", "leave out", "put in", "nest"))
        if holder is None:
            value = random.choice(_VALUES)
        elif change == "value":
            holder[key] = random.choice(_VALUES)
        elif change == "leave out":
            del holder[key]
        elif change == "nest":
            depth = random.choice((3, _DEEP))
            deep += depth == _DEEP
            for _ in range(depth):
                holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[random.choice(TOKENS)] = random.choice(_VALUES)
        else:
            holder.insert(key, random.choice(_VALUES))
    try:
        # Whether Python still writes what is nested twice depends on how deep its own calls are.
        text = json.dumps(value).encode() if deep < 2 else b"[" * 100_000
    except (RecursionError, ValueError):  # the latter for a number that Python does not write
        text = b"[" * 100_000
    return damaged(text, random) if random.random() < 0.3 else text


def _place(length: int, random: random_lib.Random) -> int:
    """Returns a place in so many bytes, near an end as often as anywhere else."""
    if random.random() < 0.5:
        return random.randint(0, length)
    near = random.randint(0, min(_EDGE, length))
    return near if random.random() < 0.5 else length - near


def _part(value: Any, random: random_lib.Random) -> tuple[Any, Any]:
    """Returns a list or dict somewhere in a value, and one of its indices or keys; None where there is none."""
    holder, key = None, None
    while isinstance(value, list | dict) and value and (holder is None or random.random() < 0.6):
        holder, key = value, random.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        value = value[key]
    return holder, key

"""What to say when a name is not in the file: the nearest names, and what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 30


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A remedy: near misses of `name` among `options` (also by the last part of a path), then the options."""
    known = sorted(set(options))
    if not known:
        return "there is none in it"
    near = difflib.get_close_matches(name, known, n=3)
    last_part = name.rsplit("/", 1)[-1]
    last_parts = {option: option.rsplit("/", 1)[-1] for option in known}
    close = set(difflib.get_close_matches(last_part, last_parts.values(), n=3))
    near += [option for option, last in last_parts.items() if last in close and option not in near]
    shown = ", ".join(known[:_MOST]) + (f" and {len(known) - _MOST} more" if len(known) > _MOST else "")
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}there is: {shown}"

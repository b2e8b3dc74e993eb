"""What was probably meant by a name that is not known."""

import difflib
from typing import Any


def nearest(name: Any, known: Any) -> str:
    """A question that suggests the known name most like a mistyped one, or nothing."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""

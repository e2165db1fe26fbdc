"""Text inside XML: what is written by people stays text."""

from __future__ import annotations

import re
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for (section 2.2)."""


def text(value: Any) -> str:
    """A value as the content of an element."""
    return escape(_NOT_XML.sub("", str(value)))


def attribute(value: Any) -> str:
    """A value as that of an attribute, with its quotes."""
    return quoteattr(_NOT_XML.sub("", str(value)))


def element(name: str, value: Any) -> str:
    """An element that holds a value; nothing where it is not known."""
    return "" if value is None else f"<{name}>{text(value)}</{name}>"

"""Formulas of rules: comparisons of fields, joined by and, or, not; what is not known stays so.

The grammar, whole; nothing else is understood, and nothing is executed::

    formula    = conjunction { "or" conjunction }
    conjunction = term { "and" term }
    term       = "not" term | "(" formula ")" | comparison | field
    comparison = field operator value
    operator   = ">=" | "<=" | ">" | "<" | "==" | "!="
    value      = number | 'text' | "threshold" | "massif_threshold"

A bare field is one that is true or false. Values are those of Kleene's strong logic of three values: a formula whose
answer would be the same whatever the unknown fields turn out to be has that answer, and none otherwise.

References
----------
Kleene, S. C. (1952). Introduction to Metamathematics, section 64.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from detector.criteria.fields import FIELDS, Kind, Value

THRESHOLD, MASSIF_THRESHOLD = "threshold", "massif_threshold"
"""What stands for the threshold of the rule's period, and of its massif."""
PARAMETERS = (THRESHOLD, MASSIF_THRESHOLD)

_LONGEST, _DEEPEST = 500, 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|'(?P<text>[^']*)'|(?P<mark>>=|<=|==|!=|>|<|\(|\))|(?P<name>[A-Za-z_][\w.]*))"
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


class FormulaError(ValueError):
    """A formula that is not understood; its text says why, as the end of a sentence."""


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Whether all are true: False if one is false, else None if one is not known."""
    known = list(answers)
    if False in known:
        return False
    return None if None in known else True


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Whether any is true: True if one is, else None if one is not known."""
    known = list(answers)
    if True in known:
        return True
    return None if None in known else False


@dataclass(frozen=True)
class Parameter:
    """A threshold that the rule's period gives."""

    name: str


@dataclass(frozen=True)
class Comparison:
    """A field beside a number, a text or a threshold."""

    field: str
    operator: str
    right: float | str | Parameter

    def answer(self, values: Mapping[str, Value]) -> bool | None:
        """True, False, or None where a side is not known."""
        left = values.get(self.field)
        right = values.get(self.right.name) if isinstance(self.right, Parameter) else self.right
        return None if left is None or right is None else _COMPARE[self.operator](left, right)


@dataclass(frozen=True)
class Truth:
    """A field that is true or false."""

    field: str

    def answer(self, values: Mapping[str, Value]) -> bool | None:
        """Its value."""
        value = values.get(self.field)
        return None if value is None else bool(value)


@dataclass(frozen=True)
class Not:
    """The contrary."""

    inner: Node

    def answer(self, values: Mapping[str, Value]) -> bool | None:
        """The contrary, None where that is not known."""
        inner = self.inner.answer(values)
        return None if inner is None else not inner


@dataclass(frozen=True)
class Joined:
    """Several, joined by ``and`` or by ``or``."""

    word: str
    parts: tuple[Node, ...]

    def answer(self, values: Mapping[str, Value]) -> bool | None:
        """As `all_of` or `any_of`."""
        answers = [part.answer(values) for part in self.parts]
        return all_of(answers) if self.word == "and" else any_of(answers)


Node = Comparison | Truth | Not | Joined


@dataclass(frozen=True)
class Formula:
    """A formula, understood.

    Parameters
    ----------
    text
        As written.
    root
        Its meaning.
    """

    text: str
    root: Node

    def answer(self, values: Mapping[str, Value]) -> bool | None:
        """Whether it holds; None where the unknown fields decide.

        Parameters
        ----------
        values
            Of fields and thresholds, by name; what is absent is not known.
        """
        return self.root.answer(values)

    def missing(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """Fields and thresholds that would decide, from left to right; none where it is decided."""
        return tuple(dict.fromkeys(_missing(self.root, values)))

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons in it, from left to right."""
        return tuple(node for node in _leaves(self.root) if isinstance(node, Comparison))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields in it, from left to right."""
        return tuple(dict.fromkeys(leaf.field for leaf in _leaves(self.root)))


def parse(text: str) -> Formula:
    """Understand a formula.

    Parameters
    ----------
    text
        After the module's grammar.

    Raises
    ------
    FormulaError
        When it is not after the grammar, names a field that there is not, or compares what cannot be compared.
    """
    if len(text) > _LONGEST:
        raise FormulaError(f"is longer than {_LONGEST} characters")
    reader = _Reader(_tokens(text))
    root = reader.formula()
    if reader.next is not None:
        raise FormulaError(f"has {reader.next[1]!r} where it should end")
    return Formula(text, root)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise FormulaError(f"has {text[place:].strip()[0]!r}, which means nothing there")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return tokens


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    @property
    def next(self) -> tuple[str, str] | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _take(self) -> tuple[str, str]:
        token = self.next
        if token is None:
            raise FormulaError("ends too early")
        self._place += 1
        return token

    def _took(self, word: str) -> bool:
        """Take the next token if it is this word or mark; a text between quotes never is."""
        token = self.next
        if token is not None and token[0] != "text" and token[1] == word:
            self._place += 1
            return True
        return False

    def formula(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._term))

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._took(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _term(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FormulaError(f"is nested more than {_DEEPEST} deep")
        node = self._inner_term()
        self._depth -= 1
        return node

    def _inner_term(self) -> Node:
        if self._took("not"):
            return Not(self._term())
        if self._took("("):
            inner = self.formula()
            if not self._took(")"):
                raise FormulaError("has a parenthesis that is not closed")
            return inner
        kind, name = self._take()
        if kind != "name":
            raise FormulaError(f"has {name!r} where the name of a field should stand")
        if name not in FIELDS:
            raise FormulaError(f"names the field {name!r}, which there is not (known: {', '.join(sorted(FIELDS))})")
        mark = self.next
        if mark is not None and mark[0] == "mark" and mark[1] in _COMPARE:
            self._take()
            return _comparison(name, mark[1], self._take())
        if FIELDS[name].kind is not Kind.YES_NO:
            raise FormulaError(f"has the field {name} alone, which is not true or false: compare it")
        return Truth(name)


def _comparison(name: str, mark: str, right: tuple[str, str]) -> Comparison:
    kind, written = right
    is_number = kind == "number" or (kind == "name" and written in PARAMETERS)
    if not is_number and kind != "text":
        raise FormulaError(f"compares {name} with {written!r}, which is no number, 'text' or threshold")
    wanted = FIELDS[name].kind
    if wanted is Kind.YES_NO or is_number != (wanted is Kind.NUMBER):
        raise FormulaError(f"compares {name}, a field of kind {wanted}, with {written!r}")
    if not is_number and mark not in ("==", "!="):
        raise FormulaError(f"compares the text {name} with {mark}: use == or !=")
    if kind == "name":
        return Comparison(name, mark, Parameter(written))
    return Comparison(name, mark, float(written) if is_number else written)


def _leaves(node: Node) -> Iterator[Comparison | Truth]:
    if isinstance(node, Joined):
        for part in node.parts:
            yield from _leaves(part)
    elif isinstance(node, Not):
        yield from _leaves(node.inner)
    else:
        yield node


def _missing(node: Node, values: Mapping[str, Value]) -> Iterator[str]:
    if node.answer(values) is not None:
        return
    if isinstance(node, Joined):
        for part in node.parts:
            yield from _missing(part, values)
    elif isinstance(node, Not):
        yield from _missing(node.inner, values)
    else:
        if values.get(node.field) is None:
            yield node.field
        if isinstance(node, Comparison) and isinstance(node.right, Parameter) and values.get(node.right.name) is None:
            yield node.right.name

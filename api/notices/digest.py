"""What a notice holds: a digest in French, then in English, as plain text, simple HTML and Markdown.

What comes from outside (names of communes, codes) is brought down to letters, figures and a few signs before it is
put in: no markup, link or mention is left in it. Each form then writes it in its own way of quoting besides.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from api.features import AlertFeature
from api.notices.news import News, Share
from api.notices.words import ENGLISH, FRENCH, Words

ALERT_PATH: Final = "/api/v1/collections/alerts/items"
UNSUBSCRIBE_PATH: Final = "/api/v1/unsubscribe"
_MOST_CHARACTERS: Final = 16_000
"""Of Markdown: Mattermost takes 16,383 in a message (Post.Message, POST_MESSAGE_MAX_RUNES_V2)."""
_NOT_A_NAME = re.compile(r"[^\w '\u2019-]|_")
_NOT_A_CODE = re.compile(r"[^A-Za-z0-9_-]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|>~<&-])")
_LONGEST_NAME: Final = 80
_MOST_CODES: Final = 10


@dataclass(frozen=True)
class Digest:
    """A notice, in the forms in which it is sent.

    Parameters
    ----------
    subject
        One line of ASCII.
    text, html
        For mail.
    markdown
        For webhooks.
    unsubscribe_url
        The way out.
    """

    subject: str
    text: str
    html: str
    markdown: str
    unsubscribe_url: str


@dataclass(frozen=True)
class _Entry:
    """An alert, in the words of a language."""

    title: str
    facts: tuple[str, ...]
    url: str


def digest_of(news: News, public_url: str, token: str) -> Digest:
    """Write a notice.

    Parameters
    ----------
    news
        Of `api.notices.news.news_for`.
    public_url
        Address of the service, of which links are made.
    token
        Of the link out.
    """
    root = public_url.rstrip("/")
    way_out = f"{root}{UNSUBSCRIBE_PATH}/{token}"
    sections = [_Section(words, news, root, way_out) for words in (FRENCH, ENGLISH)]
    listed = len(news.listed)
    markdown = _markdown(sections, listed)
    while len(markdown) > _MOST_CHARACTERS and listed:
        listed -= 1
        markdown = _markdown(sections, listed)
    pages = "\n<hr>\n".join(section.html(len(news.listed)) for section in sections)
    head = '<!DOCTYPE html>\n<html lang="fr"><head><meta charset="utf-8"><title>Sylvigie</title></head><body>'
    page = f"{head}\n{pages}\n</body></html>\n"
    subject = f"Sylvigie : {_summary(FRENCH, news.total)} / {_summary(ENGLISH, news.total)}"
    text = "\n\n-- English --\n\n".join(section.text(len(news.listed)) for section in sections) + "\n"
    return Digest(subject, text, page, markdown, way_out)


def _markdown(sections: Sequence[_Section], listed: int) -> str:
    return "\n\n---\n\n".join(section.markdown(listed) for section in sections)


@dataclass(frozen=True)
class _Section:
    """A notice in one language."""

    words: Words
    news: News
    root: str
    way_out: str

    def text(self, listed: int) -> str:
        """Plain text."""
        lines = [_summary(self.words, self.news.total), *self._about(), "", f"{self._colon(self.words.departements)}"]
        lines += [f"- {line}" for line in self._departements()]
        lines += ["", self._colon(self.words.listed)]
        for entry in self._entries(listed):
            lines += [f"- {entry.title}", *(f"  {fact}" for fact in entry.facts), f"  {entry.url}"]
        lines += self._others(listed)
        return "\n".join([*lines, "", self.words.meaning, f"{self._colon(self.words.way_out)} {self.way_out}"])

    def html(self, listed: int) -> str:
        """HTML without style, script or picture."""
        parts = [f"<h2>{_html(_summary(self.words, self.news.total))}</h2>"]
        parts += [f"<p>{_html(line)}</p>" for line in self._about()]
        parts.append(f"<p>{_html(self._colon(self.words.departements))}</p>")
        parts.append("<ul>" + "".join(f"<li>{_html(line)}</li>" for line in self._departements()) + "</ul>")
        parts.append(f"<p>{_html(self._colon(self.words.listed))}</p>")
        items = [
            f'<li><a href="{_html(entry.url)}">{_html(entry.title)}</a><br>{"<br>".join(map(_html, entry.facts))}</li>'
            for entry in self._entries(listed)
        ]
        parts.append("<ul>" + "\n".join(items) + "</ul>")
        parts += [f"<p>{_html(line)}</p>" for line in self._others(listed)]
        parts.append(f"<p>{_html(self.words.meaning)}</p>")
        parts.append(f'<p><a href="{_html(self.way_out)}">{_html(self.words.way_out)}</a></p>')
        return "\n".join(parts)

    def markdown(self, listed: int) -> str:
        """Markdown, of which Mattermost and the common dialects say the same."""
        parts = [f"#### {_markdown_text(_summary(self.words, self.news.total))}"]
        parts += [_markdown_text(line) for line in self._about()]
        departements = [f"- {_markdown_text(line)}" for line in self._departements()]
        parts.append("\n".join([_markdown_text(self._colon(self.words.departements)), "", *departements]))
        items = [
            f"- [{_markdown_text(entry.title)}]({entry.url}) {_markdown_text(' ; '.join(entry.facts))}"
            for entry in self._entries(listed)
        ]
        parts.append("\n".join([_markdown_text(self._colon(self.words.listed)), "", *items]))
        parts += [_markdown_text(line) for line in self._others(listed)]
        parts.append(_markdown_text(self.words.meaning))
        parts.append(f"[{_markdown_text(self.words.way_out)}]({self.way_out})")
        return "\n\n".join(parts)

    def _about(self) -> list[str]:
        abusive = [self.words.abusive_count.format(count=self.news.abusive)]
        if self.news.abusive_unknown:
            abusive.append(self.words.abusive_unknown.format(count=self.news.abusive_unknown))
        return [self.words.about_area, " ".join(abusive)]

    def _departements(self) -> Iterator[str]:
        for code, share in self.news.departements.items():
            name = self.words.departement_unknown if code is None else _name(code)
            yield f"{self._colon(name)} {_summary(self.words, share)}"

    def _others(self, listed: int) -> list[str]:
        left = self.news.total.alerts - listed
        return [self.words.others.format(count=left)] if left else []

    def _colon(self, text: str) -> str:
        # French writes a space before it.
        return f"{text} :" if self.words is FRENCH else f"{text}:"

    def _entries(self, listed: int) -> Iterator[_Entry]:
        for feature in self.news.listed[:listed]:
            yield _entry(self.words, feature, f"{self.root}{ALERT_PATH}/{quote(feature.id, safe='')}")


def _entry(words: Words, feature: AlertFeature, url: str) -> _Entry:
    properties = feature.properties
    commune = _name(str(properties.get("commune") or "")) or words.commune_unknown
    departement = _name(str(properties.get("departement") or "")) or words.departement_unknown
    area_ha = properties.get("area_ha")
    size = "? ha" if area_ha is None else _hectares(words, float(area_ha))
    facts = [_interval(words, properties), _criteria(words, properties)]
    if properties.get("potentially_abusive") is True:
        facts.append(words.abusive)
    return _Entry(f"{size}, {commune} ({departement})", tuple(facts), url)


def _interval(words: Words, properties: Mapping[str, Any]) -> str:
    """When the forest was lost."""
    last_intact, first_low = (_day(words, properties.get(name)) for name in ("last_intact", "first_low"))
    if first_low is None:
        return words.interval_unknown
    if last_intact is None:
        return words.seen.format(first_low=first_low)
    return words.since.format(last_intact=last_intact, first_low=first_low)


def _day(words: Words, value: object) -> str | None:
    return None if value is None else dt.date.fromisoformat(str(value)[:10]).strftime(words.date)


def _criteria(words: Words, properties: Mapping[str, Any]) -> str:
    """Codes of the criteria that are met; where none is, those that cannot be judged."""
    criteria = properties.get("criteria")
    if criteria is None:
        return words.criteria_unknown
    met, undecided = (_codes(criteria, value) for value in (True, None))
    if met:
        return words.criteria.format(codes=met)
    return words.criteria_undecided.format(codes=undecided) if undecided else words.no_criterion


def _codes(criteria: Sequence[Mapping[str, Any]], met: bool | None) -> str:
    codes = sorted(str(each["code"]) for each in criteria if each.get("met") is met)
    return ", ".join(_NOT_A_CODE.sub("-", code)[:_LONGEST_NAME] for code in codes[:_MOST_CODES])


def _summary(words: Words, share: Share) -> str:
    count = words.one_alert if share.alerts == 1 else words.many_alerts.format(count=share.alerts)
    return f"{count}, {_hectares(words, share.area_ha)}"


def _hectares(words: Words, area_ha: float) -> str:
    return f"{area_ha:.1f} ha".replace(".", words.decimal)


def _name(text: str) -> str:
    """A name of a place, without anything that a name does not hold: no markup, no link, no mention, no line end."""
    return " ".join(_NOT_A_NAME.sub(" ", text).split())[:_LONGEST_NAME]


def _html(text: str) -> str:
    return html.escape(text, quote=True)


def _markdown_text(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)

"""Links in a proxied page, turned so that they lead through the proxy again.

Follows rewriteHTML in k8s.io/apimachinery/pkg/util/proxy: attributes that hold URLs are rewritten, every start tag is
written anew (lower case, values in double quotes), everything else stays byte for byte. The text is taken to be UTF-8.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

_URLS = {
    "a": "href", "applet": "codebase", "area": "href", "audio": "src", "base": "href", "blockquote": "cite",
    "body": "background", "button": "formaction", "command": "icon", "del": "cite", "embed": "src", "form": "action",
    "frame": "longdesc src", "head": "profile", "html": "manifest", "iframe": "longdesc src",
    "img": "longdesc src usemap", "input": "src usemap formaction", "ins": "cite", "link": "href",
    "object": "classid codebase data usemap", "q": "cite", "script": "src", "source": "src", "video": "poster src",
}  # fmt: skip
ATTRIBUTES = {tag: frozenset(names.split()) for tag, names in _URLS.items()}
_RAW = frozenset(
    {"iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "title", "textarea", "xmp"}
)

_TAG_NAME = re.compile(r"<([A-Za-z][^\s/>]*)")
_ATTRIBUTE = re.compile(
    r"[\s/]*(?P<name>[^\s/>][^\s/>=]*)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s>\"'][^\s>]*)|(?=>)))?"
)
_TAG_END = re.compile(r"[\s/]*?(?P<closed>/?)>")
_ENTITY_BEFORE_MORE = re.compile(r"&[A-Za-z0-9]+(?![A-Za-z0-9;])(?==)")
_ESCAPES = str.maketrans({"&": "&amp;", "'": "&#39;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "\r": "&#13;"})

Rewrite = Callable[[str], str]


def rewrite_links(page: str, rewrite: Rewrite) -> str:
    """The page with `rewrite` applied to every URL in an attribute."""
    return "".join(_tokens(page, rewrite))


def _tokens(page: str, rewrite: Rewrite) -> Iterator[str]:
    position = 0
    while (start := page.find("<", position)) >= 0:
        yield page[position:start]
        if page.startswith("<!--", start):
            position = _after(page, "-->", start + 4)
            yield page[start:position]
        elif page.startswith(("<!", "<?", "</"), start):
            position = _after(page, ">", start)
            yield page[start:position]
        elif (tag := _TAG_NAME.match(page, start)) is None:
            position = start + 1
            yield "<"
        else:
            text, position = _start_tag(page, tag, rewrite)
            yield text
            name = tag[1].lower()
            if name in _RAW and not text.endswith("/>"):
                end = re.compile(rf"</{re.escape(name)}(?=[\s/>])", re.IGNORECASE).search(page, position)
                raw_end = end.start() if end else len(page)
                yield page[position:raw_end]
                position = raw_end
    yield page[position:]


def _after(page: str, mark: str, start: int) -> int:
    end = page.find(mark, start)
    return end + len(mark) if end >= 0 else len(page)


def _start_tag(page: str, tag: re.Match[str], rewrite: Rewrite) -> tuple[str, int]:
    """(the tag as it is to be, where it ended). One that never ends stays as it is."""
    name, position = tag[1].lower(), tag.end()
    urls = ATTRIBUTES.get(name, frozenset())
    written = [f"<{name}"]
    seen: set[str] = set()
    while (end := _TAG_END.match(page, position)) is None:
        attribute = _ATTRIBUTE.match(page, position)
        if attribute is None or attribute.end() == position:
            return page[tag.start() :], len(page)
        position = attribute.end()
        key = attribute["name"].lower()
        given = next((attribute[one] for one in ("double", "single", "bare") if attribute[one] is not None), "")
        value = _unescaped(given)
        if key in urls:
            value = rewrite(value)
        if key not in seen:
            written.append(f' {key}="{value.translate(_ESCAPES)}"')
        seen.add(key)
    return "".join(written) + ("/>" if end["closed"] else ">"), end.end()


def _unescaped(value: str) -> str:
    """Character references in an attribute: `&copy=1` is no reference, since "=" follows without a semicolon."""
    return html.unescape(_ENTITY_BEFORE_MORE.sub(lambda match: f"&amp;{match[0][1:]}", value))

"""Paths and URLs as Go joins and writes them (path.Join, url.URL.String)."""

from __future__ import annotations

from urllib.parse import quote

_KEPT = "$&+,/:;=@~-_."  # what url.EscapedPath leaves as it is, beside letters and digits


def clean(path: str) -> str:
    """path.Clean: without empty, "." and ".." parts; "." for nothing."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "..":
            parts.pop()
        elif not rooted:
            parts.append(part)
    text = "/".join(parts)
    return f"/{text}" if rooted else text or "."


def join(*parts: str) -> str:
    """path.Join: "" when there is nothing to join."""
    given = [part for part in parts if part]
    return clean("/".join(given)) if given else ""


def join_keeping_slash(*parts: str) -> str:
    """JoinPreservingTrailingSlash in k8s.io/apimachinery: a slash at the end of the last part that is not empty stays."""
    result = join(*parts)
    last = next((part for part in reversed(parts) if part), "")
    return f"{result}/" if last.endswith("/") and not result.endswith("/") else result


def escaped(path: str) -> str:
    """A decoded path percent-encoded, as url.URL writes it."""
    return quote(path, safe=_KEPT)

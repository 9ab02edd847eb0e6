"""URLs of sources that are no sockets: `file:PATH` and `follow:DIR`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from headwater.errors import TransportError
from headwater.model.quantities import duration

SCHEMES: Final = ("file", "follow")
_FOLLOW: Final = ("pattern", "every", "settle", "after")
_OPTIONS: Final = {"file": ("pace",), "follow": (*_FOLLOW, "pace")}
_AFTER: Final = ("keep", "delete", "move")


@dataclass(frozen=True, slots=True)
class ReplayUrl:
    """What a URL of files says.

    path: of the file or files (file), or of a folder whose new files are taken (follow).
    pattern: names of files that are taken. every: seconds between two looks at the folder. settle: seconds that a file
    must not have changed. after: what becomes of a file whose records are stored: "keep", "delete", or "move", to
    `target`. pace: how many times as fast as it came it is replayed, None = as fast as can be.
    """

    url: str
    is_follow: bool
    path: str
    pattern: str = "*"
    every: float = 1.0
    settle: float = 2.0
    after: str = "keep"
    target: str = ""
    pace: float | None = None

    def bound_to(self, address: tuple[str, int]) -> str:
        """The URL; there is no port that could be chosen."""
        return self.url


def is_replay_url(url: str) -> bool:
    """Whether it is meant to be one of files."""
    return isinstance(url, str) and url.partition(":")[0].lower() in SCHEMES


def parse_replay_url(url: str) -> ReplayUrl:
    """A URL such as `file:flows.pcap` or `follow:captures/?pattern=*.pcap&after=delete`.

    Options stand behind a question mark, joined by &, as they are. Raises TransportError, in one sentence.
    """
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise TransportError(f"{url!r} names no files: it begins with file: or follow:", url=url)
    path, _, query = rest.partition("?")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path or "\0" in path:
        raise TransportError(f"{url!r} names no {'folder' if scheme == 'follow' else 'file'}", url=url)
    texts = _texts(url, scheme, query)
    after, _, target = texts.get("after", "keep").partition(":")
    if after not in _AFTER or bool(target) != (after == "move"):
        raise TransportError(f"{url!r}: after is keep, delete or move:FOLDER, not {texts['after']!r}", url=url)
    pattern = texts.get("pattern", "*")
    if "/" in pattern:
        raise TransportError(f"{url!r}: pattern is for names of files, so it has no /", url=url)
    return ReplayUrl(
        url,
        scheme == "follow",
        path,
        pattern,
        _seconds(url, texts, "every", 1.0),
        _seconds(url, texts, "settle", 2.0),
        after,
        target,
        _pace(url, texts.get("pace")),
    )


def _texts(url: str, scheme: str, query: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    known = _OPTIONS[scheme]
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise TransportError(f"{url!r}: {scheme}: has no option {name!r}; {hint}", url=url)
        if not value or name in texts:
            raise TransportError(f"{url!r}: {name} has {'two values' if value else 'no value'}", url=url)
        texts[name] = value
    return texts


def _seconds(url: str, texts: dict[str, str], name: str, default: float) -> float:
    if name not in texts:
        return default
    try:
        return duration(texts[name])
    except ValueError:
        raise TransportError(
            f"{url!r}: {name} is a duration such as 1s or 250ms, not {texts[name]!r}", url=url
        ) from None


def _pace(url: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        pace = float(text)
    except ValueError:
        pace = math.nan
    if not 0 < pace < math.inf:
        raise TransportError(
            f"{url!r}: pace is how many times as fast as it came, such as 1 or 10, not {text!r}", url=url
        )
    return pace

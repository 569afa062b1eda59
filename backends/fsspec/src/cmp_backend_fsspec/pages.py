"""Own the reading of a web server's page that lists a folder: which links are files and folders of it."""

from html.parser import HTMLParser
from urllib.parse import unquote

from yarl import URL

from cmp_core import IntegrityError
from cmp_core.transfer import quote_path


def links_of(page: str, url: str) -> dict[str, str]:
    """Return what lies below a folder, by the page that lists it.

    What leads elsewhere is none of the folder's: to its parent, to another host, to the same page in another order.

    Args:
        page: The page.
        url: The folder's URL, with a slash at its end.

    Returns:
        The URL of each file and folder by its path below the folder, decoded and not to be trusted; a folder's ends
        in a slash.

    Raises:
        IntegrityError: A link below the folder has a query, or an escaped slash, so that it names no file.
    """
    reader = _LinkReader()
    reader.feed(page)
    reader.close()
    base = _join(url, reader.base) or url
    found: dict[str, str] = {}
    for link in reader.links:
        target, has_query, _ = _join(base, link).partition("#")[0].partition("?")
        below = target.removeprefix(url)
        if below == target or not below:
            continue
        if has_query:
            raise IntegrityError(f"{url} links to {quote_path(below)} with a query, which names no file: name the file")
        path = "/".join(map(_decode, below.split("/")))
        found[path] = target
    return found


def _join(base: str, link: str) -> str:
    """Return where a link leads, as it was written; nothing where that is no URL."""
    try:
        return str(URL(base, encoded=True).join(URL(link.strip(), encoded=True)))
    except ValueError:
        return ""


def _decode(part: str) -> str:
    decoded = unquote(part, errors="surrogateescape")
    if "/" in decoded:
        raise IntegrityError(f"{quote_path(part)} cannot be stored (it holds an escaped slash): rename it")
    return decoded


class _LinkReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href")
        if link and tag == "a":
            self.links.append(link)
        elif link and tag == "base" and not self.base:
            self.base = link

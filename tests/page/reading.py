"""Reads the page as a parser does, and holds it to what this page may consist of."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "article", "div"),
    *("h1", "h2", "h3", "p", "b", "strong", "bdi", "span", "time", "code", "a", "ul", "ol", "li", "dl", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("svg", "g", "line", "rect", "circle", "text", "tspan", "desc"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "role", "aria-labelledby", "aria-hidden"),
    *("href", "rel", "datetime", "scope", "open"),
    *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "text-anchor"),
}
VOID = frozenset({"meta"})


@dataclass
class Page(HTMLParser):
    """What stood on the page; `text` is what a person could read."""

    markup: str
    text: str = ""
    title: str = ""
    links: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    chips: list[tuple[str, str]] = field(default_factory=list)
    _open: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.markup)
        self.close()
        self.faults += [f"<{name}> was not closed" for name, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self.faults.append(f"<{tag}>")
        self.faults += [f"<{tag} {name}>" for name, _ in attrs if name not in ATTRIBUTES]
        told = dict(attrs)
        self.links += [told["href"] or ""] if "href" in told else []
        self.ids += [told["id"] or ""] if "id" in told else []
        if tag not in VOID:
            self._open.append((tag, told.get("class") or ""))
            if (told.get("class") or "").startswith("chip "):
                self.chips.append((str(told["class"]), ""))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes nothing")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        names = [name for name, _ in self._open]
        if names[-1:] == ["style"]:
            return
        if names[-1:] == ["title"] and "svg" not in names:
            self.title += data
        elif "svg" not in names:
            self.text += data
        if any(kind.startswith("chip ") for _, kind in self._open):
            kind, words = self.chips[-1]
            self.chips[-1] = (kind, words + data)

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"<!--{data}-->")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"<?{data}>")

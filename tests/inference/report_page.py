"""A report's HTML taken apart: ids, links, headings and visible text; the tests of the page read it."""

from html.parser import HTMLParser

LINKING = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}


class Page(HTMLParser):
    """Ids, links, headings, labels and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.unlabeled_pictures = 0
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    @property
    def headings(self) -> list[int]:
        """Levels of the headings, in the order of the page."""
        return [int(tag[1]) for tag in self.tags if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}]

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        self.links += [value for name, value in attributes if name in LINKING]
        if given.get("role") == "img":
            self.unlabeled_pictures += not given.get("aria-label")
        if tag == "svg":
            self.unlabeled_pictures += given.get("aria-hidden") != "true"

    def handle_data(self, data):
        if self.tags[-1:] not in (["style"], ["script"]):
            self.words.append(data)

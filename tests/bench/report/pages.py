"""Hand-made runs for a page, and a page taken apart; shared by the tests of the page and of it in a browser."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

from bench.report.gallery import Run
from tests.bench.samples import MODEL, TWIN, record

THIRD = "compact-intermediate-add-maxpool"
HOSTILE = '<script>alert("data")</script>'


def hand_made() -> Run:
    """Two studies: three rows of one, of which one failed in a seed; and a row of a data set with a bad name."""
    sizes = {MODEL: 1_415_051, TWIN: 824_201, THIRD: 99}
    losses = {MODEL: 0.25, TWIN: 0.5, THIRD: 0.0625}
    cells = [
        record(model, parameters=sizes[model], best_valid_loss=losses[model] + (seed - 51) / 100, seed=seed)
        for seed in (51, 52)
        for model in losses
    ]
    cells[-1] = replace(
        cells[-1],
        status="failed",
        error="RuntimeError: <b>out of memory</b>",
        best_valid_loss=None,
        best_epoch=None,
    )
    other = record(TWIN, study="fusion-compact", dataset=HOSTILE, profile="full")
    return Run("a run", [*cells, other], [], None)


@dataclass
class Node:
    """An element: its tag, attributes, and the text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def find(self, tag: str, **attributes: str) -> list["Node"]:
        """The elements below of this tag and these attributes, in the order of the page."""
        found = []
        for child in self.children:
            if child.tag == tag and attributes.items() <= child.attributes.items():
                found.append(child)
            found += child.find(tag, **attributes)
        return found

    def words(self) -> str:
        """The text, spaces and line ends put together."""
        return " ".join(self.text.split())


class _Reader(HTMLParser):
    VOID = frozenset({"meta", "img", "br", "input", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attributes})
        self.open[-1].children.append(node)
        if tag not in self.VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.text += data


def read(html: str) -> Node:
    """The elements of a page, each closed by its own end tag."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    (root,) = reader.open
    return root


def rows(page: Node, caption: str) -> list[list[str]]:
    """The cells of the table with this caption, its heading first."""
    (table,) = (table for table in page.find("table") if table.find("caption")[0].words() == caption)
    return [[cell.words() for cell in row.children if cell.tag in ("th", "td")] for row in table.find("tr")]


def write(html: str, folder: Path) -> str:
    """The page as a file; its address."""
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()

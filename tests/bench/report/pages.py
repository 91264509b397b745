"""Hand-made runs for a page, and a page taken apart; shared by the tests of the page and of it in a browser."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from msgspec.structs import replace

from bench.records import InferenceRecord, ProbeRecord, SampleRecord
from bench.records.reading import Run
from tests.bench.costs import samples as costs
from tests.bench.probes.samples import probe_record
from tests.bench.samples import MODEL, TWIN, record

THIRD = "compact-intermediate-add-maxpool"
HOSTILE = '<script>alert("data")</script>'


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""


def hand_made() -> Run:
    """Two studies: three models of one, one of them failed in a seed; and a model on data with a hostile name."""
    sizes = {MODEL: 1_415_051, TWIN: 824_201, THIRD: 99}
    losses = {MODEL: 0.25, TWIN: 0.5, THIRD: 0.0625}
    cells = [
        record(
            model,
            parameters=sizes[model],
            best_valid_loss=losses[model] + (seed - 51) / 100,
            seed=seed,
            question="Which is best?",
            command=f"pytest '{model}' --seeds {seed},",
            valid_confusion=[[45, 5], [0, 50]],
        )
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
    of_ten = {"classes": 10, "class_names": [f"{number} of ten" for number in range(9)] + [HOSTILE]}
    counts = [[9 - abs(row - column) for column in range(10)] for row in range(9)] + [[0] * 10]
    other = record(TWIN, study="fusion-compact", dataset=HOSTILE, profile="full", valid_confusion=counts, **of_ten)
    return Run("a run", [*cells, other], [], [], None)


def probe(model: str, **changes: object) -> ProbeRecord:
    """The accuracy of a model under noise."""
    of_run = {"study": "standard", "dataset": "shapes", "profile": "quick", "probe": "rgb-noise", "level": 0.0}
    return probe_record(model, **{**of_run, **changes})


def inference(model: str) -> InferenceRecord:
    """Passes of a model."""
    return costs.inference(model=model, profile="quick")


def sample(name: str, predicted: str = "cubes", **changes: object) -> SampleRecord:
    """A prediction for a pair of cubes of one pixel."""
    values: dict[str, object] = {
        "weights_sha256": "0" * 64, "name": name, "label": "cubes", "predicted": predicted, "probability": 0.75,
        "pictures": {"rgb": PIXEL, "lidar": PIXEL}, **changes,
    }  # fmt: skip
    return SampleRecord(**values)  # type: ignore[arg-type]


@dataclass
class Node:
    """An element: its tag, attributes, and the text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def find(self, tag: str, **attributes: str) -> list["Node"]:
        """The elements below of this tag and these attributes, in the order of the page."""
        nodes = []
        for child in self.children:
            if child.tag == tag and attributes.items() <= child.attributes.items():
                nodes.append(child)
            nodes += child.find(tag, **attributes)
        return nodes

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

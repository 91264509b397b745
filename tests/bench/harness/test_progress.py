import pytest

from bench.harness import progress as module
from bench.harness.progress import Progress, Reading
from bench.records import DIVERGED
from bench.training.trainer import EpochResult
from data_utils.memory import Need
from tests.bench.samples import record, with_test_figures

EPOCH = EpochResult(epoch=2, epochs=20, train_loss=0.123456, valid={"loss": 0.5}, learning_rate=0.1, seconds=1.234)


def shown(*, live: bool) -> list[str]:
    """What a terminal gets while two cells of twelve are trained: one completes and one diverges."""
    written: list[str] = []
    progress = Progress(written.append, live=live, cells=12)
    progress.begin("first")
    progress.epoch(EPOCH)
    progress.end(record())
    progress.begin("second")
    progress.end(record(status=DIVERGED, error="the loss is not finite", best_valid_loss=None))
    return written


def test_without_a_live_terminal_a_cell_gets_a_line_when_it_ends() -> None:
    first, second = shown(live=False)
    assert first.startswith("[ 1/12] first ")
    assert first.split()[3:] == ["loss", "0.25", "accuracy", "0.900", "(valid)", "6.0", "s", "40", "MB"]
    assert second.startswith("[ 2/12] second ")
    assert second.endswith("diverged: the loss is not finite\n")
    lines: list[str] = []
    progress = Progress(lines.append, live=False, cells=1)
    progress.begin("tested")
    progress.end(with_test_figures(record()))
    assert lines[-1].split()[2:7] == ["loss", "0.3", "accuracy", "0.880", "(test)"]
    assert first.count("\n") == second.count("\n") == 1


def test_cells_that_are_skipped_or_recalled_get_a_line_with_the_reason() -> None:
    written: list[str] = []
    progress = Progress(written.append, live=False, cells=2)
    progress.begin("first")
    progress.skip("the data lack a modality")
    progress.begin("second")
    progress.recall(record())
    first, second = written
    assert first.endswith(" skipped: the data lack a modality\n")
    assert second.split()[2:7] == ["from", "records:", "loss", "0.25", "accuracy"]


def test_a_probe_gets_a_line_with_its_number_of_values() -> None:
    written: list[str] = []
    Progress(written.append, live=False, cells=1).probed("first", "features", 19)
    assert "".join(written).split() == ["first", "features:", "19", "values"]


def test_a_live_line_is_rewritten_until_the_cell_ends() -> None:
    written = shown(live=True)
    assert len(written) == 5
    assert all(text.startswith("\r\x1b[K[") for text in written)
    assert [text.endswith("\n") for text in written] == [False, False, True, False, True]
    assert written[1].endswith("epoch 2/20  training loss 0.1235  validation loss 0.5  1.23 s")


# Cells that other processes train


def test_cells_under_way_are_a_block_that_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "41")
    written: list[str] = []
    progress = Progress(written.append, live=True, cells=9)
    progress.begin("a")
    progress.under_way(7, ["a  epoch 1/2", "b  epoch 1/2 " + "x" * 40])
    assert "".join(written[1:]) == (
        "\r\x1b[Junder way: 2, waiting: 7\n  a  epoch 1/2\n  b  epoch 1/2 " + "x" * 25 + "\n\x1b[3A"
    )
    written.clear()
    progress.end(record())
    assert written[0].startswith("\r\x1b[J[1/9] a ")  # over the whole block
    written.clear()
    progress.under_way(0, [])
    assert written == []  # nothing is drawn, and nothing was left to erase


def test_of_many_cells_under_way_the_first_are_shown() -> None:
    written: list[str] = []
    progress = Progress(written.append, live=True, cells=64)
    progress.under_way(0, [f"cell {number}" for number in range(64)])  # without a terminal it has 24 lines
    text = "".join(written)
    assert "cell 11\n" in text
    assert "cell 12\n" not in text
    assert "and 52 more\n" in text
    progress.under_way(0, [])
    assert written[-2:] == ["\r\x1b[J", ""]


def test_the_block_is_lower_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "8")
    written: list[str] = []
    Progress(written.append, live=True, cells=64).under_way(0, [f"cell {number}" for number in range(9)])
    assert "".join(written).count("\n") == 6
    assert "and 5 more\n" in "".join(written)


def test_where_lines_cannot_be_rewritten_cells_under_way_are_one_line_per_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([0.0, 59.0, 60.0, 60.0, 90.0, 130.0, 130.0])
    monkeypatch.setattr("bench.harness.progress.monotonic", lambda: next(times))
    written: list[str] = []
    progress = Progress(written.append, live=False, cells=9)
    for _ in range(4):
        progress.under_way(7, ["a    epoch 1/2", "b    starts"])
    assert written == ["under way: 2, waiting: 7; a epoch 1/2; b starts\n"] * 2


# --- reading data


def read_slowly(monkeypatch: pytest.MonkeyPatch, *, live: bool, seconds: float) -> list[str]:
    """What a terminal gets while four files are read, each in that time."""
    written: list[str] = []
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    reading = Reading(written.append, live=live)
    reading.announce(Need("kitchen", 2, 1000))
    del written[:]
    for done in range(1, 5):
        now += seconds
        reading.progress(done, 4)
    reading.end()
    return written


def test_reading_that_takes_long_has_a_line_which_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_slowly(monkeypatch, live=True, seconds=1.5) == [
        "\r\x1b[Kreading the data: 2 of 4, about 3 s left",
        "\r\x1b[Kreading the data: 3 of 4, about 2 s left",
        "\r\x1b[K",
    ]


def test_reading_is_quiet_if_it_is_short_or_lines_cannot_be_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_slowly(monkeypatch, live=True, seconds=0.4) == []
    assert read_slowly(monkeypatch, live=False, seconds=10) == []


def test_what_data_need_is_said_once_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_utils.memory.available_bytes", lambda: 900)
    written: list[str] = []
    reading = Reading(written.append, live=False)
    for _ in range(2):  # the next seed draws pairs that need the same
        reading.announce(Need("kitchen", 2, 1000, drawn=True))
    assert written[0] == "data: 2 pairs of kitchen take 1.0 kB of memory per seed; 0.9 kB are available\n"
    assert written[1].startswith("warning: kitchen needs 1.0 kB of memory, but 0.9 kB")
    assert len(written) == 2

from bench.harness.progress import Progress
from bench.records import DIVERGED
from bench.training.trainer import EpochResult
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

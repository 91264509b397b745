import pytest
from msgspec.structs import replace

from bench.records import DIVERGED, RunRecord
from bench.tables.downsampling import downsampling_table
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import EMBEDDERS, embedded, foreign, made

RECORDS = [
    record(TWIN, best_valid_loss=0.5, valid_accuracy=0.85, parameters=1_415_051, train_seconds=9.0),
    record(MODEL, best_valid_loss=1.0, valid_accuracy=0.6, peak_memory_bytes=39_000_000),
]


def test_strided_minus_maxpool_by_hand() -> None:
    table = made(downsampling_table(RECORDS))
    assert table.markdown() == (
        "**standard: embedders compared with maxpool**\n"
        "\n"
        "| strategy | metric | embedder | seeds | with maxpool | with embedder | difference |\n"
        "| --- | --- | --- | ---: | ---: | ---: | ---: |\n"
        "| compact-late-concat | best valid loss | strided | 1 | 0.500 | 1.000 | +0.500 |\n"
        "| compact-late-concat | valid accuracy | strided | 1 | 0.850 | 0.600 | -0.250 |\n"
        "| compact-late-concat | parameters | strided | 1 | 1,415,051 | 1,000 | -1,414,051 |\n"
        "| compact-late-concat | epoch time (s) | strided | 1 | 2.00 | 2.00 | +0.00 |\n"
        "| compact-late-concat | train time (s) | strided | 1 | 9.0 | 6.0 | -3.0 |\n"
        "| compact-late-concat | peak memory (MB) | strided | 1 | 40 | 39 | -1 |\n"
        "\n"
        "difference = embedder - maxpool, paired by seed  \n"
        "one seed has no spread, so no row is marked as best  \n"
        "data: shapes, 2 classes, 400 training pairs, 100 validation pairs  \n"
        "profile: quick, 3 epochs, seeds: 51 (n = 1)  \n"
        "device: a processor, threads: 2, torch 2.0\n"
    )


def test_every_other_embedder_has_a_row_for_each_metric() -> None:
    table = made(downsampling_table([embedded(embedder) for embedder in EMBEDDERS]))
    assert len(table.header) == 7  # as wide for nine embedders as for two
    assert [row[2] for row in table.rows if row[1] == "valid accuracy"] == list(EMBEDDERS[1:])


def test_the_reference_is_that_of_the_records() -> None:
    table = made(downsampling_table([embedded(name, reference="blurpool") for name in ("maxpool", "blurpool")]))
    assert table.header[4:] == ["with blurpool", "with embedder", "difference"]
    assert {row[2] for row in table.rows} == {"maxpool"}


def test_a_metric_that_a_pair_lacks_has_no_row() -> None:
    counted = [record(TWIN), record(MODEL, peak_memory_bytes=None)]
    table = made(downsampling_table(counted))
    assert "peak memory (MB)" not in [row[1] for row in table.rows]


def test_a_difference_is_paired_by_seed() -> None:
    # Losses differ by 0.5 in either seed, however far the seeds are apart; seed 53 has no strided run. Half an
    # interval is 12.706 10 / sqrt(2) sqrt(1 / 2 + 100 / 400) = 77.8.
    table = made(
        downsampling_table(
            [
                *RECORDS,
                record(TWIN, seed=52, best_valid_loss=10.5),
                record(MODEL, seed=52, best_valid_loss=11.0),
                record(TWIN, seed=53, best_valid_loss=100.0),
            ]
        )
    )
    assert table.rows[0][3:] == ["2", "6 ± 78", "6 ± 78", "+0.500"]
    loss = table.data.to_dict("records")[0]
    assert (loss["seeds"], loss["reference_value"], loss["embedder_value"]) == (2, 5.5, 6.0)
    assert (loss["difference"], loss["difference_low"], loss["difference_high"]) == (0.5, 0.5, 0.5)


def test_the_better_of_the_two_is_marked_where_six_seeds_agree() -> None:
    seeds = range(51, 57)
    twins = [record(TWIN, seed=seed, best_valid_loss=0.1 + seed / 1e4, epoch_seconds=[2.0]) for seed in seeds]
    ours = [record(MODEL, seed=seed, best_valid_loss=0.2, epoch_seconds=[1.0]) for seed in seeds]
    table = made(downsampling_table([*twins, *ours]))
    loss, time = ([row[1] for row in table.rows].index(title) for title in ("best valid loss", "epoch time (s)"))
    assert table.marked == {(loss, 4), (time, 5)}
    busy = made(downsampling_table([*twins, *(replace(run, other_load=1.0) for run in ours)]))
    assert busy.marked == {(loss, 4)}
    further = [replace(run, embedder="blurpool", model=run.model.replace("strided", "blurpool")) for run in ours]
    assert not made(
        downsampling_table([*twins, *ours, *further])
    ).marked  # p = 2 / 2**6, for two rows of each metric


def test_csv_brings_back_the_numbers() -> None:
    table = made(downsampling_table(RECORDS))
    header, first, *_ = table.data.to_csv(index=False).splitlines()
    assert header == (
        "strategy,metric,reference,embedder,seeds,reference_value,embedder_value,"
        "difference,difference_low,difference_high"
    )
    assert first == "compact-late-concat,best_valid_loss,maxpool,strided,1,0.5,1.0,0.5,,"


@pytest.mark.parametrize(
    "records",
    [
        [record(MODEL)],
        [record(TWIN)],
        [record(MODEL, seed=51), record(TWIN, seed=52)],
        [record(MODEL), record(TWIN, status=DIVERGED)],
        [foreign("mine", embedder=""), foreign("mine-maxpool", embedder="maxpool")],
        [embedded("strided"), embedded("blurpool")],
    ],
    ids=["strided alone", "maxpool alone", "other seeds", "maxpool diverged", "no embedder", "no reference"],
)
def test_without_a_pair_there_is_no_table(records: list[RunRecord]) -> None:
    assert downsampling_table(records) is None


def test_times_beside_other_processes_are_marked() -> None:
    table = downsampling_table([record(TWIN), record(MODEL, other_load=0.5)])
    assert table is not None
    assert {
        (row[1], *(cell.startswith("~") for cell in row[4:])) for row in table.rows if "~" in "".join(row)
    } == {(title, False, True, True) for title in ("epoch time (s)", "train time (s)")}

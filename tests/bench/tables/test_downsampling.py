import pytest

from bench.records.run import DIVERGED, RunRecord
from bench.tables import downsampling_table
from tests.bench.samples import MODEL, TWIN, record

RECORDS = [
    record(TWIN, best_valid_loss=0.5, valid_accuracy=0.85, parameters=1_415_051, train_seconds=9.0),
    record(MODEL, best_valid_loss=1.0, valid_accuracy=0.6, peak_memory_bytes=39_000_000),
]


def test_strided_less_maxpool_by_hand() -> None:
    table = downsampling_table(RECORDS)
    assert table is not None
    assert table.markdown() == (
        "**standard: MaxPool beside strided convolution**\n"
        "\n"
        "| strategy | metric | seeds | MaxPool | strided | difference |\n"
        "| --- | --- | ---: | ---: | ---: | ---: |\n"
        "| compact-late-concat | best valid loss | 1 | 0.5 | 1 | +0.5 |\n"
        "| compact-late-concat | valid accuracy | 1 | 0.850 | 0.600 | -0.250 |\n"
        "| compact-late-concat | parameters | 1 | 1,415,051 | 1,000 | -1,414,051 |\n"
        "| compact-late-concat | epoch time (s) | 1 | 2.00 | 2.00 | +0.00 |\n"
        "| compact-late-concat | train time (s) | 1 | 9.0 | 6.0 | -3.0 |\n"
        "| compact-late-concat | peak memory (MB) | 1 | 40 | 39 | -1 |\n"
        "\n"
        "difference = strided - MaxPool, paired by seed  \n"
        "one seed says nothing of the spread, so nothing is marked as best  \n"
        "data: shapes, 2 classes, 400 training pairs, 100 validation pairs  \n"
        "profile: quick, 3 epochs, seeds: 51 (n = 1)  \n"
        "device: a processor, threads: 2, torch 2.0\n"
    )


def test_a_difference_is_paired_by_seed() -> None:
    # Losses differ by 0.5 in either seed, however far the seeds are apart; seed 53 has no strided run.
    table = downsampling_table(
        [
            *RECORDS,
            record(TWIN, seed=52, best_valid_loss=10.5),
            record(MODEL, seed=52, best_valid_loss=11.0),
            record(TWIN, seed=53, best_valid_loss=100.0),
        ]
    )
    assert table is not None
    assert table.rows[0][2:] == ["2", "6 ± 64", "6 ± 64", "+0.5"]
    loss = table.data.to_dict("records")[0]
    assert (loss["seeds"], loss["maxpool"], loss["strided"], loss["difference"]) == (2, 5.5, 6.0, 0.5)
    assert (loss["difference_low"], loss["difference_high"]) == (0.5, 0.5)


def test_the_better_of_the_two_is_marked_where_five_seeds_agree() -> None:
    seeds = range(51, 56)
    twins = [record(TWIN, seed=seed, best_valid_loss=0.1 + seed / 1e4, epoch_seconds=[2.0]) for seed in seeds]
    ours = [record(MODEL, seed=seed, best_valid_loss=0.2, epoch_seconds=[1.0]) for seed in seeds]
    table = downsampling_table([*twins, *ours])
    assert table is not None
    loss, time = ([row[1] for row in table.rows].index(title) for title in ("best valid loss", "epoch time (s)"))
    assert table.marked == {(loss, 3), (time, 4)}


def test_csv_brings_back_the_numbers() -> None:
    table = downsampling_table(RECORDS)
    assert table is not None
    header, first, *_ = table.data.to_csv(index=False).splitlines()
    assert header == "strategy,metric,seeds,maxpool,strided,difference,difference_low,difference_high"
    assert first == "compact-late-concat,best_valid_loss,1,0.5,1.0,0.5,,"


@pytest.mark.parametrize(
    "records",
    [
        [record(MODEL)],
        [record(TWIN)],
        [record(MODEL, seed=51), record(TWIN, seed=52)],
        [record(MODEL), record(TWIN, status=DIVERGED)],
    ],
    ids=["strided alone", "maxpool alone", "other seeds", "twin diverged"],
)
def test_without_a_pair_there_is_no_table(records: list[RunRecord]) -> None:
    assert downsampling_table(records) is None

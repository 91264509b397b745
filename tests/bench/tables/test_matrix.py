import msgspec

from bench.tables.matrix import matrix_tables
from tests.bench.tables.samples import EMBEDDERS, embedded, foreign

STRATEGIES = [
    f"lab-{stage}-{operator}" for stage in ("intermediate", "late") for operator in ("gmu", "film", "mmtm")
]


def test_strategies_are_down_and_embedders_across() -> None:
    names = EMBEDDERS[:3]
    records = [
        embedded(
            name,
            strategy,
            family="lab",
            stage=strategy.split("-")[1],
            valid_accuracy=(10 * i + j) / 100,
            best_valid_loss=float(i + j),
        )
        for i, strategy in enumerate(STRATEGIES)
        for j, name in enumerate(names)
        if (i, j) != (2, 1)
    ]
    accuracy, loss, *_ = matrix_tables([*records, foreign("without-embedder", embedder="")])
    assert (accuracy.name, loss.name) == ("matrix-valid_accuracy", "matrix-best_valid_loss")
    assert accuracy.title == "standard: valid accuracy, strategy by embedder"
    assert accuracy.header == ["strategy", *names]
    assert [row[0] for row in accuracy.rows] == STRATEGIES
    assert accuracy.rows[0][1:] == ["0.000", "0.010", "0.020"]
    assert accuracy.rows[2][1:] == ["0.200", "-", "0.220"]
    assert loss.rows[5][1:] == ["5.000", "6.000", "7.000"]
    assert accuracy.starts() == {3}  # late after intermediate
    raw = accuracy.data.iloc[3]
    assert [raw[name] for name in ("strategy", *names)] == [STRATEGIES[3], 0.3, 0.31, 0.32]
    assert accuracy.data.filter(like="_low").isna().all(axis=None)  # one seed has no interval


def test_more_embedders_than_strategies_are_down() -> None:
    table, *_ = matrix_tables([embedded(name, strategy) for strategy in STRATEGIES[:2] for name in EMBEDDERS])
    assert table.header == ["embedder", *STRATEGIES[:2]]
    assert [row[0] for row in table.rows] == list(EMBEDDERS)
    assert table.starts() == set()


def test_few_strategies_with_more_embedders_have_a_table_of_their_own() -> None:
    usual = [(name, strategy) for strategy in STRATEGIES for name in EMBEDDERS[:2]]
    more = [(name, STRATEGIES[1]) for name in EMBEDDERS[2:]]
    records = [
        embedded(name, strategy, seed=seed, valid_accuracy=0.5 + i / 100 + seed / 1e4)
        for seed in range(51, 61)
        for i, (name, strategy) in enumerate([*usual, *more])
    ]
    first, second, *_ = matrix_tables(records)
    assert (first.name, second.name) == ("matrix-valid_accuracy", "matrix-valid_accuracy-embedders")
    assert (first.header, len(first.rows)) == (["strategy", *EMBEDDERS[:2]], len(STRATEGIES))
    assert second.title == "standard: valid accuracy, embedder by strategy"
    assert second.header == ["embedder", STRATEGIES[1]]
    assert [row[0] for row in second.rows] == list(EMBEDDERS)
    assert second.rows[0][1] == first.rows[1][1]
    assert not first.marked  # the best of both is in the second
    assert second.marked == {(len(EMBEDDERS) - 1, 1)}


def test_one_table_where_most_strategies_have_most_embedders() -> None:
    missing = (EMBEDDERS[0], STRATEGIES[0])
    cells = [(name, strategy) for strategy in STRATEGIES for name in EMBEDDERS]
    tables = matrix_tables([embedded(*cell) for cell in cells if cell != missing])
    assert not any(table.name.endswith("-embedders") for table in tables)
    # No embedder is usual where every strategy has one of its own.
    tables = matrix_tables([embedded(*cell) for cell in zip(EMBEDDERS, STRATEGIES, strict=False)])
    assert not any(table.name.endswith("-embedders") for table in tables)


def test_the_best_of_the_table_are_marked() -> None:
    records = [
        embedded(name, strategy, seed=seed, valid_accuracy=0.5 + 0.1 * i + 0.05 * j + seed / 1e4)
        for seed in range(51, 60)  # eight comparisons: eight seeds could decide none
        for i, strategy in enumerate(STRATEGIES[:3])
        for j, name in enumerate(EMBEDDERS[:3])
    ]
    table, *_ = matrix_tables(records)
    assert table.marked == {(2, 3)}
    assert table.rows[2][3] == "0.805 ± 0.000"


def test_cells_with_fewer_seeds_are_named() -> None:
    missing = {(55, "blurpool", STRATEGIES[0]), (55, "blurpool", STRATEGIES[1]), (54, "strided", STRATEGIES[1])}
    records = [
        embedded(name, strategy, seed=seed)
        for seed in (54, 55)
        for strategy in STRATEGIES[:2]
        for name in EMBEDDERS[:3]
        if (seed, name, strategy) not in missing
    ]
    for table in matrix_tables(records):
        assert table.notes[0] == f"1 seed instead of 2: blurpool, {STRATEGIES[1]}-strided"
    one_seed = [record for record in records if record.seed == 55 or record.strategy == STRATEGIES[0]]
    assert matrix_tables(one_seed)[0].notes[0] == f"1 seed instead of 2: blurpool, {STRATEGIES[1]}"
    assert not any("instead" in note for note in matrix_tables([r for r in records if r.seed == 54])[0].notes)


def test_two_embedders_or_one_strategy_need_no_matrix() -> None:
    assert matrix_tables([embedded(name, strategy) for strategy in STRATEGIES for name in EMBEDDERS[:2]]) == []
    assert matrix_tables([embedded(name) for name in EMBEDDERS]) == []
    assert matrix_tables([]) == []


def test_runs_with_changed_settings_have_tables_of_their_own() -> None:
    declared = [embedded(name, strategy) for strategy in STRATEGIES[:2] for name in EMBEDDERS]
    longer = [msgspec.structs.replace(record, variant="epochs=9", changed="epochs=9") for record in declared]
    tables = matrix_tables([*declared, *longer])
    half = len(tables) // 2
    assert [table.name for table in tables[half:]] == [f"{table.name}-epochs-9" for table in tables[:half]]
    assert tables[0].header == ["embedder", *STRATEGIES[:2]]
    assert tables[half].header == ["embedder", *(f"epochs=9 {name}" for name in STRATEGIES[:2])]
    assert matrix_tables([*declared, *longer[:2]])[0].header == tables[0].header  # too few for one of their own
    assert len(matrix_tables([*declared, *longer[:2]])) == half

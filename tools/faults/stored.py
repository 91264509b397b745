"""Files that hold no run: in the history, and where records belong."""

from collections.abc import Iterator, Mapping
from functools import partial

from tools.faults.fault import FIRST, Fault, Place, bench


def histories() -> Iterator[Fault]:
    """Files among the stored runs that are not stored runs."""
    contents = {
        "cut off": b'{"machine_info": {"node": "x"}, "benchmarks": [{"na',
        "empty": b"",
        "not JSON": b"\x89PNG\r\n\x1a\n\x00\x00",
        "a list": b"[]",
        "without benchmarks": b"{}",
        "without machine": b'{"benchmarks": [{"fullname": "", "stats": {}, "extra_info": {"schema_version": 1}}]}',
        "foreign": b'{"machine_info": {}, "benchmarks": [{"fullname": "x", "stats": {"min": "a"}}]}',
        "of another record": b'{"machine_info": {}, "benchmarks": [{"fullname": "x", "stats": {"min": 1}, '
        b'"extra_info": {"schema_version": 99, "model": 1}}]}',
        "UTF-16": '{"benchmarks": []}'.encode("utf-16"),
        "deep": b"[" * 100_000,
    }
    for name, content in contents.items():
        for words in ([], ["0001"]):
            yield Fault(
                f"history: {name} {' '.join(words)}".strip(),
                bench("--benchmark-compare", *words, "-k", FIRST),
                kept=1,
                says="passed over .*0001_x.json|Failed to load .*0001_x.json|a stored run was passed over",
                prepare=partial(store, name="0001_x.json", content=content),
            )


RECORDS: Mapping[str, bytes] = {
    "empty": b"",
    "garbage": b"garbage\n",
    "binary": bytes(range(256)) + b"\n",
    "a list": b"[]\n",
    "null": b"null\n",
    "an empty object": b"{}\n",
    "numbers too large": b'{"seed": 1e999}\n',
    "NaN": b'{"seed": NaN}\n',
    "deep": b"[" * 100_000 + b"\n",
    "UTF-16": '{"seed": 1}\n'.encode("utf-16"),
}


def records() -> Iterator[Fault]:
    """Commands that read records which are none."""
    for name, content in RECORDS.items():
        for command in ("tables", "plots", "report", "nightly"):
            words = ["-m", "bench", command, "{run}"] + (
                ["--last-good", "{folder}/good"] if command == "nightly" else []
            )
            yield Fault(
                f"{command} of records: {name}",
                words,
                codes=(2,),
                kept=0,
                says="^error: ",
                prepare=partial(_records, content=content),
            )


def _records(place: Place, content: bytes) -> None:
    place.run.mkdir()
    (place.run / "records.jsonl").write_bytes(content)


def store(place: Place, name: str, content: bytes) -> None:
    """Put a file among the stored runs."""
    from pytest_benchmark.utils import get_machine_id

    folder = place.folder / "history" / get_machine_id()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)

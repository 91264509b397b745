"""Disks that are full, read-only or gone, and what is in the way on them."""

from collections.abc import Iterator
from functools import partial

from tools.faults.fault import KEPT, STAGES, Fault, Place, at, bench

FILL = (
    "size = 1 << 20\n"
    "with open(os.environ['ROOM'] + '/filler', 'wb', 0) as file:\n"
    "    while size:\n"
    "        try:\n            file.write(bytes(size))\n"
    "        except OSError:\n            size //= 2\n"
)


def disks() -> Iterator[Fault]:
    """A disk that is full, read-only or gone from some stage on; files that may not grow."""
    stages = [stage for stage in STAGES if stage != "at the summary"]
    for stage in stages:
        late = stage in ("at the figures", "at the times")
        codes, says = ((0,) if late else (1,)), "" if stage == "at the times" else "No space left on device"
        yield at(stage, FILL, name="a full disk", room="24m", codes=codes, kept=KEPT[stage], says=says)
    for stage in stages:
        act = "".join(
            f"subprocess.run(['mount', {words}os.environ['ROOM']], check=True);"
            for words in ("'--bind', os.environ['ROOM'], ", "'-o', 'remount,ro,bind', ")
        )
        codes = (0,) if stage in ("at the figures", "at the times") else (1,)
        says = "" if stage == "at the times" else "Read-only file system"
        yield at(stage, act, name="a read-only disk", room="24m", codes=codes, kept=KEPT[stage], says=says)
    for stage in stages:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))"
        codes = (0,) if stage in ("at the figures", "at the times") else (1,)
        yield at(stage, limit, name="ulimit -f", codes=codes, kept=KEPT[stage], says="File too large|2 records")
    for stage in ("in the first epoch", "after the first cell", "at the tables"):
        act = "shutil.rmtree(os.environ['RUN'])"
        yield at(stage, act, name="the folder deleted", codes=(0, 1), kept=0, says="FusionGauge")
    yield Fault(
        "a disk that is full before", bench(), codes=(4,), kept=0, room="24m", says="No space left", prepare=fill
    )
    yield Fault(
        "a results folder that is a file", bench(), codes=(4,), kept=0, says="File exists|Not a dir", prepare=_file
    )


def fill(place: Place) -> None:
    """Leave no room in the folder of the run."""
    exec(FILL.replace("os.environ['ROOM']", repr(str(place.run.parent))), {})  # noqa: S102


def _file(place: Place) -> None:
    place.run.write_text("a file")


def places() -> Iterator[Fault]:
    """Files where folders belong, and folders where files belong."""
    for name, codes, says in (
        ("checkpoints", (0,), "the checkpoint .* could not be saved"),
        ("samples", (0,), "sample predictions could not be saved"),
        ("tables", (1,), "FAILED: the tables could not be written"),
        ("plots", (0,), "the figures could not be written"),
    ):
        prepare = partial(_in_the_way, name=name, folder=False)
        yield Fault(f"a file in place of {name}", bench(), codes=codes, says=says, prepare=prepare)
    for name, codes, says in (
        ("records.jsonl", (4,), "cannot write results to"),
        ("run.lock", (4,), "cannot write results to"),
        ("benchmark.json", (0,), "the times could not be written"),
    ):
        prepare, kept = partial(_in_the_way, name=name, folder=True), 2 * (0 in codes)
        yield Fault(f"a folder in place of {name}", bench(), codes=codes, says=says, kept=kept, prepare=prepare)


def _in_the_way(place: Place, name: str, *, folder: bool) -> None:
    place.run.mkdir()
    target = place.run / name
    if folder:
        target.mkdir()
    else:
        target.touch()

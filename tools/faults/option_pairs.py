"""Every pair of options that people give together: those of FusionGauge, pytest-benchmark and pytest.

``pairs.py`` runs what ``commands`` yields. Options that leave a run as it is are given several at a time, so that
few runs have all pairs; one that changes what is run, or ends it, is the only one of its kind in a run, or meets
another one alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import combinations

TOGETHER = 20
"""How many options a command has at most."""

LISTED, SKIPPED, FAILED, REFUSED = "listed", "skipped", "failed", "refused"
"""What an option makes of a run; "" if it goes on. One that is named later counts where two meet."""

_ORDER = ("", FAILED, SKIPPED, LISTED, REFUSED)

MODELS = "compact-late-concat-maxpool compact-late-concat-strided"

COMPARE_FAIL = "--benchmark-compare --benchmark-compare-fail mean:100000000%"

UNTIL_DECIDED = f"--until-decided --max-seeds 6 --budget 1h --compare-models {MODELS}"


@dataclass(frozen=True, eq=False)
class Option:
    """An option with its values, and with the options that it needs; equal only to itself.

    Attributes:
        text: Words with spaces between them; ``{folder}`` is replaced.
        effect: What becomes of the run.
        says: A regular expression that the output matches where the run is refused.
        needs: The plug-in of pytest that has the option, if it can be left out.
    """

    text: str
    effect: str = ""
    says: str = ""
    needs: str = ""

    @cached_property
    def names(self) -> frozenset[str]:
        """The options that it has; plug-ins by their names, as ``-p`` can be repeated."""
        words = self.text.split(" ")
        pairs = zip(words, [*words[1:], ""], strict=True)
        return frozenset(f"-p {value}" if word == "-p" else word for word, value in pairs if word.startswith("-"))


@dataclass(frozen=True)
class Command:
    """Options that are given together, and what has to come of it.

    Attributes:
        options: Of it.
        code: The exit status that is right.
        says: A regular expression that the output matches.
    """

    options: tuple[Option, ...]
    code: int
    says: str = ""

    @property
    def words(self) -> list[str]:
        """For the command line."""
        return [word for option in self.options for word in option.text.split(" ")]


OURS = (
    Option("--dataset shapes-dim"),
    Option("--image-size 24"),
    Option("--seeds 52,"),
    Option("--set learning_rate=0.01"),
    Option("--resume"),
    Option("--cache-size 0"),
    Option("--shard 1/1"),
    Option("--benchmark-compare --fail-on test_accuracy:-0.99"),
    Option("--track tensorboard"),
    Option("--study downsampling-compact"),
    Option(f"--compare-models {MODELS}"),
    Option(UNTIL_DECIDED),
    Option("--claims {folder}/claims.toml"),
    Option("--plugin {folder}/nothing_to_add.py"),
    Option("--as-published"),
    Option("--executor ray") if find_spec("ray") else Option("--executor ray", REFUSED, "pip install"),
    Option("--earlier {run}", REFUSED, "add both"),
    Option("--device gpu", REFUSED, "cpu, cuda or cuda:N"),
)
"""Those of FusionGauge; ``--profile`` and ``--results-dir`` are in every command."""

TIMERS = (
    Option("--benchmark-only"),
    Option("--benchmark-disable"),
    Option("--benchmark-enable"),
    Option("--benchmark-skip", SKIPPED),
    Option("--benchmark-json {folder}/new/times.json"),
    Option("--benchmark-save kept"),
    Option("--benchmark-autosave --benchmark-save-data"),
    Option("--benchmark-compare 0001"),
    Option(COMPARE_FAIL),
    Option("--benchmark-histogram", REFUSED, "pip install pygal")
    if find_spec("pygal") is None
    else Option("--benchmark-histogram {folder}/histograms/of"),
    Option("--benchmark-cprofile tottime --benchmark-cprofile-top 5 --benchmark-cprofile-loops 2"),
    Option("--benchmark-min-rounds 3 --benchmark-max-time 0.1 --benchmark-min-time 0.01"),
    Option("--benchmark-warmup on --benchmark-warmup-iterations 2"),
    Option("--benchmark-timer time.process_time --benchmark-calibration-precision 5"),
    Option("--benchmark-disable-gc"),
    Option("--benchmark-verbose"),
    Option("--benchmark-quiet"),
    Option("--benchmark-sort mean --benchmark-columns mean,ops --benchmark-name short"),
    Option("--benchmark-group-by param:cell --benchmark-time-unit ms"),
)
"""Those of pytest-benchmark; ``--benchmark-storage`` is in every command."""

PYTEST = (
    Option("-p a_cell_that_raises", FAILED),
    Option("-p an_end_that_raises"),
    Option("-x"),
    Option("--maxfail 2"),
    Option("-q", needs="terminal"),
    Option("-v", needs="terminal"),
    Option("-s", needs="capture"),
    Option("--capture tee-sys", needs="capture"),
    Option("-rA", needs="terminal"),
    Option("--tb no", needs="terminal"),
    Option("--tb short --showlocals", needs="terminal"),
    Option("--no-header --no-summary", needs="terminal"),
    Option("--durations 2"),
    Option("--color yes", needs="terminal"),
    Option("--junitxml {folder}/new/x.xml", needs="junitxml"),
    Option("--lf", needs="cacheprovider"),
    Option("--ff", needs="cacheprovider"),
    Option("--nf", needs="cacheprovider"),
    Option("--sw", needs="cacheprovider"),
    Option("--cache-clear", needs="cacheprovider"),
    Option("-W error"),
    Option("--disable-warnings", needs="terminal"),
    Option("--setup-show", needs="terminal"),
    Option("--log-cli-level INFO --log-file {folder}/new.log", needs="logging"),
    Option("--basetemp {folder}/base"),
    Option("--import-mode importlib"),
    Option("--noconftest"),
    Option("--strict"),
    Option("--runxfail", needs="skipping"),
    Option("--debug {folder}/debug.log"),
    Option("--trace-config"),
    Option("-p no:terminal"),
    Option("-p no:cacheprovider"),
    Option("-p no:capture"),
    Option("-p no:logging"),
    Option("-p no:warnings"),
    Option("-p no:skipping", REFUSED, "Unknown config option: xfail_strict"),  # of pytest.ini
    Option("-p no:junitxml"),
    Option("-p no:xdist"),
    Option("-p no:faulthandler"),
    Option("-n 0", needs="xdist"),
    Option("--co", LISTED),
    Option("--setup-plan", LISTED, needs="terminal"),
    Option("-n 2", REFUSED, "leave -n out", needs="xdist"),
)
"""Those of pytest and pytest-xdist that are used most."""

OPTIONS = (*OURS, *TIMERS, *PYTEST)

CLASHES: dict[frozenset[str], tuple[int, str]] = {
    frozenset(("--benchmark-only", "--benchmark-disable")): (4, "Can't have both"),
    frozenset(("--benchmark-only", "--benchmark-skip")): (0, "2 passed"),
    frozenset(("--seeds 52,", UNTIL_DECIDED)): (4, "--until-decided adds seeds by itself"),
    frozenset(("--lf", "--shard 1/1")): (4, "leave it out with --shard"),
    frozenset(("--sw", "--shard 1/1")): (4, "leave it out with --shard"),
    frozenset(("--junitxml {folder}/new/x.xml", "-p an_end_that_raises")): (1, "FAILED: pytest or one of its"),
    frozenset((COMPARE_FAIL, "-p an_end_that_raises")): (1, "FAILED: pytest or one of its"),
    frozenset((COMPARE_FAIL, "-p no:terminal")): (4, "judged when the times are shown"),
    frozenset((COMPARE_FAIL, "--no-header --no-summary")): (4, "judged when the times are shown"),
    frozenset(("--sw", "-p a_cell_that_raises")): (2, "continuing from this test next run"),
    frozenset(("--study downsampling-compact", "--as-published")): (4, "fewer than one batch"),
}
"""Pairs of options that do something else together than alone, by their texts: exit status and message."""


def commands(options: Sequence[Option] = OPTIONS) -> Iterator[Command]:
    """Commands that have every pair of options at least once, but for those that exclude each other."""
    pairs = [(a, b) for a, b in combinations(options, 2) if not _excluded(a, b)]
    alone = [(a, b) for a, b in pairs if (a.effect and b.effect) or frozenset((a.text, b.text)) in CLASHES]
    yield from map(expected, alone)
    partners: dict[Option, set[Option]] = {option: set() for option in options}
    for a, b in set(pairs) - set(alone):
        partners[a].add(b)
        partners[b].add(a)
    left = {option: set(others) for option, others in partners.items()}
    # in the runs of an option that ends them early, the others do nothing
    first = [option for option in options if option.effect not in ("", FAILED)]
    for option in (*first, *(option for option in options if option not in first)):
        while left[option]:
            chosen, fitting = [option], list(options)
            while len(chosen) < TOGETHER:
                fitting = [other for other in fitting if other in partners[chosen[-1]]]
                best = max(
                    fitting,
                    key=lambda other: (sum(other in left[one] for one in chosen), len(left[other])),
                    default=option,
                )
                if not any(best in left[one] for one in chosen):
                    break
                chosen.append(best)
            for one, other in combinations(chosen, 2):
                if option not in first or one is option:
                    left[one].discard(other)
                    left[other].discard(one)
            yield expected(chosen)


def expected(options: Sequence[Option]) -> Command:
    """What has to come of options that are given together."""
    texts = {option.text for option in options}
    for pair, (code, says) in CLASHES.items():
        if pair <= texts:
            return Command(tuple(options), code, says)
    effect = max((option.effect for option in options), key=_ORDER.index)
    says = "|".join(option.says for option in options if option.effect == effect)  # one of them is said
    return Command(tuple(options), {FAILED: 1, REFUSED: 4}.get(effect, 0), says)


def _excluded(a: Option, b: Option) -> bool:
    """Whether two options are one with different values, or one needs a plug-in that the other one leaves out."""
    return bool(a.names & b.names) or f"-p no:{a.needs}" in b.names or f"-p no:{b.needs}" in a.names

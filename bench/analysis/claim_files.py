"""Claims in TOML files, declared before anything is run.

``results/published/<study>.toml`` has those of a published study: its ``claims`` in the JSON file beside it, by
number, and what its text claims besides, in words of our own. Other files of the same form can be passed in their
place; nothing here knows a model or a study. A file says, for all of its claims::

    looks = [10, 15, 20]                 # seeds after which runs are looked at; the last is the most
    run = ["fusion-wide", "robustness"]  # the studies that `--study claims` runs for them
    times = ["costs"]                    # sources of further runs for claims about costs alone
    quoted = false                       # true: the claims are those of published texts, not our own
    published = true                     # false: verdicts are on the claims of this file alone

    [settings]                           # protocols, each with the sources of its runs: study, or study/variant;
    "as published" = ["fusion-wide"]     # study/* is of all its variants the best, chosen on validation pairs

and then ``[[claims]]``, each with a ``number`` or a ``name`` and ``words``, an optional ``reading``, and
``[[claims.tests]]``: an ``estimand`` of ``bench.analysis.quantities``, ``comparisons`` such as
"A is better than B", and ``margin`` with its ``reason`` where they are not the estimand's own. A and B are names
of models, with a variant before it (``raw:NAME``) where the sources are several variants of one study; or the
difference between two models, "A over B is better than C over D". A test of what is lost under a corruption has
``levels``, and a manipulation check: at these levels the compared models must lose ``least_drop`` of their
accuracy and stay ``above_chance``, or the claim is not decided.

``[[questions]]`` have a ``question``, the names of ``claims`` that answer it differently, and ``comparisons`` that
are shown side by side: each a ``claim``, whose settings it is made under, an ``estimand`` and a ``comparison``.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from itertools import pairwise
from math import inf
from pathlib import Path

import msgspec

from bench.analysis.claims import OVER, TIMES, Claim, Claims, Manipulation, Part, Question, Relation, Source
from bench.analysis.published import published_folder, published_studies, read_published
from bench.analysis.quantities import ESTIMANDS, Quantity, lost_under
from bench.analysis.sequential import LOOKS
from bench.analysis.statistics import FEWEST_SEEDS
from fusiongauge import FusionGaugeError

LOST_UNDER = "accuracy lost under "
"""Before the name of a corruption: the estimand that needs levels."""

_FORM = "bench/analysis/claim_files.py describes the form"


class ClaimError(FusionGaugeError, ValueError):
    """A file of claims that cannot be used; the message names the file, the claim and the remedy."""


class _Test(msgspec.Struct, forbid_unknown_fields=True):
    estimand: str
    comparisons: list[str]
    margin: float | None = None
    reason: str = ""
    levels: list[float] = []
    least_drop: float = 0.05
    above_chance: float = 0.05


class _Claim(msgspec.Struct, forbid_unknown_fields=True):
    tests: list[_Test]
    number: int = 0
    name: str = ""
    words: str = ""
    reading: str = ""


class _Comparison(msgspec.Struct, forbid_unknown_fields=True):
    claim: str
    estimand: str
    comparison: str
    levels: list[float] = []


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    question: str
    claims: list[str]
    comparisons: list[_Comparison]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    looks: list[int] = msgspec.field(default_factory=lambda: list(LOOKS))
    run: list[str] = []
    times: list[str] = []
    quoted: bool = False
    published: bool = True
    settings: dict[str, list[str]] = {}
    claims: list[_Claim] = []
    questions: list[_Question] = []


@cache
def published_claims() -> Claims:
    """The claims that ship here, those of the published studies.

    Raises:
        ClaimError: One of the files cannot be used.
    """
    return read_claims(published_files())


def published_files() -> list[Path]:
    """The files of the claims that ship here."""
    return sorted(published_folder().glob("*.toml"))


def read_claims(paths: Iterable[Path]) -> Claims:
    """The claims and questions of some files.

    Raises:
        ClaimError: A file cannot be used.
    """
    return declared_in(read_texts(paths))


def read_texts(paths: Iterable[Path]) -> dict[Path, str]:
    """The content of files of claims, by path.

    Raises:
        ClaimError: One of them cannot be read.
    """
    return {path: _text(path) for path in paths}


def with_published(own: Mapping[Path, str], *, always: bool = False) -> Claims:
    """The claims of files, by path the content of each, and the published ones unless all files leave them out.

    Args:
        own: The files.
        always: Have the published ones in any case.

    Raises:
        ClaimError: One of them cannot be used.
    """
    if not own:
        return published_claims()
    if _alone(_parsed(path, text) for path, text in own.items()) and not always:
        return declared_in(own)
    return declared_in({**read_texts(published_files()), **own})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
    except OSError as error:
        raise ClaimError(f"{path}: cannot be read ({error.strerror}); give a TOML file of claims") from error
    except UnicodeDecodeError as error:
        raise ClaimError(f"{path}: not text in UTF-8 ({error.reason}); save it as UTF-8") from error


def declared_in(texts: Mapping[Path, str]) -> Claims:
    """The claims and questions of some files, by path the content of each.

    Raises:
        ClaimError: One of them cannot be used.
    """
    claims: dict[str, Claim] = {}
    studies: dict[str, None] = {}
    asked: list[tuple[Path, _Question]] = []
    contents = {path: _parsed(path, text) for path, text in texts.items()}
    for path, content in contents.items():
        for declared in content.claims:
            claim = _claim(path, content, declared)
            if claim.name in claims:
                raise ClaimError(f"{path}: the claim {claim.name!r} is declared twice; rename one of them")
            claims[claim.name] = claim
        studies |= dict.fromkeys(content.run)
        asked += [(path, question) for question in content.questions]
    questions = tuple(_question(path, question, claims) for path, question in asked)
    return Claims(tuple(claims.values()), questions, tuple(studies))


def _alone(contents: Iterable[_File]) -> bool:
    """Whether files are judged without the published claims: all of them say so."""
    return not any(content.published for content in contents)


def _parsed(path: Path, text: str) -> _File:
    try:
        content = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ClaimError(_not_claims(path, error)) from error
    looks = content.looks
    if not looks or looks[0] < FEWEST_SEEDS or any(a >= b for a, b in pairwise(looks)):
        raise ClaimError(
            f"{path}: looks = {looks}; give increasing numbers of seeds, the first at least {FEWEST_SEEDS}: "
            "fewer cannot decide"
        )
    if not content.claims and not content.questions:
        raise ClaimError(f"{path}: declares no claims and no questions; {_FORM}")
    if content.claims and not all(content.settings.values() or [[]]):
        raise ClaimError(
            f'{path}: no settings, or one without runs; say which count, such as "as published" = ["my-study"]'
        )
    return content


def _not_claims(path: Path, error: Exception) -> str:
    return f"{path}: not a file of claims ({error}); {_FORM}"


def _claim(path: Path, content: _File, declared: _Claim) -> Claim:
    name, text = _words(path, declared)
    where = f"{path}, claim {name}"
    parts = tuple(part for test in declared.tests for part in _parts(where, test))
    if not parts or len({(part.a, part.b, part.quantity.metric) for part in parts}) < len(parts):
        raise ClaimError(f"{where}: no comparisons, or one of them twice; give each once")
    settings = {
        setting: tuple(_source(source) for source in sources) for setting, sources in content.settings.items()
    }
    if all(part.quantity.metric.per_machine or part.quantity.metric.comparison == "exact" for part in parts):
        settings = ({TIMES: tuple(map(_source, content.times))} if content.times else {}) | settings
    everything = (name, text, declared, content.looks, content.settings, content.times)
    return Claim(
        name, text, parts, tuple(content.looks), settings, declared.reading, _hash(everything), content.quoted
    )


def _hash(declared: object) -> str:
    return sha256(msgspec.json.encode(msgspec.to_builtins(declared), order="sorted")).hexdigest()[:12]


def _words(path: Path, declared: _Claim) -> tuple[str, str]:
    """The name and the words of a claim."""
    study = path.stem
    name, words = (" ".join(text.split()) for text in (declared.name, declared.words))  # one line of a table
    if (bool(declared.number), bool(name), bool(words)) not in ((True, False, False), (False, True, True)):
        raise ClaimError(f"{path}: a claim has either a number, or a name and words of its own")
    if name:
        return f"{study}/{name}", words
    published = read_published(study)["claims"] if study in published_studies() else []
    if not 1 <= declared.number <= len(published):
        raise ClaimError(
            f"{path}: claim number {declared.number}, but {study}.json has {len(published)}; "
            "give a name and words instead"
        )
    return f"{study}/{declared.number}", str(published[declared.number - 1])


def _source(text: str) -> Source:
    study, _, variant = text.partition("/")
    return study, variant


def _parts(where: str, test: _Test) -> Iterable[Part]:
    quantity, manipulation = _quantity(where, test)
    tested = quantity.metric.comparison != "exact"
    for comparison in test.comparisons:
        a, relation, b = _compared(where, comparison)
        if tested and not quantity.metric.margin and relation is not Relation.BETTER:
            raise ClaimError(f"{where}: {comparison!r} cannot be tested with a margin of 0; give a larger one")
        if quantity.yes_or_no and OVER in a:
            raise ClaimError(
                f"{where}: {comparison!r} compares differences, which {test.estimand!r} has none of, as a run has "
                "either learned or not; compare two models"
            )
        yield Part(a, relation, b, quantity, manipulation)


_SIDE = rf"(\S+(?:{OVER}\S+)?)"
_COMPARISON = re.compile(rf"{_SIDE} ({'|'.join(Relation)}) {_SIDE}")


def _compared(where: str, comparison: str) -> tuple[str, Relation, str]:
    words = _COMPARISON.fullmatch(comparison.strip())
    if words is None or words[1] == words[3] or any(map(_of_one_model, (words[1], words[3]))):
        raise ClaimError(
            f"{where}: {comparison!r} compares nothing; write the names of two different models and one of "
            f"{', '.join(map(repr, map(str, Relation)))} between them"
        )
    if (OVER in words[1]) != (OVER in words[3]):
        raise ClaimError(f"{where}: {comparison!r} compares a model with two; write{OVER}on both sides or on none")
    return words[1], Relation(words[2]), words[3]


def _of_one_model(side: str) -> bool:
    """Whether it is the difference between a model and itself."""
    a, *b = side.split(OVER)
    return b == [a]


def _quantity(where: str, test: _Test) -> tuple[Quantity, Manipulation | None]:
    manipulation = None
    if test.estimand.startswith(LOST_UNDER):
        corruption = test.estimand.removeprefix(LOST_UNDER)
        if not (corruption and test.levels and all(0 < level < inf for level in test.levels)):
            raise ClaimError(
                f"{where}: {test.estimand!r} needs a corruption's name and levels above 0, such as levels = [4.0]"
            )
        if not (0 <= test.least_drop < 1 and 0 <= test.above_chance < 1):
            raise ClaimError(f"{where}: least_drop and above_chance are shares: from 0 to below 1")
        quantity = lost_under(corruption, test.levels)
        manipulation = Manipulation(corruption, tuple(test.levels), test.least_drop, test.above_chance)
    elif test.estimand in ESTIMANDS and not test.levels:
        quantity = ESTIMANDS[test.estimand]
    else:
        reason = "has no levels" if test.estimand in ESTIMANDS else "is not an estimand"
        raise ClaimError(
            f"{where}: {test.estimand!r} {reason}; there are {', '.join(ESTIMANDS)}, "
            f"and '{LOST_UNDER}CORRUPTION' with levels"
        )
    if test.margin is None and not test.reason:
        return quantity, manipulation
    if test.margin is None or not test.reason.strip():
        raise ClaimError(f"{where}: a margin needs a reason, and a reason a margin")
    if not 0 <= test.margin < quantity.most:
        wanted = "a share of 1, such as 0.02 for two in a hundred" if quantity.most == 1 else "a number from 0 on"
        raise ClaimError(f"{where}: margin = {test.margin:g} of {test.estimand}; give {wanted}")
    return quantity.with_margin(test.margin, test.reason), manipulation


def _question(path: Path, declared: _Question, claims: Mapping[str, Claim]) -> Question:
    where = f"{path}, question {declared.question!r}"
    unknown = {*declared.claims, *(comparison.claim for comparison in declared.comparisons)} - claims.keys()
    if unknown:
        raise ClaimError(f"{where}: there is no claim {sorted(unknown)[0]!r}; there are {', '.join(claims)}")
    parts = []
    for comparison in declared.comparisons:
        quantity, _ = _quantity(where, _Test(comparison.estimand, [], levels=comparison.levels))
        a, relation, b = _compared(where, comparison.comparison)
        parts.append((comparison.claim, Part(a, relation, b, quantity)))
    return Question(declared.question, tuple(declared.claims), tuple(parts), path.stem)

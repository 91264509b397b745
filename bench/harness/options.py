"""Command-line words -> frozen Options. Every default is chosen here, and nowhere else."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import product
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.config import (
    DEFAULT_STUDY,
    FIRST_SEED,
    FULL,
    PROFILES,
    QUICK,
    OptionError,
    Profile,
    Protocol,
    RunConfig,
)
from bench.harness.cell import Cell
from bench.harness.shards import Shard, parse_shard
from bench.records.reading import read_run
from bench.registry import STUDIES, find_study
from bench.study import Study
from bench.tracking import TRACKERS
from data_utils import DATASETS, DataError
from data_utils.registry import declared_modalities
from fusion_models.zoo import ModelError, ModelSpec, find_model, with_single_modalities
from fusiongauge import load_installed_plugins, load_plugin

if TYPE_CHECKING:
    from bench.analysis.claims import Claims

T = TypeVar("T")

MOST_SEEDS = 1000
"""The highest number of ``--seeds``."""


def load_plugins(words: Iterable[str]) -> None:
    """Load the installed plug-ins, and those that ``--plugin`` names on a command line.

    This comes before the command line is parsed, so that help lists what they register.

    Raises:
        PluginError: One of them cannot be used.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--plugin", action="append", nargs="?", default=[])  # a missing file is for the caller
    load_installed_plugins()
    for path in filter(None, parser.parse_known_args(list(words))[0].plugin):
        load_plugin(path)


def dataset_help() -> str:
    """The help text of ``--dataset``."""
    return (
        f"a data set ({', '.join(DATASETS)}), or a path: a manifest.csv, a folder in NVIDIA's layout, a FiftyOne "
        "export, folders of classes and modalities (docs/data.md); default: the study's, which is shapes for most"
    )


@dataclass(frozen=True)
class Options:
    """The options of one session, resolved: nothing below reads options or the environment.

    Attributes:
        profile: How much of each protocol is run.
        studies: What is run.
        dataset: A registered data set or a path; "" for the data set of each study.
        device: "cpu", "cuda" or "cuda:N".
        seeds: Every model is run once for each.
        results_dir: The folder of this run.
        simulated_dir: Where simulated data are kept for later sessions; ``cache_bytes``: how much of them.
        trackers: Names of ``bench.tracking.TRACKERS``.
        as_published: Whether protocols are run with the mistakes of the originals.
        resume: Whether cells that are finished in the folder are taken from their records.
        settings: Protocol fields set by ``--set``, as text.
        plugins: Plug-in files, as given.
        models: What every study trains; () for its own models.
        until_decided: Whether cells that no open claim needs are left out.
        budget: Seconds after which no further cell starts.
        claim_files: Files of claims beside the published ones.
        shard: The part that is run; None for all.
        earlier: The merged run of the looks so far, of a shard of the next look; None for the first look.
        executor: Where cells are trained: "ray" or "ray:ADDRESS"; "" for this process.
        image_size: The size that all images are brought to, such as "64" or "48x64:crop"; "" for their own.
        modalities: Of the data of ``dataset``; () if they are not known yet.
    """

    profile: Profile
    studies: tuple[Study, ...]
    dataset: str
    device: str
    seeds: tuple[int, ...]
    results_dir: Path
    simulated_dir: Path
    cache_bytes: int
    trackers: tuple[str, ...] = ()
    as_published: bool = False
    resume: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    until_decided: bool = False
    budget: float = inf
    claim_files: tuple[Path, ...] = ()
    shard: Shard | None = None
    earlier: Path | None = None
    executor: str = ""
    image_size: str = ""
    modalities: tuple[str, ...] = ()

    def cells(self) -> list[Cell]:
        """Everything to run, in the order of running it.

        Raises:
            OptionError: A study names a model that does not exist.
        """
        cells: list[Cell] = []
        for study in self.studies:
            configs = [self.run_config(study, variant) for variant in study.protocols]
            specs = _specs(study, () if self.models else self._modalities_of(study))
            runs = product(self.seeds, configs, specs)
            cells += [Cell(study, config, spec, seed) for seed, config, spec in runs]
        return cells

    def _modalities_of(self, study: Study) -> tuple[str, ...]:
        """Of the data that a study is run on, as far as they are known."""
        return self.modalities if self.dataset else _modalities(study.dataset)

    @cached_property
    def own_claims(self) -> Mapping[Path, str]:
        """What is declared beside the published claims, or in their place: the content of each file, by its path.

        Raises:
            ClaimError: A file of claims cannot be read.
        """
        from bench.analysis.claims import comparison, read_text

        if not self.models:
            return {path: read_text(path) for path in self.claim_files}
        a, b = self.models
        sources = {
            " ".join(filter(None, (study.name, variant))): (study.name, variant)
            for study in self.studies
            for variant in study.protocols
        }
        return comparison(a, b, sources, looks_within(self.seeds))

    @cached_property
    def claims(self) -> Claims:
        """The claims that this session's runs are evidence for.

        Raises:
            ClaimError: A file of claims cannot be used.
        """
        return with_published(self.own_claims)

    def run_config(self, study: Study, variant: str = "") -> RunConfig:
        """The settings of the runs of one variant of a study."""
        dataset = self.dataset or study.dataset
        protocol = study.published_protocol(variant) if self.as_published else study.protocols[variant]
        protocol = self.profile.shorten(protocol, simulated=dataset in DATASETS)
        changed = protocol.with_settings(self.settings)
        changes = ",".join(_changes(protocol, changed))
        return RunConfig(
            protocol=changed,
            device=self.device,
            results_dir=self.results_dir,
            dataset=dataset,
            profile=self.profile.name,
            study=study.name,
            question=study.question,
            variant=",".join(filter(None, (variant, changes))),
            changed=changes,
            reference=study.reference,
            as_published=self.as_published,
        )

    def command(self, cell: Cell, *, threads: int) -> str:
        """The shell command that runs a cell and no other, in the project's folder.

        The test is named by its id: ``-k`` looks for words in ids, and one model's name is part of another's.
        """
        config = cell.config
        words = [] if cell.study.name == DEFAULT_STUDY else ["--study", cell.study.name]
        words += ["--profile", config.profile, "--seeds", f"{cell.seed},", "--device", config.device]
        if config.dataset != cell.study.dataset:
            words += ["--dataset", config.dataset if config.dataset in DATASETS else "PATH-OF-THE-DATA"]
        words += ["--compare-models", *self.models] if self.models else []
        words += ["--image-size", self.image_size] if self.image_size else []
        words += ["--as-published"] if self.as_published else []
        words += [word for name, text in self.settings.items() for word in ("--set", f"{name}={text}")]
        words += [word for plugin in self.plugins for word in ("--plugin", plugin)]
        # A processor's results depend on the number of its threads.
        before = [f"OMP_NUM_THREADS={threads}"] if config.device == "cpu" else []
        in_checkout = Path("bench/test_training.py").is_file()
        file = ["bench/test_training.py"] if in_checkout else ["--pyargs", "bench.test_training"]
        file[-1] += f"::test_training[{cell.name}]"
        words = ["pytest", *file, *words]
        return " ".join([*before, shlex.join(words)])


def _specs(study: Study, modalities: Sequence[str]) -> list[ModelSpec]:
    try:
        specs = [find_model(name) for name in study.models]
    except ModelError as error:
        raise OptionError(f"--study {study.name}: {error}") from error
    return with_single_modalities(specs, modalities)


def _changes(protocol: Protocol, changed: Protocol) -> list[str]:
    """The settings that differ, as ids show them: "epochs=3"."""
    before, after = protocol.to_dict(), changed.to_dict()
    return [f"{name}={_shown(value)}" for name, value in after.items() if value != before[name]]


def _shown(value: object) -> str:
    return "+".join(value) or "none" if isinstance(value, list) else str(value)


def resolve(
    *,
    root: Path,
    profile: str = "",
    study: str = DEFAULT_STUDY,
    dataset: str = "",
    device: str = "",
    seeds: str = "1",
    results_dir: str = "",
    tracker: str = "none",
    published: bool = False,
    resume: bool = False,
    cache_size: str = "4GB",
    settings: Sequence[str] = (),
    plugin: Sequence[str] = (),
    until_decided: bool = False,
    max_seeds: str = "",
    budget: str = "",
    compare_models: Sequence[str] = (),
    claims: Sequence[str] = (),
    shard: str = "",
    earlier: str = "",
    executor: str = "",
    image_size: str = "",
    listing: bool = False,
) -> Options:
    """The options of a session from the words on its command line; ``bench.harness.plugin`` describes them.

    Without ``results_dir`` a run has a new folder in ``results/runs`` of ``root``; with ``resume`` the latest one
    there of the same study, profile, data and device, if there is one. Plug-ins are loaded already. For a
    ``listing`` of ids no device is looked for, which would load torch.

    Raises:
        OptionError: One of them cannot be used.
        RecordError: The run of ``earlier`` cannot be read.
    """
    device = resolve_device(device, listing=listing)
    default_profile = FULL if device.startswith("cuda") else QUICK
    chosen = _choice(profile, PROFILES, "--profile") if profile else default_profile
    for name, text in (("--max-seeds", max_seeds), ("--budget", budget)):
        if text and not until_decided:
            raise OptionError(f"{name} {text}: limits --until-decided; add --until-decided, or leave {name} out")
    if earlier and not (until_decided and shard):
        raise OptionError(f"--earlier {earlier}: needs --shard and --until-decided; add both")
    if earlier:
        read_run(Path(earlier))  # errors in it are reported before anything is collected
    claim_files = tuple(Path(file).resolve() for file in claims)
    if len({file.name for file in claim_files}) < len(claim_files):
        raise OptionError(
            f"--claims: two files have one name in {', '.join(claims)}; rename one, as file "
            "names are part of claims' names"
        )
    studies = parse_studies(study, claim_files)
    if compare_models:
        if len(set(compare_models)) == 1:
            raise OptionError(f"--compare-models {shlex.join(compare_models)}: give two different models")
        studies = tuple(replace(chosen_study, models=tuple(compare_models)) for chosen_study in studies)
    part = parse_shard(shard)
    image_size = parse_image_size(image_size)
    data = "-".join(filter(None, (dataset_slug(dataset) if dataset else studies[0].dataset, image_size)))
    runs, name = root / "results" / "runs", slug(f"{study}-{chosen.name}-{data}-{device}")
    name += f"-shard{part.number}of{part.of}" if part else ""
    folder = Path(results_dir).resolve() if results_dir else runs / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{name}"
    if resume and not results_dir:
        folder = latest_run(runs, name) or folder
    return Options(
        profile=chosen,
        studies=studies,
        dataset=dataset,
        device=device,
        seeds=parse_max_seeds(max_seeds, seeds) if until_decided else parse_seeds(seeds),
        results_dir=folder,
        simulated_dir=runs / "simulated",
        cache_bytes=parse_size(cache_size),
        trackers=parse_trackers(tracker),
        as_published=published,
        resume=resume,
        settings=parse_settings(settings),
        plugins=tuple(plugin),
        models=tuple(compare_models),
        until_decided=until_decided,
        budget=parse_budget(budget),
        claim_files=claim_files,
        shard=part,
        earlier=Path(earlier).resolve() if earlier else None,
        executor=parse_executor(executor),
        image_size=image_size,
        modalities=_modalities(dataset) if dataset else (),
    )


def parse_size(text: str) -> int:
    """A number of bytes, such as ``"500MB"`` or ``"4GB"`` (powers of ten) or ``"0"``.

    Raises:
        OptionError: Not such a number.
    """
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text.strip(), re.IGNORECASE)
    if parts is None:
        raise OptionError(f"--cache-size {text}: give a size such as 500MB or 4GB, or 0")
    return int(float(parts[1]) * 1000 ** " kMGT".lower().index(parts[2].lower() or " "))


def parse_executor(text: str) -> str:
    """``"ray"`` or ``"ray:ADDRESS"``, checked; "" for "".

    Raises:
        OptionError: The executor does not exist, or its package is not installed.
    """
    if not text:
        return ""
    if text.partition(":")[0] != "ray":
        raise OptionError(f"--executor {text}: give ray or ray:ADDRESS, or leave the option out")
    from bench.harness.executors.ray_engine import require_ray

    require_ray(f"--executor {text}")
    return text


def parse_image_size(text: str) -> str:
    """The size of ``--image-size`` in its shortest form; "" for none.

    Raises:
        OptionError: It is not a size.
    """
    if not text:
        return ""
    from data_utils.layouts.sizes import ImageSize

    try:
        return str(ImageSize.parse(text))
    except DataError as error:
        raise OptionError(f"--image-size {error}") from None


def _modalities(dataset: str) -> tuple[str, ...]:
    """The modalities of data; () where a registered data set declares none, and for data that cannot be read."""
    if dataset in DATASETS:
        return declared_modalities(dataset)
    from data_utils.loading import modalities_of

    try:
        return modalities_of(dataset)
    except (DataError, OSError):
        return ()  # reported when the data are loaded


def check_dataset(name: str) -> None:
    """Raise OptionError if ``--dataset`` is neither a data set nor a path; its content is looked at later."""
    try:
        exists = not name or name in DATASETS or Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, with a zero byte, of an unknown user
        exists = False
    if not exists:
        raise OptionError(
            f"{name!r} is neither a data set nor an existing path; the data sets are: {', '.join(DATASETS)}"
        )


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """The fields and values of ``--set FIELD=VALUE``; of a field given twice the last counts.

    Raises:
        OptionError: A word without "=".
    """
    settings = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"--set {word}: give a field of the protocol and its value, such as epochs=3")
        settings[name.strip()] = text.strip()
    return settings


def all_claims(files: Iterable[Path] = ()) -> Claims:
    """The claims of some files, and the published ones beside them.

    Raises:
        ClaimError: A file cannot be used.
    """
    from bench.analysis.claims import read_text

    return with_published({path: read_text(path) for path in files})


def with_published(own: Mapping[Path, str], *, always: bool = False) -> Claims:
    """The claims of files, by path the content of each, and the published ones unless all files leave them out.

    Args:
        own: The files.
        always: Have the published ones in any case.

    Raises:
        ClaimError: One of them cannot be used.
    """
    from bench.analysis.claims import declared_in, published_claims, published_files, read_text

    if not own:
        return published_claims()
    alone = declared_in(own)
    if alone.alone and not always:
        return alone
    return declared_in({**{path: read_text(path) for path in published_files()}, **own})


def parse_studies(text: str, claim_files: Sequence[Path] = ()) -> tuple[Study, ...]:
    """The studies of these names, each once; "claims" stands for those that are run for claims.

    Raises:
        ClaimError: A file of claims cannot be used.
        OptionError: No study has one of the names.
    """
    groups = {"all": tuple(STUDIES), "claims": all_claims(claim_files).studies}
    names = [name for word in text.split(",") for name in groups.get(word.strip(), (word.strip(),))]
    for name in names:
        _choice(name, STUDIES, "--study", *groups)
    return tuple(find_study(name) for name in dict.fromkeys(names))


def parse_max_seeds(text: str, seeds: str) -> tuple[int, ...]:
    """All seeds that ``--until-decided`` may use: ``--max-seeds`` of them, from the published one on.

    Raises:
        OptionError: Not a number that a look can be at, or ``--seeds`` was given too.
    """
    from bench.analysis.sequential import LOOKS
    from bench.analysis.statistics import FEWEST_SEEDS

    if seeds != "1":
        raise OptionError(f"--seeds {seeds}: --until-decided adds seeds by itself; limit them with --max-seeds")
    if not text:
        return parse_seeds(str(LOOKS[-1]))
    if not text.isdecimal() or int(text) < FEWEST_SEEDS:
        raise OptionError(f"--max-seeds {text}: give at least {FEWEST_SEEDS}; fewer seeds decide nothing")
    return parse_seeds(text)


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def parse_budget(text: str) -> float:
    """``"2h"``, ``"90m"`` or a number of seconds; infinity for "".

    Raises:
        OptionError: It is none of these, or not positive.
    """
    if not text:
        return inf
    words = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if words is None or not float(words[1]):
        raise OptionError(f"--budget {text}: give a time such as 2h, 90m or 300s")
    return float(words[1]) * _UNITS[words[2]]


def looks_within(seeds: Sequence[int]) -> tuple[int, ...]:
    """The looks of a comparison of two models: the usual ones up to the number of seeds, which is the last."""
    from bench.analysis.sequential import LOOKS
    from bench.analysis.statistics import FEWEST_SEEDS

    most = max(len(seeds), FEWEST_SEEDS)  # fewer decide nothing
    return (*(look for look in LOOKS if look < most), most)


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"3"`` is three seeds from the published one on, ``"7,9"`` is these two, ``"7,"`` is just seed 7.

    Raises:
        OptionError: Neither a count from 1 to MOST_SEEDS nor a list of different whole numbers below 2**32.
    """
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    different = len(set(numbers)) == len(numbers) <= MOST_SEEDS
    if "," in text and numbers and different and 0 <= min(numbers) <= max(numbers) < 2**32:
        return tuple(numbers)
    if "," not in text and numbers and 1 <= numbers[0] <= MOST_SEEDS:
        return tuple(range(FIRST_SEED, FIRST_SEED + numbers[0]))
    raise OptionError(
        f"--seeds {text}: give a count (3 means {FIRST_SEED},{FIRST_SEED + 1},{FIRST_SEED + 2}) "
        f"or a list of different seeds (7,9 or, for a single one, 7,); at most {MOST_SEEDS}, and below 2**32"
    )


def parse_devices(text: str) -> tuple[int, ...]:
    """``"1,8,64"``.

    Raises:
        OptionError: Not whole numbers from 1 on.
    """
    try:
        numbers = tuple(int(word) for word in text.split(",") if word.strip())
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise OptionError(f"--devices {text}: give numbers of devices, such as 1,8,64,512")
    return numbers


def parse_trackers(text: str) -> tuple[str, ...]:
    """``"none"``, or the names of trackers with commas between them.

    Raises:
        OptionError: No tracker has one of the names, or its package is not installed.
    """
    if text == "none":
        return ()
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        kind = _choice(name, TRACKERS, "--track", "none")
        if not kind.available:
            raise OptionError(
                f"--track {name}: the package {kind.package} is not installed; "
                f"install it with: pip install '{kind.requirement}'"
            )
    return names


def resolve_device(name: str, *, listing: bool = False) -> str:
    """The device to run on: as named, or for "" CUDA where there is a device and else the CPU.

    For a listing it is the CPU, whichever device is named.

    Raises:
        OptionError: This machine does not have the device.
    """
    if name == "cpu":
        return name
    if listing:
        if name and not re.fullmatch(r"cuda(:\d+)?", name):
            raise OptionError(f"--device {name}: give cpu, cuda or cuda:N")
        return "cpu"
    import torch

    from bench.training.device import check_device

    if not name:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        check_device(name)
    except OptionError as error:
        raise OptionError(f"--{error}") from error
    return name


def latest_run(runs: Path, name: str) -> Path | None:
    """The latest of the folders ``<time>-<name>``; None if there is none."""
    pattern = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-" + re.escape(name))
    folders = [path for path in runs.glob("*") if pattern.fullmatch(path.name)]
    return max(folders, key=lambda path: path.name, default=None)


def history_folder(options: Options, root: Path, device_name: str) -> Path:
    """Where pytest-benchmark keeps the runs that a run with these options can be compared with.

    One folder per studies, data, profile, settings and device model, so that the latest run in it is comparable.
    """
    everything = len(options.studies) == len(STUDIES)
    studies = "all" if everything else "-".join(study.name for study in options.studies)
    data = "-".join(filter(None, (dataset_slug(options.dataset) if options.dataset else "", options.image_size)))
    published = "as-published" if options.as_published else ""
    settings = [f"{name}={text}" for name, text in options.settings.items()]
    name = "-".join(filter(None, (studies, data, published, options.profile.name, *settings, device_name)))
    return root / "results" / "runs" / "history" / slug(name)


def dataset_slug(dataset: str) -> str:
    """A name fit for a folder: the data set's name, or the end of a path with a hash of the whole of it."""
    if dataset in DATASETS:
        return dataset
    path = Path(dataset).expanduser().resolve()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:6]
    return slug("-".join([*path.parts[-2:], digest]))


def slug(text: str) -> str:
    """Letters, digits, dots, dashes and underscores of the text; anything else becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def _choice(name: str, choices: Mapping[str, T], option: str, *others: str) -> T:
    if name not in choices:
        raise OptionError(f"{option} {name}: give one of {', '.join((*others, *choices))}")
    return choices[name]

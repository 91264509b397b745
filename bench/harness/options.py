"""The words of a command line -> frozen Options, of which everything else is made."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from bench.config import (
    DEFAULT_STUDY,
    FULL,
    PROFILES,
    QUICK,
    OptionError,
    Profile,
    Protocol,
    RunConfig,
)
from bench.harness.cell import Cell
from bench.harness.places import dataset_slug, joined, run_folder
from bench.harness.shards import Shard, parse_shard
from bench.harness.values import (
    choice,
    parse_budget,
    parse_executor,
    parse_image_size,
    parse_max_seeds,
    parse_seeds,
    parse_settings,
    parse_size,
    parse_trackers,
    resolve_device,
)
from bench.records.reading import read_run
from bench.registry import STUDIES, find_study
from bench.study import Study
from data_utils import DATASETS, DataError
from data_utils.registry import declared_modalities
from fusion_models.zoo import ModelError, ModelSpec, find_model, with_single_modalities
from fusiongauge import load_installed_plugins, load_plugin, slug, user_path

if TYPE_CHECKING:
    from bench.analysis.claims import Claims


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
        from bench.analysis.claim_files import read_texts
        from bench.harness import two_models

        declared = read_texts(self.claim_files)
        if self.models:
            a, b = self.models
            declared |= two_models.declared(a, b, self.studies, len(self.seeds))
        return declared

    @cached_property
    def claims(self) -> Claims:
        """The claims that this session's runs are evidence for.

        Raises:
            ClaimError: A file of claims cannot be used.
        """
        from bench.analysis.claim_files import with_published

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

    @property
    def standard(self) -> RunConfig:
        """The settings of runs of the default study, for what is measured beside trainings."""
        return self.run_config(find_study(DEFAULT_STUDY))

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
    """The options of a session from the words on its command line; ``bench.harness.declarations`` describes them.

    Without ``results_dir`` a run has a new folder in ``results/runs`` of ``root``; with ``resume`` the latest one
    there of the same study, profile, data and device, if there is one. Plug-ins are loaded already. For a
    ``listing`` of ids no device is looked for, which would load torch.

    Raises:
        ClaimError: A file of claims cannot be used.
        OptionError: One of them cannot be used.
        RecordError: The run of ``earlier`` cannot be read.
    """
    device = resolve_device(device, listing=listing)
    default_profile = FULL if device.startswith("cuda") else QUICK
    chosen = choice(profile, PROFILES, "--profile") if profile else default_profile
    for name, text in (("--max-seeds", max_seeds), ("--budget", budget)):
        if text and not until_decided:
            raise OptionError(f"{name} {text}: limits --until-decided; add --until-decided, or leave {name} out")
    if earlier and not (until_decided and shard):
        raise OptionError(f"--earlier {earlier}: needs --shard and --until-decided; add both")
    if earlier:
        read_run(user_path(earlier))  # errors in it are reported before anything is collected
    claim_files = tuple(user_path(file).resolve() for file in claims)
    if len({file.stem for file in claim_files}) < len(claim_files):
        raise OptionError(
            f"--claims: two files have one name in {', '.join(claims)}; rename one, as file "
            "names are part of claims' names"
        )
    if claim_files:
        from bench.analysis.claim_files import read_texts
        from bench.harness import own_claims

        own_claims.check(read_texts(claim_files), compare_models)
    studies = parse_studies(study, claim_files)
    if compare_models:
        if len(set(compare_models)) == 1:
            raise OptionError(f"--compare-models {shlex.join(compare_models)}: give two different models")
        studies = tuple(replace(chosen_study, models=tuple(compare_models)) for chosen_study in studies)
    part = parse_shard(shard)
    image_size = parse_image_size(image_size)
    data = "-".join(filter(None, (dataset_slug(dataset) if dataset else studies[0].dataset, image_size)))
    runs, name = root / "results" / "runs", joined(word.strip() for word in study.split(","))
    name += f"-{slug(f'{chosen.name}-{data}-{device}')}"
    name += f"-shard{part.number}of{part.of}" if part else ""
    return Options(
        profile=chosen,
        studies=studies,
        dataset=dataset,
        device=device,
        seeds=parse_max_seeds(max_seeds, seeds) if until_decided else parse_seeds(seeds),
        results_dir=user_path(results_dir).resolve() if results_dir else run_folder(runs, name, resume=resume),
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
        earlier=user_path(earlier).resolve() if earlier else None,
        executor=parse_executor(executor),
        image_size=image_size,
        modalities=_modalities(dataset) if dataset else (),
    )


def _modalities(dataset: str) -> tuple[str, ...]:
    """The modalities of data; () where a registered data set declares none, and for data that cannot be read."""
    if dataset in DATASETS:
        return declared_modalities(dataset)
    from data_utils.loading import modalities_of

    try:
        return modalities_of(dataset)
    except (DataError, OSError):
        return ()  # reported when the data are loaded


def parse_studies(text: str, claim_files: Sequence[Path] = ()) -> tuple[Study, ...]:
    """The studies of these names, each once; "claims" stands for those that are run for claims.

    Raises:
        ClaimError: A file of claims cannot be used.
        OptionError: No study has one of the names.
    """
    from bench.analysis.claim_files import read_texts, with_published

    groups = {"all": tuple(STUDIES), "claims": with_published(read_texts(claim_files)).studies}
    names = [name for word in text.split(",") for name in groups.get(word.strip(), (word.strip(),))]
    for name in names:
        choice(name, STUDIES, "--study", *groups)
    return tuple(find_study(name) for name in dict.fromkeys(names))

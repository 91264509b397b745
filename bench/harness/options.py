"""Command-line words -> RunConfig and studies. What was left out gets its default here and nowhere else."""

import hashlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import torch

from bench.analysis.claims import STUDIES_NEEDED
from bench.config import FIRST_SEED, FULL, PROFILES, QUICK, Profile, RunConfig
from bench.records.run import device_name
from bench.studies import DEFAULT_STUDY, STUDIES, Study
from bench.tracking import TRACKERS
from data_utils import DATASETS

T = TypeVar("T")

DATASET_HELP = (
    f"a simulated data set ({', '.join(DATASETS)}), "
    "or a path: a manifest.csv, a folder in NVIDIA's layout, a FiftyOne export; "
    "default: shapes, or what the study names"
)


class OptionError(ValueError):
    """An option that cannot be followed; the message says which and what would do."""


@dataclass(frozen=True)
class Options:
    """The options of one session, resolved: below this nobody reads options or the environment.

    Attributes:
        profile: how much of each protocol is run.
        studies: what is run.
        dataset: a name of ``data_utils.DATASETS`` or a path; "" for the data set each study names.
        device: "cpu", "cuda" or "cuda:N".
        seeds: one run of every row for each.
        seeds_together: whether the seeds of a row are trained side by side.
        results_dir: the folder of this run.
        simulated_dir: where simulated data are kept for later sessions.
        trackers: names of ``bench.tracking.TRACKERS``.
        as_published: whether protocols are run with the mistakes of the originals.
        resume: whether cells that are finished in the folder are taken from their records.
    """

    profile: Profile
    studies: tuple[Study, ...]
    dataset: str
    device: str
    seeds: tuple[int, ...]
    seeds_together: bool
    results_dir: Path
    simulated_dir: Path
    trackers: tuple[str, ...]
    as_published: bool
    resume: bool

    def run_config(self, study: Study, variant: str) -> RunConfig:
        """What ``bench.training.runs.run`` is asked for in one variant of a study."""
        dataset = self.dataset or study.dataset
        asked = study.published_protocol(variant) if self.as_published else study.protocols[variant]
        return RunConfig(
            profile=self.profile.name,
            study=study.name,
            variant=variant,
            protocol=self.profile.shorten(asked, simulated=dataset in DATASETS),
            dataset=dataset,
            device=self.device,
            results_dir=self.results_dir,
        )


def resolve(
    *,
    root: Path,
    profile: str = "",
    study: str = DEFAULT_STUDY,
    dataset: str = "",
    device: str = "",
    seeds: str = "1",
    seeds_together: bool = False,
    results_dir: str = "",
    tracker: str = "none",
    published: bool = False,
    resume: bool = False,
) -> Options:
    """The options of a session from the words on its command line.

    Args:
        root: the project's folder.
        profile: a name of PROFILES; "" for full on CUDA and quick on a CPU.
        study: names of STUDIES with commas between them, "claims" or "all".
        dataset: a name of ``data_utils.DATASETS`` or a path; "" for the data set each study names.
        device: see ``resolve_device``.
        seeds: see ``parse_seeds``.
        seeds_together: train the seeds of a row side by side.
        results_dir: the folder of this run; "" for a new one in ``results/runs``.
        tracker: see ``parse_trackers``.
        published: run protocols with the mistakes of the originals.
        resume: take finished cells from their records; without ``results_dir``, from the latest folder in
            ``results/runs`` of the same study, profile, data and device, if there is one.

    Raises:
        OptionError: one of them makes no sense.
    """
    chosen_device = resolve_device(device)
    by_default = FULL if chosen_device.startswith("cuda") else QUICK
    chosen_profile = _known(profile, PROFILES, "--profile") if profile else by_default
    studies = parse_studies(study)
    what = "-".join([dataset_slug(dataset)] if dataset else [each.dataset for each in studies[:1]])
    runs, name = root / "results" / "runs", slug(f"{study}-{chosen_profile.name}-{what}-{chosen_device}")
    folder = Path(results_dir).resolve() if results_dir else runs / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{name}"
    if resume and not results_dir:
        folder = latest_run(runs, name) or folder
    return Options(
        profile=chosen_profile,
        studies=studies,
        dataset=dataset,
        device=chosen_device,
        seeds=parse_seeds(seeds),
        seeds_together=seeds_together,
        results_dir=folder,
        simulated_dir=root / "results" / "runs" / "simulated",
        trackers=parse_trackers(tracker),
        as_published=published,
        resume=resume,
    )


def parse_studies(text: str) -> tuple[Study, ...]:
    """The studies of these names, each once; "claims" stands for those that decide the published claims.

    Raises:
        OptionError: a name that no study has.
    """
    several = {"all": tuple(STUDIES), "claims": STUDIES_NEEDED}
    names = [name for word in text.split(",") for name in several.get(word.strip(), (word.strip(),))]
    return tuple(_known(name, STUDIES, "--study", *several) for name in dict.fromkeys(names))


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"3"`` is three seeds from the published one on, ``"7,9"`` is these two, ``"7,"`` is just seed 7.

    Raises:
        OptionError: neither a count of at least 1 nor a list of different whole numbers from 0 on.
    """
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    if "," in text and numbers and len(set(numbers)) == len(numbers) and min(numbers) >= 0:
        return tuple(numbers)
    if "," not in text and numbers and numbers[0] >= 1:
        return tuple(range(FIRST_SEED, FIRST_SEED + numbers[0]))
    raise OptionError(
        f"--seeds {text}: give a count (3 means {FIRST_SEED},{FIRST_SEED + 1},{FIRST_SEED + 2}) "
        "or a list of different seeds (7,9 or, for one alone, 7,)"
    )


def parse_trackers(text: str) -> tuple[str, ...]:
    """``"none"``, or the names of trackers with commas between them.

    Raises:
        OptionError: a name that no tracker has, or a tracker whose package is not installed.
    """
    if text == "none":
        return ()
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        kind = _known(name, TRACKERS, "--track", "none")
        if importlib.util.find_spec(kind.package) is None:
            raise OptionError(
                f"--track {name}: the package {kind.package} is not installed; "
                f"get it with: pip install '{kind.requirement}'"
            )
    return names


def resolve_device(name: str) -> str:
    """The device to run on: as named, or for "" CUDA where there is one and else the CPU.

    Raises:
        OptionError: no such device here.
    """
    if not name:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    if not re.fullmatch(r"cuda(:\d+)?", name):
        raise OptionError(f"--device {name}: give cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise OptionError(
            f"--device {name}: torch {torch.__version__} finds no CUDA device here; leave the option out "
            "to run on the CPU, or check the driver and that this torch was built for CUDA"
        )
    _, _, index = name.partition(":")
    if int(index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"--device {name}: there are only {torch.cuda.device_count()} CUDA devices, from cuda:0 on"
        )
    return name


def latest_run(runs: Path, name: str) -> Path | None:
    """The latest of the folders ``<time>-<name>``; None if there is none."""
    times = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-" + re.escape(name))
    found = [path for path in runs.glob("*") if times.fullmatch(path.name)]
    return max(found, key=lambda path: path.name, default=None)


def history_folder(options: Options, root: Path) -> Path:
    """Where pytest-benchmark keeps the runs that a run with these options can be compared with.

    One folder for what was run, on which data, in which profile, on which model of device and whether seeds had
    it for themselves, so that the latest run in it is comparable.
    """
    studies = "-".join(study.name for study in options.studies) if len(options.studies) < len(STUDIES) else "all"
    data = dataset_slug(options.dataset) if options.dataset else ""
    published = "as-published" if options.as_published else ""
    device = device_name(torch.device(options.device))
    times = "seeds-together" if options.seeds_together else ""
    name = "-".join(filter(None, (studies, data, published, options.profile.name, device, times)))
    return root / "results" / "runs" / "history" / slug(name)


def dataset_slug(dataset: str) -> str:
    """A name fit for a folder: the data set's name, or the end of a path with a hash of the whole of it."""
    if dataset in DATASETS:
        return dataset
    path = Path(dataset).expanduser().resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:6]
    return slug("-".join([*path.parts[-2:], digest]))


def slug(text: str) -> str:
    """Letters, digits, dots, dashes and underscores of the text; anything else becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def _known(name: str, known: Mapping[str, T], option: str, *others: str) -> T:
    if name not in known:
        raise OptionError(f"{option} {name}: give one of {', '.join((*others, *known))}")
    return known[name]

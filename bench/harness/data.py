"""The data of a session: opened once for all cells and checked before the trainings, and which models fit them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bench.config import OptionError
from bench.harness.cell import Cell
from bench.harness.options import Options
from data_utils import DATASETS

if TYPE_CHECKING:
    from bench.config import RunConfig
    from bench.harness.progress import Reading
    from data_utils import DatasetInfo, Source, World
    from fusion_models import ModelSpec


class SessionData:
    """The data of a session's cells; files are read on first use.

    Attributes:
        reading: Shows what the data need and how far they are read; None to show nothing.
    """

    def __init__(self, options: Options) -> None:
        self.reading: Reading | None = None
        self._options = options
        self._sources: dict[str, Source] = {}
        self._misfits: dict[tuple[ModelSpec, str], str] = {}

    def loading(self) -> dict[str, Any]:
        """How ``data_utils.open_source`` is called, apart from the name and the cache."""
        return {"image_size": self._options.image_size or None}

    def source(self, config: RunConfig) -> Source:
        """Where the worlds of a run's seeds come from."""
        from data_utils import open_source
        from data_utils.cache import Cache

        if config.dataset not in self._sources:
            cache = Cache(self._options.simulated_dir, self._options.cache_bytes)
            callbacks: dict[str, Any] = {}
            if self.reading is not None:
                callbacks = {"progress": self.reading.progress, "announce": self.reading.announce}
            self._sources[config.dataset] = open_source(config.dataset, **self.loading(), **callbacks, cache=cache)
        return self._sources[config.dataset]

    def world(self, config: RunConfig, seed: int) -> World:
        """The pairs that a run uses for what; see ``bench.training.preparation.world_of``."""
        from bench.training.preparation import world_of

        return world_of(self.source(config), config.protocol, seed)

    def check(self, cells: Iterable[Cell]) -> list[str]:
        """Open the data of cells, and check that they can be split as the protocols ask.

        Files are split for every seed; pairs that are made for a seed are made for the first one only.

        Returns:
            Which settings change nothing with these data, a sentence each.

        Raises:
            DataError: The data cannot be read, or not be split.
            OptionError: ``--set`` names a modality that the data lack, or what cannot work with them.
        """
        from bench.training.suitability import require_suitable, without_effect

        notes: dict[str, None] = {}
        seeds: dict[RunConfig, dict[int, None]] = {}
        for cell in cells:
            seeds.setdefault(cell.config, {})[cell.seed] = None
        for config, of_config in seeds.items():
            source, (first, *others) = self.source(config), of_config
            for seed in (first, *(others if config.dataset not in DATASETS else ())):
                world = self.world(config, seed)
                require_suitable(config.protocol, world.info)
                notes |= dict.fromkeys(without_effect(config.protocol, world.train.dataset))
            channels, text = source.info.channels, self._options.settings.get("normalized")
            absent = [modality for modality in config.protocol.on(channels).normalized if modality not in channels]
            if absent and text is not None:
                raise OptionError(
                    f"--set normalized={text}: the data have no modality {absent[0]!r}; "
                    f"they have {', '.join(channels)}"
                )
        return list(notes)

    def drawn_content(self, cell: Cell) -> dict[str, str]:
        """Hashes of the pairs of a cell where a plug-in makes them, as that may read them from somewhere."""
        from data_utils import DrawnPairs

        source = self.source(cell.config)
        if not isinstance(source, DrawnPairs) or source.simulated:
            return {}
        parts = self.world(cell.config, cell.seed).parts
        return {f"{name}_sha256": part.sha256 for name, part in parts.items() if len(part)}

    def misfit_of(self, cell: Cell) -> str:
        """Why the model of a cell does not fit the cell's data; "" if it does."""
        key = cell.spec, cell.config.dataset  # all seeds and variants share it, and building takes milliseconds
        if key not in self._misfits:
            self._misfits[key] = misfit(cell.spec, self.source(cell.config).info)
        return self._misfits[key]


def misfit(spec: ModelSpec, info: DatasetInfo) -> str:
    """Why a model does not fit the data; "" if it does."""
    import torch

    from fusion_models import ModelError, build_model

    try:
        spec.sees(info.channels)
        if spec.build is None:  # a plug-in's function is tried when it is run
            with torch.device("meta"):  # shapes without weights
                build_model(spec, channels=info.channels, image_size=info.image_size, classes=len(info.classes))
    except ModelError as error:
        return str(error)
    except Exception:  # noqa: S110 - a fault of a plug-in: running the model reports it
        pass
    return ""

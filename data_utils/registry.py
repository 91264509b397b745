"""The registries of data sets and layouts of files, and the decorators that add to them. Loads no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fusiongauge import Registry

if TYPE_CHECKING:
    from data_utils.dataset import PairedDataset
    from data_utils.layouts.listing import Listing
    from data_utils.simulator.shapes import Progress, Simulation

MakeDataset = Callable[[int, int], "PairedDataset"]
"""(number of pairs, seed) -> data set; the same arguments give the same tensors."""


@dataclass(frozen=True)
class Layout:
    """A layout of files that hold a data set.

    Attributes:
        description: What such files look like, for messages.
        recognizes: Whether the files at a path have this layout. It reads names only, no content.
        read: (path, class) -> all pairs. If the class is not "", its angles are used for all classes. None if the
            layout has a ``listing``.
        write: Writes a simulation to a folder, from which ``read`` returns the same tensors; the folder is created
            if it does not exist. None if the layout can only be read.
        listing: (path, class) -> the files of all pairs, which are then read at any size
            (``data_utils.layouts.listing.Listing``). None if the layout has a ``read``.
        container: For one file that holds everything and takes long to list: path -> this file and others that are
            read with it. ``listing`` then gets the ``Progress`` of listing as a third argument. What was decoded
            is kept under the files' names and times of change, and neither listed nor decoded by the next run.
        modalities: path -> the names of the modalities, for a listing that takes longer; None to list the files.
        declarable: Whether ``listing`` uses the modalities that a ``dataset.toml`` declares, or ``read`` the whole
            file. Otherwise they are refused, as nothing else uses them.
    """

    description: str
    recognizes: Callable[[Path], bool]
    read: "Callable[[Path, str], PairedDataset] | None" = None
    write: "Callable[[Path, Simulation, Progress], None] | None" = None
    listing: "Callable[..., Listing] | None" = None
    container: Callable[[Path], Sequence[Path]] | None = None
    modalities: Callable[[Path], tuple[str, ...]] | None = None
    declarable: bool = False


DATASETS: Registry[MakeDataset] = Registry("data set", home="data_utils.simulator.levels")
LAYOUTS: Registry[Callable[[], Layout]] = Registry("layout", home="data_utils.layouts.shipped")


@dataclass(frozen=True)
class WithModalities:
    """A function that makes a data set, and the modalities that it declares."""

    make: MakeDataset
    modalities: tuple[str, ...]

    def __call__(self, pairs: int, seed: int) -> "PairedDataset":
        """Make it."""
        return self.make(pairs, seed)


def declared_modalities(name: str) -> tuple[str, ...]:
    """The modalities that a registered data set declares; () if it declares none."""
    make = DATASETS[name]
    return make.modalities if isinstance(make, WithModalities) else ()


def register_dataset(name: str, *, modalities: Sequence[str] = ()) -> Callable[[MakeDataset], MakeDataset]:
    """Register a data set that is made by a function ``f(pairs, seed) -> PairedDataset``, with any modalities.

    Args:
        name: As in ``--dataset`` and records.
        modalities: Of what the function returns, in its order. Studies with single-modality models of the usual
            modalities then have such models of these too; they must be known before data are made.

    Raises:
        PluginError: The name is taken.
    """
    declared = tuple(modalities)
    return DATASETS.decorator(name, lambda make: WithModalities(make, declared) if declared else make)


def register_layout(name: str) -> Callable[[Callable[[], Layout]], Callable[[], Layout]]:
    """Register a layout of files, a function without arguments that returns a ``Layout``.

    The function is called when a path is read, so it can import what the layout needs.

    Args:
        name: As in ``python -m data_utils make --layout``.

    Raises:
        PluginError: The name is taken.
    """
    return LAYOUTS.decorator(name, lambda make: make)

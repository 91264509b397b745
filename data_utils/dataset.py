"""What every reader and simulator returns: one data set of paired modalities, as tensors.

Reading files is the subject of ``layouts``, choosing pairs of ``splits``, scaling them of ``normalization``.
Shapes: N pairs of a data set, B pairs of a batch, C channels, H rows, W columns.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from data_utils.decoding import Decoder
from data_utils.errors import DataError
from data_utils.geometry import is_scanner, is_xyza
from data_utils.memory import usable_cores
from data_utils.modality import Modality
from data_utils.naming import require_name
from fusiongauge import one_line

if TYPE_CHECKING:
    from data_utils.splits import Shares
    from data_utils.worlds import World


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set. Models are built from it alone.

    Attributes:
        name: A short name for tables; in all names, what is not UTF-8 and controls are escaped (``one_line``).
        classes: Class names; a label is an index into them.
        channels: Modality to number of channels; the order of the entries is the order of the modalities.
        image_size: Rows and columns (H, W), the same for every modality.
        modalities: The declared modalities; those that are not declared follow from their values
            (``PairedDataset.modality``).

    Raises:
        DataError: There are fewer than two classes, a repeated class, no modality, one whose name cannot be
            used, or a size that is not positive.
    """

    name: str
    classes: tuple[str, ...]
    channels: Mapping[str, int]
    image_size: tuple[int, int]
    modalities: Mapping[str, Modality] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Names come from files: what is not valid Unicode cannot be in a record, nor a line end in a table.
        object.__setattr__(self, "name", one_line(self.name))
        object.__setattr__(self, "classes", tuple(map(one_line, self.classes)))
        # Private copies: later changes of the caller's dictionaries must not change the widths of models.
        object.__setattr__(self, "channels", MappingProxyType(dict(self.channels)))
        object.__setattr__(self, "modalities", MappingProxyType(dict(self.modalities)))
        if len(self.classes) < 2:
            raise DataError(
                f"Data set {self.name!r} has {len(self.classes)} class(es) {list(self.classes)}; "
                "a classifier needs at least two, so add the pairs of another class."
            )
        if len(set(self.classes)) < len(self.classes):
            raise DataError(
                f"Data set {self.name!r} names a class twice in {list(self.classes)}; rename one of them."
            )
        if not self.channels:
            raise DataError(f"Data set {self.name!r} has no modality; add at least one.")
        for name in self.channels:
            require_name(name, f"Data set {self.name!r}")
        for name, modality in self.modalities.items():
            if modality.channels != self.channels.get(name):
                raise DataError(
                    f"Data set {self.name!r} declares a modality {name!r} of {modality.channels} channel(s), but "
                    f"its channels are {dict(self.channels)}; make them agree."
                )
        if min(*self.image_size, *self.channels.values()) < 1:
            raise DataError(
                f"Data set {self.name!r} has channels {dict(self.channels)} and images of {self.image_size} "
                "pixels; all of these numbers must be at least 1."
            )

    def __reduce__(self) -> tuple[type["DatasetInfo"], tuple[object, ...]]:
        # A mapping proxy can be neither pickled nor deep-copied; sending a data set to another process needs both.
        return DatasetInfo, (
            self.name,
            self.classes,
            dict(self.channels),
            self.image_size,
            dict(self.modalities),
        )


PARTS = ("train", "valid", "test")
"""What pairs are used for: training, choosing the best epoch, and reporting."""

_PART_OF_WORD = {"training": "train", "val": "valid", "validation": "valid"} | {part: part for part in PARTS}

PART_WORDS = ", ".join(_PART_OF_WORD)
"""The words that name a part in files."""


def part_of(word: str) -> str:
    """The part that a word in a file names; "" if it names none."""
    return _PART_OF_WORD.get(word.strip().lower(), "")


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs ready for a model.

    Attributes:
        inputs: Modality to float32 tensor (B, C, H, W).
        labels: int64 tensor (B,).

    Raises:
        DataError: The number of pairs in an input differs from the number of labels.
    """

    inputs: Mapping[str, Tensor]
    labels: Tensor

    def __post_init__(self) -> None:
        for modality, values in self.inputs.items():
            if len(values) != len(self.labels):
                raise DataError(
                    f"A batch holds {len(values)} pairs of {modality!r} and {len(self.labels)} labels; "
                    "provide one label per pair."
                )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> "Batch":
        """The selected pairs, in the order of the index (an int64 tensor (B,), or a slice)."""
        if isinstance(index, slice):
            return Batch({m: values[index] for m, values in self.inputs.items()}, self.labels[index])
        inputs = {m: _select(values, index) for m, values in self.inputs.items()}
        return Batch(inputs, self.labels.index_select(0, index))

    def to(self, device: torch.device | str) -> "Batch":
        """The same pairs on a device."""
        return Batch({m: values.to(device) for m, values in self.inputs.items()}, self.labels.to(device))


@dataclass(frozen=True, eq=False)
class PairedDataset:
    """All pairs of a data set, as they were decoded from files or simulated.

    Attributes:
        info: Name, classes, channels and image size.
        inputs: Modality to tensor (N, c, H, W) as decoded, in the order of ``info.channels``: uint8 or uint16 for
            images, any of these, float16 or float32 for measurements. Without a decoder these are the measurements
            themselves, in the channels of ``info.channels`` and in the unit of the modality.
        labels: int64 tensor (N,), indices into ``info.classes``.
        groups: int64 tensor (N,). Pairs of one group (twins, crops of one photograph) resemble each other too much
            to be in both training and validation.
        names: The name of each pair, for messages and error analysis.
        notes: What the reader left out or noticed, one sentence each.
        decoders: Modality to what makes measurements of its tensor, for those that need it.
        assumptions: Those of the notes that report what the reader took for granted, which is no problem.
        assigned: The part of PARTS that each pair belongs to, where the data come with a split; empty without one.
            Parts that no pair belongs to are drawn from the training pairs.

    Raises:
        DataError: The parts contradict each other, or a class has no pairs.
    """

    info: DatasetInfo
    inputs: Mapping[str, Tensor]
    labels: Tensor
    groups: Tensor
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    decoders: Mapping[str, Decoder] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    assigned: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for texts in ("names", "notes", "assumptions"):
            object.__setattr__(self, texts, tuple(one_line(str(text)) for text in getattr(self, texts)))
        name = self.info.name
        for what, values in {**self.inputs, "labels": self.labels, "groups": self.groups}.items():
            if not isinstance(values, Tensor) or values.requires_grad:
                found = f"a {type(values).__name__}" if not isinstance(values, Tensor) else "part of a graph"
                remedy = "detach it" if isinstance(values, Tensor) else "convert it to a tensor of torch"
                raise DataError(f"Data set {name!r} holds {what!r} as {found}; {remedy}.")
        count = len(self.labels)
        if tuple(self.inputs) != tuple(self.info.channels):
            raise DataError(
                f"Data set {name!r} holds the modalities {list(self.inputs)} but describes "
                f"{list(self.info.channels)}; make the two lists equal."
            )
        for modality, values in self.inputs.items():
            decoder = self.decoders.get(modality)
            channels = decoder.stored_channels if decoder else self.info.channels[modality]
            expected = (count, channels, *self.info.image_size)
            if tuple(values.shape) != expected or (decoder and decoder.channels != self.info.channels[modality]):
                raise DataError(
                    f"Data set {name!r} holds {modality!r} of shape {tuple(values.shape)}, but its labels "
                    f"and description require {expected}; make them agree."
                )
            if values.dtype not in _DTYPES:
                raise DataError(
                    f"Data set {name!r} holds {modality!r} as {values.dtype}; convert it to uint8 or uint16 "
                    "(images) or float16 or float32 (measurements)."
                )
        for what, integers in (("labels", self.labels), ("groups", self.groups)):
            if integers.dtype != torch.int64 or tuple(integers.shape) != (count,):
                raise DataError(
                    f"Data set {name!r} has {what} of type {integers.dtype} and shape "
                    f"{tuple(integers.shape)}; they must be int64 of shape ({count},)."
                )
        if len(self.names) != count:
            raise DataError(
                f"Data set {name!r} has {len(self.names)} names for {count} pairs; give every pair one name."
            )
        if self.assigned and (len(self.assigned) != count or not set(self.assigned) <= set(PARTS)):
            raise DataError(
                f"Data set {name!r} assigns {len(self.assigned)} of {count} pairs, to "
                f"{sorted(set(self.assigned))}; give every pair one of {', '.join(PARTS)}, or none any."
            )
        present = set(self.labels.tolist())
        strays = sorted(present - set(range(len(self.info.classes))))
        if strays:
            raise DataError(
                f"Data set {name!r} has the labels {strays} but only {len(self.info.classes)} classes; "
                "labels count from 0."
            )
        empty = [c for label, c in enumerate(self.info.classes) if label not in present]
        if empty:
            raise DataError(
                f"Data set {name!r} has no pairs of class {', '.join(map(repr, empty))}; "
                "add some or leave the class out."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Hash of all that a run receives: classes, modalities, measurements, labels, groups and the pairs' names.

        It includes neither the data set's own name nor its notes: the same pairs read from another folder, or
        simulated on another machine, have the same hash, however they are stored. It is computed once and does not
        follow later changes of the tensors.
        """
        return self.sha256_of(torch.arange(len(self)))

    def sha256_of(self, pairs: Tensor) -> str:
        """The same of some pairs, int64 (B,), in the order given; those of part of the data cost nothing more."""
        few = torch.arange(min(1, len(self)))
        # Types and shapes are hashed too: the same bytes in another shape are other data.
        layout = {m: [str(self.measured(m, few).dtype), *self.shape_of(m)[1:]] for m in self.inputs}
        chosen = pairs.tolist()
        of_pairs = [[values[i] for i in chosen] for values in (self.names, self.assigned) if values]
        digest = hashlib.sha256(json.dumps([self.info.classes, layout, *of_pairs]).encode())
        for integers in (self.labels, self.groups):
            digest.update(integers[pairs].numpy().tobytes())
        for pair in chosen:
            digest.update(self.digests[pair])
        return digest.hexdigest()

    @cached_property
    def digests(self) -> list[bytes]:
        """A hash of the measurements of each pair, however they are stored."""

        def digests(pairs: Tensor) -> list[bytes]:
            hashes = [hashlib.sha256() for _ in pairs]
            for modality in self.inputs:
                for hashed, values in zip(hashes, self.measured(modality, pairs).numpy(), strict=True):
                    hashed.update(np.ascontiguousarray(values).data)
            return [hashed.digest() for hashed in hashes]

        # Hashing lets other threads run. Few pairs at a time, as each thread keeps the memory that it took.
        parts = torch.arange(len(self)).split(max(1, len(self.parts()[0]) // 8)) if len(self) else ()
        with ThreadPoolExecutor(usable_cores()) as threads:
            return [digest for part in threads.map(digests, parts) for digest in part]

    def remember(self, digests: list[bytes]) -> None:
        """Set ``digests``, where they were computed before."""
        vars(self)["digests"] = digests

    def noting(self, *notes: str) -> "PairedDataset":
        """The same pairs with further notes, which report no problem."""
        noted = replace(self, notes=(*self.notes, *notes), assumptions=(*self.assumptions, *notes))
        if "digests" in vars(self):
            noted.remember(self.digests)
        return noted

    @property
    def stored_bytes(self) -> int:
        """The size of the tensors of all modalities, as they are stored."""
        return sum(values.numel() * values.element_size() for values in self.inputs.values())

    def parts(self, pairs: Tensor | None = None) -> tuple[Tensor, ...]:
        """The pairs in parts whose measurements take little memory at a time.

        Args:
            pairs: int64 tensor of pairs; None for all.
        """
        height, width = self.info.image_size
        of_pair = 4 * height * width * max(self.info.channels.values())
        chosen = torch.arange(len(self)) if pairs is None else pairs
        return tuple(torch.split(chosen, max(1, _PART_BYTES // of_pair)))

    def shape_of(self, modality: str) -> tuple[int, int, int, int]:
        """The shape (N, C, H, W) of a modality's measurements."""
        return (len(self), self.info.channels[modality], *self.info.image_size)

    def modality(self, name: str) -> Modality:
        """The description of a modality: as declared, otherwise told by its values.

        uint8 is an image; four channels of which the last is 0 or 1 are points, of a scanner if they lie along y
        and of a depth camera if along z; anything else is raw.
        """
        return self._modalities[name]

    @cached_property
    def _modalities(self) -> Mapping[str, Modality]:
        told = {name: self._told(name) for name in self.inputs if name not in self.info.modalities}
        return {name: told.get(name) or self.info.modalities[name] for name in self.inputs}

    def _told(self, name: str) -> Modality:
        channels, values = self.info.channels[name], self.inputs[name]
        if name in self.decoders:
            kind = self.decoders[name].points
            return Modality(kind or "raw", channels, points=kind is not None)
        if values.dtype in (torch.uint8, torch.uint16):
            return Modality("image", channels)
        if is_xyza(values):
            return Modality("range" if is_scanner(values) else "depth", channels, points=True)
        return Modality("raw", channels)

    def measured(self, modality: str, pairs: Tensor | None = None) -> Tensor:
        """What the sensor measured, (B, C, H, W): images as stored (uint8, uint16), others in their own unit.

        Args:
            modality: Its name.
            pairs: int64 tensor (B,) of pairs, in the order of the result; None for all pairs.
        """
        stored = self.inputs[modality] if pairs is None else _select(self.inputs[modality], pairs)
        if modality not in self.decoders:
            return stored
        return self.decoders[modality](stored, torch.arange(len(self)) if pairs is None else pairs)

    def batch(self, indices: Tensor | None = None, modalities: Iterable[str] | None = None) -> "Batch":
        """The selected pairs as float32, images divided by their largest possible value (255 or 65535).

        Args:
            indices: int64 tensor (B,) of pairs, in the order of the batch; None for all pairs.
            modalities: Which modalities the batch has; None for all.
        """
        pairs = torch.arange(len(self)) if indices is None else indices
        names = self.inputs if modalities is None else modalities
        return Batch({m: _as_float(self.measured(m, pairs)) for m in names}, self.labels[pairs])

    def to(self, device: torch.device | str) -> "PairedDataset":
        """The same data with everything that batches are made of on a device; itself if it is there already."""
        labels = self.labels.to(device)
        if labels is self.labels:
            return self
        return replace(
            self,
            inputs={modality: values.to(device) for modality, values in self.inputs.items()},
            labels=labels,
            decoders={modality: decoder.to(device) for modality, decoder in self.decoders.items()},
        )

    def decoded(self) -> "PairedDataset":
        """The same data with measurements in place of what is stored; for few pairs, as these take more memory."""
        return replace(self, inputs={modality: self.measured(modality) for modality in self.inputs}, decoders={})

    def world(self, shares: "Shares", seed: int) -> "World":
        """The pairs that a seed trains, validates and tests on, split by the seed (``worlds.split_world``)."""
        from data_utils.worlds import split_world  # here, as worlds are made of data sets

        return split_world(self, shares, seed)

    def take(self, indices: Tensor) -> "PairedDataset":
        """A data set of the selected pairs only, with the same classes.

        Args:
            indices: int64 tensor of pairs, in the order of the new data set.

        Raises:
            DataError: A class would have no pairs left.
        """
        return replace(
            self,
            inputs={m: _select(values, indices) for m, values in self.inputs.items()},
            decoders={m: decoder.take(indices) for m, decoder in self.decoders.items()},
            labels=self.labels[indices],
            groups=self.groups[indices],
            names=tuple(self.names[i] for i in indices.tolist()),
            assigned=tuple(self.assigned[i] for i in indices.tolist()) if self.assigned else (),
        )


_PART_BYTES = 1 << 22
"""Float32 measurements of one modality that are in memory at a time where a data set is gone through."""

_DTYPES = (torch.uint8, torch.uint16, torch.float16, torch.float32)


def _select(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` in the same memory format; each pair is copied as one block."""
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        # Plain indexing would copy element by element here, at about four times the cost.
        return values.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    if values.dtype == torch.uint16:  # CUDA selects only signed ones
        return values.view(torch.int16).index_select(0, index).view(torch.uint16)
    return values.index_select(0, index)


def _as_float(values: Tensor) -> Tensor:
    """Images in [0, 1]; measurements as they are."""
    if values.dtype in (torch.uint8, torch.uint16):
        # A tensor on the device: CUDA multiplies by the reciprocal of a number, which has other bits.
        return values.float().div_(torch.full((), torch.iinfo(values.dtype).max, device=values.device))
    return values.float()

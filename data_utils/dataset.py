"""What every reader and simulator returns: one data set of paired modalities, as tensors.

Reading files is the subject of ``layouts``, choosing pairs of ``splits``, scaling them of ``normalization``.
Shapes: N pairs of a data set, B pairs of a batch, C channels, H rows, W columns.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import ModuleDict

from data_utils.errors import DataError
from fusiongauge import printable


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set. Models are built from it alone.

    Attributes:
        name: A short name for tables; in all names, bytes that are not UTF-8 are escaped (``printable``).
        classes: Class names; a label is an index into them.
        channels: Modality to number of channels; the order of the entries is the order of the modalities.
        image_size: Rows and columns (H, W), the same for every modality.

    Raises:
        DataError: There are fewer than two classes, a repeated class, no modality, one whose name cannot be
            used, or a size that is not positive.
    """

    name: str
    classes: tuple[str, ...]
    channels: Mapping[str, int]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        # A private copy: later changes of the caller's dictionary must not change the widths of models.
        object.__setattr__(self, "channels", MappingProxyType(dict(self.channels)))
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "classes", tuple(map(printable, self.classes)))
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
        for modality in self.channels:
            # Networks hold their layers in an nn.ModuleDict, by modality.
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", modality) or hasattr(ModuleDict, modality):
                raise DataError(
                    f"Data set {self.name!r} has a modality {modality!r}, which cannot name a part of a network; "
                    "use letters, digits, '_' and '-', and no name of an attribute of torch.nn.ModuleDict."
                )
        if min(*self.image_size, *self.channels.values()) < 1:
            raise DataError(
                f"Data set {self.name!r} has channels {dict(self.channels)} and images of {self.image_size} "
                "pixels; all of these numbers must be at least 1."
            )

    def __reduce__(self) -> tuple[type["DatasetInfo"], tuple[object, ...]]:
        # A mapping proxy can be neither pickled nor deep-copied; sending a data set to another process needs both.
        return DatasetInfo, (self.name, self.classes, dict(self.channels), self.image_size)


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
        """The selected pairs, in the order of the index (an int64 or bool tensor (B,), or a slice)."""
        if isinstance(index, slice):
            return Batch({m: values[index] for m, values in self.inputs.items()}, self.labels[index])
        if index.dtype == torch.bool:
            index = index.nonzero().flatten()
        inputs = {m: _select(values, index) for m, values in self.inputs.items()}
        return Batch(inputs, self.labels.index_select(0, index))

    def to(self, device: torch.device | str) -> "Batch":
        """The same pairs on a device."""
        return Batch({m: values.to(device) for m, values in self.inputs.items()}, self.labels.to(device))


@dataclass(frozen=True, eq=False)
class PairedDataset:
    """All pairs of a data set, in memory.

    Attributes:
        info: Name, classes, channels and image size.
        inputs: Modality to tensor (N, C, H, W): uint8 for images in 0-255, float32 for measurements in
            meters. The modalities and their channels are those of ``info.channels``, in its order.
        labels: int64 tensor (N,), indices into ``info.classes``.
        groups: int64 tensor (N,). Pairs of one group (twins, crops of one photograph) resemble each other too much
            to be in both training and validation.
        names: The name of each pair, for messages and error analysis.
        notes: What the reader left out or noticed, one sentence each.

    Raises:
        DataError: The parts contradict each other, or a class has no pairs.
    """

    info: DatasetInfo
    inputs: Mapping[str, Tensor]
    labels: Tensor
    groups: Tensor
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("names", "notes"):
            object.__setattr__(self, field, tuple(map(printable, getattr(self, field))))
        name, count = self.info.name, len(self.labels)
        if tuple(self.inputs) != tuple(self.info.channels):
            raise DataError(
                f"Data set {name!r} holds the modalities {list(self.inputs)} but describes "
                f"{list(self.info.channels)}; make the two lists equal."
            )
        for modality, values in self.inputs.items():
            expected = (count, self.info.channels[modality], *self.info.image_size)
            if tuple(values.shape) != expected:
                raise DataError(
                    f"Data set {name!r} holds {modality!r} of shape {tuple(values.shape)}, but its labels "
                    f"and description require {expected}; make them agree."
                )
            if values.dtype not in (torch.uint8, torch.float32):
                raise DataError(
                    f"Data set {name!r} holds {modality!r} as {values.dtype}; "
                    "convert it to uint8 (images) or float32 (measurements)."
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
        """Hash of all that a run receives: classes, modalities, tensors, labels, groups and the pairs' names.

        It includes neither the data set's own name nor its notes: the same pairs read from another folder, or
        simulated on another machine, have the same hash. It is computed once and does not follow later changes of
        the tensors.
        """
        tensors = {**self.inputs, "labels": self.labels, "groups": self.groups}
        # Types and shapes are hashed too: the same bytes in another shape are other data.
        layout = {what: [str(values.dtype), *values.shape] for what, values in tensors.items()}
        digest = hashlib.sha256(json.dumps([self.info.classes, self.names, layout]).encode())
        for values in tensors.values():
            for part in values.split(_HASHED_AT_ONCE):
                digest.update(part.contiguous().flatten().numpy())
        return digest.hexdigest()

    def batch(self, indices: Tensor | None = None, modalities: Iterable[str] | None = None) -> "Batch":
        """The selected pairs as float32, uint8 images divided by 255.

        Args:
            indices: int64 tensor (B,) of pairs, in the order of the batch; None for all pairs.
            modalities: Which modalities the batch has; None for all.
        """
        pairs = torch.arange(len(self)) if indices is None else indices
        names = self.inputs if modalities is None else modalities
        return Batch({m: _as_float(self.inputs[m][pairs]) for m in names}, self.labels[pairs])

    def take(self, indices: Tensor) -> "PairedDataset":
        """A data set of the selected pairs only, with the same classes.

        Args:
            indices: int64 tensor of pairs, in the order of the new data set.

        Raises:
            DataError: A class would have no pairs left.
        """
        return replace(
            self,
            inputs={m: values[indices] for m, values in self.inputs.items()},
            labels=self.labels[indices],
            groups=self.groups[indices],
            names=tuple(self.names[i] for i in indices.tolist()),
        )


_HASHED_AT_ONCE = 1024
"""Pairs. Tensors that are not contiguous are copied to be hashed; this bounds the size of the copy."""


def _select(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` in the same memory format; each pair is copied as one block."""
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        # Plain indexing would copy element by element here, at about four times the cost.
        return values.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return values.index_select(0, index)


def _as_float(values: Tensor) -> Tensor:
    return values.to(torch.float32).div_(255) if values.dtype == torch.uint8 else values

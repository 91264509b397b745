"""A grouped data set as FiftyOne exports it (``fo.types.FiftyOneDataset``); FiftyOne itself is not needed.

    <root>/metadata.json     with "info": azimuth_cubes, zenith_cubes, azimuth_spheres, zenith_spheres
    <root>/samples.json      {"samples": [{"filepath", "group": {"_id", "name"}, "label": {"label"}, "tags"}, ...]}
                             (the label of the image; "ground_truth" or another classification is read too)
    <root>/data/0000.png     slice "rgb": PNG, 8 bits, or any other image
    <root>/data/0000.npy     slice "lidar": floats (R, C), ranges in meters, 50.0 where the ray met nothing
    <root>/data/0000-2.png   FiftyOne's name for a second file 0000.png, here the sphere of scene 0

Media may be in folders of chunks (data/data_0/). A snapshot of the Hugging Face hub has the same files as links to
a folder of blobs. The repository's folder in the hub's cache can be given too if it has one snapshot.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from data_utils.dataset import part_of
from data_utils.errors import DataError
from data_utils.layouts.declared import FILE_NAME, chosen_classes, declared_in
from data_utils.layouts.listing import Angles, Listing
from data_utils.layouts.media import check_angles
from data_utils.layouts.paths import Inside, file_named, is_data
from data_utils.layouts.ranges import RangePair, common_angles, list_range_pairs, scene_of, without_partner
from data_utils.simulator.shapes import Progress, Simulation, no_progress
from fusiongauge import quoted, some

SLICES = ("rgb", "lidar")
"""The two slices of a group that make a pair."""


class _Sample(NamedTuple):
    """The parts of an entry of samples.json that are used; what a file is called is checked when it is needed."""

    inside: Inside
    name: str
    label: str
    tags: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file.

        Raises:
            DataError: It is outside of the folder.
        """
        return self.inside.path(self.name)


def is_fiftyone_export(path: Path) -> bool:
    """Whether the path is an export, or a hub repository with a snapshot of one."""
    return path.is_dir() and bool(_roots(path))


def list_fiftyone_export(path: Path, angles_of: str = "") -> Listing:
    """The pairs of an export.

    Images whose names begin with the same number form a group, since they may show the same scene. Tags such as
    "train" and "validation" assign pairs to parts, unless they put pairs of one scene in different parts, which a
    note reports.

    Args:
        path: The folder of samples.json, or of a hub repository with one snapshot.
        angles_of: The class whose angles are used for all classes; "" if they are equal.

    Returns:
        As ``nvidia_tree.list_nvidia_tree``; the classes are the labels.

    Raises:
        DataError: The JSON is not such an export, a file is outside of the folder or cannot be used, or the angles
            differ between the classes.
    """
    roots = _roots(path)
    if len(roots) != 1:
        raise DataError(
            f"{path} has {len(roots)} snapshots; give the folder of one: {', '.join(map(str, roots))}."
        )
    root = roots[0]
    if root != path and (inner := file_named(root, FILE_NAME)):
        raise DataError(f"{inner} is only read if the path is the folder that it is in; give {root}.")
    declared = declared_in(path)
    groups, others = _groups(root)
    complete = [(slices["rgb"], slices["lidar"]) for slices in groups if len(slices) == len(SLICES)]
    if unlabeled := next((image for image, _ in complete if not image.label), None):
        raise DataError(f"{unlabeled.path} has no label in {root / 'samples.json'}; give every image one.")
    labels = {image.label for image, _ in complete}
    classes = chosen_classes(declared.classes, sorted(labels), path / FILE_NAME)
    left_out = labels.difference(classes)
    complete = [(image, scan) for image, scan in complete if image.label not in left_out]
    samples = [sample for slices in groups if len(slices) < len(SLICES) for sample in slices.values()]
    alone = [str(sample.path.relative_to(root)) for sample in samples if sample.label not in left_out]
    for image, scan in complete:
        if scan.label not in ("", image.label):
            raise DataError(
                f"{image.path} has the label {quoted(image.label)}, but its range image has {quoted(scan.label)}; "
                "give both files of a pair the same label."
            )
    if len(classes) < 2:
        raise DataError(
            f"{root} has pairs of the classes {quoted(classes)}; a classifier needs at least two; a pair is a "
            "group with the slices rgb and lidar."
        )
    problems: list[str] = []
    angles = common_angles(str(root / "metadata.json"), _angles(root, classes), angles_of, problems)
    parts, tag_notes = _assigned(root / "samples.json", [image for image, _ in complete])
    pairs = [
        RangePair(classes.index(image.label), image.path, scan.path, part)
        for (image, scan), part in zip(complete, parts, strict=True)
    ]
    unread = [f"The slices {some(others)} are not read; pairs have the slices rgb and lidar."] if others else []
    notes = (*without_partner(alone), *unread, *tag_notes)
    return list_range_pairs(_name(root), tuple(classes), pairs, angles, notes, problems)


def write_fiftyone_export(root: Path, simulation: Simulation, progress: Progress = no_progress) -> None:
    """Write a simulation as an export that FiftyOne can read; labels are in the singular, as in the original's."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    samples = []
    files_of: Counter[str] = Counter()
    for pair in range(len(simulation.labels)):
        stem = f"{simulation.index[pair]:04d}"
        files_of[stem] += 1
        file = stem if files_of[stem] == 1 else f"{stem}-{files_of[stem]}"
        Image.fromarray(simulation.rgb[pair]).save(root / "data" / f"{file}.png")
        np.save(root / "data" / f"{file}.npy", simulation.range_m[pair])
        label = simulation.classes[simulation.labels[pair]].removesuffix("s")
        files = (("rgb", "png", "image"), ("lidar", "npy", "unknown"))
        for number, (slice_name, suffix, media) in enumerate(files):
            id_ = {"$oid": f"{2 * pair + number:024x}"}
            samples.append(
                {
                    "_id": id_,
                    "filepath": f"data/{file}.{suffix}",
                    "tags": [],
                    "_media_type": media,
                    "group": {"_id": {"$oid": f"{pair:024x}"}, "_cls": "Group", "name": slice_name},
                    "label": {"_id": id_, "_cls": "Classification", "tags": [], "label": label},
                }
            )
        progress(pair + 1, len(simulation.labels))
    info = {
        f"{what}_{name}": values.tolist()
        for name in simulation.classes
        for what, values in (("azimuth", simulation.azimuth_rad), ("zenith", simulation.zenith_rad))
    }
    metadata = {
        "name": root.resolve().name,
        "version": "1.0.0",
        "media_type": "group",
        "group_field": "group",
        "group_media_types": {"rgb": "image", "lidar": "unknown"},
        "default_group_slice": "rgb",
        "info": info,
        "sample_fields": _FIELDS,
    }
    for file, content in (("metadata.json", metadata), ("samples.json", {"samples": samples})):
        (root / file).write_text(json.dumps(content), encoding="utf-8")


def _roots(path: Path) -> list[Path]:
    """The folders of exports: the path itself, or the snapshots of a hub repository."""
    if (path / "samples.json").is_file() and (path / "metadata.json").is_file():
        return [path]
    return sorted(file.parent for file in path.glob("snapshots/*/samples.json"))


def _name(root: Path) -> str:
    """The export's own name, otherwise that of its folder."""
    name = _json(root / "metadata.json").get("name")
    return name if isinstance(name, str) and name else root.resolve().name


def _json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); export the data set again.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not JSON ({error}); export the data set again.") from None
    if not isinstance(content, dict):
        raise DataError(f"{file} is not a JSON object; export the data set again.")
    return content


def _groups(root: Path) -> tuple[list[dict[str, _Sample]], list[str]]:
    """The groups in the order of the file, each with its samples by slice, and the names of other slices."""
    file = root / "samples.json"
    entries = _json(file).get("samples")
    if not isinstance(entries, list):
        raise DataError(f"{file} has no list of samples; export the data set as fo.types.FiftyOneDataset.")
    groups: dict[str, dict[str, _Sample]] = {}
    others: dict[str, None] = {}
    inside = Inside(root, str(file))
    for number, entry in enumerate(entries):
        try:
            group, name = str(entry["group"]["_id"]["$oid"]), entry["group"]["name"]
            path, is_hidden = entry["filepath"], not is_data(PurePosixPath(entry["filepath"]).name)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{file} has a sample (number {number}) without a group or filepath ({error}); export the data "
                "set as a grouped one."
            ) from None
        if name not in SLICES:
            others[str(name)] = None
        elif not is_hidden:
            if name in groups.setdefault(group, {}):
                raise DataError(f"{file} has two samples in slice {name!r} of group {group}; keep one of them.")
            groups[group][name] = _Sample(inside, path, _label(entry), _tags(entry))
    return list(groups.values()), list(others)


def _label(entry: Mapping[str, Any]) -> str:
    """The class in the field "label", "ground_truth" or the only classification; "" if there is none."""
    usual = [entry.get(name) for name in ("label", "ground_truth")]
    others = [
        value for value in entry.values() if isinstance(value, dict) and value.get("_cls") == "Classification"
    ]
    return next(filter(None, map(_class_of, [*usual, *(others if len(others) == 1 else [])])), "")


def _class_of(field: object) -> str:
    """The class that a field holds, as it is or as a classification; "" if there is none."""
    value = field.get("label") if isinstance(field, dict) else field
    return str(value) if isinstance(value, str | int | float) else ""


def _tags(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags of a sample that are text."""
    tags = entry.get("tags")
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _angles(root: Path, classes: Sequence[str]) -> dict[str, Angles]:
    """The angles of every class, from the info of the data set."""
    file = root / "metadata.json"
    info = _json(file).get("info")
    info = info if isinstance(info, dict) else {}
    angles = {}
    for label in classes:
        of_class = []
        for what in ("azimuth", "zenith"):
            key = next((k for k in (f"{what}_{label}s", f"{what}_{label}", what) if k in info), None)
            if key is None:
                raise DataError(f"{file} has no '{what}_{label}s' in its info; store the sensor's angles there.")
            try:
                values = torch.tensor(info[key], dtype=torch.float64).flatten()
            except (TypeError, ValueError, RuntimeError, OverflowError):
                raise DataError(
                    f"{file} has no list of numbers in '{key}'; store angles in radians there."
                ) from None
            of_class.append(check_angles(f"{key!r} of {file}", values))
        angles[label] = Angles(*of_class)
    return angles


def _assigned(file: Path, images: Sequence[_Sample]) -> tuple[list[str], list[str]]:
    """The part that the tags of each image name, "" for all if tags cannot be used; and notes."""
    parts = []
    for image in images:
        named = sorted({part for tag in image.tags if (part := part_of(tag))})
        if len(named) > 1:
            raise DataError(f"{file} tags {image.path.name} as {' and '.join(named)}; leave one of these tags.")
        parts.append(named[0] if named else "")
    if not any(parts):
        return parts, []
    notes = []
    if untagged := parts.count(""):
        parts = [part or "train" for part in parts]
        notes.append(f"{untagged} pairs without a tag such as train, validation or test are used for training.")
    scenes: dict[tuple[float, str], set[str]] = {}
    for image, part in zip(images, parts, strict=True):
        scenes.setdefault(scene_of(image.path.stem), set()).add(part)
    apart = sum(len(of_scene) > 1 for of_scene in scenes.values())
    if not apart:
        return parts, notes
    tagged = ", ".join(f"{count} {part}" for part, count in Counter(parts).items())
    notes.append(
        f"{apart} of {len(scenes)} scenes have pairs with different tags ({tagged} pairs), so a split by tags "
        "would leak; the tags are not used, and the parts are drawn by whole scenes."
    )
    return [""] * len(parts), notes


def _field(name: str, kind: str, **more: object) -> dict[str, object]:
    return {"name": name, "ftype": f"fiftyone.core.fields.{kind}", "db_field": name, **more}


_EMBEDDED = "EmbeddedDocumentField"
_FIELDS = [
    {**_field("id", "ObjectIdField"), "db_field": "_id"},
    _field("filepath", "StringField"),
    _field("tags", "ListField", subfield="fiftyone.core.fields.StringField"),
    _field("metadata", _EMBEDDED, embedded_doc_type="fiftyone.core.metadata.Metadata"),
    _field("group", _EMBEDDED, embedded_doc_type="fiftyone.core.groups.Group"),
    _field("label", _EMBEDDED, embedded_doc_type="fiftyone.core.labels.Classification"),
]

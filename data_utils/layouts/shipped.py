"""The layouts that ship with FusionGauge. Their modules, which load torch, are imported when a path is read."""

from data_utils.registry import Layout, register_layout


@register_layout("manifest")
def manifest() -> Layout:
    """Any pairs that a CSV lists. The folder of a manifest may have class folders too, so it is tried first."""
    from data_utils.layouts.manifest import (
        DEPTH_COLUMNS,
        RANGE_COLUMNS,
        is_manifest,
        read_manifest,
        write_manifest,
    )

    description = (
        f"a CSV (or a folder with a manifest.csv) with the columns {','.join(DEPTH_COLUMNS)} or "
        f"{','.join(RANGE_COLUMNS)}"
    )
    return Layout(description, is_manifest, read_manifest, write_manifest)


@register_layout("fiftyone")
def fiftyone() -> Layout:
    """A grouped data set that FiftyOne exported."""
    from data_utils.layouts.fiftyone_export import (
        is_fiftyone_export,
        read_fiftyone_export,
        write_fiftyone_export,
    )

    description = "a FiftyOne export or hub snapshot, a folder with metadata.json and samples.json"
    return Layout(description, is_fiftyone_export, read_fiftyone_export, write_fiftyone_export)


@register_layout("nvidia-tree")
def nvidia_tree() -> Layout:
    """The folders of NVIDIA's cubes-and-spheres data."""
    from data_utils.layouts.nvidia_tree import is_nvidia_tree, read_nvidia_tree, write_nvidia_tree

    description = (
        "a folder with <class>/rgb/*.png, <class>/lidar/*.npy, <class>/azimuth.npy and <class>/zenith.npy"
    )
    return Layout(description, is_nvidia_tree, read_nvidia_tree, write_nvidia_tree)

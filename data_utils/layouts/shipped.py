"""The layouts that ship with FusionGauge. Their modules, which load torch, are imported when a path is read."""

from data_utils.registry import Layout, register_layout


@register_layout("manifest")
def _manifest() -> Layout:
    """Pairs that a CSV lists. It is tried first: the folder of a manifest may also have class folders."""
    from data_utils.layouts import manifest as m

    columns = f"{','.join(m.DEPTH_COLUMNS)} or {','.join(m.RANGE_COLUMNS)}"
    description = f"a CSV (or a folder with a {m.FILE_NAME}) with the columns {columns}"
    return Layout(description, m.is_manifest, m.read_manifest, m.write_manifest)


@register_layout("fiftyone")
def _fiftyone() -> Layout:
    """A grouped data set that FiftyOne exported."""
    from data_utils.layouts import fiftyone_export as f

    description = "a FiftyOne export or hub snapshot, a folder with metadata.json and samples.json"
    return Layout(description, f.is_fiftyone_export, f.read_fiftyone_export, f.write_fiftyone_export)


@register_layout("nvidia-tree")
def _nvidia_tree() -> Layout:
    """The folders of NVIDIA's cubes-and-spheres data."""
    from data_utils.layouts import nvidia_tree as n

    description = (
        "a folder with <class>/rgb/*.png, <class>/lidar/*.npy, <class>/azimuth.npy and <class>/zenith.npy"
    )
    return Layout(description, n.is_nvidia_tree, n.read_nvidia_tree, n.write_nvidia_tree)

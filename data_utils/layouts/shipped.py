"""The layouts that ship with FusionGauge. Their modules, which load torch, are imported when a path is read."""

from data_utils.registry import Layout, register_layout


@register_layout("manifest")
def _manifest() -> Layout:
    """Pairs that a CSV lists. It is tried first: the folder of a manifest may also have class folders."""
    from data_utils.layouts import manifest as m

    columns = f"{','.join(m.DEPTH_COLUMNS)} or {','.join(m.RANGE_COLUMNS)}"
    description = f"a CSV or parquet table (or a folder with a {m.FILE_NAME}) with the columns {columns}"
    return Layout(
        description,
        m.is_manifest,
        write=m.write_manifest,
        listing=m.list_manifest,
        modalities=m.manifest_modalities,
        declarable=True,
    )


@register_layout("fiftyone")
def _fiftyone() -> Layout:
    """A grouped data set that FiftyOne exported."""
    from data_utils.layouts import fiftyone_export as f

    description = "a FiftyOne export or hub snapshot, a folder with metadata.json and samples.json"
    return Layout(description, f.is_fiftyone_export, write=f.write_fiftyone_export, listing=f.list_fiftyone_export)


@register_layout("nyu-depth-v2")
def _nyu_depth_v2() -> Layout:
    """The labeled part of NYU Depth v2."""
    from data_utils.layouts import nyu_depth_v2 as n

    return Layout(
        f"{n.FILE_NAME} or its folder",
        n.is_nyu_depth_v2,
        listing=n.list_nyu_depth_v2,
        container=n.files_of,
        modalities=lambda _: n.MODALITIES,
    )


@register_layout("sun-rgbd")
def _sun_rgbd() -> Layout:
    """SUN RGB-D."""
    from data_utils.layouts import sun_rgbd as s

    description = "the folder SUNRGBD with kv1, kv2, realsense and xtion"
    return Layout(description, s.is_sun_rgbd, listing=s.list_sun_rgbd)


@register_layout("washington-rgbd")
def _washington_rgbd() -> Layout:
    """The Washington RGB-D Object data set."""
    from data_utils.layouts import washington_rgbd as w

    description = "a folder with <category>/<instance>/*_crop.png, *_depthcrop.png and *_loc.txt"
    return Layout(description, w.is_washington_rgbd, listing=w.list_washington_rgbd)


@register_layout("nvidia-tree")
def _nvidia_tree() -> Layout:
    """The folders of NVIDIA's cubes-and-spheres data."""
    from data_utils.layouts import nvidia_tree as n

    description = (
        "a folder with <class>/rgb/*.png, <class>/lidar/*.npy, <class>/azimuth.npy and <class>/zenith.npy"
    )
    return Layout(description, n.is_nvidia_tree, write=n.write_nvidia_tree, listing=n.list_nvidia_tree)


@register_layout("class-folders")
def _class_folders() -> Layout:
    """Paired folders of classes and modalities. It is tried last, as it takes any names."""
    from data_utils.layouts import class_folders as c

    description = "a folder with <class>/<modality>/<id>.* or <modality>/<class>/<id>.*, paired by <id>"
    return Layout(description, c.is_class_folders, listing=c.list_class_folders, declarable=True)

"""Injects faults into real runs, at every stage of them, and checks what is promised in docs/reliability.md.

    python -m tools.faults            # all faults; takes long
    python -m tools.faults disk -v    # those with "disk" in their name, with their output

For every fault: no traceback, an exit status that is documented, a sentence that names the cause, and every cell
that had ended on the disk, readable. Faults of the disk mount a small file system in a namespace of their own, for
which they need Linux and root; elsewhere they are skipped and counted. Exit status: 1 if a promise was broken.
"""

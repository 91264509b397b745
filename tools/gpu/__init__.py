"""The Python programs of ``tools/gpu_check.sh``, which tries everything that depends on a GPU."""

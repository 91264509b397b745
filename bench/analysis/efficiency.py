"""How close to the limit a training ran: pure functions of a record."""

from statistics import median

from bench.records.run import RunRecord


def achieved_flops(record: RunRecord) -> float | None:
    """Floating-point operations a second of the training, in the epoch of median length; None where unknown.

    Of the last stage of training, as ``flops_per_step`` and ``epoch_seconds`` are: experts are trained before it.
    A step's operations are proportional to its pairs, so a smaller last batch counts with the pairs it has.
    """
    if record.flops_per_step is None or record.train_pairs is None or not record.epoch_seconds:
        return None
    batch_size, used = record.protocol["batch_size"], record.train_pairs
    if record.protocol["drop_last"]:
        used -= used % batch_size
    return float(record.flops_per_step * used / batch_size / median(record.epoch_seconds))


def efficiency(record: RunRecord) -> float | None:
    """Achieved operations a second as a share of the device's own ceiling; None where either is unknown.

    Low for a model that waits for memory or for many small calls; never far above 1, as no convolution of these
    models multiplies faster than one large matrix product does.
    """
    achieved = achieved_flops(record)
    if achieved is None or record.ceiling is None:
        return None
    return achieved / record.ceiling["flops_per_second"]

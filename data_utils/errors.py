"""The error of this package. Loads no torch."""

from fusiongauge import FusionGaugeError


class DataError(FusionGaugeError, ValueError):
    """Data that cannot be used. The message is a sentence or two that name the place and the remedy."""

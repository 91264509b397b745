"""What is compared: embedders, fusion operators, the one network they make, and the rows of the tables."""

from fusion_models.embedders import EMBEDDERS
from fusion_models.network import FusionNet
from fusion_models.operators import OPERATORS, Operator
from fusion_models.zoo import BLUEPRINTS, MODELS, ModelSpec, build_model, find_model

__all__ = [
    "BLUEPRINTS",
    "EMBEDDERS",
    "MODELS",
    "OPERATORS",
    "FusionNet",
    "ModelSpec",
    "Operator",
    "build_model",
    "find_model",
]

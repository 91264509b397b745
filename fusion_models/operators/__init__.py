"""How modalities meet: an operator turns one feature tensor per modality into one.

An operator is built from the shapes of its inputs and declares the shape of its output in ``out_shape``, so no
other code has to know that concatenation widens. To add one, write the class and register it. The models that ship
are listed in ``zoo.py``: the published ones with their operators, and the family "field" with all operators.

Shapes are without the batch: maps (C, H, W) or vectors (D,). Features come in the model's order of modalities.
"""

from fusion_models.operators.attention import AttentionBottleneck, CrossAttention
from fusion_models.operators.base import Operator, Shape
from fusion_models.operators.elementary import Add, Concat, Hadamard, Matmul, Mean, PassThrough, ProductOfExperts
from fusion_models.operators.gates import MMTM, FiLM, GatedUnit, SqueezeExciteAdd
from fusion_models.operators.products import LowRank, TensorFusion
from fusion_models.operators.selection import ChannelExchange, EmbraceNet

__all__ = [
    "MMTM",
    "Add",
    "AttentionBottleneck",
    "ChannelExchange",
    "Concat",
    "CrossAttention",
    "EmbraceNet",
    "FiLM",
    "GatedUnit",
    "Hadamard",
    "LowRank",
    "Matmul",
    "Mean",
    "Operator",
    "PassThrough",
    "ProductOfExperts",
    "Shape",
    "SqueezeExciteAdd",
    "TensorFusion",
]

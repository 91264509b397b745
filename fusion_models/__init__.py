"""What is compared: embedders, fusion operators, the network they make, and the models by name.

Names are loaded on first use (``__init__.pyi`` lists them), as reading the names of models needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

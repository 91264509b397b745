"""What the models are compared on: paired modalities, simulated, read from files or made by plug-ins.

Names are loaded on first use (``__init__.pyi`` lists them), as reading the names of data sets needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

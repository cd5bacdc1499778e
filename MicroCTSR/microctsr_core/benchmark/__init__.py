"""How fast this computer super-resolves, beside the paper's pipeline run in the same minutes."""

from .measuring import measure
from .plain import PlainResNet, plain_slice
from .table import lines_of, table_of

__all__ = ["PlainResNet", "lines_of", "measure", "plain_slice", "table_of"]

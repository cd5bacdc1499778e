"""The picture of a result: input, super-resolved slice, uncertainty and consistency."""

from .drawing import draw_preview, write_preview

__all__ = ["draw_preview", "write_preview"]

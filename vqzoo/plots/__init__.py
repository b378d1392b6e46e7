"""Plots of images, spectrograms, text, training curves and tokens."""

from vqzoo.plots.audio import save_sounds
from vqzoo.plots.audio import save_spectrograms
from vqzoo.plots.charts import save_loss_curves
from vqzoo.plots.charts import save_usage_histogram
from vqzoo.plots.charts import token_colours
from vqzoo.plots.charts import token_map
from vqzoo.plots.image import picture_rows
from vqzoo.plots.image import reconstruction_grid
from vqzoo.plots.image import save_picture_rows
from vqzoo.plots.image import save_reconstructions
from vqzoo.plots.text import save_sentences
from vqzoo.plots.text import save_texts

__all__ = [
    "picture_rows",
    "reconstruction_grid",
    "save_loss_curves",
    "save_picture_rows",
    "save_reconstructions",
    "save_sentences",
    "save_sounds",
    "save_spectrograms",
    "save_texts",
    "save_usage_histogram",
    "token_colours",
    "token_map",
]

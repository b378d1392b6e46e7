"""The command line: settings of recipes, and what every recipe does around its own page."""

from vqzoo.cli.audio_run import AudioRun
from vqzoo.cli.config import parse_config
from vqzoo.cli.image_run import ImageRun
from vqzoo.cli.image_run import held_out_pictures
from vqzoo.cli.prior_run import PriorRun
from vqzoo.cli.recipe import run_recipe
from vqzoo.cli.recipe import save_report
from vqzoo.cli.settings import RunSettings
from vqzoo.cli.settings import TokenizerSettings
from vqzoo.cli.text_run import TextRun

__all__ = [
    "AudioRun",
    "ImageRun",
    "PriorRun",
    "RunSettings",
    "TextRun",
    "TokenizerSettings",
    "held_out_pictures",
    "parse_config",
    "run_recipe",
    "save_report",
]

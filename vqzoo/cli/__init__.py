"""The command line: settings of recipes, and what every recipe does around its own page."""

from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
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

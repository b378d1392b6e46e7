"""What every recipe does around its own page: settings and their flags, the run and its folder, errors of users."""

from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
    from vqzoo.runs.audio_run import AudioRun
    from vqzoo.runs.flags import parse_config
    from vqzoo.runs.image_run import ImageRun
    from vqzoo.runs.image_run import held_out_pictures
    from vqzoo.runs.prior_run import PriorRun
    from vqzoo.runs.recipe import run_recipe
    from vqzoo.runs.recipe import save_report
    from vqzoo.runs.settings import RunSettings
    from vqzoo.runs.settings import TokenizerSettings
    from vqzoo.runs.text_run import TextRun

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

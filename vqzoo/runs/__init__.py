"""What every recipe does around its own page: settings and their flags, the run and its folder, errors of users."""

from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
    from vqzoo.modalities.image import held_out_images
    from vqzoo.runs.flags import parse_config
    from vqzoo.runs.former import AudioRun
    from vqzoo.runs.former import ImageRun
    from vqzoo.runs.former import TextRun
    from vqzoo.runs.former import held_out_pictures
    from vqzoo.runs.prior_run import PriorRun
    from vqzoo.runs.priors.data import PriorData
    from vqzoo.runs.priors.dialogue import DialoguePriorData
    from vqzoo.runs.priors.image import ImagePriorData
    from vqzoo.runs.priors.signals import SignalPriorData
    from vqzoo.runs.priors.text import TextPriorData
    from vqzoo.runs.priors.text_settings import TextPriorSettings
    from vqzoo.runs.priors.text_settings import build_text_prior
    from vqzoo.runs.priors.text_settings import network_of
    from vqzoo.runs.recipe import run_recipe
    from vqzoo.runs.recipe import save_report
    from vqzoo.runs.settings import RunSettings
    from vqzoo.runs.settings import TokenizerSettings
    from vqzoo.runs.tokenizer_run import TokenizerRun

__all__ = [
    "AudioRun",
    "DialoguePriorData",
    "ImagePriorData",
    "ImageRun",
    "PriorData",
    "PriorRun",
    "RunSettings",
    "SignalPriorData",
    "TextPriorData",
    "TextPriorSettings",
    "TextRun",
    "TokenizerRun",
    "TokenizerSettings",
    "build_text_prior",
    "held_out_images",
    "held_out_pictures",
    "network_of",
    "parse_config",
    "run_recipe",
    "save_report",
]

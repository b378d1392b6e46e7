"""The former runs of one modality each, for recipes that people have copied."""

import warnings

from vqzoo.modalities.image import held_out_images
from vqzoo.runs.tokenizer_run import TokenizerRun


def _former(modality):
    """A class that takes the arguments of a former one, whose `build` takes the settings and the pieces of text."""
    name = f"{modality.capitalize()}Run"

    class Former(TokenizerRun):
        def __init__(self, config, recipe, networks=()):
            way = f'`vqzoo.runs.TokenizerRun(settings, "{modality}", name)`, whose `build` takes a `context`'
            warnings.warn(f"`{name}` is {way}.", DeprecationWarning, stacklevel=2)
            super().__init__(config, modality, recipe, networks)
            self.prepare()

        def fit(self, build):
            """As of `TokenizerRun`."""
            pieces = [self.split.context["pieces"]] if "pieces" in self.split.context else []
            return super().fit(lambda context: build(context.settings, *pieces))

    Former.__name__ = Former.__qualname__ = name
    Former.__doc__ = f"The former form of `TokenizerRun(settings, {modality!r}, name)`."
    return Former


ImageRun, AudioRun, TextRun = map(_former, ("image", "audio", "text"))


def held_out_pictures(*arguments):
    """The former name of `held_out_images`."""
    warnings.warn("`held_out_pictures` is `held_out_images`.", DeprecationWarning, stacklevel=2)
    return held_out_images(*arguments)

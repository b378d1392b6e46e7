"""The former runs of one modality each, for recipes that people have copied."""

import warnings

from vqzoo.modalities.image import held_out_images
from vqzoo.runs.tokenizer_run import TokenizerRun


class _Former(TokenizerRun):
    """Takes the arguments of a former run, whose `build` takes the settings and the pieces of text."""

    kind = None

    def __init__(self, config, name, networks=()):
        former, way = type(self).__name__, f'`vqzoo.runs.TokenizerRun(settings, "{self.kind}", name)`'
        warnings.warn(f"`{former}` is {way}, whose `build` takes a `context`.", DeprecationWarning, stacklevel=2)
        super().__init__(config, self.kind, name, networks)
        self.prepare()

    def fit(self, build):
        """As of `TokenizerRun`; `build` takes the settings, and of text the pieces."""
        pieces = [self.split.context["pieces"]] if "pieces" in self.split.context else []
        return super().fit(lambda context: build(context.settings, *pieces))


class ImageRun(_Former):
    """The former form of `TokenizerRun(settings, "image", name)`."""

    kind = "image"


class AudioRun(_Former):
    """The former form of `TokenizerRun(settings, "audio", name)`."""

    kind = "audio"


class TextRun(_Former):
    """The former form of `TokenizerRun(settings, "text", name)`."""

    kind = "text"


def held_out_pictures(*arguments):
    """The former name of `held_out_images`."""
    warnings.warn("`held_out_pictures` is `held_out_images`.", DeprecationWarning, stacklevel=2)
    return held_out_images(*arguments)

"""What a prior over images learns from: crops of a folder, or token shards, with classes, captions or styles."""

import functools
import hashlib
import pathlib

import numpy as np
import rich.console

from vqzoo.data import CaptionTable
from vqzoo.data import ImageSource
from vqzoo.data import Pieces
from vqzoo.data import TokenShards
from vqzoo.data.files import amount
from vqzoo.data.files import validating_by_hash
from vqzoo.generation import STYLE
from vqzoo.generation import Captions
from vqzoo.generation import Labels
from vqzoo.generation import SignalPart
from vqzoo.modalities import Split
from vqzoo.modalities import ignored_in
from vqzoo.modalities.image import split_images_of
from vqzoo.plots import save_picture_rows
from vqzoo.presets import check_tokens_of
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.presets import read_metadata
from vqzoo.runs.priors.data import PriorData
from vqzoo.runs.priors.image_tokens import image_rows_of
from vqzoo.runs.priors.image_tokens import nearest
from vqzoo.runs.priors.image_tokens import others_of
from vqzoo.runs.priors.image_tokens import shard_rows_of
from vqzoo.runs.priors.image_tokens import small_copies
from vqzoo.trainers import GeneratedPictures

_COLUMNS, _ROWS = 8, 12  # of the images that are shown; more classes than rows are left out
_EXAMPLES = 32  # captions of held-out images that the preset keeps
_JUDGED = 64  # images whose nearest neighbours are looked for


class ImagePriorData(PriorData):
    """Crops of images, or token shards, with what each is asked by: its class, a caption, or the style of another.

    Args:
        settings: dataclass with `tokenizer`, `data`, `validation_data`, `validation_share`, `tokens`, `classes`,
            `size`, `examples`, `validation_examples`, `min_scale`, `max_scale`, `max_side`, `flip` and `seed`; and for
            captions `captions` (a table's path; empty: none), `caption_column`, `caption_length` and `pieces`. With
            `styles` the tokens of another crop of the same image are the condition of each.
    """

    noun = "images"
    files_noun = "images"
    sample_files = ("samples.png", "neighbours.png")

    def __init__(self, settings):
        super().__init__(settings)
        self.styles = getattr(settings, "styles", False)
        self.captions = getattr(settings, "captions", "")
        if self.captions:
            self.counts = (*self.counts, "pieces", "caption_length")
        self.table = None

    # === Data ===
    def read(self, folder):
        """As of `PriorData`."""
        settings = self.settings
        if self.styles and (settings.tokens or self.captions):
            raise ValueError("--styles takes crops of images, and no conditions: leave out --tokens and --captions.")
        self.preset = find_preset(settings.tokenizer)
        if folder.resolve() == self.preset.resolve():
            raise ValueError(f"--out is the tokenizer's own folder, {str(folder)!r}. Give another one.")
        part = SignalPart.from_preset("image", self.preset)
        self.tokenizer, self._file = part.tokenizer, part.file
        if self.tokenizer.modality != "image":
            raise ValueError(
                f"The tokenizer {settings.tokenizer!r} is of {self.tokenizer.modality}. Give --tokenizer one of images."
            )
        self.table = CaptionTable(self.captions, settings.caption_column) if self.captions else None
        if not settings.tokens:
            self.size = self._size()
            train, held_out = split_images_of(settings, self.table and self.table.pictures)
            skipped = dict(self.table.skipped) if self.table else {}
            if self.table and not isinstance(train, ImageSource):
                skipped |= self.table.missing(settings.data, settings.validation_data)
            return Split(train, held_out, ignored_in(train, held_out), skipped)
        shards = TokenShards(settings.tokens)
        check_tokens_of(shards, self.preset, settings.tokens)
        captions = self.table and self.table.of
        self.train, self.held_out = shard_rows_of(shards, self.tokenizer, self._validating, captions)
        self.size = self.train.size
        if settings.size and self.size != (settings.size, settings.size):
            raise ValueError(
                f"The images of the shards {settings.tokens!r} have {self.size[0]}x{self.size[1]} pixels. Received: "
                f"--size {settings.size}. Leave it out."
            )
        skipped = dict(self.table.skipped) if self.table else {}
        return Split([shards[i].name for i in range(len(shards))], [], {}, skipped)

    def names(self, split):
        """As of `PriorData`, with the captions, the tokenizer, and the tokens where they are given."""
        captions = {} if self.table is None else self.table.captions
        names = [f"{name}: {text}" for name, text in captions.items()]
        names.append(f"tokenizer {describe_tokens(self.preset)['sha256']}")
        if self.settings.tokens:
            digests = [hashlib.sha256(rows.tokens).hexdigest() for rows in (self.train, self.held_out)]
            names += [f"tokens {digest}" for digest in digests]
        return [*split.train, *names]

    def validation_count(self, split):
        """As of `PriorData`."""
        wanted = self.settings.validation_examples
        return min(wanted, len(self.held_out.tokens)) if self.settings.tokens else wanted

    def open(self, split, start, quiet):
        """As of `PriorData`."""
        settings = self.settings
        if not settings.tokens:
            held_out = settings.validation_data or settings.data
            self.train = self._rows(split.train, settings.data, settings.examples, settings.flip, quiet)
            self.held_out = self._rows(split.validation, held_out, settings.validation_examples, False, quiet)
        self.target = SignalPart("image", self.tokenizer, self.size, file=self._file)
        self.conditions = self._conditions(start, quiet)
        for rows in (self.train, self.held_out):
            rows.values = {part.name: rows.asked for part in self.conditions}

    def condition_tokens(self, part, rows):
        """As of `PriorData`: of a style the tokens of another crop of the same image."""
        return rows.tokens[others_of(rows.names)] if part.name == STYLE else super().condition_tokens(part, rows)

    def _rows(self, files, root, examples, flip, quiet):
        settings = self.settings
        crop = {
            "size": self.size,
            "channels": self.tokenizer.encoder.input_shape[-1],
            "scale": (settings.min_scale, settings.max_scale),
            "max_side": settings.max_side,
            "seed": settings.seed,
            "flip": flip,
        }
        fewest = 2 if self.styles else 1  # crops of each image
        return image_rows_of(
            files,
            root if settings.classes else "",
            self.tokenizer,
            crop,
            max(examples, fewest * len(files)),
            quiet,
            self._captions_of(files, root),
        )

    def _validating(self, names):
        """The rows of shards that are held out: those of the images that `split_images_of` holds out."""
        names = [pathlib.PurePath(name).name for name in names]
        return validating_by_hash(names, self.settings.validation_share, seed=0)

    def _size(self):
        """Height and width of an image."""
        example = (read_metadata(self.preset).get("example") or {}).get("signal", ())[:2]
        fixed, size = self.tokenizer.encoder.input_shape[1:3], self.settings.size
        asked = (size, size) if size else tuple(example or fixed)
        if None in asked or any(want not in (None, have) for have, want in zip(asked, fixed, strict=True)):
            raise ValueError(
                f"The tokenizer {self.settings.tokenizer!r} takes images of {fixed} pixels, None for any. Received: "
                f"--size {size}, which is 0 for its own."
            )
        return asked

    def _captions_of(self, files, root):
        """The function from an image's name to its captions; None without a table."""
        if self.table is None:
            return None
        return self.table.of_record if isinstance(files, ImageSource) else functools.partial(self.table.of, root=root)

    def _conditions(self, start, quiet):
        """The parts that the prior can be asked by."""
        if self.styles:
            return (SignalPart(STYLE, self.tokenizer, self.size, file=self._file),)
        if self.table is None:
            names = sorted({name for name in self.train.asked if name}) if self.settings.classes else []
            return (Labels(names),) if names else ()
        texts = [Captions.plain(text) for text in self.train.asked]
        learnt = next((part for part in (start.parts.values() if start else ()) if isinstance(part, Captions)), None)
        if learnt:
            pieces, length = learnt.pieces, learnt.length
        else:
            settings = self.settings
            pieces, length = Pieces.train(sorted(set(texts)), settings.pieces, settings.seed, exact=False), None
        lengths = np.array([len(ids) for ids in pieces.encode(texts)])
        captions = Captions(pieces, length or min(lengths.max(), self.settings.caption_length))
        others = list(dict.fromkeys(self.held_out.asked))
        others = [others[i] for i in np.random.default_rng(self.settings.seed).permutation(len(others))]
        examples = [text for text in others if captions.count(text) <= captions.length][:_EXAMPLES]
        cut = int((lengths > captions.length).sum())
        line = f"{len(set(texts))} captions of {pieces.size} pieces, at most {captions.length} in one"
        line += f"; {cut} of {len(texts)} crops have a longer one, which is cut" if cut else ""
        rich.console.Console(quiet=quiet).print(line, highlight=False)
        return (Captions(pieces, captions.length, examples),)

    # === Results ===
    def describe(self, split):
        """As of `PriorData`."""
        known = [name for part in self.conditions if isinstance(part, Labels) for name in part.known]
        kinds = {STYLE: "in the style of others, ", "text": "by any text, ", "label": f"{len(known)} classes, "}
        what = "".join(kinds[part.name] for part in self.conditions)
        return {
            "modality": "image",
            "description": f"Generates images: {what}{self.size[0]}x{self.size[1]} pixels, from tokens of "
            f"{self.preset.name}, which is included.",
            "data": self._data(split),
            "example": {
                "signal": [*self.size, self.tokenizer.encoder.input_shape[-1]],
                "tokens": list(self.train.tokens.shape[1:]),
            },
        }

    def _data(self, split):
        rows, settings = f"{amount(len(self.train.tokens), 'rows')} of tokens", self.settings
        if settings.tokens:
            return f"{rows}: {settings.tokens}"
        source = settings.data or (self.table.path if self.table else "the colour photographs of scikit-image")
        return f"{rows}, {amount(len(split.train), 'images')}{' with captions' if self.table else ''}: {source}"

    def watcher(self, generator, folder):
        """As of `PriorData`."""
        return GeneratedPictures(folder / "pictures", lambda: self.drawn(generator))

    def save_samples(self, generator, folder):
        """What the prior makes, and beside some of it the nearest training image."""
        save_picture_rows(folder / "samples.png", *self.drawn(generator))
        pairs = np.stack([self._made, self._near], axis=1).reshape(-1, *self._made.shape[1:])
        save_picture_rows(folder / "neighbours.png", pairs[: 2 * 32], 8, ["made, nearest"])

    def drawn(self, generator):
        """Some images of the same seed: a row for each class or caption, or behind each style.

        Args:
            generator: `vqzoo.generation.Generator`.

        Returns:
            Images, columns and names, as `vqzoo.plots.picture_rows` takes them.
        """
        seed = self.settings.seed
        if self.styles:
            rows = np.linspace(0, len(self.held_out.tokens) - 1, _ROWS // 2).astype(int)
            styles = self.held_out.tokens[rows]
            prefix = np.repeat(generator.prior.space.prefix(**{STYLE: styles}), _COLUMNS - 1, axis=0)
            made = np.asarray(generator.prior.generate(prefix=prefix, seed=seed, **generator.sampling))
            rows = np.concatenate([styles[:, None], made.reshape(len(styles), _COLUMNS - 1, *made.shape[1:])], axis=1)
            return generator.decode(rows.reshape(-1, *made.shape[1:])), _COLUMNS, ["style, made"]
        names = [] if not self.conditions else self.conditions[0].known[:_ROWS]
        rows = len(names) or 4
        condition = [name for name in names for _ in range(_COLUMNS)] or None
        return generator.generate(rows * _COLUMNS, condition, seed=seed), _COLUMNS, names

    def judge(self, generator):
        """How near the nearest training images are, to what was made and to held-out images."""
        some = np.random.default_rng(0).permutation(len(self.held_out.tokens))[:_JUDGED]
        made = self._generated(generator)
        self._made, real = generator.decode(made), generator.decode(self.held_out.tokens[some])
        rows, distances = nearest(self.train.small, small_copies(self._made))
        self._near = generator.decode(self.train.tokens[rows])
        _, usual = nearest(self.train.small, small_copies(real))
        return {"nearest_in_training": float(np.mean(distances)), "nearest_of_held_out": float(np.mean(usual))}

    def _generated(self, generator):
        """Tokens to be judged; of a prior of styles without one."""
        if not self.styles:
            return generator.tokens(_JUDGED, seed=self.settings.seed + 1)
        options = {name: value for name, value in generator.sampling.items() if name != "guidance"}
        return np.asarray(generator.prior.generate(_JUDGED, seed=self.settings.seed + 1, **options))

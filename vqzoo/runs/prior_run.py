"""What every recipe that fits a prior to the tokens of pictures does around its own page."""

import functools
import hashlib
import pathlib
import shutil

import keras
import numpy as np
import rich.console

from vqzoo.data import CaptionTable
from vqzoo.data import ImageSource
from vqzoo.data import Pieces
from vqzoo.data import TokenBatches
from vqzoo.data import TokenShards
from vqzoo.data.files import validating_by_hash
from vqzoo.export import export_prior_preset
from vqzoo.files import atomic_path
from vqzoo.generation import STYLE
from vqzoo.generation import Captions
from vqzoo.generation import Generator
from vqzoo.generation import Labels
from vqzoo.metrics import TokenEntropy
from vqzoo.ops import compiled
from vqzoo.plots import save_loss_curves
from vqzoo.plots import save_picture_rows
from vqzoo.presets import check_tokens_of
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.presets import read_metadata
from vqzoo.presets import seal_preset
from vqzoo.presets import update_metadata
from vqzoo.priors import TokenSpace
from vqzoo.priors.settings import checked_settings
from vqzoo.runs.image_run import split_pictures
from vqzoo.runs.image_tokens import nearest
from vqzoo.runs.image_tokens import others_of
from vqzoo.runs.image_tokens import picture_rows_of
from vqzoo.runs.image_tokens import shard_rows_of
from vqzoo.runs.image_tokens import small_copies
from vqzoo.runs.run import Run
from vqzoo.tokenizers import ImageTokenizer
from vqzoo.tokenizers.text.tokenizer import PIECES_FILE
from vqzoo.trainers import GeneratedPictures
from vqzoo.trainers import read_log

TARGET = "image"
_COLUMNS, _ROWS = 8, 12  # of the pictures that are shown; more classes than rows are left out
_EXAMPLES = 32  # captions of held-out pictures that the preset keeps
_JUDGED = 64  # pictures whose nearest neighbours are looked for


class PriorRun(Run):
    """One run of a recipe that fits a prior. The tokens are made once, by a tokenizer that stays as it is.

    Args:
        config: the recipe's settings, a dataclass with those of `Run` but `init` and `channels`, and `tokenizer`,
            `tokens`, `classes`, `size`, `examples`, `validation_examples`, `validation_share`, `min_scale`,
            `max_scale`, `max_side` and `flip`. Those of a prior that is asked for by texts are `captions` (a
            table's path; empty: none), `caption_column`, `caption_length` and `pieces`. With `styles` the tokens of
            another crop of the same picture stand before those of each.
        name: str, the recipe's, for the card.
        sampling: dict, settings of the prior's `generate` that go into the preset. Defaults to none.
        start: `Generator` of the preset that the run goes on from: its pieces of captions are taken, and its tokenizer,
            labels and grid have to be the run's. Defaults to none.

    Raises:
        ValueError: as `Run`; or the tokenizer is unknown, none of pictures, of another size or in the output folder,
            or not the one of the shards, or these are of pictures of several sizes; or as `vqzoo.data.CaptionTable`.
    """

    unit = "images"
    files_are = "pictures"
    counts = (*Run.counts, "examples", "validation_examples")
    default_data = "the colour photographs of scikit-image"
    model_file = "prior.keras"

    def __init__(self, config, name, sampling=None, start=None):
        self.start = start
        self.sampling = {key: value for key, value in (sampling or {}).items() if value is not None}
        self.table = None
        self.styles = getattr(config, "styles", False)
        if self.styles and (config.tokens or getattr(config, "captions", "")):
            raise ValueError("--styles takes crops of pictures, and no conditions: leave out --tokens and --captions.")
        if getattr(config, "captions", ""):
            self.counts = (*self.counts, "pieces", "caption_length")
            self.table = CaptionTable(config.captions, config.caption_column)
        super().__init__(config, name)

    # === Data ===
    def split(self):
        config = self.config
        self.preset = find_preset(config.tokenizer)
        if self.folder.resolve() == self.preset.resolve():
            raise ValueError(f"--out is the tokenizer's own folder, {str(self.folder)!r}. Give another one.")
        self.tokenizer = ImageTokenizer.from_preset(self.preset)
        if not config.tokens:
            self.size = self._size()
            return split_pictures(config, self.table and self.table.pictures)
        shards = TokenShards(config.tokens)
        check_tokens_of(shards, self.preset, config.tokens)
        captions = self.table and self.table.of
        self.rows, self.held_out = shard_rows_of(shards, self.tokenizer, self._validating, captions)
        self.size = self.rows.size
        if config.size and self.size != (config.size, config.size):
            raise ValueError(
                f"The pictures of the shards {config.tokens!r} have {self.size[0]}x{self.size[1]} pixels. Received: "
                f"--size {config.size}. Leave it out."
            )
        return [shards[i].name for i in range(len(shards))], []

    @property
    def data_names(self):
        """As of `Run`, with the captions, the tokenizer, and the tokens where they are given."""
        captions = {} if self.table is None else self.table.captions
        told = [f"{name}: {text}" for name, text in captions.items()]
        told.append(f"tokenizer {describe_tokens(self.preset)['sha256']}")
        if self.config.tokens:
            told += [f"tokens {hashlib.sha256(rows.tokens).hexdigest()}" for rows in (self.rows, self.held_out)]
        return [*self.files, *told]

    def validation_count(self):
        wanted = self.config.validation_examples
        return min(wanted, len(self.held_out.tokens)) if self.config.tokens else wanted

    def open(self, files, validation_files, validation_batch):
        config = self.config
        if not config.tokens:
            channels = self.tokenizer.encoder.input_shape[-1]
            crop = {"size": self.size, "channels": channels, "scale": (config.min_scale, config.max_scale)}
            crop |= {"max_side": config.max_side, "seed": config.seed}
            made = functools.partial(picture_rows_of, tokenizer=self.tokenizer, quiet=not self.chief)
            held_out = config.validation_data or config.data
            fewest = 2 if self.styles else 1  # crops of each picture
            self.rows = made(
                files,
                config.data if config.classes else "",
                crop={**crop, "flip": config.flip},
                examples=max(config.examples, fewest * len(files)),
                captions=self._captions_of(files, config.data),
            )
            self.held_out = made(
                validation_files,
                held_out if config.classes else "",
                crop={**crop, "flip": False},
                examples=max(config.validation_examples, fewest * len(validation_files)),
                captions=self._captions_of(validation_files, held_out),
            )
        self.conditions = self._conditions()
        told = describe_tokens(self.preset)
        parts, owners = {TARGET: told["codebook_sizes"]}, {TARGET: told["sha256"]}
        if self.styles:
            parts, owners = ({STYLE: own[TARGET], **own} for own in (parts, owners))
        if self.conditions is not None:
            parts = {self.conditions.part: self.conditions.size, **parts}
        if isinstance(self.conditions, Captions):
            owners[self.conditions.part] = self.conditions.sha256
        self.space = TokenSpace(parts, owners)
        self.grid = self.rows.tokens.shape[1:-1]
        self._check_start()
        batches = TokenBatches(self.rows.tokens, config.batch_size, self._prefix(self.rows), seed=config.seed)
        return batches, TokenBatches(self.held_out.tokens, validation_batch, self._prefix(self.held_out))

    def shown(self, batch):
        """What is judged by its neighbours: tokens of held-out pictures."""
        some = np.random.default_rng(0).permutation(len(self.held_out.tokens))[:_JUDGED]
        return self.held_out.tokens[some]

    # === Steps ===
    def fit(self, build):
        """As `Run.fit`; `build` takes the settings, the `TokenSpace` and the grid."""

        def built(config):
            trainer = build(config, self.space, self.grid)
            checked_settings(trainer.fitted, self.sampling)  # raises now, not after the first epoch
            return trainer

        return super().fit(built)

    def watcher(self, fitted):
        generator = self._generator(fitted)
        return GeneratedPictures(self.folder / "run" / "pictures", lambda: self._drawn(generator))

    def finish(self, trainer, marks=None):
        """Evaluates, writes the preset folder with its tokenizer, its samples and its export, and tells what came out.

        Args:
            trainer: the trained `vqzoo.trainers.PriorTrainer`; its moving average is what is evaluated and saved.
            marks: dict name -> step, drawn into the loss curves. Defaults to none.

        Returns:
            Dict of the numbers; None on the workers that write nothing.
        """
        if not self.chief:
            self._print_skipped()
            return None
        with trainer.averaged() as prior:
            generator = self._generator(prior.in_float32())
            report = self.evaluate(generator.prior)
            generator.prior.save_to_preset(
                self.folder,
                metadata={**self.about(), "metrics": report, "data": self.data_told},
                recipe={"recipe": self.name, **self._settings()},
                seal=False,
            )
            with atomic_path(self.folder / "tokenizer.keras") as temporary:
                shutil.copyfile(self.preset / "tokenizer.keras", temporary)
            if isinstance(self.conditions, Captions):
                (self.folder / PIECES_FILE).write_bytes(self.conditions.pieces.model)
            try:
                report |= self._neighbours(generator, generator.tokens(_JUDGED, seed=self.config.seed + 1))
                update_metadata(self.folder, metrics=report)
                samples = self.save_samples(generator)
                save_loss_curves(self.folder / "run" / "curves.png", read_log(self.folder / "run"), marks)
                told = export_prior_preset(generator, self.folder)
            finally:
                seal_preset(self.folder)  # also where something failed: the prior itself is whole
        self.run_folder.end()
        pieces = [PIECES_FILE] if isinstance(self.conditions, Captions) else []
        paths = ["prior.keras", "tokenizer.keras", *pieces, "generator", *samples, "README.md", "run/curves.png"]
        self._print(report, {"generator": told}, paths)
        return report

    def evaluate(self, prior):
        """Bits per token and perplexity on held-out pictures, and on as many that it was trained on."""
        measured = functools.partial(_entropy, compiled(prior.cross_entropy))
        steps, seen = self.validation_steps, TokenBatches(self.rows.tokens, self._batch, self._prefix(self.rows))
        report, again = measured(self.validation), measured(seen.dataset(steps=steps))
        if len(self.space.names) > 1 and prior.condition_dropout:
            nothing = self._prefix(self.held_out, asked=False)
            alone = TokenBatches(self.held_out.tokens, self._batch, nothing).dataset(steps=steps)
            report["bits_per_token_unconditional"] = measured(alone)["bits_per_token"]
        return {
            **report,
            "bits_per_token_in_training": again["bits_per_token"],
            "bits_per_token_by_chance": float(np.mean(np.log2(self.tokenizer.codebook_sizes))),
            "images": steps * self._batch,
        }

    def save_samples(self, generator):
        """Writes what the prior makes, and beside some of it the nearest training picture."""
        save_picture_rows(self.folder / "samples.png", *self._drawn(generator))
        pairs = np.stack([self._made, self._near], axis=1).reshape(-1, *self._made.shape[1:])
        save_picture_rows(self.folder / "neighbours.png", pairs[: 2 * 32], 8, ["made, nearest"])
        return ["samples.png", "neighbours.png"]

    def about(self):
        example = {"signal": [*self.size, self.tokenizer.encoder.input_shape[-1]]}
        example["tokens"] = list(self.rows.tokens.shape[1:])
        known = [] if self.conditions is None else list(self.conditions.known)
        by_text = isinstance(self.conditions, Captions)
        what = "by any text, " if by_text else f"{len(known)} classes, " if known else ""
        what = "in the style of others, " if self.styles else what
        asked = {"captions": {"length": self.conditions.length, "examples": known}} if by_text else {"labels": known}
        return {
            "modality": "image",
            "codebook_sizes": list(self.tokenizer.codebook_sizes),
            "description": f"Makes pictures: {what}{self.size[0]}x{self.size[1]} pixels. Made by "
            f"recipes/{self.name}.py on tokens of {self.preset.name}, which is inside.",
            **asked,
            "sampling": self.sampling,
            "example": example,
        }

    @property
    def skipped(self):
        """As of `Run`; also lines of the table without a caption, and files that are not there."""
        told = {**self.rows.skipped, **self.held_out.skipped}
        if self.table is not None:
            told |= self.table.skipped
            if not self.config.tokens and not isinstance(self.files, ImageSource):
                told |= self.table.missing(self.config.data, self.config.validation_data)
        return told

    @property
    def data_told(self):
        """What the card says of the training data, a str."""
        rows = f"{len(self.rows.tokens)} rows of tokens"
        if self.config.tokens:
            return f"{rows}: {self.config.tokens}"
        if self.table is not None:
            return f"{rows}, {len(self.files)} {self.files_are} with captions: {self.config.data or self.table.path}"
        return f"{rows}, {super().data_told}"

    def _settings(self):
        return {**vars(self.config)}

    # === Parts ===
    def _validating(self, names):
        """The rows of shards that are held out: those of the pictures that `split_pictures` holds out."""
        names = [pathlib.PurePath(name).name for name in names]
        return validating_by_hash(names, self.config.validation_share, seed=0)

    @property
    def _batch(self):
        return self.validation_batches.batch_size

    def _size(self):
        """Height and width of a picture."""
        example = (read_metadata(self.preset).get("example") or {}).get("signal", ())[:2]
        fixed = self.tokenizer.encoder.input_shape[1:3]
        asked = (self.config.size, self.config.size) if self.config.size else tuple(example or fixed)
        if None in asked or any(want not in (None, have) for have, want in zip(asked, fixed, strict=True)):
            raise ValueError(
                f"The tokenizer {self.config.tokenizer!r} takes pictures of {fixed} pixels, None for any. Received: "
                f"--size {self.config.size}, which is 0 for its own."
            )
        return asked

    def _captions_of(self, files, root):
        """The function from a picture's name to its captions; None where there is no table."""
        if self.table is None:
            return None
        return self.table.of_record if isinstance(files, ImageSource) else functools.partial(self.table.of, root=root)

    def _conditions(self):
        """What the prior can be asked for: captions, classes, or None."""
        if self.table is None:
            by_class = self.config.classes and not self.styles
            names = sorted({name for name in self.rows.conditions if name}) if by_class else []
            return Labels(names) if names else None
        told = [Captions.plain(text) for text in self.rows.conditions]
        learnt = getattr(self.start, "conditions", None)
        if isinstance(learnt, Captions):
            pieces, length = learnt.pieces, learnt.length
        else:
            pieces, length = Pieces.train(sorted(set(told)), self.config.pieces, self.config.seed, exact=False), None
        lengths = np.array([len(ids) for ids in pieces.encode(told)])
        captions = Captions(pieces, length or min(lengths.max(), self.config.caption_length))
        others = list(dict.fromkeys(self.held_out.conditions))
        others = [others[i] for i in np.random.default_rng(self.config.seed).permutation(len(others))]
        examples = [text for text in others if captions.count(text) <= captions.length][:_EXAMPLES]
        cut = int((lengths > captions.length).sum())
        line = f"{len(set(told))} captions of {pieces.size} pieces, {captions.length} at most in one"
        line += f"; {cut} of {len(told)} crops have a longer one, which is cut" if cut else ""
        rich.console.Console(quiet=not self.chief).print(line, highlight=False)
        return Captions(pieces, captions.length, examples)

    def _check_start(self):
        """Raises ValueError where what the run goes on from is of other tokens or conditions."""
        if self.start is None:
            return
        prior, both = self.start.prior, (self.start.conditions, self.conditions)
        known, labels = (list(x.known) if isinstance(x, Labels) else [] for x in both)
        if prior.space != self.space or tuple(prior.grid) != tuple(self.grid) or known != labels:
            raise ValueError(
                f"--init is a prior of tokens {prior.grid} of {prior.space.sizes}, labels {known}. Received: tokens "
                f"{tuple(self.grid)} of {self.space.sizes}, labels {labels}. Give its --tokenizer, --size, and --data "
                "with the same classes or captions; two tokenizers of the same sizes may still be different ones."
            )

    def _prefix(self, rows, asked=True):
        """The conditions of rows as ids, or as many that ask for nothing; None where there are no conditions."""
        if self.styles:
            tokens = rows.tokens[others_of(rows.pictures)]
            return self.space.prefix(**{STYLE: tokens if asked else np.full_like(tokens, -1)})
        if self.conditions is None:
            return None
        tokens = self.conditions.tokens([text if asked else "" for text in rows.conditions])
        return self.space.prefix(**{self.conditions.part: tokens})

    def _generator(self, prior):
        return Generator(prior, self.tokenizer, self.conditions or (), self.size, self.sampling)

    def _drawn(self, generator):
        """Some pictures of the same seed: a row for each class or caption, or behind each style."""
        if self.styles:
            styles = self.held_out.tokens[np.linspace(0, len(self.held_out.tokens) - 1, _ROWS // 2).astype(int)]
            prefix = np.repeat(self.space.prefix(**{STYLE: styles}), _COLUMNS - 1, axis=0)
            made = np.asarray(generator.prior.generate(prefix=prefix, seed=self.config.seed, **generator.sampling))
            rows = np.concatenate([styles[:, None], made.reshape(len(styles), _COLUMNS - 1, *made.shape[1:])], axis=1)
            return generator.decode(rows.reshape(-1, *made.shape[1:])), _COLUMNS, ["style, made"]
        names = [] if self.conditions is None else self.conditions.known[:_ROWS]
        rows = len(names) or 4
        condition = [name for name in names for _ in range(_COLUMNS)] or None
        return generator.generate(rows * _COLUMNS, condition, seed=self.config.seed), _COLUMNS, names

    def _neighbours(self, generator, made):
        """How near the nearest training pictures are, to what was made and to held-out pictures."""
        self._made, real = generator.decode(made), generator.decode(self.samples)
        rows, distances = nearest(self.rows.small, small_copies(self._made))
        self._near = generator.decode(self.rows.tokens[rows])
        _, usual = nearest(self.rows.small, small_copies(real))
        return {"nearest_in_training": float(np.mean(distances)), "nearest_of_held_out": float(np.mean(usual))}


def _entropy(cross_entropy, batches):
    """Dict of bits per token and perplexity, by this process alone: other workers may have ended."""
    entropy = TokenEntropy()
    for batch in batches:
        tokens, condition, _ = keras.utils.unpack_x_y_sample_weight(batch)
        told = cross_entropy(tokens, **(condition or {}))
        entropy.update_state(told.nats, told.counted)
    return {name: float(value) for name, value in entropy.result().items()}

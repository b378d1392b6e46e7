"""Loading of data: files to arrays to `tf.data`."""

from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
    from vqzoo.data.audio.augment import freq_mask
    from vqzoo.data.audio.augment import normalize_peak
    from vqzoo.data.audio.augment import normalize_rms
    from vqzoo.data.audio.augment import pitch_and_tempo
    from vqzoo.data.audio.augment import random_gain
    from vqzoo.data.audio.augment import random_noise
    from vqzoo.data.audio.augment import random_polarity
    from vqzoo.data.audio.augment import time_mask
    from vqzoo.data.audio.clips import AudioClips
    from vqzoo.data.audio.files import find_audio
    from vqzoo.data.audio.files import sample_audio
    from vqzoo.data.audio.files import split_audio
    from vqzoo.data.audio.files import synthetic_audio
    from vqzoo.data.audio.read import AudioInfo
    from vqzoo.data.audio.read import audio_info
    from vqzoo.data.audio.read import load_audio
    from vqzoo.data.audio.read import load_long_audio
    from vqzoo.data.audio.variants import write_variants
    from vqzoo.data.audio.write import save_audio
    from vqzoo.data.image.crops import ImageCrops
    from vqzoo.data.image.files import find_images
    from vqzoo.data.image.files import sample_images
    from vqzoo.data.image.files import split_images
    from vqzoo.data.image.open import open_images
    from vqzoo.data.image.pixels import load_image
    from vqzoo.data.image.pixels import save_image
    from vqzoo.data.image.shards import ShardedImages
    from vqzoo.data.image.shards import write_image_shards
    from vqzoo.data.image.source import ImageSource
    from vqzoo.data.image.tfds import TfdsImages
    from vqzoo.data.shards import holds_shards
    from vqzoo.data.shards import verify_shards
    from vqzoo.data.text.batches import SentenceBatches
    from vqzoo.data.text.captions import CaptionTable
    from vqzoo.data.text.corpus import find_text
    from vqzoo.data.text.corpus import read_sentences
    from vqzoo.data.text.corpus import split_sentences
    from vqzoo.data.text.dialogues import Dialogues
    from vqzoo.data.text.dialogues import read_dialogues
    from vqzoo.data.text.dialogues import sample_dialogues
    from vqzoo.data.text.pairs import Pairs
    from vqzoo.data.text.pairs import read_pairs
    from vqzoo.data.text.pairs import sample_pairs
    from vqzoo.data.text.pairs import split_pairs
    from vqzoo.data.text.pieces import Pieces
    from vqzoo.data.text.prose import sample_sentences
    from vqzoo.data.text.vectors import WordVectors
    from vqzoo.data.text.vectors import load_vectors
    from vqzoo.data.text.vectors import piece_vectors
    from vqzoo.data.tokens.batches import TokenBatches
    from vqzoo.data.tokens.shards import TokenRow
    from vqzoo.data.tokens.shards import TokenShards
    from vqzoo.data.tokens.shards import write_token_shards

__all__ = [
    "AudioClips",
    "AudioInfo",
    "CaptionTable",
    "Dialogues",
    "ImageCrops",
    "ImageSource",
    "Pairs",
    "Pieces",
    "SentenceBatches",
    "ShardedImages",
    "TfdsImages",
    "TokenBatches",
    "TokenRow",
    "TokenShards",
    "WordVectors",
    "audio_info",
    "find_audio",
    "find_images",
    "find_text",
    "freq_mask",
    "holds_shards",
    "load_audio",
    "load_image",
    "load_long_audio",
    "load_vectors",
    "normalize_peak",
    "normalize_rms",
    "open_images",
    "piece_vectors",
    "pitch_and_tempo",
    "random_gain",
    "random_noise",
    "random_polarity",
    "read_dialogues",
    "read_pairs",
    "read_sentences",
    "sample_audio",
    "sample_dialogues",
    "sample_images",
    "sample_pairs",
    "sample_sentences",
    "save_audio",
    "save_image",
    "split_audio",
    "split_images",
    "split_pairs",
    "split_sentences",
    "synthetic_audio",
    "time_mask",
    "verify_shards",
    "write_image_shards",
    "write_token_shards",
    "write_variants",
]

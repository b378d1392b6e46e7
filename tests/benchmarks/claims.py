"""What comes out of the shipped presets of audio and text, for the claims of the documentation.

    python tests/benchmarks/claims.py            # measures, about a minute of one core, and prints the results
    python tests/benchmarks/claims.py --write    # also into claims.json; then `results.py --write` makes the tables

Texts: the share of sentences that come back exactly, and the character error rate, for kinds of text that text-english
has learnt and has not. English prose is a sample of the docstrings that are installed.

Audio: the level of what comes back, in dB above that of the original, for steady sine tones and chords of two seconds,
white noise and the vowels of `synthetic_audio`, with a peak at half of full scale.
"""

import argparse
import json
import pathlib

import numpy as np

import vqzoo

RESULTS = pathlib.Path(__file__).with_name("claims.json")
TEXT = "text-english"
AUDIO = ("audio-speech-16k", "audio-loops-44k")
TONES = (110, 220, 440, 880, 1760)  # Hz
CHORDS = {"C major": (261.63, 329.63, 392.0), "A minor": (220.0, 261.63, 329.63)}  # Hz
PROSE = 500  # sentences

TEXTS = {
    "emoji": [
        "😀",
        "😀 😃 😄",
        "I ❤️ you",
        "Good morning ☀️",
        "👍🏽 great work 🎉",
        "👩\u200d👩\u200d👧\u200d👦",
        "🏳️\u200d🌈 and 🇺🇳",
        "Pizza 🍕 tonight?",
        "The cat 🐈 sat on the mat.",
        "See you soon 👋",
        "🎂 Happy birthday! 🎈",
        "It is raining ☔",
        "Well done ✅",
        "Stop 🛑",
        "A dog 🐕 and a cat 🐈",
        "🚀",
        "Call me 📞",
        "Coffee ☕ first",
        "Merry Christmas 🎄",
        "🤖 says hello",
    ],
    "Hebrew and Arabic": [
        "שלום",
        "שלום עולם",
        "בוקר טוב",
        "תודה רבה",
        "מה שלומך היום?",
        "אני גר בחיפה.",
        "הספר על השולחן.",
        "לילה טוב",
        "איפה התחנה?",
        "אני אוהב קפה.",
        "مرحبا",
        "مرحبا بالعالم",
        "صباح الخير",
        "شكرا جزيلا",
        "كيف حالك اليوم؟",
        "أنا من القاهرة.",
        "الكتاب على الطاولة.",
        "تصبح على خير",
        "أين المحطة؟",
        "أحب القهوة.",
    ],
    "Cyrillic": [
        "Привет",
        "Привет, мир!",
        "Доброе утро",
        "Большое спасибо",
        "Как дела сегодня?",
        "Я живу в Москве.",
        "Книга на столе.",
        "Спокойной ночи",
        "Где вокзал?",
        "Я люблю кофе.",
        "Кошка сидит на окне.",
        "Сегодня идёт дождь.",
        "Мы идём домой.",
        "Это мой брат.",
        "Завтра будет снег.",
        "Он читает газету.",
        "Дай мне воды.",
        "Дверь открыта.",
        "Поезд опоздал.",
        "Вот и всё.",
    ],
    "code": [
        "import numpy as np",
        "x = 1",
        "return self.name",
        "for i in range(10):",
        "if x is None:",
        "print('hello')",
        "def add(a, b): return a + b",
        "git commit -m 'fix'",
        "assert len(rows) == 3",
        "x[None, :, None]",
        "SELECT * FROM users;",
        "int main(void) { return 0; }",
        "<a href='/'>home</a>",
        "pip install -e .",
        "lambda x: x ** 2",
        "while (i < n) i++;",
        "const f = (x) => x + 1;",
        "print(f'{value:.2f}')",
        "#include <stdio.h>",
        "return {k: v for k, v in d.items()}",
    ],
}


def measure_text():
    """Kind of text -> share of exact sentences, character error rate and count."""
    tokenizer = vqzoo.TextTokenizer.from_preset(TEXT)
    prose = vqzoo.data.sample_sentences()
    some = np.random.default_rng(0).permutation(len(prose))[:PROSE]
    kinds = {"prose of docstrings": [prose[i] for i in sorted(some)], **TEXTS}
    return {kind: of_text(tokenizer, sentences) for kind, sentences in kinds.items()}


def of_text(tokenizer, sentences):
    """The numbers of one list of sentences."""
    again = tokenizer.decode(tokenizer.encode(sentences, batch_size=64), batch_size=64)
    return {
        "exact": vqzoo.metrics.exact_match(sentences, again),
        "character_errors": float(vqzoo.metrics.character_error_rate(sentences, again)),
        "sentences": len(sentences),
    }


def signals(sample_rate, seconds=2.0):
    """Name -> float32 array (samples, 1) with a peak of a half."""
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    sounds = {f"{hertz} Hz": np.sin(2 * np.pi * hertz * time) for hertz in TONES}
    for name, notes in CHORDS.items():
        sounds[name] = sum(np.sin(2 * np.pi * hertz * time) for hertz in notes)
    sounds["white noise"] = np.random.default_rng(0).standard_normal(len(time))
    files = vqzoo.data.synthetic_audio()
    spoken = "synthetic vowels"
    sounds[spoken] = vqzoo.data.load_audio(files[0], sample_rate, 1, 0, 10 * sample_rate)[:, 0]
    return {name: (0.5 * x / np.abs(x).max()).astype("float32")[:, None] for name, x in sounds.items()}


def level(tokenizer, signal):
    """The level of what comes back, in dB above the original's."""
    again = np.asarray(tokenizer.decode(tokenizer.encode(signal[None]), length=len(signal)))[0]
    return float(10 * np.log10(np.square(np.clip(again, -1, 1)).mean() / np.square(signal).mean()))


def measure_audio(preset):
    """Name of a sound -> level in dB."""
    tokenizer = vqzoo.AudioTokenizer.from_preset(preset)
    return {name: round(level(tokenizer, x), 2) for name, x in signals(tokenizer.sample_rate).items()}


def measure():
    """All results, as claims.json has them."""
    return {"text": measure_text(), "audio": {preset: measure_audio(preset) for preset in AUDIO}}


def main():
    """Measures, prints, and writes if it is asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into claims.json")
    arguments = parser.parse_args()
    text = json.dumps(measure(), indent=2, ensure_ascii=False) + "\n"
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

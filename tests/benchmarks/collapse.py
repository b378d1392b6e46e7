"""How much of its codebook each quantizer uses: the same small VQ-VAE on crops of photographs, one after another.

    python tests/benchmarks/collapse.py train PHOTOS/train PHOTOS/val --results collapse.jsonl
    python tests/benchmarks/collapse.py train PHOTOS/train PHOTOS/val --results collapse.jsonl --only EMA --size 16384
    python tests/benchmarks/collapse.py draw --results collapse.jsonl            # a table, and collapse.png beside it

64x64 crops at half resolution, 256 latents each, codebooks of about 1,024 and 16,384. Only the quantizer, its losses'
weights and the width of the latents differ, each as in its paper. A run that the results already hold is left out.
"""

import argparse
import json
import math
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

import vqzoo
from vqzoo.losses import l2_loss
from vqzoo.metrics import evaluate_images
from vqzoo.trainers import warmup_cosine

quantizers = vqzoo.quantizers
# Restarts and k-means for codebooks that gradients teach, as EMAVectorQuantizer has them by default.
RESTARTS = {"kmeans_steps": 10, "restart_below": 0.05}
ENTROPY = {"sample_entropy": 0.1, "batch_entropy": 0.1, "commitment": 0.25}
LEVELS = {1024: [8, 5, 5, 5], 16384: [8, 8, 8, 6, 5]}


def _bits(size):
    return int(math.log2(size))


def _two(size):
    """Two EMA quantizers whose combinations are `size`."""
    return [vqzoo.EMAVectorQuantizer(round(size**0.5)) for _ in range(2)]


def _gumbel(size, steps):
    temperature = keras.optimizers.schedules.CosineDecay(1.0, steps, alpha=1 / 16)
    return quantizers.GumbelQuantizer(size, 32, temperature, straight_through=False, seed=0)


def _multi_scale(size, steps):
    return quantizers.MultiScaleResidualQuantizer(vqzoo.EMAVectorQuantizer(size), [1, 2, 4, 8, 16])


# name -> (width of the latents or a function of the size, (size, steps) -> quantizer, other weights of losses)
CASES = {
    "VectorQuantizer": (32, lambda size, steps: vqzoo.VectorQuantizer(size), {}),
    "VectorQuantizer, restarts": (32, lambda size, steps: vqzoo.VectorQuantizer(size, **RESTARTS), {}),
    "VectorQuantizer, restarts, rotation": (
        32,
        lambda size, steps: vqzoo.VectorQuantizer(size, estimator=vqzoo.ops.rotation_trick, **RESTARTS),
        {},
    ),
    "EMAVectorQuantizer": (32, lambda size, steps: vqzoo.EMAVectorQuantizer(size), {}),
    "EMAVectorQuantizer, 8 wide": (8, lambda size, steps: vqzoo.EMAVectorQuantizer(size), {}),
    "EMAVectorQuantizer, no restarts": (
        32,
        lambda size, steps: vqzoo.EMAVectorQuantizer(size, kmeans_steps=0, restart_below=0.0),
        {},
    ),
    "CosineVectorQuantizer": (8, lambda size, steps: quantizers.CosineVectorQuantizer(size), {}),
    "CosineVectorQuantizer, restarts": (8, lambda size, steps: quantizers.CosineVectorQuantizer(size, **RESTARTS), {}),
    "SimVectorQuantizer": (32, lambda size, steps: quantizers.SimVectorQuantizer(size), {}),
    "IndexPropagationQuantizer": (
        32,
        lambda size, steps: quantizers.IndexPropagationQuantizer(
            size, extra_losses={"entropy": quantizers.similarity_entropy_loss}
        ),
        {"double_quantization": 1.0, "commitment": 1.0, "codebook": 0.25, "entropy": 0.05},
    ),
    "GumbelQuantizer": (32, _gumbel, {"kl": 5e-4}),
    "FiniteScalarQuantizer": (
        lambda size: len(LEVELS[size]),
        lambda size, steps: quantizers.FiniteScalarQuantizer(LEVELS[size]),
        {},
    ),
    "LookupFreeQuantizer": (_bits, lambda size, steps: quantizers.LookupFreeQuantizer(_bits(size)), ENTROPY),
    "BinarySphericalQuantizer": (
        _bits,
        lambda size, steps: quantizers.BinarySphericalQuantizer(_bits(size)),
        {**ENTROPY, "commitment": 0.0},
    ),
    "ResidualQuantizer, 2 EMA": (32, lambda size, steps: quantizers.ResidualQuantizer(_two(size)), {}),
    "GroupedQuantizer, 2 EMA": (32, lambda size, steps: quantizers.GroupedQuantizer(_two(size)), {}),
    "MultiScaleResidualQuantizer, EMA": (32, _multi_scale, {}),
}


def main():
    """Trains or draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    training, drawing = commands.add_parser("train"), commands.add_parser("draw")
    training.add_argument("pictures")
    training.add_argument("validation")
    training.add_argument("--only", nargs="+", default=[""], help="parts of names")
    training.add_argument("--size", type=int, nargs="+", default=[1024, 16384])
    training.add_argument("--steps", type=int, default=500)
    training.add_argument("--threads", type=int, default=1)
    for command in (training, drawing):
        command.add_argument("--results", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments)
    else:
        draw(arguments.results)


def train(arguments):
    """Appends one line to the results for each case that they do not hold yet."""
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    done = {(run["quantizer"], run["size"]) for run in _read(arguments.results)}
    wanted = [
        (name, size)
        for size in arguments.size
        for name in CASES
        if any(part in name for part in arguments.only) and (name, size) not in done
    ]
    photos = vqzoo.data.find_images(arguments.pictures)
    crops = vqzoo.data.ImageCrops(photos, size=64, batch_size=32, scale=(0.5, 0.5), max_side=1024)
    # Decoded once and the same for all.
    batches = np.stack([(crops.batch(i) * 127.5).round().astype("int8") for i in range(arguments.steps)])
    held_out = vqzoo.data.ImageCrops(
        vqzoo.data.find_images(arguments.validation), size=64, batch_size=64, scale=(0.5, 0.5), flip=False
    )
    held_out = [held_out.batch(i) for i in range(4)]
    for name, size in wanted:
        run = _run(name, size, batches, held_out)
        with open(arguments.results, "a") as file:
            file.write(json.dumps(run) + "\n")
        print(json.dumps(run), flush=True)


def _run(name, size, batches, held_out):
    keras.utils.set_random_seed(0)
    steps = len(batches)
    width, make, weights = CASES[name]
    width = width(size) if callable(width) else width
    tokenizer = vqzoo.image_vqvae(filters=64, residual_filters=32, latent_dim=width, quantizer=make(size, steps))
    usual = {"l2": 1.0, "codebook": 1.0, "commitment": 0.25}
    weights = {key: (usual | weights)[key] for key in ("l2", *tokenizer.quantizer.loss_names)}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": l2_loss}, weights, average_decay=0.0)
    trainer.build((None, 64, 64, 3))
    trainer.compile(keras.optimizers.Adam(warmup_cosine(1e-3, steps, 0.05)))
    dataset = tf.data.Dataset.from_tensor_slices(batches).map(lambda x: tf.cast(x, "float32") / 127.5)
    started = time.process_time()
    history = trainer.fit(dataset, epochs=1, shuffle=False, verbose=0).history
    seconds = time.process_time() - started
    numbers = evaluate_images(tokenizer, held_out)
    used = _used(tokenizer, held_out)
    sizes = tokenizer.codebook_sizes
    return {
        "quantizer": name,
        "size": size,
        "codes": math.prod(sizes) if len(sizes) > 1 else sizes[0],
        "width": width,
        "steps": steps,
        "cpu_seconds": round(seconds, 1),
        "loss": history["loss"][-1],
        **{key: numbers[key] for key in ("psnr", "ssim", "bits_per_pixel")},
        **used,
    }


def _used(tokenizer, held_out):
    """Usage and perplexity of the codes, a combination of several codebooks counting as one code."""
    tokens = np.concatenate(
        [np.asarray(tokenizer.encode(batch)).reshape(-1, tokenizer.num_codebooks) for batch in held_out]
    )
    sizes = tokenizer.codebook_sizes
    joint = np.ravel_multi_index(tuple(tokens.T), sizes)
    counts = np.bincount(joint, minlength=math.prod(sizes))
    shares = counts[counts > 0] / counts.sum()
    return {"usage": float((counts > 0).mean()), "perplexity": float(np.exp(-(shares * np.log(shares)).sum()))}


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def draw(path):
    """Prints the results as a table, and draws them beside the file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = _read(path)
    sizes = sorted({run["size"] for run in runs})
    print("| quantizer | " + " | ".join(f"{size:,} codes: PSNR | usage | perplexity" for size in sizes) + " |")
    print("|---|" + "---|---|---|" * len(sizes))
    found = {(run["quantizer"], run["size"]): run for run in runs}
    for name in CASES:
        cells = [name]
        for size in sizes:
            run = found.get((name, size))
            cells += [f"{run['psnr']:.2f}", f"{run['usage']:.1%}", f"{run['perplexity']:,.0f}"] if run else 3 * [""]
        print("| " + " | ".join(cells) + " |")
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 5.2), sharey=True, layout="constrained")
    names = [name for name in CASES if any((name, size) in found for size in sizes)][::-1]
    rows = np.arange(len(names))
    for i, size in enumerate(sizes):
        offset = 0.2 - 0.4 * i
        for axis, key, scale in ((axes[0], "usage", 100), (axes[1], "psnr", 1)):
            values = [found[name, size][key] * scale if (name, size) in found else np.nan for name in names]
            axis.barh(rows + offset, values, 0.38, label=f"about {size:,} codes", color=("#1f6feb", "#f0883e")[i])
    axes[0].set_yticks(rows, names)
    axes[0].set_xlabel("codes in use on held-out photographs, %")
    axes[0].set_xlim(0, 100)
    axes[1].set_xlabel("PSNR, dB")
    psnr = [run["psnr"] for run in runs]
    axes[1].set_xlim(math.floor(min(psnr)) - 1, math.ceil(max(psnr)))
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, 1.08), ncol=2, frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
    figure.savefig(path.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()

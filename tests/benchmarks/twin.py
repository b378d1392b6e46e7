"""Does training here end where it does in PyTorch? The convolutional VQ-VAE beside its twin, seed by seed.

    python tests/benchmarks/twin.py PHOTOS/train PHOTOS/val --peer /path/to/peers/bin/python
    python tests/benchmarks/twin.py PHOTOS/train PHOTOS/val --peer ... --steps 20 --seeds 0 --held-out 64   # a try

The peer's environment: `pip install torch==2.13.0 vector-quantize-pytorch==1.32.0 numpy`. Without `--peer` only ours is
trained. Each training is a process with one thread; all take 25 minutes of CPU. Printed are, for each seed, PSNR of the
held-out crops as 8-bit pictures, share of the codes in use and their perplexity; then the mean differences. The exit
status is 1 if ours is more than 0.1 dB below the twin. Measured: 24.10 dB here, 24.09 there, by seed -0.01, +0.22 and
-0.18 dB apart: one seed alone says little.

Equal on both sides: crops, their order (a permutation of the batches for each seed), the networks' initial weights
(copied; before any training both have to give the same latents and decoded images within 1e-4), the loss mean((x -
y)^2) + 0.25 commitment, straight-through gradients (the peer's default is the rotation trick), Keras's Adam with its
epsilon, each step's learning rate, codebook size, decay and epsilon of the moving averages. No weights are averaged.
Both start by 10 iterations of k-means and restart codes whose count falls below a twentieth of the mean. They differ in

- k-means: on the first batch there; one iteration in each of the first 10 steps, over all batches so far, here;
- restarts: a code begins again with the mean count here, with the threshold there (`reset_cluster_size`, which
  `VectorQuantize` does not pass on), so that it is tried for longer here;
- the vectors that codes start from: drawn at random there, and spread evenly over the batch here.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

SIZE = 64  # pixels
BATCH = 32
STRIDE = 4
BLOCKS = 2
LATENT_DIM = 32
COMMITMENT = 0.25
# As are the defaults of EMAVectorQuantizer.
DECAY = 0.99
KMEANS = 10
RESTART = 0.05
CLOSE = 1e-4
WORSE = 0.1  # dB


def main():
    """Makes the crops, trains each seed on both sides, prints what they give back of the held-out ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("validation")
    parser.add_argument("--peer", help="interpreter with torch and vector-quantize-pytorch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--residual-filters", type=int, default=32)
    parser.add_argument("--codes", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="the highest, of warmup_cosine")
    parser.add_argument("--held-out", type=int, default=1024, help="crops, a multiple of 32")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)  # side, seed, folder
    arguments = parser.parse_args()
    if arguments.worker:
        side, seed, folder = arguments.worker
        {"ours": _ours, "twin": _twin}[side](arguments, int(seed), pathlib.Path(folder))
        return
    # The twin first: if the networks are not the same, nothing is trained.
    sides = ({"twin": arguments.peer} if arguments.peer else {}) | {"ours": sys.executable}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        _make_crops(arguments, folder)
        numbers = {side: [] for side in sides}
        for seed in arguments.seeds:
            _make_start(arguments, seed, folder)
            for side, interpreter in sides.items():
                _run(interpreter, side, seed, folder)
                numbers[side].append(_judged(arguments, folder, side))
                print(f"seed {seed}  {side}  " + _line(numbers[side][-1]), flush=True)
    _conclude({side: np.array(rows) for side, rows in numbers.items()})


def _run(interpreter, side, seed, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [interpreter, __file__, *sys.argv[1:], "--worker", side, str(seed), str(folder)]
    run = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    if run.returncode:  # else TensorFlow's chatter
        sys.exit(run.stderr)


def _judged(arguments, folder, side):
    """PSNR in dB, usage and perplexity of what a side has made of the held-out crops."""
    import vqzoo

    images, tokens = _images(np.load(folder / "held_out.npy")), np.load(folder / f"tokens_{side}.npy")
    decoded = _images(_pixels(np.load(folder / f"decoded_{side}.npy")))
    statistics = vqzoo.metrics.codebook_statistics(np.bincount(tokens.ravel(), minlength=arguments.codes))
    return np.mean(vqzoo.metrics.psnr(images, decoded)), statistics["usage"], statistics["perplexity"]


def _line(numbers):
    return "PSNR {:6.3f} dB  usage {:6.1%}  perplexity {:6.1f}".format(*numbers)


def _conclude(numbers):
    """Prints the means and their difference, and exits with 1 where ours is too far below."""
    for side, rows in numbers.items():
        print(f"mean    {side}  " + _line(rows.mean(0)))
    if "twin" in numbers:
        differences = numbers["ours"] - numbers["twin"]
        psnr, usage, perplexity = differences.mean(0)
        each = " ".join(f"{value:+.3f}" for value in differences[:, 0])
        print(f"ours - twin   PSNR {psnr:+.3f} dB ({each})  usage {usage:+.1%}  perplexity {perplexity:+.1f}")
        sys.exit(int(psnr < -WORSE))


# === Both sides ===


def _make_crops(arguments, folder):
    """Writes uint8 batches to train on and uint8 crops to judge."""
    import vqzoo

    options = {"size": SIZE, "batch_size": BATCH, "scale": (arguments.scale, arguments.scale), "max_side": 1024}
    crops = vqzoo.data.ImageCrops(vqzoo.data.find_images(arguments.pictures), **options)
    shape = (arguments.steps, BATCH, SIZE, SIZE, 3)
    batches = np.lib.format.open_memmap(folder / "batches.npy", "w+", "uint8", shape)
    for step in range(arguments.steps):
        batches[step] = _pixels(crops.batch(step))
    batches.flush()
    held_out = vqzoo.data.ImageCrops(vqzoo.data.find_images(arguments.validation), flip=False, **options)
    held_out = [_pixels(held_out.batch(i)) for i in range(arguments.held_out // BATCH)]
    np.save(folder / "held_out.npy", np.concatenate(held_out))


def _make_start(arguments, seed, folder):
    """Writes our initial weights, what the networks make of a batch with them, learning rates and order of batches."""
    from vqzoo.trainers import warmup_cosine

    tokenizer = _tokenizer(arguments, seed)
    images = _images(np.load(folder / "held_out.npy", mmap_mode="r")[:BATCH])
    latents = tokenizer.encoder(images)
    start = {"latents": latents, "decoded": tokenizer.decoder(latents)}
    for part in ("encoder", "decoder"):
        for layer in getattr(tokenizer, part).layers:
            start |= {f"{part}/{layer.name}/{weight.name}": weight for weight in layer.weights}
    rate = warmup_cosine(arguments.learning_rate, arguments.steps)
    start["rates"] = [rate(step) for step in range(arguments.steps)]
    start["order"] = np.random.default_rng(seed).permutation(arguments.steps)
    np.savez(folder / "start.npz", **{name: np.asarray(value) for name, value in start.items()})


def _images(pixels):
    return pixels.astype("float32") / 127.5 - 1.0


def _pixels(images):
    return np.rint((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype("uint8")


def _save(folder, side, decoded, tokens):
    np.save(folder / f"decoded_{side}.npy", np.concatenate(decoded))
    np.save(folder / f"tokens_{side}.npy", np.concatenate(tokens))


# === Ours ===


def _tokenizer(arguments, seed):
    import keras

    import vqzoo

    keras.utils.set_random_seed(seed)
    return vqzoo.image_vqvae(
        filters=arguments.filters,
        stride=STRIDE,
        blocks=BLOCKS,
        residual_filters=arguments.residual_filters,
        latent_dim=LATENT_DIM,
        quantizer=vqzoo.EMAVectorQuantizer(arguments.codes, decay=DECAY, kmeans_steps=KMEANS, restart_below=RESTART),
    )


def _ours(arguments, seed, folder):
    import keras
    import tensorflow as tf

    import vqzoo

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    start, batches = np.load(folder / "start.npz"), np.load(folder / "batches.npy", mmap_mode="r")
    tokenizer = _tokenizer(arguments, seed)
    weights = {"l2": 1.0, "commitment": COMMITMENT}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, weights, average_decay=0.0)
    trainer.build((None, SIZE, SIZE, 3))
    rate = vqzoo.trainers.warmup_cosine(arguments.learning_rate, arguments.steps)
    trainer.compile(keras.optimizers.Adam(rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7))
    trainer.fit(((_images(batches[i]),) for i in start["order"]), shuffle=False, verbose=0)
    held_out = _images(np.load(folder / "held_out.npy"))
    tokens = [np.asarray(tokenizer.encode(x)) for x in np.split(held_out, len(held_out) // BATCH)]
    _save(folder, "ours", [np.asarray(tokenizer.decode(x)) for x in tokens], tokens)


# === The twin ===


def _twin(arguments, seed, folder):
    import torch
    from vector_quantize_pytorch import VectorQuantize

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    start, batches = np.load(folder / "start.npz"), np.load(folder / "batches.npy", mmap_mode="r")
    held_out = np.split(_images(np.load(folder / "held_out.npy")), arguments.held_out // BATCH)
    encode, decode, parameters = _networks(start)
    _check_same(start, encode, decode, held_out[0])
    mean_count = BATCH * (SIZE // STRIDE) ** 2 / arguments.codes
    quantizer = VectorQuantize(
        dim=LATENT_DIM,
        codebook_size=arguments.codes,
        decay=DECAY,
        eps=1e-5,
        commitment_weight=COMMITMENT,
        kmeans_init=True,
        kmeans_iters=KMEANS,
        threshold_ema_dead_code=RESTART * mean_count,
        rotation_trick=False,
        accept_image_fmap=True,
    )
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.999))
    for step, (i, rate) in enumerate(zip(start["order"], start["rates"], strict=True), 1):
        images = _to_torch(_images(batches[i]))
        # Keras adds epsilon before the correction of the second moment's bias, PyTorch after it.
        optimizer.param_groups[0].update(lr=float(rate), eps=1e-7 / (1.0 - 0.999**step) ** 0.5)
        quantized, _, commitment = quantizer(encode(images))
        loss = torch.mean((decode(quantized) - images) ** 2) + commitment
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    quantizer.eval()
    decoded, tokens = [], []
    with torch.no_grad():
        for images in held_out:
            quantized, indices, _ = quantizer(encode(_to_torch(images)))
            decoded.append(decode(quantized).permute(0, 2, 3, 1).numpy())
            tokens.append(indices.numpy())
    _save(folder, "twin", decoded, tokens)


def _networks(start):
    """Encoder and decoder as functions of images (batch, channels, height, width), and their parameters."""
    import torch
    from torch.nn import functional

    weights = {name: torch.from_numpy(array) for name, array in start.items() if "/" in name}
    for name, weight in weights.items():
        weight = weight.permute(3, 2, 0, 1) if weight.ndim == 4 else weight
        weights[name] = torch.nn.Parameter(weight.contiguous())

    def conv(x, name, stride=1, padding=0):
        return functional.conv2d(x, weights[f"{name}/kernel"], weights[f"{name}/bias"], stride, padding)

    def blocks(x, part):
        for i in range(BLOCKS):
            y = functional.relu(conv(functional.relu(x), f"{part}/block_{i}_conv1", padding=1))
            x = x + conv(y, f"{part}/block_{i}_conv2")
        return functional.relu(x)

    def encode(x):
        for i in range(2):  # stride 4
            x = functional.relu(conv(x, f"encoder/down_{i}", stride=2, padding=1))
        x = conv(x, "encoder/conv_in", padding=1)
        return conv(blocks(x, "encoder"), "encoder/latents")

    def decode(x):
        x = blocks(conv(x, "decoder/conv_in", padding=1), "decoder")
        x = functional.relu(conv(functional.interpolate(x, scale_factor=2.0), "decoder/up_1", padding=1))
        return conv(functional.interpolate(x, scale_factor=2.0), "decoder/images", padding=1)

    return encode, decode, list(weights.values())


def _check_same(start, encode, decode, images):
    latents = encode(_to_torch(images))
    for name, x in (("latents", latents), ("decoded", decode(latents))):
        difference = np.abs(x.detach().permute(0, 2, 3, 1).numpy() - start[name]).max()
        if not difference < CLOSE:
            raise ValueError(f"Nothing is trained: with the same weights the {name} differ by {difference:.1e}.")


def _to_torch(images):
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    main()

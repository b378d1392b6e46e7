"""Speed of the image tokenizers against diffusers' VQModel with the same weights, interleaved in one run.

    python tests/benchmarks/image_speed.py --peer /path/to/peers/bin/python                  # S, all passes, float32
    python tests/benchmarks/image_speed.py --peer ... --cases M --precision bfloat16         # another size, in bfloat16
    python tests/benchmarks/image_speed.py --peer ... --what train --threads 2
    python tests/benchmarks/image_speed.py --peer ... --what litert                          # LiteRT, one image

The peer's environment: `pip install torch==2.13.0 diffusers==0.42.1 transformers onnx onnxscript onnxruntime numpy`.
Without `--peer` only our own numbers are printed. Every figure is process CPU time, in images a second; a ratio is the
median over `--repeats` rounds, in each of which every contestant runs once. With two threads the time of the clock is
printed as well, which counts only on an idle machine. The peer's weights are copied into ours, and before anything is
timed the tokens have to be equal and the decoded images within 1e-4 in float32.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

# name: filters of each resolution from high to low, side of an image, images a batch
CASES = {"S": ((64, 128, 128), 64, 8), "M": ((128, 128, 256, 512), 128, 2)}
LATENT_DIM = 64
CODES = 1024
CLOSE = 1e-4
PASSES = ("encode", "decode", "train")
LITERT = ("float32", "float16", "int8")
LITERT_PASSES = ("litert-encode", "litert-decode")


def main():
    """Prints one row for each case, pass and contestant of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="interpreter with torch and diffusers")
    parser.add_argument("--cases", nargs="+", default=["S"], choices=list(CASES))
    parser.add_argument("--what", nargs="+", default=list(PASSES), choices=[*PASSES, "litert"])
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--modes", nargs="+", default=["graph"], choices=["graph", "xla"])
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes to start")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--calls", type=int, default=2, help="of each contestant in a round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _serve(arguments.worker, arguments.threads)
        return
    whats = [way for what in arguments.what for way in (LITERT_PASSES if what == "litert" else (what,))]
    workers = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.cases:
            for what in whats:
                for precision in ("float32",) if what in LITERT_PASSES else arguments.precision:
                    _race(workers, arguments, case=case, what=what, precision=precision, folder=folder)
    for worker in workers.values():
        worker.stop()


def _contestants(what, arguments):
    """Name -> interpreter; the peer first, whose weights the others load."""
    peers, ours = ["torch", "torch-last"], arguments.modes
    if what in LITERT_PASSES:
        peers += ["onnx", "onnx-int8"]
        ours = [f"litert-{form}" for form in LITERT]
    if arguments.compile:
        peers.append("torch-compile")
    peers = dict.fromkeys(peers, arguments.peer) if arguments.peer else {}
    return {**peers, **dict.fromkeys(ours, sys.executable)}


def _race(workers, arguments, **question):
    label, names, rounds = "{case} {what:13s} {precision:8s}".format(**question), [], []
    for name, interpreter in _contestants(question["what"], arguments).items():
        if name not in workers:
            workers[name] = _Worker(interpreter, name, arguments.threads)
        told = workers[name].ask(**question)
        if "error" in told:
            print(f"{label} {name:14s} {told['error']}", flush=True)
            workers.pop(name).stop()
            continue
        names.append(name)
        if told.get("told"):
            print(f"{label} {name:14s} {told['told']}", flush=True)
    for _ in range(arguments.repeats):
        rounds.append({name: workers[name].ask(calls=arguments.calls) for name in names})
    peers = [name for name in names if name.startswith(("torch", "onnx"))]
    for name in names:
        for clock in ("cpu", "wall") if arguments.threads > 1 else ("cpu",):
            speed = statistics.median(1.0 / one[name][clock] for one in rounds)
            cells = [f"{label} {name:14s} {speed:8.2f} images/s ({clock})"]
            for peer in peers if name not in peers else ():
                ratios = sorted(one[peer][clock] / one[name][clock] for one in rounds)
                cells.append(f"{statistics.median(ratios):5.2f}x {peer} [{ratios[0]:.2f}-{ratios[-1]:.2f}]")
            print("  ".join(cells), flush=True)


class _Worker:
    """A process that measures on request, one JSON line each."""

    def __init__(self, interpreter, name, threads):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["OMP_WAIT_POLICY"] = "PASSIVE"  # or the peer's threads spin where another process has their core
        command = [interpreter, __file__, "--worker", name, "--threads", str(threads)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, text=True, env=environment, **pipes)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else {"error": "died"}

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def _serve(name, threads):
    """Answers on the standard output until the standard input ends; whatever else is printed goes to the errors."""
    answers, sys.stdout = sys.stdout, sys.stderr
    function, batch, made = None, 1, {}
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if "case" in question:
                prepare = _torch if name.startswith(("torch", "onnx")) else _ours
                batch = 1 if question["what"] in LITERT_PASSES else CASES[question["case"]][2]
                function, told = prepare(name, threads, made, **question)
                function()  # compiles
                function()
                answer = {"told": told}
            else:
                cpu, wall = time.process_time(), time.perf_counter()
                for _ in range(question["calls"]):
                    function()
                images = batch * question["calls"]
                answer = {"cpu": (time.process_time() - cpu) / images, "wall": (time.perf_counter() - wall) / images}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


# === Ours ===


def _ours(name, threads, made, case, what, precision, folder):
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if (case, precision) not in made:  # kept for the next pass
        made[case, precision] = _tokenizer(case, precision, folder)
    tokenizer, check, told = made[case, precision]
    if what in LITERT_PASSES:
        return _litert(name.removeprefix("litert-"), threads, tokenizer, check, what, folder)
    images, tokens = tf.constant(check["images"]), tf.constant(check["tokens"])
    functions = {"encode": lambda: tokenizer.encode(images), "decode": lambda: tokenizer.decode(tokens)}
    if name == "xla":
        functions["encode"] = _xla(lambda: tokenizer.encode(images))
        functions["decode"] = _xla(lambda: tokenizer.decode(tokens))
    optimizer = keras.optimizers.Adam(1e-4)
    variables = tokenizer.trainable_variables
    optimizer.build(variables)

    def step():
        with tf.GradientTape() as tape:
            result = tokenizer(images, training=True)
            l2 = tf.reduce_mean(tf.square(result.signal - images))
            total = l2 + result.losses["codebook"] + 0.25 * result.losses["commitment"]
        optimizer.apply(tape.gradient(total, [v.value for v in variables]), variables)
        return total

    functions["train"] = tf.function(step, jit_compile=name == "xla", autograph=False)
    return lambda: np.asarray(functions[what]()), told if what == "encode" else None


def _xla(function):
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


def _tokenizer(case, precision, folder):
    """The tokenizer with the peer's weights, what the peer made of some images, and how well ours agrees."""
    import keras
    import numpy as np

    import vqzoo

    filters, size, batch = CASES[case]
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    tokenizer = vqzoo.image_vqgan(
        filters=filters[0],
        multipliers=[n // filters[0] for n in filters],
        attention=(),
        latent_dim=LATENT_DIM,
        quantizer=vqzoo.VectorQuantizer(CODES, name="quantizer"),
    )
    path = os.path.join(folder, f"{case}.npz")
    if not os.path.exists(path):
        images = np.random.default_rng(0).uniform(-1, 1, (batch, size, size, 3)).astype("float32")
        return tokenizer, {"images": images, "tokens": np.asarray(tokenizer.encode(images))}, "without a peer"
    with np.load(path) as arrays:
        peer = dict(arrays)
    _copy_weights(tokenizer, peer, len(filters))
    tokens, decoded = tokenizer.encode(peer["images"]), tokenizer.decode(peer["tokens"])
    equal = float(np.mean(np.asarray(tokens) == peer["tokens"]))
    difference = float(np.abs(np.asarray(decoded) - peer["decoded"]).max())
    told = f"{equal:.2%} of {tokens.shape[0] * tokens.shape[1] * tokens.shape[2]} tokens equal to the peer's float32, "
    told += f"{len(np.unique(peer['tokens']))} different ones; decoded within {difference:.1e}"
    if precision == "float32" and (equal < 1.0 or difference > CLOSE):
        raise ValueError(f"Nothing is timed: {told}")
    return tokenizer, peer, told


def _copy_weights(tokenizer, peer, levels):
    """Copies the peer's weights, every one of them, and its 32 groups also where ours are fewer."""
    import numpy as np

    left = {name for name in peer if name.endswith((".weight", ".bias"))}

    def take(name):
        left.discard(name)
        return peer[name]

    for part, network in (("encoder", tokenizer.encoder), ("decoder", tokenizer.decoder)):
        for layer in network.layers:
            name = _peer_name(part, layer.name, levels)
            if hasattr(layer, "groups") and hasattr(layer, "epsilon"):
                layer.groups = 32
            if not layer.weights:
                continue
            if hasattr(layer, "query_dense"):
                keys = ("to_q", "to_k", "to_v", "to_out.0")
                arrays = [take(f"{name}.{key}.{kind}") for key in keys for kind in ("weight", "bias")]
                arrays = [a.T if a.ndim == 2 else a for a in arrays]
            else:
                arrays = [take(f"{name}.weight"), take(f"{name}.bias")]
                arrays = [np.transpose(a, (2, 3, 1, 0)) if a.ndim == 4 else a for a in arrays]
            shapes = [tuple(w.shape) for w in layer.weights]
            layer.set_weights([a.reshape(shape) for a, shape in zip(arrays, shapes, strict=True)])
    tokenizer.quantizer.assign_codebook(take("quantize.embedding.weight"))
    if left:
        raise ValueError(f"Weights of the peer that ours has not: {sorted(left)}")


def _peer_name(part, name, levels):
    """Our layer's name in diffusers' VQModel."""
    if name in ("quant_conv", "post_quant_conv"):
        return name
    name = re.sub(r"^(down|up)_(\d+)_", lambda m: f"{m[1]}_blocks.{_level(m, levels)}.", name)
    name = re.sub(r"^mid_block_(\d)_", lambda m: f"mid_block.resnets.{int(m[1]) - 1}.", name)
    name = re.sub(r"^mid_attn_1", "mid_block.attentions.0", name).replace(
        "attentions.0_norm", "attentions.0.group_norm"
    )
    name = re.sub(r"\.block_(\d)_", r".resnets.\1.", name)
    name = re.sub(r"\.(down|up)sample_conv$", r".\1samplers.0.conv", name)
    return f"{part}." + name.replace("nin_shortcut", "conv_shortcut").replace("norm_out", "conv_norm_out")


def _level(match, levels):
    return match[2] if match[1] == "down" else levels - 1 - int(match[2])


def _litert(form, threads, tokenizer, check, what, folder):
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    import vqzoo

    path = os.path.join(folder, f"{form}.tflite")
    vqzoo.export.export_litert(tokenizer, path, form)
    interpreter = Interpreter(path, num_threads=threads)
    images, tokens = check["images"], check["tokens"]
    encode, decode = (interpreter.get_signature_runner(name) for name in ("encode", "decode"))
    equal = float(np.mean(np.concatenate([encode(signal=x[None])["tokens"] for x in images]) == tokens))
    decoded = np.concatenate([decode(tokens=t[None])["signal"] for t in tokens])
    share = os.path.getsize(path) / (4 * tokenizer.count_params())
    error = np.mean(np.square(decoded - check["decoded"])) if "decoded" in check else np.nan
    told = f"{os.path.getsize(path) / 1e6:.2f} MB, {share:.3f} of the float32 weights; {equal:.2%} of tokens equal, "
    told += f"decoded at {10 * np.log10(4.0 / error):.1f} dB of the peer's"
    image, token = images[:1], tokens[:1]
    functions = {"litert-encode": lambda: encode(signal=image), "litert-decode": lambda: decode(tokens=token)}
    return functions[what], told


# === The peer ===


def _torch(name, threads, made, case, what, precision, folder):
    import numpy as np
    import torch
    from diffusers import VQModel

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    filters, size, batch = CASES[case]
    model = VQModel(
        down_block_types=["DownEncoderBlock2D"] * len(filters),
        up_block_types=["UpDecoderBlock2D"] * len(filters),
        block_out_channels=filters,
        layers_per_block=2,
        latent_channels=LATENT_DIM,
        num_vq_embeddings=CODES,
    )
    images = np.random.default_rng(0).uniform(-1, 1, (batch, size, size, 3)).astype("float32")
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    encode, decode = _torch_modules(model)
    tokens = _torch_weights(model, encode, decode, x, os.path.join(folder, f"{case}.npz"))
    if what in LITERT_PASSES:
        x, tokens = x[:1], tokens[:1]
    if name == "torch-last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if what == "train":
        return _torch_step(model, x, name == "torch-compile", precision == "bfloat16"), None
    module, given = (encode, x) if "encode" in what else (decode, tokens)
    module.eval()
    if precision == "bfloat16":  # the quantizer in float32, as ours: bfloat16 finds other codes
        model.bfloat16().quantize.float()
        given = given.bfloat16() if "encode" in what else given
    if name.startswith("onnx"):
        return _onnx(name, threads, module, given, folder), None
    module = torch.compile(module) if name == "torch-compile" else module

    def infer():
        with torch.inference_mode():
            return module(given)

    return infer, None


def _torch_step(model, x, compiled, bfloat16):
    import torch

    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    run = torch.compile(model) if compiled else model
    model.train()

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            decoded, commitment = run(x, return_dict=False)
            total = torch.nn.functional.mse_loss(decoded.float(), x) + commitment
        total.backward()
        optimizer.step()

    return step


def _torch_modules(model):
    """Images to tokens, and tokens to images."""
    import torch

    class Encode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            latents = self.model.quant_conv(self.model.encoder(x))
            tokens = self.model.quantize(latents.float())[2][2]
            return tokens.reshape(latents.shape[0], *latents.shape[2:])

    class Decode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, tokens):
            codes = self.model.quantize.embedding(tokens).permute(0, 3, 1, 2)
            dtype = self.model.post_quant_conv.weight.dtype
            return self.model.decoder(self.model.post_quant_conv(codes.to(dtype)))

    return Encode(), Decode()


def _torch_weights(model, encode, decode, x, path):
    """Random weights, with codes that lie where latents lie; the first contestant writes them for the others."""
    import numpy as np
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
        more = torch.cat([x, 2 * torch.rand(4, *x.shape[1:]) - 1])
        latents = model.encode(more).latents.permute(0, 2, 3, 1).reshape(-1, LATENT_DIM)
        codes = latents[torch.randperm(len(latents))[:CODES]]
        model.quantize.embedding.weight.copy_(codes + 0.1 * codes.std() * torch.randn_like(codes))
        tokens = encode(x)
        if not os.path.exists(path):
            arrays = {name: p.numpy() for name, p in model.named_parameters()}
            arrays["images"] = x.permute(0, 2, 3, 1).numpy()
            arrays["tokens"] = tokens[..., None].numpy().astype("int32")
            arrays["decoded"] = decode(tokens).permute(0, 2, 3, 1).numpy()
            np.savez(path, **arrays)
    return tokens


def _onnx(name, threads, module, given, folder):
    """ONNX Runtime on torch's export, as it is or with its dynamic quantization."""
    import onnxruntime
    import torch

    path = os.path.join(folder, f"{name}.onnx")
    torch.onnx.export(module, (given,), path, dynamo=True, external_data=False)
    if name == "onnx-int8":
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(path, path + "8", weight_type=QuantType.QUInt8)
        path += "8"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: given.numpy()}
    return lambda: session.run(None, feed)


if __name__ == "__main__":
    main()

"""Speed and memory of the quantizers against vector-quantize-pytorch and faiss, interleaved in one run.

    python tests/benchmarks/quantizers.py --peer /path/to/peers/bin/python            # all cases, a table
    python tests/benchmarks/quantizers.py --cases vq-256-1024 --modes graph eager xla # some of them
    python tests/benchmarks/quantizers.py --memory                                    # peak memory, a process each

The peer's environment: `pip install torch==2.13.0 vector-quantize-pytorch==1.32.0 faiss-cpu numpy`. Without `--peer`
only our own numbers are printed. Every figure is process CPU time with one thread, in vectors a second; a ratio is the
median over `--repeats` rounds, in each of which every contestant runs once. "GEMM" is the share of the time that the
bare product of vectors and codebook takes in the same worker.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

# name: kind, width, codebook size, vectors for us, vectors for the peer (which holds vectors x codes several times)
CASES = {
    "vq-256-1024": ("vq", 256, 1024, 65536, 65536),
    "vq-256-16384": ("vq", 256, 16384, 65536, 8192),
    "vq-8-16384": ("vq", 8, 16384, 65536, 8192),
    "residual-128-8x1024": ("residual", 128, 1024, 65536, 16384),
    "fsq-8555": ("fsq", 4, 1000, 65536, 65536),
    "lfq-16": ("lfq", 16, 65536, 65536, 65536),
}
# In training the peer's LFQ holds all vectors x codes whether their entropy is weighed or not: 17 GB at 65,536.
PEER_TRAINS_WITH = {"lfq-16": 1024}
LEVELS = [8, 5, 5, 5]
DEPTH = 8


def main():
    """Prints one row for each case and pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="interpreter with torch, vector-quantize-pytorch and faiss-cpu")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--modes", nargs="+", default=["graph"], choices=["graph", "eager", "xla"])
    parser.add_argument("--passes", nargs="+", default=["eval", "train"], choices=["eval", "train"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vectors", type=int, help="at most so many, for a quick look")
    parser.add_argument("--memory", action="store_true", help="peak memory over that of the inputs, no times")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _serve(arguments.worker, arguments.threads)
        return
    for case in arguments.cases:
        for what in arguments.passes:
            (_memory if arguments.memory else _race)(case, what, arguments)


def _contestants(case, what, arguments):
    """Name -> (interpreter, vectors)."""
    kind, _, _, ours, theirs = CASES[case]
    most = arguments.vectors or ours
    named = {mode: (sys.executable, min(ours, most)) for mode in arguments.modes}
    if arguments.peer:
        theirs = PEER_TRAINS_WITH.get(case, theirs) if what == "train" else theirs
        named["torch"] = (arguments.peer, min(theirs, most))
        if kind == "vq" and what == "eval":
            named["faiss"] = (arguments.peer, min(theirs, most))
    return named


def _race(case, what, arguments):
    workers, speeds = {}, {}
    for name, (interpreter, vectors) in _contestants(case, what, arguments).items():
        workers[name] = _Worker(interpreter, name, arguments.threads)
        told = workers[name].ask(case=case, what=what, vectors=vectors)
        if "error" in told:
            print(f"{case:22s} {what:5s} {name:6s} {told['error']}")
            del workers[name]
    rounds = []
    for _ in range(arguments.repeats):
        rounds.append({name: worker.ask() for name, worker in workers.items()})
    for name in workers:
        speeds[name] = statistics.median(one[name]["speed"] for one in rounds)
    for mode in (name for name in workers if name in arguments.modes):
        cells = [f"{case:22s} {what:5s} {mode:6s} {speeds[mode]:14,.0f}/s"]
        shares = [one[mode]["gemm"] for one in rounds if one[mode].get("gemm")]
        cells.append(f"GEMM {statistics.median(shares):4.0%}" if shares else "")
        for peer in (name for name in workers if name not in arguments.modes):
            ratios = sorted(one[mode]["speed"] / one[peer]["speed"] for one in rounds)
            cells.append(f"{statistics.median(ratios):7.2f}x {peer} [{ratios[0]:.2f}-{ratios[-1]:.2f}]")
        print("  ".join(cells), flush=True)
    for worker in workers.values():
        worker.stop()


def _memory(case, what, arguments):
    for name, (interpreter, vectors) in _contestants(case, what, arguments).items():
        worker = _Worker(interpreter, name, arguments.threads)
        told = worker.ask(case=case, what=what, vectors=vectors, memory=True)
        if "error" not in told:
            told = worker.ask()
        worker.stop()
        print(f"{case:22s} {what:5s} {name:6s} {vectors:6d} vectors  {told.get('peak', told)} MB", flush=True)


class _Worker:
    """A process that measures on request, one JSON line each."""

    def __init__(self, interpreter, name, threads):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [interpreter, __file__, "--worker", name, "--threads", str(threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else {"error": "died, most likely of memory"}

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def _serve(name, threads):
    """Answers on the standard output until the standard input ends."""
    function, gemm, vectors, before = None, None, 0, 0
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if question:
                kind, width, size, _, _ = CASES[question["case"]]
                vectors = question["vectors"]
                prepare = {"torch": _torch, "faiss": _faiss}.get(name, _ours)
                function, gemm = prepare(kind, width, size, vectors, question["what"] == "train", name, threads)
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                function()  # compiles
                if question.get("memory"):
                    gemm = None  # it holds more scores at once than the search does
                elif gemm:
                    gemm()
                answer = {"ready": True}
            else:
                seconds = _seconds(function)
                peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
                answer = {"speed": vectors / seconds, "peak": peak}
                if gemm:
                    answer["gemm"] = _seconds(gemm) / seconds
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(answer), flush=True)


def _seconds(function):
    started = time.process_time()
    function()
    return max(time.process_time() - started, 1e-9)


def _inputs(width, size, vectors):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.normal(size=(1, vectors, width)).astype("float32"), rng.normal(size=(size, width)).astype("float32")


def _ours(kind, width, size, vectors, train, mode, threads):
    import keras
    import tensorflow as tf

    import vqzoo

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    latents, codebook = _inputs(width, size, vectors)
    quantizers = vqzoo.quantizers
    steady = {"kmeans_steps": 0, "restart_below": 0.0}
    make = {
        "vq": lambda: quantizers.EMAVectorQuantizer(size, **steady),
        "residual": lambda: quantizers.ResidualQuantizer(
            [quantizers.EMAVectorQuantizer(size, **steady) for _ in range(DEPTH)]
        ),
        "fsq": lambda: quantizers.FiniteScalarQuantizer(LEVELS),
        "lfq": lambda: quantizers.LookupFreeQuantizer(width),
    }
    quantizer = make[kind]()
    quantizer.build(latents.shape)
    if kind == "vq":
        quantizer.assign_codebook(codebook)
    x = tf.constant(latents)

    def forward(x):
        return quantizer.encode(x)

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            quantized = quantizer(x, training=True)
            total = tf.reduce_sum(quantized.latents) + sum(quantized.losses.values(), tf.zeros(()))
        return tape.gradient(total, x), quantized.tokens

    function = step if train else forward
    if mode != "eager":
        function = tf.function(function, jit_compile=mode == "xla", autograph=False)
    table = tf.constant(codebook)
    product = tf.function(lambda: tf.matmul(x[0, :8192], table, transpose_b=True)[0, 0])
    pieces = vectors / min(8192, vectors)

    def gemm():
        for _ in range(round(pieces)):
            product()

    return lambda: keras.tree.map_structure(lambda y: y[:1].numpy(), function(x)), gemm if kind == "vq" else None


def _torch(kind, width, size, vectors, train, mode, threads):
    import torch
    import vector_quantize_pytorch as peer

    torch.set_num_threads(threads)
    latents, codebook = _inputs(width, size, vectors)
    make = {
        "vq": lambda: peer.VectorQuantize(dim=width, codebook_size=size, decay=0.99),
        "residual": lambda: peer.ResidualVQ(dim=width, codebook_size=size, num_quantizers=DEPTH, decay=0.99),
        "fsq": lambda: peer.FSQ(levels=LEVELS),
        "lfq": lambda: peer.LFQ(codebook_size=size, dim=width),
    }
    module = make[kind]()
    if kind == "vq":
        module._codebook.embed.data.copy_(torch.from_numpy(codebook)[None])
    x = torch.from_numpy(latents).requires_grad_(train)
    module.train(train)

    def forward():
        with torch.no_grad():
            module(x)

    def step():
        x.grad = None
        quantized = module(x)
        total = quantized[0].sum() + sum(part.sum() for part in quantized[2:] if torch.is_tensor(part))
        total.backward()

    return (step if train else forward), None


def _faiss(kind, width, size, vectors, train, mode, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    latents, codebook = _inputs(width, size, vectors)
    index = faiss.IndexFlatL2(width)
    index.add(codebook)
    return lambda: index.search(latents[0], 1), None


if __name__ == "__main__":
    main()

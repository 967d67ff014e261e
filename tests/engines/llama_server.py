"""`llama-server` on the command line of llama.cpp, served by the same C++ server inside the xllamacpp wheel.

Runs in a container; it takes the options that the preset uses and refuses others as llama-server does.
"""

import argparse
import os
import signal
import sys
import threading
from typing import NoReturn


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message.replace('unrecognized arguments', 'invalid argument')}", file=sys.stderr, flush=True)
        raise SystemExit(1)


def _asked() -> argparse.Namespace:
    options = _Options(allow_abbrev=False)
    options.add_argument("-m", "--model", required=True)
    options.add_argument("-a", "--alias", default="")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8080)
    options.add_argument("-c", "--ctx-size", type=int, default=4096)
    options.add_argument("-ngl", "--n-gpu-layers", type=int, default=-1)
    options.add_argument("-np", "--parallel", type=int, default=1)
    options.add_argument("-b", "--batch-size", type=int, default=2048)
    options.add_argument("-ub", "--ubatch-size", type=int, default=512)
    options.add_argument("-t", "--threads", type=int, default=1)
    options.add_argument("--cache-ram", type=int, default=8192)
    options.add_argument("--jinja", action="store_true")
    options.add_argument("--metrics", action="store_true")
    options.add_argument("--no-mmap", action="store_true")
    return options.parse_args()


def main() -> None:
    asked = _asked()
    import xllamacpp as llama

    held = bytearray(int(os.environ.get("TAKES_MEMORY", "0")))
    held[::4096] = b"\1" * len(held[::4096])
    params = llama.CommonParams()
    params.model.path = asked.model
    params.hostnames, params.port = [asked.host], asked.port
    if asked.alias:
        params.model_alias = {asked.alias}
    params.n_ctx, params.n_gpu_layers, params.n_parallel = asked.ctx_size, asked.n_gpu_layers, asked.parallel
    params.n_batch, params.n_ubatch = asked.batch_size, asked.ubatch_size
    params.cpuparams.n_threads = asked.threads
    params.cache_ram_mib, params.use_jinja, params.endpoint_metrics = asked.cache_ram, asked.jinja, asked.metrics
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = llama.Server(params)
    if "DIES_AFTER" in os.environ:
        ended.wait(float(os.environ["DIES_AFTER"]))
        os.kill(os.getpid(), signal.SIGKILL)
    ended.wait()
    del server, held
    os._exit(0)


if __name__ == "__main__":
    main()

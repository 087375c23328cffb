"""A process of its own that serves one GGUF file on loopback, and ends when the process that started it is gone.

    python -m agents.models.gguf_server FILE NAME CONTEXT_TOKENS THREADS PARENT_PID

Prints the address on one line when the model is loaded. Knows llama.cpp's server (`xllamacpp`), not who asks it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

LOOPBACK = "127.0.0.1"
LOOKS_EVERY_S = 0.5
KEPT_PROMPTS_MIB = 1024
"""Memory for what was computed of earlier prompts: most begin with the same role and the same file."""


def main() -> None:
    """Serves until the parent is gone."""
    path, name, context_tokens, threads, parent = sys.argv[1:]
    watch = threading.Thread(target=_ends_with, args=(int(parent),), daemon=True)
    watch.start()
    server = _served(path, name, int(context_tokens), int(threads))
    print(server.listening_address, flush=True)
    watch.join()


def _ends_with(parent: int) -> None:
    """Leaves at once when the parent has died in whatever way: an orphan gets another parent."""
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY_S)
    os._exit(0)


def _served(path: str, name: str, context_tokens: int, threads: int) -> Any:
    import xllamacpp

    llama: Any = xllamacpp  # a compiled module without types
    params = llama.CommonParams()
    params.model.path = path
    params.model_alias = {name}
    params.hostnames = [LOOPBACK]
    params.port = 0
    params.n_ctx, params.n_parallel = context_tokens, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = KEPT_PROMPTS_MIB
    params.ui = params.endpoint_slots = False
    params.offline = True
    params.verbosity = 1
    return llama.Server(params)


if __name__ == "__main__":
    main()

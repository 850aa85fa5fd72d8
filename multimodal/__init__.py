"""What the six lessons share but do not teach: machine, models, weights, pictures, figures, results.

Importing this package does not import torch, so that `python run_all_sections.py menu` answers at once.
"""

import logging
import os

from . import variables
from .hardware import others_compute, usable_cores, visible_cores

variables.prepare()
# The libraries read these once, when they are imported: import this package before them. A value that you have set
# stays. (Telemetry asks the hub a question of its own, which costs three seconds where there is no answer.)
_environment = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error",
                "TOKENIZERS_PARALLELISM": "false"}
if os.environ.get("HF_ENDPOINT"):
    # Mirrors pass the headers of the hub's Xet store on without having one, and a download then hangs for minutes.
    _environment["HF_HUB_DISABLE_XET"] = "1"

# A thread of torch that waits for the others spins before it sleeps: 2 to 6 ms with libgomp (Linux), up to 200 ms with
# LLVM's OpenMP (macOS). If the thread that it waits for has lost its core to another program, the spinning keeps a core
# that this one could have; GOMP_SPINCOUNT=1000 ends it after 0.04 ms. But where nothing else runs, threads that sleep
# so soon are woken up too often. So it is set only while others compute. On two virtual cores, a second:
#                                          nothing else runs   a busy Python loop   another torch program
#   small CLIP, pictures, as torch comes          297                  17                    47
#                         GOMP_SPINCOUNT=1000     184                 139                   156
#   small BLIP, captions, as torch comes           97                   2                     2
#                         GOMP_SPINCOUNT=1000      24                  57                    58
# `python -m benchmarks.busy` measures anew; benchmarks/README.md says what else was tried.
if "OMP_WAIT_POLICY" not in os.environ and others_compute():  # that says how threads wait, too, and would lose
    _environment |= {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
# torch asks which cores it may run on, but not for a quota of time in them. (Where there is none, torch's own choice
# is better: of cores that run two threads each it takes one.)
if usable_cores() < visible_cores():
    _environment["OMP_NUM_THREADS"] = str(usable_cores())
for _name, _value in _environment.items():
    os.environ.setdefault(_name, _value)

# Where torchao is installed, transformers imports it, and torch then warns of torchao's own code.
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)


class UserError(Exception):
    """Something the reader can mend. Its text is one sentence that says what was wrong and what to do.

    Lessons and runner print the sentence on stderr and exit with `status`, without a traceback.
    """

    status = 2

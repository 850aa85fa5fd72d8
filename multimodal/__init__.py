"""What the six lessons share but do not teach: machine, models, weights, pictures, figures, results.

Importing this package does not import torch, so that `python run_all_sections.py menu` answers at once.
"""

import logging
import os

from . import variables
from .hardware import usable_cores, visible_cores

variables.prepare()
# The libraries read these once, when they are imported: import this package before them. A value that you have set
# stays. (Telemetry asks the hub a question of its own, which costs three seconds where there is no answer.)
_environment = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error",
                "TOKENIZERS_PARALLELISM": "false"}
if os.environ.get("HF_ENDPOINT"):
    # Mirrors pass the headers of the hub's Xet store on without having one, and a download then hangs for minutes.
    _environment["HF_HUB_DISABLE_XET"] = "1"

# A thread of torch that waits for the others spins before it sleeps: 2 to 6 ms with libgomp (Linux; 0.04 ms with
# GOMP_SPINCOUNT=1000), up to 200 ms with LLVM's OpenMP (macOS; KMP_BLOCKTIME). If the thread that it waits for has lost
# its core to another program, the spinning keeps a core that this thread could have. Pictures a second of the small
# CLIP in batches of 16, on two cores (one turn of five seconds each, so small differences mean nothing):
#                                          nothing else runs   a busy Python loop   another torch program
#   libgomp as it comes                           235                  76                   16
#   GOMP_SPINCOUNT=1000                           243                 113               120 to 130
#   GOMP_SPINCOUNT=0                              218                 117
#   OMP_WAIT_POLICY=PASSIVE                       184                 119                  119
# LLVM's on Linux, while others computed, medians of three turns: KMP_BLOCKTIME=0 gave 52 beside a loop (as it comes 46)
# and 58 beside torch (34). Not measured on macOS.
# `python -m benchmarks.busy` measures anew.
if "OMP_WAIT_POLICY" not in os.environ:  # which says how threads wait, too, and would lose against a number
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

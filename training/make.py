"""Make the embedded models from nothing: `python -m training.make`, in at most six hours on two CPU cores.

Each step is a script of its own that can be run alone, and a run that was killed goes on where it was. With `--smoke`
every step does next to nothing, in folders of its own: a test, in minutes, that all of it still works together.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Container
from pathlib import Path

from multimodal.hardware import bf16_is_fast

# The steps in their order, with what each is told in a smoke test.
STEPS = {
    "sprites": "", "scenes": "--parts 1 --size 800",
    "clip": "--vision-steps 5 --steps 5 --text-steps 3", "world": "--count 200", "vision": "--steps 5",
    "blip": "--steps 5", "opt": "--steps 20", "blip2": "--stage1-steps 4 --stage2-steps 5",
    "evaluate": "--count 40", "cards": "", "ablation": "--steps 1 --count 40",
}
# How much of each training run fits into six hours on two cores that are not fast in bf16.
SLOW_SHARE = 0.3


def run(steps: dict[str, str], environment: dict[str, str], uncompiled: Container[str] = ()) -> None:
    """Run the scripts one after the other, some without `torch.compile`; the first that fails ends it all."""
    begin = time.monotonic()
    for i, (step, arguments) in enumerate(steps.items(), 1):
        print(f"[{i}/{len(steps)}] python -m training.{step} {arguments}", flush=True)
        start = time.monotonic()
        settings = environment | ({"TORCH_COMPILE_DISABLE": "1"} if step in uncompiled else {})
        done = subprocess.run([sys.executable, "-m", f"training.{step}", *arguments.split()],
                              cwd=Path(__file__).parent.parent, env=os.environ | settings, check=False)
        if done.returncode:
            raise SystemExit(f"training.{step} ended with {done.returncode}; the same command goes on from there.")
        print(f"    {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    print(f"All made in {(time.monotonic() - begin) / 60:.1f} minutes.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, help="train this share of the steps of each run, as 0.1; goes on only "
                        f"with the same one (default 1, or {SLOW_SHARE} on a CPU that is not fast in bf16)")
    parser.add_argument("--smoke", action="store_true", help="a few steps of everything, in a folder that is deleted")
    options = parser.parse_args()
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            # Compilation takes a minute or more of each script, for five steps: one shows that it works.
            run(STEPS, {"TRAINING_CACHE": f"{folder}/cache", "TRAINING_OUTPUT": f"{folder}/checkpoints"},
                uncompiled=STEPS.keys() - {"blip"})
        return
    share = options.share
    if share is None:
        share = 1 if bf16_is_fast() else SLOW_SHARE
        if share < 1:
            print(f"This CPU is not fast in bf16: each training run has {share:.0%} of its steps, for which two cores "
                  "need four to six hours. --share 1 trains in full.", flush=True)
    elif not 0 < share <= 10:
        parser.error("--share must be above 0 and at most 10")
    run(dict.fromkeys(STEPS, ""), {"TRAINING_SHARE": str(share)})


if __name__ == "__main__":
    main()

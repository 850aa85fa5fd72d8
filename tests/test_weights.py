"""Getting weights: `python -m multimodal.weights` as a process, against a hub on loopback that can fail (hub.py)."""

import contextlib
import io
import json
import os
import pickle
import pty
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from hub import BLIP2_FILES, CLIP_FILES, SBERT_FILES, TEXT_FILES, Fault, Hub, embedded, safetensors, sharded

from multimodal import UserError, weights
from multimodal.hardware import readable_size
from multimodal.models import CHECKPOINTS, LESSONS, MODELS

ROOT = Path(__file__).parents[1]
WEIGHTS = "model.safetensors"
ID = MODELS["clip"].hub_id
LONG = 50_000  # bytes of weights where something is to happen in the middle of them
# The command, with its pauses a hundred times shorter and its lines of progress more frequent.
QUICK = """
import sys
from multimodal import download, weights
download.PAUSE, download.LINE_EVERY = 0.01, 0.3
sys.exit(weights.main(sys.argv[1:]))
"""


def environment(home: Path, hub: Hub | str | None, **more: str) -> dict[str, str]:
    """The environment of a reader whose hub is the given one and whose cache is in `home`."""
    dropped = ("HF_", "TRANSFORMERS_", "MULTIMODAL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "XDG_")
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(dropped)}
    address = {"HF_ENDPOINT": hub.address if isinstance(hub, Hub) else hub} if hub else {}
    return kept | {"HF_HOME": str(home), "HF_HUB_DOWNLOAD_TIMEOUT": "60", "PYTHONPATH": str(ROOT)} | address | more


def start(home: Path, hub: Hub | str | None, *arguments: str, quick: bool = True, **more: str) -> subprocess.Popen:
    command = ["-c", QUICK] if quick else ["-m", "multimodal.weights"]
    # What a shell starts in the background ignores Ctrl-C, and so would what these tests start.
    return subprocess.Popen([sys.executable, *command, *arguments], env=environment(home, hub, **more), cwd=home,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def run(home: Path, hub: Hub | str | None, *arguments: str, **more) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `python -m multimodal.weights`."""
    process = start(home, hub, *arguments, **more)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def told(process: subprocess.Popen, hub: Hub) -> tuple[int, str, float]:
    """Exit code and stderr of a command, and the seconds from its first question to its end."""
    wait_for(lambda: hub.asked)
    began = time.monotonic()
    _, err = process.communicate(timeout=120)
    return process.returncode, err, time.monotonic() - began


def python(code: str, home: Path, hub: Hub | None, *arguments: str, **more: str) -> str:
    """What a program prints that runs without errors; by default it may ask no network."""
    finished = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True,
                              timeout=300, env=environment(home, hub, **{"HF_HUB_OFFLINE": "1"} | more))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


def parts(home: Path) -> list[int]:
    """Sizes of the files that are being downloaded."""
    sizes = []
    for part in home.glob("hub/models--*/blobs/*.part"):
        with contextlib.suppress(FileNotFoundError):  # It is complete by now.
            sizes.append(part.stat().st_size)
    return sizes


def repository(home: Path, key: str = "clip") -> Path:
    return home / "hub" / f"models--{MODELS[key].hub_id.replace('/', '--')}"


def snapshot(home: Path, key: str = "clip") -> Path:
    return repository(home, key) / "snapshots" / MODELS[key].revision


def times_asked(hub: Hub, name: str) -> list[str]:
    """The ranges of the requests for a file from the host of large files."""
    return [headers.get("Range", "") for path, headers in hub.asked if path.startswith("/large/") and name in path]


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.add(MODELS["clip"], CLIP_FILES | {WEIGHTS: safetensors(LONG)})
        yield hub


# What is fetched, and what the cache then looks like.


def test_fetch_takes_what_is_needed_and_no_more(hub, tmp_path):
    hub.add(MODELS["clip"], CLIP_FILES | dict.fromkeys(
        ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "README.md", "onnx/model.onnx", "onnx/config.json"),
        b"no"))
    code, out, err = run(tmp_path, hub, "fetch", "clip", quick=False)
    assert (code, err) == (0, "")
    first, last = out.splitlines()
    assert f"Downloading {ID} from {hub.address}" in first
    assert f"in {len(CLIP_FILES)} files; " in first and f"free in {tmp_path / 'hub'}" in first
    folder = Path(last.removeprefix("clip: complete, in "))
    assert folder == snapshot(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CLIP_FILES
    assert not parts(tmp_path)
    # Now it is here, and nobody is asked again.
    asked = len(hub.asked)
    assert run(tmp_path, hub, "fetch", "clip", HF_HUB_OFFLINE="1") == (0, last + "\n", "")
    assert len(hub.asked) == asked


def test_the_cache_is_the_librarys_own(hub, tmp_path):
    """huggingface_hub takes what we fetched for its own download, and finds it by name alone without a network."""
    code, _, _ = run(tmp_path, hub, "fetch", "clip")
    assert code == 0
    sent = hub.sent.total()
    program = """
import sys
from huggingface_hub import scan_cache_dir, snapshot_download
print(snapshot_download(sys.argv[1], revision=sys.argv[2] or None, allow_patterns="*"))
[repository] = scan_cache_dir().repos
print(repository.size_on_disk, repository.nb_files, [len(scan_cache_dir().warnings)])
"""
    for revision, offline in ((MODELS["clip"].revision, "0"), (MODELS["clip"].revision, "1"), ("", "1")):
        folder, scan = python(program, tmp_path, hub, ID, revision, HF_HUB_OFFLINE=offline).splitlines()
        assert Path(folder) == snapshot(tmp_path)
        blobs = set((CLIP_FILES | {WEIGHTS: safetensors(LONG)}).values())  # files that are alike are one blob
        assert scan == f"{sum(map(len, blobs))} {len(blobs)} [0]"
    assert hub.sent.total() == sent
    assert all(path.is_symlink() and not os.path.isabs(os.readlink(path)) for path in snapshot(tmp_path).iterdir())


@pytest.mark.parametrize("key, files, absent", [
    ("sbert-clip", SBERT_FILES | {"0_CLIPModel/pytorch_model.bin": b"no"}, "0_CLIPModel/pytorch_model.bin"),
    ("sbert-clip-multilingual", TEXT_FILES | {"pytorch_model.bin": b"no"}, "pytorch_model.bin"),
    ("blip2", BLIP2_FILES | {"pytorch_model-00001-of-00001.bin": b"no", "pytorch_model.bin.index.json": b"{}"},
     "pytorch_model.bin.index.json"),
    # Each folder is asked for its safetensors.
    ("sbert-clip-multilingual", {name: content for name, content in TEXT_FILES.items() if name != f"2_Dense/{WEIGHTS}"}
     | {"2_Dense/pytorch_model.bin": b"\x80\2}q\0."}, f"2_Dense/{WEIGHTS}"),
    ("blip", {name: content for name, content in CLIP_FILES.items() if name != WEIGHTS}
     | {"pytorch_model.bin": b"\x80\2}q\0."}, WEIGHTS)])
def test_layouts_and_pickles_only_where_there_is_nothing_else(hub, tmp_path, key, files, absent):
    hub.add(MODELS[key], files)
    code, out, err = run(tmp_path, hub, "fetch", key)
    assert code == 0, err
    assert not (snapshot(tmp_path, key) / absent).exists()
    kept = [name for name in files if name != absent and files[name] != b"no"]
    assert all((snapshot(tmp_path, key) / name).read_bytes() == files[name] for name in kept)


def test_all_is_what_the_lessons_load(hub, tmp_path):
    for key in LESSONS:
        hub.add(MODELS[key], {"sbert-clip": SBERT_FILES, "blip2": BLIP2_FILES}.get(key, CLIP_FILES))
    code, out, _ = run(tmp_path, hub, "fetch", "all", "clip")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines() if ": complete" in line] == list(LESSONS)


def test_the_token_goes_to_the_hub_alone(hub, tmp_path):
    code, _, _ = run(tmp_path, hub, "fetch", "clip", HF_TOKEN="hf_secret")
    assert code == 0
    tokens = {path.startswith("/large/"): headers.get("authorization") for path, headers in hub.asked}
    assert tokens == {False: "Bearer hf_secret", True: None}


def test_a_proxy_is_used(hub, tmp_path):
    """The hub stands in for a proxy: what reaches it was asked of a host that does not exist."""
    code, out, err = run(tmp_path, "http://hub.invalid", "fetch", "clip", HTTP_PROXY=hub.address)
    assert code == 0, err
    assert {headers["Host"] for path, headers in hub.asked if path.startswith("/api/")} == {"hub.invalid"}


# Every misfortune has its sentence.

FAULTS = {
    # What goes wrong: file and fault; what stderr says; whether the run ends well.
    "no such file": (WEIGHTS, Fault("status", value=404), f"HTTP 404: /{ID}/resolve/", False),
    "no such repository": ("api", Fault("status", value=404), f"HTTP 404: /api/models/{ID}/revision/", False),
    "a gated one": ("api", Fault("status", value=401), "does not exist there, or needs a token in HF_TOKEN", False),
    "a forbidden one": ("api", Fault("status", value=403), "access is denied: it may need a token", False),
    "busy at first": ("api", Fault("status", value=429, seconds=1, times=1),
                      "HTTP 429: trying again in 1 s (2 of 4)", True),
    "busy in the middle": (WEIGHTS, Fault("status", value=429, seconds=1, times=1), "trying again in 1 s", True),
    "busy for an hour": (WEIGHTS, Fault("status", value=429, seconds=3600),
                         "HTTP 429, and it asks to wait 3600 seconds", False),
    "an error of its own, twice": (WEIGHTS, Fault("status", value=500, times=2), "HTTP 500: trying again", True),
    "an error of its own": ("api", Fault("status", value=503), "(HTTP 503)", False),
    "a cut connection": (WEIGHTS, Fault("cut", at=20_000, times=1), "127.0.0.1 cut the connection: trying again", True),
    "cut again and again": (WEIGHTS, Fault("cut", at=0), "127.0.0.1 cut the connection; the", False),
    "silence in the middle": (WEIGHTS, Fault("stall", at=20_000, times=1),
                              "no answer from 127.0.0.1 for 1 seconds: trying again", True),
    "silence from the other host": (WEIGHTS, Fault("stall"), "no answer from 127.0.0.1 for 1 seconds; the", False),
    "silence from the start": ("api", Fault("stall"), "(no answer from 127.0.0.1 for 1 seconds)", False),
    "a list that drips": ("api", Fault("drip", at=50, seconds=0.3), "(no answer from 127.0.0.1 for 1 seconds)", False),
    "a redirect to a dead host": (WEIGHTS, Fault("dead host"), "no connection to 127.0.0.1: [Errno", False),
    "a wrong hash": (WEIGHTS, Fault("wrong hash"),
                     f"{WEIGHTS} came with another hash than the one listed, so it was deleted", False),
    "a wrong hash of a small file": ("merges.txt", Fault("wrong hash"), "merges.txt came with another hash", False),
    "a wrong size": (WEIGHTS, Fault("wrong size"), "bytes there where", False),
    "more bytes than listed": (WEIGHTS, Fault("endless"), f"{WEIGHTS} is longer than the", False),
    "no ranges": (WEIGHTS, Fault("no ranges"), "", True),
    "a login page": ("api", Fault("text", value=b"<html>Welcome!"), "perhaps the login page of a network", False),
    "no list": ("api", Fault("text", value=b'{"sha": 1}'), "its answer is no list of files", False),
    "another commit": ("api", Fault("text", value=b'{"sha": "' + b"d" * 40 + b'", "siblings": []}'),
                       f"it answers with commit {'d' * 40} where", False),
    "a list without hashes": ("api", Fault("text", value=json.dumps({
        "sha": MODELS["clip"].revision, "siblings": [{"rfilename": "config.json", "size": 2}]}).encode()),
        "it does not tell size and hash of config.json", False),
    "a hash that is a path": ("api", Fault("text", value=json.dumps({
        "sha": MODELS["clip"].revision, "siblings": [{"rfilename": "config.json", "size": 2, "blobId": "../../x"}],
        }).encode()), "it does not tell size and hash of config.json", False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_told_in_a_sentence(hub, tmp_path, name):
    where, fault, sentence, ends_well = FAULTS[name]
    hub.faults[where] = fault
    impatient = {"HF_HUB_DOWNLOAD_TIMEOUT": "1"} if fault.kind in ("stall", "drip") else {}
    code, err, seconds = told(start(tmp_path, hub, "fetch", "clip", **impatient), hub)
    assert seconds < 15
    assert sentence in err
    assert "Traceback" not in err
    if ends_well:
        assert code == 0, err
        assert (snapshot(tmp_path) / WEIGHTS).read_bytes() == safetensors(LONG)
        return
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"error: {ID} could not be fetched from {hub.address} (")
    assert sentence in last
    for way in ("HF_ENDPOINT=https://hf-mirror.com", "MULTIMODAL_WEIGHTS=FOLDER", "openai--clip-vit-base-patch32",
                "--models embedded"):
        assert way in last
    # Nothing that is not right is left where a program would find it; and when all is well, the next run succeeds.
    assert weights.missing(snapshot(tmp_path))
    hub.faults.clear()
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    assert (snapshot(tmp_path) / WEIGHTS).read_bytes() == safetensors(LONG)


@pytest.mark.parametrize("address, more, sentence", [
    ("http://127.0.0.1:9", {}, "(no connection to 127.0.0.1: [Errno"),
    ("http://hub.invalid", {}, "(no connection to hub.invalid: "),
    ("http://hub.invalid", {"HTTP_PROXY": "http://127.0.0.1:9"},
     "(no connection to hub.invalid by the proxy that is set: [Errno"),
    # As GNOME writes it, and as it is right, but without the package that speaks it.
    ("http://hub.invalid", {"ALL_PROXY": "socks://127.0.0.1:9/"}, "(the proxy that is set cannot be used: Unknown"),
    ("http://hub.invalid", {"ALL_PROXY": "socks5://127.0.0.1:9"}, "(the proxy that is set cannot be used: Using SOCKS"),
    ("hub.invalid", {}, "Request URL is missing an 'http://' or 'https://' protocol"),
    ("http://127.0.0.1:9", {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids fetching it: unset it")])
def test_no_route(tmp_path, address, more, sentence):
    code, _, err = run(tmp_path, address, "fetch", "clip", quick=False, **more)
    assert code == 1 and sentence in err
    assert len(err.splitlines()) == 1 and "Traceback" not in err


def test_silence_ends_within_fifteen_seconds_with_the_librarys_own_deadline(hub, tmp_path):
    hub.faults["api"] = Fault("stall")
    code, err, seconds = told(start(tmp_path, hub, "fetch", "clip", quick=False, HF_HUB_DOWNLOAD_TIMEOUT="10"), hub)
    assert code == 1 and 9 < seconds < 15
    assert "no answer from 127.0.0.1 for 10 seconds" in err


def test_a_slow_drip_shows_its_speed_and_the_time_left(hub, tmp_path):
    hub.faults[WEIGHTS] = Fault("drip", at=1_000, seconds=0.03)
    code, out, err = run(tmp_path, hub, "fetch", "clip")
    assert code == 0
    lines = err.splitlines()
    assert len(lines) >= 3
    assert all(" kB/s, 0:00:0" in line and line.endswith(" left") for line in lines[1:])
    percent = [int(line.split("%")[0]) for line in lines]
    assert percent == sorted(set(percent))


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal as Unix has it")
def test_a_terminal_gets_one_bar(hub, tmp_path):
    hub.faults[WEIGHTS] = Fault("drip", at=1_000, seconds=0.02)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", QUICK, "fetch", "clip"], env=environment(tmp_path, hub),
                               stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while block := os.read(ours, 1024):
            text += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"[#####" in text and b"left" in text and b"\n" not in text
    assert text.endswith(b" \r")  # wiped away


def test_a_disk_that_is_too_small(hub, tmp_path):
    hub.add(MODELS["clip"], CLIP_FILES | {WEIGHTS: 10**17})
    code, _, err = run(tmp_path, hub, "fetch", "clip")
    assert code == 1
    assert f"free and {ID} needs 100000000 GB: make room, or name a folder on a larger disk in HF_HOME" in err
    assert not any("/resolve/" in path for path, _ in hub.asked)


def test_a_disk_that_fills_up(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    from multimodal import download
    monkeypatch.setattr(download.constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(download, "hf_hub_url", lambda hub_id, name, revision: f"{hub.address}/{hub_id}/resolve/main/x")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_fetch", full)
    with pytest.raises(download.DownloadError, match="The disk of .* is full: make room"):
        weights.fetch(MODELS["clip"])


@pytest.mark.skipif(sys.platform == "win32", reason="a limit as Unix has it")
def test_a_disk_that_takes_half_of_a_block(hub, tmp_path):
    """A write may end early without an error; the file would be short, and its hash, taken from memory, right."""
    import resource

    process = subprocess.Popen([sys.executable, "-c", QUICK, "fetch", "clip"], env=environment(tmp_path, hub),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LONG // 2, LONG // 2)))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and f"The disk of {tmp_path / 'hub'} is full: make room" in err
    assert weights.missing(snapshot(tmp_path))
    code, out, _ = run(tmp_path, hub, "fetch", "clip")
    assert code == 0 and "of which 0.025 MB came in an earlier run" in out


def test_a_cache_that_cannot_be_written(hub, tmp_path):
    (tmp_path / "hub").write_text("a file")
    code, _, err = run(tmp_path, hub, "fetch", "clip")
    assert code == 1 and err.startswith(f"error: {tmp_path / 'hub'}") and len(err.splitlines()) == 1


def test_a_mirror_that_lacks_a_file(hub, tmp_path):
    hub.add(MODELS["clip"], {name: content for name, content in CLIP_FILES.items() if name != "merges.txt"})
    code, _, err = run(tmp_path, hub, "fetch", "clip")
    assert code == 1 and "the tokenizer's vocabulary is missing" in err


def test_another_commit_is_used_but_the_pinned_one_is_fetched(hub, tmp_path):
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    other = snapshot(tmp_path).with_name("a" * 40)
    snapshot(tmp_path).rename(other)
    found = f"clip: complete, in {other}\n"
    assert run(tmp_path, hub, "fetch", "clip", HF_HUB_OFFLINE="1")[1] == found
    code, out, _ = run(tmp_path, hub, "fetch", "clip")
    assert code == 0 and out.endswith(f"clip: complete, in {snapshot(tmp_path)}\n")


def test_what_others_brought_is_checked_before_it_is_used(hub, tmp_path):
    """A file of the right size under the name of its hash, and another content."""
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    blob = (snapshot(tmp_path) / WEIGHTS).resolve()
    (snapshot(tmp_path) / "config.json").unlink()  # so that there is something to fetch
    blob.write_bytes(blob.read_bytes()[:-1] + b"\2")
    sent = hub.sent[WEIGHTS]
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    assert blob.read_bytes() == safetensors(LONG) and hub.sent[WEIGHTS] == 2 * sent


# Going on where it stopped.


def test_ctrl_c_keeps_what_has_come(hub, tmp_path):
    hub.faults[WEIGHTS] = Fault("stall", at=20_000, times=1)
    process = start(tmp_path, hub, "fetch", "clip", quick=False)
    wait_for(lambda: parts(tmp_path) == [20_000])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        130, "Stopped. What has come is kept: the next run goes on from there.\nerror: interrupted\n")
    listed = run(tmp_path, None, "list")[1]
    assert next(line for line in listed.splitlines() if line.startswith("clip ")).endswith(" 0.02 MB of it")
    assert "clip: 0.02 MB of an interrupted download; fetch clip goes on" in run(tmp_path, None, "check")[1]
    code, out, _ = run(tmp_path, hub, "fetch", "clip")
    assert code == 0 and "of which 0.02 MB came in an earlier run" in out
    assert times_asked(hub, WEIGHTS) == ["", "bytes=20000-"]
    assert hub.sent[WEIGHTS] == len(safetensors(LONG))


def test_a_part_that_belongs_to_nothing_is_found_out(hub, tmp_path):
    """What an earlier run left is hashed with the rest: a wrong beginning never becomes a file."""
    hub.faults[WEIGHTS] = Fault("stall", at=20_000, times=1)
    process = start(tmp_path, hub, "fetch", "clip")
    wait_for(lambda: parts(tmp_path) == [20_000])
    process.kill()
    process.communicate()
    [part] = repository(tmp_path).glob("blobs/*.part")
    for damage, ends_well in ((b"\0" * 20_000, False), (b"\0" * (LONG + 10_000), True)):
        part.write_bytes(damage)
        code, _, err = run(tmp_path, hub, "fetch", "clip")
        assert (code == 0) == ends_well
        assert ("another hash than the one listed, so it was deleted" in err) == (not ends_well)
        assert not part.exists()
    assert (snapshot(tmp_path) / WEIGHTS).read_bytes() == safetensors(LONG)


def test_a_server_without_ranges_begins_again(hub, tmp_path):
    hub.faults[WEIGHTS] = Fault("cut", at=20_000, times=1)
    process = start(tmp_path, hub, "fetch", "clip", quick=False)
    wait_for(lambda: parts(tmp_path) == [20_000])  # during the second before it tries again
    hub.faults[WEIGHTS] = Fault("no ranges")
    assert process.communicate(timeout=60) and process.returncode == 0
    assert times_asked(hub, WEIGHTS) == ["", "bytes=20000-"]
    assert hub.sent[WEIGHTS] == 20_000 + len(safetensors(LONG))
    assert (snapshot(tmp_path) / WEIGHTS).read_bytes() == safetensors(LONG)


def test_two_processes_at_once_share_one_download(hub, tmp_path):
    hub.faults[WEIGHTS] = Fault("stall", at=20_000, times=1)
    first = start(tmp_path, hub, "fetch", "clip")
    wait_for(lambda: parts(tmp_path) == [20_000])
    second = start(tmp_path, hub, "fetch", "clip")
    line = second.stderr.readline()
    assert line.startswith("Another process downloads it (") and line.endswith(" is held): waiting.\n")
    hub.release()
    for process in (first, second):
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and "clip: complete" in out
    assert hub.sent[WEIGHTS] == len(safetensors(LONG))


# The other commands.


def test_help_and_list_import_nothing_heavy(tmp_path):
    program = """
import sys
from multimodal import weights
weights.main(["list"])
try:
    weights.main(["--help"])
except SystemExit as ending:
    assert ending.code == 0
print([name for name in ("torch", "transformers", "huggingface_hub", "httpx2", "numpy") if name in sys.modules])
"""
    assert python(program, tmp_path, None).splitlines()[-1] == "[]"


def test_list_says_what_there_is(hub, tmp_path):
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    old = repository(tmp_path, "blip") / "snapshots" / ("a" * 40)
    for name, content in CLIP_FILES.items():
        old.mkdir(parents=True, exist_ok=True)
        (old / name).write_bytes(content)
    code, out, _ = run(tmp_path, None, "list", quick=False)
    rows = {line.split()[0]: line for line in out.splitlines()[1:-3]}
    assert code == 0 and list(rows) == list(MODELS)
    for key, model in MODELS.items():
        assert model.hub_id in rows[key] and model.licence in rows[key] and model.revision[:7] in rows[key]
    assert rows["clip"].endswith(" yes") and rows["blip"].endswith(" yes, at aaaaaaa")
    assert rows["sbert-clip"].endswith(" no")
    assert " 990 MB " in rows["blip"] and " 15 GB " in rows["blip2"]
    assert " ~1.5 GB " in rows["siglip2"]


def test_where_says_where(hub, tmp_path):
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    own = tmp_path / "own"
    (own / "blip-vqa-base").mkdir(parents=True)
    for name, content in CLIP_FILES.items():
        (own / "blip-vqa-base" / name).write_bytes(content)
    code, out, _ = run(tmp_path, hub, "where", quick=False, MULTIMODAL_WEIGHTS=str(own), HF_HUB_OFFLINE="1")
    assert code == 0
    for words in (f"{own}\n", f"{tmp_path / 'hub'} (", f"from {hub.address} (HF_ENDPOINT), but HF_HUB_OFFLINE forbids",
                  f"{snapshot(tmp_path)}\n", f"{own / 'blip-vqa-base'}\n"):
        assert words in out


def test_check_finds_a_changed_byte(hub, tmp_path):
    assert run(tmp_path, None, "check")[:2] == (
        0, "No weights of the real models are on this machine: `fetch NAME` downloads some.\n")
    assert run(tmp_path, hub, "fetch", "clip")[0] == 0
    code, out, _ = run(tmp_path, None, "check", quick=False)
    assert code == 0
    assert out == f"clip: complete, {len(CLIP_FILES)} files with the right hashes, in {snapshot(tmp_path)}\n"
    for name in (WEIGHTS, "merges.txt"):
        blob = (snapshot(tmp_path) / name).resolve()
        content = blob.read_bytes()
        blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        code, out, _ = run(tmp_path, None, "check")
        assert (code, out) == (1, f"clip: {name} is damaged; delete {blob}, then fetch clip\n")
        blob.unlink()
        assert run(tmp_path, hub, "fetch", "clip")[0] == 0
        assert run(tmp_path, None, "check")[0] == 0
        assert blob.read_bytes() == content


def test_check_of_a_folder_of_the_readers_own(tmp_path):
    folder = tmp_path / "own/openai--clip-vit-base-patch32"
    folder.mkdir(parents=True)
    for name, content in CLIP_FILES.items():
        (folder / name).write_bytes(content)
    code, out, _ = run(tmp_path, None, "check", MULTIMODAL_WEIGHTS=str(tmp_path / "own"))
    assert code == 0 and "clip: complete, but nothing here tells which hashes" in out
    (folder / WEIGHTS).rename(tmp_path / "elsewhere.safetensors")
    (folder / WEIGHTS).symlink_to(tmp_path / "elsewhere.safetensors")  # a link of the reader's, named after no hash
    code, out, _ = run(tmp_path, None, "check", MULTIMODAL_WEIGHTS=str(tmp_path / "own"))
    assert code == 0 and "clip: complete, but nothing here tells which hashes" in out
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).write_bytes(safetensors()[:-1])
    code, out, _ = run(tmp_path, None, "check", MULTIMODAL_WEIGHTS=str(tmp_path / "own"))
    assert code == 1 and f"is not complete: {WEIGHTS} is" in out
    for command, said in (("list", "not complete"), ("where", f"is not complete: {WEIGHTS} is")):
        code, out, _ = run(tmp_path, None, command, MULTIMODAL_WEIGHTS=str(tmp_path / "own"))
        assert code == 0 and said in out


def test_a_folder_may_be_the_models_own_and_relative(tmp_path, monkeypatch):
    folder = tmp_path / "clip-vit-base-patch32"
    folder.mkdir()
    for name, content in CLIP_FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    for own in (".", "clip-vit-base-patch32"):
        monkeypatch.setenv("MULTIMODAL_WEIGHTS", own)
        assert weights.find(MODELS["clip"]) == folder
    folder.rename(tmp_path / "weights-of-clip")
    monkeypatch.setenv("MULTIMODAL_WEIGHTS", ".")
    with pytest.raises(UserError, match="holds no model of this chapter.* openai--clip-vit-base-patch32 for CLIP"):
        weights.find(MODELS["clip"])


def test_wrong_names_and_the_exit_codes(tmp_path):
    code, _, err = run(tmp_path, None, "fetch", "clip", "clap", quick=False)
    assert code == 2 and err.startswith("error: There is no model clap: take one of clip, sbert-clip, ")
    assert run(tmp_path, None)[0] == run(tmp_path, None, "fetch")[0] == run(tmp_path, None, "eat")[0] == 2
    plain, told = (run(tmp_path, "http://127.0.0.1:9", *debug, "fetch", "clip") for debug in ((), ("--debug",)))
    assert plain[0] == told[0] == 1 and "Traceback" in told[2]
    assert told[2].splitlines()[-1] == plain[2].splitlines()[-1]


# The whole path, with weights that load: nothing cached, killed in the middle, run again, verified, loaded, offline.

WHOLE_PATHS = {"clip": "pytorch_model.bin", "blip2": "model-00002-of-00002.safetensors"}  # killed in this file
LOAD = """
import sys
import torch
from transformers import AutoProcessor, Blip2ForConditionalGeneration, CLIPModel
from multimodal import weights
from multimodal.models import CHECKPOINTS, MODELS

for key, model in (("clip", CLIPModel), ("blip2", Blip2ForConditionalGeneration)):
    fetched = weights.fetch(MODELS[key])
    expected = model.from_pretrained(CHECKPOINTS / key).state_dict()
    for path in (fetched, MODELS[key].hub_id):  # by folder as the lessons do, and by name as any other program does
        processor = AutoProcessor.from_pretrained(path)
        found = model.from_pretrained(path).state_dict()
        assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    print(fetched, type(processor).__name__)
"""


def pickled(weights: bytes) -> bytes:
    """What torch.save makes of a file of safetensors."""
    import torch
    from safetensors.torch import load

    file = io.BytesIO()
    torch.save(load(weights), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """A home whose cache holds CLIP and the sharded BLIP-2, fetched by runs that were killed and runs that went on."""
    home, at = tmp_path_factory.mktemp("home"), 4_000_000
    for key, name in WHOLE_PATHS.items():
        files = embedded(CHECKPOINTS / key)
        # As the real repositories have them: OpenAI's has no safetensors, that of BLIP-2 has two shards and an index.
        files |= sharded(files.pop(WEIGHTS)) if key == "blip2" else {name: pickled(files.pop(WEIGHTS))}
        with Hub() as hub:
            hub.add(MODELS[key], files)
            hub.faults[name] = Fault("stall", at=at, times=1)
            process = start(home, hub, "fetch", key, quick=False)
            wait_for(lambda: parts(home)[-1:] == [at])
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            assert weights.missing(snapshot(home, key))
            code, out, err = run(home, hub, "fetch", key, quick=False)
            assert code == 0, err
            needed = weights.needed(list(files))
            before = at + sum(len(files[other]) for other in needed if len(files[other]) < len(files[name]))
            assert f"of which {readable_size(before)} came in an earlier run" in out
            assert times_asked(hub, name) == ["", f"bytes={at}-"]
            # Each byte went over the wire once, but for what else the repository holds.
            assert hub.sent == {name: len(files[name]) for name in needed}
            found = {path.relative_to(snapshot(home, key)).as_posix() for path in snapshot(home, key).rglob("*")}
            assert found == set(needed)
        code, out, _ = run(home, None, "check", HF_HUB_OFFLINE="1")
        assert code == 0 and f"{key}: complete, {len(needed)} files with the right hashes" in out
    return home


def test_killed_resumed_verified_and_loaded_offline(fetched):
    assert python(LOAD, fetched, None).splitlines() == [
        f"{snapshot(fetched, key)} {name}Processor" for key, name in (("clip", "CLIP"), ("blip2", "Blip2"))]


def test_a_pickle_runs_no_code(tmp_path):
    """The library's weights-only loader refuses what a pickle of PyTorch's might smuggle in."""
    import torch
    from transformers import CLIPModel

    class Smuggled:
        def __reduce__(self):
            return Path.touch, (tmp_path / "smuggled",)

    (tmp_path / "config.json").write_bytes((CHECKPOINTS / "clip/config.json").read_bytes())
    torch.save({"weight": Smuggled()}, tmp_path / "pytorch_model.bin")
    weights.watch_loading()
    with pytest.raises(UserError, match="cannot be loaded") as error:
        CLIPModel.from_pretrained(tmp_path)
    assert isinstance(error.value.__cause__, pickle.UnpicklingError)
    assert "Weights only load failed" in str(error.value.__cause__)
    assert not (tmp_path / "smuggled").exists()


LOAD_IN_BF16 = """
import os
import sys
import torch
from transformers import CLIPModel, modeling_utils
from multimodal import weights
from multimodal.hardware import peak_memory

before, safe_open = peak_memory(), modeling_utils.safe_open
if sys.argv[2] == "frugal":
    weights.watch_loading()
model = CLIPModel.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
assert model.dtype is torch.bfloat16 and modeling_utils.safe_open is safe_open
size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
print((peak_memory() - before) / size, sum(parameter.float().sum().item() for parameter in model.parameters()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak counts otherwise")
def test_weights_are_never_twice_in_memory(tmp_path):
    """FP32 weights on disk, loaded in BF16: with the file mapped, the peak would be the model and twice its size."""
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 6}
    CLIPModel(CLIPConfig(text_config={"num_hidden_layers": 1, "vocab_size": 1000}, vision_config=small)
              ).save_pretrained(tmp_path / "model")
    (mapped, same), (frugal, sums) = (
        map(float, python(LOAD_IN_BF16, tmp_path, None, str(tmp_path / "model"), how).split())
        for how in ("mapped", "frugal"))
    assert same == sums
    assert frugal < 1.4 and mapped > 2, (frugal, mapped)


# The lesson takes BLIP-2 for as small as it here is, so that no machine is too small for it.
LESSON = """
import runpy
import sys
from dataclasses import replace
from multimodal.models import GB, MODELS

MODELS["blip2"] = replace(MODELS["blip2"], parameters=10_000_000, cpu_memory=GB)
MODELS["clip"] = replace(MODELS["clip"], parameters=7_000_000, cpu_memory=GB)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("key, lesson", [("clip", "9.1_clip_basics.py"), ("blip2", "9.4_blip2_vision_qa.py")])
def test_a_lesson_runs_on_what_was_fetched_and_asks_no_network(hub, fetched, tmp_path, key, lesson):
    out = python(LESSON, fetched, hub, lesson, "--models", "hub", "--device", "cpu", "--output", str(tmp_path),
                 HF_HUB_OFFLINE="0")
    assert hub.asked == []
    assert f"Model: {MODELS[key].name}, local weights, on cpu" in out
    results = json.loads((tmp_path / lesson[:3] / "results.json").read_text())
    assert (results["models"][0]["key"], results["models"][0]["source"]) == (key, "local weights")
    assert results["figures"]


def test_the_commits_go_with_the_transformers_that_is_required():
    from packaging.specifiers import SpecifierSet

    assert f"transformers{weights.TRANSFORMERS}" in (ROOT / "requirements.txt").read_text().splitlines()
    assert version("transformers") in SpecifierSet(weights.TRANSFORMERS)


# Weights that load but are not the model's


def spoil(tensors: dict, how: str) -> dict:
    """Tensors as an interrupted or careless program may leave them."""
    names = sorted(tensors)
    if how == "a few are missing":
        return {name: tensor for number, (name, tensor) in enumerate(sorted(tensors.items())) if number % 7}
    if how == "one is missing":
        return {name: tensor for name, tensor in tensors.items() if name != names[len(names) // 2]}
    if how == "one too many":
        return tensors | {"head.weight": tensors[names[0]].clone()}
    if how == "one is no number":
        tensors[names[-1]].view(-1)[-1] = float("nan")
    if how == "one is infinite":
        tensors[names[-1]].view(-1)[0] = float("inf")
    if how == "one is all zero":
        next(tensor for tensor in tensors.values() if tensor.ndim > 1).zero_()
    return tensors


SPOILT = {"a few are missing": "missing: .* more tensors", "one is missing": "missing: ",
          "one too many": "unexpected: head", "one is no number": "not finite: ",
          "one is infinite": "not finite: ", "one is all zero": "all zero: ",
          "the second half is zero": "all zero: ", "nothing": ""}


@pytest.mark.parametrize("key, model_class, how", [
    *(("clip", "CLIPModel", how) for how in SPOILT), *((key, model_class, how) for key, model_class in (
        ("clip", "AutoModel"), ("clip", "SentenceTransformer"), ("blip", "BlipForConditionalGeneration"),
        ("blip2", "Blip2ForConditionalGeneration")) for how in ("a few are missing", "the second half is zero"))])
def test_weights_that_are_not_the_models_are_refused(tmp_path, key, model_class, how):
    import sentence_transformers
    import transformers
    from safetensors.torch import load_file, save_file

    folder = tmp_path / key
    shutil.copytree(CHECKPOINTS / key, folder)
    file = folder / WEIGHTS
    save_file(spoil(load_file(file), how), file, {"format": "pt"})
    if how == "the second half is zero":
        content = file.read_bytes()
        file.write_bytes(content[:len(content) // 2] + bytes(len(content) - len(content) // 2))
    assert not weights.missing(folder)  # nothing is to be seen from outside
    weights.watch_loading()

    def load():
        if model_class == "SentenceTransformer":
            return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        return getattr(transformers, model_class).from_pretrained(folder, dtype="float32")

    if SPOILT[how]:
        with pytest.raises(UserError, match=SPOILT[how]) as error:
            load()
        assert str(folder) in str(error.value) and error.value.status == 2
    else:
        load()


def test_a_lesson_ends_with_a_sentence_on_weights_that_are_not_the_models(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "clip-vit-base-patch32"
    shutil.copytree(CHECKPOINTS / "clip", folder)
    save_file(spoil(load_file(folder / WEIGHTS), "a few are missing"), folder / WEIGHTS, {"format": "pt"})
    done = subprocess.run([sys.executable, ROOT / "9.2_clip_similarity_matrix.py", "--weights", tmp_path], timeout=100,
                          cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"error: The weights in {folder} are not those of the model: missing: " in done.stderr.splitlines()[-1]

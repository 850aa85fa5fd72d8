"""What a program inherits: variables that libraries read when they are imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multimodal import variables

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name, bad, good", [
    ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "30"), ("HF_HUB_DOWNLOAD_TIMEOUT", "", "30"),
    ("HF_HUB_ETAG_TIMEOUT", "1.5s", "10"), ("OMP_NUM_THREADS", "all", "2"), ("OMP_NUM_THREADS", "-1", "4,2"),
    ("MKL_NUM_THREADS", "two", "2"), ("SSL_CERT_FILE", "/nowhere/ca.pem", __file__), ("SSL_CERT_FILE", "", __file__),
    ("REQUESTS_CA_BUNDLE", "/nowhere", str(ROOT)), ("SSL_CERT_DIR", "/nowhere", str(ROOT))])
def test_bad_values_are_left_out_by_name(name, bad, good):
    environment = {name: bad, "OTHER": "x"}
    (sentence,) = variables.drop_bad_values(environment)
    assert sentence.startswith(name) and sentence.endswith("it is left out.") and environment == {"OTHER": "x"}
    environment = {name: good}
    assert list(variables.drop_bad_values(environment)) == [] and environment == {name: good}


def test_the_libraries_can_be_imported_whatever_is_set():
    """Each of these ends an import with a traceback."""
    bad = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "HF_HUB_DOWNLOAD_TIMEOUT": "soon",
           "SSL_CERT_FILE": "/nowhere/ca.pem"}
    code = "import multimodal, matplotlib.pyplot, huggingface_hub, httpx2; httpx2.Client()"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | bad, cwd=ROOT, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["HF_HUB_DOWNLOAD_TIMEOUT", "SSL_CERT_FILE"]


def test_a_notebook_keeps_its_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    environment = {"MPLBACKEND": "inline"}
    variables.prepare(environment)
    assert environment == {"MPLBACKEND": "inline"}

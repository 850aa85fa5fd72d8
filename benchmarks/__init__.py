"""Measurements. multimodal comes first: it sets what the Hugging Face libraries read when they are imported."""

import multimodal  # noqa: F401

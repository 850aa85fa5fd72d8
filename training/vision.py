"""The small CLIP's vision tower, in the form in which BLIP and BLIP-2 keep theirs.

CLIP normalises its patch embeddings before the first layer; the towers of BLIP and BLIP-2 do not. So the weights
are carried over, the patch embedding takes up the average effect of that normalisation, and a short distillation
lets the tower make CLIP's features again: `python -m training.vision`, after `python -m training.clip`.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BlipVisionConfig, BlipVisionModel, CLIPVisionModel

from .clip import VISION
from .loop import CHECKPOINTS, Run, mixed_precision
from .pictures import Pool
from .sprites import CACHE

BATCH = 64


@torch.no_grad()
def carry_over(source: CLIPVisionModel, target: BlipVisionModel, pixels: torch.Tensor) -> None:
    """Copy CLIP's vision weights into BLIP's tower.

    Args:
        pixels: Some pictures (batch, 3, height, width), to measure what the first normalisation does on average.
    """
    def copy(destination: torch.Tensor, value: torch.Tensor) -> None:
        destination.copy_(value.reshape(destination.shape))

    embedded = source.embeddings(pixels)  # (batch, 50, width), before the normalisation
    norm = source.pre_layrnorm
    deviation = embedded.std(-1, correction=0).mean(0)  # (50,)
    mean = embedded.mean(-1).mean(0)
    scale = norm.weight / deviation[1:].mean()  # (width,)
    positions = source.embeddings.position_embedding.weight
    copy(target.embeddings.patch_embedding.weight,
         source.embeddings.patch_embedding.weight * scale.view(-1, 1, 1, 1))
    target.embeddings.patch_embedding.bias.zero_()
    shifted = (positions - mean[:, None]) * scale + norm.bias
    # The class token is the same for every picture, so its normalisation is exact.
    class_token = norm(source.embeddings.class_embedding + positions[0])
    copy(target.embeddings.class_embedding, class_token - shifted[0])
    copy(target.embeddings.position_embedding, shifted)
    for theirs, ours in zip(source.encoder.layers, target.encoder.layers):
        attention = theirs.self_attn
        copy(ours.self_attn.qkv.weight, torch.cat([p.weight for p in (attention.q_proj, attention.k_proj,
                                                                      attention.v_proj)]))
        copy(ours.self_attn.qkv.bias, torch.cat([p.bias for p in (attention.q_proj, attention.k_proj,
                                                                  attention.v_proj)]))
        ours.self_attn.projection.load_state_dict(attention.out_proj.state_dict())
        ours.layer_norm1.load_state_dict(theirs.layer_norm1.state_dict())
        ours.layer_norm2.load_state_dict(theirs.layer_norm2.state_dict())
        ours.mlp.load_state_dict(theirs.mlp.state_dict())
    target.post_layernorm.load_state_dict(source.post_layernorm.state_dict())


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry CLIP's vision tower over to the form of BLIP and BLIP-2.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=13)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    pool = Pool()
    source = CLIPVisionModel.from_pretrained(CHECKPOINTS / "clip", dtype=torch.float32).eval()
    source.set_attn_implementation("eager")
    target = BlipVisionModel(BlipVisionConfig(**VISION))
    target.set_attn_implementation("eager")
    carry_over(source, target, pool.batch(256, rng)[0])
    run = Run("tower", target, options.steps, rng, matrix_rate=0.002, other_rate=5e-4, after=("clip-text",))
    for _ in run:
        pixels, _records = pool.batch(BATCH, rng)
        with mixed_precision():
            with torch.no_grad():
                wanted = source.post_layernorm(source(pixel_values=pixels).last_hidden_state)
            features = target(pixel_values=pixels).last_hidden_state
        cosine = F.cosine_similarity(features.float(), wanted.float(), dim=-1).mean()  # over all 50 tokens
        run.update(F.mse_loss(features.float(), wanted.float()) + 1 - cosine, BATCH, cosine=cosine.item())


def tower_weights() -> dict[str, torch.Tensor]:
    """The weights that `main` has made, for a `BlipVisionModel`."""
    return torch.load(CACHE / "tower.pt", weights_only=True)["model"]


if __name__ == "__main__":
    main()

"""What makes a model from transformers faster without changing what it computes."""

from functools import partial
from types import MethodType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def faster_clip(model, dtype: "torch.dtype"):
    """Rewrite the vision tower of a CLIPModel on a CPU, in place, to embed the same faster; returns the model.

    Its last layer computes the class token only, which is all that CLIP uses of it. In BF16 the weights are laid out
    once as the processor's matrix instructions want them, not anew for every product, and the activation function is
    computed together with the product before it; such a model can run, but not be saved.

    Args:
        dtype: The precision to give the model. Let it be in FP32 before, so that the weights are rounded once.
    """
    import torch

    layers = model.vision_model.encoder.layers
    layers[-1].forward = MethodType(_class_token_only, layers[-1])
    if dtype != torch.bfloat16 or not (torch.backends.mkldnn.is_available()
                                       and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return model.to(dtype)
    quick_gelu = model.config.vision_config.hidden_act == "quick_gelu"
    for layer in layers:
        mlp = layer.mlp
        if quick_gelu:
            # x * sigmoid(1.702 x) is SiLU, which oneDNN knows, with the factor in the weights around it.
            mlp.fc1.weight.data *= 1.702
            mlp.fc1.bias.data *= 1.702
            mlp.fc2.weight.data /= 1.702
            mlp.activation_fn = torch.nn.Identity()
        for block in (layer.self_attn, mlp):
            for name, linear in list(block.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    linear.to(dtype)
                    weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.data, 1024)
                    linear.forward = partial(torch.ops.mkldnn._linear_pointwise, W=weight, B=linear.bias.data,
                                             attr="swish" if quick_gelu and name == "fc1" else "none", scalars=[],
                                             algorithm="")
                    linear.weight = None
    return model.to(dtype)


def fuse_attention(model):
    """Let the vision tower of a BLIP compute its attention with torch's fused kernel, in place; returns the model,
    which is for inference from then on.

    transformers 5.24 has only the plain way for BLIP, which writes all scores of 577 by 577 patches to memory and reads
    them back for each step of the softmax.
    """
    for layer in model.vision_model.encoder.layers:
        layer.self_attn.forward = MethodType(_fused_attention, layer.self_attn)
    return model


def _fused_attention(attention, hidden_states: "torch.Tensor", **_) -> "tuple[torch.Tensor, None]":
    from torch.nn.functional import scaled_dot_product_attention

    # (batch, patches, width) -> three times (batch, heads, patches, width of a head)
    queries, keys, values = attention.qkv(hidden_states).unflatten(-1, (3, attention.num_heads, -1)).permute(
        2, 0, 3, 1, 4)
    return attention.projection(scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)), None


def _class_token_only(layer, hidden_states: "torch.Tensor", *_, **__) -> "torch.Tensor":
    """The class token's part of what the layer gives: all that CLIP uses of its last one."""
    from torch.nn.functional import scaled_dot_product_attention

    def heads(states: "torch.Tensor") -> "torch.Tensor":  # (batch, heads, tokens, width of a head)
        return states.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)

    attention, class_token, states = layer.self_attn, hidden_states[:, :1], layer.layer_norm1(hidden_states)
    seen = scaled_dot_product_attention(heads(attention.q_proj(states[:, :1])), heads(attention.k_proj(states)),
                                        heads(attention.v_proj(states)))
    class_token = class_token + attention.out_proj(seen.transpose(1, 2).flatten(2))
    return class_token + layer.mlp(layer.layer_norm2(class_token))

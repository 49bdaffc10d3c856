"""The U-Net (Ronneberger et al. 2015, as in fastMRI's baselines) in torch.

Letters: B batch, C channels, H and W the sides.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import SameConv2d, lecun_normal_
from pacebench.spec import Batch, Mode
from workloads.fastmri.unet import (
    INSTANCE_NORM_EPSILON,
    LAYER_NORM_EPSILON,
    LEAKY_SLOPE,
    Config,
)


def activate(x_BCHW: torch.Tensor, config: Config) -> torch.Tensor:
    """Apply the model's activation."""
    if config.activation == "tanh":
        return torch.tanh(x_BCHW)
    return functional.leaky_relu(x_BCHW, LEAKY_SLOPE)


def instance_norm(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Normalise every channel of every example by its own moments (variance biased)."""
    return functional.instance_norm(x_BCHW, eps=INSTANCE_NORM_EPSILON)


class ConvBlock(nn.Module):
    """Twice: 3x3 convolution, norm, activation, dropout of whole channels."""

    def __init__(self, n_in: int, n_out: int, config: Config) -> None:
        super().__init__()
        self.config = config
        self.conv_layers = nn.ModuleDict()
        for i, position in enumerate(("0", "4")):  # AlgoPerf's places in a sequence
            self.conv_layers[position] = SameConv2d(n_out if i else n_in, n_out, 3)
            if config.has_layer_norm:
                # One group: over channels and pixels of an example, with a scale per channel.
                norm = nn.GroupNorm(1, n_out, eps=LAYER_NORM_EPSILON)
                self.conv_layers[f"norm_{i}"] = norm

    def forward(self, x_BCHW: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, n_out, H, W]."""
        for i, position in enumerate(("0", "4")):
            x_BCHW = self.conv_layers[position](x_BCHW)
            has_norm = self.config.has_layer_norm
            x_BCHW = self.conv_layers[f"norm_{i}"](x_BCHW) if has_norm else instance_norm(x_BCHW)
            x_BCHW = drop_channels(activate(x_BCHW, self.config), mode, self.config.dropout_rate)
        return x_BCHW


class TransposeConvBlock(nn.Module):
    """Transposed 2x2 convolution with stride 2, instance norm, activation."""

    def __init__(self, n_in: int, n_out: int, config: Config) -> None:
        super().__init__()
        self.config = config
        conv = nn.ConvTranspose2d(n_in, n_out, 2, stride=2, bias=False)
        lecun_normal_(conv.weight, 4 * n_in)  # as AlgoPerf's jax counts what flows in
        self.layers = nn.ModuleList([conv])

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Give [B, n_out, 2 H, 2 W]."""
        return activate(instance_norm(self.layers[0](x_BCHW)), self.config)


class UNet(nn.Module):
    """Blocks down to the bottom and up again, joined level by level; an image [B, H, W]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = config.widths
        bottom = 2 * widths[-1]
        self.down_sample_layers = nn.ModuleList()
        for n_in, n_out in zip((1, *widths), widths, strict=False):
            self.down_sample_layers.append(ConvBlock(n_in, n_out, config))
        self.conv = ConvBlock(widths[-1], bottom, config)
        last = nn.Conv2d(config.width, 1, 1)
        lecun_normal_(last.weight, config.width)
        nn.init.zeros_(last.bias)
        self.up_conv = nn.ModuleList([ConvBlock(2 * n, n, config) for n in reversed(widths)])
        self.up_conv[-1] = nn.ModuleList([self.up_conv[-1], last])
        self.up_transpose_conv = nn.ModuleList(
            [TransposeConvBlock(2 * n, n, config) for n in reversed(widths)]
        )

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the image [B, H, W] that belongs to `inputs` [B, H, W], both normalised."""
        x_BCHW = batch["inputs"].unsqueeze(1)
        skips = []
        for block in self.down_sample_layers:
            x_BCHW = block(x_BCHW, mode)
            skips.append(x_BCHW)
            x_BCHW = functional.avg_pool2d(x_BCHW, 2)
        x_BCHW = self.conv(x_BCHW, mode)
        last_block, last = self.up_conv[-1]
        for upsample, block in zip(
            self.up_transpose_conv, [*self.up_conv[:-1], last_block], strict=True
        ):
            skip_BCHW = skips.pop()
            x_BCHW = _padded(upsample(x_BCHW), skip_BCHW)
            x_BCHW = block(torch.cat([x_BCHW, skip_BCHW], 1), mode)
        return last(x_BCHW).squeeze(1)


def drop_channels(x_BCHW: torch.Tensor, mode: Mode, default_rate: float) -> torch.Tensor:
    """Drop whole channels and rescale in training; rate 0 draws nothing."""
    rate = default_rate if mode.dropout_rate is None else mode.dropout_rate
    if not mode.train or rate == 0.0:
        return x_BCHW
    return functional.dropout2d(x_BCHW, rate, training=True)


def _padded(x_BCHW: torch.Tensor, skip_BCHW: torch.Tensor) -> torch.Tensor:
    """Reflect at the bottom and the right, by what pooling an odd side took off."""
    n_rows = skip_BCHW.shape[2] - x_BCHW.shape[2]
    n_columns = skip_BCHW.shape[3] - x_BCHW.shape[3]
    if n_rows == n_columns == 0:
        return x_BCHW
    return functional.pad(x_BCHW, (0, n_columns, 0, n_rows), "reflect")


def build(config: Config) -> nn.Module:
    """Build the model with torch's current random state."""
    return UNet(config)

"""Small settings for networks of spandrel: architecture, class, settings."""

from __future__ import annotations

from typing import Any

SWIN = {"img_size": 16, "embed_dim": 8, "depths": [2], "num_heads": [2], "mlp_ratio": 2.0, "window_size": 8}
GRL = {"embed_dim": 8, "upscale": 2, "upsampler": "pixelshuffledirect", "mlp_ratio": 2.0}

TINY: list[tuple[str, str, dict[str, Any]]] = [
    ("ATD", "ATD", {**SWIN, "upscale": 2, "upsampler": "pixelshuffledirect", "num_tokens": 8, "reducted_dim": 4}),
    ("CRAFT", "CRAFT", {"embed_dim": 12, "depths": [1], "num_heads": [6], "upscale": 2}),
    ("Compact", "SRVGGNetCompact", {"num_feat": 4, "num_conv": 1, "upscale": 4}),
    ("DAT", "DAT", {"img_size": 16, "embed_dim": 32, "depth": [2], "num_heads": [2], "split_size": [2, 4]}),
    ("DCTLSA", "DCTLSA", {"nf": 10, "upscale": 2}),
    ("DITN", "DITN_Real", {"dim": 8, "ITL_blocks": 1, "SAL_blocks": 1, "upscale": 2}),
    ("DRCT", "DRCT", {**SWIN, "upscale": 2, "upsampler": "pixelshuffle", "gc": 4}),
    ("DRUNet", "DRUNet", {"in_nc": 4, "out_nc": 3, "nc": [4, 8, 8, 8], "nb": 2}),
    ("DnCNN", "DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 4, "nb": 8, "act_mode": "R"}),
    ("ESRGAN", "RRDBNet", {"num_filters": 4, "num_blocks": 1, "scale": 4}),
    ("FDAT", "FDAT", {"scale": 2, "embed_dim": 8, "num_groups": 1, "depth_per_group": 1, "num_heads": 2, "mid_dim": 8}),
    ("FFTformer", "FFTformer", {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1}),
    ("GRL", "GRL", {**GRL, "depths": [1], "num_heads_window": [2], "num_heads_stripe": [2], "window_size": 32}),
    ("HAT", "HAT", {**SWIN, "upscale": 2, "num_feat": 4, "squeeze_factor": 4}),
    ("IPT", "IPT", {"patch_size": 12, "n_feats": 8, "scale": [2], "num_layers": 1}),
    ("KBNet", "KBNet_s", {"width": 8, "middle_blk_num": 1, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}),
    ("MixDehazeNet", "MixDehazeNet", {"embed_dims": [8, 8, 8, 8, 8], "depths": [1, 1, 1, 1, 1]}),
    ("MoESR", "MoESR", {"scale": 2, "dim": 8, "n_blocks": 1, "n_block": 1, "upsample_dim": 8}),
    ("MoSR", "MoSR", {"upscale": 2, "n_block": 1, "dim": 8}),
    ("NAFNet", "NAFNet", {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}),
    ("OmniSR", "OmniSR", {"num_feat": 16, "res_num": 1, "up_scale": 2}),
    ("PLKSR", "PLKSR", {"dim": 8, "n_blocks": 1, "upscaling_factor": 2, "kernel_size": 5}),
    ("PLKSR", "RealPLKSR", {"dim": 8, "n_blocks": 1, "upscaling_factor": 2, "kernel_size": 5}),
    ("RCAN", "RCAN", {"scale": 2, "n_resgroups": 1, "n_resblocks": 1, "n_feats": 16}),
    ("RGT", "RGT", {"img_size": 16, "embed_dim": 8, "depth": [2], "num_heads": [2], "split_size": [4, 4]}),
    ("RealCUGAN", "UpCunet3x", {}),
    ("RetinexFormer", "RetinexFormer", {"n_feat": 8, "stage": 1, "num_blocks": [1, 1, 1]}),
    ("SAFMN", "SAFMN", {"dim": 8, "n_blocks": 1, "upscaling_factor": 2}),
    ("SCUNet", "SCUNet", {"config": [1] * 7}),
    ("SPAN", "SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 4, "upscale": 2}),
    ("SeemoRe", "SeemoRe", {"scale": 2, "num_experts": 3, "num_layers": 1, "embedding_dim": 8}),
    ("Swin2SR", "Swin2SR", {**SWIN, "upscale": 2, "upsampler": "pixelshuffle"}),
    ("SwiftSRGAN", "Generator", {"num_channels": 8, "num_blocks": 1, "upscale_factor": 2}),
    ("SwinIR", "SwinIR", {**SWIN, "upscale": 2, "upsampler": "pixelshuffle"}),
]

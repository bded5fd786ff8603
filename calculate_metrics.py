"""Measure super-resolved photos: PSNR, SSIM, LPIPS, NIQE, FID (MetaF2N's calculate_metrics.py)."""

from metaf2n_tf.commands import cli, metrics

if __name__ == "__main__":
    cli.run(metrics)

"""The operations that degrade a picture, each with the arithmetic of the published PyTorch code.

Pictures are planar here, (N, C, H, W), as every operation but JPEG and noise works plane by plane.
"""

"""Reconstruction: how near a face comes back under its own label."""

import numpy as np

from emogan.evaluation import methods, real_faces, scores


class Reconstructions:
    """Scores of edits to the face's own label."""

    name = "reconstruction"

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns PSNR, SSIM and L1 against the face, and whether the judge still predicts its label."""
        del key
        if model.edits is None:
            return {}
        edits, labels = model.edits, data.held_out.labels
        own = edits.target == labels[edits.source]
        if not own.any():
            return {}
        source = edits.source[own]
        made, true = model.edits.pictures[edits.picture[own]], data.held_out.images[source]
        decibel = psnr(made, true)
        right = model.edit_opinion.verdicts[edits.picture[own]] == edits.target[own]
        answer = {
            "reconstruction_psnr": scores.mean_score(decibel, source),
            "reconstruction_ssim": scores.mean_score(ssim(made, true), source),
            "reconstruction_l1": scores.mean_score(
                np.abs(made.astype(np.float32) - true).mean(axis=(1, 2), dtype=np.float64), source
            ),
            "reconstruction_accuracy": scores.mean_score(right, source),
        }
        clean = ~data.leaked[source]
        if clean.any() and not clean.all():
            answer["reconstruction_psnr_clean"] = scores.mean_score(decibel[clean], source[clean])
        return answer


def psnr(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns the peak signal-to-noise ratio in dB, float64 [N], of pictures [N, H, W(, 3)] in 0..255, or infinite."""
    error = np.mean((images.astype(np.float32) - truth) ** 2, axis=tuple(range(1, images.ndim)), dtype=np.float64)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255.0**2 / error)


def ssim(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns the structural similarity, float64 [N], of pictures uint8 [N, H, W] (Wang et al. 2004)."""
    from skimage import metrics

    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    pairs = zip(images, truth, strict=True)
    return np.array([metrics.structural_similarity(a, b, **settings) for a, b in pairs])

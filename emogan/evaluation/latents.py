"""The latent space: does E find the z that G drew from, and where does it put real faces?"""

import numpy as np

from emogan.evaluation import methods, real_faces, scores


class Latents:
    """Scores of E(G(z, y)) and E(x), for models with a prior over z."""

    name = "latent"

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns the correlation and the error of E(G(z, y)), and the spread of E(x)."""
        del key
        transfer = model.model
        if not hasattr(transfer, "sample_latents"):
            return {}
        labels = data.held_out.labels
        drawn = transfer.sample_latents(len(labels), 0)
        estimates = transfer.encode(transfer.decode(drawn, labels), labels)
        encoded = transfer.encode(data.own_held_out.images, labels)
        scale = drawn.std(dtype=np.float64)
        errors = ((estimates - drawn) ** 2).mean(axis=1, dtype=np.float64) / scale**2
        mean = scores.mean_score(errors)
        spread = encoded.std(axis=0, dtype=np.float64) / scale
        return {
            "latent_correlation": scores.Score(float(np.mean(correlations(drawn, estimates)))),
            # The root's error, by its derivative.
            "latent_error": scores.Score(mean.value**0.5, mean.error / (2 * max(mean.value, 1e-12) ** 0.5)),
            "latent_spread": scores.Score(float(np.sqrt(np.mean(spread**2)))),
        }


def correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the correlation over N of each of the Z numbers of latents [N, Z], 0 where one of them is constant."""
    one, other = (a.astype(np.float64) - a.mean(axis=0, dtype=np.float64) for a in (one, other))
    norms = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return np.where(norms > 0, (one * other).sum(axis=0) / np.maximum(norms, 1e-30), 0.0)

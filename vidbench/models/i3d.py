"""DeepMind's I3D from TF Hub: Inception-v1 inflated, RGB, Carreira & Zisserman 2017."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vidbench.data.spec import PRESETS
from vidbench.errors import ConfigError
from vidbench.models._golden.record import Golden, GoldenScore
from vidbench.models._tensorflow.frozen import PixelRange
from vidbench.models._tensorflow.weights import HubModel, HubModule
from vidbench.models.base import ModelEntry, ModelFamily
from vidbench.models.saved_model import SavedModelLoader


@dataclass(frozen=True, kw_only=True)
class Variant(HubModule):
    """A published set of weights.

    Attributes:
        pixel_range: Range of scaled pixels: [0, 1], as in TF Hub's tutorial.
        golden: Logits that its authors published; None if they did not.
    """

    pixel_range: PixelRange = (0.0, 1.0)
    golden: Golden | None = None


# out/imagenet_rgb.txt of the repository: what evaluate_sample.py prints with the checkpoint
# rgb_imagenet. Whether the module on TF Hub has the same weights is not documented.
_CRICKET_SHOT = Golden(
    clip="v_CricketShot_g04_c01",  # of UCF101
    url="https://raw.githubusercontent.com/google-deepmind/kinetics-i3d/master/data/"
    "v_CricketShot_g04_c01_rgb.npy",
    source="https://github.com/google-deepmind/kinetics-i3d",
    shape=(1, 79, 224, 224, 3),
    pixel_range=(-1.0, 1.0),
    norm=87.108871,
    top=(
        GoldenScore("playing cricket", 25.856646, 0.9999968),
        GoldenScore("playing kickball", 12.330335, 1.335354e-06),
        GoldenScore("catching or throwing baseball", 11.254371, 4.553142e-07),
        GoldenScore("shooting goal (soccer)", 10.883866, 3.1434254e-07),
        GoldenScore("catching or throwing softball", 10.393131, 1.9243305e-07),
        GoldenScore("throwing discus", 10.008317, 1.309655e-07),
        GoldenScore("javelin throw", 9.804514, 1.0681848e-07),
        GoldenScore("golf putting", 9.681604, 9.446425e-08),
        GoldenScore("jogging", 9.49558, 7.842931e-08),
        GoldenScore("hitting baseball", 9.490318, 7.801767e-08),
        GoldenScore("triple jump", 9.3243265, 6.608518e-08),
        GoldenScore("hurling (sport)", 8.685253, 3.4878482e-08),
        GoldenScore("skateboarding", 8.533437, 2.996574e-08),
        GoldenScore("hurdling", 8.181894, 2.1083935e-08),
        GoldenScore("playing tennis", 8.133075, 2.0079328e-08),
        GoldenScore("breakdancing", 8.048665, 1.8454037e-08),
        GoldenScore("hammer throw", 7.969584, 1.7050859e-08),
        GoldenScore("shot put", 7.9668636, 1.7004545e-08),
        GoldenScore("long jump", 7.8151855, 1.4611408e-08),
        GoldenScore("headbutting", 7.7918606, 1.4274541e-08),
    ),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "kinetics-400": Variant(
            hub_handle="https://tfhub.dev/deepmind/i3d-kinetics-400/1",
            kaggle_handle="deepmind/i3d-kinetics/tensorFlow1/400/1",
            archive_url="https://storage.googleapis.com/tfhub-modules/deepmind/i3d-kinetics-400/1.tar.gz",
            archive_sha256="bafe29bb4528badad428207d8fe86ca2a998b5b1386b82e42175339f12ea2ff5",
            golden=_CRICKET_SHOT,
        ),
        "kinetics-600": Variant(
            hub_handle="https://tfhub.dev/deepmind/i3d-kinetics-600/1",
            kaggle_handle="deepmind/i3d-kinetics/tensorFlow1/600/1",
            archive_url="https://storage.googleapis.com/tfhub-modules/deepmind/i3d-kinetics-600/1.tar.gz",
        ),
    }
)


FAMILY = ModelFamily(
    name="i3d",
    entries=(
        ModelEntry(
            name="i3d/kinetics-400",
            source="TF Hub, Kaggle",
            classes="kinetics-400",
            top1=0.711,
            top5=0.893,
            published="Kinetics-400 test, whole video at 25 fps, short side 256, 224x224",
            reference="https://arxiv.org/abs/1705.07750",
        ),
        ModelEntry(name="i3d/kinetics-600", source="TF Hub, Kaggle", classes="kinetics-600"),
    ),
    needs="tensorflow",
    variants=tuple(VARIANTS),
    default_variant="kinetics-400",
)


class I3DLoader(HubModel, SavedModelLoader):
    """I3D from the first source that has it; constructing it does no I/O.

    Args:
        trained_on: ``kinetics-400`` or ``kinetics-600``.
        model_path: Use the weights in this folder, archive or TF Hub handle only.

    Raises:
        ConfigError: There is no such variant.
    """

    spec = PRESETS["hub"]

    def __init__(self, trained_on: str = "kinetics-400", *, model_path: str | None = None) -> None:
        if trained_on not in VARIANTS:
            variants = ", ".join(VARIANTS)
            raise ConfigError(f"there is no I3D trained on {trained_on!r}, only {variants}")
        self.name = f"i3d/{trained_on}"
        self.trained_on = trained_on
        module = VARIANTS[trained_on]
        self._module, self._model_path = module, model_path
        self.pixel_range, self.golden = module.pixel_range, module.golden


load = I3DLoader

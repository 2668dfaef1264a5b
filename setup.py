"""Installs emogan: `pip install -e .[train,cpu]` from a clone to train, `pip install .` to edit faces."""

import setuptools

# Which runs the face detector; not tried with OpenCV 5.
PHOTOS = ["opencv-python-headless>=4.10,<5"]

# oneDNN for GNU's OpenMP, whose last release on PyPI is 2023.2: newer ones need 600 MB of Intel's compiler runtime.
CPU = [
    "onednn-cpu-gomp>=2023.2; sys_platform == 'linux' and platform_machine == 'x86_64'",
    "onednn-devel-cpu-gomp>=2023.2; sys_platform == 'linux' and platform_machine == 'x86_64'",
]

# What trains and scores, beside what edits.
TRAIN = [
    "array_record>=0.8",
    "importlib_resources>=6.0",  # TFDS needs it for building and does not declare it
    "matplotlib>=3.10.7",
    "ml_collections>=1.1",
    "optax>=0.2.6",
    "orbax-checkpoint>=0.12",
    "protobuf>=6.31.1",
    "pyarrow>=18.0",  # which TFDS brings anyway
    "scikit-image>=0.24",
    "tensorboardX>=2.6.2",
    "tensorflow-datasets>=4.9.9",
]

# Apart from photos: its wheel holds libheif (LGPL) and x265 (GPL).
HEIC = ["pillow-heif>=1.0"]

# Its wheel holds FFmpeg with x264 (GPL).
VIDEO = [*PHOTOS, "av>=15.0"]

# The lowest releases with which the tests pass: `uv pip install --resolution lowest-direct -e ".[test]"`, Python 3.11.
setuptools.setup(
    name="emogan",
    version="0.1.0",
    description="Human emotion generation with generative adversarial networks, in JAX and Flax",
    license="Apache-2.0",
    python_requires=">=3.11",
    # The scripts that users run go into the package, for the command `emogan`; those of experiments/lab do not.
    packages=[*setuptools.find_packages(include=["emogan", "emogan.*"]), "emogan.experiments"],
    package_dir={"emogan.experiments": "experiments"},
    entry_points={"console_scripts": ["emogan=emogan.__main__:main"]},
    package_data={"emogan": ["assets/*", "assets/web/*", "assets/study/*", "models/*.cc"]},
    install_requires=[  # to edit faces
        "absl-py>=2.1",
        "flax>=0.12.7",
        "jax>=0.10.2",
        "jaxtyping>=0.3",
        "numpy>=2.2",
        "pillow>=11.0",
        "scipy>=1.14",
    ],
    extras_require={
        "train": TRAIN,
        "cpu": CPU,
        "gpu": [*TRAIN, "jax[cuda12]>=0.10.2"],
        "photos": PHOTOS,
        "heic": HEIC,
        "video": VIDEO,
        "test": [
            *TRAIN,
            *CPU,
            *PHOTOS,
            *HEIC,
            *VIDEO,
            "hypothesis>=6.100",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "ipykernel>=6.29",
            "ipython>=8.20",
            "ipywidgets>=8.1",
            "onnx>=1.17",
            "onnxruntime>=1.20",
            "pytest>=8.3",
            "pytest-xdist>=3.8",
            "pyyaml>=6.0",
            "ruff>=0.9",
            "setuptools>=70.1",
            "scikit-learn>=1.5",
        ],
        "benchmark": [*TRAIN, "torch>=2.6"],
        "export": ["onnx>=1.17", "onnxruntime>=1.20"],
        "embedder": [*TRAIN, "onnxruntime>=1.20"],
        # For measuring alone. The second is read as files: importing it needs pkg_resources.
        "identity": [*TRAIN, "dlib-bin>=20.0.1", "face_recognition_models>=0.3"],
        "notebooks": [*TRAIN, "ipywidgets>=8.1", "jupyterlab>=4.2"],
    },
)

"""Writes a trained model as one file, or as a page that runs in the browser.

python experiments/export.py --workdir=fer2013 --format=jax --output=emogan.jax
python experiments/export.py --workdir=fer2013 --format=onnx --output=emogan.onnx
python experiments/export.py --workdir=fer2013 --format=web --output=page && python -m http.server --directory page
"""

import pathlib

import script
from absl import flags

from emogan.edit import loading
from emogan.export import card, jax_file, onnx_file, runtime, web
from emogan.util import files

WORKDIR = script.define_path(
    "workdir", None, "the folder of a finished run; fer2013 is a model that ships with emogan", required=True
)
FORMAT = flags.DEFINE_enum("format", None, ["jax", "onnx", "web"], "what to write: docs/export.md", required=True)
OUTPUT = script.define_path(
    "output", None, "the file, or for the page the folder; emogan.jax, emogan.onnx or emogan_web"
)
RUNTIME = script.define_path("runtime", None, "a folder with onnxruntime-web's files, for a page where npm is not")

_DEFAULTS = {"jax": "emogan.jax", "onnx": "emogan.onnx", "web": "emogan_web"}


def main(_) -> None:
    kind = FORMAT.value
    output = pathlib.Path(_DEFAULTS[kind] if OUTPUT.value is None else OUTPUT.value)
    if kind == "web":
        web.check(output)
        given = pathlib.Path(RUNTIME.value) if RUNTIME.value else None
        found = runtime.find(given, files.cache_dir())
    else:
        script.output(output)
    model = loading.load(WORKDIR.value)
    if kind == "web":
        web.check_model(model)
    about = {"commit": script.commit()}
    if kind == "web":
        content = web.to_bytes(model)
        difference = web.largest_difference(content, model)
    else:
        made = jax_file if kind == "jax" else onnx_file
        content = made.to_bytes(model, about)
        difference = card.largest_difference(made.from_bytes(content), model)
    print(f"{card.FACES} faces: within {difference:.1e} of the live model")
    if kind != "web":
        files.write_bytes(output, content)
        print(f"wrote {output} ({len(content) / 1e6:.2f} MB)")
        return
    beside, of_runtime = web.parts(web.write(content, model, about, found, output))
    print(f"wrote {output} ({beside / 1e6:.2f} MB, and {of_runtime / 1e6:.2f} MB of onnxruntime-web)")
    print(f"see it: python -m http.server --directory {output}, then http://localhost:8000")


if __name__ == "__main__":
    script.run(main)

"""onnxruntime-web, which runs a model in a browser: from a folder of the user's, or once from the npm registry."""

import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zlib

from emogan.util import files, untrusted

VERSION = "1.30.0"  # with which the page is tested
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

_MOST_FILE = 1 << 26  # bytes; the largest has 14 MB
_SECONDS = 300
_INSTEAD = "give --runtime=DIR, the folder dist/ of the npm package onnxruntime-web"


def find(folder: pathlib.Path | None, cache_dir: pathlib.Path) -> pathlib.Path:
    """Returns a folder with `FILES`.

    Args:
      folder: the user's, if there is one; otherwise the files come by npm and are kept.
      cache_dir: where they are kept.

    Raises:
      FileNotFoundError: if a file is missing in the folder.
      ValueError: if there is no folder and npm is missing or fails.
    """
    if folder is None:
        return _fetched(cache_dir / f"onnxruntime-web-{VERSION}")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder}: expected {', '.join(FILES)}, found no {missing[0]}; {_INSTEAD}")
    return folder


def _fetched(kept: pathlib.Path) -> pathlib.Path:
    if all((kept / name).is_file() for name in FILES):
        return kept
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"expected npm to get onnxruntime-web {VERSION}, found none; install it, or {_INSTEAD}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
        folder = pathlib.Path(temporary)
        command = [npm, "pack", "--silent", f"onnxruntime-web@{VERSION}", f"--pack-destination={folder}"]
        failed = ""
        try:
            said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            subprocess.run(command, cwd=folder, text=True, timeout=_SECONDS, check=True, **said)
        except subprocess.CalledProcessError as error:
            failed = error.output
        except subprocess.TimeoutExpired:
            failed = f"no answer within {_SECONDS} s"
        packages = list(folder.glob("*.tgz"))
        if failed or len(packages) != 1:
            why = untrusted.shown(" ".join(failed.split())) or "no package"
            raise ValueError(f"expected npm to get onnxruntime-web {VERSION}, found {why}; {_INSTEAD}")
        _unpack(packages[0], folder / "runtime")
        shutil.rmtree(kept, ignore_errors=True)  # what another version of this file may have left there in part
        (folder / "runtime").rename(kept)
    return kept


def _unpack(package: pathlib.Path, folder: pathlib.Path) -> None:
    folder.mkdir()
    try:
        with tarfile.open(package, "r:gz") as archive:
            for name in FILES:
                member = archive.getmember(f"package/dist/{name}")
                if member.size > _MOST_FILE or not member.isfile():
                    raise ValueError(f"{name} of {member.size:,} bytes")
                files.write_bytes(folder / name, archive.extractfile(member).read())
    except (tarfile.TarError, KeyError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(
            f"expected onnxruntime-web {VERSION} by npm, found {untrusted.reason(error)}; {_INSTEAD}"
        ) from error

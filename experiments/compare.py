"""Puts the scores of several runs side by side in one page.

python experiments/compare.py runs/quick runs/other --output=runs/compared.html
"""

import pathlib

import flag_config
from absl import flags

from emogan.evaluation import report, tables

OUTPUT = flags.DEFINE_string("output", "runs/compared.html", "the page")


def main(argv) -> None:
    if len(argv) < 3:
        raise ValueError(f"expected the folders of two or more scored runs, found {len(argv) - 1}")
    results = [tables.load(pathlib.Path(folder) / "evaluation" / "metrics.json") for folder in argv[1:]]
    compared = tables.compare(results)
    print(tables.to_text(compared))
    path = pathlib.Path(OUTPUT.value)
    report.write(compared, (), path)
    print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main, arguments=True)

"""docs/cluster: what starts a training on many machines names flags that there are, and continues what was stopped."""

import pathlib
import re
import subprocess

import pytest
import yaml

from emogan.train import interrupt

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "cluster"


@pytest.fixture(scope="module")
def known_flags(call_script):
    return set(re.findall(r"--(?:\[no\])?([a-z_]+)", call_script("train.py", "--help").stdout))


@pytest.mark.parametrize("name", ["train.sbatch", "train.yaml"])
def test_the_command_has_flags_that_train_knows(name, known_flags):
    command = (FOLDER / name).read_text().split("experiments/train.py")[-1]
    flags = re.findall(r"^ +--([a-z_]+)", command, re.MULTILINE)
    assert {"distributed", "config", "data_dir", "workdir"} <= set(flags)
    assert set(flags) <= known_flags


def test_slurm_starts_a_stopped_job_again():
    path = FOLDER / "train.sbatch"
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    text = path.read_text()
    assert "#SBATCH --signal=TERM@60\n#SBATCH --requeue\n" in text
    assert f'"$status" -eq {interrupt.EXIT_STATUS} ]' in text


def test_kubernetes_starts_a_stopped_pod_again_and_names_its_first():
    service, job = yaml.safe_load_all((FOLDER / "train.yaml").read_text())
    name, pod = job["metadata"]["name"], job["spec"]["template"]["spec"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    assert pod["subdomain"] == service["metadata"]["name"]
    [command] = pod["containers"][0]["args"]
    assert f"--coordinator_address={name}-0.{pod['subdomain']}:" in command
    assert f"--num_processes={job['spec']['completions']} " in command
    rules = job["spec"]["podFailurePolicy"]["rules"]
    statuses = {rule["onExitCodes"]["values"][0]: rule["action"] for rule in rules if "onExitCodes" in rule}
    assert statuses == {interrupt.EXIT_STATUS: "Ignore", 2: "FailJob"}
    assert pod["restartPolicy"] == "Never"

"""Configurations: their checks, their JSON, and what makes another run of one."""

import dataclasses
import json
import re

import pytest

from emogan import config as config_lib
from emogan import presets
from emogan.edit import model_file

FIELDS = config_lib.flatten(config_lib.Config())
NUMBERS = [name for name, value in FIELDS.items() if type(value) in (int, float)]
RATES = [name for name, value in FIELDS.items() if type(value) is float]
OUT_OF_RANGE = [
    ("phases", "gan,decoder"),
    ("phases", ""),
    ("seed", -1),
    ("seed", 2**31),
    ("data.name", "faces"),
    ("data.count", -1),
    ("data.size", 50),
    ("data.channels", 2),
    ("data.on_bad_row", "ignore"),
    ("data.labels", "ferplus"),  # of drawn faces
    ("data.labels", "votes"),
    ("model.width", 0),
    ("model.width", 1025),
    ("model.latent_size", 0),
    ("model.latent_size", 4097),
    ("model.latent_distribution", "cauchy"),
    ("model.encoder_output", "sigmoid"),
    ("model.precision", "half"),
    ("model.resampling", "bilinear"),
    ("gan.epochs", 0),
    ("gan.batch_size", 1),
    ("gan.learning_rate", 0.0),
    ("gan.learning_rate", 1.5),
    ("gan.learning_rate", float("nan")),
    ("gan.b1", -0.1),
    ("gan.b1", 1.0),
    ("gan.b2", 1.0),
    ("gan.optimizer", "sgd"),
    ("gan.loss", "crossentropy"),
    ("gan.diversity", 1.5),
    ("gan.penalty", "spectral"),
    ("gan.penalty_weight", 1.0),
    ("gan.critic_steps", 0),
    ("gan.generator_steps", 0),
    ("gan.ema_decay", 1.0),
    ("gan.ema_decay", -0.5),
    ("gan.collapse_steps", -1),
    ("gan.on_collapse", "ignore"),
    ("encoder.epochs", 0),
    ("encoder.batch_size", 1),
    ("encoder.learning_rate", 0.0),
    ("encoder.b1", 1.0),
    ("encoder.ema_decay", 1.0),
    ("encoder.image_loss", -1.0),
    ("encoder.image_loss", float("nan")),
    ("encoder.latent_loss", float("inf")),
    ("translator.width", 0),
    ("translator.blocks", 0),
    ("translator.labels", "both"),
    ("translator.critic_width", 0),
    *(("translator.strength", text) for text in ("", "strong", "1,", "1 2", "10.5", "1,-1", "nan")),
    ("joint.loss", "wgan"),
    *(("unet.widths", text) for text in ("", "64,128,", "60", "0", "2048", "8,8,8,8,8", "64 128", "-8")),
    ("flow.batch_size", 1),
    ("flow.label_dropout", 1.1),
    ("flow.surroundings_dropout", 1.1),
    ("unet.deeper", -1),
    ("flow_edit.method", "flowedit"),
    ("flow_edit.solver", "midpoint"),
    ("flow_edit.inversion_solver", "rk4"),
    ("flow_edit.t_max", 1.1),
    ("flow_edit.guidance", "5.5,high"),
    ("flow_edit.guidance", "-1"),
    ("flow_edit.steps", 0),
    ("flow_edit.seed", -1),
    ("flow_edit.seed", 2**31),
    ("joint.own_share", 1.5),
    ("classifier.width", 0),
    ("classifier.epochs", 0),
    ("classifier.batch_size", 1),
    ("classifier.learning_rate", 0.0),
    ("classifier.momentum", 1.0),
    ("classifier.weight_decay", -0.1),
    ("classifier.label_smoothing", 1.0),
    ("classifier.ema_decay", 1.0),
    ("run.sample_every", 0),
    ("run.checkpoint_every", 0),
    ("run.keep_checkpoints", 0),
    ("parallel.mode", "vmap"),
    ("parallel.devices", -1),
    ("parallel.batch_norm", "none"),
    ("parallel.microbatches", 0),
    ("parallel.microbatches", 4097),
    ("parallel.data", "split"),
    ("parallel.optimizer", "split"),
    ("student.teacher", ""),
    ("student.guidance", "3,high"),
    # Typed with a few digits too many, or not a number at all.
    *((name, value) for name in NUMBERS for value in (10**9, -(10**9)) if name not in ("seed", "flow_edit.seed")),
    *((name, value) for name in RATES for value in (float("nan"), float("inf"), -float("inf"))),
]


def changed(config, name, value):
    *parents, field = name.split(".")
    part = config
    for parent in parents:
        part = getattr(part, parent)
    assert hasattr(part, field)
    setattr(part, field, value)
    return config


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE, ids=str)
def test_value_out_of_range_is_refused_by_its_field_name(name, value):
    config = changed(config_lib.Config(), name, value)
    with pytest.raises(ValueError, match=rf"^{re.escape(name)}: expected .+, found "):
        config.check()


def test_a_finished_model_computes_in_float32_whatever_it_was_trained_in():
    config = config_lib.Config(model=config_lib.ModelConfig(width=8, precision="bfloat16"))
    assert config_lib.networks(config).model == config_lib.ModelConfig(width=8, precision="float32")
    assert config.model.precision == "bfloat16"


@pytest.mark.parametrize("name", config_lib.flatten(config_lib.Config()))
def test_every_field_with_a_range_is_checked(name):
    free = {"preset", "data.dir", "model.encoder_labels", "model.batch_norm", "model.critic_norm", "run.tensorboard"}
    free |= {"data.ferplus", "data.class_names", "flow.start"}
    free |= {"translator.skip", "translator.projection", "translator.guidance_features", "translator.mirrored"}
    free |= {"joint.balanced", "joint.augment", "unet.attention", "unet.surroundings", "student.augment"}
    assert (name in free) != any(name == checked for checked, _ in OUT_OF_RANGE)


@pytest.mark.parametrize(("name", "value"), [("joint.gradient_penalty", 1.0), ("joint.guidance", 0.0)])
def test_discriminator_gets_features_only_of_a_guidance_classifier_and_without_the_penalty_between_faces(name, value):
    config = changed(presets.preset("emogan"), "translator.guidance_features", True)
    config.check()
    with pytest.raises(ValueError, match=r"translator\.guidance_features: expected false, or a guidance"):
        changed(config, name, value).check()


def test_both_encoder_losses_off_is_refused():
    config = changed(changed(config_lib.Config(), "encoder.image_loss", 0.0), "encoder.latent_loss", 0.0)
    with pytest.raises(ValueError, match=r"encoder\.image_loss and encoder\.latent_loss"):
        config.check()


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 2**31 - 1), ("data.name", "tfds:fer2013"), ("gan.ema_decay", 0.0), ("encoder.image_loss", 0.0)],
)
def test_values_at_the_edge_of_their_range_pass(name, value):
    config = changed(config_lib.Config(), "encoder.latent_loss", 1.0)
    changed(config, name, value).check()


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_pass_their_checks_and_are_fresh_each_time(name):
    config = presets.preset(name)
    config.check()
    assert config.preset == name
    config.model.width = 3
    assert presets.preset(name).model.width != 3


def test_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"expected a preset out of quick, .*, paper, .*, judge, found 'peper'"):
        presets.preset("peper")


def test_paper_is_the_paper():
    config = presets.paper()
    assert config.data.name == "fer2013"
    assert dataclasses.asdict(config.model) == {
        "width": 64,
        "latent_size": 100,
        "latent_distribution": "uniform",
        "encoder_labels": False,
        "encoder_output": "tanh",
        "batch_norm": True,
        "critic_norm": True,
        "resampling": "strided",
        "precision": "float32",
    }
    for phase in (config.gan, config.encoder):
        assert (phase.epochs, phase.batch_size, phase.learning_rate, phase.b1) == (50, 64, 2e-4, 0.5)
    assert (config.gan.loss, config.gan.penalty, config.gan.optimizer, config.gan.b2) == (
        *("cross_entropy", "none", "adam", 0.999),
    )
    assert (config.gan.critic_steps, config.gan.generator_steps) == (1, 1)
    assert (config.gan.generator_steps, config.gan.ema_decay, config.encoder.ema_decay) == (1, 0.0, 0.0)
    assert (config.encoder.image_loss, config.encoder.latent_loss) == (1.0, 0.0)
    assert config.run.sample_every == 100


def test_run_has_one_model():
    with pytest.raises(ValueError, match=r"phases: expected joint or flow, .* found joint,flow; leave one of them out"):
        changed(changed(config_lib.Config(), "joint.guidance", 0.0), "phases", "joint,flow").check()


def test_flow_may_be_prolonged_and_edit_otherwise_but_not_be_another_network():
    old, new = presets.flow(), presets.flow()
    new.flow.epochs, new.flow_edit.t_max, new.flow_edit.method = 300.0, 0.75, "inversion"
    assert config_lib.differences(old, new) == []
    new.unet.blocks, new.phases = 3, "flow,classifier"
    assert config_lib.differences(old, new) == ["unet.blocks: 1 -> 3"]
    new.phases = "gan,encoder"
    assert config_lib.differences(old, new)[0] == "phases: 'flow' -> 'gan,encoder'"


def test_parts_of_a_batch_must_be_whole():
    config = changed(config_lib.Config(), "joint.critic_steps", 5)
    with pytest.raises(
        ValueError, match=r"joint\.batch_size: expected a multiple of joint\.critic_steps, 5, .* found 64"
    ):
        config.check()


def test_phase_joint_takes_no_microbatches():
    config = changed(presets.stargan(), "parallel.microbatches", 2)
    with pytest.raises(ValueError, match=r"parallel\.microbatches: expected 1 with phase joint, found 2"):
        config.check()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("gan.critic_steps", 2, "1"),
        ("gan.generator_steps", 2, "1"),
        ("gan.penalty", "clip", "none"),
        ("parallel.microbatches", 2, "1"),
    ],
)
def test_began_refuses_what_it_has_not(name, value, expected):
    config = changed(presets.began(), "gan.penalty_weight", 0.1 if name == "gan.penalty" else 0.0)
    with pytest.raises(
        ValueError, match=rf"^{re.escape(name)}: expected {expected} with gan\.loss=began, found {value}"
    ):
        changed(config, name, value).check()


def test_stargan_is_the_published_one():
    settings = presets.stargan().joint
    assert (settings.loss, settings.gradient_penalty, settings.critic_steps) == ("wasserstein", 10.0, 5)
    assert (settings.classification, settings.cycle, settings.adversarial) == (1.0, 10.0, 1.0)
    assert settings.batch_size == 5 * 16
    off = ("r1_r2", "guidance", "keep", "own_share", "ema_decay", "balanced", "augment", "reconstruction")
    assert not any(getattr(settings, name) for name in off)


def test_quick_is_the_default_and_draws_its_faces():
    config = presets.quick()
    assert (config_lib.Config().preset, config.data.name, config.data.dir) == ("quick", "toyfaces", "")
    assert config.model.width < presets.paper().model.width


@pytest.mark.parametrize("name", presets.PRESETS)
def test_json_gives_the_configuration_back(name, tmp_path):
    config = changed(presets.preset(name), "seed", 7)
    assert config_lib.from_json(config_lib.to_json(config)) == config
    config_lib.save(config, tmp_path / "config.json")
    assert config_lib.from_json((tmp_path / "config.json").read_text()) == config
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_the_devices_of_a_run_stand_in_its_json_and_are_no_field(tmp_path):
    config = presets.quick()
    config_lib.save(config, tmp_path / "config.json", "2 devices: cpu")
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text)["computed_on"] == "2 devices: cpu"
    assert config_lib.from_json(text) == config
    assert "computed_on" not in config_lib.to_json(config)


def test_a_size_of_before_faces_had_several_is_how_many_faces_were_drawn():
    old = json.loads(config_lib.to_json(presets.quick()))
    old["data"]["size"] = 64  # also a number of pixels
    del old["data"]["count"], old["data"]["channels"]
    found = config_lib.from_json(json.dumps(old)).data
    assert (found.count, found.size, found.channels) == (64, 48, 1)


def test_a_run_of_before_there_was_a_precision_had_float32():
    old = json.loads(config_lib.to_json(presets.quick()))
    assert old["model"].pop("precision") == "auto"
    assert config_lib.from_json(json.dumps(old)).model.precision == "float32"


def test_a_network_of_before_was_told_no_surroundings():
    old = json.loads(config_lib.to_json(presets.flow()))
    assert old["unet"].pop("surroundings")
    assert old["unet"].pop("deeper")
    found = config_lib.from_json(json.dumps(old)).unet
    assert (found.deeper, found.surroundings) == (0, False)


def test_presets_of_publications_and_of_phase_joint_compute_in_float32():
    exact = {name for name in presets.PRESETS if presets.preset(name).model.precision != "auto"}
    assert exact == {"paper", "wgan", "wgan_gp", "began", "cyclegan", "stargan", "emogan"}
    assert all(presets.preset(name).model.precision == "float32" for name in exact)


@pytest.mark.parametrize(("size", "channels", "found"), [(64, 1, "64x64 gray"), (48, 3, "48x48 colour")])
def test_fer2013_has_but_the_faces_that_it_has(size, channels, found):
    config = presets.emogan()
    config.data.size, config.data.channels = size, channels
    with pytest.raises(ValueError, match=f"whose faces are 48x48 gray, found {found}; take"):
        config.check()


def test_fields_of_before_have_their_names_of_today():
    old = {"joint": {"slope_penalty": 0.5, "guide": 3.0, "paint": 4.0, "bend_first": 0.1}}
    found = config_lib.from_json(json.dumps({**old, "translator": {"informed": True}}))
    joint = found.joint
    assert (joint.r1_r2, joint.guidance, joint.residual, joint.warp_first) == (0.5, 3.0, 4.0, 0.1)
    assert found.translator.guidance_features is True


def test_fields_that_no_longer_exist_are_left_out():
    found = config_lib.from_json('{"student": {"edges": 10.0, "roughness": 0.05, "batch_size": 8}}')
    assert found.student == config_lib.StudentConfig(batch_size=8)


@pytest.mark.parametrize("name", model_file.SHIPPED)
def test_the_cards_of_the_models_that_ship_have_a_configuration(name):
    card = model_file.shipped(name).card
    assert config_lib.of(card).phases == json.loads(card["config"])["phases"]


def test_json_takes_an_integer_for_a_float():
    assert config_lib.from_json('{"gan": {"learning_rate": 1}}').gan.learning_rate == 1.0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"sede": 1}, "sede: expected a field out of preset, phases, seed"),
        ({"gan": {"epoch": 1}}, r"gan\.epoch: expected a field out of epochs"),
        ({"seed": "1"}, "seed: expected int, found '1'"),
        ({"seed": True}, "seed: expected int, found True"),
        ({"gan": {"batch_size": 1.5}}, r"gan\.batch_size: expected int, found 1\.5"),
        ({"model": {"batch_norm": 1}}, r"model\.batch_norm: expected bool, found 1"),
        ({"gan": {"learning_rate": "fast"}}, r"gan\.learning_rate: expected float, found 'fast'"),
        ({"gan": 3}, r"gan\.: expected an object, found 3"),
        ([], r"config: expected an object, found \[\]"),
    ],
    ids=str,
)
def test_json_with_an_unknown_field_or_a_wrong_type_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        config_lib.from_json(json.dumps(value))


def test_text_that_is_no_json_is_refused():
    with pytest.raises(ValueError, match="expected a configuration as JSON"):
        config_lib.from_json("{")


MAY_CHANGE = (
    *("student.teacher", "flow.start"),
    *("preset", "phases", "data.dir", "data.on_bad_row", "data.ferplus"),
    *("gan.epochs", "encoder.epochs", "flow.epochs", "gan.on_collapse"),
    *("translator.strength", "translator.mirrored"),
    *("parallel.mode", "parallel.devices", "parallel.data", "parallel.optimizer"),
)


@pytest.mark.parametrize("name", config_lib.flatten(config_lib.Config()))
def test_differences_name_a_changed_field_unless_it_leaves_the_run_the_same(name):
    old = config_lib.Config()
    before = config_lib.flatten(old)[name]
    after = {bool: lambda: not before, str: lambda: before + "x"}.get(type(before), lambda: before + 1)()
    found = config_lib.differences(old, changed(config_lib.Config(), name, after))
    same_run = name in MAY_CHANGE or name.startswith(("run.", "flow_edit."))
    assert found == ([] if same_run else [f"{name}: {before!r} -> {after!r}"])


@pytest.mark.parametrize(
    ("old", "new", "same_run"),
    [
        ("classifier,robust,joint", "classifier,joint,robust", True),
        ("classifier,robust,joint", "robust,classifier,joint", False),
        ("classifier,robust,joint", "classifier,joint", False),
        ("classifier,robust,joint", "classifier,robust", False),
        ("joint", "gan,encoder", False),
        ("joint", "gan,encoder,joint", True),
        ("classifier", "gan,encoder", True),
        ("gan,encoder", "joint", True),
    ],
)
def test_phases_may_change_but_not_joint_and_its_classifiers(old, new, same_run):
    before, after = (config_lib.Config(phases=phases) for phases in (old, new))
    assert config_lib.differences(before, after) == ([] if same_run else [f"phases: {old!r} -> {new!r}"])


def test_override_sets_a_field_by_its_dotted_name_in_its_own_type():
    config = presets.preset("quick")
    for name, text in (("gan.epochs", "7"), ("joint.augment", "False"), ("gan.learning_rate", "3e-4"), ("seed", "5")):
        config_lib.override(config, name, text)
    assert (config.gan.epochs, config.joint.augment, config.gan.learning_rate, config.seed) == (7, False, 3e-4, 5)
    for name, text in (("gan.speed", "1"), ("gan", "1"), ("gan.batch_size", "2.5"), ("joint.augment", "perhaps")):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            config_lib.override(config, name, text)


def test_epochs_are_shared_among_the_phases():
    for name, shares in (("paper", {"gan": 0.5, "encoder": 0.5}), ("stargan", {"joint": 1.0})):
        config = presets.preset(name)
        config_lib.share_epochs(config, 7)
        for phase, share in shares.items():
            assert getattr(config, phase).epochs == pytest.approx(7 * share)
    config = presets.preset("emogan")
    phases = config.classifier, config.robust, config.joint
    before = [phase.epochs / config.joint.epochs for phase in phases]
    config_lib.share_epochs(config, 0.5)
    assert sum(phase.epochs for phase in phases) == pytest.approx(0.5)
    assert [phase.epochs / config.joint.epochs for phase in phases] == pytest.approx(before)

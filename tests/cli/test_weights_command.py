"""`runner weights`: what the commands print, and how a run that lacks weights is stopped."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from conftest import Cli, WriteConfig
from support.weights import Site, lock, pdparams


def test_fetch_list_verify_remove(cli_here: Cli, site: Site, store: Path) -> None:
    content = pdparams()
    url, digest = site.file("/R50.pdparams", content), sha256(content).hexdigest()
    assert "no weights in" in cli_here("weights", "list").fine()
    out = cli_here("weights", "fetch", url).fine()
    assert [line.split()[0] for line in out.splitlines()] == [url, "from", "size", "licence", "sha256", "stored", "locked"]
    assert f"{url}: already there" in cli_here("weights", "fetch").fine()
    listed = cli_here("weights", "list").fine()
    assert "R50.pdparams" in listed and digest[:16] in listed and "yes" in listed
    assert cli_here("weights", "verify").fine().splitlines() == [f"{url}: intact", "1 of 1 file intact"]
    cli_here("weights", "remove", "--keep-lock", url).fine()
    assert "no" in cli_here("weights", "list").fine()
    verified = cli_here("weights", "verify")
    assert verified.code == 1 and f"not on this machine: runner weights fetch {url}" in verified.out
    assert cli_here("weights", "remove", url).fine() == f"{url}: removed\n"
    assert "has no entries; give a name" in cli_here("weights", "fetch").refused()
    assert "has no entry 'R50'" in cli_here("weights", "remove", "R50").refused()


def test_a_run_without_its_weights_is_stopped_and_the_command_is_enough(
    cli_here: Cli, site: Site, store: Path, write_config: WriteConfig
) -> None:
    url = site.file("/R18.pdparams", pdparams())
    config = write_config(pretrain_weights=url)
    message = cli_here("train", "-c", config, "--run-dir", "a run").refused()
    assert f"pretrain_weights: {url} is not in weights.lock, and a run downloads nothing: runner weights fetch {url}" in message
    assert not Path("a run").exists() and not site.asked
    shown = cli_here("config", "check", "-c", config)
    assert "a run would also need" in shown.out + shown.err and shown.code == 0
    assert url in cli_here("weights", "fetch", config).fine()
    assert "pretrain_weights" not in cli_here("config", "check", "-c", config).fine()
    assert f"pretrain_weights: {url}#sha256={sha256(pdparams()).hexdigest()}" in cli_here("config", "show", "-c", config).fine()


def test_a_config_that_names_files_needs_nothing(cli_here: Cli, store: Path, write_config: WriteConfig) -> None:
    assert "names no published weights" in cli_here("weights", "fetch", write_config(pretrain_weights="w.pth")).fine()
    assert "does not exist" in cli_here("weights", "fetch", "gone.yml").refused()


def test_an_evaluation_needs_no_initial_weights(cli_here: Cli, store: Path, write_config: WriteConfig) -> None:
    config = write_config(pretrain_weights="a/b")
    message = cli_here("eval", "-c", config).refused()
    assert "weights: not set" in message and "weights.lock" not in message


def test_baseline_and_trials_are_told_apart_by_name(cli_here: Cli, store: Path, write_config: WriteConfig) -> None:
    lock("a/b", pdparams(), ".safetensors")
    write_config(pretrain_weights="a/b")
    Path("s.yml").write_text("config: tiny.yml\nvary: {pretrain_weights: [a/b, null]}\nseeds: [0]\n", encoding="utf-8")
    planned = cli_here("sweep", "s.yml", "--dry-run")
    assert planned.code == 0 and "0001-pretrain_weights=null" in planned.out and "0002" not in planned.out, planned

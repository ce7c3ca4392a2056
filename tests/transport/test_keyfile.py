from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from rookery.transport.identity import Identity
from rookery.transport.keyfile import KeyFileError, load, save

IDENTITY = Identity.from_seed(b"k" * 32)
OTHER = Identity.from_seed(b"o" * 32)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_key_file_saved_without_a_passphrase_loads_the_same_identity(tmp_path: Path) -> None:
    save(IDENTITY, tmp_path / "node.key")
    assert load(tmp_path / "node.key").sign(b"x") == IDENTITY.sign(b"x")
    assert (tmp_path / "node.key").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_key_file_saved_with_a_passphrase_loads_with_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    save(IDENTITY, path, "grüße")
    assert load(path, "grüße").peer == IDENTITY.peer
    with pytest.raises(KeyFileError, match="wrong passphrase, or the file is damaged"):
        load(path, "Grüße")
    with pytest.raises(KeyFileError, match="protected by a passphrase and none was given"):
        load(path)


def test_key_file_without_a_passphrase_loaded_with_one_is_refused(tmp_path: Path) -> None:
    save(IDENTITY, tmp_path / "node.key")
    with pytest.raises(KeyFileError, match="is not protected by a passphrase, yet one was given"):
        load(tmp_path / "node.key", "secret")


@pytest.mark.parametrize("passphrase", ["", "x" * 1024])
def test_key_file_passphrase_that_is_empty_or_too_long_is_refused(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(KeyFileError, match="allowed are 1 to 1023"):
        save(IDENTITY, tmp_path / "node.key", passphrase)
    with pytest.raises(KeyFileError, match="allowed are 1 to 1023"):
        load(tmp_path / "node.key", passphrase)
    assert list(tmp_path.iterdir()) == []


def test_key_file_passphrase_of_the_greatest_length_works(tmp_path: Path) -> None:
    save(IDENTITY, tmp_path / "node.key", "x" * 1023)
    assert load(tmp_path / "node.key", "x" * 1023).peer == IDENTITY.peer


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
def test_key_file_has_mode_0600_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    previous = os.umask(mask)
    try:
        save(IDENTITY, tmp_path / "node.key")
    finally:
        os.umask(previous)
    assert mode_of(tmp_path / "node.key") == 0o600


def test_key_file_overwriting_an_open_one_has_mode_0600_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    path.write_text("old")
    path.chmod(0o666)
    save(IDENTITY, path)
    assert mode_of(path) == 0o600
    assert load(path).peer == IDENTITY.peer
    assert list(tmp_path.iterdir()) == [path]


def test_key_file_overwriting_a_link_replaces_the_link_and_not_its_target(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "node.key"
    target.write_text("kept")
    link.symlink_to(target)
    save(IDENTITY, link)
    assert target.read_text() == "kept"
    assert not link.is_symlink()


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_key_file_save_that_fails_keeps_the_old_key_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "node.key"
    save(OTHER, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(KeyFileError, match=r"node\.key: cannot be written: No space left on device"):
        save(IDENTITY, path)
    monkeypatch.undo()
    assert load(path).peer == OTHER.peer
    assert list(tmp_path.iterdir()) == [path]


def test_key_file_is_synced_before_it_is_renamed_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def noted_replace(source: str, target: Path) -> None:
        assert Path(source).parent == target.parent
        assert mode_of(Path(source)) == 0o600
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    save(IDENTITY, tmp_path / "node.key")
    assert steps == ["sync file", "rename", "sync folder"]


def test_key_file_save_into_a_missing_folder_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"none/node\.key: cannot be written: No such file"):
        save(IDENTITY, tmp_path / "none" / "node.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610, 0o601, 0o602])
def test_key_file_open_to_group_or_others_is_not_loaded(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    save(IDENTITY, path)
    path.chmod(mode)
    with pytest.raises(KeyFileError) as error:
        load(path)
    assert str(error.value) == (
        f"key file {path}: has mode {mode:04o}, open to group or others; allowed is 0600 or stricter: chmod 600 {path}"
    )
    assert error.value.path == path


def test_key_file_that_even_its_owner_cannot_write_is_loaded(tmp_path: Path) -> None:
    save(IDENTITY, tmp_path / "node.key")
    (tmp_path / "node.key").chmod(0o400)
    assert load(str(tmp_path / "node.key")).peer == IDENTITY.peer


def test_key_file_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"node\.key: cannot be read: No such file"):
        load(tmp_path / "node.key")


def test_key_file_that_is_a_folder_or_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match="pipe: is not a regular file"):
        load(tmp_path / "pipe")
    with pytest.raises(KeyFileError, match="folder: is not a regular file"):
        load(tmp_path / "folder")


def test_key_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = write_private(tmp_path / "node.key", bytes(16 * 1024 + 1))
    with pytest.raises(KeyFileError, match="has 16385 bytes; a key file has at most 16384"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff\x00", b"-----BEGIN PUBLIC KEY-----\n"])
def test_key_file_that_is_no_pem_private_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write_private(tmp_path / "node.key", content)
    with pytest.raises(KeyFileError, match=r"is no private key in PKCS#8 PEM; allowed is an Ed25519 key"):
        load(path)


def test_key_file_with_a_damaged_body_is_refused(tmp_path: Path) -> None:
    save(IDENTITY, tmp_path / "node.key")
    content = (tmp_path / "node.key").read_bytes()
    path = write_private(tmp_path / "node.key", content.replace(content[30:50], b"A" * 20))
    with pytest.raises(KeyFileError, match="the PEM is damaged"):
        load(path)


def test_key_file_of_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    for key, kind in ((ec.generate_private_key(ec.SECP256R1()), "EC"), (ed448.Ed448PrivateKey.generate(), "Ed448")):
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = write_private(tmp_path / kind, pem)
        with pytest.raises(KeyFileError, match=rf"holds a key of kind .*{kind}.*; allowed is Ed25519"):
            load(path)


def test_key_file_errors_show_nothing_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    save(IDENTITY, path, "right")
    body = path.read_text().splitlines()[1]
    with pytest.raises(KeyFileError) as error:
        load(path, "wrong")
    assert body[:16] not in str(error.value)
    assert "wrong" not in str(error.value).replace("wrong passphrase", "")

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from rookery.transport.identity import Identity
from rookery.transport.identity.keyfile import KeyFileError, load, read_passphrase, save

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


def test_key_file_as_it_is_saved_is_read_without_the_other_formats_and_any_other_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked, load_pem = tmp_path / "node.key", list[bytes](), serialization.load_pem_private_key

    def load_and_note(pem: bytes, secret: bytes | None) -> object:
        asked.append(pem)
        return load_pem(pem, secret)

    monkeypatch.setattr(serialization, "load_pem_private_key", load_and_note)
    save(IDENTITY, path)
    pem = path.read_bytes()
    assert load(path).peer == IDENTITY.peer
    assert asked == []
    other = b"a comment\n" + pem
    assert load(write_private(path, other)).peer == IDENTITY.peer
    assert asked == [other]
    with pytest.raises(KeyFileError, match="the PEM is damaged"):
        load(write_private(path, pem.replace(b"MC4CAQAw", b"MC4CAQBw")))


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
        f"key file {path}: has mode {mode:04o}, open to group or others; allowed is 0600 or stricter: chmod 600 {path} "
        "(or 0440 where root owns it, as of a mounted secret)"
    )
    assert error.value.path == path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files away")
def test_key_of_a_mounted_secret_is_loaded_by_a_process_of_its_group_and_no_other(tmp_path: Path) -> None:
    """As Kubernetes mounts a secret with fsGroup: root's, mode 0440, by a link in a folder."""
    tmp_path.chmod(0o755)
    (tmp_path / "..data").mkdir()
    save(IDENTITY, tmp_path / "..data" / "node.key")
    (tmp_path / "node.key").symlink_to("..data/node.key")
    os.chown(tmp_path / "node.key", 0, 2000)
    (tmp_path / "node.key").chmod(0o440)
    assert loaded_as(tmp_path / "node.key", user=1000, groups=[2000]) == str(IDENTITY.peer)
    assert "cannot be read: Permission denied" in loaded_as(tmp_path / "node.key", user=1000, groups=[])
    os.chown(tmp_path / "node.key", 1000, 2000)
    assert "has mode 0440, open to group" in loaded_as(tmp_path / "node.key", user=1000, groups=[2000])
    os.chown(tmp_path / "node.key", 0, 2000)
    for mode in (0o640, 0o444, 0o460, 0o441):
        (tmp_path / "node.key").chmod(mode)
        assert f"has mode {mode:04o}" in loaded_as(tmp_path / "node.key", user=1000, groups=[2000])


def loaded_as(path: Path, *, user: int, groups: list[int]) -> str:
    """What a process of this user says: whose key it is, or why it is not loaded."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.chdir(path.parent)  # the folders above may be closed to it
        os.setgroups(groups)
        os.setgid(user)
        os.setuid(user)
        try:
            said = str(load(path.name).peer)
        except BaseException as error:
            said = str(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize("content", ["grüße", "grüße\n", "grüße\r\n"])
def test_passphrase_file_is_its_line(tmp_path: Path, content: str) -> None:
    assert read_passphrase(write_private(tmp_path / "passphrase", content.encode())) == "grüße"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not hold one line of 1 to 1023 bytes"),
        (b"\n", "does not hold one line"),
        (b"one\ntwo\n", "does not hold one line"),
        (b"x" * 1024, "does not hold one line"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 20_000, "has 20000 bytes; a passphrase file has at most 16384"),
    ],
)
def test_passphrase_file_that_holds_no_passphrase_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(KeyFileError, match=rf"passphrase file .*/passphrase: {why}"):
        read_passphrase(write_private(tmp_path / "passphrase", content))


def test_passphrase_file_that_is_open_or_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="passphrase: cannot be read: No such file"):
        read_passphrase(tmp_path / "passphrase")
    write_private(tmp_path / "passphrase", b"secret").chmod(0o644)
    with pytest.raises(KeyFileError, match="passphrase: has mode 0644, open to group or others"):
        read_passphrase(tmp_path / "passphrase")


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

"""Where data and sockets lie, and which ports are taken."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from focushub_core.embedded import account, place, ports
from focushub_core.errors import ConfigurationError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder of mode 0700, as in root's home."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in for /var/lib/focushub."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(place, "STATE", Path(name))
        yield Path(name)


def test_free_ports_lie_below_the_ephemeral_ones() -> None:
    assert all(ports.LOWEST <= ports.free_port() <= 32767 for _ in range(20))


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.free_port()))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])


def test_an_ordinary_user_keeps_its_data_where_it_asked(tmp_path: Path) -> None:
    assert place.Place(tmp_path / "a" / "data") == place.settle(tmp_path / "a" / "data", None)


@as_root
def test_data_that_the_servers_user_cannot_reach_lie_elsewhere_and_a_line_says_so(
    closed: Path, state: Path
) -> None:
    """The wanted place is a link; the folder above keeps its mode; the same place is found again."""
    nobody, wanted = account._named("nobody"), closed / "postgres"
    settled = place.settle(wanted, nobody)
    assert settled == place.settle(wanted, nobody)
    assert (settled.data, 0o700) == (wanted.readlink(), stat.S_IMODE(closed.stat().st_mode))
    assert state in settled.data.parents
    assert str(settled.data) in (settled.notice or "")
    assert "\n" not in (settled.notice or "")


@as_root
def test_data_elsewhere_follow_the_folder_that_is_moved(closed: Path, state: Path) -> None:
    nobody = account._named("nobody")
    before = place.settle(closed / "old" / "postgres", nobody)
    before.data.mkdir()
    (closed / "old").rename(closed / "new")
    assert before.data == place.settle(closed / "new" / "postgres", nobody).data


@as_root
def test_a_folder_that_is_removed_and_made_again_begins_anew(closed: Path, state: Path) -> None:
    """As people do to be rid of the data; what lies elsewhere must not come back."""
    nobody = account._named("nobody")
    before = place.settle(closed / "postgres", nobody)
    before.data.mkdir()
    (closed / "postgres").unlink()
    after = place.settle(closed / "postgres", nobody)
    assert after.data != before.data
    assert not after.data.exists()


@as_root
def test_a_folder_that_is_copied_does_not_share_its_data(closed: Path, state: Path) -> None:
    nobody = account._named("nobody")
    first = place.settle(closed / "first" / "postgres", nobody)
    first.data.mkdir()
    shutil.copytree(closed / "first", closed / "second", symlinks=True)
    second = place.settle(closed / "second" / "postgres", nobody)
    assert second.data != first.data
    assert first == place.settle(closed / "first" / "postgres", nobody)
    assert second == place.settle(closed / "second" / "postgres", nobody)


@as_root
@pytest.mark.parametrize("target", ["/etc/postgres", "/nowhere/x/postgres"])
def test_a_link_to_anywhere_else_is_not_followed(closed: Path, state: Path, target: str) -> None:
    (closed / "postgres").symlink_to(target)
    assert state in place.settle(closed / "postgres", account._named("nobody")).data.parents


@as_root
def test_data_that_the_servers_user_can_reach_stay(closed: Path, state: Path) -> None:
    closed.chmod(0o711)
    assert place.Place(closed / "data") == place.settle(closed / "data", account._named("nobody"))


@as_root
def test_root_runs_a_server_as_the_owner_of_its_data(closed: Path) -> None:
    nobody = account._named("nobody")
    (closed / "data").mkdir()
    os.chown(closed / "data", nobody.uid, nobody.gid)
    assert nobody == account.server_account(closed / "data", None, {})


@as_root
def test_root_runs_a_new_server_as_who_called_sudo(closed: Path) -> None:
    daemon = account._named("daemon")
    assert daemon == account.server_account(closed / "none", None, {"SUDO_UID": str(daemon.uid)})


@pytest.mark.parametrize("name", ["root", "no-such-user"])
def test_a_user_that_cannot_run_it_is_refused(name: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 and name == "root":
        pytest.skip("asked of root only")
    with pytest.raises(ConfigurationError):
        account.server_account(tmp_path, name, {})


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    place.write_private(tmp_path / "file", "secret", None)
    assert (
        (tmp_path / "file").read_text(),
        stat.S_IMODE((tmp_path / "file").stat().st_mode),
    ) == ("secret", 0o600)

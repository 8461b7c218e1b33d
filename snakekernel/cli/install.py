"""``install``: a kernelspec for this interpreter, where Jupyter finds it."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from rich.text import Text
from traitlets import Bool, Dict, Unicode

from ..client.launch import kernel_spec
from ..wire.errors import Denied, InvalidRequest
from .command import Answer, Command, merged

_NAME: Final = "snakekernel"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InstallApp(Command):
    """Install a kernelspec of this interpreter."""

    name = "snakekernel install"
    description = cleandoc("""snakekernel install

    Install a kernelspec of this interpreter for Jupyter: for all users, or as --user, --sys-prefix or
    --prefix say. (The package brings one for its own environment.)
    """)
    examples = cleandoc("""
    snakekernel install --user --name=snake-ml --display-name="Python (ML)"
    snakekernel install --sys-prefix --env OMP_NUM_THREADS 4
    """)

    user = Bool(False, help="Install for the current user alone.").tag(config=True)
    sys_prefix = Bool(False, help="Install into this interpreter's environment.").tag(config=True)
    prefix = Unicode("", help="Install into PREFIX/share/jupyter/kernels.").tag(config=True)
    kernel_name = Unicode(_NAME, help="The kernelspec's name.").tag(config=True)
    display_name = Unicode("", help="What menus show.").tag(config=True)
    env = Dict(key_trait=Unicode(), value_trait=Unicode(), help="Variables of the kernel's process.").tag(
        config=True
    )

    aliases = merged(
        Command.aliases,
        {
            "prefix": "InstallApp.prefix",
            "name": "InstallApp.kernel_name",
            "display-name": "InstallApp.display_name",
            "env": "InstallApp.env",
        },
    )
    flags = merged(
        Command.flags,
        {
            "user": ({"InstallApp": {"user": True}}, "Install for the current user alone."),
            "sys-prefix": (
                {"InstallApp": {"sys_prefix": True}},
                "Install into this interpreter's environment.",
            ),
        },
    )

    def parse_command_line(self, argv: Any = None) -> None:
        """Take ``--env NAME VALUE``, as ipykernel does, for ``--env NAME=VALUE``."""
        words = list(sys.argv[1:] if argv is None else argv)
        joined: list[str] = []
        while words:
            word = words.pop(0)
            joined.append(word)
            is_pair = word == "--env" and len(words) > 1 and not words[1].startswith("-")
            if is_pair and _VARIABLE.fullmatch(words[0]):
                joined.append(f"{words.pop(0)}={words.pop(0)}")
        super().parse_command_line(joined)

    def answer(self) -> Answer:
        """Install it."""
        self.take(0, 0)
        if sum((self.user, self.sys_prefix, bool(self.prefix))) > 1:
            raise InvalidRequest("Choose one of --user, --sys-prefix and --prefix.")
        folder = self._install(sys.prefix if self.sys_prefix else self.prefix or None)
        document = {"status": "ok", "kernelspec": folder, "name": Path(folder).name}
        return Answer(document, lambda console: console.print(Text(f"Installed {folder}"), soft_wrap=True))

    def _install(self, prefix: str | None) -> str:
        spec = kernel_spec()
        if self.display_name:
            spec["display_name"] = self.display_name
        if self.env:
            spec["env"] = dict(self.env)
        manager = KernelSpecManager(parent=self)
        with tempfile.TemporaryDirectory() as folder:
            for logo in _logos(manager):
                shutil.copy(logo, folder)
            Path(folder, "kernel.json").write_text(json.dumps(spec, indent=1))
            # mkdtemp's mode is for us alone; the kernelspec is for all who may see its place.
            Path(folder).chmod(0o755)
            try:
                return manager.install_kernel_spec(folder, self.kernel_name, user=self.user, prefix=prefix)
            except ValueError as error:
                raise InvalidRequest(str(error)) from None
            except OSError as error:
                raise Denied(f"Cannot write the kernelspec: {error}. Try --user or --sys-prefix.") from None


def _logos(manager: KernelSpecManager) -> list[Path]:
    """The logos that came with the package; none where its own kernelspec is not installed."""
    try:
        home = Path(manager.get_kernel_spec(_NAME).resource_dir)
    except NoSuchKernel:
        return []
    return sorted(home.glob("logo-*"))

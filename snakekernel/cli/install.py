"""``install``: a kernelspec for this interpreter, where Jupyter finds it, and where its kernels run."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from rich.text import Text
from traitlets import Bool, Dict, List, Unicode

from ..client.launch import check_settings, kernel_spec
from ..provisioners.bubblewrap import check_bwrap, find_bwrap
from ..wire.errors import Denied, InvalidRequest, Unsupported
from .arguments import datum
from .command import Answer, Command, merged

_NAME: Final = "snakekernel"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Where kernels can run beside Jupyter's own way; the module that its engine, and the extra, is called by.
_PROVISIONERS: Final[dict[str, tuple[str | None, str]]] = {
    "zygote": (None, ""),
    "sandbox": (None, ""),
    "ray": ("ray", "ray"),
    "dask": ("distributed", "dask"),
}


class InstallApp(Command):
    """Install a kernelspec of this interpreter."""

    name = "snakekernel install"
    description = cleandoc("""snakekernel install

    Install a kernelspec of this interpreter for Jupyter: for all users, or as --user, --sys-prefix or
    --prefix say. (The package brings one for its own environment.)

    With --provisioner, its kernels are forked from a process that has imported everything (zygote), see
    next to nothing of this machine (sandbox), or run on a cluster (ray, dask). --config sets what that one
    can be told, in JSON where it parses as such.
    """)
    examples = cleandoc("""
    snakekernel install --user --name=snake-ml --display-name="Python (ML)"
    snakekernel install --sys-prefix --env OMP_NUM_THREADS 4
    snakekernel install --user --provisioner zygote --name snake-fast --preload numpy --preload pandas
    snakekernel install --user --provisioner sandbox --name snake-safe --config 'limits={"as": 4000000000}'
    snakekernel install --user --provisioner ray --name snake-ray --address head:6379
    """)

    user = Bool(False, help="Install for the current user alone.").tag(config=True)
    sys_prefix = Bool(False, help="Install into this interpreter's environment.").tag(config=True)
    prefix = Unicode("", help="Install into PREFIX/share/jupyter/kernels.").tag(config=True)
    kernel_name = Unicode("", help="The kernelspec's name; snakekernel, or snakekernel-PROVISIONER.").tag(
        config=True
    )
    display_name = Unicode("", help="What menus show.").tag(config=True)
    env = Dict(key_trait=Unicode(), value_trait=Unicode(), help="Variables of the kernel's process.").tag(
        config=True
    )
    provisioner = Unicode("", help="Where its kernels run: zygote, sandbox, ray or dask.").tag(config=True)
    address = Unicode("", help="The cluster that ray or dask connects to.").tag(config=True)
    preload = List(Unicode(), help="A library that zygotes import for all their kernels.").tag(config=True)
    options = Dict(key_trait=Unicode(), help="Other settings of the provisioner, as NAME=VALUE.").tag(
        config=True
    )

    aliases = merged(
        Command.aliases,
        {
            "prefix": "InstallApp.prefix",
            "name": "InstallApp.kernel_name",
            "display-name": "InstallApp.display_name",
            "env": "InstallApp.env",
            "provisioner": "InstallApp.provisioner",
            "address": "InstallApp.address",
            "preload": "InstallApp.preload",
            "config": "InstallApp.options",
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
        name = self.kernel_name or "-".join(filter(None, (_NAME, self.provisioner)))
        if self.display_name:
            spec["display_name"] = self.display_name
        elif self.provisioner:
            spec["display_name"] = f"Python ({name})"
        if self.env:
            spec["env"] = dict(self.env)
        placed = self._placed()
        if placed:
            spec["metadata"]["kernel_provisioner"] = placed
        manager = KernelSpecManager(parent=self)
        with tempfile.TemporaryDirectory() as folder:
            for logo in _logos(manager):
                shutil.copy(logo, folder)
            Path(folder, "kernel.json").write_text(json.dumps(spec, indent=1))
            # mkdtemp's mode is for us alone; the kernelspec is for all who may see its place.
            Path(folder).chmod(0o755)
            try:
                return manager.install_kernel_spec(folder, name, user=self.user, prefix=prefix)
            except ValueError as error:
                raise InvalidRequest(str(error)) from None
            except OSError as error:
                raise Denied(f"Cannot write the kernelspec: {error}. Try --user or --sys-prefix.") from None

    def _placed(self) -> dict[str, Any]:
        """The provisioner's part of the kernelspec; empty for Jupyter's own. Raises where it cannot work."""
        config: dict[str, Any] = {name: datum(str(value)) for name, value in self.options.items()}
        if self.address:
            config["address"] = self.address
        if self.preload:
            config["preload"] = list(self.preload)
        if not self.provisioner:
            if config:
                raise InvalidRequest(f"--provisioner is missing: {', '.join(config)} would be for that.")
            return {}
        if self.provisioner not in _PROVISIONERS:
            known = ", ".join(_PROVISIONERS)
            raise InvalidRequest(f"There is no provisioner {self.provisioner!r}. Provisioners: {known}.")
        if self.provisioner == "sandbox":
            check_bwrap(find_bwrap())
        engine, extra = _PROVISIONERS[self.provisioner]
        if engine is not None and find_spec(engine) is None:
            raise Unsupported(
                f'{self.provisioner} is not installed here: pip install "snakekernel[{extra}]".',
            )
        name = f"snakekernel-{self.provisioner}"
        check_settings(name, config)
        return {"provisioner_name": name, "config": config}


def _logos(manager: KernelSpecManager) -> list[Path]:
    """The logos that came with the package; none where its own kernelspec is not installed."""
    try:
        home = Path(manager.get_kernel_spec(_NAME).resource_dir)
    except NoSuchKernel:
        return []
    return sorted(home.glob("logo-*"))

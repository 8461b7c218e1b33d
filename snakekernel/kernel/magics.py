"""The magics of the stored objects: ``%objects``, ``%object``, ``%del_object``, ``%%store_as``, ``%call``.

Rules: they do what the requests of the same meaning do, by the same code, as the cell that they stand in.
What was typed wrongly is a UsageError that says what to type; what called code raises comes as it is.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic import MAGIC_NO_VAR_EXPAND_ATTR, MAGIC_OUTPUT_CAN_BE_SILENCED

from .. import inspection
from ..commands import inspect as inspect_command
from ..commands.scope import Scope
from ..objects.secret_names import is_key_name
from ..objects.target import Target, UserCodeRaised, follow, parse, resolve_import
from ..wire.errors import SnakeError
from ..wire.path import Attr, path_text
from .displays import page_of
from .namespace import listing

if TYPE_CHECKING:
    from .kernel import SnakeKernel
    from .paths import Path, Step

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_KEEP: Final = re.compile(r"\s->\s*(?P<name>(?:(?!->).)+?)\s*\Z")

_CALL_USAGE: Final = "%call TARGET [ARGUMENTS] [-> NAME], such as: %call stored.df.head 3 -> top"


def _as_written(magic: F) -> F:
    """Have IPython expand no ``{…}`` in a magic's line, and show nothing where a ``;`` ends it."""
    setattr(magic, MAGIC_NO_VAR_EXPAND_ATTR, True)
    setattr(magic, MAGIC_OUTPUT_CAN_BE_SILENCED, True)
    return magic


class StoredMagics:
    """The magics of one kernel."""

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        self._stored = kernel.stored
        self._shell: Any = kernel.shell

    def register(self) -> None:
        """Give them to the kernel's shell."""
        for magic in (self.objects, self.object, self.del_object, self.call):
            self._shell.register_magic_function(magic, "line", magic.__name__)
        self._shell.register_magic_function(self.store_as, "cell", "store_as")

    @_as_written
    def objects(self, line: str) -> inspection.Page:
        """List the stored objects: name, type, shape, size, age.

        Usage::

            %objects             # all, the first hundred of them
            %objects model_*     # those whose names match a shell pattern

        Nothing of the objects' own code runs.
        """
        return listing(self._stored, line.strip() or "*")

    @_as_written
    def object(self, line: str) -> inspection.Page:
        """Show what a stored object is: type, shape, text, signature, docstring, parts.

        Usage::

            %object df               # a stored object
            %object df.columns       # a part of it
            %object settings["lm"]   # an item
        """
        name = line.strip()
        if not name:
            raise UsageError("Name a stored object: %object NAME, or %object NAME.PATH; %objects lists them.")
        scope = Scope(self._kernel.runtime, door="shell")
        try:
            request = inspect_command.Request(target=self._part(name))
            reply = _ended(inspect_command.run(request, scope))
            own = page_of(scope.resolve(scope.target(request.target)))
        except SnakeError as error:
            raise UsageError(error.message) from None
        page = inspection.inspection_page(reply.inspection, name)
        return page if own is None else inspection.Page(page.title, [*page.parts[:1], *own.parts])

    @_as_written
    def del_object(self, line: str) -> None:
        """Delete a stored object.

        Usage::

            %del_object df
        """
        name = line.strip()
        if not name:
            raise UsageError("Name the stored object to delete: %del_object NAME; %objects lists them.")
        if name not in self._stored:
            raise self._missing(name)
        del self._stored[name]

    @_as_written
    def store_as(self, line: str, cell: str) -> Any:
        """Run the cell and store the value of its last line, which must be an expression.

        Usage::

            %%store_as top
            frame = stored.df.dropna()
            frame.head(3)

        The value is shown as usual; end the cell with a semicolon to show nothing.
        """
        name = line.strip()
        if not name:
            raise UsageError("Name what the cell's value is stored as: %%store_as NAME.")
        shell = self._shell
        transformed = shell.transform_cell(cell)
        filename = shell.compile.cache(transformed, shell.execution_count, raw_code=cell)
        tree = shell.transform_ast(shell.compile.ast_parse(transformed, filename=filename))
        if not tree.body or not isinstance(tree.body[-1], ast.Expr):
            raise UsageError("The cell's last line is no expression, so that there is no value to store.")
        last = ast.Expression(tree.body.pop().value)
        try:
            before = compile(tree, filename, "exec", dont_inherit=True)
            value = compile(last, filename, "eval", dont_inherit=True)
        except SyntaxError as error:
            if "await" not in str(error.msg) and "async" not in str(error.msg):
                raise
            raise UsageError(
                f"A cell with %%store_as cannot await; write stored[{name!r}] = await … instead."
            ) from None
        space = shell.user_ns
        exec(before, space)
        result = eval(value, space)
        self._keep(name, result)
        return result

    @_as_written
    def call(self, line: str) -> Any:
        """Call a target, as programs do with ``call``, and show or store its result.

        Usage::

            %call pandas.read_csv "flights.csv" -> flights      # stored as flights
            %call stored.flights.head 3                         # shown
            %call stored.flights.groupby "carrier", sort=False -> by_carrier
            %call user.train(stored.flights, rounds=10) -> model
            %call stored.model.coef_                            # no callable: its value

        A target is an importable path, ``stored.NAME…`` or ``user.VARIABLE…``. The arguments are Python
        expressions over the notebook's variables, apart by commas.
        """
        from .paths import leading

        found = leading(line.strip().removesuffix(";"))
        if found is None:
            raise UsageError(f"Name what to call: {_CALL_USAGE}.")
        path, rest = found
        name = None
        given = _arguments(rest)
        if given is None and (kept := _KEEP.search(rest)) is not None:
            given, name = _arguments(rest[: kept.start()]), kept["name"]
        if given is None:
            raise UsageError(f"This is no target and its arguments: {line.strip()!r}. {_CALL_USAGE}.")
        result = self._result(self._target(path), given)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise UsageError("This target is asynchronous, and a magic cannot await: call it in a cell.")
        if name is None:
            return result
        self._keep(name, result)
        return None

    def _result(self, target: Any, call: ast.Call) -> Any:
        space = self._shell.user_ns
        given = compile(ast.fix_missing_locations(ast.Expression(call)), "<%call>", "eval", dont_inherit=True)
        args, kwargs = eval(given, {**space, _GIVEN: lambda *args, **kwargs: (args, kwargs)})
        for key, value in kwargs.items():
            if is_key_name(key):
                self._kernel.runtime.secrets.add(value)
        if callable(target):
            return target(*args, **kwargs)
        if args or kwargs:
            raise UsageError(f"This is a value of type {type(target).__name__!r}, which takes no arguments.")
        return target

    def _target(self, path: Path) -> Any:
        try:
            return self._resolved(parse(_listed(path)))
        except UserCodeRaised as error:
            raise error.error from None
        except SnakeError as error:
            raise UsageError(error.message) from None

    def _resolved(self, target: Target) -> Any:
        if target.root == "import":
            self._kernel.runtime.policy.check(target.text, "$")
            obj = resolve_import(target.name, at="$")
        elif target.root == "stored":
            if target.name not in self._stored:
                raise self._missing(target.name)
            obj = self._stored[target.name]
        else:
            if target.name not in self._shell.user_ns:
                raise UsageError(f"The notebook has no variable {target.name!r}.")
            obj = self._shell.user_ns[target.name]
        return follow(obj, target.steps, at="$")

    def _part(self, text: str) -> list[Any] | str:
        """The target that a stored object's name means, or a path below one."""
        from .paths import Path, leading

        if text in self._stored:
            return ["stored", text]
        found = leading(text)
        if found is None or found[1].strip():
            raise self._missing(text)
        path = found[0]
        if path.root != "stored" or path.root in self._stored:
            path = Path("stored", (Attr(path.root), *path.steps))
        return _listed(path)

    def _missing(self, name: str) -> UsageError:
        return UsageError(f"There is no stored object {name!r}; %objects lists what there is.")

    def _keep(self, name: str, obj: Any) -> None:
        try:
            self._stored[name] = obj
        except (ValueError, SnakeError) as error:
            raise UsageError(f"It cannot be stored as {name!r}: {error}") from None


_GIVEN: Final = "__given__"


def _ended(work: Coroutine[Any, Any, T]) -> T:
    """What a command that never waits replied."""
    try:
        work.send(None)
    except StopIteration as end:
        reply: T = end.value
        return reply
    raise RuntimeError("the command waits")


def _arguments(rest: str) -> ast.Call | None:
    """The call of ``_GIVEN`` with the arguments that follow a target; None where they are no Python."""
    code = f"{_GIVEN}{rest}" if rest.startswith("(") else f"{_GIVEN}({rest.strip()})"
    try:
        tree = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    is_call = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == _GIVEN
    return tree if is_call else None  # type: ignore[return-value]


def _listed(path: Path) -> list[Any] | str:
    """A path as a target: as text where it is made of names alone."""
    if path.root in ("stored", "user") and path.steps:
        first, *rest = path.steps
        name = first.name if isinstance(first, Attr) else first.key
        return [path.root, name, *map(_step, rest)]
    if all(isinstance(step, Attr) for step in path.steps):
        return f"{path.root}{path_text(path.steps)}"
    return [path.root, *map(_step, path.steps)]


def _step(step: Step) -> Any:
    return step.name if isinstance(step, Attr) else {"item": step.key}

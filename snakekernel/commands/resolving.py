"""From a target to its object, for one request: under the policy, and without user code where none may run.

Rules: whatever names a target comes through here: the fields of requests, references in values, steps of
pipelines, classes of enum members. What user code raises on the way becomes an error reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..objects.policy import Walk
from ..objects.target import Target, UserCodeRaised, follow, resolve_import
from ..wire.errors import InvalidRequest, Unresolvable
from .failures import from_user_code
from .following import follow_beside

if TYPE_CHECKING:
    from .scope import Scope

#: Stands among ``Scope.results`` for a step that failed.
NO_RESULT: Final = object()


def resolve(scope: Scope, target: Target, *, at: str) -> Any:
    """The object a target names. Raises Denied, NotFound, Unresolvable."""
    policy = scope.runtime.policy
    walk = policy.walk(target, at) if policy.is_set else None
    obj = _resolved(scope, target, at, walk)
    if walk is not None:
        walk.end()
    return obj


def owner_of(scope: Scope, target: Target, *, at: str) -> Any:
    """The object whose attribute or item the target's last step names, which may be assigned."""
    policy, last = scope.runtime.policy, target.steps[-1]
    target = Target(target.root, target.name, target.steps[:-1])
    walk = policy.walk(target, at) if policy.is_set else None
    obj = _resolved(scope, target, at, walk)
    if walk is not None:
        walk.step(last)
        walk.end()
    return obj


def step_result(scope: Scope, index: int, at: str) -> Any:
    """What an earlier step of the pipeline made. Raises InvalidRequest."""
    if not 0 <= index < len(scope.results):
        raise InvalidRequest(
            f"$step {index} names no earlier step; {len(scope.results)} have a result.", at=at
        )
    found = scope.results[index]
    if found is NO_RESULT:
        raise InvalidRequest(f"Step {index} failed and has no result.", at=at)
    return found


def _resolved(scope: Scope, target: Target, at: str, walk: Walk | None) -> Any:
    is_beside = scope.static or scope.is_task
    try:
        if target.root == "import":
            with scope.interrupts:
                # A task imports nothing either: that belongs on the main thread.
                obj = resolve_import(target.name, at=at, static=is_beside, judge=walk)
        else:
            obj = _beginning(scope, target, at)
            if walk is not None:
                walk.reached(obj)
        if not target.steps:
            return obj
        if is_beside:
            task = scope.task if scope.is_task else None
            return follow_beside(obj, target.steps, at=at, task=task, walk=walk)
        with scope.interrupts:
            return follow(obj, target.steps, at=at, judge=walk)
    except (UserCodeRaised, KeyboardInterrupt) as error:
        raise from_user_code(error, at=at, reason=scope.interrupts.reason) from None


def _beginning(scope: Scope, target: Target, at: str) -> Any:
    """What a target that is not imported begins at."""
    if target.root == "stored":
        return scope.entry(target.name, at=at).obj
    if target.root == "step":
        return step_result(scope, int(target.name), at)
    namespace = scope.runtime.user_namespace()
    if target.name not in namespace:
        raise Unresolvable(f"The notebook has no variable {target.name!r}.", at=at)
    return namespace[target.name]

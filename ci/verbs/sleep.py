"""`sleep` and `wake`: take an environment to (almost) nothing, and back."""

from __future__ import annotations

from ci.cli import Options, emit
from ci.cost import estimate
from ci.prices import Prices
from ci.programs import Program, declared
from ci.sleep import Step, asleep, awake, carry_out
from ci.sleep_edges import Cloud, start, starting_order, stop
from infra.environment import Environment
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError

_FOR_GOOD = ("prod",)


def sleep(options: Options) -> int:
    """Put the environment to sleep; 1 when something could not be stopped. Production never sleeps."""
    return to_sleep(Environment.current(), options)


def wake(options: Options) -> int:
    """Wake the environment; 1 when something could not be started."""
    return awaken(Environment.current(), options)


def to_sleep(environment: Environment, options: Options) -> int:
    """As `sleep`, for this environment."""
    if environment.name in _FOR_GOOD:
        raise LeandataError(
            f"{environment.name} does not sleep: people and programs rely on it", hint="make sleep ENV=dev"
        )
    if not environment.has("kubernetes"):
        return _sleep_here(environment, options)
    programs = declared(environment.name, root=environment.root)
    return _cloud(environment, options, steps=asleep(programs), last=savings(environment.name, programs))


def awaken(environment: Environment, options: Options) -> int:
    """As `wake`, for this environment."""
    if not environment.has("kubernetes"):
        return _wake_here(environment, options)
    steps = awake(declared(environment.name, root=environment.root))
    return _cloud(environment, options, steps=steps, last="Nodes come as pods ask for them, in a minute or two.")


def savings(environment: str, programs: dict[str, Program]) -> str:
    """What is saved a month, in a sentence that says how it was reckoned."""
    prices = Prices.load()
    found = estimate(environment, programs, prices, idle=True)
    left = found.asleep()
    unknown = f" Not priced: {len(found.not_priced)}." if found.not_priced else ""
    return (
        f"Asleep it costs {left.monthly:,.0f} instead of {found.monthly:,.0f} US dollars a month:"
        f" {found.monthly - left.monthly:,.0f} saved ({prices.origin}).{unknown}"
    )


def _cloud(environment: Environment, options: Options, *, steps: list[Step], last: str) -> int:
    done: list[str] = []

    def said(sentence: str) -> None:
        done.append(sentence)
        if not options.json:
            print(sentence)

    problems: list[str] = []
    if options.dry:
        for step in steps:
            said(str(step))
    else:
        problems = carry_out(steps, Cloud.of(environment), said=said)
    return _end(options, done=done, problems=problems, last="Nothing was changed. " * options.dry + last)


def _sleep_here(environment: Environment, options: Options) -> int:
    supervisor = Supervisor(environment.state)
    running = sorted(status.name for status in supervisor.status() if status.pid)
    if not options.dry:
        running = stop(supervisor)
    done = [f"{name} {'would be stopped' if options.dry else 'is stopped'}" for name in running]
    if not options.json:
        print("\n".join(done) if done else "nothing runs")
    return _end(options, done=done, problems=[], last="`make wake` brings it back; data stays." if running else "")


def _wake_here(environment: Environment, options: Options) -> int:
    supervisor = Supervisor(environment.state)
    names = starting_order(supervisor)
    if not names:
        raise LeandataError("nothing is deployed here", where=str(environment.state), hint="Run `make deploy`")
    done: list[str] = []

    def said(sentence: str) -> None:
        done.append(sentence)
        if not options.json:
            print(sentence)

    if options.dry:
        for name in names:
            said(f"{name} would be started")
        return _end(options, done=done, problems=[], last="Nothing was changed.")
    problems = start(supervisor, said=said)
    return _end(options, done=done, problems=problems, last="" if done or problems else "everything runs already")


def _end(options: Options, *, done: list[str], problems: list[str], last: str) -> int:
    if options.json:
        emit({"ok": not problems, "steps": done, "problems": problems, "note": last})
        return 1 if problems else 0
    for problem in problems:
        print(f"error: {problem}")
    if last:
        print(last)
    return 1 if problems else 0

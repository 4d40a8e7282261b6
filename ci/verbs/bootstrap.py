"""`bootstrap`: what an account needs before anything can be deployed into it, once, by a person."""

from __future__ import annotations

from collections import Counter

from ci import account, programs
from ci.bootstrap import pulumi_path
from ci.cli import Options, emit
from ci.deploy import run_all
from ci.engine import Engine, OpenStack
from ci.events import Log
from ci.graph import StackInfo, discover
from ci.preflight_cloud import Account, Aws
from ci.progress import watching
from infra.components.naming import state_bucket
from infra.environment import Environment
from leandata.errors import LeandataError, SettingsError

STACK = "bootstrap"
ROLES = ("preview", "deploy", "drift")


def bootstrap(options: Options, *, access: Account | None = None) -> int:
    """Make it, or with --dry say what would be done; safe to interrupt and to repeat. Raises LeandataError."""
    environment = Environment.current()
    info = _info(environment)
    access = access or Aws.of(environment)
    _demand_account(environment, access)
    with account.alone(environment):
        states = _states(environment, info, access, quiet=options.json)
        steps = account.decide(states.look(), environment=environment.name)
        if not options.dry:
            account.perform(states, steps, told=lambda step: _say(f"{step}: {account.SAYS[step]}", quiet=options.json))
        found = {} if options.dry else account.outputs(states.there.exported(info))
    if options.json:
        emit({"done": [] if options.dry else list(steps), "outputs": found, "steps": list(steps)})
    elif options.dry:
        print(dry(info, environment, steps))
    else:
        print(next_steps(environment, found))
    return 0


def dry(info: StackInfo, environment: Environment, steps: tuple[account.Step, ...]) -> str:
    """What would be done, and what the bootstrap declares, by kind."""
    declared = programs.run(info, environment=environment.name, before={}).resources.values()
    kinds = Counter(one.type.rpartition(":")[2] for one in declared if one.type.startswith("aws:"))
    would = [f"would {step}: {account.SAYS[step]}" for step in steps]
    table = [f"{count:>4} {kind}" for kind, count in sorted(kinds.items())]
    return "\n".join([*would, "", *table, "Nothing was done."])


def next_steps(environment: Environment, found: dict[str, str]) -> str:
    """What a person does next: the CI environments that may take the roles, and the first deployment."""
    roles = [f"  {environment.name}-{role:<8} {found.get(f'role_{role}', '')}" for role in ROLES]
    return "\n".join(
        [
            f"The account of {environment.name} is ready. State lies in {found.get('bucket', '')}.",
            "",
            "Make these environments in the repository's settings; each may take one role:",
            *roles,
            "",
            f"Next: python -m ci images --env {environment.name}",
        ]
    )


def _info(environment: Environment) -> StackInfo:
    found = discover(environment.root, environment.name, by_hand=True)
    if STACK not in found:
        place = f"infra/environments/{environment.name}.toml"
        raise SettingsError(f"{environment.name} has no AWS account to bootstrap", where=place, hint="Add [aws]")
    return found[STACK]


def _demand_account(environment: Environment, access: Account) -> None:
    """Raises LeandataError unless the credentials are of the environment's account."""
    assert environment.file.aws is not None
    wanted, found = environment.file.aws.account, access.identity()
    if found != wanted:
        where = f"infra/environments/{environment.name}.toml, aws.account"
        hint = f"aws sso login --profile {environment.name}, and export AWS_PROFILE={environment.name}"
        raise LeandataError(f"the credentials are of account {found}, not of {wanted}", where=where, hint=hint)


def _states(environment: Environment, info: StackInfo, access: Account, *, quiet: bool) -> account.States:
    def up(engine: Engine) -> None:
        def act(stack: OpenStack, log: Log) -> None:
            stack.up(log)

        with watching(quiet=quiet, totals=dict) as watcher:
            [run] = run_all(engine, {info.name: info}, act=act, watcher=watcher)
        if run.state != "done":
            what = "; ".join(run.problems) or "it was interrupted"
            raise LeandataError(f"the bootstrap failed: {what}", hint="Mend it, then run the same command again")

    bucket = state_bucket(environment)
    assert bucket is not None
    name = bucket.bucket
    pulumi = pulumi_path()
    return account.States(
        here=Engine(environment=environment, pulumi=pulumi, local=True),
        there=Engine(environment=environment, pulumi=pulumi),
        info=info,
        bucket=lambda: access.bucket(name),
        up=up,
    )


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        print(text, flush=True)

"""The table of verbs: what each is for, its options, and where it is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One option of a verb, as argparse takes it."""

    flag: str
    help: str
    default: str = ""
    metavar: str | None = None
    switch: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Verb:
    """A verb: where it is done (`module:function`), what it is for, and its options."""

    done_by: str
    help: str
    options: tuple[Option, ...] = ()
    elsewhere: str = ""
    """For what only one machine has: what to type where services run in a cluster."""


_BASE = Option(flag="--base", metavar="COMMIT", help="compare with this (default: where the branch left main)")
_STACK = Option(flag="--stack", metavar="NAMES", help="only these stacks, separated by commas (default: all)")
_SERVICE = Option(flag="--service", metavar="NAME", help="only this process or service (default: all)")
VERBS: dict[str, Verb] = {
    "access": Verb(
        done_by="ci.verbs.access:access",
        help="who may read and write what, by which path",
        options=(
            Option(flag="--who", metavar="NAME", help="a service, a team, a process, a user or a role"),
            Option(flag="--what", metavar="NAME", help="such as MARTS.WEEKLY_SALES, raw/shop/orders/, serving_reader"),
        ),
    ),
    "affected": Verb(
        done_by="ci.verbs.affected:affected",
        help="which stacks, services and images a change touches, and why",
        options=(_BASE, Option(flag="--only-env", metavar="NAME", help="only this environment (default: all)")),
    ),
    "approve": Verb(
        done_by="ci.verbs.approve:approve",
        help="write into a plan which teams approved its commit on GitHub",
        options=(Option(flag="--plan", metavar="FILE", help="the plan.json of a preview"),),
    ),
    "backup": Verb(
        done_by="ci.verbs.backup:backup",
        help="copy what nothing else can make again, while everything runs",
        options=(
            Option(flag="--to", metavar="FOLDER", help="where backups lie (default: beside the state folder)"),
            Option(flag="--keep", metavar="N", help="how many are kept (default: as the environment's file says)"),
        ),
    ),
    "bench": Verb(
        done_by="ci.bench.run:bench",
        help="measure speed and memory, as ratios within one run",
        options=(
            Option(flag="--only", metavar="NAMES", help="only these measures, separated by commas"),
            Option(flag="--out", metavar="FILE", help="write the figures there as JSON"),
        ),
    ),
    "bootstrap": Verb(
        done_by="ci.verbs.bootstrap:bootstrap",
        help="make what an account needs before anything is deployed into it: once, by a person",
        options=(Option(flag="--dry", switch=True, help="show what would be done, do nothing"),),
    ),
    "catalogue": Verb(
        done_by="ci.verbs.catalogue:catalogue",
        help="write the catalogue of datasets from contracts, dbt and lineage",
        options=(Option(flag="--check", switch=True, help="write nothing, fail where a file is out of date"),),
    ),
    "check": Verb(
        done_by="ci.verbs.check:check",
        help="style, types, arrows, budgets: everything but running it",
        options=(
            Option(flag="--changed", switch=True, help="only what the change against --base can affect"),
            _BASE,
        ),
    ),
    "cost": Verb(
        done_by="ci.verbs.cost:cost",
        help="what an environment costs a month, before and after a change; exit code 3 when a budget is passed",
        options=(_BASE,),
    ),
    "comment": Verb(
        done_by="ci.verbs.comment:comment",
        help="say on a pull request what its previews found; its artifacts are taken as hostile",
        options=(
            Option(flag="--event", metavar="FILE", help="the event of GitHub (default: GITHUB_EVENT_PATH)"),
            Option(flag="--dry", switch=True, help="show what would be posted, post nothing"),
        ),
    ),
    "deploy": Verb(
        done_by="ci.verbs.deploy:deploy",
        help="bring an environment to what the programs declare; safe to repeat",
        options=(
            _STACK,
            Option(flag="--canary", metavar="NAME", help="this service first; the others only when it is well"),
            Option(flag="--dry", switch=True, help="show what would change, change nothing"),
            Option(flag="--plan", metavar="FILE", help="deploy just what this plan of an approved preview says"),
            Option(flag="--fingerprint", metavar="SHA256", help="the fingerprint that was approved"),
            Option(flag="--yes", switch=True, help="go on without a question"),
            Option(flag="--back-to", metavar="RELEASE", help="the release that this deployment brings back"),
        ),
    ),
    "destroy": Verb(
        done_by="ci.verbs.destroy:destroy",
        help="remove what the stacks made; data is kept unless --data",
        options=(_STACK, Option(flag="--data", switch=True, help="remove the data too, after a typed confirmation")),
    ),
    "doctor": Verb(done_by="ci.verbs.doctor:doctor", help="what this machine has, and what is missing"),
    "drift": Verb(
        done_by="ci.verbs.drift:drift",
        help="compare what is with what was deployed and what is declared, and change nothing",
        options=(
            _STACK,
            Option(flag="--out", metavar="FOLDER", help="write a Markdown file for each stack there"),
            Option(
                flag="--issues", metavar="FILE", help="the open issues as JSON: the answer says what to do with them"
            ),
            Option(flag="--revert", switch=True, help="after showing it, deploy the stacks that differ"),
            Option(flag="--soft", switch=True, help="exit with 0 unless a stack could not be looked at"),
        ),
    ),
    "drift-issues": Verb(
        done_by="ci.verbs.drift_issues:drift_issues",
        help="open, change and close the issues on GitHub that tell of drift, one a stack",
        options=(
            Option(flag="--from", metavar="FILE", help="the drift.json that `drift --out` wrote"),
            Option(flag="--dry", switch=True, help="show what would be done, do nothing"),
        ),
    ),
    "drill": Verb(
        done_by="ci.verbs.drill:drill",
        help="restore the newest backup beside, look at it, remove it again",
        options=(
            Option(flag="--from", metavar="FOLDER", help="a backup, or a folder of backups (default: ENV's own)"),
        ),
    ),
    "hostile": Verb(
        done_by="ci.verbs.hostile:hostile",
        help="send an API of its own thousands of hostile requests, made from its description",
        options=(
            Option(flag="--examples", metavar="N", default="450", help="generated cases an operation (default: 450)"),
            Option(flag="--seed", metavar="N", default="1", help="another seed makes other requests (default: 1)"),
        ),
    ),
    "images": Verb(
        done_by="ci.verbs.images:images",
        help="build the images that changed, and write down what the environment will run",
        options=(_SERVICE, Option(flag="--dry", switch=True, help="show what would be built, build nothing")),
    ),
    "lineage": Verb(
        done_by="ci.verbs.lineage:lineage_of",
        help="where a column comes from and who shows it: source, warehouse, route, page, mail",
        options=(
            Option(flag="--what", metavar="NAME", help="a column, a table, a route, a page (default: all tables)"),
        ),
    ),
    "key": Verb(
        done_by="ci.verbs.key:key",
        elsewhere="kubectl exec -n {prefix}api deployment/api -- python -m serving.keys list",
        help="list, create, rotate or revoke the keys of the API's clients",
        options=(
            Option(flag="--list", switch=True, help="show all keys, without their secret part"),
            Option(flag="--create", metavar="NAME", help="make a key for this client and show it, once"),
            Option(flag="--scopes", metavar="NAMES", help="what a new key may do, such as events:write,figures:read"),
            Option(flag="--rate", metavar="N", help="requests a second of a new key (default 50, 0 for any number)"),
            Option(flag="--rotate", metavar="ID", help="make a key to follow this one; both are valid for a day"),
            Option(flag="--revoke", metavar="ID", help="end this key at once"),
            Option(flag="--dry", switch=True, help="say what would be done, do nothing"),
        ),
    ),
    "logs": Verb(
        done_by="ci.verbs.operate:logs",
        elsewhere="kubectl logs -n {prefix}api deployment/api, and the same for other services",
        help="show what services wrote",
        options=(
            _SERVICE,
            Option(flag="--follow", switch=True, help="go on showing until ^C"),
            Option(flag="--lines", default="40", metavar="N", help="how many lines of each (default 40)"),
        ),
    ),
    "model": Verb(
        done_by="ci.verbs.model:model",
        help="the versions of the purchase model; make another one current, or take the last one back",
        elsewhere="The registry is the table that leandata.models reads from the lake's zone of models",
        options=(
            Option(flag="--list", switch=True, help="list them (what is done without any option)"),
            Option(flag="--promote", metavar="VERSION", help="make this version current"),
            Option(flag="--rollback", switch=True, help="go back to the version before the current one"),
        ),
    ),
    "new-service": Verb(
        done_by="ci.verbs.scaffold:new_service",
        help="make the folder of a new service, ready to deploy",
        options=(Option(flag="--name", metavar="NAME", help="lower-case letters and digits"),),
    ),
    "new-source": Verb(
        done_by="ci.verbs.new_source:new_source",
        help="make the declaration of a source with its contract and a test",
        options=(
            Option(flag="--name", metavar="SOURCE.TABLE", help="the dataset that it fills, such as ads.spend"),
            Option(flag="--kind", metavar="KIND", help="files, http or sql"),
        ),
    ),
    "notebook": Verb(
        done_by="ci.verbs.notebook:notebook",
        help="start JupyterLab, connected to lake, warehouse, serving and Dask as a team's people are",
        elsewhere="Its addresses lie inside the cluster: notebooks run with ENV=local",
        options=(
            Option(flag="--team", metavar="NAME", help="read the warehouse as this team (default: the platform's)"),
            Option(flag="--check", switch=True, help="start nothing; fail where a stored notebook holds outputs"),
        ),
    ),
    "owners": Verb(
        done_by="ci.verbs.owners:owners",
        help="who owns a path; without one, write .github/CODEOWNERS from the one source of ownership",
        options=(
            Option(flag="--what", metavar="PATH", help="a file or folder, from the root"),
            Option(flag="--check", switch=True, help="write nothing; fail where it differs or a path is not owned"),
        ),
    ),
    "policy": Verb(
        done_by="ci.verbs.policy:policy",
        help="judge what the programs declare, before anything is touched",
        options=(Option(flag="--all", switch=True, help="every environment"),),
    ),
    "pr-env": Verb(
        done_by="ci.verbs.pr_env:pr_env",
        help="make, take away or sweep the environment of a pull request",
        options=(
            Option(flag="--number", metavar="N", help="the number of the pull request"),
            Option(flag="--up", switch=True, help="make it, or bring it to this commit"),
            Option(flag="--down", switch=True, help="take it away with its data, and prove that nothing is left"),
            Option(flag="--sweep", switch=True, help="take away all whose time is over"),
            _STACK,
            Option(flag="--out", metavar="FOLDER", help="for a cloud environment: where its declarations are written"),
            Option(
                flag="--tagged", metavar="FILE", help="for a cloud environment: what lies there and is tagged, as JSON"
            ),
        ),
    ),
    "preview": Verb(
        done_by="ci.verbs.preview:preview",
        help="show what a change does to an environment; exit code 0 nothing, 2 changes, 3 a risk, 1 it failed",
        options=(
            _STACK,
            _BASE,
            Option(flag="--out", metavar="FOLDER", help="write the report there (default: .leandata/preview)"),
            Option(flag="--live", metavar="YES", help="compare with what is deployed: yes or no (default: ENV=local)"),
            Option(flag="--soft", switch=True, help="exit with 0 unless the preview failed, whatever it found"),
        ),
    ),
    "releases": Verb(
        done_by="ci.verbs.releases:listed",
        help="list what was deployed, or compare two releases",
        options=(
            Option(flag="--a", metavar="RELEASE", help="compare this release (its id or commit, or the beginning)"),
            Option(flag="--b", metavar="RELEASE", help="with this one"),
        ),
    ),
    "render": Verb(
        done_by="ci.verbs.render:render",
        help="write what will exist as files, without credentials",
        options=(Option(flag="--out", metavar="FOLDER", help="(default: .leandata/render/<environment>)"),),
    ),
    "report": Verb(
        done_by="ci.verbs.pipelines:report",
        elsewhere="The reports are in the managers' mail; Airflow's page runs weekly_sales_report again",
        help="render the weekly sales report and open it",
        options=(
            Option(flag="--week", metavar="WEEK", help="such as 2026-W47 (default: the last complete week)"),
            Option(flag="--against", metavar="WEEK", help="compare it with this week"),
            Option(flag="--no-open", switch=True, help="do not open a browser"),
        ),
    ),
    "restart": Verb(
        done_by="ci.verbs.operate:restart",
        elsewhere="kubectl rollout restart -n {prefix}api deployment/api, and the same for other services",
        help="restart a service",
        options=(_SERVICE,),
    ),
    "restore": Verb(
        done_by="ci.verbs.restore:restore",
        help="bring an environment, or a lost part of it, back from a backup",
        elsewhere="make backup writes how each thing is brought back",
        options=(
            Option(flag="--from", metavar="FOLDER", help="a backup, or a folder of backups (default: ENV's own)"),
            Option(flag="--part", metavar="NAMES", help="database, lake, secrets, state, warehouse (default: all)"),
            Option(flag="--dry", switch=True, help="check the backup and show what would be done, do nothing"),
        ),
    ),
    "rotate": Verb(
        done_by="ci.verbs.rotate:rotated",
        help="give a service user of the warehouse a new key, while it works",
        options=(
            Option(flag="--user", metavar="NAME", help="the service, such as airflow"),
            Option(flag="--dry", switch=True, help="say what the next step is, do nothing"),
        ),
    ),
    "rollback": Verb(
        done_by="ci.verbs.rollback:rollback",
        help="bring an older release back, after saying what cannot be undone",
        options=(
            Option(flag="--to", metavar="RELEASE", help="its id or commit, or the beginning of it"),
            Option(flag="--dry", switch=True, help="show what would change and what stays, do nothing"),
            Option(flag="--yes", switch=True, help="go on without a question"),
        ),
    ),
    "run": Verb(
        done_by="ci.verbs.pipelines:run",
        elsewhere="Start it on Airflow's page, or: kubectl exec -n {prefix}airflow deployment/airflow-scheduler --"
        " airflow dags trigger NAME",
        help="run a pipeline now, for a day, a week or a range",
        options=(
            Option(flag="--pipeline", metavar="NAME", help="such as collect_shop"),
            Option(flag="--day", metavar="DAY", help="such as 2026-11-16"),
            Option(flag="--week", metavar="WEEK", help="such as 2026-W47"),
            Option(flag="--from", metavar="DAY", help="the first day of a range"),
            Option(flag="--to", metavar="DAY", help="the last day of a range"),
            Option(flag="--full", switch=True, help="transform, publish_serving: all, not only what has changed"),
        ),
    ),
    "scan": Verb(
        done_by="ci.verbs.scan:scanned",
        help="run other people's scanners over what will exist and what is written down",
        options=(Option(flag="--only", metavar="NAMES", help="only these scanners, separated by commas"),),
    ),
    "setup": Verb(done_by="ci.verbs.doctor:setup", help="install what is missing; every verb does it by itself"),
    "signoff": Verb(
        done_by="ci.verbs.signoff:signoff",
        help="whether every team that a preview's risks need has approved the current commit; 3 where one has not",
        options=(
            Option(flag="--preview", metavar="FILE", help="the preview.json"),
            Option(flag="--reviews", metavar="FILE", help="GitHub's answer to GET /pulls/N/reviews, as JSON"),
            Option(flag="--commit", metavar="COMMIT", help="the head of the pull request, 40 digits"),
            Option(flag="--author", metavar="LOGIN", help="who opened it: their own approval does not count"),
            Option(flag="--owners-from", metavar="COMMIT", help="also the teams as this commit has them"),
        ),
    ),
    "sleep": Verb(
        done_by="ci.verbs.sleep:sleep",
        help="take services and databases to (almost) nothing, and say what is saved",
        options=(Option(flag="--dry", switch=True, help="show what would be done, do nothing"),),
    ),
    "smoke": Verb(
        done_by="ci.verbs.smoke:smoke",
        help="ask the pages of services whether they are well: the look after a deployment",
        options=(
            _SERVICE,
            Option(flag="--patience", default="120", metavar="SECONDS", help="how long to try (default 120)"),
        ),
    ),
    "snapshot": Verb(done_by="ci.verbs.snapshot:snapshot", help="write down what the environments declare, for review"),
    "status": Verb(
        done_by="ci.verbs.status:status",
        elsewhere="kubectl get pods -A -l app.kubernetes.io/managed-by=leandata",
        help="what runs, how healthy it is, how fresh the data is",
        options=(Option(flag="--wait", metavar="SECONDS", help="first wait for health and published sales"),),
    ),
    "test": Verb(
        done_by="ci.verbs.test:test",
        help="run the tests: unit, with real parts, end to end",
        options=(
            _SERVICE,
            Option(flag="--fast", switch=True, help="unit tests only"),
            Option(flag="--changed", switch=True, help="only those that the change against --base can affect"),
            _BASE,
            Option(flag="--dry", switch=True, help="with --changed: say which and why, run none"),
        ),
    ),
    "test-cluster": Verb(
        done_by="ci.verbs.test_cluster:test_cluster",
        help="prove the platform on the Kubernetes that KUBECONFIG names",
        options=(Option(flag="--keep", switch=True, help="leave the platform there afterwards"),),
    ),
    "wake": Verb(
        done_by="ci.verbs.sleep:wake",
        help="bring back what sleeps",
        options=(Option(flag="--dry", switch=True, help="show what would be done, do nothing"),),
    ),
    "workflows": Verb(
        done_by="ci.verbs.workflows:workflows",
        help="write the workflows of GitHub from their description",
        options=(Option(flag="--check", switch=True, help="write nothing, fail where a file is not as described"),),
    ),
    "where": Verb(
        done_by="ci.verbs.releases:where",
        help="say which environments run a commit",
        options=(Option(flag="--change", metavar="COMMIT", help="(default: what is checked out)"),),
    ),
}

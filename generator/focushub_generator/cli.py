"""The `focushub` command: parse, call, print, exit code. What a command does lies elsewhere and is loaded when called.

Rules that hold here:

* Exit 0 on success, 1 on failure with one clear line on standard error, 2 on wrong usage.
* At the top only click is imported, so that `--help` and completion answer at once.
* This is an edge: here, and only here, an error of the tree becomes a line of text.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, Literal

import click

from focushub_core.errors import FocusHubError

DIRECTORY = click.Path(file_okay=False, path_type=Path)
stack_folder = click.argument("directory", metavar="[DIR]", type=DIRECTORY, default=".")


class Edge(click.Group):
    """Says an expected failure as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; a `FocusHubError` or an `OSError` ends it with exit code 1."""
        try:
            return super().invoke(ctx)
        except FocusHubError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise  # whoever read has gone, as after `focushub logs | head`; click ends quietly
        except OSError as error:
            raise click.ClickException(_words(error)) from error


def _words(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"focushub {version('focushub-core')}")
    ctx.exit()


def _root(directory: Path) -> Path:
    """The stack's folder: ``directory`` itself, or the nearest one above it."""
    from focushub_core.stack import FILE_NAME, find_root

    root = find_root(directory.resolve())
    if root is None:
        raise click.ClickException(
            f"there is no {FILE_NAME} in {directory.resolve()} or above; name a stack's folder, "
            "or make one with: focushub generate my-stack"
        )
    return root


@click.group(cls=Edge, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="The version."
)
def main() -> None:
    """Scaffolds, runs and looks after a stack of aiohttp services.

    DIR is a stack's folder: the working directory, or one below it, where left out. A service is named by its
    folder, such as task-service.

    \b
    focushub generate my-stack      write a new stack
    focushub up my-stack            run it here, without Docker
    """


@main.command()
@click.argument("directory", metavar="DIR", type=DIRECTORY)
@click.option("--name", help="The stack's name; DIR's own name where left out.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
def generate(directory: Path, name: str | None, dry_run: bool) -> None:
    """Write a new stack into DIR, which is absent or empty.

    The name becomes the prefix of the databases (my-stack: my_stack_auth, my_stack_tasks, ...) and the Compose
    project's name: lower-case letters, digits and single hyphens, at most 40 characters, beginning with a letter.

    It is all or nothing: a failure leaves nothing behind. A .env with fresh secrets, readable by you alone, and the
    kit's wheel for the images are written, too; git ignores both.
    """
    from . import render, show
    from .plan import plan
    from .resources import inventory
    from .spec import stack_spec

    spec = stack_spec(directory.resolve().name if name is None else name)
    render.refuse_unless_free(directory.resolve())
    if not dry_run:
        # SIGTERM unwinds like Ctrl-C does, so that it leaves nothing behind either.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        render.generate(spec, directory)
    show.generated(spec, directory, plan(spec, inventory()).files, written=not dry_run)


@main.command()
@stack_folder
def prepare(directory: Path) -> None:
    """Write what git ignores, where it is missing: .env and vendor/.

    For a stack that was just cloned. A .env that is there is never changed. The wheel in vendor/, which the images
    install, becomes the kit that runs this command. `generate` and `up` do this by themselves.
    """
    from .prepare import prepare as write_missing

    written = write_missing(_root(directory))
    click.echo("\n".join(f"Wrote {path}" for path in written) if written else "Nothing is missing.")


@main.group()
def add() -> None:
    """Add to a stack that is there."""


@add.command("service")
@click.argument("name")
@stack_folder
@click.option("--port", metavar="N", type=int, help="Where it listens; the next free one from 3005 on.")
def add_service(name: str, directory: Path, port: int | None) -> None:
    """Add a service to a stack: folder, routes, database, containers, tests.

    NAME is a plain word, such as notes: the folder becomes notes-service, the path /v1/notes. The service keeps items
    of which each person sees their own, so that there is something to change; its tests pass as they are.

    It is all or nothing. Of the stack's own files focushub.toml gets one table, .env a password, and Compose's list of
    further services a line, each at the end.
    """
    from . import show
    from .add import add as carry_out

    root = _root(directory)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    show.added(carry_out(root, name, port), directory)


@main.command()
@stack_folder
@click.option(
    "--port-offset", metavar="N", type=click.IntRange(0, 20000), default=0, help="Add N to every port."
)
@click.option(
    "--gateways", metavar="N", type=click.IntRange(1, 16), help="Run N gateways, whatever the file says."
)
@click.option("--reload", is_flag=True, help="Restart a part when its code changes.")
@click.option("--without", metavar="SERVICE", multiple=True, help="Leave this service out; may be repeated.")
@click.option("--postgres", metavar="URL", help="Use this server, not an embedded one.")
@click.option("--redis", metavar="URL", help="Use this server, not an embedded one.")
def up(  # noqa: PLR0917 (click passes every option)
    directory: Path,
    port_offset: int,
    gateways: int | None,
    reload: bool,
    without: tuple[str, ...],
    postgres: str | None,
    redis: str | None,
) -> None:
    """Run a stack here, without Docker, until Ctrl-C.

    Starts an embedded PostgreSQL and Valkey (or uses the servers named; roles and databases are made there), brings
    the databases up to date, and runs every service, the gateways and the load balancer. A part that dies is
    restarted. When all is healthy, the addresses and a demo login are shown.

    Ctrl-C or SIGTERM drains and stops everything within 10 seconds. Data stays in DIR/.focushub. A second stack
    beside this one wants --port-offset.
    """
    from . import local

    sys.exit(
        local.up(
            _root(directory),
            port_offset=port_offset,
            gateways=gateways,
            reload=reload,
            without=without,
            postgres=postgres,
            redis=redis,
        )
    )


@main.command()
@click.argument("service")
@stack_folder
@click.option("--reload", is_flag=True, help="Restart when its code changes.")
def run(service: str, directory: Path, reload: bool) -> None:
    """Run one part alone: a service, gateway or load-balancer.

    The same as `PYTHONPATH=../shared python -m task_service` in the folder task-service: its settings come from the
    environment, then from .env, then from a stack that `focushub up` runs here.
    """
    from . import local

    sys.exit(local.run_part(_root(directory), service, reload=reload))


@main.command()
@stack_folder
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(directory: Path, as_json: bool) -> None:
    """Show every part of the stack that `focushub up` runs here.

    Below the parts: where the load balancer stands with each gateway, and a gateway with a service that is not well;
    what each limit let in and refused, how often without asking Redis (leased) and while Redis was away (degraded).

    Exits with 0 only if all are healthy.
    """
    from . import local

    sys.exit(local.status(_root(directory), as_json=as_json))


@main.command()
@stack_folder
@click.option(
    "--seconds",
    metavar="N",
    type=click.IntRange(3, 300),
    default=60,
    show_default=True,
    help="How long the load lasts.",
)
@click.option("--service", metavar="SERVICE", help="The service to kill; else one that can be written to.")
@click.option("--json", "as_json", is_flag=True, help="The report for programs.")
def verify(directory: Path, seconds: int, service: str | None, as_json: bool) -> None:
    """Kill parts of a stack under load, and see whether its promises hold.

    Eight people register, sign in, and read and write through the load balancer whatever the stack's /openapi.json
    offers. Meanwhile a gateway and then a service are killed (kill -9), and restarted by `focushub up`. At the end all
    that was written is read back. Promised is:

    \b
    - no read fails while a gateway is killed, no write but those it had in hand
    - while a service restarts, only requests to it fail, with a 502, 503 or 504
    - what was acknowledged is there, once; what was sent twice with its
      Idempotency-Key was done once
    - no answer reaches another client

    It verifies the stack that `focushub up` runs here. Where none runs, it starts one and stops it at the end. The
    people it registers (verify-...@example.com) and what they write stay; nobody else's data are touched.

    Exits with 1 if a promise was broken.
    """
    from . import local

    sys.exit(local.verify(_root(directory), seconds=seconds, service=service, as_json=as_json))


@main.command()
@stack_folder
@click.option(
    "--service", "services", metavar="SERVICE", multiple=True, help="Only this one's; may be repeated."
)
@click.option("--status", "show_status", is_flag=True, help="Only show what is applied and what is not.")
@click.option("--dry-run", is_flag=True, help="Only show what would be applied.")
@click.option(
    "--postgres",
    metavar="URL",
    envvar="POSTGRES_ADMIN_URL",
    help="A superuser's URL: first make each service's role and database there. Also as POSTGRES_ADMIN_URL.",
)
def migrate(
    directory: Path, services: tuple[str, ...], show_status: bool, dry_run: bool, postgres: str | None
) -> None:
    """Bring the databases up to date.

    Each service's numbered SQL files are applied once, in order, in the database of its <SERVICE>_DATABASE_URL
    (TASK_DATABASE_URL, ...). Safe to run many at once. A file that was changed after it was applied is refused.
    """
    from .local import migrate as bring_up_to_date

    root = _root(directory)
    if postgres is not None and not (show_status or dry_run):
        from .databases import provision

        provision(root, postgres, services)
    sys.exit(bring_up_to_date(root, services=services, show_status=show_status, dry_run=dry_run))


@main.command()
@stack_folder
@click.option("--service", metavar="SERVICE", help="Only this part's lines.")
@click.option("--request", metavar="ID", help="Only one request's lines, through every part.")
@click.option("--follow", "-f", is_flag=True, help="Wait for further lines.")
def logs(directory: Path, service: str | None, request: str | None, follow: bool) -> None:
    """Show the local stack's logs."""
    from . import local

    sys.exit(local.logs(_root(directory), service=service, request=request, follow=follow))


@main.command()
@stack_folder
@click.option("--service", metavar="NAME", help="One part's own document, such as task-service.")
def openapi(directory: Path, service: str | None) -> None:
    """Print the OpenAPI 3.1 document, without a service the merged one.

    Nothing has to run. The merged document is the one that the gateway answers at /openapi.json.
    """
    from . import openapi as documents

    root = _root(directory)
    click.echo(documents.of_service(root, service) if service else documents.of_stack(root), nl=False)


@main.command()
@click.argument("service")
@stack_folder
def psql(service: str, directory: Path) -> None:
    """Open a prompt on a service's database in the local stack."""
    from . import local

    sys.exit(local.psql(_root(directory), service))


@main.command()
@click.option("--listen", metavar="HOST:PORT", required=True, help="Where to listen, such as 127.0.0.1:8080.")
@click.option(
    "--upstream", "upstreams", metavar="HOST:PORT", multiple=True, required=True, help="May be repeated."
)
@click.option(
    "--policy",
    type=click.Choice(["round-robin", "least-requests"]),
    default="round-robin",
    show_default=True,
    help="Who is next: by turns, or who has the fewest requests running.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the port; each answers /metrics for all.",
)
@click.option(
    "--health-path", metavar="PATH", default="/readyz", show_default=True, help="Asked of each upstream."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Log lines for people or for machines.",
)
def balance(  # noqa: PLR0917 (one for each option)
    listen: str,
    upstreams: tuple[str, ...],
    policy: Literal["round-robin", "least-requests"],
    workers: int,
    health_path: str,
    log_format: Literal["text", "json"],
) -> None:
    """Run the load balancer alone, in front of anything that speaks HTTP.

    \b
    focushub balance --listen 127.0.0.1:8080 --upstream 127.0.0.1:3000 --upstream 127.0.0.1:3100
    """
    from focushub_core.proxy import standalone

    sys.exit(standalone.balance(listen, upstreams, policy, health_path, count=workers, log_format=log_format))

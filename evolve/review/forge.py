"""Takes a pull request to another git server: the branch by git, on GitHub the request itself by GitHub's own tools.

Every wait has an end. What git or a server says is shown without the credentials that an address may hold.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import RunError, SetupError, UsageError

LIMIT_S = 120.0
"""A push, or a request to a forge, may take so long."""
SILENCE_S = 20
"""An HTTP transfer in which nothing moves ends after this."""
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
SLUG = re.compile(r"(?:[/:])([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+?)(?:\.git)?/?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is taken there: a branch of a repository on this machine, and the request's words."""

    repository: Path
    branch: str
    base: str
    title: str
    body: str


def push(offer: Offer, remote: str, *, force: bool = False, limit_s: float = LIMIT_S) -> None:
    """Pushes the branch under its own name. Giving the command again changes nothing.

    Raises RunError where the server refuses, breaks off, or does not answer within `limit_s`.
    """
    if remote.startswith("-") or not remote.strip():
        raise UsageError(f"--remote is `{remote}`; expected a URL, or the name of a remote")
    ref = f"refs/heads/{offer.branch}"
    slow = ("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={SILENCE_S}")
    words = ("push", "--porcelain", "--no-verify", "--", remote, f"{'+' if force else ''}{ref}:{ref}")
    command = ["git", "-C", str(offer.repository), *slow, *words]
    code, said = _bounded(command, limit_s, _quiet_git())
    where = hidden(remote)
    if code is None:
        raise RunError(f"{where} did not answer within {limit_s:.0f} s", hint="Nothing was changed here: try again.")
    if code:
        hint = "Nothing was changed here: mend that, and give the command again."
        if "non-fast-forward" in said or "fetch first" in said:
            hint = "The branch there is another one: give --force to replace it."
        raise RunError(f"the push to {where} failed: {_gist(said)}", hint=hint)


def token(environment: Mapping[str, str] = os.environ) -> str:
    """GitHub's token. Raises UsageError where the environment holds none."""
    found = next((environment[name] for name in TOKENS if environment.get(name)), "")
    if not found:
        raise UsageError(
            f"--forge github needs a token in {' or '.join(TOKENS)}",
            hint="Without one, push the branch and open the request by hand: its text is in the body file.",
        )
    return found


def open_on_github(offer: Offer, remote: str, *, limit_s: float = LIMIT_S) -> str:
    """Opens the pull request on GitHub, by `gh` or else by PyGithub; returns its address. One that is open already is
    found again."""
    secret, slug = token(), _slug(remote)
    if shutil.which("gh"):
        return _by_command(offer, slug, secret, limit_s)
    return _by_library(offer, slug, secret)


def hidden(text: str) -> str:
    """`text` without the user names and passwords of addresses in it."""
    return CREDENTIALS.sub("", text)


def _by_command(offer: Offer, slug: str, secret: str, limit_s: float) -> str:
    about = ["--repo", slug, "--head", offer.branch]
    wanted = ["--base", offer.base, "--title", offer.title, "--body-file", "-"]
    environment = {**os.environ, "GH_TOKEN": secret, "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"}
    code, said = _bounded(["gh", "pr", "create", *about, *wanted], limit_s, environment, offer.body)
    if code is None:
        raise RunError(f"gh did not end within {limit_s:.0f} s", hint="The branch is pushed: try again.")
    address = re.findall(r"https?://\S+/pull/\d+", said)
    if address and (code == 0 or "already exists" in said):
        return address[-1]
    raise RunError(f"gh could not open the pull request: {_gist(said)}", hint="The branch is pushed: try again.")


def _by_library(offer: Offer, slug: str, secret: str) -> str:
    try:
        import github
    except ImportError as error:
        raise SetupError(
            "--forge github needs the command `gh` or the library PyGithub; found neither",
            hint="apt-get install gh, or: pip install 'evolve-automl[github]'",
        ) from error
    from requests import RequestException

    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    client = github.Github(base_url=api, auth=github.Auth.Token(secret), timeout=SILENCE_S, retry=None)
    try:
        there = client.get_repo(slug)
        owner = slug.partition("/")[0]
        for found in there.get_pulls(state="open", head=f"{owner}:{offer.branch}"):
            return found.html_url
        return there.create_pull(base=offer.base, head=offer.branch, title=offer.title, body=offer.body).html_url
    except (github.GithubException, RequestException) as error:
        said = error.data if isinstance(error, github.GithubException) else error
        raise RunError(
            f"GitHub did not open the pull request: {_gist(str(said))}", hint="The branch is pushed: try again."
        ) from error
    finally:
        client.close()


def _slug(remote: str) -> str:
    found = SLUG.search(remote)
    if not found:
        raise UsageError(f"{hidden(remote)} names no GitHub repository", hint="https://github.com/OWNER/NAME.git")
    return f"{found[1]}/{found[2]}"


def _quiet_git() -> dict[str, str]:
    """An environment in which git asks nobody anything."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key == "GIT_SSL_CAINFO"}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20")
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_SSH_COMMAND": ssh, "LC_ALL": "C"}


def _bounded(
    command: list[str], limit_s: float, environment: Mapping[str, str], stdin: str = ""
) -> tuple[int | None, str]:
    """The exit code and what was said; no code where it had to be killed, with all that it started."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        text=True,
        errors="replace",
        start_new_session=True,
    ) as running:
        try:
            said, _ = running.communicate(stdin, timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            return None, ""
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise
    return running.returncode, said


def _gist(said: str) -> str:
    """The lines that matter, in one, with no credentials."""
    noise = ("To ", "Done", "hint:", "remote: error: hook", "error: failed to push")
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(noise)]
    return hidden("; ".join(lines[-6:]))[:600] or "it said nothing"

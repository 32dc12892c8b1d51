"""Lets the pods of a cluster that was started on this machine reach each other."""

import shutil
import subprocess
from collections.abc import Mapping

from tests.e2e.kubernetes.phases import say

CHAIN = "DOCKER-USER"
# What a bridge carries from one of its ports to another: pods of one node, and nothing that
# goes from one network to another.
RULE = ("-m", "physdev", "--physdev-is-bridged", "-j", "ACCEPT")


def let_pods_talk(env: Mapping[str, str]) -> None:
    """Keeps Docker from dropping what pods send to each other.

    Kubernetes needs `net.bridge.bridge-nf-call-iptables`, with which the chain FORWARD judges
    also what stays on a bridge, and Docker makes DROP its policy. Docker asks the chain
    DOCKER-USER first and keeps it as it is; without that chain nothing is done.
    """
    if shutil.which("iptables", path=env.get("PATH")) is None:
        return
    if not _is_done("-S", CHAIN, env=env) or _is_done("-C", CHAIN, *RULE, env=env):
        return
    if _is_done("-I", CHAIN, *RULE, env=env):
        say(f"pods of one node may talk ({CHAIN})")
    else:
        say(f"no rule could be added to {CHAIN}: pods may not reach each other")


def _is_done(*arguments: str, env: Mapping[str, str]) -> bool:
    command = ["iptables", "--wait", "10", *arguments]
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0

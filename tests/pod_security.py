"""What Kubernetes' pod security standards ask at the level `restricted`, as a list of what a pod does against it.

The rules are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/ as of Kubernetes 1.34, the
level `baseline` included, for a pod of Linux.
"""

from collections.abc import Iterator, Mapping
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SECCOMP = {"RuntimeDefault", "Localhost"}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def violations(pod: Mapping[str, Any]) -> list[str]:
    """Return what the pod's specification does that the level `restricted` forbids, a phrase each."""
    context = pod.get("securityContext", {})
    found = [f"pod: {name}" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    for volume in pod.get("volumes", ()):
        found += [f"volume {volume['name']}: {kind}" for kind in set(volume) - {"name"} - VOLUMES]
    found += [f"pod: sysctl {item['name']}" for item in context.get("sysctls", ()) if item["name"] not in SYSCTLS]
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(part, ()):
            found += [f"{container['name']}: {what}" for what in _of_container(container, context)]
    return found


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a container does against the rules; the pod's own context counts where the container says nothing."""
    own = container.get("securityContext", {})
    both = {**pod, **own}
    capabilities = own.get("capabilities", {})
    wrong = {
        "privileged": own.get("privileged", False),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation", True),
        "capabilities.drop": "ALL" not in capabilities.get("drop", ()),
        "capabilities.add": set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"},
        "runAsNonRoot": both.get("runAsNonRoot") is not True,
        "runAsUser": both.get("runAsUser") == 0,
        "seccompProfile": both.get("seccompProfile", {}).get("type") not in SECCOMP,
        "appArmorProfile": both.get("appArmorProfile", {}).get("type") == "Unconfined",
        "seLinuxOptions.type": both.get("seLinuxOptions", {}).get("type") not in SELINUX,
        "seLinuxOptions": {"user", "role"} & set(both.get("seLinuxOptions", {})),
        "procMount": own.get("procMount", "Default") != "Default",
        "hostProcess": both.get("windowsOptions", {}).get("hostProcess", False),
        "hostPort": any(port.get("hostPort") for port in container.get("ports", ())),
        "probe.host": any(_names_host(container.get(probe, {})) for probe in PROBES),
    }
    return (name for name, is_wrong in wrong.items() if is_wrong)


def _names_host(probe: Mapping[str, Any]) -> bool:
    """Tell whether a probe asks another host than the pod."""
    return any(probe.get(way, {}).get("host") for way in ("httpGet", "tcpSocket"))

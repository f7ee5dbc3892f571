"""What all pods have in common: names, labels, rights and where their credentials come from."""

from typing import Any

from jobs.render.platform_file import ImageSettings, KubernetesSettings
from jobs.render.stages import Plan, Stage
from jobs.settings import SettingsError

Object = dict[str, Any]
HOUR = 3600
CONTAINER_SECURITY: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def images(plan: Plan) -> ImageSettings:
    """Return the platform file's images; raises `SettingsError` where it has none."""
    if plan.platform.images is None:
        raise SettingsError(
            "the platform file has no [images], which Kubernetes needs; see docker/platform.example.toml"
        )
    return plan.platform.images


def cluster(plan: Plan) -> KubernetesSettings:
    """Return the platform file's cluster; raises `SettingsError` where it has none."""
    if plan.platform.kubernetes is None:
        raise SettingsError("the platform file has no [kubernetes]; see docker/platform.example.toml")
    return plan.platform.kubernetes


def metadata(plan: Plan, stage: Stage) -> Object:
    """Return the metadata of a stage's object."""
    return {"name": plan.name(stage), "namespace": cluster(plan).namespace, "labels": labels(plan, stage)}


def labels(plan: Plan, stage: Stage) -> dict[str, str]:
    """Return the recommended labels of Kubernetes."""
    return {
        "app.kubernetes.io/name": "scarce",
        "app.kubernetes.io/instance": plan.platform.name,
        "app.kubernetes.io/component": stage.name,
    }


def pod_security(found: KubernetesSettings) -> Object:
    """Return the security context of a pod, as the restricted pod security standard asks for."""
    return {
        "runAsNonRoot": True,
        "runAsUser": found.run_as,
        "fsGroup": found.run_as,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def credentials(found: KubernetesSettings) -> Object:
    """Return where a container's AWS_* environment comes from; nothing where its service account carries a role."""
    if not found.credentials_secret:
        return {}
    return {"envFrom": [{"secretRef": {"name": found.credentials_secret}}]}

"""Certificates and kubeconfigs of the test control plane, made with openssl."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

SERVER_NAMES = (
    "IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
)
SUBJECTS = {
    "apiserver": "/CN=kube-apiserver",
    "admin": "/O=system:masters/CN=admin",
    "scheduler": "/CN=system:kube-scheduler",
    "kcm": "/CN=system:kube-controller-manager",
}


@dataclass(frozen=True)
class Pki:
    """In `directory`: a CA, a certificate for each of `SUBJECTS`, and the key pair that signs tokens."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Pki:
        """Make all keys and certificates."""
        directory.mkdir(parents=True, exist_ok=True)
        pki = cls(directory)
        curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        pki._openssl("genpkey", *curve, "-out", "ca.key")
        # from 3.13 on, Python wants a key usage in a CA and the CA's key identifier in a certificate
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        pki._openssl(
            *("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=test-ca", *usage, "-days", "30"),
            *("-out", "ca.crt"),
        )
        pki._openssl("genpkey", *curve, "-out", "sa.key")
        pki._openssl("pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        for serial, (name, subject) in enumerate(SUBJECTS.items(), 1):
            extensions = "extendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\n"
            if name == "apiserver":
                extensions += f"subjectAltName={SERVER_NAMES}\n"
            (directory / f"{name}.ext").write_text(extensions)
            pki._openssl("genpkey", *curve, "-out", f"{name}.key")
            pki._openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
            pki._openssl(
                *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
                *(
                    "-set_serial",
                    str(serial),
                    "-days",
                    "30",
                    "-extfile",
                    f"{name}.ext",
                    "-out",
                    f"{name}.crt",
                ),
            )
        return pki

    def kubeconfig(self, name: str, server: str, *, token: str = "") -> Path:
        """A kubeconfig for one of `SUBJECTS`, or for the bearer of a token."""
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": server, "certificate-authority-data": self._data("ca.crt")},
                }
            ],
            "users": [{"name": name, "user": {"token": token} if token else self._identity(name)}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        }
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(data))
        return path

    def _identity(self, name: str) -> dict[str, str]:
        return {
            "client-certificate-data": self._data(f"{name}.crt"),
            "client-key-data": self._data(f"{name}.key"),
        }

    def _data(self, name: str) -> str:
        return base64.b64encode((self.directory / name).read_bytes()).decode()

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

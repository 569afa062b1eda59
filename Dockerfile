# The sidecar of Argo CD's repo-server. It runs as uid 999 with a read-only root file system and a writable /tmp.
# docs/decisions/0020-image.md tells why it is made so, docs/explanation/image.md what it holds and what each part costs.

# helm and kustomize, by Go's checksum database. Go compiles for another machine than its own, an emulator would take an hour.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26-trixie AS programs

# tests/test_image.py compares both with what the end-to-end tests run.
ARG HELM_VERSION=3.21.4
ARG KUSTOMIZE_VERSION=5.7.1
# Behind a proxy with its own certificates: --volume CA:CA:ro --build-arg SSL_CERT_FILE=CA. It does not reach the image.
ARG SSL_CERT_FILE
ARG TARGETOS
ARG TARGETARCH
ENV CGO_ENABLED=0 \
    GOFLAGS=-trimpath \
    GOOS=${TARGETOS} \
    GOARCH=${TARGETARCH}
WORKDIR /programs
RUN go install -ldflags="-s -w" "helm.sh/helm/v3/cmd/helm@v${HELM_VERSION}"
RUN go install -ldflags="-s -w" "sigs.k8s.io/kustomize/kustomize/v5@v${KUSTOMIZE_VERSION}"
# What is compiled for another machine lies in a folder of its own.
RUN ["find", "/go/bin", "-type", "f", "-exec", "mv", "--target-directory=/programs", "{}", "+"]


FROM docker.io/library/python:3.13-slim-trixie AS builder

# hadolint ignore=DL3008 # an old version is gone from Debian's servers on the day of the new one, and apt checks signatures
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/*

ARG SSL_CERT_FILE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# What is pinned comes first: the layers stay as they are while the code changes.
COPY requirements/build.txt requirements/runtime.txt /source/requirements/
RUN ["python", "-m", "venv", "/build"]
RUN ["/build/bin/pip", "install", "--require-hashes", "-r", "/source/requirements/build.txt"]
RUN ["python", "-m", "venv", "--without-pip", "--without-scm-ignore-files", "/opt/cmp-core"]
RUN ["/build/bin/pip", "--python", "/opt/cmp-core", "install", "--no-compile", "--only-binary", ":all:", \
     "--require-hashes", "-r", "/source/requirements/runtime.txt"]

COPY pyproject.toml README.md LICENSE /source/
COPY cmp_core /source/cmp_core
COPY backends/s3 /source/backends/s3
COPY backends/tarball /source/backends/tarball
COPY backends/multi /source/backends/multi
COPY backends/helm /source/backends/helm
COPY backends/fsspec /source/backends/fsspec
RUN ["/build/bin/pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", "/wheels", \
     "/source", "/source/backends/s3", "/source/backends/tarball", "/source/backends/multi", \
     "/source/backends/helm", "/source/backends/fsspec"]
RUN ["/build/bin/pip", "--python", "/opt/cmp-core", "install", "--no-compile", "--no-index", \
     "--find-links", "/wheels", "cmp-core[all]"]
RUN ["/build/bin/pip", "--python", "/opt/cmp-core", "check"]

# Compiled once, here: the running sidecar cannot write, and would compile every module again at every start. All of it
# anew, because pip has imported some.
RUN ["python", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "/opt/cmp-core/lib"]

COPY image/root_filesystem.py /source/image/
RUN ["python", "/source/image/root_filesystem.py", "/root-filesystem", "/opt/cmp-core"]


FROM scratch

COPY --from=builder /root-filesystem /
COPY --from=programs /programs /usr/local/bin
COPY --from=builder /opt/cmp-core /opt/cmp-core
COPY image/entry.py /usr/local/lib/cmp-core/entry.py
COPY plugin.yaml /home/argocd/cmp-server/config/plugin.yaml

ENV HOME=/tmp \
    PATH=/opt/cmp-core/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1

WORKDIR /tmp
USER 999:999

ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="cmp-core" \
      org.opencontainers.image.description="A sidecar of Argo CD's repo-server that makes S3 a source of manifests" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# tini reaps what nobody waits for; entry.py ends the server on SIGTERM, which it would outlive. The server is Argo CD's own
# binary, which the repo-server's init container leaves in the volume that both containers mount.
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/python3", "-IS", "/usr/local/lib/cmp-core/entry.py", \
            "/var/run/argocd/argocd-cmp-server"]

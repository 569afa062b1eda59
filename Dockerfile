# The sidecar of Argo CD's repo-server. It runs as uid 999 with a read-only root file system and a writable /tmp.
# No step and no entry point needs a shell, so that a base without one will do.

FROM docker.io/library/python:3.13-slim-bookworm AS builder

# Behind a proxy with its own certificates: --volume CA:CA:ro --build-arg SSL_CERT_FILE=CA. It does not reach the image.
ARG SSL_CERT_FILE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# What is pinned comes first: the layers stay as they are while the code changes.
COPY requirements/build.txt requirements/runtime.txt /source/requirements/
RUN ["python", "-m", "venv", "/build"]
RUN ["/build/bin/pip", "install", "--require-hashes", "-r", "/source/requirements/build.txt"]
RUN ["python", "-m", "venv", "--without-pip", "/opt/cmp-core"]
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
RUN ["/build/bin/pip", "--python", "/opt/cmp-core", "install", "--no-compile", "--no-deps", "--no-index", \
     "--find-links", "/wheels", "cmp-core", "cmp-backend-s3", "cmp-backend-tarball", \
     "cmp-backend-multi", "cmp-backend-helm", "cmp-backend-fsspec"]
RUN ["/build/bin/pip", "--python", "/opt/cmp-core", "check"]

# Compiled once, here: the running sidecar cannot write, and would compile every module again at every start.
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/cmp-core/lib"]


FROM docker.io/library/python:3.13-slim-bookworm

ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="cmp-core" \
      org.opencontainers.image.description="A sidecar of Argo CD's repo-server that makes S3 a source of manifests" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The base comes without bytecode for the standard library.
RUN ["python", "-c", "import compileall, py_compile, re, sys, sysconfig; sys.exit(not compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=1, rx=re.compile('/(site|dist)-packages/'), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH))"]

COPY --from=builder /opt/cmp-core /opt/cmp-core
COPY plugin.yaml /home/argocd/cmp-server/config/plugin.yaml

ENV HOME=/tmp \
    PATH=/opt/cmp-core/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1

WORKDIR /tmp
USER 999:999

# Argo CD's own binary, which the repo-server's init container leaves in the volume that both containers mount. It is PID 1
# and reaps nothing, which does no harm here: the only programs that cmp-core starts are kustomize and helm, which this image lacks.
ENTRYPOINT ["/var/run/argocd/argocd-cmp-server"]
